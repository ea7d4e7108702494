//! `GET /saml/metadata`: our SP metadata (SAML Metadata 2.0 §2.4.4).

use http::StatusCode;
use saml_core::SpMetadata;

use super::Call;
use crate::pages::{Answer, ours};

pub(super) fn serve(call: &Call<'_>) -> Answer {
    let (settings, keys) = (&call.gateway.settings, call.gateway.keys().saml());
    let metadata = SpMetadata {
        sp: &settings.service_provider,
        signing: &keys.signing_certificates(),
        encryption: &keys.encryption_certificates(),
        // One document for all IdPs: one that is told so may refuse what is not signed.
        authn_requests_signed: settings.identity_providers.iter().all(|idp| idp.sign_requests),
        slo_url: settings.single_logout(),
    };
    ours(StatusCode::OK, "application/samlmetadata+xml", metadata.to_xml())
}
