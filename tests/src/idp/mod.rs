//! An IdP that behaves as JumpCloud does, and misbehaves on request.
//!
//! It signs people in with a form, answers with an auto-submitting form, and lets its settings be changed
//! while it runs: through this handle, by `PATCH /admin/settings` with JSON, or on the page `/admin`.

mod authn_request;
mod metadata;
mod pages;
mod respond;
mod server;
mod settings;
mod single_logout;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use authn_request::{AuthnRequest, Binding};
pub use server::Publication;
pub use settings::{IdpSettings, LogoutAnswer, Misbehaviour, SingleLogout, Unbound, User};
pub use single_logout::LogoutMessage;

use crate::browser::{Page, Tab};
use crate::issuer::logout::LogoutSpec;
use crate::issuer::{ResponseSpec, SigningKey, test_keys};
use server::Shared;

/// How an IdP starts.
pub struct IdpOptions {
    /// On 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The last segment of the SSO URL.
    pub application: String,
    pub settings: IdpSettings,
    pub users: Vec<User>,
    pub key: Arc<SigningKey>,
}

impl IdpOptions {
    /// A free port, the demo users and the committed RSA-4096 key.
    pub fn new(settings: IdpSettings) -> Self {
        Self {
            port: 0,
            application: "samlgate".to_owned(),
            settings,
            users: User::demo_users(),
            key: test_keys::rsa_4096().clone(),
        }
    }
}

/// The running IdP; it ends with this value.
pub struct Idp {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Idp {
    pub async fn start(options: IdpOptions) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await.expect("the IdP's port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let shared = Arc::new(Shared::new(format!("http://{address}"), options));
        let router = server::router(shared.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                panic!("the IdP's server ended: {error}");
            }
        });
        Self { address, shared, server }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Such as `http://127.0.0.1:4000`.
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    pub fn sso_url(&self) -> String {
        self.shared.sso_url()
    }

    pub fn settings(&self) -> IdpSettings {
        self.shared.settings()
    }

    pub fn change(&self, change: impl FnOnce(&mut IdpSettings)) {
        change(&mut lock(&self.shared.settings));
    }

    pub fn misbehave(&self, how: impl IntoIterator<Item = Misbehaviour>) {
        self.change(|settings| settings.misbehaviours = how.into_iter().collect());
    }

    pub fn key(&self) -> &Arc<SigningKey> {
        &self.shared.key
    }

    pub fn metadata(&self) -> String {
        self.shared.metadata()
    }

    /// From now on responses are signed with this key.
    pub fn sign_with(&self, key: &Arc<SigningKey>) {
        *lock(&self.shared.signs_with) = key.clone();
    }

    /// From now on the metadata at its address is this.
    pub fn publish(&self, publication: Publication) {
        *lock(&self.shared.publication) = publication;
    }

    /// From now on the metadata at its address holds these keys.
    pub fn publish_keys(&self, keys: &[&Arc<SigningKey>]) {
        self.publish(Publication::Keys(keys.iter().map(|&key| key.clone()).collect()));
    }

    pub fn metadata_url(&self) -> String {
        format!("{}/metadata.xml", self.shared.origin)
    }

    /// The status of every answer at that address so far.
    pub fn metadata_answers(&self) -> Vec<u16> {
        lock(&self.shared.metadata_answers).clone()
    }

    /// Every AuthnRequest so far.
    pub fn requests(&self) -> Vec<AuthnRequest> {
        lock(&self.shared.requests).clone()
    }

    pub fn slo_url(&self) -> String {
        self.shared.slo_url()
    }

    /// Sends the browser that visits it to the service provider with a LogoutRequest for who is signed in.
    pub fn begin_logout_url(&self) -> String {
        format!("{}/begin", self.slo_url())
    }

    /// Every logout message so far.
    pub fn logout_messages(&self) -> Vec<LogoutMessage> {
        lock(&self.shared.logout_messages).clone()
    }

    /// Of every response for that user so far.
    pub fn session_indexes(&self, username: &str) -> Vec<String> {
        let all = lock(&self.shared.session_indexes);
        all.iter().filter(|(user, _)| user == username).map(|(_, index)| index.clone()).collect()
    }

    /// Whether any browser is signed in there as that user.
    pub fn has_session(&self, username: &str) -> bool {
        lock(&self.shared.sessions).values().any(|user| user == username)
    }

    /// A LogoutRequest for that user, to be changed and sent by a test.
    pub fn logout_request(&self, username: &str) -> LogoutSpec {
        single_logout::request_for(&self.settings(), &self.user(username), OffsetDateTime::now_utc())
    }

    pub fn user(&self, username: &str) -> User {
        self.shared.user_named(username).unwrap_or_else(|| panic!("the IdP has no user {username}")).clone()
    }

    /// Fills in the login form that `tab` shows. What comes then is the page that posts the response, if
    /// something asked for one: [`Tab::auto_submit`] sends it.
    pub async fn sign_in<'t>(&self, tab: &'t mut Tab, username: &str) -> &'t Page {
        let password = self.user(username).password;
        let form = tab.page().form().set("username", username).set("password", &password);
        tab.submit(form).await
    }

    /// What the IdP would answer now for that user, to be changed and issued by a test.
    pub fn response_spec(&self, username: &str, request_id: Option<&str>) -> ResponseSpec {
        respond::response_for(&self.settings(), &self.user(username), request_id, OffsetDateTime::now_utc())
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the lock panics")
}
