//! How newer metadata takes the place of what is in use. Pure: whoever fetches calls [`refresh_metadata`] and acts on
//! what it says.
//!
//! Whoever can write an IdP's metadata can sign in as anybody, so nothing new is trusted because it was
//! fetched. A key is used only where the settings allow it, and an address that changed is not used before
//! somebody said so. On the other side, a fetch must not lock everybody out: it never leaves us without a key
//! that we still trust, and metadata that is past its time replaces nothing.

use std::fmt;

use super::idp::{IdpMetadata, SingleLogoutService};
use crate::ids::{EntityId, SsoUrl};
use crate::time::Timestamp;
use crate::trust::{Certificate, Fingerprint, MAX_KEYS};

/// What the settings say of keys and addresses that were not there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewKeys {
    /// `trusted_keys`: a key is used if its certificate's fingerprint is listed; a changed address if the
    /// fingerprint that [`Held`] shows for it is.
    Listed(Vec<Fingerprint>),
    /// `new_keys: accept`: whatever the metadata says, within the limits that hold always.
    Accept,
}

impl NewKeys {
    fn allow(&self, fingerprint: Fingerprint) -> bool {
        match self {
            Self::Listed(listed) => listed.contains(&fingerprint),
            Self::Accept => true,
        }
    }
}

/// The outcome of a [`refresh_metadata`].
#[derive(Debug, Clone)]
pub struct Refreshed {
    /// What is to be used from now on: at least one key and at most four, each allowed by the settings.
    pub used: IdpMetadata,
    /// What the new metadata offers and nobody approved yet. To be shown to the administrator, with the cure
    /// that its text names.
    pub held: Vec<Held>,
    pub warnings: Vec<RefreshWarning>,
}

/// Something new that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A key that the settings do not list.
    Key { fingerprint: Fingerprint, key: String, not_after: Timestamp },
    /// A key that the settings allow, beyond the number that is tried.
    KeyBeyondLimit { fingerprint: Fingerprint },
    /// Another address, a new one, or none where there was one.
    Address {
        service: IdpService,
        used: Option<String>,
        offered: Option<String>,
        /// What `trusted_keys` must list for the change to be made.
        fingerprint: Fingerprint,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdpService {
    SignOnByRedirect,
    SignOnByPost,
    LogoutByRedirect,
    LogoutByPost,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshWarning {
    #[error("the new metadata is past its validUntil, {until}: the last good copy is kept; have the IdP publish anew")]
    NewIsPastValidUntil { until: Timestamp },
    #[error(
        "the metadata in use is past its validUntil, {until}: it is still used; see that newer metadata can be had"
    )]
    UsedIsPastValidUntil { until: Timestamp },
    #[error(
        "the new metadata holds no key that may be used: the keys in use are kept; add the fingerprint of a key that is held to `trusted_keys`"
    )]
    KeysKept,
    #[error("key {fingerprint} is new in the metadata and is used from now on")]
    KeyTaken { fingerprint: Fingerprint },
    #[error("key {fingerprint} is no longer in the metadata and is not used any more")]
    KeyDropped { fingerprint: Fingerprint },
    #[error("the address for {service} is now {address:?} and was {before:?}")]
    AddressTaken { service: IdpService, before: Option<String>, address: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    #[error(
        "metadata holds no key that `trusted_keys` lists, and none is in use; it offers {offered:?}: add the fingerprint of the IdP's key"
    )]
    NoTrustedKey { offered: Vec<Fingerprint> },
    #[error("metadata is of {seen:?} and what is in use of {used:?}: an entity ID never changes by a refresh")]
    OtherEntity { seen: EntityId, used: EntityId },
}

