//! One person's way to the application: what a browser does at pages that are not ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;

use super::people::{Person, header, list_header};
use super::world::{Protected, World};
use crate::browser::{Browser, Form, Tab};
use crate::issuer::Sign;

const MAX_PAGES: usize = 12;

/// A response as the browser posted it.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    pub(super) xml: String,
    pub(super) at: OffsetDateTime,
}

pub(super) struct Arrival {
    pub(super) tab: Tab,
    pub(super) posted: Posted,
}

/// Visits `path` in a fresh browser, signs in, and does what the pages say until one of the gateway's host shows.
pub(super) async fn sign_in(protected: &Protected, person: &Person, path: &str) -> Arrival {
    let mut tab = Browser::new().tab();
    tab.visit(&protected.gateway.url(path)).await;
    let mut posted = None;
    for _ in 0..MAX_PAGES {
        let page = tab.page().clone();
        let is_ours = page.url.as_str().starts_with(protected.gateway.public_url());
        if let Some(start) = page.links().into_iter().find(|link| is_ours && link.url.path().starts_with("/saml/start"))
        {
            tab.follow(start.url.as_str()).await;
            continue;
        }
        if is_ours {
            let posted = posted.unwrap_or_else(|| panic!("no response was posted: {:?}", tab.browser().visited()));
            return Arrival { tab, posted };
        }
        let form = next_form(page.forms(), person);
        let form = form.unwrap_or_else(|| {
            panic!("no form at {} ({}): {}", page.url.path(), page.status, start_of(&page.visible_text()))
        });
        if let Some(base64) = form.value("SAMLResponse") {
            posted = Some(read(base64));
        }
        tab.submit(form).await;
    }
    panic!("no end after {MAX_PAGES} pages: {:?}", tab.browser().visited());
}

/// Error pages of others can be long.
fn start_of(text: &str) -> String {
    text.chars().take(500).collect()
}

/// The form with the response; else the one that asks for a password, filled in; else the first.
fn next_form(forms: Vec<Form>, person: &Person) -> Option<Form> {
    let has = |form: &&Form, name: &str| form.value(name).is_some();
    if let Some(form) = forms.iter().find(|form| has(form, "SAMLResponse")) {
        return Some(form.clone());
    }
    let Some(form) = forms.iter().find(|form| has(form, "password")) else {
        return forms.into_iter().next();
    };
    let user = if has(&form, "username") { "username" } else { "user" };
    Some(form.clone().set(user, &person.username).set("password", &person.username))
}

fn read(base64: &str) -> Posted {
    let compact: String = base64.split_whitespace().collect();
    let bytes = STANDARD.decode(compact).unwrap_or_else(|error| panic!("SAMLResponse is not base64: {error}"));
    let xml = String::from_utf8(bytes).unwrap_or_else(|error| panic!("SAMLResponse is not UTF-8: {error}"));
    Posted { xml, at: OffsetDateTime::now_utc() }
}

/// What carries a Signature of its own. An encrypted assertion shows none.
pub(super) fn signed_parts(xml: &str) -> Sign {
    let document = roxmltree::Document::parse(xml).unwrap_or_else(|error| panic!("the response is not XML: {error}"));
    let response = document.root_element();
    let is_signed = |element: roxmltree::Node<'_, '_>| {
        element.children().any(|child| child.has_tag_name(("http://www.w3.org/2000/09/xmldsig#", "Signature")))
    };
    let assertion = response.children().find(|child| child.tag_name().name() == "Assertion");
    match (is_signed(response), assertion.is_some_and(is_signed)) {
        (true, true) => Sign::Both,
        (true, false) => Sign::Response,
        (false, true) => Sign::Assertion,
        (false, false) => Sign::Neither,
    }
}

/// The application was reached once, by this person, with nothing lost on the way.
pub(super) fn assert_admitted(world: &World, person: &Person, arrival: &Arrival, path: &str) {
    let page = arrival.tab.page();
    assert_eq!(page.status, 200, "{}: {}", page.url, page.visible_text());
    let requests = world.application.take_requests();
    let request = requests.iter().rfind(|request| request.path() == path);
    let request = request.unwrap_or_else(|| panic!("{path} did not reach the application"));
    let seen = |name: &str| request.one(name).unwrap_or_default().to_owned();
    assert_eq!(seen("X-Forwarded-User"), header(&person.id));
    assert_eq!(seen("X-Forwarded-Email"), header(&person.email));
    let mut groups: Vec<_> = seen("X-Forwarded-Groups").split(',').map(str::to_owned).collect();
    let mut wanted: Vec<_> = list_header(&person.groups).split(',').map(str::to_owned).collect();
    groups.sort();
    wanted.sort();
    assert_eq!(groups, wanted);
}

/// The application was not reached; page and log name the code.
pub(super) async fn assert_refused(world: &World, protected: &Protected, arrival: &Arrival, code: &str) {
    let page = arrival.tab.page();
    assert!((400..500).contains(&page.status), "{}: {}", page.status, page.body);
    assert!(page.visible_text().contains(code), "{code}: {}", page.visible_text());
    protected.gateway.logged(&format!("\"{code}\"")).await;
    assert!(world.application.take_requests().is_empty(), "{code}: the application was reached");
}
