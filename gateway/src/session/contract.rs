//! What every session store must do, as one suite that each store's tests call. Time is only a number here.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use saml_core::{Authentication, IdpId, NameId, NamedSessions, ReplayKey, RequestId, Timestamp};

use super::browser::Browser;
use super::cache::lock;
use super::pending::PENDING_SECONDS;
use super::revocation::{Effect, Revocation, Target};
use super::rounds::Rounds;
use super::store::{ClaimOutcome, KeepOutcome, PendingState, SessionStore, StoreError, TakeOutcome};
use super::ticket::{BrowserBinding, FormKey, FormSecret, SessionKey, Ticket};
use super::types::{FurtherClaims, IdpSession, Landing, PendingLogin, PendingLogout, SessionRecord, StoredSession};

/// Makes an empty store.
pub type Make<'a> = &'a (dyn Fn() -> Arc<dyn SessionStore> + Sync);

/// Everything except [`claims_an_assertion_once`], whose keys only a verified response gives.
pub async fn run(make: Make<'_>) {
    let visit = || Visitor::new(make());
    keeps_a_session_until_it_is_removed(visit()).await;
    last_seen_moves_forward_only(visit()).await;
    touching_what_is_gone_brings_nothing_back(visit()).await;
    a_pending_login_has_one_taker(visit()).await;
    a_used_login_stays_used_until_its_time_is_over(visit()).await;
    a_login_cannot_be_taken_after_its_time(visit()).await;
    the_fifth_refusal_drops_a_pending_login(visit()).await;
    the_eleventh_login_of_a_browser_drops_the_first(visit()).await;
    a_pending_logout_has_one_taker(visit()).await;
    tells_others_of_revocations(visit()).await;
    a_login_comes_back_with_its_landing(visit()).await;
    if !make().keeps_sessions() {
        finds_nobody(visit()).await;
        return;
    }
    single_logout_finds_the_sessions_that_it_names_and_no_other(visit()).await;
    single_logout_finds_what_is_still_there(visit()).await;
    finds_the_sessions_of_a_user(visit()).await;
    a_walk_meets_every_session(visit()).await;
    a_form_has_one_taker(make()).await;
    strangers_do_not_fill_the_store_with_forms(make()).await;
}

/// A browser before a store: whatever the store has it carry, it carries.
#[derive(Clone)]
pub struct Visitor {
    pub store: Arc<dyn SessionStore>,
    jar: Arc<Mutex<BTreeMap<String, String>>>,
    /// Its sessions.
    inserted: Arc<Mutex<HashSet<[u8; 32]>>>,
}

type Outcome<T> = Result<T, StoreError>;

