//! The kept forms of the memory store: bounded in bytes. For one too many, whoever holds most loses the oldest.
//!
//! So a flood from a few addresses pushes out its own forms, and not those of others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use saml_core::Timestamp;

use super::pending::network;
use super::ticket::FormKey;

/// How long a form waits for its user.
pub const FORM_SECONDS: i64 = 15 * 60;
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;
/// What an entry costs beside its content, generously: small forms must not be free.
pub(super) const ENTRY_BYTES: usize = 512;

/// The order of arrival.
type Number = u64;

#[derive(Default)]
pub(super) struct KeptForms {
    next: Number,
    bytes: usize,
    entries: BTreeMap<Number, Entry>,
    by_key: HashMap<FormKey, Number>,
    by_address: HashMap<IpAddr, Holding>,
    /// Every address with what it holds.
    by_weight: BTreeSet<(usize, IpAddr)>,
}

struct Entry {
    key: FormKey,
    sealed: Vec<u8>,
    created: Timestamp,
    address: IpAddr,
}

#[derive(Default)]
struct Holding {
    bytes: usize,
    numbers: BTreeSet<Number>,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.sealed.len().saturating_add(ENTRY_BYTES)
    }
}

impl KeptForms {
    pub(super) fn put(&mut self, key: FormKey, sealed: Vec<u8>, now: Timestamp, client: IpAddr) {
        self.sweep(now);
        self.take(&key);
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let entry = Entry { key, sealed, created: now, address: network(client) };
        self.weigh(entry.address, |holding| {
            holding.bytes = holding.bytes.saturating_add(entry.bytes());
            holding.numbers.insert(number);
        });
        self.bytes = self.bytes.saturating_add(entry.bytes());
        self.by_key.insert(key, number);
        self.entries.insert(number, entry);
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.oldest_of_heaviest() else { return };
            self.remove(oldest);
        }
    }

    pub(super) fn get(&self, key: &FormKey) -> Option<Vec<u8>> {
        let number = self.by_key.get(key)?;
        self.entries.get(number).map(|entry| entry.sealed.clone())
    }

    pub(super) fn take(&mut self, key: &FormKey) -> Option<Vec<u8>> {
        let number = self.by_key.get(key).copied()?;
        self.remove(number)
    }

    fn oldest_of_heaviest(&self) -> Option<Number> {
        let (_, address) = self.by_weight.last()?;
        self.by_address.get(address)?.numbers.first().copied()
    }

    fn sweep(&mut self, now: Timestamp) {
        while let Some((number, entry)) = self.entries.first_key_value() {
            if entry.created.plus_seconds(FORM_SECONDS) > now {
                return;
            }
            let number = *number;
            self.remove(number);
        }
    }

    fn remove(&mut self, number: Number) -> Option<Vec<u8>> {
        let entry = self.entries.remove(&number)?;
        self.by_key.remove(&entry.key);
        self.bytes = self.bytes.saturating_sub(entry.bytes());
        self.weigh(entry.address, |holding| {
            holding.bytes = holding.bytes.saturating_sub(entry.bytes());
            holding.numbers.remove(&number);
        });
        Some(entry.sealed)
    }

    fn weigh(&mut self, address: IpAddr, change: impl FnOnce(&mut Holding)) {
        let holding = self.by_address.entry(address).or_default();
        self.by_weight.remove(&(holding.bytes, address));
        change(holding);
        if holding.numbers.is_empty() {
            self.by_address.remove(&address);
        } else {
            self.by_weight.insert((holding.bytes, address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract::{at, form_key};
    use std::net::Ipv4Addr;

    const MEBIBYTE: usize = 1024 * 1024;

    fn client(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn a_flood_pushes_out_its_own_forms_and_no_others() {
        let mut forms = KeptForms::default();
        let (ours, first) = (form_key(), form_key());
        forms.put(ours, vec![1; MEBIBYTE], at(0), client(1));
        forms.put(first, vec![2; MEBIBYTE], at(0), client(2));
        let mut last = first;
        for _ in 0..200 {
            last = form_key();
            forms.put(last, vec![2; MEBIBYTE], at(0), client(2));
            assert!(forms.bytes <= MAX_BYTES);
        }
        assert!(forms.get(&ours).is_some() && forms.get(&last).is_some());
        assert!(forms.get(&first).is_none());
    }

    #[test]
    fn small_forms_are_bounded_too() {
        let mut forms = KeptForms::default();
        for _ in 0..MAX_BYTES / ENTRY_BYTES + 10 {
            forms.put(form_key(), Vec::new(), at(0), client(1));
        }
        assert_eq!(forms.entries.len(), MAX_BYTES / ENTRY_BYTES);
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let mut forms = KeptForms::default();
        let ours = form_key();
        forms.put(ours, vec![1; 2 * MEBIBYTE], at(0), client(1));
        for number in 0..200 {
            forms.put(form_key(), vec![2; MEBIBYTE], at(0), format!("2001:db8::{number:x}").parse().unwrap());
        }
        assert!(forms.get(&ours).is_some());
        assert_eq!(forms.by_address.len(), 2);
    }

    #[test]
    fn what_is_over_or_taken_leaves_nothing_behind() {
        let mut forms = KeptForms::default();
        let taken = form_key();
        forms.put(form_key(), vec![1], at(0), client(1));
        forms.put(taken, vec![1], at(FORM_SECONDS - 1), client(2));
        assert_eq!(forms.entries.len(), 2);
        assert!(forms.take(&taken).is_some());
        let last = form_key();
        forms.put(last, vec![1], at(FORM_SECONDS), client(3));
        assert!(forms.take(&last).is_some());
        assert_eq!((forms.bytes, forms.entries.len(), forms.by_key.len()), (0, 0, 0));
        assert!(forms.by_address.is_empty() && forms.by_weight.is_empty());
    }
}
