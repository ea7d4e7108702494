//! The store in Redis or Valkey: shared by replicas, and there after a restart of any of them.
//!
//! A session's record is sealed under its ticket, which no store sees; beside it stands an entry under the gateway's
//! own key, for who lists and ends sessions. Whatever must happen once happens on one key. Sets that find things (a
//! user's sessions, a browser's logins) are written before what they lead to and may lead nowhere.

mod link;
mod names;
mod scripts;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use config::RedisSettings;
use prometheus::Histogram;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{Cmd, Pipeline, ToRedisArgs, cmd, pipe};
use saml_core::{IdpId, NamedSessions, ReplayKey, RequestId, Timestamp};
use tokio::try_join;

use super::browser::Browser;
use super::kept_forms::{ENTRY_BYTES, FORM_SECONDS};
use super::pending::{MAX_IN_ALL, MAX_PER_ADDRESS, MAX_PER_BROWSER, MAX_REFUSALS, PENDING_SECONDS, REMEMBERED_SECONDS};
use super::revocation::{ENDED_SECONDS, Effect, REVOCATION_SECONDS, Revocation, Target};
use super::store::{
    ClaimOutcome, Cursor, KeepOutcome, PendingState, Place, SessionStore, StoreError, TakeOutcome, Whereabouts,
};
use super::ticket::{FormKey, SessionKey, Ticket};
use super::types::{PendingLogin, PendingLogout, SessionRecord, StoredSession};
use super::wire::{self, Entry, Login, Logout, Record, Revoked};
use crate::keys::StoreKeys;
use crate::sealing::{Purpose, Seal};
use link::Link;
use names::Names;
use scripts::Scripts;

/// A record outlives its end by this much, so that clocks that differ collect nothing early.
const SLACK_SECONDS: i64 = 300;
const EVERYTHING: u64 = 1 << 53;
const AT_ONCE: usize = 1_000;
/// What an address, and all together, may have kept in [`FORM_SECONDS`]. A Redis that strangers fill with forms would take no
/// session any more.
const FORM_BYTES_PER_ADDRESS: usize = 8 * 1024 * 1024;
const FORM_BYTES_IN_ALL: usize = 128 * 1024 * 1024;

pub struct RedisStore {
    link: Link,
    names: Names,
    scripts: Scripts,
    seal: Seal,
    index: Seal,
}

/// Two fields of a hash, as others may have written them.
type Two = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Of a pending login, what it holds and its state.
type Held = (Option<Vec<u8>>, Option<String>);

impl RedisStore {
    /// Connects when it is first asked something. `owner` is who the sessions are for, our entity ID: of another
    /// application that shares Redis, and even keys, nothing can be read.
    pub fn new(settings: &RedisSettings, keys: StoreKeys, owner: &str) -> Self {
        Self {
            names: Names::new(&settings.key_prefix, Arc::clone(&keys.index)),
            link: Link::new(settings.clone()),
            scripts: Scripts::default(),
            seal: Seal::new(owner, &keys.seal),
            index: Seal::new(owner, &keys.index),
        }
    }

    /// Has each round to Redis and back, failed ones too, observed in seconds.
    #[must_use]
    pub fn timed(mut self, times: Histogram) -> Self {
        self.link.time(times);
        self
    }

    /// Puts `member` into a set that finds things, and says which ones are too many.
    async fn remember(
        &self,
        set: &str,
        member: impl ToRedisArgs,
        score: i64,
        scores: Scores,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut call = self.scripts.remember.key(set);
        call.arg(score).arg(member).arg(scores.lowest).arg(scores.seconds).arg(scores.most);
        self.link.script(&call).await
    }

    /// Both in one: they are what a session is.
    fn record_of(&self, ticket: &Ticket, record: &SessionRecord) -> Result<Pipeline, StoreError> {
        let key = ticket.key();
        let name = self.names.session(&key);
        // Without our key nobody can write a session that we would read, and without its ticket nobody can read one.
        let sealed = wire::encode(&Record::of(record));
        let sealed = self.seal.seal_with(ticket.secret(), Purpose::Session, key.as_bytes(), &sealed)?;
        let entry = self.index.seal(Purpose::SessionIndex, key.as_bytes(), &wire::encode(&Entry::of(record)))?;
        let mut commands = pipe();
        commands
            .atomic()
            .cmd("HSET")
            .arg(&name)
            .arg("r")
            .arg(sealed)
            .arg("i")
            .arg(entry)
            .arg("t")
            .arg(record.created.unix_seconds())
            .ignore()
            .cmd("EXPIRE")
            .arg(&name)
            .arg(seconds_until(record.expires, record.created) + SLACK_SECONDS)
            .ignore();
        Ok(commands)
    }