/// Judges metadata that was just fetched.
///
/// * `current` is what is in use: `used` of the last [`Refreshed`], `None` at the first fetch. Every key of it
///   is judged again, so that a fingerprint that was taken out of the settings ends its key.
/// * `fetched` was read by [`IdpMetadata::parse`] with the entity ID of the settings.
/// * `new_keys` is what the settings say.
///
/// What comes out:
/// * Keys: those of `fetched` that `new_keys` allows, those in use first, at most four. If there is none, those
///   in use that are still allowed ([`RefreshWarning::KeysKept`]).
/// * Addresses: at the first fetch those of `fetched`. Later a change is held unless `new_keys` allows it.
/// * `fetched` past its validUntil changes nothing, except at the first fetch, when there is nothing better.
///
/// # Errors
/// No key may be used, neither a fetched nor a current one; or another entity ID. Go on with what is in use, and
/// with nothing where nothing is.
pub fn refresh_metadata(
    current: Option<&IdpMetadata>,
    fetched: &IdpMetadata,
    new_keys: &NewKeys,
    now: Timestamp,
) -> Result<Refreshed, RefreshError> {
    if let Some(current) = current.filter(|current| current.entity_id != fetched.entity_id) {
        return Err(RefreshError::OtherEntity { seen: fetched.entity_id.clone(), used: current.entity_id.clone() });
    }
    let mut outcome = Outcome { new_keys, held: Vec::new(), warnings: Vec::new() };
    let past = fetched.valid_until.filter(|until| *until <= now);
    let used = match (current, past) {
        (Some(current), Some(until)) => {
            outcome.warnings.push(RefreshWarning::NewIsPastValidUntil { until });
            let certificates = outcome.still_allowed(current);
            IdpMetadata { certificates, ..current.clone() }
        }
        (current, _) => outcome.replace(current, fetched),
    };
    if used.certificates.is_empty() {
        let offered = fetched.certificates.iter().map(Certificate::fingerprint).collect();
        return Err(RefreshError::NoTrustedKey { offered });
    }
    outcome.warnings.extend(metadata_past_valid_until(&used, now));
    Ok(Refreshed { used, held: outcome.held, warnings: outcome.warnings })
}

/// For a fetch that brought nothing new: whether what is in use is past its time.
pub fn metadata_past_valid_until(used: &IdpMetadata, now: Timestamp) -> Option<RefreshWarning> {
    let until = used.valid_until.filter(|until| *until <= now)?;
    Some(RefreshWarning::UsedIsPastValidUntil { until })
}

struct Outcome<'a> {
    new_keys: &'a NewKeys,
    held: Vec<Held>,
    warnings: Vec<RefreshWarning>,
}

