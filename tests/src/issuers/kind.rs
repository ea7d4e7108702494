//! The issuers: how each is started, what it calls itself, and where it is asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::modes::{LOGOUT, Mode, Outcome, PLAIN, SEALED, SEALED_AS_SHIPPED, SIGNED_REQUESTS};
use crate::issuer::Sign;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Samlp,
    Pysaml2,
    SimpleSamlPhp,
    LemonLdap,
    Keycloak,
}

/// The suite's own files, and the folder into which `run` puts what it installs.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) suite: PathBuf,
    pub(super) cache: PathBuf,
}

impl Kind {
    /// Keycloak, which takes longest to start, comes last.
    pub(super) const ALL: [Self; 5] =
        [Self::Samlp, Self::Pysaml2, Self::SimpleSamlPhp, Self::LemonLdap, Self::Keycloak];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Samlp => "samlp",
            Self::Pysaml2 => "pysaml2",
            Self::SimpleSamlPhp => "simplesamlphp",
            Self::LemonLdap => "lemonldap",
            Self::Keycloak => "keycloak",
        }
    }

    pub(super) fn entity_id(self, origin: &str) -> String {
        match self {
            Self::Samlp => "samlp-issuer".to_owned(),
            Self::Pysaml2 => format!("{origin}/metadata"),
            Self::SimpleSamlPhp => format!("{origin}/saml2/idp/metadata.php"),
            Self::LemonLdap => format!("{origin}/saml/metadata"),
            Self::Keycloak => format!("{origin}/realms/{}", super::keycloak::REALM),
        }
    }

    pub(super) fn sso_url(self, origin: &str) -> String {
        match self {
            Self::Samlp | Self::Pysaml2 => format!("{origin}/sso"),
            Self::SimpleSamlPhp => format!("{origin}/saml2/idp/SSOService.php"),
            Self::LemonLdap => format!("{origin}/saml/singleSignOn"),
            Self::Keycloak => format!("{origin}/realms/{}/protocol/saml", super::keycloak::REALM),
        }
    }

    /// Where it takes LogoutRequests, and where LogoutResponses.
    pub(super) fn slo_urls(self, origin: &str) -> [String; 2] {
        match self {
            Self::Samlp | Self::Pysaml2 => [format!("{origin}/logout"), format!("{origin}/logout")],
            Self::SimpleSamlPhp => {
                let url = format!("{origin}/saml2/idp/SingleLogoutService.php");
                [url.clone(), url]
            }
            Self::LemonLdap => [format!("{origin}/saml/singleLogout"), format!("{origin}/saml/singleLogoutReturn")],
            Self::Keycloak => [self.sso_url(origin), self.sso_url(origin)],
        }
    }

    /// Where people go to sign out at the issuer itself.
    pub(super) fn logout_url(self, origin: &str) -> String {
        match self {
            Self::Samlp | Self::Pysaml2 => format!("{origin}/logout"),
            Self::SimpleSamlPhp => format!("{origin}/saml2/idp/initSLO.php?RelayState={origin}{}", self.ready_path()),
            Self::LemonLdap => format!("{origin}/?logout=1"),
            Self::Keycloak => {
                format!("{origin}/realms/{}/protocol/openid-connect/logout", super::keycloak::REALM)
            }
        }
    }

    /// What answers once it runs.
    pub(super) fn ready_path(self) -> String {
        match self {
            Self::Samlp | Self::Pysaml2 => "/ready".to_owned(),
            Self::SimpleSamlPhp => "/saml2/idp/metadata.php".to_owned(),
            Self::LemonLdap => "/saml/metadata".to_owned(),
            Self::Keycloak => format!("/realms/{}", super::keycloak::REALM),
        }
    }

    pub(super) fn patience(self) -> Duration {
        Duration::from_secs(if self == Self::Keycloak { 300 } else { 60 })
    }

    /// Which rows of the table it can answer.
    pub(super) fn modes(self) -> Vec<Mode> {
        let mut modes = PLAIN.to_vec();
        // Lasso signs every assertion, whatever is asked of it.
        if self == Self::LemonLdap {
            for mode in modes.iter_mut().filter(|mode| mode.signs == Sign::Response) {
                *mode = Mode { signs: Sign::Both, cannot: Some("sign the response alone"), ..*mode };
            }
        }
        modes.push(SIGNED_REQUESTS);
        // The settings of SimpleSAMLphp 1.19 and of Lasso know no cipher but CBC.
        if matches!(self, Self::Samlp | Self::Pysaml2 | Self::Keycloak) {
            modes.extend(SEALED);
        }
        if matches!(self, Self::SimpleSamlPhp | Self::LemonLdap) {
            modes.push(Mode { cannot: Some("encrypt by AES-GCM"), ..SEALED_AS_SHIPPED });
        }
        // It takes AES-256-GCM under rsa-oaep with SHA-256.
        if self == Self::Keycloak {
            modes.push(Mode { name: "sealed-default", outcome: Outcome::Admitted, ..SEALED_AS_SHIPPED });
        }
        // It binds the prefixes of the response anew inside the encrypted part, which stops us before the cipher does.
        if self == Self::Pysaml2 {
            modes.push(Mode { outcome: Outcome::Refused("xml_namespace_forbidden"), ..SEALED_AS_SHIPPED });
        }
        if self.has_single_logout() {
            modes.extend(LOGOUT);
        }
        modes
    }

    /// Pysaml2's is left out: what of it answers logouts would be ours.
    pub(super) fn has_single_logout(self) -> bool {
        self != Self::Pysaml2
    }

    /// Whether it has the other applications sign out in frames. The page by which ours answers HTTP-POST is not shown
    /// in one: the session there has ended, and the issuer does not hear of it.
    pub(super) fn signs_out_in_frames(self) -> bool {
        self == Self::LemonLdap
    }

    /// The server's command; `folder` is where it may write, and holds `issuer.json`.
    pub(super) fn command(self, places: &Places, folder: &Path, port: u16) -> Command {
        let suite = places.suite.join(self.name());
        let cache = places.cache.join(self.name());
        let mut command = match self {
            Self::Samlp => {
                let mut node = Command::new("node");
                node.arg(suite.join("idp.mjs"));
                node
            }
            Self::Pysaml2 => {
                let mut python = Command::new(cache.join("bin/python"));
                python.arg("-B").arg(suite.join("idp.py"));
                python
            }
            Self::SimpleSamlPhp => {
                let mut php = Command::new("php");
                php.args([
                    "-d",
                    "error_reporting=E_ALL & ~E_DEPRECATED",
                    "-d",
                    "display_errors=0",
                    "-d",
                    "log_errors=1",
                ]);
                php.args(["-S", &format!("127.0.0.1:{port}"), "-t"]).arg(cache.join("usr/share/simplesamlphp/www"));
                php.env("SIMPLESAMLPHP_CONFIG_DIR", &suite);
                php
            }
            Self::LemonLdap => {
                let mut plackup = Command::new("plackup");
                plackup.args(["--no-default-middleware", "--env", "deployment", "--host", "127.0.0.1", "--port"]);
                plackup.arg(port.to_string()).arg(suite.join("portal.psgi"));
                plackup.env("PERL5LIB", cache.join("usr/share/perl5"));
                plackup.env("ISSUER_PACKAGE", &cache);
                plackup
            }
            Self::Keycloak => super::keycloak::command(&cache, folder, port),
        };
        command.env("ISSUER_FILE", folder.join("issuer.json")).current_dir(folder);
        command
    }
}
