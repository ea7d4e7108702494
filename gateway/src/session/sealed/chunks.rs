//! A sealed record as cookies, `__Host-samlgate-1` and so on: base64url in pieces, of which the first says how many.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::session::browser::Browser;
use crate::session::cookies::CookieScope;
use crate::session::store::StoreError;

/// Of a value. Browsers keep 4096 bytes of name and value (RFC 6265bis §5.6).
const PIECE_BYTES: usize = 3_800;
/// Of all names and values. With the ticket and the logins under way it stays below 7 kB: servers take 8 kB of headers.
pub(super) const MOST_BYTES: usize = 6_000;
/// More never fits.
const MOST_PIECES: usize = 2;

/// Has the browser carry it, and drop what it carries of a longer one.
///
/// # Errors
/// It is too long.
pub(super) fn put(
    scope: &CookieScope,
    browser: &Browser<'_>,
    sealed: &[u8],
    max_age_seconds: i64,
) -> Result<(), StoreError> {
    let text = URL_SAFE_NO_PAD.encode(sealed);
    let pieces = text.len().div_ceil(PIECE_BYTES);
    let names: Vec<String> = (1..=pieces).map(|number| scope.chunk_name(number)).collect();
    let bytes = text.len() + "2.".len() + names.iter().map(|name| name.len() + "=".len()).sum::<usize>();
    if pieces > MOST_PIECES || bytes > MOST_BYTES {
        return Err(StoreError::SessionTooLarge { bytes, limit: MOST_BYTES });
    }
    let mut rest = text.as_str();
    for (index, name) in names.iter().enumerate() {
        let (piece, others) = rest.split_at(rest.len().min(PIECE_BYTES));
        rest = others;
        let value = if index == 0 { format!("{pieces}.{piece}") } else { piece.to_owned() };
        browser.carry(scope.lax(name, &value, max_age_seconds));
    }
    for (name, _) in
        browser.carried().filter(|(name, _)| scope.is_chunk(name) && !names.iter().any(|kept| kept == name))
    {
        browser.carry(scope.lax(name, "", 0));
    }
    Ok(())
}

/// Nothing where a piece is missing, stands there twice, or is no base64url.
pub(super) fn carried(scope: &CookieScope, browser: &Browser<'_>) -> Option<Vec<u8>> {
    let (pieces, first) = browser.carried_once(&scope.chunk_name(1))?.split_once('.')?;
    let pieces = pieces.parse().ok().filter(|pieces| (1..=MOST_PIECES).contains(pieces))?;
    let mut text = first.to_owned();
    for number in 2..=pieces {
        text.push_str(browser.carried_once(&scope.chunk_name(number))?);
    }
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// How many bytes of pieces the browser carries.
pub(super) fn bytes_carried(scope: &CookieScope, browser: &Browser<'_>) -> usize {
    browser.carried().filter(|(name, _)| scope.is_chunk(name)).map(|(name, value)| name.len() + 1 + value.len()).sum()
}
