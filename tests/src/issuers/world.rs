//! One issuer, an application, and a gateway for each row of the table: to the issuer each is another service provider.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::kind::{Kind, Places};
use super::modes::{Binding, Encryption, Mode};
use super::people::Person;
use super::process::Server;
use crate::gateway::{Gateway, GatewayBuilder, Program, free_port};
use crate::issuer::{KeyKind, Sign, SigningKey};
use crate::upstream::Upstream;

/// A gateway as its issuer knows it: by the metadata that it serves.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ServiceProvider {
    pub(super) name: String,
    pub(super) entity_id: String,
    pub(super) acs_url: String,
    pub(super) slo_url: Option<String>,
    pub(super) slo_binding: Option<Binding>,
    pub(super) signs: Sign,
    pub(super) encryption: Option<Encryption>,
    pub(super) signed_requests: bool,
    pub(super) metadata: String,
    pub(super) signing_certificate: Option<String>,
    pub(super) encryption_certificate: Option<String>,
}

pub(super) struct Protected {
    pub(super) mode: Mode,
    pub(super) gateway: Gateway,
    pub(super) sp: ServiceProvider,
}

pub(super) struct World {
    pub(super) kind: Kind,
    pub(super) origin: String,
    pub(super) entity_id: String,
    pub(super) key: SigningKey,
    pub(super) people: Vec<Person>,
    pub(super) application: Upstream,
    pub(super) protected: Vec<Protected>,
    /// Rows whose gateway did not come up, and what it said.
    pub(super) broken: Vec<(Mode, String)>,
    server: Server,
}

impl World {
    /// Gateways first: the issuer is told what their metadata says.
    pub(super) async fn start(
        kind: Kind,
        places: &Places,
        folder: &Path,
        program: &Program,
        people: Vec<Person>,
    ) -> Result<Self, String> {
        let port = free_port();
        let origin = format!("http://127.0.0.1:{port}");
        let entity_id = kind.entity_id(&origin);
        let key = tokio::task::spawn_blocking(|| SigningKey::generate(KeyKind::Rsa2048, "issuer suite"));
        let key = key.await.map_err(|error| format!("cannot make a key: {error}"))?;
        let application = Upstream::start().await;
        let keys_dir = keys(program, &folder.join("keys")).await?;
        let (mut protected, mut broken) = (Vec::new(), Vec::new());
        for mode in kind.modes() {
            let settings = identity_provider(&mode, kind, &origin);
            let gateway = GatewayBuilder::new(program.clone());
            let public_url = format!("http://{}:{}", host(&mode), gateway.listen().port());
            let gateway = gateway
                .set("public_url", json!(public_url))
                .file("certificate.pem", key.certificate_pem())
                .set("identity_providers", json!([settings]))
                .set("keys_dir", json!(keys_dir))
                .protect(&application);
            match protect(mode, gateway).await {
                Ok(one) => protected.push(one),
                Err(reason) => broken.push((mode, reason)),
            }
        }
        let providers: Vec<_> = protected.iter().map(|each| each.sp.clone()).collect();
        let files = IssuerFiles { kind, places, folder, origin: &origin, entity_id: &entity_id, port };
        files.write(&key, &people, &providers).map_err(|error| format!("{}: {error}", folder.display()))?;
        let ready = format!("{origin}{}", kind.ready_path());
        let command = kind.command(places, folder, port);
        let server = Server::start(command, &folder.join("server.log"), &ready, kind.patience()).await?;
        Ok(Self { kind, entity_id, key, people, application, protected, broken, origin, server })
    }

    /// Whether the page is of a gateway, or of the application behind it.
    pub(super) fn is_gateway(&self, url: &url::Url) -> bool {
        self.protected.iter().any(|each| url.as_str().starts_with(&format!("{}/", each.gateway.public_url())))
    }

    /// What the issuer itself wrote last.
    pub(super) fn last_lines(&self) -> String {
        self.server.last_lines()
    }

    pub(super) async fn stop(self) {
        self.server.stop().await;
    }
}

