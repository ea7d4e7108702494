//! Requests that another proxy asks about before it passes them on itself: nginx `auth_request`, Traefik ForwardAuth,
//! Caddy `forward_auth`, Envoy ext_authz over HTTP.
//!
//! They are judged by the same [`decide`] as our own. The answer is an empty 200 with every identity header that we could
//! set, the ones without a value empty: the proxy copies them over what the client sent under those names.

use config::Origin;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora::proxy::Session as Exchange;

use super::journey::{self, Journey, Outcome};
use super::{reader_of, record, reply, session_of, upgrade_origin};
use crate::decide::{
    AskingProxy, ClientKind, Decision, OfferedToken, Permit, RequestFacts, decide, form_type, is_preflight,
};
use crate::exchange::Afterwards;
use crate::forms::Lost;
use crate::ingress::{self, MAX_TARGET_BYTES};
use crate::pages::{Answer, ours, redirect};
use crate::proxy::Handled;
use crate::refusal::Refusal;
use crate::respond::{self, Asker};
use crate::same_origin::is_same_origin;
use crate::shared::Gateway;

/// Where nginx, which passes on nothing but the status and headers, finds the address of the login.
const LOGIN_HEADER: &str = "x-samlgate-login";

const METHOD: &str = "X-Forwarded-Method";
const HOST: &str = "X-Forwarded-Host";
const URI: &str = "X-Forwarded-Uri";

/// The request that is asked about.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    method: String,
    authority: String,
    /// Path and query.
    target: String,
}

