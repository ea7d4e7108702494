//! The contract of a store, kept by each kind of Redis, and what is to be seen in it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ::gateway::keys::{self, Keys, StoreKeys};
use ::gateway::session::contract::{self, at, ticket};
use ::gateway::session::{
    BrowserBinding, Landing, PendingLogin, RedisStore, Revocation, Rounds, SessionStore, StoreError, Target,
};
use aws_lc_rs::rand::SystemRandom;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::{RedisSettings, StoreSettings};
use issuer::test_keys;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use saml_core::{
    AcceptedLogin, AcsForm, AcsUrl, Authentication, Certificate, ClaimNames, DecryptionKeys, EntityId, IdpId,
    RequestId, SentRequest, ServiceProvider, Sign, Timestamp, TrustedIdp, UnverifiedResponse,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::redis::{Cluster, Sentinels, Server};

/// Stores of one deployment, each empty.
#[derive(Clone)]
pub(super) struct Stores {
    owner: String,
    redis: RedisSettings,
    keys: StoreKeys,
    _folder: Arc<TempDir>,
}

impl Stores {
    /// As the settings `session.redis` say.
    pub(super) fn of(redis: Value) -> Self {
        Self::with_files(redis, &[])
    }

    /// With files beside the settings.
    pub(super) fn with_files(redis: Value, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        keys::generate(&folder.path().join("keys")).expect("keys can be made");
        let certificate = test_keys::rsa_2048().certificate_pem();
        for (name, content) in files.iter().chain(&[("certificate.pem", certificate)]) {
            write(&folder.path().join(name), content);
        }
        let settings = json!({
            "public_url": "https://app.example.com",
            "identity_providers": [{
                "id": "jumpcloud", "entity_id": "idp", "sso_url": "https://sso.example.com/", "certificate_file": "certificate.pem",
            }],
            "upstreams": { "app": { "servers": ["127.0.0.1:3000"] } },
            "routes": [{ "path_prefix": "/", "access": "signed_in", "upstream": "app" }],
            "keys_dir": "keys",
            "session": { "store": "redis", "redis": redis },
        });
        let file = folder.path().join("samlgate.yaml");
        write(&file, &settings.to_string());
        let settings = config::load(&file, std::iter::empty::<(String, String)>())
            .unwrap_or_else(|mistakes| panic!("{mistakes}"))
            .settings;
        let (keys, _) = Keys::load(&settings).expect("the keys can be read");
        let StoreSettings::Redis(redis) = &settings.session.store else { panic!("no redis") };
        let keys = keys.store().expect("a shared store has keys").clone();
        let owner = settings.service_provider.entity_id.as_str().to_owned();
        Self { owner, redis: redis.clone(), keys, _folder: Arc::new(folder) }
    }

    pub(super) fn new_store(&self) -> RedisStore {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        self.store(&format!("samlgate{}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    fn store(&self, key_prefix: &str) -> RedisStore {
        let redis = RedisSettings { key_prefix: key_prefix.to_owned(), ..self.redis.clone() };
        RedisStore::new(&redis, self.keys.clone(), &self.owner)
    }

    async fn keep_the_contract(&self) {
        contract::run(&|| Arc::new(self.new_store())).await;
        claim_once(self).await;
    }
}

fn write(path: &Path, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, content).expect("a file can be written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode can be set");
}

pub(super) async fn kept_by_one() {
    let server = Server::start().await;
    Stores::of(json!({ "servers": [server.address()] })).keep_the_contract().await;
}

pub(super) async fn kept_by_a_cluster() {
    let cluster = Cluster::start().await;
    Stores::of(json!({ "mode": "cluster", "servers": cluster.addresses() })).keep_the_contract().await;
}

pub(super) async fn kept_by_sentinels() {
    let sentinels = Sentinels::start().await;
    Stores::of(json!({ "mode": "sentinel", "master_name": Sentinels::MASTER, "servers": sentinels.addresses() }))
        .keep_the_contract()
        .await;
}

/// A Redis for one user, with TLS by an authority of its own.
struct Secured {
    server: Server,
    authority: String,
    _files: TempDir,
}

const PASSWORD: &str = "correct horse";

impl Secured {
    async fn start() -> Self {
        let files = tempfile::tempdir().expect("a temporary folder");
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key).expect("signed by itself");
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &authority).expect("signed");
        let at = |name: &str| files.path().join(name).display().to_string();
        write(Path::new(&at("server.crt")), &certificate.pem());
        write(Path::new(&at("server.key")), &key.serialize_pem());
        write(Path::new(&at("ca.crt")), &authority.pem());
        let port = crate::gateway::free_port();
        let (certificate, key, roots, tls_port) = (at("server.crt"), at("server.key"), at("ca.crt"), port.to_string());
        let password = format!(">{PASSWORD}");
        let arguments = [
            "--port",
            "0",
            "--tls-port",
            &tls_port,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &roots,
            "--tls-auth-clients",
            "no",
            "--user",
            "default",
            "off",
            "--user",
            "samlgate",
            "on",
            &password,
            "~samlgate*",
            "+@all",
            "-@dangerous",
            "-@admin",
        ];
        let server = Server::start_with(port, &arguments).await;
        Self { server, authority: authority.pem(), _files: files }
    }

    fn settings(&self) -> Value {
        json!({
            "servers": [self.server.address()],
            "username": "samlgate",
            "password_file": "password",
            "tls": true,
            "ca_file": "ca.crt",
        })
    }
}

