//! Logins under way, each in a cookie of its own, named by a hash of the request ID.
//!
//! `SameSite=None`, for the response comes as a POST from the IdP's site. Who has used one carries it on as used: so a
//! response that comes again finds its way home, at every replica.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use saml_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::return_url::origin_of;
use crate::sealing::{Purpose, Seal};
use crate::session::browser::Browser;
use crate::session::cookies::{LOGIN_COOKIE, across_sites, clear};
use crate::session::pending::{MAX_PER_BROWSER, PENDING_SECONDS};
use crate::session::store::StoreError;
use crate::session::ticket::sha256;
use crate::session::types::PendingLogin;
use crate::session::wire::{self, Login};

/// Of all names and values.
const MOST_BYTES: usize = 3_000;
/// Of these and the session's pieces.
const MOST_WITH_SESSION: usize = 6_800;

#[derive(Serialize, Deserialize)]
struct Content {
    id: String,
    is_used: bool,
    login: Login,
}

pub(super) struct Carried {
    pub(super) is_used: bool,
    pub(super) login: PendingLogin,
}

/// The oldest go for it. One whose return URL is too long for a cookie leads to the front page.
pub(super) fn put(
    seal: &Seal,
    browser: &Browser<'_>,
    bytes_of_session: usize,
    id: &str,
    login: &PendingLogin,
) -> Result<(), StoreError> {
    let budget = MOST_BYTES.min(MOST_WITH_SESSION.saturating_sub(bytes_of_session));
    let name = name_of(id);
    let mut value = value_of(seal, &name, id, false, login)?;
    if name.len() + 1 + value.len() > budget {
        let front_page = format!("{}/", origin_of(&login.return_url)).into();
        let short = PendingLogin { return_url: front_page, ..login.clone() };
        value = value_of(seal, &name, id, false, &short)?;
    }
    let mut others: Vec<_> = browser
        .carried()
        .filter(|(other, _)| other.starts_with(LOGIN_COOKIE) && *other != LOGIN_COOKIE && *other != name)
        .map(|(other, value)| (age(seal, other, value), other, other.len() + 1 + value.len()))
        .collect();
    others.sort_unstable();
    let mut bytes = name.len() + 1 + value.len() + others.iter().map(|(.., bytes)| bytes).sum::<usize>();
    let mut count = others.len() + 1;
    for (_, other, of_other) in others {
        if count <= MAX_PER_BROWSER && bytes <= budget {
            break;
        }
        browser.carry(clear(other));
        (count, bytes) = (count - 1, bytes - of_other);
    }
    browser.carry(across_sites(&name, &value, PENDING_SECONDS));
    Ok(())
}

pub(super) fn carried(seal: &Seal, browser: &Browser<'_>, id: &str) -> Option<Carried> {
    let name = name_of(id);
    let content = open(seal, &name, browser.carried_once(&name)?).filter(|content| content.id == id)?;
    Some(Carried { is_used: content.is_used, login: content.login.into_login()? })
}

/// From now on it is used, wherever it is read.
pub(super) fn mark_used(
    seal: &Seal,
    browser: &Browser<'_>,
    id: &str,
    login: &PendingLogin,
    now: Timestamp,
) -> Result<(), StoreError> {
    let name = name_of(id);
    let value = value_of(seal, &name, id, true, login)?;
    let left = login.created.plus_seconds(PENDING_SECONDS).unix_seconds().saturating_sub(now.unix_seconds());
    browser.carry(across_sites(&name, &value, left));
    Ok(())
}

/// What cannot be read goes first, then what is used, then the oldest.
fn age(seal: &Seal, name: &str, value: &str) -> (u8, i64) {
    let content = open(seal, name, value).and_then(|content| Some((content.is_used, content.login.into_login()?)));
    match content {
        None => (0, 0),
        Some((true, login)) => (1, login.created.unix_seconds()),
        Some((false, login)) => (2, login.created.unix_seconds()),
    }
}

fn value_of(seal: &Seal, name: &str, id: &str, is_used: bool, login: &PendingLogin) -> Result<String, StoreError> {
    let content = Content { id: id.to_owned(), is_used, login: Login::of(login) };
    Ok(URL_SAFE_NO_PAD.encode(seal.seal(Purpose::CarriedLogin, name.as_bytes(), &wire::encode(&content))?))
}

fn open(seal: &Seal, name: &str, value: &str) -> Option<Content> {
    wire::decode(&seal.open(Purpose::CarriedLogin, name.as_bytes(), &URL_SAFE_NO_PAD.decode(value).ok()?)?)
}

fn name_of(id: &str) -> String {
    let hash: String = sha256(id.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{LOGIN_COOKIE}-{hash}")
}
