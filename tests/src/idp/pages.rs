//! The IdP's pages.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::settings::{IdpSettings, Misbehaviour, Unbound};
use crate::issuer::Sign;

#[derive(Template)]
#[template(path = "idp/login.html")]
struct Login<'a> {
    handle: &'a str,
    problem: Option<&'a str>,
}

pub(super) fn login(handle: &str, problem: Option<&str>) -> Response {
    html(&Login { handle, problem }).into_response()
}

#[derive(Template)]
#[template(path = "idp/not_authorized.html")]
struct NotAuthorized<'a> {
    email: &'a str,
    application: &'a str,
}

pub(super) fn not_authorized(email: &str, application: &str) -> Response {
    (StatusCode::FORBIDDEN, html(&NotAuthorized { email, application })).into_response()
}

#[derive(Template)]
#[template(path = "idp/post.html")]
struct PostMessage<'a> {
    action: &'a str,
    field: &'a str,
    message: &'a str,
    relay_state: Option<&'a str>,
}

/// `field` is `SAMLRequest` or `SAMLResponse`.
pub(super) fn post_message(action: &str, field: &str, message: &str, relay_state: Option<&str>) -> Response {
    html(&PostMessage { action, field, message, relay_state }).into_response()
}

pub(super) fn signed_out() -> Response {
    Html("<!doctype html><title>Signed out</title><h1>You are signed out</h1>").into_response()
}

#[derive(Template)]
#[template(path = "idp/portal.html")]
struct Portal<'a> {
    email: &'a str,
    application: &'a str,
    sso_url: &'a str,
}

pub(super) fn portal(email: &str, application: &str, sso_url: &str) -> Response {
    html(&Portal { email, application, sso_url }).into_response()
}

#[derive(Template)]
#[template(path = "idp/problem.html")]
struct Problem<'a> {
    title: &'a str,
    detail: &'a str,
}

pub(super) fn problem(status: StatusCode, title: &str, detail: &str) -> Response {
    (status, html(&Problem { title, detail })).into_response()
}

#[derive(Template)]
#[template(path = "idp/admin.html")]
struct Admin<'a> {
    settings: &'a IdpSettings,
    saved: bool,
}

impl Admin<'_> {
    fn dropped(&self) -> String {
        let dropped: Vec<_> = self.settings.dropped_attributes.iter().map(String::as_str).collect();
        dropped.join(", ")
    }
}

const SIGN_OPTIONS: [(&str, &str, Sign); 4] = [
    ("assertion", "Assertion", Sign::Assertion),
    ("both", "Assertion and Response", Sign::Both),
    ("response", "Response", Sign::Response),
    ("neither", "Nothing", Sign::Neither),
];

pub(super) fn admin(settings: &IdpSettings, saved: bool) -> Html<String> {
    html(&Admin { settings, saved })
}

/// Applies the form of the settings page; a check box that is missing is off.
pub(super) fn apply_admin_form(form: &[(String, String)], settings: &mut IdpSettings) {
    let text = |name: &str| form.iter().find(|(each, _)| each == name).map(|(_, value)| value.trim().to_owned());
    let replace = |field: &mut String, name: &str| {
        if let Some(value) = text(name) {
            *field = value;
        }
    };
    replace(&mut settings.idp_entity_id, "idp_entity_id");
    replace(&mut settings.sp_entity_id, "sp_entity_id");
    replace(&mut settings.acs_url, "acs_url");
    if let Some(sign) = text("sign").and_then(|name| SIGN_OPTIONS.into_iter().find(|option| option.0 == name)) {
        settings.sign = sign.2;
    }
    settings.declare_redirect_endpoint = text("declare_redirect_endpoint").is_some();
    settings.include_groups = text("include_groups").is_some();
    settings.unbound = match text("denied_response").is_some() {
        true => Unbound::DeniedResponse,
        false => Unbound::Page,
    };
    let dropped = text("dropped_attributes").unwrap_or_default();
    settings.dropped_attributes =
        dropped.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    settings.misbehaviours = form
        .iter()
        .filter(|(name, _)| name == "misbehaviour")
        .filter_map(|(_, name)| Misbehaviour::named(name))
        .collect();
}

fn html(page: &impl Template) -> Html<String> {
    Html(page.render().unwrap_or_else(|error| format!("the page cannot be written: {error}")))
}
