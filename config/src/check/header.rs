//! Names of headers that the administrator may have us set.

use super::Fault;

/// RFC 9110 §7.6.1 and what older hops use.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Set by us on every request, from the connection and never from a person.
const OURS: &[&str] = &["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"];

pub(crate) fn header_name(name: &str) -> Result<(), Fault> {
    let lower = name.to_ascii_lowercase();
    if name.contains('_') {
        let cure = format!("write `{}`", name.replace('_', "-"));
        return Err(Fault::new("holds `_`, which many servers take for `-`", cure));
    }
    let is_token = !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^`|~".contains(&b));
    if !is_token {
        return Err(Fault::new("is no header name", "write letters, digits and hyphens, such as `X-Email`"));
    }
    let cure = "choose a name of its own, such as `X-Email`";
    if HOP_BY_HOP.contains(&lower.as_str()) {
        return Err(Fault::new("belongs to the connection, not to the request", cure));
    }
    if matches!(lower.as_str(), "host" | "cookie" | "set-cookie" | "expect") || lower.starts_with("content-") {
        return Err(Fault::new("has a meaning of its own in every request", cure));
    }
    if OURS.contains(&lower.as_str()) || lower.starts_with("x-samlgate") {
        return Err(Fault::new("is set by samlgate itself", cure));
    }
    Ok(())
}

const MAX_NAME_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::header_name;

    #[test]
    fn refuses_names_that_mean_something_else() {
        for name in ["X-Email", "Remote-User", "X-WEBAUTH-USER", "authorization"] {
            assert_eq!(header_name(name), Ok(()), "{name}");
        }
        for (name, expected) in [
            ("X_Email", "`_`"),
            ("", "no header name"),
            ("X Email", "no header name"),
            ("X-Email:", "no header name"),
            ("Connection", "connection"),
            ("TE", "connection"),
            ("Host", "meaning"),
            ("Cookie", "meaning"),
            ("Content-Length", "meaning"),
            ("X-Forwarded-For", "samlgate itself"),
            ("X-Samlgate-Jwt-Assertion", "samlgate itself"),
        ] {
            let fault = header_name(name).expect_err(name);
            assert!(fault.problem.contains(expected), "{name}: {fault:?}");
        }
    }
}
