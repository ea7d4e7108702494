//! What every session store must do, as one suite that each store's tests call. Time is only a number here.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use saml_core::{Authentication, IdpId, ReplayKey, RequestId, Timestamp};

use super::pending::PENDING_SECONDS;
use super::rounds::Rounds;
use super::store::{ClaimOutcome, PendingState, SessionStore, TakeOutcome};
use super::ticket::{BrowserBinding, Ticket};
use super::types::{PendingLogin, SessionRecord};

/// Makes an empty store.
pub type Make<'a> = &'a (dyn Fn() -> Arc<dyn SessionStore> + Sync);

/// Everything except [`claims_an_assertion_once`], whose keys only a verified response gives.
pub async fn run(make: Make<'_>) {
    keeps_a_session_until_it_is_removed(make()).await;
    last_seen_moves_forward_only(make()).await;
    touching_what_is_gone_brings_nothing_back(make()).await;
    a_pending_login_has_one_taker(make()).await;
    a_used_login_stays_used_until_its_time_is_over(make()).await;
    a_login_cannot_be_taken_after_its_time(make()).await;
    the_fifth_refusal_drops_a_pending_login(make()).await;
    the_eleventh_login_of_a_browser_drops_the_first(make()).await;
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
        name_id: Some("ada@example.com".into()),
        groups: ["staff", "admins"].into_iter().collect(),
        attributes: Box::default(),
        created: at(created),
        expires: at(expires),
        assertion_id: "_a1".into(),
        session_index: Some("_s1".into()),
    }
}

pub fn ticket() -> Ticket {
    Ticket::generate(&SystemRandom::new()).expect("random bytes")
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
    }
}

fn browser() -> BrowserBinding {
    BrowserBinding::generate(&SystemRandom::new()).expect("random bytes")
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

async fn keeps_a_session_until_it_is_removed(store: Arc<dyn SessionStore>) {
    let (ticket, other) = (ticket(), ticket());
    store.insert(&ticket, record(1_000, 2_000)).await.expect("inserted");
    assert!(store.load(&other.key(), &other).await.expect("loaded").is_none(), "a strange ticket names no session");
    let (found, seen) = store.load(&ticket.key(), &ticket).await.expect("loaded").expect("a session");
    assert_eq!((&*found.unique_id, &*found.email), ("5f3c", "ada@example.com"));
    assert_eq!(found.groups.iter().collect::<Vec<_>>(), ["staff", "admins"]);
    assert_eq!((found.created, found.expires, seen), (at(1_000), at(2_000), at(1_000)));
    store.remove(&other.key()).await.expect("removing what is not there is no error");
    assert!(store.load(&ticket.key(), &ticket).await.expect("loaded").is_some());
    store.remove(&ticket.key()).await.expect("removed");
    assert!(store.load(&ticket.key(), &ticket).await.expect("loaded").is_none());
}

async fn last_seen_moves_forward_only(store: Arc<dyn SessionStore>) {
    let ticket = ticket();
    store.insert(&ticket, record(1_000, 2_000)).await.expect("inserted");
    for (touched, expected) in [(1_100, 1_100), (1_050, 1_100), (1_200, 1_200)] {
        store.touch(&ticket.key(), at(touched)).await.expect("touched");
        let (_, seen) = store.load(&ticket.key(), &ticket).await.expect("loaded").expect("a session");
        assert_eq!(seen, at(expected));
    }
}

async fn touching_what_is_gone_brings_nothing_back(store: Arc<dyn SessionStore>) {
    let ticket = ticket();
    store.insert(&ticket, record(1_000, 2_000)).await.expect("inserted");
    store.remove(&ticket.key()).await.expect("removed");
    store.touch(&ticket.key(), at(1_100)).await.expect("touched");
    assert!(store.load(&ticket.key(), &ticket).await.expect("loaded").is_none());
}

async fn a_pending_login_has_one_taker(store: Arc<dyn SessionStore>) {
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
            let (store, id) = (Arc::clone(&store), id.clone());
            tokio::spawn(async move { store.take_pending(id.as_str(), at(10)).await.expect("asked") })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        winners += usize::from(racer.await.expect("ran") == TakeOutcome::Taken);
    }
    assert_eq!(winners, 1);
}

async fn a_used_login_stays_used_until_its_time_is_over(store: Arc<dyn SessionStore>) {
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

async fn a_login_cannot_be_taken_after_its_time(store: Arc<dyn SessionStore>) {
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

async fn the_fifth_refusal_drops_a_pending_login(store: Arc<dyn SessionStore>) {
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

async fn the_eleventh_login_of_a_browser_drops_the_first(store: Arc<dyn SessionStore>) {
    let (crowded, other) = (browser(), browser());
    store.put_pending(&request(99), login(&other, 0), CLIENT).await.expect("put");
    for number in 0..11 {
        store.put_pending(&request(number), login(&crowded, i64::from(number)), CLIENT).await.expect("put");
    }
    assert!(matches!(store.pending(request(0).as_str(), at(11)).await.expect("asked"), PendingState::Unknown));
    for number in (1..11).chain([99]) {
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
