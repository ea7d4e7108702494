//! The pending logins of the memory store: bounded by browser, by address and in all; the oldest goes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

use saml_core::{RequestId, Timestamp};

use super::store::{PendingState, TakeOutcome};
use super::types::PendingLogin;

/// How long a login may take.
pub const PENDING_SECONDS: i64 = 15 * 60;
/// An expired record is kept this much longer, so that its refusal can say `login_expired`.
pub(super) const REMEMBERED_SECONDS: i64 = PENDING_SECONDS;
pub(super) const MAX_PER_BROWSER: usize = 10;
/// Behind a proxy in front, or in a pod, everybody comes from one address: the bound must hold a Monday morning.
pub(super) const MAX_PER_ADDRESS: usize = 10_000;
pub(super) const MAX_IN_ALL: usize = 50_000;
pub(super) const MAX_REFUSALS: u8 = 5;

/// The order of arrival.
type Number = u64;

#[derive(Default)]
pub(super) struct PendingLogins {
    next: Number,
    entries: BTreeMap<Number, Entry>,
    by_id: HashMap<Box<str>, Number>,
    /// Only open entries count against the two bounds: a used one must not push out somebody's login.
    by_browser: HashMap<[u8; 32], BTreeSet<Number>>,
    by_address: HashMap<IpAddr, BTreeSet<Number>>,
}

struct Entry {
    id: Box<str>,
    login: PendingLogin,
    address: IpAddr,
    refusals: u8,
    used: bool,
}

