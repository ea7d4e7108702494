//! The settings of a gateway that is about to start.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::{Gateway, Launch, Program, StartFailure};
use crate::idp::Idp;
use crate::upstream::Upstream;

/// The settings of a gateway that is about to start. Its ports are chosen, so an IdP can be told its URLs.
pub struct GatewayBuilder {
    program: Program,
    listen: SocketAddr,
    admin_listen: SocketAddr,
    settings: Value,
    files: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl GatewayBuilder {
    /// On free loopback ports, as `http://localhost:<port>`.
    pub fn new(program: Program) -> Self {
        Self::on_port(program, free_port())
    }

    pub fn on_port(program: Program, port: u16) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let admin_listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let settings = json!({
            "public_url": format!("http://localhost:{port}"),
            "listen": listen.to_string(),
            "admin_listen": admin_listen.to_string(),
            "identity_providers": [],
            "upstreams": {},
            "routes": [
                { "path_prefix": "/public", "access": "public", "upstream": "app" },
                { "path_prefix": "/admin", "access": { "groups": ["admins"] }, "upstream": "app", "identity_jwt": true },
                { "path_prefix": "/api", "access": "signed_in", "upstream": "app", "api": true },
                { "path_prefix": "/", "access": "signed_in", "upstream": "app", "identity_jwt": true },
            ],
        });
        Self { program, listen, admin_listen, settings, files: Vec::new(), environment: Vec::new() }
    }

    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    pub fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    pub fn public_url(&self) -> String {
        self.settings["public_url"].as_str().unwrap_or_default().to_owned()
    }

    pub fn acs_url(&self) -> String {
        format!("{}/saml/acs", self.public_url())
    }

    pub fn sp_entity_id(&self) -> String {
        format!("{}/saml/metadata", self.public_url())
    }

    /// Trusts `idp`, under the id `jumpcloud`, by its URL and certificate.
    pub fn trust(self, idp: &Idp) -> Self {
        let certificate = idp.key().certificate_pem().to_owned();
        self.file("certificate.pem", &certificate).set(
            "identity_providers",
            json!([{
                "id": "jumpcloud",
                "entity_id": idp.settings().idp_entity_id,
                "sso_url": idp.sso_url(),
                "certificate_file": "certificate.pem",
            }]),
        )
    }

    /// Trusts `idp`, under the id `jumpcloud`, by its metadata URL: the settings beside it say which keys.
    pub fn trust_by_url(self, idp: &Idp, more: Value) -> Self {
        let mut provider = json!({
            "id": "jumpcloud",
            "entity_id": idp.settings().idp_entity_id,
            "metadata_url": idp.metadata_url(),
        });
        if let (Some(provider), Value::Object(more)) = (provider.as_object_mut(), more) {
            provider.extend(more);
        }
        self.set("identity_providers", json!([provider]))
    }

    /// Trusts another IdP beside the first, under `id`; each speaks for its e-mail domains.
    pub fn trust_too(mut self, id: &str, idp: &Idp, own_domains: &[&str], first_domains: &[&str]) -> Self {
        let certificate = format!("{id}.pem");
        self.settings["identity_providers"][0]["email_domains"] = json!(first_domains);
        let second = json!({
            "id": id,
            "entity_id": idp.settings().idp_entity_id,
            "sso_url": idp.sso_url(),
            "certificate_file": certificate,
            "email_domains": own_domains,
        });
        self.settings["identity_providers"].as_array_mut().expect("the first is trusted already").push(second);
        let pem = idp.key().certificate_pem().to_owned();
        self.file(&certificate, &pem)
    }

    /// The upstream `app`, to which the default routes lead.
    pub fn protect(self, upstream: &Upstream) -> Self {
        self.set("upstreams.app.servers", json!([upstream.address().to_string()]))
    }

    /// Sets a key of the settings file: names and list indexes with dots between, such as `identity_providers.0.sign`.
    pub fn set(mut self, path: &str, value: Value) -> Self {
        let (parent, key) = self.place(path);
        match parent {
            Value::Array(items) => items[key.parse::<usize>().expect("a list is indexed by numbers")] = value,
            other => other[key] = value,
        }
        self
    }

    pub fn unset(mut self, path: &str) -> Self {
        let (parent, key) = self.place(path);
        parent.as_object_mut().expect("only keys of mappings are unset").remove(&key);
        self
    }

    /// The mapping or list that holds the last part of `path`, and that part.
    fn place(&mut self, path: &str) -> (&mut Value, String) {
        let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut place = &mut self.settings;
        for part in parents.split('.').filter(|part| !part.is_empty()) {
            place = match place {
                Value::Array(items) => &mut items[part.parse::<usize>().expect("a list is indexed by numbers")],
                other => &mut other[part],
            };
        }
        (place, key.to_owned())
    }

    /// A file beside the settings, which can name it without a folder.
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts samlgate and waits until it is ready.
    pub async fn start(self) -> Gateway {
        self.try_start().await.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// As [`GatewayBuilder::start`], where samlgate may refuse its settings.
    pub async fn try_start(self) -> Result<Gateway, StartFailure> {
        let folder = tempfile::Builder::new().prefix("samlgate-").tempdir().expect("a temporary folder can be made");
        let config = self.write_files(folder.path());
        let launch = Launch {
            program: self.program.clone(),
            environment: self.environment.clone(),
            folder: folder.path().to_owned(),
        };
        let (child, output) = launch.run(&[], &config);
        let mut gateway = Gateway {
            public_url: self.public_url(),
            listen: self.listen,
            admin_listen: self.admin_listen,
            config,
            child,
            output,
            launch,
            client: reqwest::Client::builder().no_proxy().build().expect("a client without TLS can be made"),
            _folder: folder,
        };
        gateway.becomes_ready().await.map(|()| gateway)
    }

    /// JSON is YAML.
    fn write_files(&self, folder: &Path) -> PathBuf {
        let config = folder.join("samlgate.yaml");
        let text = serde_json::to_string_pretty(&self.settings).expect("settings are JSON");
        std::fs::write(&config, text).expect("the settings can be written");
        for (name, content) in &self.files {
            let file = folder.join(name);
            let parent = file.parent().expect("it lies in the folder");
            std::fs::create_dir_all(parent).expect("a folder beside the settings can be made");
            std::fs::write(&file, content).expect("a file beside the settings can be written");
            // Some hold keys, and samlgate refuses those that others can read.
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("an own file's mode can be set");
        }
        config
    }
}

/// A loopback port that nobody listens on and that this process has not given out before. It lies below the range
/// from which the system takes the local ports of outgoing connections: one of those may come at any moment.
pub fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let own_start = std::process::id().wrapping_mul(97) % COUNT;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + (own_start + step) % COUNT).expect("the range lies within the ports");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_set_by_path_also_inside_lists() {
        let builder = GatewayBuilder::on_port(Program::new("x"), 1)
            .set("identity_providers", json!([{ "id": "a" }]))
            .set("identity_providers.0.sign", json!("any"))
            .set("session.max_age", json!("1h"))
            .set("routes.0.access", json!("signed_in"))
            .unset("routes.1.identity_jwt");
        assert_eq!(builder.settings["identity_providers"], json!([{ "id": "a", "sign": "any" }]));
        assert_eq!(builder.settings["session"], json!({ "max_age": "1h" }));
        assert_eq!(builder.settings["routes"][0]["access"], "signed_in");
        assert!(builder.settings["routes"][1].get("identity_jwt").is_none());
        assert_eq!(builder.acs_url(), "http://localhost:1/saml/acs");
    }
}