pub(super) async fn kept_by_a_secured_one() {
    let secured = Secured::start().await;
    let files = [("password", &*format!("{PASSWORD}\n")), ("ca.crt", &*secured.authority)];
    Stores::with_files(secured.settings(), &files).keep_the_contract().await;
}

pub(super) async fn refused_connections() {
    let secured = Secured::start().await;
    let other = Secured::start().await;
    for (password, authority, told) in
        [("wrong", &secured.authority, "authentication failed"), (PASSWORD, &other.authority, "certificate")]
    {
        let stores = Stores::with_files(secured.settings(), &[("password", password), ("ca.crt", authority)]);
        let ticket = ticket();
        let Err(StoreError::Away { problem }) = stores.new_store().load(&ticket.key(), &ticket).await else {
            panic!("it answered {told}");
        };
        assert!(problem.contains(told) && !problem.contains(password), "{problem}");
    }
}

pub(super) async fn claims_once() {
    let server = Server::start().await;
    claim_once(&Stores::of(json!({ "servers": [server.address()] }))).await;
}

async fn claim_once(stores: &Stores) {
    let (one, other) = (accepted("_1"), accepted("_2"));
    let make = || Arc::new(stores.new_store()) as Arc<dyn SessionStore>;
    contract::claims_an_assertion_once(&make, *one.replay_key(), *other.replay_key()).await;
}

/// A login of its own assertion: nothing else gives a key to claim.
fn accepted(request_id: &str) -> AcceptedLogin {
    const NOW: i64 = 1_795_445_071;
    let request_id = format!("{request_id}{}", "0".repeat(40));
    let (idp, sp, acs) = ("idp", "https://app.example.com/saml/metadata", "https://app.example.com/saml/acs");
    let now = OffsetDateTime::from_unix_timestamp(NOW).expect("a time");
    let issued = issuer::ResponseSpec::new(idp, sp, acs, "ada@example.com", now)
        .in_response_to(&request_id)
        .sign(issuer::Sign::Both)
        .claims("ada@example.com", "5f3c", &["staff"])
        .issue(test_keys::rsa_2048());
    let form = AcsForm::parse(Some("application/x-www-form-urlencoded"), None, issued.form_body(None).as_bytes());
    let response = UnverifiedResponse::from_form(&form.expect("a form")).expect("a response");
    let certificates = Certificate::parse_all(test_keys::rsa_2048().certificate_pem().as_bytes()).expect("one");
    let id = IdpId::parse("jumpcloud").expect("an id");
    let entity_id = EntityId::parse(idp).expect("an entity ID");
    let trusted = TrustedIdp::new(id, entity_id, certificates, Sign::AssertionAndResponse, ClaimNames::default());
    let sp = ServiceProvider {
        entity_id: EntityId::parse(sp).expect("an entity ID"),
        acs_url: AcsUrl::parse(acs).expect("an ACS URL"),
        skew_seconds: 180,
    };
    let request =
        SentRequest { id: RequestId::parse(&request_id).expect("a request ID"), authentication: Authentication::Any };
    let trusted = trusted.expect("an IdP");
    let verified = response.verify(&trusted, &DecryptionKeys::none()).expect("verified");
    verified.accept(&request, &sp, Timestamp::from_unix(NOW, 0)).expect("accepted")
}

