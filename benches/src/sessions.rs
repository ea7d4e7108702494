//! Sessions of many users, for the benches of look-ups.

use std::hint::black_box;
use std::sync::Arc;

use gateway::session::{CookieScope, Session, SessionKey, SessionRecord, Sessions, Ticket};
use saml_core::{IdpId, Timestamp};

/// What the hot path does: the header in, the session out.
///
/// # Panics
/// The session is not in the cache.
pub fn find(sessions: &Sessions, header: &str, now: Timestamp) -> Arc<Session> {
    let ticket = CookieScope::Host.read_own([black_box(header).as_bytes()]).session.good().expect("a ticket");
    sessions.cached(&ticket.key(), now).expect("a session")
}

/// Between the cookies of others.
pub fn cookie_header(ticket: &Ticket) -> String {
    format!(
        "_ga=GA1.2.1718372611.1795445071; theme=dark; __Host-samlgate={}; csrftoken=7f3kq1Zk0m2Yp9sB4tQeXw8uL6nRvCdA; lang=en-GB",
        *ticket.to_cookie_value()
    )
}

/// # Panics
/// There is no ticket in it.
pub fn key_in(header: &str) -> SessionKey {
    CookieScope::Host.read_own([header.as_bytes()]).session.good().expect("a ticket").key()
}

/// Of somebody in 20 groups.
pub fn record(user: usize, now: Timestamp) -> SessionRecord {
    SessionRecord {
        idp: IdpId::parse("jumpcloud").expect("an id"),
        unique_id: format!("65f1c0ffee{user:014x}").into(),
        email: format!("user{user}@example.com").into(),
        username: None,
        first_name: Some("Ada".into()),
        last_name: Some("Lovelace".into()),
        groups: (0..20).map(|group| format!("team-{group:02}")).collect(),
        further: None,
        created: now,
        expires: now.plus_seconds(28_800),
        idp_session: None,
    }
}

/// Random places, the same in every run (Numerical Recipes' generator): a browser's next request is not its neighbour's.
pub struct Order {
    state: u64,
    count: usize,
}

impl Order {
    pub fn among(count: usize) -> Self {
        Self { state: u64::from_be_bytes(*b"samlgate"), count }
    }

    #[expect(clippy::should_implement_trait, reason = "it has no end, and callers want a number")]
    pub fn next(&mut self) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % self.count
    }
}