impl Asked {
    /// # Errors
    /// What the proxy says of the request is not complete, or says two things.
    fn of(request: &RequestHeader, proxy: AskingProxy, below: &str) -> Result<Self, Refusal> {
        let asked = match proxy {
            AskingProxy::Nginx | AskingProxy::Traefik => Self {
                method: only(&request.headers, METHOD)?,
                authority: only(&request.headers, HOST)?,
                target: only(&request.headers, URI)?,
            },
            // It asks with the very method, host and path.
            AskingProxy::Envoy => Self {
                method: request.method.as_str().to_owned(),
                authority: ingress::authority(request).to_owned(),
                target: match request.uri.query() {
                    Some(query) => format!("{below}?{query}"),
                    None => below.to_owned(),
                },
            },
        };
        if !asked.target.starts_with('/') {
            return Err(Refusal::AskedUnclear { problem: "X-Forwarded-Uri is not a path" });
        }
        if asked.target.len() > MAX_TARGET_BYTES {
            return Err(Refusal::AskedUnclear { problem: "X-Forwarded-Uri is longer than 16 kB" });
        }
        // No client sends a fragment (RFC 9112 §3.2); whoever reads on behind it reads another path than who does not.
        if asked.target.contains('#') {
            return Err(Refusal::PathAmbiguous);
        }
        // It comes with `Upgrade: h2c`, which proxies keep to themselves when they ask and may pass on: what follows nobody
        // would judge.
        if request.headers.contains_key("http2-settings") {
            return Err(Refusal::AskedUnclear { problem: "it asks for an upgrade other than to WebSocket" });
        }
        Ok(asked)
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// A header that the proxy sets. Where it comes twice, one of the two is the client's.
fn only(headers: &HeaderMap, name: &'static str) -> Result<String, Refusal> {
    let unclear = |problem| Refusal::AskedUnclear { problem };
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (Some(Ok(value)), None) if !value.is_empty() => Ok(value.to_owned()),
        (Some(Err(_)), None) => Err(Refusal::PathAmbiguous),
        (_, Some(_)) => Err(unclear("X-Forwarded-Method, X-Forwarded-Host or X-Forwarded-Uri comes twice")),
        (None | Some(_), None) => Err(unclear("X-Forwarded-Method, X-Forwarded-Host or X-Forwarded-Uri is missing")),
    }
}

/// Says whether the request may go on.
///
/// # Errors
/// The proxy went away.
pub(super) async fn answer(
    gateway: &Gateway,
    exchange: &mut Exchange,
    journey: &mut Journey,
    proxy: AskingProxy,
    below: &str,
) -> Result<Handled> {
    let answer = match judge(gateway, exchange, journey, proxy, below).await {
        Ok(answer) => answer,
        Err(TurnedAway { refusal, asker }) => turn_away(gateway, exchange, journey, proxy, &refusal, asker),
    };
    reply(exchange, answer, journey, Afterwards::KeepOpen).await
}

/// A refusal, and of what request, where that is known.
struct TurnedAway {
    refusal: Refusal,
    asker: Option<Asked>,
}

async fn judge(
    gateway: &Gateway,
    exchange: &Exchange,
    journey: &mut Journey,
    proxy: AskingProxy,
    below: &str,
) -> Result<Answer, TurnedAway> {
    let nobody = |refusal| TurnedAway { refusal, asker: None };
    if !gateway.proxies.trust(journey::peer_address(exchange)) {
        return Err(nobody(Refusal::UntrustedProxy { seen: journey::peer_address(exchange).to_string() }));
    }
    let request = exchange.req_header();
    let asked = Asked::of(request, proxy, below).map_err(nobody)?;
    let is_of_other_host = gateway.hosts().named(ingress::authority(request)).is_some_and(|host| {
        // A page of that host may have asked, by way of a proxy in front that passes everything on.
        gateway.hosts().named(&asked.authority) != Some(host)
    });
    if is_of_other_host {
        return Err(nobody(Refusal::AskedUnclear { problem: "Host and X-Forwarded-Host are two hosts of ours" }));
    }
    if request.headers.keys().any(|name| gateway.identity_headers.may_mislead(name.as_str())) {
        let problem = "a header has a name that an application could take for one of ours, or for another request";
        return Err(nobody(Refusal::AskedUnclear { problem }));
    }
    let outcome = match session_of(gateway, request, journey).await {
        Ok(session) => {
            journey.session = session;
            decide_on(gateway, request, journey, proxy, &asked)
        }
        Err(refusal) => Err(refusal),
    };
    outcome.map_err(|refusal| TurnedAway { refusal, asker: Some(asked) })
}

fn decide_on(
    gateway: &Gateway,
    request: &RequestHeader,
    journey: &mut Journey,
    proxy: AskingProxy,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let facts = RequestFacts {
        method: &asked.method,
        authority: &asked.authority,
        path: asked.path(),
        client: ClientKind::of(&asked.method, &request.headers),
        upgrade_origin: upgrade_origin(&request.headers, is_websocket(request)),
        is_preflight: is_preflight(&asked.method, &request.headers),
        token: OfferedToken::of(&request.headers),
    };
    let host = host_of(gateway, asked);
    match decide(&gateway.policy, &facts, journey.session.as_ref(), journey.now) {
        Decision::Forward(permit) => {
            gateway.metrics.forwarded(permit.identity());
            journey.outcome = Outcome::Forward;
            admit(gateway, request, journey, host, &permit)
        }
        Decision::StartLogin { client } => {
            gateway.metrics.login_wanted();
            journey.outcome = Outcome::StartLogin;
            Ok(lead_to_login(gateway, request, proxy, asked, client))
        }
        Decision::Serve(_) => Err(Refusal::AskedOfOwn),
        Decision::Refuse(refusal) => Err(refusal),
    }
}

/// Some proxies keep Upgrade to themselves when they ask, and pass on what browsers send beside it (RFC 6455 §4.1).
fn is_websocket(request: &RequestHeader) -> bool {
    ingress::is_websocket(request) || request.headers.contains_key("sec-websocket-version")
}

/// An empty 200, with who it is.
fn admit(
    gateway: &Gateway,
    request: &RequestHeader,
    journey: &Journey,
    host: &Origin,
    permit: &Permit,
) -> Result<Answer, Refusal> {
    let route = gateway.settings.routes.get(permit.route()).ok_or(Refusal::NoRoute)?;
    let identity = permit.identity();
    let jwt = journey::jwt(gateway, route, host, identity, journey.now)?;
    let mut answer = ours(StatusCode::OK, "text/plain; charset=utf-8", "");
    gateway.identity_headers.fill(answer.headers_mut(), &request.headers, identity, jwt.as_deref())?;
    Ok(answer)
}

fn lead_to_login(
    gateway: &Gateway,
    request: &RequestHeader,
    proxy: AskingProxy,
    asked: &Asked,
    client: ClientKind,
) -> Answer {
    let host = host_of(gateway, asked);
    let return_url = gateway.return_url(Some(&asked.target), host);
    // The body stays with the proxy, so that nothing can be kept of a form.
    let loses_form = client == ClientKind::FormPost
        && form_type(&request.headers).is_some()
        && is_same_origin(&request.headers, host);
    let login = if loses_form {
        let page = gateway.on_public_url(gateway.site.with_return("login", &return_url));
        format!("{page}&lost={}", Lost::NotKeptHere.code())
    } else {
        gateway.login_url(&return_url)
    };
    // Whole: proxies read a path as one of the server that they asked.
    let login = if login.starts_with('/') { format!("{host}{login}") } else { login };
    match proxy {
        AskingProxy::Nginx => {
            let mut answer = ours(StatusCode::UNAUTHORIZED, "text/plain; charset=utf-8", "");
            if let Ok(login) = HeaderValue::from_str(&login) {
                answer.headers_mut().insert(LOGIN_HEADER, login);
            }
            answer
        }
        AskingProxy::Traefik | AskingProxy::Envoy => {
            // The browser must come back with GET, whatever it asked with.
            let is_post = asked.method == Method::POST.as_str();
            redirect(if is_post { StatusCode::SEE_OTHER } else { StatusCode::FOUND }, &login)
        }
    }
}

fn turn_away(
    gateway: &Gateway,
    exchange: &Exchange,
    journey: &mut Journey,
    proxy: AskingProxy,
    refusal: &Refusal,
    asked: Option<Asked>,
) -> Answer {
    journey.outcome = Outcome::Refuse;
    record::note_refusal(gateway, journey, refusal);
    let headers = &exchange.req_header().headers;
    let (host, return_url, client) = match &asked {
        Some(asked) => {
            let host = host_of(gateway, asked);
            (host, gateway.return_url(Some(&asked.target), host), ClientKind::of(&asked.method, headers))
        }
        None => {
            let host = gateway.hosts().public();
            (host, gateway.return_url(None, host), ClientKind::Background)
        }
    };
    let asker = Asker {
        reader: reader_of(client, refusal),
        request_id: journey.request_id.as_str(),
        host,
        return_url: &return_url,
    };
    let mut answer = respond::refuse(&gateway.site, refusal, &asker);
    // Of a refusal nginx knows 401 and 403; it takes anything else for a failure of ours.
    if proxy == AskingProxy::Nginx && answer.status().is_client_error() && answer.status() != StatusCode::UNAUTHORIZED {
        *answer.status_mut() = StatusCode::FORBIDDEN;
    }
    answer
}

/// The accepted host that is asked about; that of `public_url` where it is none, which is refused.
fn host_of<'g>(gateway: &'g Gateway, asked: &Asked) -> &'g Origin {
    gateway.hosts().named(&asked.authority).unwrap_or(gateway.hosts().public())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    const GOOD: [(&str, &str); 3] = [(METHOD, "POST"), (HOST, "app.example.com"), (URI, "/a%2f?b=/c")];

    fn by_headers(more: &[(&'static str, &str)], without: &str) -> Result<Asked, String> {
        let headers: Vec<_> = GOOD.iter().filter(|(name, _)| *name != without).chain(more).copied().collect();
        let asked = Asked::of(&request("/saml/auth/nginx", &headers), AskingProxy::Nginx, "");
        asked.map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn the_proxy_says_what_was_asked_for() {
        let asked = by_headers(&[], "").unwrap();
        assert_eq!((&*asked.method, &*asked.authority, asked.path()), ("POST", "app.example.com", "/a%2f"));
        let envoy = request("/saml/auth/envoy/a%2f?b=/c", &[("host", "app.example.com"), (URI, "/other")]);
        let envoy = Asked::of(&envoy, AskingProxy::Envoy, "/a%2f").unwrap();
        assert_eq!(envoy, Asked { method: "GET".to_owned(), ..asked });
    }

    #[test]
    fn what_is_missing_or_said_twice_is_not_guessed() {
        for name in [METHOD, HOST, URI] {
            assert!(by_headers(&[], name).unwrap_err().contains("is missing"), "{name}");
            assert!(by_headers(&[(name, "/")], "").unwrap_err().contains("comes twice"), "{name}");
            assert!(by_headers(&[(name, "")], name).unwrap_err().contains("is missing"), "{name}");
        }
        assert!(by_headers(&[(URI, "https://app.example.com/")], URI).unwrap_err().contains("not a path"));
        assert!(by_headers(&[(URI, "/a#/b")], URI).is_err());
        let long = format!("/{}", "a".repeat(MAX_TARGET_BYTES));
        assert!(by_headers(&[(URI, &long)], URI).unwrap_err().contains("longer"));
    }
}
