//! IdP, application and gateway together: what most end-to-end tests begin with.

use crate::browser::{Browser, Tab};
use crate::gateway::{Gateway, GatewayBuilder, IDP_ENTITY_ID, Program};
use crate::idp::{Idp, IdpOptions, IdpSettings};
use crate::issuer::Sign;
use crate::upstream::Upstream;

/// The gateway on `http://localhost`, the IdP on `http://127.0.0.1`: two sites, so that the ACS POST is cross-site.
pub struct World {
    pub idp: Idp,
    pub upstream: Upstream,
    pub gateway: Gateway,
    pub browser: Browser,
}

impl World {
    /// With default settings, and the IdP signing assertion and response as the gateway wants it by default.
    pub async fn start(program: Program) -> Self {
        Self::start_with(program, |gateway| gateway).await
    }

    pub async fn start_with(program: Program, settings: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        Self::start_with_idp(program, |gateway, _| settings(gateway)).await
    }

    /// As [`World::start_with`], with settings that name addresses of the IdP.
    pub async fn start_with_idp(
        program: Program,
        settings: impl FnOnce(GatewayBuilder, &Idp) -> GatewayBuilder,
    ) -> Self {
        let gateway = GatewayBuilder::new(program);
        let mut of_idp = IdpSettings::new(IDP_ENTITY_ID, &gateway.sp_entity_id(), &gateway.acs_url());
        of_idp.sign = Sign::Both;
        let idp = Idp::start(IdpOptions::new(of_idp)).await;
        let upstream = Upstream::start().await;
        let gateway = settings(gateway.trust(&idp).protect(&upstream), &idp).start().await;
        Self { idp, upstream, gateway, browser: Browser::new() }
    }

    /// Visits `path` in a new tab and signs in with the IdP's form where it comes up. The gateway's login page, if
    /// it is shown, is left by its first link to the IdP.
    pub async fn sign_in(&self, username: &str, path: &str) -> Tab {
        let mut tab = self.at_idp(path).await;
        self.idp.sign_in(&mut tab, username).await;
        tab.auto_submit().await;
        tab
    }

    /// A tab that shows the IdP's login form after a visit to `path`.
    pub async fn at_idp(&self, path: &str) -> Tab {
        let mut tab = self.browser.tab();
        tab.visit(&self.gateway.url(path)).await;
        if tab.page().url.as_str().starts_with(self.gateway.public_url()) {
            let start = tab.page().links().into_iter().find(|link| link.url.path().starts_with("/saml/start"));
            let start = start.unwrap_or_else(|| panic!("no link to the IdP: {}", tab.page().body));
            tab.follow(start.url.as_str()).await;
        }
        tab
    }
}
