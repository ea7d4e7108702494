//! The secrets that browsers hold, and the hashes that we keep of them.

use std::hash::{Hash, Hasher};

use aws_lc_rs::digest;
use aws_lc_rs::rand::SecureRandom;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The operating system gave no random bytes; nothing secret can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random source failed")]
pub struct RandomError;

/// 32 bytes in base64url without padding.
const ENCODED_LENGTH: usize = 43;

/// The 256 random bits of a session cookie. Stores and logs never see them.
///
/// No `Debug`, `Display` or `Clone`, so that it cannot slip into a log or outlive its owner:
///
/// ```compile_fail
/// fn shown(ticket: gateway::session::Ticket) -> String { format!("{ticket:?}") }
/// ```
pub struct Ticket(Zeroizing<[u8; 32]>);

/// SHA-256 of a [`Ticket`]: the name of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey([u8; 32]);

/// The 256 random bits of the login cookie, shared by the tabs of one browser.
///
/// ```compile_fail
/// fn copied(binding: &gateway::session::BrowserBinding) -> gateway::session::BrowserBinding { binding.clone() }
/// ```
pub struct BrowserBinding(Zeroizing<[u8; 32]>);

/// SHA-256 of a [`BrowserBinding`]; compared in constant time.
#[derive(Clone, Copy)]
pub struct BindingHash([u8; 32]);

/// The 256 random bits of a form cookie: they open one kept form, and are the handle that replays it.
///
/// ```compile_fail
/// fn shown(secret: gateway::session::FormSecret) -> String { format!("{secret:?}") }
/// ```
pub struct FormSecret(Zeroizing<[u8; 32]>);

/// SHA-256 of a [`FormSecret`]: what a store knows a kept form by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FormKey([u8; 32]);

/// The beginning of a [`FormKey`]. It names the form in URLs and opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormId([u8; 8]);

impl Ticket {
    /// # Errors
    /// The random source failed.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        random_secret(random).map(Self)
    }

    /// 43 characters of base64url in their one canonical form; anything else is no ticket.
    pub fn parse(text: &[u8]) -> Option<Self> {
        parse_secret(text).map(Self)
    }

    pub fn key(&self) -> SessionKey {
        SessionKey(sha256(self.0.as_slice()))
    }

    /// What the session's record is encrypted with, where it is kept by others.
    pub(super) fn secret(&self) -> &[u8] {
        self.0.as_slice()
    }

    pub fn to_cookie_value(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }
}

impl BrowserBinding {
    /// # Errors
    /// The random source failed.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        random_secret(random).map(Self)
    }

    /// As [`Ticket::parse`].
    pub fn parse(text: &[u8]) -> Option<Self> {
        parse_secret(text).map(Self)
    }

    pub fn hash(&self) -> BindingHash {
        BindingHash(sha256(self.0.as_slice()))
    }

    pub fn to_cookie_value(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }
}

impl FormSecret {
    /// # Errors
    /// The random source failed.
    pub fn generate(random: &dyn SecureRandom) -> Result<Self, RandomError> {
        random_secret(random).map(Self)
    }

    /// As [`Ticket::parse`].
    pub fn parse(text: &[u8]) -> Option<Self> {
        parse_secret(text).map(Self)
    }

    pub fn key(&self) -> FormKey {
        FormKey(sha256(self.0.as_slice()))
    }

    /// What the form is encrypted with.
    pub(crate) fn secret(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// 43 characters, as the cookie and the replay page hold them.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }
}

impl FormKey {
    /// 43 characters of base64url in their one canonical form.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        parse_secret(text).map(|bytes| Self(*bytes))
    }

    pub(super) fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn id(&self) -> FormId {
        FormId(self.0.first_chunk().copied().unwrap_or_default())
    }
}

impl FormId {
    pub(super) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(self) -> [u8; 8] {
        self.0
    }

    /// 16 hexadecimal digits, as [`Display`](std::fmt::Display) writes them.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = u64::from_str_radix(text, 16).ok()?.to_be_bytes();
        // Neither capitals nor a sign: one form has one name.
        Some(Self(bytes)).filter(|id| id.to_string() == text)
    }
}

