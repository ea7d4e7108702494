//! Proxies in front of us: whose word about the client counts, and whom they name.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// `trusted_proxies`.
pub struct TrustedProxies(Box<[IpNet]>);

impl TrustedProxies {
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who asks. X-Forwarded-For is read from its end, where the nearest proxy writes: each address is believed as long as
    /// trusted proxies handed it on, and the first that is no trusted proxy is the client. What stands before it, anybody
    /// may have made up.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trust(client) {
            return client;
        }
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops {
            // One that is no address ends what is known: the proxy behind it is the last that somebody vouches for.
            let Some(address) = std::str::from_utf8(hop).ok().and_then(|hop| address(hop.trim())) else { break };
            client = address;
            if !self.trust(client) {
                break;
            }
        }
        client
    }
}

/// With a port, which some proxies write, or without.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::headers;

    #[track_caller]
    fn check(peer: &str, lines: &[&str], expected: &str) {
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let pairs: Vec<_> = lines.iter().map(|line| (FORWARDED_FOR, *line)).collect();
        let client = TrustedProxies::new(&networks).client(peer.parse().unwrap(), &headers(&pairs));
        assert_eq!(client.to_string(), expected, "{peer} {lines:?}");
    }

    #[test]
    fn a_stranger_names_nobody() {
        check("192.0.2.1", &["198.51.100.1"], "192.0.2.1");
        check("192.0.2.1", &["10.0.0.1"], "192.0.2.1");
        check("::ffff:192.0.2.1", &[], "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("2001:db8::1", &["[2001:db9::1]:443"], "2001:db9::1");
        check("10.0.0.1", &["198.51.100.1:5000"], "198.51.100.1");
        check("10.0.0.1", &["198.51.100.1, 10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["198.51.100.1", "10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["10.0.0.3,10.0.0.2"], "10.0.0.3");
    }

    #[test]
    fn what_a_client_writes_before_it_counts_for_nothing() {
        check("10.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["10.0.0.9, 198.51.100.1, 10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["203.0.113.9", "198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2");
        check("10.0.0.1", &["198.51.100.1, "], "10.0.0.1");
        check("10.0.0.1", &["_hidden"], "10.0.0.1");
    }
}