    fn entry(&self, key: &SessionKey, sealed: &[u8]) -> Option<Entry> {
        let content = self.index.open(Purpose::SessionIndex, key.as_bytes(), sealed);
        let entry = content.and_then(|bytes| wire::decode(&bytes));
        if entry.is_none() {
            tracing::warn!(
                "the entry of a session cannot be read: is `index` the same key, and the previous one there?"
            );
        }
        entry
    }

    async fn entries(&self, keys: &[SessionKey]) -> Result<Vec<(SessionKey, Entry, i64)>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(AT_ONCE) {
            let ask = |key| cmd("HMGET").arg(self.names.session(key)).arg("i").arg("t").to_owned();
            let commands: Vec<Cmd> = some.iter().map(ask).collect();
            let read: Vec<Two> = self.link.each(&commands).await?;
            for (key, (entry, seen)) in some.iter().zip(read) {
                if let Some(entry) = entry.and_then(|sealed| self.entry(key, &sealed)) {
                    found.push((*key, entry, seen.as_deref().and_then(seconds).unwrap_or_default()));
                }
            }
        }
        Ok(found)
    }

    async fn members(&self, set: &str) -> Result<Vec<SessionKey>, StoreError> {
        let members: Vec<Vec<u8>> = self.link.command(cmd("ZRANGE").arg(set).arg(0).arg(-1)).await?;
        Ok(members.iter().filter_map(|member| key_of(member)).collect())
    }

    async fn members_of_all(&self, sets: &[String]) -> Result<Vec<SessionKey>, StoreError> {
        let mut keys = Vec::new();
        for set in sets {
            keys.extend(self.members(set).await?);
        }
        Ok(keys)
    }

    /// The session, then what leads to it.
    async fn drop_session(&self, key: &SessionKey, entry: Option<&Entry>) -> Result<bool, StoreError> {
        let removed: u64 = self.link.command(cmd("DEL").arg(self.names.session(key))).await?;
        let mut sets = vec![self.names.bucket_of(key)];
        if let Some(entry) = entry {
            sets.extend(self.names.user(&entry.idp, &entry.unique_id));
            sets.extend(entry.name().into_iter().flat_map(|(idp, name_id)| self.names.name(idp, &name_id)));
        }
        let forget = |set: &String| cmd("ZREM").arg(set).arg(key.as_bytes().as_slice()).to_owned();
        self.do_each(sets.iter().map(forget)).await?;
        Ok(removed > 0)
    }

    /// They no longer count against their browser and their address.
    async fn forget_login(&self, id: &str, sets: &[String]) -> Result<(), StoreError> {
        let all = self.names.logins();
        self.do_each(sets.iter().chain([&all]).map(|set| cmd("ZREM").arg(set).arg(id).to_owned())).await
    }

    /// Drops logins that are too many of one browser or address.
    async fn drop_logins(&self, ids: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let drop = |id: &Vec<u8>| cmd("DEL").arg(self.names.login(&String::from_utf8_lossy(id))).to_owned();
        self.do_each(ids.iter().map(drop)).await
    }

    /// Counts bytes that are about to be kept. Sent twice, it counts twice: that errs on the safe side.
    async fn spend(&self, counter: &str, bytes: usize, most: usize) -> Result<bool, StoreError> {
        let mut call = self.scripts.spend.key(counter);
        self.link.script(call.arg(bytes).arg(most).arg(FORM_SECONDS)).await
    }

    /// Commands whose answers are numbers that nobody needs.
    async fn do_each(&self, commands: impl Iterator<Item = Cmd>) -> Result<(), StoreError> {
        let commands: Vec<Cmd> = commands.collect();
        if !commands.is_empty() {
            self.link.each::<i64>(&commands).await?;
        }
        Ok(())
    }

    /// A walk over a whole stream.
    async fn whole(&self, stream: &str) -> Result<Vec<StreamId>, StoreError> {
        let mut all: Vec<StreamId> = Vec::new();
        loop {
            let from = all.last().map_or_else(|| "-".to_owned(), |last| format!("({}", last.id));
            let range = cmd("XRANGE").arg(stream).arg(from).arg("+").arg("COUNT").arg(AT_ONCE).to_owned();
            let page: StreamRangeReply = self.link.command(&range).await?;
            let is_last = page.ids.len() < AT_ONCE;
            all.extend(page.ids);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Whether Redis may throw away what must not be forgotten. It need not be allowed to say.
    async fn warn_of_eviction(&self) {
        let Ok(memory) = self.link.command::<String>(cmd("INFO").arg("memory")).await else { return };
        let value = |name: &str| memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let policy = value("maxmemory_policy").unwrap_or("noeviction");
        if policy != "noeviction" && value("maxmemory").is_some_and(|limit| limit != "0") {
            tracing::warn!(
                "Redis has maxmemory-policy {policy}: it may forget that an assertion was used; set it to noeviction"
            );
        }
    }

    fn ended_of(entry: &StreamId) -> Option<Revocation> {
        let key = key_of(&entry.get::<Vec<u8>>("k")?)?;
        let at = Timestamp::from_unix(entry.get("t")?, 0);
        Some(Revocation { target: Target::Session(key), at })
    }

    /// What somebody else wrote there is no revocation.
    fn revoked_of(&self, entry: &StreamId) -> Option<Revocation> {
        let content = self.seal.open(Purpose::Revocation, b"", &entry.get::<Vec<u8>>("r")?);
        let revocation = content.and_then(|bytes| wire::decode::<Revoked>(&bytes)).and_then(Revoked::into_revocation);
        if revocation.is_none() {
            tracing::warn!(
                entry = entry.id,
                "a revocation in the session store cannot be read: is `seal` the same key?"
            );
        }
        revocation
    }
}

/// How a set that finds things is kept.
struct Scores {
    /// What lies below goes.
    lowest: i64,
    seconds: i64,
    most: u64,
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn insert(&self, ticket: &Ticket, record: SessionRecord, _: &Browser<'_>) -> Result<(), StoreError> {
        let key = ticket.key();
        let commands = self.record_of(ticket, &record)?;
        let member = key.as_bytes().as_slice();
        let (expires, now) = (record.expires.unix_seconds(), record.created);
        let lowest = now.unix_seconds().saturating_sub(SLACK_SECONDS);
        let seconds = seconds_until(record.expires, now) + SLACK_SECONDS;
        let into = |set: String| async move {
            let scores = Scores { lowest, seconds, most: EVERYTHING };
            self.remember(&set, member, expires, scores).await
        };
        let idp = record.idp.as_str();
        let bucket = into(self.names.bucket_of(&key));
        let user = into(self.names.user(idp, &record.unique_id).swap_remove(0));
        let at_idp = async {
            match &record.idp_session {
                Some(session) => into(self.names.name(idp, &session.name_id).swap_remove(0)).await,
                None => Ok(Vec::new()),
            }
        };
        try_join!(bucket, user, at_idp)?;
        self.link.transaction(&commands).await
    }

    async fn load(
        &self,
        key: &SessionKey,
        ticket: &Ticket,
        _: &Browser<'_>,
    ) -> Result<Option<(Arc<SessionRecord>, Timestamp)>, StoreError> {
        let read: Two = self.link.command(cmd("HMGET").arg(self.names.session(key)).arg("r").arg("t")).await?;
        let (Some(sealed), Some(seen)) = (read.0, read.1.as_deref().and_then(seconds)) else { return Ok(None) };
        let content = self.seal.open_with(ticket.secret(), Purpose::Session, key.as_bytes(), &sealed);
        let record = content.and_then(|bytes| wire::decode::<Record>(&bytes)).and_then(Record::into_record);
        if record.is_none() {
            tracing::warn!("a session in the store cannot be read: it was altered, or written by another version");
        }
        Ok(record.map(|record| (Arc::new(record), Timestamp::from_unix(seen, 0))))
    }

    async fn touch(
        &self,
        key: &SessionKey,
        _: Option<&Ticket>,
        seen: Timestamp,
        _: &Browser<'_>,
    ) -> Result<bool, StoreError> {
        let mut call = self.scripts.touch.key(self.names.session(key));
        self.link.script(call.arg(seen.unix_seconds())).await
    }

    async fn remove(&self, key: &SessionKey) -> Result<bool, StoreError> {
        let entry: Option<Vec<u8>> = self.link.command(cmd("HGET").arg(self.names.session(key)).arg("i")).await?;
        let entry = entry.and_then(|sealed| self.entry(key, &sealed));
        self.drop_session(key, entry.as_ref()).await
    }

    async fn sessions_of(&self, idp: &IdpId, unique_id: &str) -> Result<Vec<StoredSession>, StoreError> {
        let keys = self.members_of_all(&self.names.user(idp.as_str(), unique_id)).await?;
        Ok(sessions(self.entries(&keys).await?))
    }

    async fn walk(&self, from: Option<Cursor>) -> Result<(Vec<StoredSession>, Option<Cursor>), StoreError> {
        let bucket = match from {
            Some(Cursor(Whereabouts::Set(bucket))) => bucket,
            _ => 0,
        };
        let keys = self.members(&self.names.bucket(bucket)).await?;
        Ok((sessions(self.entries(&keys).await?), bucket.checked_add(1).map(|next| Cursor(Whereabouts::Set(next)))))
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn publish(&self, revocation: &Revocation) -> Result<Effect, StoreError> {
        let [ended, revoked] = self.names.streams();
        let now = revocation.at.unix_seconds();
        let oldest = |seconds: i64| format!("{}-0", now.saturating_sub(seconds).max(0).saturating_mul(1_000));
        let mut add = cmd("XADD");
        match (&revocation.target, Revoked::of(revocation)) {
            (Target::Session(key), _) => {
                add.arg(ended).arg("MINID").arg("~").arg(oldest(ENDED_SECONDS)).arg("*");
                add.arg("k").arg(key.as_bytes().as_slice()).arg("t").arg(now);
            }
            (_, Some(content)) => {
                add.arg(revoked).arg("MINID").arg("~").arg(oldest(REVOCATION_SECONDS)).arg("*");
                add.arg("r").arg(self.seal.seal(Purpose::Revocation, b"", &wire::encode(&content))?);
            }
            (_, None) => return Ok(Effect::Done),
        }
        self.link.command::<()>(&add).await.map(|()| Effect::Done)
    }

    async fn published(&self, since: Option<&Place>) -> Result<(Place, Vec<Revocation>), StoreError> {
        let [ended, revoked] = self.names.streams();
        let Some(Place(ids)) = since else {
            self.warn_of_eviction().await;
            // Sessions that ended before now are in no cache of this process and no longer in the store.
            let last = cmd("XREVRANGE").arg(&ended).arg("+").arg("-").arg("COUNT").arg(1).to_owned();
            let last: StreamRangeReply = self.link.command(&last).await?;
            let all = self.whole(&revoked).await?;
            let place =
                [last.ids.first(), all.last()].map(|entry| entry.map_or("0-0".to_owned(), |entry| entry.id.clone()));
            return Ok((Place(place.to_vec()), all.iter().filter_map(|entry| self.revoked_of(entry)).collect()));
        };
        let mut ids = ids.clone();
        let mut news = Vec::new();
        loop {
            let mut read = cmd("XREAD");
            read.arg("COUNT").arg(AT_ONCE).arg("STREAMS").arg(&ended).arg(&revoked).arg(&ids);
            let reply: Option<StreamReadReply> = self.link.command(&read).await?;
            let streams = reply.map(|reply| reply.keys).unwrap_or_default();
            let is_last = streams.iter().all(|stream| stream.ids.len() < AT_ONCE);
            for stream in streams {
                let is_ended = stream.key == ended;
                if let (Some(last), Some(place)) = (stream.ids.last(), ids.get_mut(usize::from(!is_ended))) {
                    place.clone_from(&last.id);
                }
                let read = |entry| if is_ended { Self::ended_of(entry) } else { self.revoked_of(entry) };
                news.extend(stream.ids.iter().filter_map(read));
            }
            if is_last {
                return Ok((Place(ids), news));
            }
        }
    }

    async fn sessions_named(&self, named: &NamedSessions<'_>) -> Result<Vec<StoredSession>, StoreError> {
        let keys = self.members_of_all(&self.names.name(named.idp.as_str(), named.name_id)).await?;
        let mut entries = self.entries(&keys).await?;
        entries.retain(|(_, entry, _)| entry.is_among(named));
        Ok(sessions(entries))
    }

    async fn put_pending(
        &self,
        id: &RequestId,
        login: PendingLogin,
        client: IpAddr,
        _: &Browser<'_>,
    ) -> Result<(), StoreError> {
        let id = id.as_str();
        let (browser, address) = (self.names.browser(&login.binding), self.names.address("a", client));
        let created = login.created.unix_seconds();
        let sealed = self.seal.seal(Purpose::PendingLogin, id.as_bytes(), &wire::encode(&Login::of(&login)))?;
        let name = self.names.login(id);
        let kept = PENDING_SECONDS + REMEMBERED_SECONDS;
        let mut commands = pipe();
        commands
            .atomic()
            .cmd("HSET")
            .arg(&name)
            .arg(&[("l", sealed.as_slice()), ("s", b"o".as_slice()), ("n", b"0".as_slice())])
            .arg(&[("c", created.to_string()), ("b", browser.clone()), ("a", address.clone())])
            .ignore()
            .cmd("EXPIRE")
            .arg(&name)
            .arg(kept)
            .ignore();
        self.link.transaction(&commands).await?;
        let scores = |most: usize| Scores {
            lowest: created.saturating_sub(kept),
            seconds: kept,
            most: u64::try_from(most).unwrap_or(EVERYTHING),
        };
        let all = self.names.logins();
        let past = try_join!(
            self.remember(&browser, id, created, scores(MAX_PER_BROWSER)),
            self.remember(&address, id, created, scores(MAX_PER_ADDRESS)),
            self.remember(&all, id, created, scores(MAX_IN_ALL)),
        )?;
        self.drop_logins([past.0, past.1, past.2].concat()).await
    }

    async fn pending(&self, id: &str, now: Timestamp, _: &Browser<'_>) -> Result<PendingState, StoreError> {
        let (sealed, state): Held = self.link.command(cmd("HMGET").arg(self.names.login(id)).arg("l").arg("s")).await?;
        let login = sealed.and_then(|sealed| self.seal.open(Purpose::PendingLogin, id.as_bytes(), &sealed));
        let login = login.and_then(|bytes| wire::decode::<Login>(&bytes)).and_then(Login::into_login);
        let Some(login) = login else { return Ok(PendingState::Unknown) };
        let is_over = |seconds: i64| login.created.plus_seconds(seconds) <= now;
        Ok(match (state.as_deref(), is_over(PENDING_SECONDS)) {
            (Some("u"), false) => PendingState::Used(login),
            (Some("o"), false) => PendingState::Open(login),
            (Some("o"), true) if !is_over(PENDING_SECONDS + REMEMBERED_SECONDS) => PendingState::Expired(login),
            _ => PendingState::Unknown,
        })
    }

    async fn take_pending(&self, id: &str, now: Timestamp, _: &Browser<'_>) -> Result<TakeOutcome, StoreError> {
        let oldest = now.unix_seconds().saturating_sub(PENDING_SECONDS);
        let mut call = self.scripts.take.key(self.names.login(id));
        let sets: Vec<String> = self.link.script(call.arg(oldest)).await?;
        if sets.is_empty() {
            return Ok(TakeOutcome::Lost);
        }
        // It is taken, whatever becomes of what counts it.
        if let Err(error) = self.forget_login(id, &sets).await {
            tracing::debug!(%error, "a login that is over still counts against its browser");
        }
        Ok(TakeOutcome::Taken)
    }

    async fn count_refusal(&self, id: &str) -> Result<(), StoreError> {
        let mut call = self.scripts.count_refusal.key(self.names.login(id));
        self.link.script(call.arg(MAX_REFUSALS)).await
    }

    async fn put_pending_logout(
        &self,
        id: &RequestId,
        logout: PendingLogout,
        client: IpAddr,
        _: &Browser<'_>,
    ) -> Result<(), StoreError> {
        let id = id.as_str();
        let sealed = self.seal.seal(Purpose::PendingLogout, id.as_bytes(), &wire::encode(&Logout::of(&logout)))?;
        self.link.command::<()>(&set(&self.names.logout(id), &sealed, PENDING_SECONDS)).await?;
        let created = logout.created.unix_seconds();
        let scores = Scores {
            lowest: created.saturating_sub(PENDING_SECONDS),
            seconds: PENDING_SECONDS,
            most: u64::try_from(MAX_PER_ADDRESS).unwrap_or(EVERYTHING),
        };
        let past = self.remember(&self.names.address("l", client), id, created, scores).await?;
        let drop = |id: &Vec<u8>| cmd("DEL").arg(self.names.logout(&String::from_utf8_lossy(id))).to_owned();
        self.do_each(past.iter().map(drop)).await
    }

    async fn take_pending_logout(
        &self,
        id: &str,
        now: Timestamp,
        _: &Browser<'_>,
    ) -> Result<Option<PendingLogout>, StoreError> {
        let sealed: Option<Vec<u8>> = self.link.command(cmd("GETDEL").arg(self.names.logout(id))).await?;
        let content = sealed.and_then(|sealed| self.seal.open(Purpose::PendingLogout, id.as_bytes(), &sealed));
        let logout = content.and_then(|bytes| wire::decode::<Logout>(&bytes)).and_then(Logout::into_logout);
        Ok(logout.filter(|logout| now < logout.created.plus_seconds(PENDING_SECONDS)))
    }

    async fn claim_assertion(
        &self,
        key: &ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<ClaimOutcome, StoreError> {
        let claim = set(&self.names.claim(key), b"1", seconds_until(until, now) + SLACK_SECONDS).arg("NX").to_owned();
        let claimed: Option<String> = self.link.command(&claim).await?;
        Ok(if claimed.is_some() { ClaimOutcome::Claimed } else { ClaimOutcome::AlreadyClaimed })
    }

    async fn put_form(
        &self,
        key: &FormKey,
        sealed: Vec<u8>,
        _now: Timestamp,
        client: IpAddr,
    ) -> Result<KeepOutcome, StoreError> {
        let bytes = sealed.len().saturating_add(ENTRY_BYTES);
        for (counter, most) in
            [(self.names.address("g", client), FORM_BYTES_PER_ADDRESS), (self.names.forms(), FORM_BYTES_IN_ALL)]
        {
            if !self.spend(&counter, bytes, most).await? {
                return Ok(KeepOutcome::TooMuch);
            }
        }
        self.link.command::<()>(&set(&self.names.form(key), &sealed, FORM_SECONDS + SLACK_SECONDS)).await?;
        Ok(KeepOutcome::Kept)
    }

    async fn form(&self, key: &FormKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.link.command(cmd("GET").arg(self.names.form(key))).await
    }

    async fn take_form(&self, key: &FormKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.link.command(cmd("GETDEL").arg(self.names.form(key))).await
    }
}

fn sessions(entries: Vec<(SessionKey, Entry, i64)>) -> Vec<StoredSession> {
    entries.into_iter().filter_map(|(key, entry, seen)| entry.into_session(key, seen)).collect()
}

/// As others may have written it.
fn seconds(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn set(name: &str, value: &[u8], seconds: i64) -> Cmd {
    cmd("SET").arg(name).arg(value).arg("EX").arg(seconds).to_owned()
}

fn seconds_until(end: Timestamp, now: Timestamp) -> i64 {
    end.unix_seconds().saturating_sub(now.unix_seconds()).max(1)
}

fn key_of(bytes: &[u8]) -> Option<SessionKey> {
    <[u8; 32]>::try_from(bytes).ok().map(SessionKey::from_bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use config::{Settings, StoreSettings};

    use super::*;
    use crate::keys::{KeyName, Keys, Rotate, Rotation, generate};
    use crate::testing;

    fn replica(keys_dir: &Path) -> RedisStore {
        let mut settings = Settings { keys_dir: Some(keys_dir.to_owned()), ..testing::settings() };
        settings.session.store = StoreSettings::Redis(testing::redis());
        RedisStore::new(&testing::redis(), Keys::load(&settings).unwrap().0.store().unwrap().clone(), "test")
    }

    /// Whether `reader` opens what `writer` seals and looks where `writer` puts it.
    fn finds(reader: &RedisStore, writer: &RedisStore) -> bool {
        let sealed = writer.seal.seal(Purpose::PendingLogin, b"id", b"login").unwrap();
        let opens = reader.seal.open(Purpose::PendingLogin, b"id", &sealed).is_some();
        let set = writer.names.user("jumpcloud", "5f3c").swap_remove(0);
        assert_eq!(opens, reader.names.user("jumpcloud", "5f3c").contains(&set));
        opens
    }

    #[test]
    fn replicas_that_are_one_step_of_a_rotation_apart_find_what_the_other_writes() {
        let directory = tempfile::tempdir().unwrap();
        generate(directory.path()).unwrap();
        let step = |rotate| {
            Rotation::plan(directory.path(), &[KeyName::Seal, KeyName::Index], rotate).unwrap().carry_out().unwrap();
            replica(directory.path())
        };
        let before = replica(directory.path());
        let [announced, in_use, retired] = [Rotate::Step, Rotate::Step, Rotate::Retire].map(step);
        for (one, other) in [(&before, &announced), (&announced, &in_use), (&in_use, &retired)] {
            assert!(finds(one, other) && finds(other, one));
        }
        assert!(!finds(&before, &in_use), "so every replica takes the first step before any takes the second");
        assert!(finds(&in_use, &before) && !finds(&retired, &before));
    }
}