impl Outcome<'_> {
    fn replace(&mut self, current: Option<&IdpMetadata>, fetched: &IdpMetadata) -> IdpMetadata {
        let certificates = self.keys(current, fetched);
        let Some(current) = current else { return IdpMetadata { certificates, ..fetched.clone() } };
        IdpMetadata {
            entity_id: fetched.entity_id.clone(),
            certificates,
            redirect: self.address(IdpService::SignOnByRedirect, &current.redirect, &fetched.redirect),
            post: self.address(IdpService::SignOnByPost, &current.post, &fetched.post),
            logout_redirect: self.address(
                IdpService::LogoutByRedirect,
                &current.logout_redirect,
                &fetched.logout_redirect,
            ),
            logout_post: self.address(IdpService::LogoutByPost, &current.logout_post, &fetched.logout_post),
            want_authn_requests_signed: fetched.want_authn_requests_signed,
            valid_until: fetched.valid_until,
        }
    }

    fn keys(&mut self, current: Option<&IdpMetadata>, fetched: &IdpMetadata) -> Vec<Certificate> {
        let in_use = current.map(|current| current.certificates.as_slice()).unwrap_or_default();
        let (known, new): (Vec<&Certificate>, Vec<&Certificate>) =
            fetched.certificates.iter().partition(|certificate| holds(in_use, certificate));
        let mut used: Vec<Certificate> = Vec::with_capacity(MAX_KEYS);
        for certificate in known.into_iter().chain(new) {
            let fingerprint = certificate.fingerprint();
            if !self.new_keys.allow(fingerprint) {
                let (key, not_after) = (certificate.key_description(), certificate.not_after());
                self.held.push(Held::Key { fingerprint, key, not_after });
            } else if used.len() == MAX_KEYS {
                self.held.push(Held::KeyBeyondLimit { fingerprint });
            } else {
                if current.is_some() && !holds(in_use, certificate) {
                    self.warnings.push(RefreshWarning::KeyTaken { fingerprint });
                }
                used.push(certificate.clone());
            }
        }
        if let (true, Some(current)) = (used.is_empty(), current) {
            self.warnings.push(RefreshWarning::KeysKept);
            return self.still_allowed(current);
        }
        let dropped = in_use.iter().filter(|certificate| !holds(&used, certificate));
        self.warnings
            .extend(dropped.map(|certificate| RefreshWarning::KeyDropped { fingerprint: certificate.fingerprint() }));
        used
    }

    fn still_allowed(&self, current: &IdpMetadata) -> Vec<Certificate> {
        let allowed = |certificate: &&Certificate| self.new_keys.allow(certificate.fingerprint());
        current.certificates.iter().filter(allowed).cloned().collect()
    }

    fn address<A: Address>(&mut self, service: IdpService, used: &Option<A>, offered: &Option<A>) -> Option<A> {
        if used == offered {
            return used.clone();
        }
        let text = |address: &Option<A>| address.as_ref().map(Address::text);
        let fingerprint = address_fingerprint(service, text(offered).as_deref());
        let (before, address) = (text(used), text(offered));
        if self.new_keys.allow(fingerprint) {
            self.warnings.push(RefreshWarning::AddressTaken { service, before, address });
            return offered.clone();
        }
        self.held.push(Held::Address { service, used: before, offered: address, fingerprint });
        used.clone()
    }
}

fn holds(certificates: &[Certificate], wanted: &Certificate) -> bool {
    certificates.iter().any(|certificate| certificate.fingerprint() == wanted.fingerprint())
}

/// What approves an address: SHA-256 of the service's name, a space, and the address, so that approving an
/// address for sign-on approves nothing else.
fn address_fingerprint(service: IdpService, offered: Option<&str>) -> Fingerprint {
    Fingerprint::of(format!("{service} {}", offered.unwrap_or("none")).as_bytes())
}

trait Address: Clone + PartialEq {
    fn text(&self) -> String;
}

impl Address for SsoUrl {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Address for SingleLogoutService {
    fn text(&self) -> String {
        match &self.response_location {
            None => self.location.to_string(),
            Some(responses) => format!("{} {responses}", self.location),
        }
    }
}

impl fmt::Display for IdpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignOnByRedirect => "SingleSignOnService by HTTP-Redirect",
            Self::SignOnByPost => "SingleSignOnService by HTTP-POST",
            Self::LogoutByRedirect => "SingleLogoutService by HTTP-Redirect",
            Self::LogoutByPost => "SingleLogoutService by HTTP-POST",
        })
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { fingerprint, key, not_after } => write!(
                f,
                "key {fingerprint} ({key}, its certificate ends at {not_after}) stands in the metadata and is not used: if the IdP confirms it, add the fingerprint to `trusted_keys` and reload"
            ),
            Self::KeyBeyondLimit { fingerprint } => write!(
                f,
                "key {fingerprint} is not used, for the metadata holds more than {MAX_KEYS} that may be: have the IdP remove those that it no longer signs with"
            ),
            Self::Address { service, used, offered, fingerprint } => {
                let shown = |address: &Option<String>| address.clone().unwrap_or_else(|| "none".to_owned());
                write!(
                    f,
                    "{service} is {} in the new metadata, and {} is still used: if the IdP confirms the change, add {fingerprint} to `trusted_keys` and reload",
                    shown(offered),
                    shown(used)
                )
            }
        }
    }
}