impl Visitor {
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        Self { store, jar: Arc::default(), inserted: Arc::default() }
    }

    /// Another browser, before the same store.
    fn another(&self) -> Self {
        Self { jar: Arc::default(), ..self.clone() }
    }

    pub fn cookies(&self) -> HeaderMap {
        let pairs: Vec<String> = lock(&self.jar).iter().map(|(name, value)| format!("{name}={value}")).collect();
        let header = HeaderValue::from_str(&pairs.join("; ")).expect("cookies are text");
        [(COOKIE, header)].into_iter().collect()
    }

    /// As a browser takes Set-Cookie lines.
    pub fn keep(&self, browser: &Browser<'_>) {
        for line in browser.take_lines() {
            let (name, value) = line.split_once(';').unwrap_or((&line, "")).0.split_once('=').expect("a pair");
            if line.contains("Max-Age=0") {
                lock(&self.jar).remove(name);
            } else {
                lock(&self.jar).insert(name.to_owned(), value.to_owned());
            }
        }
    }

    async fn insert(&self, ticket: &Ticket, record: SessionRecord) -> Outcome<()> {
        let cookies = self.cookies();
        let browser = Browser::of(&cookies);
        let done = self.store.insert(ticket, record, &browser).await;
        lock(&self.inserted).insert(*ticket.key().as_bytes());
        self.keep(&browser);
        done
    }

    async fn load(&self, key: &SessionKey, ticket: &Ticket) -> Outcome<Option<(Arc<SessionRecord>, Timestamp)>> {
        self.store.load(key, ticket, &Browser::of(&self.cookies())).await
    }

    async fn touch(&self, ticket: &Ticket, seen: Timestamp) -> Outcome<bool> {
        let cookies = self.cookies();
        let browser = Browser::of(&cookies);
        let done = self.store.touch(&ticket.key(), Some(ticket), seen, &browser).await;
        self.keep(&browser);
        done
    }

    /// Where the store has nothing to remove, what is published ends the session.
    async fn remove(&self, key: &SessionKey) -> Outcome<bool> {
        if self.store.keeps_sessions() {
            return self.store.remove(key).await;
        }
        let _ = self.publish(&Revocation { target: Target::Session(*key), at: at(1_000) }).await?;
        Ok(lock(&self.inserted).remove(key.as_bytes()))
    }

    async fn publish(&self, revocation: &Revocation) -> Outcome<Effect> {
        self.store.publish(revocation).await
    }

    async fn put_pending(&self, id: &RequestId, login: PendingLogin, client: IpAddr) -> Outcome<()> {
        let cookies = self.cookies();
        let browser = Browser::of(&cookies);
        let done = self.store.put_pending(id, login, client, &browser).await;
        self.keep(&browser);
        done
    }

    async fn pending(&self, id: &str, now: Timestamp) -> Outcome<PendingState> {
        self.store.pending(id, now, &Browser::of(&self.cookies())).await
    }

    async fn take_pending(&self, id: &str, now: Timestamp) -> Outcome<TakeOutcome> {
        let cookies = self.cookies();
        let browser = Browser::of(&cookies);
        let done = self.store.take_pending(id, now, &browser).await;
        self.keep(&browser);
        done
    }

    async fn count_refusal(&self, id: &str) -> Outcome<()> {
        self.store.count_refusal(id).await
    }

    async fn put_pending_logout(&self, id: &RequestId, logout: PendingLogout, client: IpAddr) -> Outcome<()> {
        let cookies = self.cookies();
        let browser = Browser::of(&cookies);
        let done = self.store.put_pending_logout(id, logout, client, &browser).await;
        self.keep(&browser);
        done
    }

    async fn take_pending_logout(&self, id: &str, now: Timestamp) -> Outcome<Option<PendingLogout>> {
        self.store.take_pending_logout(id, now, &Browser::of(&self.cookies())).await
    }
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds, 0)
}

pub fn record(created: i64, expires: i64) -> SessionRecord {
    SessionRecord {
        idp: IdpId::parse("jumpcloud").expect("an id"),
        unique_id: "5f3c".into(),
        email: "ada@example.com".into(),
        username: Some("ada".into()),
        first_name: Some("Ada".into()),
        last_name: Some("Lovelace".into()),
        groups: ["staff", "admins"].into_iter().collect(),
        further: Some(Box::new(FurtherClaims { name_id: Some("ada@example.com".into()), attributes: Box::default() })),
        created: at(created),
        expires: at(expires),
        idp_session: Some(Box::new(IdpSession { name_id: name_id(), session_indexes: vec!["_s1".to_owned()] })),
    }
}

fn name_id() -> NameId {
    NameId {
        value: "ada@example.com".to_owned(),
        format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned()),
        name_qualifier: Some("idp".to_owned()),
        sp_name_qualifier: None,
        sp_provided_id: None,
    }
}

pub fn ticket() -> Ticket {
    Ticket::generate(&SystemRandom::new()).expect("random bytes")
}

pub fn form_key() -> FormKey {
    FormSecret::generate(&SystemRandom::new()).expect("random bytes").key()
}

fn request(number: u8) -> RequestId {
    RequestId::from_random([number; 20])
}

