//! From a refusal to what the browser gets: the only such place.
//!
//! The administrator's text (the value seen, the value wanted, the cure) stays in the log. The browser
//! gets the status, a plain sentence, the code and the request id.

use config::Origin;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use saml_core::Rejection;
use serde_json::json;

use crate::loop_cause::LoopCause;
use crate::pages::{Action, Answer, Reach, RefusalPage, Site, json, page};
use crate::refusal::{Refusal, UpstreamFault};

/// What the caller can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Page,
    /// A page inside a frame.
    Frame,
    Json,
}

/// Who is answered, and where they wanted to go.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub reader: Reader,
    pub request_id: &'a str,
    /// The accepted host that was asked.
    pub host: &'a Origin,
    /// A checked return URL.
    pub return_url: &'a str,
}

/// What the browser is told.
struct Plain {
    status: StatusCode,
    title: &'static str,
    advice: &'static str,
    offer: Offer,
}

/// The links under the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offer {
    Nothing,
    Repeat,
    OpenPage,
    SignInAgain,
    OtherAccount,
    LeaveFrame,
}

pub fn refuse(site: &Site, refusal: &Refusal, asker: &Asker<'_>) -> Answer {
    let plain = plain(refusal);
    let mut answer = match asker.reader {
        Reader::Json => refusal_json(site, refusal, &plain, asker),
        Reader::Page => refusal_page(site, refusal, &plain, asker, Reach::Ours),
        Reader::Frame => refusal_page(site, refusal, &plain, asker, Reach::Framed),
    };
    if let Some((name, value)) = extra_header(refusal) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

fn refusal_json(site: &Site, refusal: &Refusal, plain: &Plain, asker: &Asker<'_>) -> Answer {
    let mut body = json!({
        "code": refusal.code(),
        "message": format!("{}. {}", plain.title, plain.advice),
        "request_id": asker.request_id,
    });
    if plain.status == StatusCode::UNAUTHORIZED {
        body["login_url"] = format!("{}{}", asker.host, site.with_return("login", asker.return_url)).into();
    }
    json(plain.status, &body)
}

fn refusal_page(site: &Site, refusal: &Refusal, plain: &Plain, asker: &Asker<'_>, reach: Reach) -> Answer {
    let last = match refusal {
        Refusal::LoginLoop { last, .. } => Some(*last),
        _ => None,
    };
    let template = RefusalPage {
        site,
        title: plain.title,
        advice: plain.advice,
        code: refusal.code(),
        last,
        likely_cause: refusal.likely_cause().map(LoopCause::code),
        request_id: asker.request_id,
        actions: actions(site, plain.offer, asker.return_url),
    };
    page(site, plain.status, reach, &template)
}

fn actions(site: &Site, offer: Offer, return_url: &str) -> Vec<Action> {
    let link = |text, href| Action { text, href, leaves_frame: false };
    let sign_in = || site.with_return("login", return_url);
    match offer {
        Offer::Nothing => Vec::new(),
        Offer::Repeat => vec![link("Try again", return_url.to_owned())],
        Offer::OpenPage => vec![link("Open the page", return_url.to_owned())],
        Offer::SignInAgain => vec![link("Try again", sign_in()), link("Use another account", site.logout_url.clone())],
        Offer::OtherAccount => {
            vec![link("Use another account", site.logout_url.clone()), link("Try again", return_url.to_owned())]
        }
        Offer::LeaveFrame => vec![Action { text: "Open and sign in", href: sign_in(), leaves_frame: true }],
    }
}

fn extra_header(refusal: &Refusal) -> Option<(http::HeaderName, HeaderValue)> {
    match refusal {
        Refusal::EndpointMethod { wanted } => Some((ALLOW, HeaderValue::from_static(wanted))),
        Refusal::MethodForbidden { .. } => {
            Some((ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")))
        }
        Refusal::StoreUnavailable { .. } | Refusal::UpstreamUnavailable { .. } | Refusal::RouteFull { .. } => {
            Some((RETRY_AFTER, HeaderValue::from_static("5")))
        }
        Refusal::IdpUnavailable { .. } | Refusal::TooManyLogins { .. } => {
            Some((RETRY_AFTER, HeaderValue::from_static("10")))
        }
        // RFC 6750 §3.1.
        Refusal::TokenUnknown | Refusal::TokenExpired { .. } => {
            Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\"")))
        }
        _ => None,
    }
}

