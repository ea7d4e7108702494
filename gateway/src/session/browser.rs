//! The browser that a request comes from, for a store that keeps nothing itself: what it carries, and what it must carry
//! from now on.

use std::sync::{Mutex, PoisonError};

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::cookies::{CookieScope, own_pairs};

/// Whoever answers the request sends [`Browser::take_lines`] with the answer, whatever that is.
#[derive(Default)]
pub struct Browser<'a> {
    headers: Option<&'a HeaderMap>,
    lines: Mutex<Vec<String>>,
}

impl<'a> Browser<'a> {
    pub fn of(headers: &'a HeaderMap) -> Self {
        Self { headers: Some(headers), lines: Mutex::default() }
    }

    /// Carries nothing, and nobody asks what it must carry.
    pub fn none() -> Self {
        Self::default()
    }

    /// Our cookies, name and value, in the order of the request.
    pub(super) fn carried(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let headers = self.headers.into_iter().flat_map(|headers| headers.get_all(COOKIE));
        own_pairs(headers.map(HeaderValue::as_bytes))
    }

    /// The value of the first cookie of that name, which is one of ours.
    pub fn first(&self, name: &str) -> Option<&'a str> {
        self.carried().find(|(carried, _)| *carried == name).map(|(_, value)| value)
    }

    /// The value of the one cookie of that name; nothing where two have it.
    pub(super) fn carried_once(&self, name: &str) -> Option<&'a str> {
        let mut found = self.carried().filter(|(carried, _)| *carried == name).map(|(_, value)| value);
        found.next().filter(|_| found.next().is_none())
    }

    /// A Set-Cookie line, behind those that are there.
    pub(super) fn carry(&self, line: String) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// What it carries of a session's record goes.
    pub fn forget_record(&self, scope: &CookieScope) {
        let pieces = self.carried().filter(|(name, _)| scope.is_chunk(name));
        pieces.for_each(|(name, _)| self.carry(scope.lax(name, "", 0)));
    }

    /// What the answer sets, in this order.
    pub fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
