//! Our own pages: templates compiled into the binary, and the headers that each of them carries.
//!
//! No page holds an inline script or style; what is inserted is escaped by the template engine.

mod site;

use askama::Template;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use saml_core::PostForm;

pub use site::Site;
pub(crate) use site::{CLIENT_JS, LOGIN_JS, POST_JS, SIGNED_IN_JS, STYLE_CSS};

/// What we send when we answer ourselves.
pub type Answer = Response<Bytes>;

/// Marks every answer that is ours and not the application's.
pub const OURS: HeaderName = HeaderName::from_static("x-samlgate");

#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginPage<'a> {
    pub site: &'a Site,
    /// The authority of the return URL.
    pub host: &'a str,
    /// Of the form that brought the user here.
    pub form: Option<FormNotice>,
    pub buttons: Vec<LoginButton<'a>>,
}

/// What the user should know of a form before signing in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormNotice {
    Kept,
    /// Why.
    Lost(&'static str),
}

pub struct LoginButton<'a> {
    pub text: &'a str,
    pub image_url: Option<&'a str>,
    pub href: String,
}

#[derive(Template)]
#[template(path = "refusal.html")]
pub struct RefusalPage<'a> {
    pub site: &'a Site,
    pub title: &'a str,
    pub advice: &'a str,
    pub code: &'a str,
    /// The code that a login loop ended with.
    pub last: Option<&'a str>,
    pub likely_cause: Option<&'a str>,
    pub request_id: &'a str,
    pub actions: Vec<Action>,
}

/// A link under a refusal.
pub struct Action {
    pub text: &'static str,
    pub href: String,
    pub leaves_frame: bool,
}

/// Carries a message of ours by HTTP-POST (SAML Bindings 2.0 §3.5.4).
#[derive(Template)]
#[template(path = "post.html")]
pub struct PostPage<'a> {
    pub site: &'a Site,
    pub form: &'a PostForm,
    pub purpose: Purpose,
}

/// What the message is for, as the page says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    SignIn,
    SignOut,
}

impl Purpose {
    fn title(self) -> &'static str {
        match self {
            Self::SignIn => "Signing in",
            Self::SignOut => "Signing out",
        }
    }
}

/// Sends a kept form on.
#[derive(Template)]
#[template(path = "replay.html")]
pub struct ReplayPage<'a> {
    pub site: &'a Site,
    /// The authority of the form's address.
    pub host: &'a str,
    /// The form's own address, whole.
    pub action: &'a str,
    pub handle: &'a str,
}

#[derive(Template)]
#[template(path = "logout.html")]
pub struct LogoutPage<'a> {
    pub site: &'a Site,
    /// Nobody where there is no session.
    pub email: Option<&'a str>,
    /// Whether the IdP can be asked to sign out too.
    pub everywhere: bool,
    pub portal_url: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutPage<'a> {
    pub site: &'a Site,
    /// Where the user can end the session of the IdP.
    pub portal_url: Option<&'a str>,
    pub at_idp: AtIdp,
}

/// Where a login in a pop-up ends.
#[derive(Template)]
#[template(path = "signed_in.html")]
pub struct SignedInPage<'a> {
    pub site: &'a Site,
}

/// Leads on by itself.
#[derive(Template)]
#[template(path = "look_again.html")]
pub struct LookAgainPage<'a> {
    pub site: &'a Site,
    pub href: &'a str,
}

/// What is known of the session at the IdP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtIdp {
    /// It was not asked, or could not be.
    Unasked,
    /// It says that all have ended.
    Ended,
    /// It says that an application kept its session.
    EndedInPart,
    /// It says that it did not.
    Refused,
}

/// Where the forms and frames of a page may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Forms go to us alone, and nobody may frame the page.
    Ours,
    /// The form ends at an IdP; `form-action` would apply to its redirects as well, so the page has none.
    FormLeaves,
    /// The page holds nothing but a link out of the frame that it is shown in.
    Framed,
}

/// A page with the headers that all of ours carry.
pub fn page(site: &Site, status: StatusCode, reach: Reach, template: &impl Template) -> Answer {
    match template.render() {
        Ok(html) => {
            let mut answer = ours(status, "text/html; charset=utf-8", html);
            let headers = answer.headers_mut();
            headers.insert(CONTENT_SECURITY_POLICY, site.content_security_policy(reach));
            if reach == Reach::FormLeaves {
                // Without a referrer the browser would post `Origin: null`, which some IdPs refuse.
                headers.insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
            }
            answer
        }
        // Writing to a String does not fail; a formatter of a field could.
        Err(_) => ours(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", "internal_error"),
    }
}

/// An answer of ours without a page around it. Never stored.
pub fn ours(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(OURS, HeaderValue::from_static("1"));
    answer
}

/// A redirect of ours. `location` is built from checked parts; one that no header can hold becomes `/`.
pub fn redirect(status: StatusCode, location: &str) -> Answer {
    let mut answer = ours(status, "text/plain; charset=utf-8", "");
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(http::header::LOCATION, location);
    answer
}

/// JSON of ours.
pub fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    ours(status, "application/json", value.to_string())
}
