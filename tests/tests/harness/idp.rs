//! The IdP in the browser, with the echo upstream as service provider on another site.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::browser::{Browser, Form, Tab};
use harness::idp::{Binding, Idp, IdpOptions, IdpSettings, Misbehaviour, Unbound};
use harness::issuer::{Sign, test_keys};
use harness::upstream::Upstream;
use serde_json::json;

/// The upstream is on `localhost` and the IdP on `127.0.0.1`: two sites.
struct World {
    idp: Idp,
    sp: Upstream,
    browser: Browser,
}

impl World {
    async fn new() -> Self {
        let sp = Upstream::start().await;
        let acs_url = format!("http://localhost:{}/acs", sp.address().port());
        let settings = IdpSettings::new("pretend idp", "sp", &acs_url);
        Self { idp: Idp::start(IdpOptions::new(settings)).await, sp, browser: Browser::new() }
    }

    fn sp_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.sp.address().port())
    }

    fn request_url(&self, extra: &str) -> String {
        let request = authn_request("_request-1", extra);
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        deflate.write_all(request.as_bytes()).unwrap();
        let message = STANDARD.encode(deflate.finish().unwrap());
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("SAMLRequest", &message)
            .append_pair("RelayState", "handle")
            .finish();
        format!("{}?{query}", self.idp.sso_url())
    }

    /// A tab that shows the page which posts the response for `user`.
    async fn signed_in(&self, user: &str) -> Tab {
        let mut tab = Browser::new().tab();
        tab.visit(&self.request_url("")).await;
        self.idp.sign_in(&mut tab, user).await;
        tab
    }

    async fn response_for(&self, user: &str) -> String {
        xml(&self.signed_in(user).await.page().form())
    }
}

fn authn_request(id: &str, extra: &str) -> String {
    format!(
        r#"<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="{id}" Version="2.0"{extra}/>"#
    )
}

/// The value of the first attribute of that name.
fn attribute<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!(" {name}=\"")).expect("the response has the attribute");
    rest.split('"').next().unwrap_or_default()
}

fn xml(form: &Form) -> String {
    let message = STANDARD.decode(form.value("SAMLResponse").expect("the form posts a response")).unwrap();
    String::from_utf8(message).unwrap()
}

