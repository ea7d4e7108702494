//! Sessions and pending logins, and the store that keeps them.

mod browser;
mod cache;
mod claims;
mod cookies;
mod follow;
mod groups;
mod kept_forms;
mod memory;
mod pending;
mod pending_logout;
mod redis;
mod revocation;
mod rounds;
mod sealed;
mod store;
mod streams;
mod ticket;
mod types;
#[cfg(test)]
mod watched;
mod wire;

#[cfg(any(test, feature = "test-support"))]
pub mod contract;

pub use browser::Browser;
pub use cache::{OpenError, SessionLimits, Sessions};
pub use cookies::{
    CookieScope, Credential, FormCookie, LOGIN_COOKIE, OwnCookies, Stripped, clear_login_cookie, is_own_set_cookie,
    login_cookie, strip_own,
};
pub use groups::Groups;
pub use kept_forms::FORM_SECONDS;
pub use memory::MemoryStore;
pub use pending::PENDING_SECONDS;
pub(crate) use pending::network;
pub use redis::RedisStore;
pub use revocation::{Effect, Revocation, Target};
pub use rounds::Rounds;
pub use sealed::SealedStore;
pub use store::{ClaimOutcome, Cursor, KeepOutcome, PendingState, Place, SessionStore, StoreError, TakeOutcome};
pub use streams::{StreamEnd, Watch, on_one_connection};
pub use ticket::{BindingHash, BrowserBinding, FormId, FormKey, FormSecret, RandomError, SessionKey, Ticket};
pub use types::{
    Attribute, EndedSession, FurtherClaims, IdpSession, Landing, PendingLogin, PendingLogout, Session, SessionRecord,
    StoredSession,
};
