//! One person's way to the application: what a browser does at pages that are not ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;

use super::people::{Person, header, list_header};
use super::world::{Protected, World};
use crate::browser::{Browser, Fetch, Form, Page, Tab};
use crate::issuer::Sign;

const MAX_PAGES: usize = 16;

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

/// Where a walk ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// At a page of a gateway, or of the application behind it.
    Gateway,
    /// The issuer asks for a password, and nobody is there to type it.
    Password,
    /// At a page of the issuer's on which there is nothing to be done.
    Issuer,
}

/// What was met on the way.
pub(super) struct Way {
    pub(super) end: End,
    pub(super) posted: Option<Posted>,
    pub(super) asked_password: bool,
}

/// Visits `path` in a fresh browser, signs in, and does what the pages say until one of the gateway's host shows.
pub(super) async fn sign_in(world: &World, protected: &Protected, person: &Person, path: &str) -> Arrival {
    let mut tab = Browser::new().tab();
    let way = arrive(world, &mut tab, protected, person, path).await;
    let posted = way.posted.unwrap_or_else(|| panic!("no response was posted: {:?}", tab.browser().visited()));
    Arrival { tab, posted }
}

/// As [`sign_in`], in a browser that has been somewhere.
pub(super) async fn arrive(world: &World, tab: &mut Tab, protected: &Protected, person: &Person, path: &str) -> Way {
    tab.visit(&protected.gateway.url(path)).await;
    let way = walk(world, tab, Some(person)).await;
    let page = tab.page();
    let text = || start_of(&page.visible_text());
    assert!(way.end == End::Gateway, "no form at {} ({}): {}", page.url.path(), page.status, text());
    way
}

/// Does what the pages say.
pub(super) async fn walk(world: &World, tab: &mut Tab, person: Option<&Person>) -> Way {
    let mut way = Way { end: End::Gateway, posted: None, asked_password: false };
    for _ in 0..MAX_PAGES {
        let page = tab.page().clone();
        if let Some(form) = message_form(&page) {
            way.posted = form.value("SAMLResponse").map(read).or(way.posted);
            tab.submit(form).await;
            continue;
        }
        if world.is_gateway(&page.url) {
            let Some(start) = page.links().into_iter().find(|link| link.url.path().starts_with("/saml/start")) else {
                return way;
            };
            tab.follow(start.url.as_str()).await;
            continue;
        }
        load_frames(tab, &page).await;
        let form = match (password_form(&page), person) {
            (Some(_), None) => return Way { end: End::Password, ..way },
            (Some(form), Some(person)) => {
                way.asked_password = true;
                let user = if form.value("username").is_some() { "username" } else { "user" };
                form.set(user, &person.username).set("password", &person.username)
            }
            (None, _) => match page.forms().into_iter().next() {
                Some(form) => pressed(form),
                None => return Way { end: End::Issuer, ..way },
            },
        };
        tab.submit(form).await;
    }
    panic!("no end after {MAX_PAGES} pages: {:?}", tab.browser().visited());
}

/// Error pages of others can be long.
fn start_of(text: &str) -> String {
    text.chars().take(500).collect()
}

/// The form that a script would submit. One that asks for a password may keep the request beside it.
fn message_form(page: &Page) -> Option<Form> {
    let has = |form: &Form, name: &str| form.value(name).is_some();
    let is_message = |form: &Form| (has(form, "SAMLResponse") || has(form, "SAMLRequest")) && !has(form, "password");
    page.forms().into_iter().find(is_message)
}

fn password_form(page: &Page) -> Option<Form> {
    page.forms().into_iter().find(|form| form.value("password").is_some())
}

/// By its first button.
fn pressed(mut form: Form) -> Form {
    let named = form.buttons.iter().find_map(|button| Some((button.name.clone()?, button.value.clone())));
    form.fields.extend(named);
    form
}

/// An issuer can have other applications sign out in frames. A page that forbids it does nothing there.
async fn load_frames(tab: &Tab, page: &Page) {
    for url in page.sources("iframe[src]") {
        let mut frame = tab.fetch(Fetch::frame(url.as_str())).await;
        while let Some(form) = message_form(&frame).filter(|_| can_be_framed(&frame)) {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
            frame = tab.fetch(Fetch::post(form.action.as_str(), "application/x-www-form-urlencoded", body)).await;
        }
    }
}

fn can_be_framed(page: &Page) -> bool {
    let policy = page.header("content-security-policy").unwrap_or_default();
    !policy.contains("frame-ancestors 'none'")
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
pub(super) fn assert_admitted(world: &World, person: &Person, page: &Page, path: &str) {
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
