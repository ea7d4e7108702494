//! Every reason for which a person or a request is turned away: with [`Rejection`], the one list of codes.
//!
//! The text is for the administrator; `respond` gives the browser a plainer one. No NameID, e-mail
//! address or unique id stands in it.

use saml_core::{Fingerprint, Rejection, Timestamp};

use crate::loop_cause::LoopCause;
use crate::upstream::TlsFault;

/// How an upstream failed, which decides the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamFault {
    /// Nobody listens there, the connection broke, or the answer is not HTTP.
    Broken,
    /// The name has no address.
    NameUnknown,
    TimedOut,
    /// What it says is not trusted, or it does not trust us.
    Tls(TlsFault),
}

/// What a stranger wrote, cut to a length that a log line bears.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

macro_rules! refusals {
    ($( $variant:ident $({ $($field:ident : $type:ty),* $(,)? })? = $code:literal, $text:literal, $cure:literal; )*) => {
        /// A decision against a request, each with a stable code.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Refusal {
            /// The response is not a login.
            #[error(transparent)]
            Saml(#[from] Rejection),
            $( #[error($text)] $variant $({ $($field: $type),* })?, )*
        }

        impl Refusal {
            /// The stable name: in logs, metrics, on the page and in `docs/refusals.md`.
            pub fn code(&self) -> &'static str {
                match self {
                    Self::Saml(rejection) => rejection.code(),
                    $( Self::$variant { .. } => $code, )*
                }
            }

            /// What the administrator can do about it.
            pub fn cure(&self) -> &'static str {
                match self {
                    Self::Saml(rejection) => rejection.cure(),
                    Self::UpstreamUnavailable { fault: UpstreamFault::Tls(fault), .. } => fault.cure(),
                    $( Self::$variant { .. } => $cure, )*
                }
            }

            /// What most likely lies behind it, where that is another matter than the code.
            pub fn likely_cause(&self) -> Option<LoopCause> {
                match self {
                    Self::LoginLoop { cause, .. } => Some(*cause),
                    Self::Saml(Rejection::AssertionExpired { .. } | Rejection::AssertionNotYetValid { .. }) => {
                        Some(LoopCause::Clock)
                    }
                    _ => None,
                }
            }

            /// Each code of the gateway itself with its cure; those of SAML are in [`Rejection::catalogue`].
            pub fn catalogue() -> &'static [(&'static str, &'static str)] {
                &[$(($code, $cure)),*]
            }
        }
    };
}

