//! Origins, authorities, sockets and upstream servers.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::Url;

use super::Fault;
use crate::settings::{Origin, RedisServer, Scheme, ServerAddress};

const ORIGIN_CURE: &str = "write scheme and host alone, such as `https://app.example.com`";

/// `public_url`: an origin that browsers keep the login cookie on.
pub(crate) fn origin(text: &str) -> Result<Origin, Fault> {
    if text.chars().any(|c| c.is_whitespace() || c == '\\') {
        return Err(Fault::new("contains white space or a backslash", ORIGIN_CURE));
    }
    let url = Url::parse(text).map_err(|error| Fault::new(format!("is no address: {error}"), ORIGIN_CURE))?;
    let scheme = match url.scheme() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err(Fault::new("begins with neither https:// nor http://", ORIGIN_CURE)),
    };
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(Fault::new("names no host", ORIGIN_CURE));
    };
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let bare = Origin { scheme, authority };
    let cure = format!("write `{bare}`");
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::new("holds a user name or password", cure));
    }
    if url.path() != "/" {
        return Err(Fault::new("has a path: it is an origin, and everything below it is ours", cure));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::new("has a query or a fragment", cure));
    }
    if host.ends_with('.') {
        return Err(Fault::new("has a host that ends with a dot, which browsers hold for another host", cure));
    }
    if scheme == Scheme::Http && !matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
        return Err(Fault::new(
            "must be https, or http on localhost or 127.0.0.1; elsewhere no browser keeps the login cookie",
            format!("write `https://{}` (plain http may arrive at `listen` where TLS ends in front)", bare.authority),
        ));
    }
    Ok(bare)
}

/// `host` or `host:port`, lower case, as a Host header carries it.
pub(crate) fn authority(text: &str) -> Result<String, Fault> {
    let cure = "write a host with a port where it needs one, such as `app.example.com` or `app.internal:8443`";
    let lower = text.to_ascii_lowercase();
    let (host, port) = split_port(&lower);
    if !is_host(host) {
        return Err(Fault::new("is no host", cure));
    }
    match port {
        Some(port) if number(port).is_none() => Err(Fault::new("has a port that is no number from 1 to 65535", cure)),
        _ => Ok(lower),
    }
}

/// `listen` and `admin_listen`.
pub(crate) fn socket(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let cure = match split_port(text) {
            ("", Some(port)) => format!("write `0.0.0.0:{port}` for every address, or `127.0.0.1:{port}`"),
            ("localhost", Some(port)) => format!("write `127.0.0.1:{port}`"),
            (host, None) if host.parse::<std::net::Ipv4Addr>().is_ok() => format!("write `{host}:8080`"),
            _ => "write an IP address and a port, such as `0.0.0.0:8080` or `[::]:8080`".to_owned(),
        };
        Fault::new("is no IP address with a port", cure)
    })
}

/// An address, or a network in CIDR notation.
pub(crate) fn network(text: &str) -> Result<IpNet, Fault> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let network: IpNet = text.parse().map_err(|_| {
        Fault::new(
            "is no IP address and no network",
            "write an address such as `10.0.0.7`, or a network such as `10.0.0.0/8`",
        )
    })?;
    if network.trunc() != network {
        let problem = "is an address inside a network";
        return Err(Fault::new(
            problem,
            format!("write `{}`, or `{}` for that one address", network.trunc(), network.addr()),
        ));
    }
    Ok(network)
}

/// A server of an upstream.
pub(crate) fn server(text: &str) -> Result<ServerAddress, Fault> {
    let cure = "write `host:port`, such as `127.0.0.1:3000`, `app:3000` or `[::1]:3000`";
    if let Some(rest) = text.strip_prefix("https://") {
        let bare = without_scheme(rest, 443);
        return Err(Fault::new(
            "is an address with a scheme",
            format!("write `{bare}`, and `tls: {{}}` beside `servers`"),
        ));
    }
    if let Some(rest) = text.strip_prefix("http://") {
        return Err(Fault::new("is an address with a scheme", format!("write `{}`", without_scheme(rest, 80))));
    }
    let (host, port) = host_and_port(text, 80, cure)?;
    Ok(ServerAddress { host, port })
}

/// The host and port of a URL, whose scheme has been cut off.
fn without_scheme(rest: &str, usual_port: u16) -> String {
    let authority = rest.split('/').next().unwrap_or_default();
    let bare = authority.rsplit('@').next().unwrap_or_default();
    if split_port(bare).1.is_some() { bare.to_owned() } else { format!("{bare}:{usual_port}") }
}

/// A name that a TLS server proves with its certificate, in lower case: a DNS name, or an IP address. Pingora verifies a name
/// with `_` in its first label as if that were `-`, which is another name.
pub(crate) fn certificate_name(text: &str) -> Result<String, Fault> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_ascii_lowercase());
    }
    let cure =
        "write the name alone, as the certificate holds it, such as `app.internal`, or an IP address without its port";
    let is_label = |label: &str| {
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
    };
    let ends_with_number = text.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if text.len() > 253 || ends_with_number || !text.split('.').all(is_label) {
        return Err(Fault::new("is no name that a certificate holds", cure));
    }
    Ok(text.to_ascii_lowercase())
}

