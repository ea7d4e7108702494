//! `GET /saml/userinfo`: who am I, as JSON for pages of the application.

use http::StatusCode;
use serde_json::json;

use super::Call;
use crate::pages::{Answer, json};
use crate::refusal::Refusal;

pub(super) fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    let record = &call.session.ok_or(Refusal::LoginRequired)?.record;
    Ok(json(
        StatusCode::OK,
        &json!({
            "idp": record.idp.as_str(),
            "user": record.unique_id,
            "email": record.email,
            "username": record.username,
            "first_name": record.first_name,
            "last_name": record.last_name,
            "groups": record.groups.iter().collect::<Vec<_>>(),
            "expires": record.expires.to_string(),
        }),
    ))
}