/// Its append-only file has every command in clear.
pub(super) async fn names_nobody() {
    let server = Server::start().await;
    let store = Stores::of(json!({ "servers": [server.address()] })).new_store();
    let ticket = ticket();
    let mut record = contract::record(1_000, 2_000);
    record.unique_id = "employee-4711".into();
    store.insert(&ticket, record).await.expect("inserted");
    let binding = BrowserBinding::generate(&SystemRandom::new()).expect("random bytes");
    let login = PendingLogin {
        idp: IdpId::parse("jumpcloud").expect("an id"),
        return_url: "/secret-report".into(),
        binding: binding.hash(),
        created: at(1_000),
        authentication: Authentication::Any,
        rounds: Rounds::none(at(1_000)),
        replaces: None,
        landing: Landing::ReturnUrl,
    };
    let client = "192.0.2.77".parse().expect("an address");
    store.put_pending(&RequestId::from_random([1; 20]), login, client).await.expect("put");
    for target in [
        Target::User { idp: IdpId::parse("jumpcloud").expect("an id"), unique_id: "employee-4711".into() },
        Target::Email("ada@example.com".into()),
        Target::Group("engineers-of-secrets".into()),
    ] {
        store.publish(&Revocation { target, at: at(1_000) }).await.expect("published");
    }
    let written = server.written();
    assert!(written.windows(8).any(|part| part == b"samlgate"), "the file is looked at");
    let [ticket, binding] = [ticket.to_cookie_value(), binding.to_cookie_value()];
    let mut secrets: Vec<Vec<u8>> = [&ticket, &binding].map(|text| text.as_bytes().to_vec()).to_vec();
    secrets.extend([&ticket, &binding].map(|text| URL_SAFE_NO_PAD.decode(text.as_bytes()).expect("base64url")));
    let people =
        ["ada@example.com", "employee-4711", "Lovelace", "secret-report", "engineers-of-secrets", "192.0.2.77"];
    secrets.extend(people.map(|text| text.as_bytes().to_vec()));
    for secret in secrets {
        let is_there = written.windows(secret.len()).any(|part| part == secret);
        assert!(!is_there, "{} is in clear", String::from_utf8_lossy(&secret));
    }
}

/// Who can write to Redis has no key of ours; another application with our keys is somebody else.
pub(super) async fn strangers_records() {
    let server = Server::start().await;
    let settings = json!({ "servers": [server.address()] });
    let (ours, strangers) = (Stores::of(settings.clone()), Stores::of(settings));
    let of_another = Stores { owner: "https://other.example.com/saml/metadata".to_owned(), ..ours.clone() };
    let store = ours.store("samlgate");
    for (forger, is_ours) in [(ours.clone(), true), (strangers, false), (of_another, false)] {
        let forger = forger.store("samlgate");
        let ticket = ticket();
        forger.insert(&ticket, contract::record(1_000, 2_000)).await.expect("it can write there");
        assert!(forger.load(&ticket.key(), &ticket).await.expect("asked").is_some());
        assert_eq!(store.load(&ticket.key(), &ticket).await.expect("asked").is_some(), is_ours);
        let target = Target::Group("staff".into());
        forger.publish(&Revocation { target, at: at(1_000) }).await.expect("published");
    }
    let idp = IdpId::parse("jumpcloud").expect("an id");
    assert_eq!(store.sessions_of(&idp, "5f3c").await.expect("found").len(), 1);
    let (_, known) = store.published(None).await.expect("read");
    assert_eq!(known.len(), 1, "a stranger's revocation is none");
}

pub(super) async fn altered_records() {
    let server = Server::start().await;
    let store = Stores::of(json!({ "servers": [server.address()] })).new_store();
    let (ours, theirs) = (ticket(), ticket());
    for ticket in [&ours, &theirs] {
        store.insert(ticket, contract::record(1_000, 2_000)).await.expect("inserted");
    }
    let named = server.cli(&["--scan", "--pattern", "*:s:*"]).await;
    let names: Vec<&str> = named.lines().collect();
    assert_eq!(names.len(), 2);
    let swap = "local one = redis.call('HGET', KEYS[1], 'r') \
                redis.call('HSET', KEYS[1], 'r', redis.call('HGET', KEYS[2], 'r')) \
                redis.call('HSET', KEYS[2], 'r', one)";
    server.cli(&["eval", swap, "2", names[0], names[1]]).await;
    for ticket in [&ours, &theirs] {
        assert!(store.load(&ticket.key(), ticket).await.expect("asked").is_none(), "another's record is none");
    }
    server.cli(&["eval", swap, "2", names[0], names[1]]).await;
    assert!(store.load(&ours.key(), &ours).await.expect("asked").is_some(), "back in its place it is");
    for name in names {
        server.cli(&["hset", name, "r", "x"]).await;
    }
    assert!(store.load(&ours.key(), &ours).await.expect("asked").is_none());
}