fn plain(refusal: &Refusal) -> Plain {
    let say = |status, title, advice, offer| Plain { status, title, advice, offer };
    match refusal {
        Refusal::Saml(rejection) => plain_saml(rejection),
        Refusal::UnknownHost { .. } => say(
            StatusCode::MISDIRECTED_REQUEST,
            "This address is not served here",
            "Check the address. The application is reached under another name.",
            Offer::Nothing,
        ),
        Refusal::PathAmbiguous => say(
            StatusCode::BAD_REQUEST,
            "This address cannot be read safely",
            "It can be understood in more than one way. Open the application from its start page.",
            Offer::Nothing,
        ),
        Refusal::NoRoute => say(
            StatusCode::NOT_FOUND,
            "There is nothing at this address",
            "Check the address, or open the application from its start page.",
            Offer::Nothing,
        ),
        Refusal::MethodForbidden { .. } => say(
            StatusCode::METHOD_NOT_ALLOWED,
            "This kind of request is not passed on",
            "Use one of the usual methods.",
            Offer::Nothing,
        ),
        Refusal::RequestMalformed { .. } => say(
            StatusCode::BAD_REQUEST,
            "The request is malformed",
            "It was not passed on. If you only followed a link, tell your administrator.",
            Offer::Nothing,
        ),
        Refusal::LoginRequired => say(
            StatusCode::UNAUTHORIZED,
            "Sign-in is required",
            "Sign in, then repeat the request.",
            Offer::SignInAgain,
        ),
        Refusal::LoginRequiredInFrame => say(
            StatusCode::UNAUTHORIZED,
            "Sign-in is required",
            "Signing in is not possible inside this frame. Open the page in the whole window.",
            Offer::LeaveFrame,
        ),
        Refusal::NotInAllowedGroup { .. } => say(
            StatusCode::FORBIDDEN,
            "You do not have access to this page",
            "You are signed in, but your account is in none of the groups that may open it. Ask your administrator, or use another account.",
            Offer::OtherAccount,
        ),
        Refusal::NotOfAllowedIdp { .. } => say(
            StatusCode::FORBIDDEN,
            "You do not have access to this page",
            "You are signed in, but this page is for people who sign in elsewhere. Use another account, or ask your administrator.",
            Offer::OtherAccount,
        ),
        Refusal::NotAllowed => say(
            StatusCode::FORBIDDEN,
            "You do not have access to this page",
            "You are signed in, but this page is for other accounts. Ask your administrator, or use another account.",
            Offer::OtherAccount,
        ),
        Refusal::GroupsTooLarge { .. } => say(
            StatusCode::FORBIDDEN,
            "Your account is in too many groups",
            "They cannot be passed to the application. Your administrator can choose which of them are sent.",
            Offer::OtherAccount,
        ),
        Refusal::SessionTooLarge { .. } => say(
            StatusCode::FORBIDDEN,
            "Your account carries too much",
            "Your browser cannot keep it, so you are not signed in. Tell your administrator.",
            Offer::OtherAccount,
        ),
        Refusal::LogoutByPost => say(
            StatusCode::BAD_REQUEST,
            "This sign-out could not be done",
            "You may still be signed in here. Sign out on the sign-out page of the application.",
            Offer::Nothing,
        ),
        Refusal::UpgradeOriginForbidden { .. } => say(
            StatusCode::FORBIDDEN,
            "This connection was asked for by another site",
            "Open it from a page of the application itself.",
            Offer::Nothing,
        ),
        Refusal::StoreUnavailable { .. } => say(
            StatusCode::SERVICE_UNAVAILABLE,
            "Sessions cannot be checked right now",
            "This is temporary. Wait a moment, then try again.",
            Offer::Repeat,
        ),
        Refusal::UpstreamUnavailable { fault, .. } => say(
            match fault {
                UpstreamFault::Broken | UpstreamFault::Tls(_) => StatusCode::BAD_GATEWAY,
                UpstreamFault::NameUnknown => StatusCode::SERVICE_UNAVAILABLE,
                UpstreamFault::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            },
            "The application does not answer",
            "It may be starting or under maintenance. Wait a moment, then try again.",
            Offer::Repeat,
        ),
        Refusal::FormExpired => say(
            StatusCode::GONE,
            "The form is not there any more",
            "It was sent already, or has waited for longer than 15 minutes. If it did not arrive, fill it in once more.",
            Offer::OpenPage,
        ),
        Refusal::FormOfOtherBrowser => say(
            StatusCode::GONE,
            "This browser cannot send the form",
            "It was filled in elsewhere, or was sent from here already. If it did not arrive, fill it in once more.",
            Offer::OpenPage,
        ),
        Refusal::FormMisdirected => say(
            StatusCode::BAD_REQUEST,
            "The form cannot be sent from here",
            "Nothing was sent. Open the page and fill in the form once more.",
            Offer::OpenPage,
        ),
        Refusal::LoginUnknown | Refusal::AssertionReplayed => say(
            StatusCode::FORBIDDEN,
            "This sign-in cannot be continued",
            "It was finished already or did not begin here. Start again.",
            Offer::SignInAgain,
        ),
        Refusal::SessionCookieMissing => say(
            StatusCode::FORBIDDEN,
            "The sign-in got lost",
            "It was accepted, and your browser came back without it. Allow cookies for this site, then try again.",
            Offer::SignInAgain,
        ),
        Refusal::LoginExpired => say(
            StatusCode::FORBIDDEN,
            "The sign-in took too long",
            "Start again, and finish within 15 minutes.",
            Offer::SignInAgain,
        ),
        Refusal::LoginOfOtherBrowser => say(
            StatusCode::FORBIDDEN,
            "This sign-in began in another browser",
            "Start again in this one. Cookies must be allowed for this site.",
            Offer::SignInAgain,
        ),
        Refusal::LoginLoop { cause, .. } => {
            say(StatusCode::FORBIDDEN, "Signing in does not work", cause.advice(), Offer::SignInAgain)
        }
        Refusal::IdpUnavailable { .. } => say(
            StatusCode::SERVICE_UNAVAILABLE,
            "Signing in is not possible right now",
            "What is needed from your identity provider could not be fetched yet. It is tried again by itself; wait a moment, then try again.",
            Offer::SignInAgain,
        ),
        Refusal::CertificateExpired { .. } => say(
            StatusCode::FORBIDDEN,
            "The sign-in was not accepted",
            "What your identity provider sent does not fit what is set up here. Your administrator can correct this with the code below.",
            Offer::SignInAgain,
        ),
        Refusal::LogoutReplayed => say(
            StatusCode::BAD_REQUEST,
            "This sign-out was carried out already",
            "If you are still signed in somewhere, sign out there once more.",
            Offer::SignInAgain,
        ),
        Refusal::UnknownIdentityProvider { .. } => say(
            StatusCode::NOT_FOUND,
            "This sign-in does not exist",
            "Choose one on the sign-in page.",
            Offer::SignInAgain,
        ),
        Refusal::EndpointUnknown => say(
            StatusCode::NOT_FOUND,
            "There is nothing at this address",
            "Check the address, or open the application from its start page.",
            Offer::Nothing,
        ),
        Refusal::EndpointMethod { .. } => say(
            StatusCode::METHOD_NOT_ALLOWED,
            "This address is not used this way",
            "Open the application from its start page.",
            Offer::Nothing,
        ),
        Refusal::NoUpstream | Refusal::AskedOfOwn => say(
            StatusCode::NOT_FOUND,
            "There is nothing at this address",
            "The application is reached under another address.",
            Offer::Nothing,
        ),
        Refusal::UntrustedProxy { .. } => say(
            StatusCode::FORBIDDEN,
            "This address is for the proxies in front of the application",
            "Open the application from its start page.",
            Offer::Nothing,
        ),
        Refusal::AskedUnclear { .. } => say(
            StatusCode::BAD_REQUEST,
            "The request could not be judged",
            "Tell your administrator the code below.",
            Offer::Nothing,
        ),
        Refusal::HeadTooLarge { .. } => say(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "The browser sends more than is taken",
            "Clear the cookies of this site, then try again.",
            Offer::Nothing,
        ),
        Refusal::BodyTooLarge { .. } => say(
            StatusCode::PAYLOAD_TOO_LARGE,
            "That is more than this address takes",
            "Send something smaller, or in several parts.",
            Offer::OpenPage,
        ),
        Refusal::RouteFull { .. } => say(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many people are here at the moment",
            "Wait a moment, then try again.",
            Offer::Repeat,
        ),
        Refusal::TooManyLogins { .. } => say(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many people are signing in at the moment",
            "Wait a moment, then try again.",
            Offer::SignInAgain,
        ),
        Refusal::TokenUnknown | Refusal::TokenExpired { .. } => say(
            StatusCode::UNAUTHORIZED,
            "The token is not valid here",
            "Ask your administrator for a new one.",
            Offer::Nothing,
        ),
        Refusal::CrossSiteRequest => say(
            StatusCode::FORBIDDEN,
            "This request came from another site",
            "Sign out from the sign-out page itself.",
            Offer::Nothing,
        ),
        Refusal::SecondOpinionDiffers { .. } => say(
            StatusCode::FORBIDDEN,
            "Sign-in was refused",
            "The answer of your identity provider could not be confirmed. Tell your administrator.",
            Offer::SignInAgain,
        ),
        Refusal::Internal { .. } => say(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong here",
            "The mistake is ours and is written down under the request id below. Try again.",
            Offer::Repeat,
        ),
    }
}