#[tokio::test]
async fn signs_in_with_the_form_and_posts_the_response_across_sites() {
    let world = World::new().await;
    let mut tab = world.browser.tab();
    tab.visit(&world.sp_url("/?set_cookie=lax=1;SameSite=Lax&set_cookie=none=1;SameSite=None;Secure")).await;
    tab.visit(&world.request_url("")).await;
    assert_eq!(tab.page().title(), "Sign in · Pretend JumpCloud");

    world.idp.sign_in(&mut tab, "ada").await;
    let form = tab.page().form();
    assert_eq!(form.value("RelayState"), Some("handle"));
    let response = xml(&form);
    assert!(response.contains(r#"InResponseTo="_request-1""#));
    assert!(response.contains(">5f1e0000000000000000ada1<"));
    assert!(response.contains("<saml:AttributeValue>admins</saml:AttributeValue><saml:AttributeValue>engineers</"));

    tab.auto_submit().await;
    let post = world.sp.last_request();
    assert_eq!((post.method.as_str(), post.target.as_str()), ("POST", "/acs"));
    assert_eq!(post.one("Cookie"), Some("none=1"), "a cross-site POST carries SameSite=None alone");
    assert_eq!(post.one("Sec-Fetch-Site"), Some("cross-site"));
    assert_eq!(post.one("Origin"), Some(world.idp.origin()));
    assert_eq!(world.browser.last_to("/acs").sent_cookie("lax"), None);
}

#[tokio::test]
async fn takes_requests_by_post_and_remembers_them() {
    let world = World::new().await;
    let mut tab = world.browser.tab();
    let message = STANDARD.encode(authn_request("_posted", r#" AssertionConsumerServiceURL="http://x/acs""#));
    tab.visit(&world.sp_url("/")).await;
    let form = Form {
        id: None,
        action: world.idp.sso_url().parse().unwrap(),
        method: "POST".to_owned(),
        fields: vec![("SAMLRequest".to_owned(), message)],
        buttons: Vec::new(),
    };
    tab.submit(form).await;
    world.idp.sign_in(&mut tab, "ben").await;
    assert!(xml(&tab.page().form()).contains(r#"InResponseTo="_posted""#));
    let requests = world.idp.requests();
    assert_eq!(requests[0].binding, Binding::Post);
    assert_eq!(requests[0].acs_url.as_deref(), Some("http://x/acs"));
}

#[tokio::test]
async fn wrong_password_shows_the_form_again() {
    let world = World::new().await;
    let mut tab = world.browser.tab();
    tab.visit(&world.request_url("")).await;
    let form = tab.page().form().set("username", "ada").set("password", "guess");
    tab.submit(form).await;
    assert_eq!(tab.page().status, 401);
    assert!(tab.page().visible_text().contains("Incorrect"));
    world.idp.sign_in(&mut tab, "ada").await;
    assert!(tab.page().form().value("SAMLResponse").is_some());
}

#[tokio::test]
async fn session_at_the_idp_answers_without_a_password_unless_forced() {
    let world = World::new().await;
    let mut tab = world.signed_in("ada").await;
    tab.visit(&world.request_url("")).await;
    assert!(tab.page().form().value("SAMLResponse").is_some());
    tab.visit(&world.request_url(r#" ForceAuthn="true""#)).await;
    assert!(tab.page().form().value("password").is_some());
}

#[tokio::test]
async fn tile_answers_unsolicited() {
    let world = World::new().await;
    world.idp.change(|settings| settings.default_relay_state = Some("/start".to_owned()));
    let mut tab = world.browser.tab();
    tab.visit(world.idp.origin()).await;
    world.idp.sign_in(&mut tab, "ada").await;
    tab.click("samlgate").await;
    let form = tab.page().form();
    assert_eq!(form.value("RelayState"), Some("/start"));
    assert!(!xml(&form).contains("InResponseTo"));
}

#[tokio::test]
async fn unbound_user_sees_the_idps_own_page_or_is_denied_by_response() {
    let world = World::new().await;
    let tab = world.signed_in("cyd").await;
    assert_eq!(tab.page().status, 403);
    assert!(tab.page().visible_text().contains("not authorized"));
    assert!(world.sp.requests().is_empty());

    world.idp.change(|settings| settings.unbound = Unbound::DeniedResponse);
    let mut tab = tab;
    tab.visit(&world.request_url("")).await;
    let response = xml(&tab.page().form());
    assert!(response.contains("status:RequestDenied") && !response.contains("<saml:Assertion"));
}

#[tokio::test]
async fn settings_change_by_page_and_by_json() {
    let world = World::new().await;
    let mut tab = world.browser.tab();
    tab.visit(&format!("{}/admin", world.idp.origin())).await;
    let mut form = tab.page().form();
    assert_eq!(form.value("sign"), Some("assertion"));
    form = form.set("sign", "both").set("sp_entity_id", "another sp").set("dropped_attributes", "email, sub");
    form.fields.push(("misbehaviour".to_owned(), "no_audience".to_owned()));
    tab.submit(form).await;
    assert!(tab.page().visible_text().contains("Saved"));
    let settings = world.idp.settings();
    assert_eq!((settings.sign, settings.sp_entity_id.as_str()), (Sign::Both, "another sp"));
    assert!(settings.misbehaves(Misbehaviour::NoAudience) && settings.include_groups);
    assert!(settings.dropped_attributes.contains("sub"));

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let patch = |body: serde_json::Value| {
        let request = client.patch(format!("{}/admin/settings", world.idp.origin()));
        request.header("Content-Type", "application/json").body(body.to_string()).send()
    };
    assert_eq!(patch(json!({"sign": "response", "misbehaviours": ["expired"]})).await.unwrap().status(), 204);
    assert_eq!(world.idp.settings().sign, Sign::Response);
    assert_eq!(patch(json!({"no_such_setting": 1})).await.unwrap().status(), 400);
}

#[tokio::test]
async fn metadata_declares_redirect_only_when_told() {
    let world = World::new().await;
    let mut tab = world.browser.tab();
    let url = format!("{}/metadata.xml", world.idp.origin());
    tab.visit(&url).await;
    assert!(tab.page().body.contains("HTTP-POST") && !tab.page().body.contains("HTTP-Redirect"));
    assert!(tab.page().body.contains(r#"entityID="pretend idp""#));
    assert!(tab.page().body.contains(&world.idp.key().certificate_base64()));
    world.idp.change(|settings| settings.declare_redirect_endpoint = true);
    tab.visit(&url).await;
    assert!(tab.page().body.contains("HTTP-Redirect"));
}

#[tokio::test]
async fn misbehaves_as_told_and_only_so() {
    let world = World::new().await;
    let acs = world.sp_url("/acs");
    let good = world.response_for("ada").await;
    let shows = |xml: &str, how: Misbehaviour| match how {
        Misbehaviour::SignByStranger => xml.contains(&test_keys::stranger().certificate_base64()),
        Misbehaviour::Expired => attribute(xml, "IssueInstant") < attribute(&good, "IssueInstant"),
        Misbehaviour::NotYetValid => attribute(xml, "NotBefore") > attribute(&good, "NotOnOrAfter"),
        Misbehaviour::BreakSignature => xml.contains(">xada@demo.example<"),
        Misbehaviour::WrongAudience => !xml.contains("<saml:Audience>sp<"),
        Misbehaviour::NoAudience => !xml.contains("AudienceRestriction"),
        Misbehaviour::WrongRecipient => !xml.contains(&format!(r#"Recipient="{acs}""#)),
        Misbehaviour::WrongDestination => !xml.contains(&format!(r#"Destination="{acs}""#)),
        Misbehaviour::NoDestination => !xml.contains("Destination"),
        Misbehaviour::WrongIssuer => !xml.contains("<saml:Issuer>pretend idp<"),
        Misbehaviour::WrongInResponseTo => {
            !xml.contains(r#"InResponseTo="_request-1""#) && xml.contains("InResponseTo")
        }
        Misbehaviour::NoInResponseTo => !xml.contains("InResponseTo"),
        Misbehaviour::DeniedStatus => !xml.contains("status:Success"),
        Misbehaviour::SameAssertionIdAgain => xml.contains("_the-same-assertion-again"),
        Misbehaviour::CommentInNameId => xml.contains("<!---->") && xml.contains("</saml:NameID>"),
        Misbehaviour::DocumentType => xml.starts_with("<!DOCTYPE"),
        Misbehaviour::NoNameId => !xml.contains("NameID"),
        Misbehaviour::TwoEmails => xml.matches(r#"Name="email""#).count() == 2,
    };
    for how in Misbehaviour::ALL {
        world.idp.misbehave([how]);
        let bad = world.response_for("ada").await;
        assert!(shows(&bad, how), "{how:?}: {bad}");
        assert!(!shows(&good, how), "{how:?} does not show in a good response");
    }
}
