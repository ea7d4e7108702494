//! The names that parties, addresses and messages have. Each is parsed once, where it enters, and
//! never checked again.

use std::fmt;

/// Text that cannot be the identifier it was given for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("{what} is empty: {cure}")]
    Empty { what: &'static str, cure: &'static str },
    #[error("{what} is {length} bytes long: at most {limit} are allowed")]
    TooLong { what: &'static str, length: usize, limit: usize },
    #[error("{what} is {value:?}: {problem}; {cure}")]
    Malformed { what: &'static str, value: String, problem: &'static str, cure: &'static str },
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

identifier! {
    /// The name of an SP or IdP (SAML Core 2.0 §8.3.6), compared byte for byte. The standard wants a URI;
    /// JumpCloud lets administrators choose any string, so any string without controls is accepted.
    EntityId
}
identifier! {
    /// The address of our assertion consumer service; Recipient and Destination must equal it byte for byte.
    AcsUrl
}
identifier! {
    /// Where an IdP takes AuthnRequests.
    SsoUrl
}
identifier! {
    /// The address of our single logout service; the Destination of logout messages must equal it byte for byte.
    SloUrl
}
identifier! {
    /// Where an IdP takes logout messages.
    IdpSloUrl
}
identifier! {
    /// Our own short name of an IdP, as it stands in the settings, in paths and in metric labels.
    IdpId
}
identifier! {
    /// The ID of an AuthnRequest: 160 random bits (SAML Core 2.0 §1.3.4 asks for 128 and recommends 160).
    RequestId
}

const MAX_ID_BYTES: usize = 1024;

impl EntityId {
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let what = "entity ID";
        check_length(what, text, "copy it from the IdP, for JumpCloud the field IdP Entity ID")?;
        let malformed = |problem| IdError::Malformed {
            what,
            value: text.to_owned(),
            problem,
            cure: "copy it byte for byte as the other side has it",
        };
        if text.trim() != text {
            return Err(malformed("it begins or ends with white space"));
        }
        if text.chars().any(char::is_control) {
            return Err(malformed("it contains a control character"));
        }
        Ok(Self(text.into()))
    }
}

impl AcsUrl {
    pub fn parse(text: &str) -> Result<Self, IdError> {
        check_own_url("ACS URL", text)?;
        Ok(Self(text.into()))
    }
}

impl SloUrl {
    pub fn parse(text: &str) -> Result<Self, IdError> {
        check_own_url("SLO URL", text)?;
        Ok(Self(text.into()))
    }
}

impl IdpSloUrl {
    pub fn parse(text: &str) -> Result<Self, IdError> {
        check_http_url("SLO URL", text)?;
        Ok(Self(text.into()))
    }
}

impl SsoUrl {
    pub fn parse(text: &str) -> Result<Self, IdError> {
        check_http_url("SSO URL", text)?;
        Ok(Self(text.into()))
    }
}

impl IdpId {
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let what = "identity provider id";
        check_length(what, text, "write a short name such as `jumpcloud`")?;
        let fits = text.len() <= 32
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !text.starts_with('-');
        if !fits {
            return Err(IdError::Malformed {
                what,
                value: text.to_owned(),
                problem: "only a to z, 0 to 9 and inner hyphens, at most 32, are allowed",
                cure: "write a short name such as `jumpcloud`",
            });
        }
        Ok(Self(text.into()))
    }
}

impl RequestId {
    /// The caller's random source gives the bits; an XML ID may not begin with a digit, hence the underscore.
    pub fn from_random(bytes: [u8; 20]) -> Self {
        let mut text = String::with_capacity(41);
        text.push('_');
        push_hex(&mut text, &bytes);
        Self(text.into())
    }

