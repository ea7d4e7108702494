//! The hosts that this gateway answers for: that of `public_url`, where logins live, and those of `hosts`.

use config::{Origin, Scheme, Settings};

use crate::refusal::{Refusal, shortened};

#[derive(Debug, Clone)]
pub struct Hosts {
    public: Origin,
    others: Vec<Origin>,
}

impl Hosts {
    pub fn from_settings(settings: &Settings) -> Self {
        Self { public: settings.public_url.clone(), others: settings.hosts.clone() }
    }

    /// That of `public_url`.
    pub fn public(&self) -> &Origin {
        &self.public
    }

    pub fn are_several(&self) -> bool {
        !self.others.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.public).chain(&self.others)
    }

    /// The one that a Host header names: without regard to case, and with or without the scheme's default port.
    pub fn named(&self, authority: &str) -> Option<&Origin> {
        self.iter().find(|origin| is_authority_of(origin, authority))
    }

    /// # Errors
    /// A Host header names none.
    pub fn accept(&self, authority: &str) -> Result<&Origin, Refusal> {
        self.named(authority).ok_or_else(|| {
            let known: Vec<&str> = self.iter().map(|origin| origin.authority.as_str()).collect();
            Refusal::UnknownHost { seen: shortened(authority), wanted: known.join(", ") }
        })
    }

    /// The one that a URL begins with, and what follows its authority.
    pub fn of_url<'t>(&self, url: &'t str) -> Option<(&Origin, &'t str)> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, local) = rest.split_at_checked(end)?;
        let origin = self.named(authority)?;
        scheme.eq_ignore_ascii_case(scheme_of(origin)).then_some((origin, local))
    }
}

/// Whether an Origin header names it: browsers write it in lower case and without a default port (RFC 6454 §6.2).
pub fn is_serialised(origin: &Origin, text: &str) -> bool {
    let authority = text.strip_prefix(scheme_of(origin)).and_then(|rest| rest.strip_prefix("://"));
    authority.is_some_and(|authority| authority == origin.authority)
}

fn scheme_of(origin: &Origin) -> &'static str {
    match origin.scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
    }
}

fn is_authority_of(origin: &Origin, authority: &str) -> bool {
    let default_port = match origin.scheme {
        Scheme::Https => ":443",
        Scheme::Http => ":80",
    };
    let is_it = |seen: &str| origin.authority.eq_ignore_ascii_case(seen);
    // One that has a port of its own has no second.
    let has_port = origin.host_name().len() < origin.authority.len();
    is_it(authority) || !has_port && authority.strip_suffix(default_port).is_some_and(is_it)
}