fn login(browser: &BrowserBinding, created: i64) -> PendingLogin {
    PendingLogin {
        idp: IdpId::parse("jumpcloud").expect("an id"),
        return_url: "/deep?x=1".into(),
        binding: browser.hash(),
        created: at(created),
        authentication: Authentication::Any,
        rounds: Rounds::none(at(created)),
        replaces: None,
        landing: Landing::Form(form_key().id()),
    }
}

fn browser() -> BrowserBinding {
    BrowserBinding::generate(&SystemRandom::new()).expect("random bytes")
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

async fn keeps_a_session_until_it_is_removed(store: Visitor) {
    let (ticket, other) = (ticket(), ticket());
    store.insert(&ticket, record(1_000, 2_000)).await.expect("inserted");
    assert!(store.load(&other.key(), &other).await.expect("loaded").is_none(), "a strange ticket names no session");
    let (found, seen) = store.load(&ticket.key(), &ticket).await.expect("loaded").expect("a session");
    assert_eq!((&*found.unique_id, &*found.email), ("5f3c", "ada@example.com"));
    assert_eq!(found.groups.iter().collect::<Vec<_>>(), ["staff", "admins"]);
    assert_eq!((found.created, found.expires, seen), (at(1_000), at(2_000), at(1_000)));
    assert!(store.load(&ticket.key(), &other).await.is_ok(), "another's ticket is no reason to fail");
    assert!(!store.remove(&other.key()).await.expect("removing what is not there is no error"));
    assert!(store.load(&ticket.key(), &ticket).await.expect("loaded").is_some());
    assert!(store.remove(&ticket.key()).await.expect("removed"));
    assert!(!store.remove(&ticket.key()).await.expect("removed again"));
    assert!(store.load(&ticket.key(), &ticket).await.expect("loaded").is_none());
}

/// Each session differs from the named one in a single thing.
async fn single_logout_finds_the_sessions_that_it_names_and_no_other(store: Visitor) {
    type Change = fn(&mut SessionRecord);
    fn at_idp(record: &mut SessionRecord) -> &mut IdpSession {
        record.idp_session.as_mut().expect("there is one")
    }
    let cases: [(&str, bool, Change); 12] = [
        ("the same", true, |_| {}),
        ("another format", true, |record| at_idp(record).name_id.format = None),
        ("one SessionIndex of several", true, |record| at_idp(record).session_indexes.push("_s2".to_owned())),
        ("another user id under the same name", true, |record| record.unique_id = "other".into()),
        ("another IdP", false, |record| record.idp = IdpId::parse("okta").expect("an id")),
        ("another value", false, |record| at_idp(record).name_id.value.push(' ')),
        ("another case", false, |record| at_idp(record).name_id.value = "Ada@example.com".to_owned()),
        ("another qualifier", false, |record| at_idp(record).name_id.name_qualifier = Some("idp2".to_owned())),
        ("no qualifier", false, |record| at_idp(record).name_id.name_qualifier = None),
        ("an empty qualifier more", false, |record| {
            at_idp(record).name_id.sp_name_qualifier = Some(String::new());
        }),
        ("another SessionIndex", false, |record| at_idp(record).session_indexes = vec!["_s3".to_owned()]),
        ("nothing that the IdP could name", false, |record| record.idp_session = None),
    ];
    let mut tickets = Vec::new();
    for (case, is_meant, change) in cases {
        let mut record = record(1_000, 2_000);
        change(&mut record);
        let ticket = ticket();
        store.insert(&ticket, record).await.expect("inserted");
        tickets.push((case, is_meant, ticket));
    }
    let (idp, name_id, indexes) = (record(0, 1).idp, name_id(), ["_s0".to_owned(), "_s1".to_owned()]);
    let named = NamedSessions { idp: &idp, name_id: &name_id, session_indexes: &indexes };
    let found = store.store.sessions_named(&named).await.expect("found");
    assert_eq!(found.len(), 4);
    assert_eq!(found.iter().filter(|session| &*session.unique_id == "other").count(), 1);
    for (case, is_meant, ticket) in &tickets {
        assert_eq!(found.iter().any(|session| session.key == ticket.key()), *is_meant, "{case}");
    }
    let every = NamedSessions { session_indexes: &[], ..named };
    let found = store.store.sessions_named(&every).await.expect("found");
    assert_eq!(found.len(), 5, "without a SessionIndex the session with another one is meant too");
    for session in &found {
        assert!(store.remove(&session.key).await.expect("removed"));
    }
    assert!(store.store.sessions_named(&every).await.expect("asked again").is_empty());
}

async fn single_logout_finds_what_is_still_there(store: Visitor) {
    let (removed, kept) = (ticket(), ticket());
    for ticket in [&removed, &kept] {
        store.insert(ticket, record(1_000, 2_000)).await.expect("inserted");
    }
    store.remove(&removed.key()).await.expect("removed");
    let (idp, name_id) = (record(0, 1).idp, name_id());
    let found = store.store.sessions_named(&NamedSessions { idp: &idp, name_id: &name_id, session_indexes: &[] }).await;
    assert_eq!(keys(&found.expect("found")), [kept.key()]);
}

async fn a_pending_logout_has_one_taker(store: Visitor) {
    let (id, late) = (request(1), request(2));
    let logout = PendingLogout { idp: IdpId::parse("okta").expect("an id"), created: at(0) };
    assert!(store.take_pending_logout(id.as_str(), at(0)).await.expect("asked").is_none());
    let elsewhere = store.another();
    store.put_pending_logout(&id, logout.clone(), CLIENT).await.expect("put");
    elsewhere.put_pending_logout(&late, logout.clone(), CLIENT).await.expect("put");
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let (store, id) = (store.clone(), id.clone());
            let at = at(PENDING_SECONDS - 1);
            tokio::spawn(async move { store.take_pending_logout(id.as_str(), at).await.expect("asked") })
        })
        .collect();
    let mut taken = Vec::new();
    for racer in racers {
        taken.extend(racer.await.expect("ran"));
    }
    assert_eq!(taken, [logout]);
    assert!(elsewhere.take_pending_logout(late.as_str(), at(PENDING_SECONDS)).await.expect("asked").is_none());
}