/// One set of keys for all gateways of an issuer: what they sign and decrypt with.
async fn keys(program: &Program, folder: &Path) -> Result<PathBuf, String> {
    let arguments = ["keys".as_ref(), "generate".as_ref(), "--dir".as_ref(), folder.as_os_str()];
    let output = program.command(arguments).output().await.map_err(|error| format!("samlgate keys: {error}"))?;
    if !output.status.success() {
        return Err(format!("samlgate keys: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(folder.to_owned())
}

/// A browser keeps one set of cookies a host, whatever the port: who signs out of two gateways needs two hosts.
/// The issuer is at 127.0.0.1, so that what it posts to the other one comes from another site.
fn host(mode: &Mode) -> &'static str {
    if mode.logout == Some(Binding::Redirect) { "127.0.0.1" } else { "localhost" }
}

/// An error where the gateway has no key for what the row is about.
async fn protect(mode: Mode, gateway: GatewayBuilder) -> Result<Protected, String> {
    let gateway = gateway.try_start().await.map_err(|failure| failure.to_string())?;
    let sp = service_provider(&mode, &gateway).await?;
    if mode.encryption.is_some() && sp.encryption_certificate.is_none() {
        return Err("its metadata offers no key to encrypt for".to_owned());
    }
    if mode.signed_requests && sp.signing_certificate.is_none() {
        return Err("its metadata offers no key to check requests with".to_owned());
    }
    Ok(Protected { mode, gateway, sp })
}

fn identity_provider(mode: &Mode, kind: Kind, origin: &str) -> Value {
    let mut settings = json!({
        "id": "issuer",
        "entity_id": kind.entity_id(origin),
        "sso_url": kind.sso_url(origin),
        "certificate_file": "certificate.pem",
    });
    if let Some(wants) = mode.wants {
        settings["sign"] = json!(wants);
    }
    if mode.signed_requests {
        settings["sign_requests"] = json!(true);
    }
    if let Some(binding) = mode.logout {
        let [url, response_url] = kind.slo_urls(origin);
        settings["single_logout"] = json!({ "url": url, "response_url": response_url, "binding": binding.name() });
    }
    settings
}

async fn service_provider(mode: &Mode, gateway: &Gateway) -> Result<ServiceProvider, String> {
    let answer = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
    let answer = answer.get(gateway.url("/saml/metadata")).send().await.map_err(|error| error.to_string())?;
    let metadata = answer.text().await.map_err(|error| error.to_string())?;
    let document = roxmltree::Document::parse(&metadata).map_err(|error| format!("our metadata: {error}"))?;
    let root = document.root_element();
    let location = |name: &str| {
        let service = root.descendants().find(|node| node.tag_name().name() == name)?;
        service.attribute("Location").map(str::to_owned)
    };
    Ok(ServiceProvider {
        name: mode.name.to_owned(),
        entity_id: root.attribute("entityID").unwrap_or_default().to_owned(),
        acs_url: location("AssertionConsumerService").ok_or("our metadata names no ACS URL")?,
        slo_url: location("SingleLogoutService"),
        slo_binding: mode.logout,
        signs: mode.signs,
        encryption: mode.encryption,
        signed_requests: mode.signed_requests,
        signing_certificate: certificate(&document, "signing"),
        encryption_certificate: certificate(&document, "encryption"),
        metadata: mode.logout.map_or_else(|| metadata.clone(), |binding| with_one_binding(&metadata, binding)),
    })
}

/// Our metadata declares both bindings for logout messages; the issuer is to be told of one.
fn with_one_binding(metadata: &str, binding: Binding) -> String {
    const END: &str = "</md:SingleLogoutService>";
    let other = if binding == Binding::Redirect { Binding::Post } else { Binding::Redirect };
    let start = format!("<md:SingleLogoutService Binding=\"{}\"", other.urn());
    let cut = metadata.split_once(&start).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    cut.map_or_else(|| metadata.to_owned(), |(before, after)| format!("{before}{after}"))
}

fn certificate(document: &roxmltree::Document<'_>, usage: &str) -> Option<String> {
    let key = document.descendants().find(|node| node.attribute("use") == Some(usage))?;
    let certificate = key.descendants().find(|node| node.tag_name().name() == "X509Certificate")?;
    let base64: String = certificate.text()?.split_whitespace().collect();
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    Some(format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")))
}

struct IssuerFiles<'a> {
    kind: Kind,
    places: &'a Places,
    folder: &'a Path,
    origin: &'a str,
    entity_id: &'a str,
    port: u16,
}

impl IssuerFiles<'_> {
    /// `issuer.json`, which every issuer's own files read, and the key beside it.
    fn write(&self, key: &SigningKey, people: &[Person], providers: &[ServiceProvider]) -> std::io::Result<()> {
        let path = |name: &str| -> PathBuf { self.folder.join(name) };
        std::fs::create_dir_all(path("tmp"))?;
        std::fs::write(path("key.pem"), key.key_pem())?;
        std::fs::write(path("certificate.pem"), key.certificate_pem())?;
        let issuer = json!({
            "origin": self.origin,
            "port": self.port,
            "entity_id": self.entity_id,
            "folder": self.folder,
            "key_file": path("key.pem"),
            "certificate_file": path("certificate.pem"),
            "secret": format!("{}-{}", std::process::id(), self.port),
            "people": people,
            "service_providers": providers,
        });
        std::fs::write(path("issuer.json"), serde_json::to_string_pretty(&issuer)?)?;
        if self.kind == Kind::Keycloak {
            super::keycloak::write_realm(&self.places.cache.join("keycloak"), key, people, providers)?;
        }
        Ok(())
    }
}