/// Strangers learn no more than the kind of problem; the code leads the administrator to the rest.
fn plain_saml(rejection: &Rejection) -> Plain {
    let say = |status, title, advice| Plain { status, title, advice, offer: Offer::SignInAgain };
    match rejection {
        Rejection::FormContentType { .. }
        | Rejection::FormQueryNotEmpty
        | Rejection::FormTooLarge { .. }
        | Rejection::FormMalformed
        | Rejection::FormParameterUnexpected { .. }
        | Rejection::SamlResponseMissing
        | Rejection::SamlResponseRepeated
        | Rejection::Base64Invalid { .. } => say(
            StatusCode::BAD_REQUEST,
            "The sign-in message could not be read",
            "Start again. If it keeps happening, tell your administrator the code below.",
        ),
        Rejection::UnsolicitedResponse => {
            say(StatusCode::FORBIDDEN, "This sign-in cannot be continued", "It did not begin here. Start again.")
        }
        Rejection::IdpDenied { .. } => say(
            StatusCode::FORBIDDEN,
            "Your identity provider did not let you in",
            "Your account may not be assigned to this application. Ask your administrator for access, then try again.",
        ),
        Rejection::AuthnTooOld { .. } => say(
            StatusCode::FORBIDDEN,
            "You have to sign in once more",
            "Your identity provider did not ask you to sign in again, which is needed here. Sign out there, then try again.",
        ),
        Rejection::AssertionExpired { .. } | Rejection::IdpSessionEnded { .. } => say(
            StatusCode::FORBIDDEN,
            "The sign-in took too long",
            "Start again. If it happens at once, tell your administrator the code below: a clock may be wrong.",
        ),
        Rejection::AssertionNotYetValid { .. } => say(
            StatusCode::FORBIDDEN,
            "The sign-in is not valid yet",
            "A clock is wrong. Wait a moment and try again, or tell your administrator the code below.",
        ),
        Rejection::UniqueIdMissing { .. }
        | Rejection::UniqueIdInvalid { .. }
        | Rejection::EmailMissing { .. }
        | Rejection::EmailInvalid { .. }
        | Rejection::EmailNotOfThisIdp { .. }
        | Rejection::NameIdInvalid { .. }
        | Rejection::ClaimAmbiguous { .. }
        | Rejection::ClaimInvalid { .. } => say(
            StatusCode::FORBIDDEN,
            "Your account lacks something that is needed here",
            "Your identity provider sent it incomplete or unreadable. Your administrator can correct this with the code below.",
        ),
        Rejection::LogoutParametersInvalid { .. }
        | Rejection::LogoutMessageTooLarge { .. }
        | Rejection::LogoutDeflateInvalid
        | Rejection::LogoutNotSigned
        | Rejection::LogoutSignatureInvalid
        | Rejection::LogoutIssuerMismatch { .. }
        | Rejection::LogoutDestinationMismatch { .. }
        | Rejection::LogoutExpired { .. }
        | Rejection::LogoutNotYetValid { .. }
        | Rejection::LogoutNameIdEncrypted
        | Rejection::LogoutInResponseToMismatch => say(
            StatusCode::BAD_REQUEST,
            "The sign-out message was not accepted",
            "Sign out here from the sign-out page. If it keeps happening, tell your administrator the code below.",
        ),
        Rejection::ResponseTooLarge { .. }
        | Rejection::XmlNotUtf8 { .. }
        | Rejection::XmlCharacterForbidden { .. }
        | Rejection::XmlDeclarationInvalid
        | Rejection::XmlDoctypeForbidden
        | Rejection::XmlCommentForbidden
        | Rejection::XmlCdataForbidden
        | Rejection::XmlProcessingInstructionForbidden
        | Rejection::XmlMalformed { .. }
        | Rejection::XmlEntityForbidden { .. }
        | Rejection::XmlLimitExceeded { .. }
        | Rejection::XmlNamespaceForbidden { .. }
        | Rejection::XmlAttributeForbidden { .. }
        | Rejection::ShapeForbidden { .. }
        | Rejection::IdInvalid { .. }
        | Rejection::IdDuplicate
        | Rejection::EncryptionUnsupported
        | Rejection::EncryptionAlgorithmForbidden { .. }
        | Rejection::EncryptedResponseNotSigned
        | Rejection::DecryptionFailed { .. }
        | Rejection::InResponseToConflict
        | Rejection::InResponseToUnexpected
        | Rejection::ResponseNotSigned
        | Rejection::AssertionNotSigned
        | Rejection::NotSigned
        | Rejection::SignatureReferenceMismatch { .. }
        | Rejection::SignatureAlgorithmForbidden { .. }
        | Rejection::DigestAlgorithmForbidden { .. }
        | Rejection::CanonicalizationForbidden { .. }
        | Rejection::TransformForbidden { .. }
        | Rejection::SignatureValueInvalid { .. }
        | Rejection::SignedByUnknownKey { .. }
        | Rejection::SignatureInvalid { .. }
        | Rejection::DigestMismatch { .. }
        | Rejection::SignedInfoMismatch
        | Rejection::CanonicalFormUnstable { .. }
        | Rejection::IssuerMismatch { .. }
        | Rejection::IssuerMissing
        | Rejection::DestinationMismatch { .. }
        | Rejection::DestinationMissing { .. }
        | Rejection::AudienceMissing { .. }
        | Rejection::AudienceMismatch { .. }
        | Rejection::BearerMissing
        | Rejection::BearerIncomplete { .. }
        | Rejection::RecipientMismatch { .. }
        | Rejection::InResponseToMismatch { .. }
        | Rejection::InResponseToMissing
        | Rejection::TimeInvalid { .. } => say(
            StatusCode::FORBIDDEN,
            "The sign-in was not accepted",
            "What your identity provider sent does not fit what is set up here. You can try again; your administrator can correct the rest with the code below.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use crate::upstream::TlsFault;

    fn answer_to(refusal: &Refusal, reader: Reader) -> (Answer, String) {
        let settings = testing::settings();
        let (host, return_url) = (&settings.public_url, "/deep?a=\"b\"");
        let answer = refuse(&Site::new(&settings), refusal, &Asker { reader, request_id: "0123", host, return_url });
        let body = String::from_utf8(answer.body().to_vec()).unwrap();
        (answer, body)
    }

    fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
        answer.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    #[test]
    fn page_shows_code_and_request_and_nothing_for_the_administrator() {
        let refusal = Refusal::NotInAllowedGroup { needed: vec!["secret-group".to_owned()], arrived: Vec::new() };
        let (answer, body) = answer_to(&refusal, Reader::Page);
        assert_eq!(answer.status(), 403);
        assert!(body.contains("<dd>not_in_allowed_group</dd>") && body.contains("<dd>0123</dd>"));
        assert!(!body.contains("secret-group"));
        assert!(body.contains("href=\"/deep?a=&#34;b&#34;\""), "{body}");
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(header(&answer, "x-samlgate"), "1");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
    }

    #[test]
    fn json_says_where_to_sign_in_only_where_that_helps() {
        let (answer, body) = answer_to(&Refusal::LoginRequired, Reader::Json);
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(value["code"], "login_required");
        assert_eq!(value["request_id"], "0123");
        assert_eq!(value["login_url"], "https://app.example.com/saml/login?rd=%2Fdeep%3Fa%3D%22b%22");
        let (_, body) = answer_to(&Refusal::NotAllowed, Reader::Json);
        assert!(!body.contains("login_url"));
    }

    #[test]
    fn a_frame_gets_a_page_that_it_may_show_and_a_link_to_the_top() {
        let (answer, body) = answer_to(&Refusal::LoginRequiredInFrame, Reader::Frame);
        assert_eq!(answer.status(), 401);
        assert!(header(&answer, "content-security-policy").contains("frame-ancestors 'self'"));
        assert!(body.contains("target=\"_top\""));
    }

    #[test]
    fn each_refusal_has_its_status_and_what_belongs_to_it() {
        let upstream = |fault| Refusal::UpstreamUnavailable { fault, problem: String::new() };
        let store = Refusal::StoreUnavailable { problem: String::new() };
        for (refusal, status, name, value) in [
            (Refusal::UnknownHost { seen: String::new(), wanted: String::new() }, 421, "retry-after", ""),
            (Refusal::PathAmbiguous, 400, "retry-after", ""),
            (Refusal::NoRoute, 404, "retry-after", ""),
            (Refusal::BodyTooLarge { limit: 1 }, 413, "retry-after", ""),
            (Refusal::RouteFull { limit: 1 }, 503, "retry-after", "5"),
            (Refusal::EndpointMethod { wanted: "POST" }, 405, "allow", "POST"),
            (store, 503, "retry-after", "5"),
            (upstream(UpstreamFault::Broken), 502, "retry-after", "5"),
            (upstream(UpstreamFault::Tls(TlsFault::Expired)), 502, "retry-after", "5"),
            (upstream(UpstreamFault::NameUnknown), 503, "retry-after", "5"),
            (upstream(UpstreamFault::TimedOut), 504, "retry-after", "5"),
            (Rejection::SamlResponseMissing.into(), 400, "retry-after", ""),
            (Rejection::ResponseNotSigned.into(), 403, "retry-after", ""),
        ] {
            let (answer, _) = answer_to(&refusal, Reader::Page);
            assert_eq!((answer.status().as_u16(), header(&answer, name)), (status, value), "{refusal:?}");
        }
    }
}