async fn finds_the_sessions_of_a_user(store: Visitor) {
    type Change = fn(&mut SessionRecord);
    let cases: [(bool, Change); 5] = [
        (true, |_| {}),
        (true, |record| record.email = "ada@example.org".into()),
        (false, |record| record.unique_id = "5f3".into()),
        (false, |record| record.idp = IdpId::parse("okta").expect("an id")),
        (true, |record| record.idp_session = None),
    ];
    let mut expected = Vec::new();
    let mut tickets = Vec::new();
    for (is_theirs, change) in cases {
        let (ticket, mut record) = (ticket(), record(1_000, 2_000));
        change(&mut record);
        store.insert(&ticket, record).await.expect("inserted");
        expected.extend(is_theirs.then_some(ticket.key()));
        tickets.push(ticket);
    }
    let idp = IdpId::parse("jumpcloud").expect("an id");
    let mut found: Vec<_> = keys(&store.store.sessions_of(&idp, "5f3c").await.expect("found"));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    store.remove(&tickets[0].key()).await.expect("removed");
    assert!(store.touch(&tickets[1], at(1_500)).await.expect("touched"));
    let left = store.store.sessions_of(&idp, "5f3c").await.expect("found");
    assert_eq!(left.len(), 2);
    let touched = left.iter().find(|session| session.key == tickets[1].key()).expect("still there");
    assert_eq!((&*touched.email, touched.seen), ("ada@example.org", at(1_500)));
    assert_eq!((touched.created, touched.expires), (at(1_000), at(2_000)));
    assert_eq!(touched.groups.iter().collect::<Vec<_>>(), ["staff", "admins"]);
    assert!(store.store.sessions_of(&idp, "").await.expect("asked").is_empty());
}

