//! The application's page: who the user is, what arrived, and whether the identity JWT verifies.

use askama::Template;
use serde_json::Value;

use super::{Received, identity_jwt};

/// An application with a page, that trusts the gateway at `gateway_origin`.
#[derive(Debug, Clone)]
pub struct Application {
    /// Such as `http://localhost:8080`: issuer and audience of the identity JWT.
    pub gateway_origin: String,
    /// Links shown on the page: text and address.
    pub links: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "application.html")]
struct Page<'a> {
    request: &'a Received,
    links: &'a [(String, String)],
    user: Option<User<'a>>,
    jwt: Jwt,
}

struct User<'a> {
    unique_id: &'a str,
    email: Option<&'a str>,
    username: Option<&'a str>,
    groups: Vec<&'a str>,
}

enum Jwt {
    Absent,
    Verified(Vec<(String, String)>),
    Refused(String),
}

pub(super) async fn show(application: &Application, request: &Received) -> String {
    let jwt = match request.one(identity_jwt::HEADER) {
        None => Jwt::Absent,
        Some(token) => match identity_jwt::verify(token, &application.gateway_origin).await {
            Ok(claims) => Jwt::Verified(rows(&claims)),
            Err(reason) => Jwt::Refused(reason),
        },
    };
    let page = Page { request, links: &application.links, user: user(request), jwt };
    page.render().unwrap_or_else(|error| format!("the page cannot be written: {error}"))
}

fn user(request: &Received) -> Option<User<'_>> {
    let groups = request.one("X-Forwarded-Groups").unwrap_or_default();
    Some(User {
        unique_id: request.one("X-Forwarded-User")?,
        email: request.one("X-Forwarded-Email"),
        username: request.one("X-Forwarded-Preferred-Username"),
        groups: groups.split(',').map(str::trim).filter(|group| !group.is_empty()).collect(),
    })
}

fn rows(claims: &Value) -> Vec<(String, String)> {
    let claims = claims.as_object().into_iter().flatten();
    claims
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), text)
        })
        .collect()
}

/// What the page marks, for these are the headers that the gateway vouches for.
fn is_identity(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let named = ["user", "email", "preferred-username", "groups"].map(|end| format!("x-forwarded-{end}"));
    named.contains(&name) || name.starts_with("x-samlgate-")
}
