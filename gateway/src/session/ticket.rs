//! The secrets that browsers hold, and the hashes that we keep of them.

/// The 256 random bits of a session cookie. Stores and logs never see them.
pub struct Ticket([u8; 32]);

/// SHA-256 of a [`Ticket`]: the name of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 32]);

/// The 256 random bits of the login cookie, shared by the tabs of one browser.
pub struct BrowserBinding([u8; 32]);

/// SHA-256 of a [`BrowserBinding`]; compared in constant time.
#[derive(Clone, Copy)]
pub struct BindingHash([u8; 32]);
