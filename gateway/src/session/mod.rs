//! Sessions and pending logins, and the store that keeps them.

mod cache;
mod cookies;
mod follow;
mod groups;
mod memory;
mod pending;
mod pending_logout;
mod redis;
mod revocation;
mod rounds;
mod store;
mod ticket;
mod types;
#[cfg(test)]
mod watched;

#[cfg(any(test, feature = "test-support"))]
pub mod contract;

pub use cache::{OpenError, SessionLimits, Sessions};
pub use cookies::{
    Credential, LOGIN_COOKIE, OwnCookies, SESSION_COOKIE, Stripped, clear_login_cookie, clear_session_cookie,
    is_own_set_cookie, login_cookie, read_own, session_cookie, strip_own,
};
pub use groups::Groups;
pub use memory::MemoryStore;
pub use pending::PENDING_SECONDS;
pub use redis::RedisStore;
pub use revocation::{Effect, Revocation, Target};
pub use rounds::Rounds;
pub use store::{ClaimOutcome, Cursor, PendingState, Place, SessionStore, StoreError, TakeOutcome};
pub use ticket::{BindingHash, BrowserBinding, RandomError, SessionKey, Ticket};
pub use types::{
    Attribute, EndedSession, IdpSession, Landing, PendingLogin, PendingLogout, Session, SessionRecord, StoredSession,
};
