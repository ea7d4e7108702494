//! `GET /saml/metadata`: our SP metadata (SAML Metadata 2.0 §2.4.4).

use http::StatusCode;

use super::Call;
use crate::pages::{Answer, ours};

pub(super) fn serve(call: &Call<'_>) -> Answer {
    let xml = saml_core::sp_metadata(&call.gateway.settings.service_provider);
    ours(StatusCode::OK, "application/samlmetadata+xml", xml)
}
