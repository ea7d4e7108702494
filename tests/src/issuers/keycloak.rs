//! Keycloak: everything it knows is a realm that it imports at its start.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use super::modes::{Binding, Encryption};
use super::people::Person;
use super::world::ServiceProvider;
use crate::issuer::{Sign, SigningKey};

pub(super) const REALM: &str = "issuers";

/// `bin/kc.sh build` has been run by the script.
pub(super) fn command(home: &Path, folder: &Path, port: u16) -> Command {
    let mut command = Command::new(home.join("bin/kc.sh"));
    command.args(["start", "--optimized", "--import-realm", "--http-enabled=true", "--http-host=127.0.0.1"]);
    command.arg(format!("--http-port={port}")).arg(format!("--hostname=http://127.0.0.1:{port}"));
    command.env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx640m").env("HOME", folder);
    command
}

/// Lays the realm where Keycloak looks for it.
pub(super) fn write_realm(
    home: &Path,
    key: &SigningKey,
    people: &[Person],
    providers: &[ServiceProvider],
) -> std::io::Result<()> {
    let folder = home.join("data/import");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("realm.json"), realm(key, people, providers).to_string())
}

fn realm(key: &SigningKey, people: &[Person], providers: &[ServiceProvider]) -> Value {
    let mut groups: Vec<_> = people.iter().flat_map(|person| &person.groups).collect();
    groups.sort();
    groups.dedup();
    // Its rules for names of people refuse what these people are called.
    let permissions = json!({ "view": ["admin", "user"], "edit": ["admin", "user"] });
    let attributes = ["username", "email", "firstName", "lastName"];
    let attributes = attributes.map(|name| json!({ "name": name, "permissions": permissions }));
    let profile = json!({ "unmanagedAttributePolicy": "ENABLED", "attributes": attributes });
    json!({
        "realm": REALM,
        "enabled": true,
        "sslRequired": "none",
        "requiredActions": [{ "alias": "VERIFY_PROFILE", "providerId": "VERIFY_PROFILE", "name": "x", "enabled": false }],
        "components": {
            "org.keycloak.keys.KeyProvider": [{
                "name": "suite",
                "providerId": "rsa",
                "config": {
                    "privateKey": [key.key_pem()],
                    "certificate": [key.certificate_pem()],
                    "priority": ["1000"],
                    "enabled": ["true"],
                    "active": ["true"],
                    "algorithm": ["RS256"],
                },
            }],
            "org.keycloak.userprofile.UserProfileProvider": [{
                "providerId": "declarative-user-profile",
                "config": { "kc.user.profile.config": [profile.to_string()] },
            }],
        },
        "groups": groups.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        "users": people.iter().map(user).collect::<Vec<_>>(),
        "clients": providers.iter().map(client).collect::<Vec<_>>(),
    })
}

fn user(person: &Person) -> Value {
    json!({
        "username": person.username,
        "email": person.email,
        "emailVerified": true,
        "enabled": true,
        "firstName": person.first_name,
        "lastName": person.last_name,
        "attributes": { "sub": [person.id] },
        "credentials": [{ "type": "password", "value": person.username }],
        "groups": person.groups.iter().map(|group| format!("/{group}")).collect::<Vec<_>>(),
    })
}

fn client(sp: &ServiceProvider) -> Value {
    let mut attributes = json!({
        "saml.server.signature": (sp.signs != Sign::Assertion).to_string(),
        "saml.assertion.signature": (sp.signs != Sign::Response).to_string(),
        "saml.signature.algorithm": "RSA_SHA256",
        "saml.client.signature": sp.signed_requests.to_string(),
        "saml.authnstatement": "true",
        "saml.force.post.binding": (sp.slo_binding != Some(Binding::Redirect)).to_string(),
        "saml_force_name_id_format": "true",
        "saml_name_id_format": "username",
        "saml_assertion_consumer_url_post": sp.acs_url,
    });
    let mut set = |name: &str, value: String| attributes[name] = json!(value);
    if let Some(certificate) = &sp.signing_certificate {
        set("saml.signing.certificate", base64_of(certificate));
    }
    if let (Some(_), Some(certificate)) = (sp.encryption, &sp.encryption_certificate) {
        set("saml.encrypt", "true".to_owned());
        set("saml.encryption.certificate", base64_of(certificate));
    }
    if sp.encryption == Some(Encryption::Gcm) {
        // Beside rsa-oaep-mgf1p it would use SHA-256, which leaves MGF1 with SHA-1.
        set("saml.encryption.algorithm", "http://www.w3.org/2009/xmlenc11#aes256-gcm".to_owned());
        set("saml.encryption.keyAlgorithm", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p".to_owned());
        set("saml.encryption.digestMethod", "http://www.w3.org/2000/09/xmldsig#sha1".to_owned());
    }
    if let (Some(url), Some(binding)) = (&sp.slo_url, sp.slo_binding) {
        set(&format!("saml_single_logout_service_url_{}", binding.name()), url.clone());
    }
    json!({
        "clientId": sp.entity_id,
        "protocol": "saml",
        "enabled": true,
        "frontchannelLogout": true,
        "fullScopeAllowed": true,
        "redirectUris": [sp.acs_url],
        "attributes": attributes,
        "protocolMappers": [
            mapper("email", "saml-user-property-mapper", json!({ "user.attribute": "email" })),
            mapper("firstname", "saml-user-property-mapper", json!({ "user.attribute": "firstName" })),
            mapper("lastname", "saml-user-property-mapper", json!({ "user.attribute": "lastName" })),
            mapper("sub", "saml-user-attribute-mapper", json!({ "user.attribute": "sub" })),
            mapper("memberOf", "saml-group-membership-mapper", json!({ "full.path": "false", "single": "true" })),
        ],
    })
}

fn mapper(attribute: &str, kind: &str, mut config: Value) -> Value {
    config["attribute.name"] = json!(attribute);
    config["attribute.nameformat"] = json!("Basic");
    json!({ "name": attribute, "protocol": "saml", "protocolMapper": kind, "config": config })
}

fn base64_of(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}
