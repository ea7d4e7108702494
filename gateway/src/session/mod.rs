//! Sessions and pending logins, and the store that keeps them.

mod store;
mod ticket;
mod types;

pub use store::{ClaimOutcome, PendingState, SessionStore, StoreError, TakeOutcome};
pub use ticket::{BindingHash, BrowserBinding, SessionKey, Ticket};
pub use types::{PendingLogin, Session, SessionRecord};