async fn a_walk_meets_every_session(store: Visitor) {
    const COUNT: i64 = 2_500;
    let mut inserted = Vec::new();
    for number in 0..COUNT {
        let ticket = ticket();
        // Many end at the same time.
        store.insert(&ticket, record(1_000, 2_000 + number / 700)).await.expect("inserted");
        inserted.push(ticket.key());
    }
    store.remove(&inserted.swap_remove(7)).await.expect("removed");
    let (mut met, mut from) = (Vec::new(), None);
    loop {
        let (some, next) = store.store.walk(from).await.expect("walked");
        met.extend(keys(&some));
        let Some(next) = next else { break };
        from = Some(next);
    }
    inserted.sort();
    met.sort();
    assert_eq!(met, inserted);
}

/// Where the store is shared; one that is not has nobody to tell.
async fn tells_others_of_revocations(store: Visitor) {
    let revocation = |target: Target, time| Revocation { target, at: at(time) };
    let user = Target::User { idp: IdpId::parse("jumpcloud").expect("an id"), unique_id: "5f3c".into() };
    let before = [revocation(user, 1_000), revocation(Target::Group("staff".into()), 1_001)];
    for one in &before {
        let _ = store.publish(one).await.expect("published");
    }
    let single = revocation(Target::Session(ticket().key()), 1_001);
    let _ = store.publish(&single).await.expect("published");
    let (place, known) = store.store.published(None).await.expect("read");
    let after = [
        revocation(Target::Session(ticket().key()), 1_003),
        revocation(Target::Email("ada@example.com".into()), 1_004),
        revocation(Target::All, 1_005),
    ];
    if !store.store.is_shared() {
        assert!(known.is_empty());
        return;
    }
    // Of sessions that ended before nobody needs to hear, unless nobody could remove them.
    let before = if store.store.keeps_sessions() { before.to_vec() } else { [&before[..], &[single]].concat() };
    assert_eq!(known, before);
    let (same, nothing) = store.store.published(Some(&place)).await.expect("read");
    assert!(nothing.is_empty() && same == place);
    for one in &after {
        let _ = store.publish(one).await.expect("published");
    }
    let (place, news) = store.store.published(Some(&place)).await.expect("read");
    assert_eq!(news, after);
    for number in 0..2_500 {
        let _ = store.publish(&revocation(Target::Group(format!("{number}").into()), number)).await.expect("published");
    }
    let (_, news) = store.store.published(Some(&place)).await.expect("read");
    assert_eq!(news.len(), 2_500);
    let (_, all) = store.store.published(None).await.expect("read");
    assert_eq!(all.len(), before.len() + if store.store.keeps_sessions() { 2 } else { 3 } + 2_500);
}

/// What a store says that keeps no sessions: nothing, and never that there are none.
async fn finds_nobody(store: Visitor) {
    store.insert(&ticket(), record(1_000, 2_000)).await.expect("inserted");
    let (idp, name_id) = (record(0, 1).idp, name_id());
    assert!(store.store.sessions_of(&idp, "5f3c").await.expect("asked").is_empty());
    assert!(store.store.walk(None).await.expect("walked").0.is_empty());
    let named = NamedSessions { idp: &idp, name_id: &name_id, session_indexes: &[] };
    assert!(store.store.sessions_named(&named).await.expect("asked").is_empty());
}

fn keys(sessions: &[StoredSession]) -> Vec<SessionKey> {
    sessions.iter().map(|session| session.key).collect()
}

async fn last_seen_moves_forward_only(store: Visitor) {
    let ticket = ticket();
    store.insert(&ticket, record(1_000, 2_000)).await.expect("inserted");
    for (touched, expected) in [(1_100, 1_100), (1_050, 1_100), (1_200, 1_200)] {
        assert!(store.touch(&ticket, at(touched)).await.expect("touched"));
        let (_, seen) = store.load(&ticket.key(), &ticket).await.expect("loaded").expect("a session");
        assert_eq!(seen, at(expected));
    }
}

