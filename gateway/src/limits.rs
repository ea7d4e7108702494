//! How many logins are begun and ended in a minute: of one address, and in all.
//!
//! A stranger may begin logins and post responses as often as they like, and each costs: a record, a redirect, an RSA
//! verification. What one address has used up is not counted against the others.

use std::net::IpAddr;
use std::num::NonZeroU32;

use config::LoginLimits;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::refusal::Refusal;
use crate::session::network;

/// One kind of call.
struct Limit {
    per_address: DefaultKeyedRateLimiter<IpAddr>,
    in_all: DefaultDirectRateLimiter,
}

pub struct Limits {
    limits: LoginLimits,
    starts: Limit,
    responses: Limit,
}

impl Limit {
    fn new(limits: &LoginLimits) -> Self {
        let quota = |most: NonZeroU32| Quota::per_minute(most);
        Self {
            per_address: RateLimiter::keyed(quota(limits.per_address)),
            in_all: RateLimiter::direct(quota(limits.in_all)),
        }
    }

    /// The address first: one that floods uses nothing of what is there for all.
    fn check(&self, client: IpAddr, limits: &LoginLimits) -> Result<(), Refusal> {
        let too_many = |whose, limit: NonZeroU32| Refusal::TooManyLogins { whose, limit: limit.get() };
        self.per_address.check_key(&network(client)).map_err(|_| too_many("one address", limits.per_address))?;
        self.in_all.check().map_err(|_| too_many("all addresses", limits.in_all))
    }
}

impl Limits {
    pub fn new(limits: &LoginLimits) -> Self {
        Self { limits: limits.clone(), starts: Limit::new(limits), responses: Limit::new(limits) }
    }

    /// # Errors
    /// Too many logins are begun.
    pub fn start(&self, client: IpAddr) -> Result<(), Refusal> {
        self.starts.check(client, &self.limits)
    }

    /// # Errors
    /// Too many responses, or logout messages, come.
    pub fn respond(&self, client: IpAddr) -> Result<(), Refusal> {
        self.responses.check(client, &self.limits)
    }

    /// Forgets addresses that have all of their share again.
    pub fn sweep(&self) {
        for limit in [&self.starts, &self.responses] {
            limit.per_address.retain_recent();
            limit.per_address.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_address: u32, in_all: u32) -> Limits {
        let number = |number| NonZeroU32::new(number).unwrap();
        Limits::new(&LoginLimits { per_address: number(per_address), in_all: number(in_all) })
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn an_address_that_floods_leaves_the_others_theirs() {
        let limits = limits(3, 6);
        let begun = (0..100).filter(|_| limits.start(address(1)).is_ok()).count();
        assert_eq!(begun, 3);
        assert!(matches!(limits.start(address(1)), Err(Refusal::TooManyLogins { whose: "one address", limit: 3 })));
        assert!(limits.respond(address(1)).is_ok(), "responses are counted apart");
        let others = (2..100).filter(|last| limits.start(address(*last)).is_ok()).count();
        assert_eq!(others, 3);
        assert!(matches!(limits.start(address(200)), Err(Refusal::TooManyLogins { whose: "all addresses", limit: 6 })));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let limits = limits(2, 100);
        let of = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        assert_eq!((0..50).filter(|last| limits.start(of(*last)).is_ok()).count(), 2);
        assert_eq!(limits.starts.per_address.len(), 1);
    }
}
