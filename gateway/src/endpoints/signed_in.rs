//! `GET /saml/signed-in`: where a login in a pop-up ends. The page tells the windows of this site, and closes.
//!
//! It says nothing that a session would have to stand for: whoever hears it asks `/saml/userinfo`.

use http::StatusCode;

use super::Call;
use crate::pages::{Answer, Reach, SignedInPage, page};

pub(super) fn serve(call: &Call<'_>) -> Answer {
    let site = &call.gateway.site;
    page(site, StatusCode::OK, Reach::Ours, &SignedInPage { site })
}
