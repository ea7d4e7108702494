//! The IdP's endpoints.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use time::OffsetDateTime;

use super::authn_request::{AuthnRequest, Binding};
use super::settings::{IdpSettings, Misbehaviour, Unbound, User};
use super::single_logout::{self, LogoutMessage};
use super::{IdpOptions, lock, metadata, pages, respond};
use crate::issuer::{SigningKey, random_hex, test_keys};

const SESSION: &str = "pretend-jumpcloud";

pub(super) struct Shared {
    pub(super) origin: String,
    pub(super) settings: Mutex<IdpSettings>,
    pub(super) key: Arc<SigningKey>,
    /// What responses are signed with; `key` to begin with.
    pub(super) signs_with: Mutex<Arc<SigningKey>>,
    pub(super) publication: Mutex<Publication>,
    pub(super) metadata_answers: Mutex<Vec<u16>>,
    pub(super) requests: Mutex<Vec<AuthnRequest>>,
    application: String,
    users: Vec<User>,
    /// Session cookie to user name.
    pub(super) sessions: Mutex<HashMap<String, String>>,
    /// User name and SessionIndex of each response.
    pub(super) session_indexes: Mutex<Vec<(String, String)>>,
    pub(super) logout_messages: Mutex<Vec<LogoutMessage>>,
    /// What the login form in some browser is for, by the form's handle.
    waiting: Mutex<HashMap<String, Waiting>>,
}

/// What `/metadata.xml` answers.
#[derive(Debug, Clone)]
pub enum Publication {
    Keys(Vec<Arc<SigningKey>>),
    /// 302 to this address.
    RedirectTo(String),
    /// 200 with this body, whatever it is.
    Body(Vec<u8>),
    Status(u16),
}

#[derive(Clone)]
enum Waiting {
    Portal,
    /// The application's tile: an unsolicited response.
    Tile,
    Request(AuthnRequest),
}

pub(super) type Idp = State<Arc<Shared>>;
pub(super) type Form = Vec<(String, String)>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(portal))
        .route("/saml2/{application}", get(sso_by_redirect).post(sso_by_post))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/slo", get(single_logout::by_redirect).post(single_logout::by_post))
        .route("/slo/begin", get(single_logout::begin))
        .route("/metadata.xml", get(serve_metadata))
        .route("/moved.xml", get(serve_moved_metadata))
        .route("/certificate.pem", get(serve_certificate))
        .route("/admin", get(admin_page).post(save_admin_page))
        .route("/admin/settings", get(read_settings).patch(patch_settings))
        .with_state(shared)
}

impl Shared {
    pub(super) fn new(origin: String, options: IdpOptions) -> Self {
        Self {
            origin,
            settings: Mutex::new(options.settings),
            signs_with: Mutex::new(options.key.clone()),
            publication: Mutex::new(Publication::Keys(vec![options.key.clone()])),
            metadata_answers: Mutex::default(),
            key: options.key,
            requests: Mutex::default(),
            application: options.application,
            users: options.users,
            sessions: Mutex::default(),
            session_indexes: Mutex::default(),
            logout_messages: Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> IdpSettings {
        lock(&self.settings).clone()
    }

    pub(super) fn sso_url(&self) -> String {
        format!("{}/saml2/{}", self.origin, self.application)
    }

    pub(super) fn slo_url(&self) -> String {
        format!("{}/slo", self.origin)
    }

    pub(super) fn metadata(&self) -> String {
        self.metadata_with(std::slice::from_ref(&self.key))
    }

    pub(super) fn metadata_with(&self, keys: &[Arc<SigningKey>]) -> String {
        let settings = self.settings();
        let slo_url = settings.single_logout.declared.then(|| self.slo_url());
        let redirect = settings.declare_redirect_endpoint;
        metadata::metadata(&settings.idp_entity_id, &self.sso_url(), keys, redirect, slo_url.as_deref())
    }

    fn publish(&self, headers: &HeaderMap) -> Response {
        let keys = match lock(&self.publication).clone() {
            Publication::Keys(keys) => keys,
            Publication::RedirectTo(address) => return Redirect::temporary(&address).into_response(),
            Publication::Body(body) => return body.into_response(),
            Publication::Status(status) => {
                return StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
            }
        };
        let xml = self.metadata_with(&keys);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, xml.as_bytes());
        let etag = format!("{digest:?}").replace('"', "");
        let etag = format!("\"{}\"", etag.rsplit(':').next().unwrap_or_default());
        if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        ([(header::CONTENT_TYPE, "application/samlmetadata+xml".to_owned()), (header::ETAG, etag)], xml).into_response()
    }

    pub(super) fn user_named(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.username == name || user.email == name)
    }