async fn touching_what_is_gone_brings_nothing_back(store: Visitor) {
    let ticket = ticket();
    store.insert(&ticket, record(1_000, 2_000)).await.expect("inserted");
    store.remove(&ticket.key()).await.expect("removed");
    assert!(!store.touch(&ticket, at(1_100)).await.expect("touched"));
    assert!(store.load(&ticket.key(), &ticket).await.expect("loaded").is_none());
}

async fn a_pending_login_has_one_taker(store: Visitor) {
    let (id, browser) = (request(1), browser());
    assert!(matches!(store.pending(id.as_str(), at(0)).await.expect("asked"), PendingState::Unknown));
    assert_eq!(store.take_pending(id.as_str(), at(0)).await.expect("asked"), TakeOutcome::Lost);
    store.put_pending(&id, login(&browser, 0), CLIENT).await.expect("put");
    let PendingState::Open(open) = store.pending(id.as_str(), at(10)).await.expect("asked") else {
        panic!("not open");
    };
    assert!(open.binding.matches(&browser));
    assert_eq!(&*open.return_url, "/deep?x=1");

    let racers: Vec<_> = (0..16)
        .map(|_| {
            let (store, id) = (store.clone(), id.clone());
            tokio::spawn(async move { store.take_pending(id.as_str(), at(10)).await.expect("asked") })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        winners += usize::from(racer.await.expect("ran") == TakeOutcome::Taken);
    }
    assert_eq!(winners, 1);
}

async fn a_used_login_stays_used_until_its_time_is_over(store: Visitor) {
    let (id, browser) = (request(2), browser());
    store.put_pending(&id, login(&browser, 0), CLIENT).await.expect("put");
    assert_eq!(store.take_pending(id.as_str(), at(10)).await.expect("asked"), TakeOutcome::Taken);
    let PendingState::Used(used) = store.pending(id.as_str(), at(PENDING_SECONDS - 1)).await.expect("asked") else {
        panic!("not used");
    };
    assert_eq!(&*used.return_url, "/deep?x=1");
    for _ in 0..6 {
        store.count_refusal(id.as_str()).await.expect("counted");
    }
    assert!(matches!(store.pending(id.as_str(), at(20)).await.expect("asked"), PendingState::Used(_)));
}

async fn a_login_cannot_be_taken_after_its_time(store: Visitor) {
    let (id, browser) = (request(3), browser());
    store.put_pending(&id, login(&browser, 0), CLIENT).await.expect("put");
    assert!(matches!(store.pending(id.as_str(), at(PENDING_SECONDS - 1)).await.expect("asked"), PendingState::Open(_)));
    // A store that collects at once forgets; one that does not can still say that it expired.
    assert!(matches!(
        store.pending(id.as_str(), at(PENDING_SECONDS)).await.expect("asked"),
        PendingState::Expired(_) | PendingState::Unknown
    ));
    assert_eq!(store.take_pending(id.as_str(), at(PENDING_SECONDS)).await.expect("asked"), TakeOutcome::Lost);
}

async fn the_fifth_refusal_drops_a_pending_login(store: Visitor) {
    let (id, browser) = (request(4), browser());
    store.put_pending(&id, login(&browser, 0), CLIENT).await.expect("put");
    for _ in 0..4 {
        store.count_refusal(id.as_str()).await.expect("counted");
    }
    assert!(matches!(store.pending(id.as_str(), at(1)).await.expect("asked"), PendingState::Open(_)));
    store.count_refusal(id.as_str()).await.expect("counted");
    assert!(matches!(store.pending(id.as_str(), at(1)).await.expect("asked"), PendingState::Unknown));
    assert_eq!(store.take_pending(id.as_str(), at(1)).await.expect("asked"), TakeOutcome::Lost);
}

async fn the_eleventh_login_of_a_browser_drops_the_first(store: Visitor) {
    let (crowded, other) = (browser(), browser());
    let elsewhere = store.another();
    elsewhere.put_pending(&request(99), login(&other, 0), CLIENT).await.expect("put");
    for number in 0..11 {
        store.put_pending(&request(number), login(&crowded, i64::from(number)), CLIENT).await.expect("put");
    }
    assert!(matches!(store.pending(request(0).as_str(), at(11)).await.expect("asked"), PendingState::Unknown));
    for (number, store) in (1..11).map(|number| (number, &store)).chain([(99, &elsewhere)]) {
        let state = store.pending(request(number).as_str(), at(11)).await.expect("asked");
        assert!(matches!(state, PendingState::Open(_)), "{number}");
    }
}

/// `one` and `other` are the keys of two different assertions.
pub async fn claims_an_assertion_once(make: Make<'_>, one: ReplayKey, other: ReplayKey) {
    let store = make();
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.claim_assertion(&one, at(100), at(0)).await.expect("asked") })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        winners += usize::from(racer.await.expect("ran") == ClaimOutcome::Claimed);
    }
    assert_eq!(winners, 1);
    assert_eq!(store.claim_assertion(&other, at(100), at(0)).await.expect("asked"), ClaimOutcome::Claimed);
    assert_eq!(store.claim_assertion(&one, at(300), at(99)).await.expect("asked"), ClaimOutcome::AlreadyClaimed);
}

