//! Which request headers an upstream could take for ours.

/// Beginnings of names that speak of the person or of the way here, folded. `proxy` is httpoxy
/// (CVE-2016-5385); the rest are all presets at once, whichever is chosen: an upstream that is moved from
/// one to another must not find a client's copy of either.
const BEGINNINGS: [&str; 5] = ["x-forwarded-", "x-auth-request-", "x-samlgate", "proxy-", "remote-user"];
const NAMES: [&str; 7] =
    ["forwarded", "x-forwarded", "x-real-ip", "proxy", "remote-email", "remote-name", "remote-groups"];
/// What makes IIS and some frameworks route by it instead of by the path that was judged, folded.
pub(super) const REWRITES: [&str; 2] = ["x-original-url", "x-rewrite-url"];

/// What makes frameworks take another method than the one that was judged.
pub const METHOD_OVERRIDES: [&str; 3] = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

pub struct SuspiciousNames {
    /// Of `identity_headers.set`, folded.
    own: Vec<Box<[u8]>>,
    /// Whether a name may begin with this byte at all: most headers need no second look.
    first: [bool; 256],
}

impl SuspiciousNames {
    pub fn new<'a>(own: impl Iterator<Item = &'a str>) -> Self {
        let own: Vec<Box<[u8]>> = own.map(|name| name.bytes().map(fold).collect()).collect();
        let mut first = [false; 256];
        let fixed = BEGINNINGS.iter().chain(&NAMES).chain(&REWRITES).map(|name| name.as_bytes());
        let beginnings = fixed.chain(own.iter().map(|name| &**name));
        for byte in beginnings.filter_map(|name| name.first()) {
            if let Some(slot) = first.get_mut(usize::from(*byte)) {
                *slot = true;
            }
        }
        Self { own, first }
    }

    /// CGI, WSGI, Rack and PHP turn `-` into `_`, some of them everything that is no letter or digit; so a name
    /// is compared folded, and one with `_` is refused whatever it says.
    pub fn contains(&self, name: &str) -> bool {
        let name = name.as_bytes();
        if memchr::memchr(b'_', name).is_some() {
            return true;
        }
        let Some(first) = name.first().copied().map(fold) else { return false };
        self.first.get(usize::from(first)).copied().unwrap_or(true)
            && (BEGINNINGS.iter().any(|beginning| begins(name, beginning.as_bytes()))
                || NAMES.iter().chain(&REWRITES).any(|other| is_same(name, other.as_bytes()))
                || self.own.iter().any(|other| is_same(name, other)))
    }
}

fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

fn begins(name: &[u8], folded: &[u8]) -> bool {
    name.len() >= folded.len() && name.iter().zip(folded).all(|(byte, wanted)| fold(*byte) == *wanted)
}

fn is_same(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len() && begins(name, folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_our_names_is_found() {
        let names = SuspiciousNames::new(["X-WEBAUTH-User", "Cf.Access"].into_iter());
        for name in [
            "x-forwarded-user",
            "X-Forwarded-User",
            "x.forwarded.user",
            "x_forwarded_user",
            "X-FORWARDED_EMAIL",
            "x-forwarded-for",
            "x-forwarded",
            "x-forwarded-anything",
            "x!forwarded~groups",
            "remote-user",
            "remote.user",
            "remote-groups",
            "remote-user-id",
            "x-auth-request-email",
            "x-auth-request-access-token",
            "forwarded",
            "x-real-ip",
            "x.real.ip",
            "x-samlgate",
            "x-samlgate-jwt-assertion",
            "proxy",
            "proxy-authorization",
            "x-original-url",
            "X_Rewrite_URL",
            "x-webauth-user",
            "x.webauth-USER",
            "cf-access",
            "any_thing",
        ] {
            assert!(names.contains(name), "{name}");
        }
    }

    #[test]
    fn other_headers_pass() {
        let names = SuspiciousNames::new(["X-WEBAUTH-User"].into_iter());
        for name in [
            "accept",
            "x-request-id",
            "x-requested-with",
            "user-agent",
            "remote",
            "x-webauth",
            "x-webauth-users",
            "x-forward",
            "authorization",
            "prefer",
            "",
        ] {
            assert!(!names.contains(name), "{name}");
        }
    }
}