    pub(super) fn signed_in(&self, headers: &HeaderMap) -> Option<&User> {
        let sessions = lock(&self.sessions);
        self.user_named(sessions.get(&session_cookie(headers)?)?)
    }

    fn login_form(&self, waiting: Waiting, problem: Option<&str>) -> Response {
        let handle = random_hex(16);
        let page = pages::login(&handle, problem);
        lock(&self.waiting).insert(handle, waiting);
        page
    }

    fn serve_waiting(&self, waiting: &Waiting, user: &User) -> Response {
        match waiting {
            Waiting::Portal => Redirect::to("/").into_response(),
            Waiting::Tile => self.answer(user, None),
            Waiting::Request(request) => self.answer(user, Some(request)),
        }
    }

    /// The page that posts the response, or JumpCloud's own for a user who may not use the application.
    fn answer(&self, user: &User, request: Option<&AuthnRequest>) -> Response {
        let settings = self.settings();
        let request_id = request.map(|request| request.id.as_str());
        let is_bound = !settings.bound_groups_of(user).is_empty();
        let now = OffsetDateTime::now_utc();
        let spec = match (is_bound, settings.unbound) {
            (true, _) => respond::response_for(&settings, user, request_id, now),
            (false, Unbound::DeniedResponse) => respond::denial_for(&settings, user, request_id, now),
            (false, Unbound::Page) => return pages::not_authorized(&user.email, &self.application),
        };
        let index = spec.session_index.iter().map(|index| (user.username.clone(), index.clone()));
        lock(&self.session_indexes).extend(index);
        let issued = match settings.misbehaves(Misbehaviour::SignByStranger) {
            true => spec.issue(test_keys::stranger()),
            false => spec.issue(&lock(&self.signs_with)),
        };
        let relay_state = match request {
            Some(request) => request.relay_state.clone(),
            None => settings.default_relay_state.clone(),
        };
        pages::post_message(&settings.acs_url, "SAMLResponse", &issued.base64(), relay_state.as_deref())
    }
}

async fn sso_by_redirect(idp: Idp, path: Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    sso(&idp, &path, Binding::Redirect, &form(query.as_bytes()), Some(query), &headers)
}

async fn sso_by_post(idp: Idp, path: Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    sso(&idp, &path, Binding::Post, &form(&body), None, &headers)
}

fn sso(
    idp: &Shared,
    application: &str,
    binding: Binding,
    parameters: &Form,
    query: Option<String>,
    headers: &HeaderMap,
) -> Response {
    if application != idp.application {
        return pages::problem(StatusCode::NOT_FOUND, "There is no such application", application);
    }
    let user = idp.signed_in(headers);
    let (waiting, wants_password) = match value(parameters, "SAMLRequest") {
        None => (Waiting::Tile, false),
        Some(message) => match AuthnRequest::read(binding, message, value(parameters, "RelayState").map(str::to_owned))
        {
            Err(reason) => {
                return pages::problem(StatusCode::BAD_REQUEST, "The sign-in request cannot be read", &reason);
            }
            Ok(request) => {
                let request = AuthnRequest { query, ..request };
                lock(&idp.requests).push(request.clone());
                let force_authn = request.force_authn;
                (Waiting::Request(request), force_authn)
            }
        },
    };
    match user {
        Some(user) if !wants_password => idp.serve_waiting(&waiting, user),
        _ => idp.login_form(waiting, None),
    }
}