async fn a_login_comes_back_with_its_landing(store: Visitor) {
    let browser = browser();
    let landings = [Landing::ReturnUrl, Landing::PopUp, Landing::Form(form_key().id())];
    for (number, landing) in landings.into_iter().enumerate() {
        let id = request(u8::try_from(number).expect("few"));
        store.put_pending(&id, PendingLogin { landing, ..login(&browser, 0) }, CLIENT).await.expect("put");
        let PendingState::Open(open) = store.pending(id.as_str(), at(1)).await.expect("asked") else {
            panic!("not open");
        };
        assert_eq!(open.landing, landing);
    }
}

async fn a_form_has_one_taker(store: Arc<dyn SessionStore>) {
    let (key, other) = (form_key(), form_key());
    let sealed: Vec<u8> = (0..=255).cycle().take(1024 * 1024).collect();
    assert!(store.form(&key).await.expect("asked").is_none());
    for (key, content) in [(&key, sealed.clone()), (&other, vec![1])] {
        assert_eq!(store.put_form(key, content, at(0), CLIENT).await.expect("put"), KeepOutcome::Kept);
    }
    for _ in 0..2 {
        assert!(store.form(&key).await.expect("asked").is_some_and(|found| found == sealed), "looking takes nothing");
    }
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.take_form(&key).await.expect("asked") })
        })
        .collect();
    let mut taken = Vec::new();
    for racer in racers {
        taken.extend(racer.await.expect("ran"));
    }
    assert!(taken == [sealed]);
    assert!(store.form(&key).await.expect("asked").is_none());
    assert_eq!(store.take_form(&other).await.expect("asked"), Some(vec![1]));
}

/// Whether it turns the flood away or lets it push out its own: what stays is bounded, and another's form is there.
async fn strangers_do_not_fill_the_store_with_forms(store: Arc<dyn SessionStore>) {
    const MEBIBYTE: usize = 1024 * 1024;
    let flood: Vec<FormKey> = (0..80).map(|_| form_key()).collect();
    let (before, after) = (form_key(), form_key());
    let somebody = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
    assert_eq!(store.put_form(&before, vec![1], at(0), somebody).await.expect("put"), KeepOutcome::Kept);
    for key in &flood {
        let _ = store.put_form(key, vec![0; MEBIBYTE], at(0), CLIENT).await.expect("put");
    }
    assert_eq!(store.put_form(&after, vec![1], at(0), somebody).await.expect("put"), KeepOutcome::Kept);
    let mut kept = 0;
    for key in &flood {
        kept += usize::from(store.form(key).await.expect("asked").is_some());
    }
    assert!((1..64).contains(&kept), "{kept}");
    for key in [&before, &after] {
        assert_eq!(store.form(key).await.expect("asked"), Some(vec![1]));
    }
}
