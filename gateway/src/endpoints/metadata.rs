//! `GET /saml/metadata`: our SP metadata (SAML Metadata 2.0 §2.4.4).

use http::StatusCode;
use saml_core::SpMetadata;

use super::Call;
use crate::pages::{Answer, ours};

pub(super) fn serve(call: &Call<'_>) -> Answer {
    let xml = SpMetadata::plain(&call.gateway.settings.service_provider).to_xml();
    ours(StatusCode::OK, "application/samlmetadata+xml", xml)
}