impl std::fmt::Display for FormId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl SessionKey {
    /// Before every other, for ranges.
    pub(super) const FIRST: Self = Self([0; 32]);

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As [`Ticket::parse`], of what [`SessionKey::as_text`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        parse_secret(text.as_bytes()).map(|bytes| Self(*bytes))
    }

    /// Names the session and opens nothing: only the ticket does.
    pub fn as_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl BindingHash {
    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// In constant time, so that a guess learns nothing from how long the answer takes.
    pub fn matches(&self, binding: &BrowserBinding) -> bool {
        self.0.ct_eq(&binding.hash().0).into()
    }
}

impl Hash for SessionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let first = self.0.first_chunk::<8>().copied().unwrap_or_default();
        state.write_u64(u64::from_le_bytes(first));
    }
}

/// The hasher of maps by [`SessionKey`]. A key is already a hash, and only keys of tickets that we drew
/// are ever inserted, so nobody can choose keys that collide.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

fn random_secret(random: &dyn SecureRandom) -> Result<Zeroizing<[u8; 32]>, RandomError> {
    let mut bytes = Zeroizing::new([0; 32]);
    random.fill(bytes.as_mut_slice()).map_err(|aws_lc_rs::error::Unspecified| RandomError)?;
    Ok(bytes)
}

fn parse_secret(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != ENCODED_LENGTH {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    let written = URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()).ok()?;
    (written == bytes.len()).then_some(bytes)
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = digest::digest(&digest::SHA256, bytes);
    hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;

    #[test]
    fn ticket_survives_its_cookie() {
        let ticket = Ticket::generate(&SystemRandom::new()).unwrap();
        let text = ticket.to_cookie_value();
        assert_eq!(text.len(), ENCODED_LENGTH);
        assert!(Ticket::parse(text.as_bytes()).unwrap().key() == ticket.key());
    }

    #[test]
    fn two_tickets_differ() {
        let random = SystemRandom::new();
        assert!(Ticket::generate(&random).unwrap().key() != Ticket::generate(&random).unwrap().key());
    }

    #[test]
    fn refuses_every_other_spelling_of_a_ticket() {
        let good = "A".repeat(43);
        assert!(Ticket::parse(good.as_bytes()).is_some());
        for bad in [
            "A".repeat(42),
            "A".repeat(44),
            format!("{}=", "A".repeat(42)),
            format!("{}=", "A".repeat(43)),
            // The last character carries four bits; with a fifth set it would name the same 32 bytes.
            format!("{}B", "A".repeat(42)),
            format!("{}+", "A".repeat(42)),
            format!("/{}", "A".repeat(42)),
            format!(" {}", "A".repeat(42)),
            format!("\"{}\"", "A".repeat(41)),
            String::new(),
        ] {
            assert!(Ticket::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn key_is_sha256_of_the_bits() {
        // `printf '\0%.0s' {1..32} | sha256sum`
        let key = Ticket::parse("A".repeat(43).as_bytes()).unwrap().key();
        assert_eq!(key.as_bytes()[..4], [0x66, 0x68, 0x7a, 0xad]);
    }

    #[test]
    fn a_form_has_one_name() {
        let key = FormSecret::parse("A".repeat(43).as_bytes()).unwrap().key();
        assert_eq!(key.id().to_string(), "66687aadf862bd77");
        assert_eq!(FormId::parse("66687aadf862bd77"), Some(key.id()));
        for other in
            ["", "66687AADF862BD77", "+6687aadf862bd77", "66687aadf862bd7", "066687aadf862bd77", "66687aadf862bd7g"]
        {
            assert_eq!(FormId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn binding_matches_only_its_own_hash() {
        let random = SystemRandom::new();
        let (one, other) = (BrowserBinding::generate(&random).unwrap(), BrowserBinding::generate(&random).unwrap());
        assert!(one.hash().matches(&one));
        assert!(!one.hash().matches(&other));
        let read = BrowserBinding::parse(one.to_cookie_value().as_bytes()).unwrap();
        assert!(one.hash().matches(&read));
    }
}
