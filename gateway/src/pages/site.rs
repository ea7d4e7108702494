//! What all pages know of this installation, computed once.

use aws_lc_rs::digest::{SHA256, digest};
use config::Settings;
use http::HeaderValue;

use super::Reach;

/// The addresses and policies of this installation's pages.
#[derive(Debug, Clone)]
pub struct Site {
    /// The authority of `public_url`, as people know the application.
    pub host: String,
    pub prefix: String,
    pub style_url: String,
    pub post_js_url: String,
    pub login_js_url: String,
    pub signed_in_js_url: String,
    pub login_url: String,
    pub logout_url: String,
    pub signed_in_url: String,
    /// The entity tag of `client.js`: pages of the application name it without a version.
    pub client_js_tag: HeaderValue,
    /// Where users end their session at the IdP, if we know the place.
    pub portal_url: Option<String>,
    policy_ours: HeaderValue,
    policy_form_leaves: HeaderValue,
    policy_framed: HeaderValue,
}

pub(crate) const STYLE_CSS: &str = include_str!("../../assets/style.css");
pub(crate) const POST_JS: &str = include_str!("../../assets/post.js");
pub(crate) const LOGIN_JS: &str = include_str!("../../assets/login.js");
pub(crate) const SIGNED_IN_JS: &str = include_str!("../../assets/signed-in.js");
pub(crate) const CLIENT_JS: &str = include_str!("../../assets/client.js");

impl Site {
    pub fn new(settings: &Settings) -> Self {
        let prefix = &settings.prefix;
        let images = image_sources(settings);
        let base =
            format!("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{images}; base-uri 'none'");
        Self {
            host: settings.public_url.authority.clone(),
            prefix: prefix.clone(),
            style_url: format!("{prefix}/style.css?v={}", version_of(STYLE_CSS)),
            post_js_url: format!("{prefix}/post.js?v={}", version_of(POST_JS)),
            login_js_url: format!("{prefix}/login.js?v={}", version_of(LOGIN_JS)),
            signed_in_js_url: format!("{prefix}/signed-in.js?v={}", version_of(SIGNED_IN_JS)),
            login_url: format!("{prefix}/login"),
            logout_url: format!("{prefix}/logout"),
            signed_in_url: format!("{prefix}/signed-in"),
            client_js_tag: header(format!("\"{}\"", version_of(CLIENT_JS))),
            portal_url: portal_url(settings),
            policy_ours: header(format!("{base}; frame-ancestors 'none'; form-action 'self'")),
            policy_form_leaves: header(format!("{base}; frame-ancestors 'none'")),
            policy_framed: header(format!("{base}; frame-ancestors 'self'; form-action 'none'")),
        }
    }

    pub(super) fn content_security_policy(&self, reach: Reach) -> HeaderValue {
        match reach {
            Reach::Ours => self.policy_ours.clone(),
            Reach::FormLeaves => self.policy_form_leaves.clone(),
            Reach::Framed => self.policy_framed.clone(),
        }
    }

    /// An address of ours under the prefix, with the return URL as its query.
    pub fn with_return(&self, endpoint: &str, return_url: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("rd", return_url).finish();
        format!("{}/{endpoint}?{query}", self.prefix)
    }
}

/// JumpCloud has no single logout; its users sign out in the user console.
fn portal_url(settings: &Settings) -> Option<String> {
    let is_jumpcloud = |idp: &config::IdentityProvider| {
        let uri: Option<http::Uri> = idp.sso_url().and_then(|url| url.as_str().parse().ok());
        uri.and_then(|uri| uri.host().map(|host| host.ends_with(".jumpcloud.com"))).unwrap_or_default()
    };
    let known = settings.identity_providers.iter().any(is_jumpcloud);
    known.then(|| "https://console.jumpcloud.com/userconsole".to_owned())
}

/// The origins of the button images, each once, as CSP sources.
fn image_sources(settings: &Settings) -> String {
    let mut sources: Vec<String> = settings
        .identity_providers
        .iter()
        .filter_map(|idp| idp.button.image_url.as_deref())
        .filter_map(origin_of)
        .map(|origin| format!(" {origin}"))
        .collect();
    sources.sort();
    sources.dedup();
    sources.concat()
}

/// Scheme and authority of an absolute URL; a path on our own site has none.
fn origin_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

/// Changes with the content, so that browsers may keep the file for ever.
fn version_of(content: &str) -> String {
    digest(&SHA256, content.as_bytes()).as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Settings are checked; an origin that no header can hold leaves the strictest policy.
fn header(policy: String) -> HeaderValue {
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}
