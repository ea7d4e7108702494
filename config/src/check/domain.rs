//! The domain of a cookie.

use super::Fault;

/// `session.cookie_domain`, in lower case: a domain that somebody owns, for browsers keep no cookie of a public suffix
/// (RFC 6265bis §5.7), and whoever has a host under one would get it.
pub(crate) fn cookie_domain(text: &str) -> Result<String, Fault> {
    let cure = "write a domain, such as `example.com`";
    let domain = text.to_ascii_lowercase();
    if let Some(bare) = domain.strip_prefix('.') {
        return Err(Fault::new("begins with a dot", format!("write `{bare}`: hosts below it are meant anyway")));
    }
    let is_address = domain.parse::<std::net::Ipv4Addr>().is_ok() || domain.starts_with('[');
    if is_address {
        return Err(Fault::new("is an IP address, which has no hosts below it", cure));
    }
    let is_label = |label: &str| {
        let is_plain = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        !label.is_empty() && label.len() <= 63 && is_plain
    };
    if domain.len() > 253 || !domain.split('.').all(is_label) {
        return Err(Fault::new("is no domain", cure));
    }
    if psl::domain_str(&domain).is_none() {
        let problem = "is a public suffix, under which anybody may have a host: no browser keeps a cookie for it";
        return Err(Fault::new(problem, "write your own domain under it, such as `example.com`"));
    }
    Ok(domain)
}

/// Whether a cookie of `domain` goes to `host` (RFC 6265 §5.1.3). Both in lower case.
pub(crate) fn is_of_domain(host: &str, domain: &str) -> bool {
    let is_name = host.parse::<std::net::Ipv4Addr>().is_err();
    is_name && host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_under_no_domain() {
        assert!(is_of_domain("b.example.com", "example.com") && is_of_domain("example.com", "example.com"));
        assert!(!is_of_domain("badexample.com", "example.com") && !is_of_domain("127.0.0.1", "0.0.1"));
    }

    #[test]
    fn a_cookie_has_a_domain_that_somebody_owns() {
        for (text, expected) in [
            ("example.com", "example.com"),
            ("Apps.Example.co.uk", "apps.example.co.uk"),
            ("corp.internal", "corp.internal"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(cookie_domain(text), Ok(expected.to_owned()), "{text}");
        }
        for (text, said) in [
            ("com", "public suffix"),
            ("co.uk", "public suffix"),
            ("github.io", "public suffix"),
            ("localhost", "public suffix"),
            ("internal", "public suffix"),
            (".example.com", "write `example.com`"),
            ("example.com.", "is no domain"),
            ("example..com", "is no domain"),
            ("https://example.com", "is no domain"),
            ("example.com:8443", "is no domain"),
            ("example.com; Path=/x", "is no domain"),
            ("bücher.example", "is no domain"),
            ("127.0.0.1", "IP address"),
            ("[::1]", "IP address"),
            ("", "is no domain"),
        ] {
            let fault = cookie_domain(text).expect_err(text);
            assert!(format!("{} / {}", fault.problem, fault.cure).contains(said), "{text}: {fault:?}");
        }
    }

    #[test]
    fn hosts_are_of_a_domain_on_the_border_of_a_label() {
        for (host, expected) in [
            ("example.com", true),
            ("app.example.com", true),
            ("a.b.example.com", true),
            ("notexample.com", false),
            ("example.com.evil.example", false),
            ("com", false),
        ] {
            assert_eq!(is_of_domain(host, "example.com"), expected, "{host}");
        }
    }
}
