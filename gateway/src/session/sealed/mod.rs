//! Sessions without a server: the browser carries its record, sealed under its ticket and our key.
//!
//! What must happen once (a login taken, an assertion used, refusals counted) is known in this process alone. Sessions
//! cannot be listed or counted; they end by what is published, here and in the file that every process reads.

mod chunks;
mod file;
mod logins;

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use moka::sync::Cache;
use saml_core::{IdpId, NamedSessions, ReplayKey, RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::browser::Browser;
use super::cache::lock;
use super::claims::Claims;
use super::cookies::{CookieScope, LOGOUT_COOKIE, across_sites, clear};
use super::pending::{MAX_REFUSALS, PENDING_SECONDS, REMEMBERED_SECONDS};
use super::revocation::{Effect, REVOCATION_SECONDS, Revocation, Target};
use super::store::{ClaimOutcome, Cursor, PendingState, Place, SessionStore, StoreError, TakeOutcome};
use super::ticket::{SessionKey, Ticket, sha256};
use super::types::{PendingLogin, PendingLogout, SessionRecord, StoredSession};
use super::wire::{self, Logout, Record};
use crate::keys::StoreKeys;
use crate::sealing::{Purpose, Seal};

/// We sealed what is inflated; a bound all the same.
const MOST_INFLATED: u64 = 256 * 1024;
/// Logins whose refusals are counted at a time.
const MOST_COUNTED: u64 = 50_000;

pub struct SealedStore {
    seal: Seal,
    scope: CookieScope,
    /// What each IdP calls itself: of one that was replaced under its id no session counts.
    entity_ids: HashMap<IdpId, String>,
    /// Others are not carried.
    groups: HashSet<String>,
    revocations_file: Option<PathBuf>,
    /// Sessions that ended, by their keys, for as long as a record of theirs could last.
    ended: Mutex<Claims>,
    taken: Mutex<Claims>,
    assertions: Mutex<Claims>,
    refusals: Cache<[u8; 32], u8>,
}

#[derive(Serialize, Deserialize)]
struct Carried {
    entity_id: String,
    seen: i64,
    record: Record,
}

#[derive(Serialize, Deserialize)]
struct CarriedLogout {
    id: String,
    logout: Logout,
}

impl SealedStore {
    /// `owner` is who the sessions are for, our entity ID.
    pub fn new(
        keys: &StoreKeys,
        owner: &str,
        scope: CookieScope,
        entity_ids: HashMap<IdpId, String>,
        groups: HashSet<String>,
        revocations_file: Option<PathBuf>,
    ) -> Self {
        Self {
            seal: Seal::new(owner, &keys.seal),
            scope,
            entity_ids,
            groups,
            revocations_file,
            ended: Mutex::default(),
            taken: Mutex::default(),
            assertions: Mutex::default(),
            refusals: Cache::new(MOST_COUNTED),
        }
    }

    fn carry(
        &self,
        ticket: &Ticket,
        record: &SessionRecord,
        seen: Timestamp,
        browser: &Browser<'_>,
    ) -> Result<(), StoreError> {
        let entity_id = self.entity_ids.get(&record.idp).cloned().unwrap_or_default();
        let mut record_carried = Record::of(record);
        record_carried.keep_groups(|name| self.groups.contains(name));
        let carried = Carried { entity_id, seen: seen.unix_seconds(), record: record_carried };
        let packed = deflated(&wire::encode(&carried))?;
        // Both are needed: who has our key opens no session, and who has a ticket makes no record.
        let of = ticket.key();
        let sealed = self.seal.seal_with(ticket.secret(), Purpose::CarriedSession, of.as_bytes(), &packed)?;
        let left = record.expires.unix_seconds().saturating_sub(seen.unix_seconds());
        chunks::put(&self.scope, browser, &sealed, left)
    }

    fn carried(&self, key: &SessionKey, ticket: &Ticket, browser: &Browser<'_>) -> Option<(SessionRecord, Timestamp)> {
        let sealed = chunks::carried(&self.scope, browser)?;
        let packed = self.seal.open_with(ticket.secret(), Purpose::CarriedSession, key.as_bytes(), &sealed)?;
        let carried: Carried = wire::decode(&inflated(&packed)?)?;
        let (entity_id, seen) = (carried.entity_id, carried.seen);
        let record = carried.record.into_record()?;
        let is_known = self.entity_ids.get(&record.idp).is_some_and(|known| *known == entity_id);
        is_known.then(|| (record, Timestamp::from_unix(seen, 0)))
    }

    fn has_ended(&self, key: &SessionKey) -> bool {
        lock(&self.ended).holds(key.as_bytes())
    }

    fn remember(&self, revocation: &Revocation) {
        if let Target::Session(key) = &revocation.target {
            let until = revocation.at.plus_seconds(REVOCATION_SECONDS);
            // By our clock: a line of a date to come must not let earlier ones be forgotten.
            let now = revocation.at.min(SystemTime::now().into());
            let _ = lock(&self.ended).claim(*key.as_bytes(), until, now);
        }
    }

    fn is_refused(&self, hash: &[u8; 32]) -> bool {
        self.refusals.get(hash).is_some_and(|refusals| refusals >= MAX_REFUSALS)
    }
}

#[async_trait]
impl SessionStore for SealedStore {
    async fn insert(&self, ticket: &Ticket, record: SessionRecord, browser: &Browser<'_>) -> Result<(), StoreError> {
        self.carry(ticket, &record, record.created, browser)
    }

    async fn load(
        &self,
        key: &SessionKey,
        ticket: &Ticket,
        browser: &Browser<'_>,
    ) -> Result<Option<(Arc<SessionRecord>, Timestamp)>, StoreError> {
        if self.has_ended(key) {
            return Ok(None);
        }
        Ok(self.carried(key, ticket, browser).map(|(record, seen)| (Arc::new(record), seen)))
    }

    async fn touch(
        &self,
        key: &SessionKey,
        ticket: Option<&Ticket>,
        seen: Timestamp,
        browser: &Browser<'_>,
    ) -> Result<bool, StoreError> {
        if self.has_ended(key) {
            return Ok(false);
        }
        let Some(ticket) = ticket else { return Ok(true) };
        let Some((record, before)) = self.carried(key, ticket, browser) else { return Ok(false) };
        self.carry(ticket, &record, seen.max(before), browser)?;
        Ok(true)
    }

    async fn remove(&self, _: &SessionKey) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn sessions_of(&self, _: &IdpId, _: &str) -> Result<Vec<StoredSession>, StoreError> {
        Ok(Vec::new())
    }

    async fn walk(&self, _: Option<Cursor>) -> Result<(Vec<StoredSession>, Option<Cursor>), StoreError> {
        Ok((Vec::new(), None))
    }

    fn keeps_sessions(&self) -> bool {
        false
    }

    fn keeps_group(&self, name: &str) -> bool {
        self.groups.contains(name)
    }

    fn is_shared(&self) -> bool {
        self.revocations_file.is_some()
    }

    async fn publish(&self, revocation: &Revocation) -> Result<Effect, StoreError> {
        self.remember(revocation);
        let Some(path) = self.revocations_file.clone() else { return Ok(Effect::Local) };
        let revocation = revocation.clone();
        let written = spawn_blocking(move || file::append(&path, &revocation)).await;
        let problem = match written {
            Ok(Ok(())) => return Ok(Effect::Written),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic.to_string(),
        };
        tracing::warn!(
            "a revocation holds in this process alone: session.revocations_file cannot be written: {problem}"
        );
        Ok(Effect::Local)
    }

    async fn published(&self, since: Option<&Place>) -> Result<(Place, Vec<Revocation>), StoreError> {
        let Some(path) = self.revocations_file.clone() else { return Ok((Place::default(), Vec::new())) };
        let since = since.cloned();
        let read = spawn_blocking(move || file::read(&path, since.as_ref())).await;
        let (place, revocations) = match read {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return Err(StoreError::Revocations { problem: error.to_string() }),
            Err(panic) => return Err(StoreError::Revocations { problem: panic.to_string() }),
        };
        for revocation in &revocations {
            self.remember(revocation);
            if let Target::Group(name) = &revocation.target
                && !self.keeps_group(name)
            {
                tracing::warn!(
                    "session.revocations_file names a group that no rule and no header names: no session holds it"
                );
            }
        }
        Ok((place, revocations))
    }

    async fn sessions_named(&self, _: &NamedSessions<'_>) -> Result<Vec<StoredSession>, StoreError> {
        Ok(Vec::new())
    }

    async fn put_pending(
        &self,
        id: &RequestId,
        login: PendingLogin,
        _: IpAddr,
        browser: &Browser<'_>,
    ) -> Result<(), StoreError> {
        logins::put(&self.seal, browser, chunks::bytes_carried(&self.scope, browser), id.as_str(), &login)
    }

    async fn pending(&self, id: &str, now: Timestamp, browser: &Browser<'_>) -> Result<PendingState, StoreError> {
        let Some(carried) = logins::carried(&self.seal, browser, id) else { return Ok(PendingState::Unknown) };
        let (hash, login) = (sha256(id.as_bytes()), carried.login);
        let is_over = |seconds| login.created.plus_seconds(seconds) <= now;
        let is_used = carried.is_used || lock(&self.taken).holds(&hash);
        Ok(match (is_used, is_over(PENDING_SECONDS)) {
            (true, false) => PendingState::Used(login),
            (true, true) => PendingState::Unknown,
            (false, _) if self.is_refused(&hash) => PendingState::Unknown,
            (false, false) => PendingState::Open(login),
            (false, true) if is_over(PENDING_SECONDS + REMEMBERED_SECONDS) => PendingState::Unknown,
            (false, true) => PendingState::Expired(login),
        })
    }

    async fn take_pending(&self, id: &str, now: Timestamp, browser: &Browser<'_>) -> Result<TakeOutcome, StoreError> {
        let PendingState::Open(login) = self.pending(id, now, browser).await? else { return Ok(TakeOutcome::Lost) };
        let until = login.created.plus_seconds(PENDING_SECONDS);
        match lock(&self.taken).claim(sha256(id.as_bytes()), until, now) {
            ClaimOutcome::AlreadyClaimed => Ok(TakeOutcome::Lost),
            ClaimOutcome::Claimed => {
                logins::mark_used(&self.seal, browser, id, &login, now)?;
                Ok(TakeOutcome::Taken)
            }
        }
    }

    async fn count_refusal(&self, id: &str) -> Result<(), StoreError> {
        let count =
            |known: Option<moka::Entry<[u8; 32], u8>>| known.map_or(0, |known| *known.value()).saturating_add(1);
        self.refusals.entry(sha256(id.as_bytes())).and_upsert_with(count);
        Ok(())
    }

    async fn put_pending_logout(
        &self,
        id: &RequestId,
        logout: PendingLogout,
        _: IpAddr,
        browser: &Browser<'_>,
    ) -> Result<(), StoreError> {
        let content = wire::encode(&CarriedLogout { id: id.as_str().to_owned(), logout: Logout::of(&logout) });
        let sealed = self.seal.seal(Purpose::CarriedLogout, b"", &content)?;
        let value = URL_SAFE_NO_PAD.encode(sealed);
        browser.carry(across_sites(LOGOUT_COOKIE, &value, PENDING_SECONDS));
        Ok(())
    }

    async fn take_pending_logout(
        &self,
        id: &str,
        now: Timestamp,
        browser: &Browser<'_>,
    ) -> Result<Option<PendingLogout>, StoreError> {
        let value = browser.carried_once(LOGOUT_COOKIE);
        let sealed = value.and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
        let content = sealed.and_then(|sealed| self.seal.open(Purpose::CarriedLogout, b"", &sealed));
        let carried =
            content.and_then(|bytes| wire::decode::<CarriedLogout>(&bytes)).filter(|carried| carried.id == id);
        let Some(logout) = carried.and_then(|carried| carried.logout.into_logout()) else { return Ok(None) };
        let until = logout.created.plus_seconds(PENDING_SECONDS);
        if until <= now || lock(&self.taken).claim(sha256(id.as_bytes()), until, now) == ClaimOutcome::AlreadyClaimed {
            return Ok(None);
        }
        browser.carry(clear(LOGOUT_COOKIE));
        Ok(Some(logout))
    }

    async fn claim_assertion(
        &self,
        key: &ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<ClaimOutcome, StoreError> {
        Ok(lock(&self.assertions).claim(*key.as_bytes(), until, now))
    }
}

fn deflated(content: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(content).and_then(|()| encoder.finish());
    packed.map_err(|error| StoreError::Packing { problem: error.to_string() })
}

fn inflated(packed: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let length = DeflateDecoder::new(packed).take(MOST_INFLATED + 1).read_to_end(&mut content).ok()?;
    u64::try_from(length).is_ok_and(|length| length <= MOST_INFLATED).then_some(content)
}

#[cfg(test)]
mod tests;
