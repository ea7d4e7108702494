//! What lies under our prefix. An endpoint gets a [`Call`] and answers it; it knows nothing of Pingora.

mod acs;
mod assets;
mod jwks;
mod login_page;
mod logout;
mod metadata;
mod replay;
mod resume;
mod signed_in;
mod slo;
mod start;
#[cfg(test)]
mod tests;
mod userinfo;

use std::net::IpAddr;
use std::sync::Arc;

pub use resume::BAD_COOKIE;

use config::Origin;
use http::header::{COOKIE, REFERER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use saml_core::Timestamp;

use crate::decide::Endpoint;
use crate::login::Departure;
use crate::pages::{Answer, PostPage, Purpose, Reach, Site, page, redirect};
use crate::refusal::Refusal;
use crate::session::{Browser, BrowserBinding, CookieScope, FormCookie, FormId, FormKey, Landing, Session};
use crate::shared::Gateway;

/// The largest body that an endpoint reads; of the ACS, see [`saml_core::MAX_FORM_BYTES`].
pub const MAX_BODY_BYTES: usize = saml_core::MAX_FORM_BYTES;

/// A request to one of our endpoints.
pub struct Call<'a> {
    pub gateway: &'a Gateway,
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// The accepted one that was called.
    pub host: &'a Origin,
    /// Of the request, with the prefix, without the query.
    pub path: &'a str,
    pub query: Option<&'a str>,
    /// At most [`MAX_BODY_BYTES`]; one byte more where there was more.
    pub body: &'a [u8],
    pub client: IpAddr,
    pub session: Option<&'a Arc<Session>>,
    /// Whoever answers the call sends what it must carry from now on.
    pub browser: &'a Browser<'a>,
    pub request_id: &'a str,
    pub now: Timestamp,
}

/// The methods that an endpoint takes, as `Allow` says them.
const fn methods(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Acs => "POST",
        Endpoint::Slo => "GET, POST",
        Endpoint::Logout => "GET, HEAD, POST",
        Endpoint::Login
        | Endpoint::Start
        | Endpoint::Resume
        | Endpoint::Replay
        | Endpoint::Metadata
        | Endpoint::Userinfo
        | Endpoint::Jwks
        | Endpoint::PostJs
        | Endpoint::LoginJs
        | Endpoint::Style
        | Endpoint::ClientJs
        | Endpoint::SignedIn
        | Endpoint::SignedInJs => "GET, HEAD",
    }
}

/// Whether the endpoint wants the body of this request read.
pub fn reads_body(endpoint: Endpoint, method: &Method) -> bool {
    matches!(endpoint, Endpoint::Acs | Endpoint::Slo) && method == Method::POST
}

/// Whether people look at the endpoint in a browser; others are asked by programs.
pub const fn is_for_people(endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Login
        | Endpoint::Start
        | Endpoint::Acs
        | Endpoint::Resume
        | Endpoint::Replay
        | Endpoint::Logout
        | Endpoint::Slo
        | Endpoint::SignedIn => true,
        Endpoint::Metadata
        | Endpoint::Userinfo
        | Endpoint::Jwks
        | Endpoint::PostJs
        | Endpoint::LoginJs
        | Endpoint::Style
        | Endpoint::ClientJs
        | Endpoint::SignedInJs => false,
    }
}

/// What a call of an endpoint comes to on a host other than that of `public_url`.
enum Elsewhere {
    Served,
    /// It is about logins, which live on `public_url`.
    LedHome,
    /// An IdP was told the address of `public_url` and no other.
    Refused,
}

fn elsewhere(endpoint: Endpoint, method: &Method) -> Elsewhere {
    match endpoint {
        Endpoint::Login | Endpoint::Start | Endpoint::Resume => Elsewhere::LedHome,
        // Across hosts a form would say `Origin: null`, as from anywhere.
        Endpoint::Logout if method == Method::POST => Elsewhere::Served,
        Endpoint::Logout => Elsewhere::LedHome,
        Endpoint::Acs | Endpoint::Slo => Elsewhere::Refused,
        Endpoint::Replay
        | Endpoint::Metadata
        | Endpoint::Userinfo
        | Endpoint::Jwks
        | Endpoint::PostJs
        | Endpoint::LoginJs
        | Endpoint::Style
        | Endpoint::ClientJs
        | Endpoint::SignedIn
        | Endpoint::SignedInJs => Elsewhere::Served,
    }
}

