//! How often a browser has come back from the IdP without getting a session: the guard against loops.

use saml_core::Timestamp;

/// Fresh logins that followed one another without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    count: u8,
    first: Timestamp,
}

/// After so many the browser is shown why, instead of being sent round again.
const LIMIT: u8 = 3;
/// Rounds count together while the first is younger than this.
const WINDOW_SECONDS: i64 = 120;

impl Rounds {
    pub fn none(now: Timestamp) -> Self {
        Self { count: 0, first: now }
    }

    /// What a URL or a cookie says. It may be forged: a high count shows the page earlier, and anything
    /// unreadable, too old or from the future counts as none.
    pub fn parse(text: &str, now: Timestamp) -> Self {
        let read = || {
            let (count, first) = text.split_once('-')?;
            Some(Self { count: count.parse().ok()?, first: Timestamp::from_unix(first.parse().ok()?, 0) })
        };
        read().map_or(Self::none(now), |rounds| rounds.at(now))
    }

    pub(super) fn to_parts(self) -> (u8, i64) {
        (self.count, self.first.unix_seconds())
    }

    pub(super) fn from_parts((count, first): (u8, i64)) -> Self {
        Self { count, first: Timestamp::from_unix(first, 0) }
    }

    /// The same, or none if they are over.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        let young = self.first <= now && now < self.first.plus_seconds(WINDOW_SECONDS);
        if young { self } else { Self::none(now) }
    }

    /// Whichever has seen more.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if other.count > self.count { other } else { self }
    }

    #[must_use]
    pub fn and_one_more(self) -> Self {
        Self { count: self.count.saturating_add(1), first: self.first }
    }

    #[must_use]
    pub fn at_least_one(self) -> Self {
        Self { count: self.count.max(1), first: self.first }
    }

    pub fn are_too_many(self) -> bool {
        self.count >= LIMIT
    }

    pub fn count(self) -> u8 {
        self.count
    }
}

impl std::fmt::Display for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.count, self.first.unix_seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds, 0)
    }

    #[test]
    fn three_rounds_in_two_minutes_are_too_many() {
        let mut rounds = Rounds::none(at(1000));
        for _ in 0..3 {
            assert!(!rounds.at(at(1119)).are_too_many());
            rounds = Rounds::parse(&rounds.and_one_more().to_string(), at(1119));
        }
        assert!(rounds.are_too_many());
        assert!(!rounds.at(at(1120)).are_too_many());
    }

    #[test]
    fn what_cannot_be_read_counts_as_none() {
        for text in ["", "3", "x-1000", "3-x", "300-1000", "3-1001", "3-880", "-1-1000", "3-99999999999999999999"] {
            assert_eq!(Rounds::parse(text, at(1000)), Rounds::none(at(1000)), "{text}");
        }
        assert!(Rounds::parse("255-1000", at(1000)).and_one_more().are_too_many());
    }
}
