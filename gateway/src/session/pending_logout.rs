//! The pending logouts of the memory store: bounded by address and in all; the oldest goes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use saml_core::{RequestId, Timestamp};

use super::pending::{PENDING_SECONDS, network};
use super::types::PendingLogout;

const MAX_PER_ADDRESS: usize = 10_000;
const MAX_IN_ALL: usize = 50_000;

/// The order of arrival.
type Number = u64;

#[derive(Default)]
pub(super) struct PendingLogouts {
    next: Number,
    entries: BTreeMap<Number, Entry>,
    by_id: HashMap<Box<str>, Number>,
    by_address: HashMap<IpAddr, BTreeSet<Number>>,
}

struct Entry {
    id: Box<str>,
    logout: PendingLogout,
    address: IpAddr,
}

impl PendingLogouts {
    pub(super) fn put(&mut self, id: &RequestId, logout: PendingLogout, client: IpAddr) {
        self.sweep(logout.created);
        let address = network(client);
        let crowded = self.by_address.get(&address).filter(|numbers| numbers.len() >= MAX_PER_ADDRESS);
        let oldest_there = crowded.and_then(|numbers| numbers.first().copied());
        let oldest = self.entries.keys().next().copied().filter(|_| self.entries.len() >= MAX_IN_ALL);
        for number in [oldest_there, oldest, self.by_id.get(id.as_str()).copied()].into_iter().flatten() {
            self.remove(number);
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.by_id.insert(id.as_str().into(), number);
        self.by_address.entry(address).or_default().insert(number);
        self.entries.insert(number, Entry { id: id.as_str().into(), logout, address });
    }

    pub(super) fn take(&mut self, id: &str, now: Timestamp) -> Option<PendingLogout> {
        let number = self.by_id.get(id).copied()?;
        self.remove(number).filter(|logout| !is_over(logout, now))
    }

    fn sweep(&mut self, now: Timestamp) {
        while let Some((number, entry)) = self.entries.first_key_value() {
            if !is_over(&entry.logout, now) {
                return;
            }
            let number = *number;
            self.remove(number);
        }
    }

    fn remove(&mut self, number: Number) -> Option<PendingLogout> {
        let entry = self.entries.remove(&number)?;
        self.by_id.remove(&entry.id);
        if let Some(numbers) = self.by_address.get_mut(&entry.address) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_address.remove(&entry.address);
            }
        }
        Some(entry.logout)
    }
}

fn is_over(logout: &PendingLogout, now: Timestamp) -> bool {
    logout.created.plus_seconds(PENDING_SECONDS) <= now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract::at;
    use saml_core::IdpId;
    use std::net::Ipv4Addr;

    fn id(number: u32) -> RequestId {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        RequestId::from_random(bytes)
    }

    fn logout(created: i64) -> PendingLogout {
        PendingLogout { idp: IdpId::parse("okta").unwrap(), created: at(created) }
    }

    #[test]
    fn one_address_has_its_bound_and_another_is_not_touched() {
        let mut logouts = PendingLogouts::default();
        let most = MAX_PER_ADDRESS as u32;
        logouts.put(&id(most + 1), logout(0), Ipv4Addr::new(192, 0, 2, 2).into());
        (0..=most).for_each(|number| logouts.put(&id(number), logout(0), Ipv4Addr::new(192, 0, 2, 1).into()));
        assert!(logouts.take(id(0).as_str(), at(1)).is_none());
        assert!((1..=most + 1).all(|number| logouts.take(id(number).as_str(), at(1)).is_some()));
        assert!(logouts.entries.is_empty() && logouts.by_id.is_empty() && logouts.by_address.is_empty());
    }

    #[test]
    fn all_together_have_a_bound_and_what_is_over_is_swept() {
        let mut logouts = PendingLogouts::default();
        let most = MAX_IN_ALL as u32;
        (0..=most).for_each(|number| logouts.put(&id(number), logout(0), Ipv4Addr::from_bits(number).into()));
        assert_eq!(logouts.entries.len(), MAX_IN_ALL);
        assert!(logouts.take(id(0).as_str(), at(1)).is_none());
        logouts.put(&id(0), logout(PENDING_SECONDS), Ipv4Addr::LOCALHOST.into());
        assert_eq!((logouts.entries.len(), logouts.by_id.len(), logouts.by_address.len()), (1, 1, 1));
    }
}