/// # Errors
/// The call is turned away; the caller answers with the refusal.
pub async fn serve(endpoint: Endpoint, call: &Call<'_>) -> Result<Answer, Refusal> {
    let wanted = methods(endpoint);
    if !wanted.split(", ").any(|method| call.method.as_str() == method) {
        return Err(Refusal::EndpointMethod { wanted });
    }
    let home = call.gateway.hosts().public();
    if call.host != home {
        match elsewhere(endpoint, call.method) {
            Elsewhere::Served => {}
            Elsewhere::LedHome => return Ok(lead_home(call, home)),
            Elsewhere::Refused => {
                let (seen, wanted) = (call.host.authority.clone(), home.authority.clone());
                return Err(Refusal::UnknownHost { seen, wanted });
            }
        }
    }
    match endpoint {
        Endpoint::Login => login_page::serve(call),
        Endpoint::Start => start::serve(call).await,
        Endpoint::Acs => acs::serve(call).await,
        Endpoint::Resume => resume::serve(call),
        Endpoint::Replay => replay::serve(call).await,
        Endpoint::Metadata => Ok(metadata::serve(call)),
        Endpoint::Logout => logout::serve(call).await,
        Endpoint::Slo => slo::serve(call).await,
        Endpoint::Userinfo => userinfo::serve(call),
        Endpoint::Jwks => Ok(jwks::serve(call)),
        Endpoint::PostJs => Ok(assets::post_js()),
        Endpoint::LoginJs => Ok(assets::login_js()),
        Endpoint::Style => Ok(assets::style()),
        Endpoint::ClientJs => Ok(assets::client_js(call)),
        Endpoint::SignedIn => Ok(signed_in::serve(call)),
        Endpoint::SignedInJs => Ok(assets::signed_in_js()),
    }
}

impl Call<'_> {
    /// The first value of a parameter of the query.
    fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query?.as_bytes())
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
    }

    /// `rd`, checked.
    pub fn return_url(&self) -> String {
        self.gateway.return_url(self.parameter("rd").as_deref(), self.host)
    }

    /// Where the login leads, as `popup` or `form` says.
    fn landing(&self) -> Landing {
        if self.parameter("popup").is_some() {
            return Landing::PopUp;
        }
        self.parameter("form").and_then(|id| FormId::parse(&id)).map_or(Landing::ReturnUrl, Landing::Form)
    }

    /// Those kept at this host.
    fn own_forms(&self) -> Vec<FormCookie> {
        CookieScope::own_forms(self.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes))
    }

    /// Those kept at any.
    fn noticed_forms(&self) -> Vec<FormKey> {
        self.gateway.cookies.noticed_forms(self.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes))
    }

    /// The login cookie, if there is exactly one good one.
    fn binding(&self) -> Option<BrowserBinding> {
        self.own_cookies().login.good()
    }

    fn own_cookies(&self) -> crate::session::OwnCookies {
        self.gateway.cookies.read_own(self.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes))
    }

    /// Where the page that made this request lies, if it is one of ours.
    pub fn page_of_referer(gateway: &Gateway, headers: &HeaderMap, host: &Origin) -> String {
        let referer = headers.get(REFERER).and_then(|value| value.to_str().ok());
        gateway.return_url(referer.map(|referer| referer.split('#').next().unwrap_or_default()), host)
    }
}

/// The same call on `home`, with a return URL that names its host.
fn lead_home(call: &Call<'_>, home: &Origin) -> Answer {
    let others = form_urlencoded::parse(call.query.unwrap_or_default().as_bytes()).filter(|(name, _)| name != "rd");
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("rd", &call.return_url()).extend_pairs(others);
    redirect(StatusCode::FOUND, &format!("{home}{}?{}", call.path, query.finish()))
}

/// Sends a message of ours on its way.
fn depart(site: &Site, redirect_status: StatusCode, departure: &Departure, purpose: Purpose) -> Answer {
    match departure {
        Departure::Redirect(url) => redirect(redirect_status, url),
        Departure::Post(form) => page(site, StatusCode::OK, Reach::FormLeaves, &PostPage { site, form, purpose }),
    }
}

pub(crate) fn set_cookie(answer: &mut Answer, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        answer.headers_mut().append(SET_COOKIE, value);
    }
}