/// A Redis server, a sentinel, or a node of a cluster.
pub(crate) fn redis_server(text: &str, usual_port: u16) -> Result<RedisServer, Fault> {
    let cure =
        format!("write `host:port`, such as `10.0.0.1:{usual_port}`, `redis:{usual_port}` or `[::1]:{usual_port}`");
    if text.contains('@') {
        let cure =
            "write `host:port` alone; the user is `username`, and the password is in the file of `password_file`";
        return Err(Fault::new("holds a user name or password", cure));
    }
    if text.contains("://") {
        let cure = "write `host:port` alone; TLS is `tls: true`, and the number of the database is `database`";
        return Err(Fault::new("is an address with a scheme", cure));
    }
    let (host, port) = host_and_port(text, usual_port, &cure)?;
    Ok(RedisServer { host, port })
}

/// The host without the brackets of IPv6, in lower case.
fn host_and_port(text: &str, usual_port: u16, cure: &str) -> Result<(String, u16), Fault> {
    let (host, port) = split_port(text);
    if !is_host(host) {
        return Err(Fault::new("names no host", cure));
    }
    let Some(port) = port else {
        return Err(Fault::new("has no port", format!("write `{text}:{usual_port}`, with its port")));
    };
    let Some(port) = number(port) else {
        return Err(Fault::new("has a port that is no number from 1 to 65535", cure));
    };
    Ok((host.trim_matches(['[', ']']).to_ascii_lowercase(), port))
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && (!host.contains(':') || host.ends_with(']')) => (host, Some(port)),
        _ => (text, None),
    }
}

fn number(port: &str) -> Option<u16> {
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    port.parse().ok().filter(|number| digits && *number != 0)
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_lower_case_without_the_default_port() {
        for (text, expected) in [
            ("https://App.Example.COM", "https://app.example.com"),
            ("https://app.example.com:443/", "https://app.example.com"),
            ("https://app.example.com:8443", "https://app.example.com:8443"),
            ("http://localhost:80", "http://localhost"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(origin(text).map(|origin| origin.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn origin_is_nothing_more_than_an_origin() {
        for (text, expected) in [
            ("app.example.com", "is no address"),
            ("ftp://app.example.com", "neither https"),
            ("https://app.example.com/app", "path"),
            ("https://app.example.com/?a", "query"),
            ("https://app.example.com/#a", "fragment"),
            ("https://user@app.example.com", "user name"),
            ("https://app.example.com.", "dot"),
            ("https:// app.example.com", "white space"),
            ("http://app.example.com", "elsewhere no browser keeps the login cookie"),
            ("http://localhost.example.com", "elsewhere no browser keeps the login cookie"),
        ] {
            let fault = origin(text).expect_err(text);
            assert!(fault.problem.contains(expected), "{text}: {fault:?}");
        }
    }

    #[test]
    fn servers_are_a_host_and_a_port() {
        for (text, host, port) in [("127.0.0.1:3000", "127.0.0.1", 3000), ("App:80", "app", 80), ("[::1]:3", "::1", 3)]
        {
            assert_eq!(server(text), Ok(ServerAddress { host: host.to_owned(), port }), "{text}");
        }
        for text in
            ["", "app", ":80", "app:", "app:0", "app:70000", "app:+80", "::1:80", "http://app", "a b:1", "app:80/x"]
        {
            assert!(server(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn servers_of_redis_have_no_scheme_and_nobody_in_them() {
        for (text, host, port) in [("10.0.0.1:6379", "10.0.0.1", 6379), ("Redis:1", "redis", 1), ("[::1]:2", "::1", 2)]
        {
            assert_eq!(redis_server(text, 6379), Ok(RedisServer { host: host.to_owned(), port }), "{text}");
        }
        for (text, said) in [
            ("redis", "`redis:6379`"),
            ("", "names no host"),
            ("a b:1", "names no host"),
            ("::1:6379", "`[::1]:6379`"),
            ("redis:0", "1 to 65535"),
            ("redis:6379/0", "1 to 65535"),
            ("redis://redis:6379", "a scheme"),
            ("rediss://redis:6379", "`tls: true`"),
            ("redis://:secret@redis:6379", "`password_file`"),
            ("secret@redis:6379", "`password_file`"),
        ] {
            let fault = redis_server(text, 6379).expect_err(text);
            assert!(format!("{} / {}", fault.problem, fault.cure).contains(said), "{text}: {fault:?}");
            assert!(!format!("{fault:?}").contains("secret"), "{fault:?}");
        }
    }

    #[test]
    fn sockets_explain_the_forms_of_other_servers() {
        assert!(socket("[::]:8080").is_ok());
        for (text, cure) in [
            (":8080", "0.0.0.0:8080"),
            ("localhost:9090", "127.0.0.1:9090"),
            ("0.0.0.0", "0.0.0.0:8080"),
            ("x", "0.0.0.0:8080"),
        ] {
            let fault = socket(text).expect_err(text);
            assert!(fault.cure.contains(cure), "{text}: {fault:?}");
        }
    }
}