    /// An ID that was made before: out of a store, or from whoever explains a captured response.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let what = "request ID";
        check_length(what, text, "give the ID of the AuthnRequest")?;
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')) {
            return Err(IdError::Malformed {
                what,
                value: text.to_owned(),
                problem: "only letters, digits, `_`, `.` and `-` are allowed",
                cure: "give the ID of the AuthnRequest",
            });
        }
        Ok(Self(text.into()))
    }
}

/// Appends `bytes` in lower-case hexadecimal.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
}

fn check_length(what: &'static str, text: &str, cure: &'static str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what, cure });
    }
    if text.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong { what, length: text.len(), limit: MAX_ID_BYTES });
    }
    Ok(())
}

/// An address of ours, which has no query of its own.
fn check_own_url(what: &'static str, text: &str) -> Result<(), IdError> {
    check_http_url(what, text)?;
    if text.contains('?') {
        return Err(IdError::Malformed {
            what,
            value: text.to_owned(),
            problem: "it has a query",
            cure: "give an address without one",
        });
    }
    Ok(())
}

fn check_http_url(what: &'static str, text: &str) -> Result<(), IdError> {
    check_length(what, text, "write an address such as `https://sso.jumpcloud.com/saml2/samlgate`")?;
    let malformed = |problem| IdError::Malformed {
        what,
        value: text.to_owned(),
        problem,
        cure: "write an address such as `https://sso.jumpcloud.com/saml2/samlgate`",
    };
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return Err(malformed("it begins with neither https:// nor http://"));
    };
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("it contains white space, a control or a character outside ASCII"));
    }
    if text.bytes().any(|byte| matches!(byte, b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')) {
        return Err(malformed("it contains a fragment or a character that no URL holds"));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.is_empty() || authority.starts_with(':') {
        return Err(malformed("it names no host"));
    }
    if authority.contains('@') {
        return Err(malformed("it holds a user name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_id_is_any_string_that_an_administrator_can_type() {
        for text in [
            "jumpcloud-samlgate",
            "JumpCloud",
            "https://idp.example/x?y=z",
            "jumpcloud/twingate/sample-sp",
            "zwei Wörter",
        ] {
            assert_eq!(EntityId::parse(text).map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in ["", " a", "a ", "a\nb", "a\u{0}b"] {
            assert!(EntityId::parse(text).is_err(), "{text:?}");
        }
        assert!(EntityId::parse(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn urls_are_http_with_a_host_and_nothing_odd() {
        for text in ["https://sso.jumpcloud.com/saml2/x", "http://127.0.0.1:8080/sso?a=b", "https://[::1]/x"] {
            assert!(SsoUrl::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "sso.jumpcloud.com",
            "ftp://a/",
            "https://",
            "https:///x",
            "https://a b/",
            "https://a/#f",
            "https://u@a/",
            "javascript:alert(1)",
            "https://:80/",
        ] {
            assert!(SsoUrl::parse(text).is_err(), "{text}");
        }
        assert!(AcsUrl::parse("https://app.example.com/saml/acs").is_ok());
        assert!(AcsUrl::parse("https://app.example.com/saml/acs?x").is_err());
        assert!(SloUrl::parse("https://app.example.com/saml/slo").is_ok());
        assert!(SloUrl::parse("https://app.example.com/saml/slo?x").is_err());
        assert!(IdpSloUrl::parse("https://idp.example/slo?x=y").is_ok());
        assert!(IdpSloUrl::parse("javascript:alert(1)").is_err());
    }

    #[test]
    fn request_id_is_an_xml_id_of_160_bits() {
        let id = RequestId::from_random([0xa5; 20]);
        assert_eq!(id.as_str(), format!("_{}", "a5".repeat(20)));
    }

    #[test]
    fn idp_id_fits_into_a_path_and_a_label() {
        assert!(IdpId::parse("jumpcloud-2").is_ok());
        for text in ["", "JumpCloud", "-a", "a/b", "a b", "ä"] {
            assert!(IdpId::parse(text).is_err(), "{text}");
        }
    }
}
