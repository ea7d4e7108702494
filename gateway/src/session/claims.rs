//! What happens once, in the memory of one process: each is remembered until it could not happen anyway.

use std::collections::{BTreeSet, HashMap};

use saml_core::Timestamp;

use super::store::ClaimOutcome;

#[derive(Default)]
pub(super) struct Claims {
    until: HashMap<[u8; 32], Timestamp>,
    by_expiry: BTreeSet<(Timestamp, [u8; 32])>,
}

impl Claims {
    pub(super) fn claim(&mut self, key: [u8; 32], until: Timestamp, now: Timestamp) -> ClaimOutcome {
        while let Some((over, old)) = self.by_expiry.first().copied() {
            if over > now {
                break;
            }
            self.by_expiry.pop_first();
            self.until.remove(&old);
        }
        if self.until.contains_key(&key) {
            return ClaimOutcome::AlreadyClaimed;
        }
        self.until.insert(key, until);
        self.by_expiry.insert((until, key));
        ClaimOutcome::Claimed
    }

    pub(super) fn holds(&self, key: &[u8; 32]) -> bool {
        self.until.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_is_claimed_once_until_its_time_is_over() {
        let mut claims = Claims::default();
        let at = |seconds| Timestamp::from_unix(seconds, 0);
        assert_eq!(claims.claim([1; 32], at(100), at(0)), ClaimOutcome::Claimed);
        assert_eq!(claims.claim([1; 32], at(500), at(99)), ClaimOutcome::AlreadyClaimed);
        assert_eq!(claims.claim([2; 32], at(100), at(99)), ClaimOutcome::Claimed);
        assert_eq!(claims.claim([1; 32], at(200), at(100)), ClaimOutcome::Claimed);
    }

    #[test]
    fn claims_that_are_over_are_swept() {
        let mut claims = Claims::default();
        for number in 0..100 {
            let at = Timestamp::from_unix(number, 0);
            let mut key = [0; 32];
            key[0] = u8::try_from(number).unwrap();
            assert_eq!(claims.claim(key, at.plus_seconds(10), at), ClaimOutcome::Claimed);
        }
        assert_eq!((claims.until.len(), claims.by_expiry.len()), (10, 10));
    }
}