async fn login(idp: Idp, body: Bytes) -> Response {
    let form = form(&body);
    let waiting = value(&form, "handle").and_then(|handle| lock(&idp.waiting).remove(handle));
    let Some(waiting) = waiting else {
        return pages::problem(
            StatusCode::BAD_REQUEST,
            "This sign-in form is no longer good",
            "Start again at the application.",
        );
    };
    let (name, password) = (value(&form, "username").unwrap_or_default(), value(&form, "password").unwrap_or_default());
    let Some(user) = idp.user_named(name).filter(|user| user.password == password) else {
        let page = idp.login_form(waiting, Some("Incorrect email or password."));
        return (StatusCode::UNAUTHORIZED, page).into_response();
    };
    let session = random_hex(16);
    lock(&idp.sessions).insert(session.clone(), user.username.clone());
    // As JumpCloud's: a service provider may send its request by a cross-site POST.
    let cookie = format!("{SESSION}={session}; Path=/; HttpOnly; Secure; SameSite=None");
    (AppendHeaders([(header::SET_COOKIE, cookie)]), idp.serve_waiting(&waiting, user)).into_response()
}

async fn logout(idp: Idp, headers: HeaderMap) -> Response {
    if let Some(session) = session_cookie(&headers) {
        lock(&idp.sessions).remove(&session);
    }
    let cookie = format!("{SESSION}=; Path=/; HttpOnly; Secure; SameSite=None; Max-Age=0");
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/")).into_response()
}

async fn portal(idp: Idp, headers: HeaderMap) -> Response {
    match idp.signed_in(&headers) {
        Some(user) => pages::portal(&user.email, &idp.application, &idp.sso_url()),
        None => idp.login_form(Waiting::Portal, None),
    }
}

async fn serve_metadata(idp: Idp, headers: HeaderMap) -> Response {
    let answer = idp.publish(&headers);
    lock(&idp.metadata_answers).push(answer.status().as_u16());
    answer
}

/// An address that leads to the metadata on the same host.
async fn serve_moved_metadata() -> Redirect {
    Redirect::permanent("/metadata.xml")
}

async fn serve_certificate(idp: Idp) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], idp.key.certificate_pem().to_owned()).into_response()
}

async fn admin_page(idp: Idp, RawQuery(query): RawQuery) -> Html<String> {
    let saved = query.is_some_and(|query| query == "saved");
    pages::admin(&idp.settings(), saved)
}

async fn save_admin_page(idp: Idp, body: Bytes) -> Redirect {
    pages::apply_admin_form(&form(&body), &mut lock(&idp.settings));
    Redirect::to("/admin?saved")
}

async fn read_settings(idp: Idp) -> Response {
    axum::Json(idp.settings()).into_response()
}

/// Replaces the members that the body names; one that does not exist is a mistake.
async fn patch_settings(
    idp: Idp,
    axum::Json(patch): axum::Json<serde_json::Map<String, serde_json::Value>>,
) -> Response {
    let mut settings = lock(&idp.settings);
    let changed = serde_json::to_value(&*settings).and_then(|mut whole| {
        for (name, value) in patch {
            whole[name] = value;
        }
        serde_json::from_value::<IdpSettings>(whole)
    });
    match changed {
        Ok(changed) => {
            *settings = changed;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

pub(super) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(cookie::Cookie::split_parse).flatten();
    cookies.find(|cookie| cookie.name() == SESSION).map(|cookie| cookie.value().to_owned())
}

pub(super) fn form(body: &[u8]) -> Form {
    form_urlencoded::parse(body).into_owned().collect()
}

pub(super) fn value<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
}