refusals! {
    // ---- The request road
    UnknownHost { seen: String, wanted: String } = "unknown_host",
        "the request names the host {seen:?}, wanted {wanted:?}",
        "open the address of `public_url` or one of `hosts`; if a proxy in front rewrites Host, let it keep the client's";
    PathAmbiguous = "path_ambiguous",
        "the path can be read in more than one way, and the readings do not pick the same route",
        "write the path plainly, without `..`, `;`, `//`, `\\` and escaped separators";
    NoRoute = "no_route",
        "no route matches the request",
        "add a route; a last one `{ path_prefix: /, access: signed_in, upstream: ... }` matches everything";
    NoUpstream = "no_upstream",
        "the route leads to no upstream: other proxies ask about it",
        "open the address of the proxy in front; or give the route an `upstream`";
    UntrustedProxy { seen: String } = "untrusted_proxy",
        "{seen} asked about a request, and is none of `trusted_proxies`",
        "if it is a proxy of yours, add its address to `trusted_proxies`";
    AskedUnclear { problem: &'static str } = "asked_unclear",
        "a proxy asked about a request, and it is not clear which, or what will arrive: {problem}",
        "see docs/behind-proxies.md: the proxy sets X-Forwarded-Method, X-Forwarded-Host and X-Forwarded-Uri itself, and drops headers with an underscore in their names";
    AskedOfOwn = "asked_of_own",
        "a proxy asked about an address of samlgate's own",
        "have the proxy send everything under the prefix to samlgate, without asking";
    MethodForbidden { seen: String } = "method_forbidden",
        "the method {seen:?} is not passed on",
        "use a method in capitals; TRACE and CONNECT have no place behind a gateway";
    RequestMalformed { problem: &'static str } = "request_malformed",
        "the request is malformed: {problem}",
        "correct the client";
    HeadTooLarge { bytes: usize, limit: usize } = "head_too_large",
        "the request line and headers take {bytes} bytes, at most {limit} are read",
        "clear the cookies of this site in the browser; if an application sets many, have it set fewer";
    BodyTooLarge { limit: u64 } = "body_too_large",
        "the body of the request is larger than {limit} bytes",
        "send less; or raise `limits.max_body_bytes` of the route";
    RouteFull { limit: usize } = "route_full",
        "{limit} requests are under way on the route",
        "wait a moment; or raise `limits.max_in_flight` of the route";
    TooManyLogins { whose: &'static str, limit: u32 } = "too_many_logins",
        "more than {limit} logins in a minute from {whose}",
        "wait a moment; if a proxy in front is that one address, add it to `trusted_proxies`; or raise `limits`";
    TokenUnknown = "token_unknown",
        "the token in Authorization is none of those that the route takes, or comes with another Authorization",
        "send one token that stands in the `tokens_file` of this route; `samlgate tokens add` makes one";
    TokenExpired { name: String, at: String } = "token_expired",
        "the token of the machine {name:?} ended at {at}",
        "make a new one with `samlgate tokens add`, and give it to the machine";
    LoginRequired = "login_required",
        "there is no session, and the request is not one that may be sent to sign in",
        "sign in at `login_url`, then repeat the request";
    LoginRequiredInFrame = "login_required_in_frame",
        "there is no session, and a sign-in page may not be shown in a frame",
        "open the application at the top of the window";
    NotInAllowedGroup { needed: Vec<String>, arrived: Vec<String> } = "not_in_allowed_group",
        "the route admits the groups {needed:?}, the user's groups are {arrived:?}",
        "JumpCloud: add the user to one of the groups and bind it to the application; when no group arrives at all, SSO tab: tick \"include group attribute\" and enter `memberOf`";
    NotAllowed = "not_allowed",
        "the route admits certain e-mail addresses or domains, and the user's is none of them",
        "add the address or its domain to the route's `access`";
    NotOfAllowedIdp { wanted: Vec<String>, seen: String } = "not_of_allowed_idp",
        "the route takes the word of the identity providers {wanted:?}, and the user signed in with {seen:?}",
        "sign in with one of them; or add the identity provider to `idps` of the route's `access`, if its groups and addresses are to count";
    GroupsTooLarge { bytes: usize, limit: usize } = "groups_too_large",
        "the user's groups make a header of {bytes} bytes, at most {limit} are sent",
        "name the groups that the application needs under `identity_headers.groups_filter`";
    UpgradeOriginForbidden { seen: String } = "upgrade_origin_forbidden",
        "a WebSocket was asked for by a page of the origin {seen:?}",
        "open it from a page of the application itself";
    SessionTooLarge { bytes: usize, limit: usize } = "session_too_large",
        "the session takes {bytes} bytes of cookies, at most {limit} are set",
        "name fewer groups in rules and `groups_filter`, and fewer attributes in `identity_headers.set`; or keep sessions in Redis: `session.store: redis`";
    StoreUnavailable { problem: String } = "store_unavailable",
        "the session store does not answer: {problem}",
        "see that the store runs and is reachable";
    UpstreamUnavailable { fault: UpstreamFault, problem: String } = "upstream_unavailable",
        "the application does not answer ({fault:?}): {problem}",
        "see that the upstream runs at the address in the settings; where TLS fails, the log says what to change";

    FormExpired = "form_expired",
        "the kept form is not there any more: it was sent already, is older than 15 minutes, or made room for others",
        "fill in the form once more; if that happens to many, `samlgate_forms_total` says how many forms are kept and lost";
    FormOfOtherBrowser = "form_of_other_browser",
        "this browser has no cookie of the kept form: it was filled in elsewhere, or was sent from here already",
        "fill in the form once more; cookies must be allowed for this site";
    FormMisdirected = "form_misdirected",
        "a kept form was to be sent to an address that is not its own",
        "send it from the page that shows after the sign-in";

    // ---- The login road
    LoginUnknown = "login_unknown",
        "the response answers a login that was never started here, or was forgotten",
        "start again; for a portal tile, set the Login URL in JumpCloud to this gateway's /saml/login";
    LoginExpired = "login_expired",
        "the response answers a login that was started more than 15 minutes ago",
        "start again";
    LoginOfOtherBrowser = "login_of_other_browser",
        "the response answers a login that another browser started, or this browser lost its login cookie",
        "start again; cookies must be allowed for this site";
    AssertionReplayed = "assertion_replayed",
        "the response was used before",
        "start again";
    SessionCookieMissing = "session_cookie_missing",
        "the login succeeded, and the browser came back without a session",
        "it is tried again by itself; as the last reason of a login loop, see its cause";
    LoginLoop { last: &'static str, cause: LoopCause } = "login_loop",
        "three rounds of sign-in in two minutes led to no session; the last reason was {last}, the likely cause is {cause}",
        "see the cause: allow cookies for this site, open it at the address of `public_url`, and see that the clocks agree";
    IdpUnavailable { idp: String } = "idp_unavailable",
        "the metadata of the identity provider {idp:?} has not been fetched yet",
        "the log says why fetching failed: see that `metadata_url` answers from here, and that `trusted_keys` names a key of the IdP; it is tried again by itself";
    CertificateExpired { fingerprint: Fingerprint, ended: Timestamp } = "certificate_expired",
        "the response is signed with the key of the certificate {fingerprint}, which ended at {ended}, and `expired_certificates` is refuse",
        "JumpCloud: SSO tab, IDP Certificate Valid, Regenerate certificate, Download Certificate; pin it here. Or write `expired_certificates: accept`";
    LogoutReplayed = "logout_replayed",
        "the LogoutRequest was used before",
        "sign out at the identity provider once more: it makes a new request each time";
    LogoutByPost = "logout_by_post",
        "a LogoutRequest came by HTTP-POST, which brings no session cookie, and the store `sealed` finds no session without",
        "at the identity provider, set the binding of single logout to HTTP-Redirect; or write `session.store: redis`";
    UnknownIdentityProvider { seen: String } = "unknown_identity_provider",
        "there is no identity provider {seen:?}",
        "start at the login page";
    EndpointUnknown = "endpoint_unknown",
        "nothing lies at this address under the gateway's prefix",
        "see docs/endpoints.md";
    EndpointMethod { wanted: &'static str } = "endpoint_method",
        "this address takes {wanted}",
        "use that method";
    CrossSiteRequest = "cross_site_request",
        "the request was made by a page of another site",
        "sign out from the sign-out page";
    SecondOpinionDiffers { problem: String } = "second_opinion_differs",
        "our verifier accepts the login and the second one does not agree: {problem}",
        "one of the two is wrong about this response: treat it as an attack until you know why, and report the response's structure";
    Internal { problem: String } = "internal_error",
        "samlgate failed: {problem}",
        "look for the request id in the log and report it";
}
