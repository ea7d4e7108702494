//! How many bodies are held in memory while they arrive.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::session::network;

/// Each holds up to 1 MiB, for as long as a body may take.
const MAX_AT_ONCE: usize = 32;
/// One stranger who sends slowly leaves the rest to others.
const MAX_PER_ADDRESS: usize = 8;

#[derive(Default)]
pub(super) struct Readers(Mutex<HashMap<IpAddr, usize>>);

/// Leave to hold one body; given back when it is dropped.
pub struct Reading<'f> {
    readers: &'f Readers,
    address: IpAddr,
}

impl Readers {
    pub(super) fn begin(&self, client: IpAddr) -> Option<Reading<'_>> {
        let address = network(client);
        let mut reading = self.lock();
        let here = reading.get(&address).copied().unwrap_or_default();
        if here >= MAX_PER_ADDRESS || reading.values().sum::<usize>() >= MAX_AT_ONCE {
            return None;
        }
        reading.insert(address, here.saturating_add(1));
        Some(Reading { readers: self, address })
    }

    /// What a panic left is whole: each change is one call.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut reading = self.readers.lock();
        let left = reading.get(&self.address).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            reading.remove(&self.address);
        } else {
            reading.insert(self.address, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn client(number: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, number).into()
    }

    #[test]
    fn one_address_leaves_room_for_others_and_all_together_have_a_bound() {
        let readers = Readers::default();
        let mut held: Vec<_> = (0..MAX_PER_ADDRESS).map(|_| readers.begin(client(0)).unwrap()).collect();
        assert!(readers.begin(client(0)).is_none());
        held.extend((1..=255).map_while(|number| readers.begin(client(number))));
        assert_eq!(held.len(), MAX_AT_ONCE);
        held.pop();
        assert!(readers.begin(client(200)).is_some());
    }

    #[test]
    fn what_is_read_leaves_nothing_behind() {
        let readers = Readers::default();
        drop([readers.begin(client(1)), readers.begin(client(1)), readers.begin(client(2))]);
        assert!(readers.lock().is_empty());
    }
}