impl PendingLogins {
    pub(super) fn put(&mut self, id: &RequestId, login: PendingLogin, client: IpAddr) {
        self.sweep(login.created);
        let (browser, address) = (*login.binding.as_bytes(), network(client));
        if let Some(repeated) = self.by_id.get(id.as_str()).copied() {
            self.drop_entry(repeated);
        }
        for oldest in [
            oldest_past(&self.by_browser, &browser, MAX_PER_BROWSER),
            oldest_past(&self.by_address, &address, MAX_PER_ADDRESS),
            self.entries.keys().next().copied().filter(|_| self.entries.len() >= MAX_IN_ALL),
        ] {
            oldest.into_iter().for_each(|number| self.drop_entry(number));
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.by_id.insert(id.as_str().into(), number);
        self.by_browser.entry(browser).or_default().insert(number);
        self.by_address.entry(address).or_default().insert(number);
        self.entries.insert(number, Entry { id: id.as_str().into(), login, address, refusals: 0, used: false });
    }

    pub(super) fn state(&self, id: &str, now: Timestamp) -> PendingState {
        let Some(entry) = self.by_id.get(id).and_then(|number| self.entries.get(number)) else {
            return PendingState::Unknown;
        };
        match (entry.used, is_over(&entry.login, PENDING_SECONDS, now)) {
            (true, false) => PendingState::Used(entry.login.clone()),
            (true, true) => PendingState::Unknown,
            (false, false) => PendingState::Open(entry.login.clone()),
            (false, true) if is_over(&entry.login, PENDING_SECONDS + REMEMBERED_SECONDS, now) => PendingState::Unknown,
            (false, true) => PendingState::Expired(entry.login.clone()),
        }
    }

    pub(super) fn take(&mut self, id: &str, now: Timestamp) -> TakeOutcome {
        let Some(number) = self.by_id.get(id).copied() else { return TakeOutcome::Lost };
        let Some(entry) = self.entries.get_mut(&number) else { return TakeOutcome::Lost };
        if entry.used || is_over(&entry.login, PENDING_SECONDS, now) {
            return TakeOutcome::Lost;
        }
        entry.used = true;
        let (browser, address) = (*entry.login.binding.as_bytes(), entry.address);
        forget(&mut self.by_browser, &browser, number);
        forget(&mut self.by_address, &address, number);
        TakeOutcome::Taken
    }

    pub(super) fn count_refusal(&mut self, id: &str) {
        let Some(number) = self.by_id.get(id).copied() else { return };
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if entry.used {
            return;
        }
        entry.refusals = entry.refusals.saturating_add(1);
        if entry.refusals >= MAX_REFUSALS {
            self.drop_entry(number);
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        while let Some((number, entry)) = self.entries.first_key_value() {
            if !is_over(&entry.login, PENDING_SECONDS + REMEMBERED_SECONDS, now) {
                return;
            }
            let number = *number;
            self.drop_entry(number);
        }
    }

    fn drop_entry(&mut self, number: Number) {
        let Some(entry) = self.entries.remove(&number) else { return };
        self.by_id.remove(&entry.id);
        forget(&mut self.by_browser, entry.login.binding.as_bytes(), number);
        forget(&mut self.by_address, &entry.address, number);
    }
}

fn is_over(login: &PendingLogin, seconds: i64, now: Timestamp) -> bool {
    login.created.plus_seconds(seconds) <= now
}

/// One household or company has a whole /64 of IPv6: bounding by single address would bound nothing.
pub(super) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

fn oldest_past<K: Hash + Eq>(index: &HashMap<K, BTreeSet<Number>>, key: &K, limit: usize) -> Option<Number> {
    index.get(key).filter(|numbers| numbers.len() >= limit).and_then(|numbers| numbers.first().copied())
}

fn forget<K: Hash + Eq>(index: &mut HashMap<K, BTreeSet<Number>>, key: &K, number: Number) {
    if let Some(numbers) = index.get_mut(key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::rounds::Rounds;
    use crate::session::ticket::BrowserBinding;
    use crate::session::types::Landing;
    use saml_core::{Authentication, IdpId};
    use std::net::Ipv4Addr;

    fn id(number: u32) -> RequestId {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        RequestId::from_random(bytes)
    }

    fn login(browser: u32, at: i64) -> PendingLogin {
        let mut text = [b'A'; 43];
        for (position, digit) in format!("{browser:08}").bytes().enumerate() {
            text[position] = digit;
        }
        PendingLogin {
            idp: IdpId::parse("jumpcloud").unwrap(),
            return_url: "/".into(),
            binding: BrowserBinding::parse(&text).unwrap().hash(),
            created: Timestamp::from_unix(at, 0),
            authentication: Authentication::Any,
            rounds: Rounds::none(Timestamp::from_unix(at, 0)),
            replaces: None,
            landing: Landing::ReturnUrl,
        }
    }

    fn is_open(logins: &PendingLogins, number: u32) -> bool {
        matches!(logins.state(id(number).as_str(), Timestamp::from_unix(0, 0)), PendingState::Open(_))
    }

    #[test]
    fn one_address_has_its_bound_and_another_is_not_touched() {
        let mut logins = PendingLogins::default();
        let (crowd, other) = (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)));
        let most = MAX_PER_ADDRESS as u32;
        logins.put(&id(most + 1), login(most + 1, 0), other);
        (0..=most).for_each(|number| logins.put(&id(number), login(number, 0), crowd));
        assert!(!is_open(&logins, 0));
        assert!((1..=most).all(|number| is_open(&logins, number)));
        assert!(is_open(&logins, most + 1));
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let mut logins = PendingLogins::default();
        for number in 0..=MAX_PER_ADDRESS as u32 {
            let client = format!("2001:db8::{number:x}").parse().unwrap();
            logins.put(&id(number), login(number, 0), client);
        }
        assert!(!is_open(&logins, 0));
        assert!(is_open(&logins, 1));
    }

    #[test]
    fn used_logins_do_not_push_out_open_ones() {
        let mut logins = PendingLogins::default();
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        logins.put(&id(0), login(0, 0), client);
        for number in 1..500 {
            logins.put(&id(number), login(number, 0), client);
            assert_eq!(logins.take(id(number).as_str(), Timestamp::from_unix(0, 0)), TakeOutcome::Taken);
        }
        assert!(is_open(&logins, 0));
    }

    #[test]
    fn all_together_have_a_bound() {
        let mut logins = PendingLogins::default();
        let most = MAX_IN_ALL as u32;
        for number in 0..=most {
            logins.put(&id(number), login(number, 0), IpAddr::V4(Ipv4Addr::from_bits(number)));
        }
        assert!(!is_open(&logins, 0));
        assert!(is_open(&logins, 1) && is_open(&logins, most));
        assert_eq!(logins.entries.len(), MAX_IN_ALL);
    }

    #[test]
    fn sweeping_leaves_nothing_behind() {
        let mut logins = PendingLogins::default();
        (0..50).for_each(|number| logins.put(&id(number), login(number, 0), IpAddr::V4(Ipv4Addr::from_bits(number))));
        let _ = logins.take(id(1).as_str(), Timestamp::from_unix(0, 0));
        logins.put(&id(1_000), login(1_000, 1_800), IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(
            (logins.entries.len(), logins.by_id.len(), logins.by_browser.len(), logins.by_address.len()),
            (1, 1, 1, 1)
        );
    }
}
