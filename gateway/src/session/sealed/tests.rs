use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use saml_core::Authentication;

use super::*;
use crate::keys::{KeyName, Keys, Rotate, Rotation, generate};
use crate::session::Landing;
use crate::session::contract::{self, at, record, ticket};
use crate::session::{BrowserBinding, Rounds};
use crate::testing;

fn idp(id: &str) -> IdpId {
    IdpId::parse(id).unwrap()
}

fn replica(keys: &StoreKeys, revocations_file: Option<PathBuf>) -> SealedStore {
    let entity_ids = [(idp("jumpcloud"), "https://idp.example".to_owned())].into();
    let groups = ["staff", "admins"].map(str::to_owned).into();
    SealedStore::new(keys, "https://app.example.com", CookieScope::Host, entity_ids, groups, revocations_file)
}

fn made() -> SealedStore {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path()).unwrap();
    replica(&keys(folder.path()), None)
}

fn keys(directory: &std::path::Path) -> StoreKeys {
    let mut settings = config::Settings { keys_dir: Some(directory.to_owned()), ..testing::settings() };
    settings.session.store = config::StoreSettings::Sealed { revocations_file: None };
    Keys::load(&settings).unwrap().0.store().unwrap().clone()
}

/// What a browser holds after it was told these.
fn jar(before: &HeaderMap, lines: &[String]) -> HeaderMap {
    let mut pairs: Vec<(String, String)> =
        Browser::of(before).carried().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for line in lines {
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        pairs.retain(|(known, _)| known != name);
        if !line.contains("Max-Age=0") {
            pairs.push((name.to_owned(), value.to_owned()));
        }
    }
    cookies(&pairs)
}

fn cookies(pairs: &[(String, String)]) -> HeaderMap {
    let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    [(COOKIE, HeaderValue::from_str(&text.join("; ")).unwrap())].into_iter().collect()
}

async fn carried(store: &SealedStore, ticket: &Ticket, record: SessionRecord) -> HeaderMap {
    let browser = Browser::none();
    store.insert(ticket, record, &browser).await.unwrap();
    jar(&HeaderMap::new(), &browser.take_lines())
}

async fn opens(store: &SealedStore, ticket: &Ticket, jar: &HeaderMap) -> bool {
    store.load(&ticket.key(), ticket, &Browser::of(jar)).await.unwrap().is_some()
}

/// One that does not compress, for two pieces.
fn long_record() -> SessionRecord {
    let mut record = record(1_000, 2_000);
    let random: Vec<String> = (0..100).map(|_| ticket().to_cookie_value().to_string()).collect();
    record.further.as_mut().unwrap().attributes =
        Box::from([("noise".into(), random.into_iter().map(String::into_boxed_str).collect())]);
    record
}

#[tokio::test]
async fn keeps_the_contract_of_a_store_but_for_what_it_says_it_cannot() {
    contract::run(&|| Arc::new(made())).await;
    let folder = tempfile::tempdir().unwrap();
    generate(&folder.path().join("keys")).unwrap();
    let keys = keys(&folder.path().join("keys"));
    let made = AtomicUsize::new(0);
    contract::run(&|| {
        let file = folder.path().join(made.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::write(&file, "").unwrap();
        Arc::new(replica(&keys, Some(file)))
    })
    .await;
}

#[tokio::test]
async fn pieces_that_are_altered_cut_swapped_or_anothers_are_no_session() {
    let store = made();
    let (ours, theirs) = (ticket(), ticket());
    let jar = carried(&store, &ours, long_record()).await;
    let others = carried(&store, &theirs, long_record()).await;
    assert!(opens(&store, &ours, &jar).await && opens(&store, &theirs, &others).await);
    assert!(!opens(&store, &ours, &others).await, "another's record under our ticket");
    let pairs: Vec<(String, String)> =
        Browser::of(&jar).carried().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(pairs.len(), 2);
    assert!(pairs.iter().all(|(name, value)| name.len() + value.len() < 4_000));
    type Change = fn(&mut Vec<(String, String)>);
    let changes: [(&str, Change); 8] = [
        ("a byte", |pairs| {
            let other = if pairs[1].1[100..].starts_with('A') { "B" } else { "A" };
            pairs[1].1.replace_range(100..101, other);
        }),
        ("cut", |pairs| pairs[1].1.truncate(100)),
        ("the second is gone", |pairs| drop(pairs.pop())),
        ("the first is gone", |pairs| drop(pairs.remove(0))),
        ("swapped", |pairs| {
            let first = std::mem::take(&mut pairs[0].1);
            pairs[0].1 = std::mem::replace(&mut pairs[1].1, first);
        }),
        ("one fewer is said", |pairs| pairs[0].1.replace_range(0..1, "1")),
        ("many more are said", |pairs| pairs[0].1.replace_range(0..1, "9999999999")),
        ("the first twice", |pairs| pairs.push(pairs[0].clone())),
    ];
    for (case, change) in changes {
        let mut changed = pairs.clone();
        change(&mut changed);
        assert!(!opens(&store, &ours, &cookies(&changed)).await, "{case}");
    }
    let mixed: Vec<_> = [pairs[0].clone(), (pairs[1].0.clone(), pair(&others, &pairs[1].0))].to_vec();
    assert!(!opens(&store, &ours, &cookies(&mixed)).await, "a piece of another's");
}

fn pair(jar: &HeaderMap, name: &str) -> String {
    Browser::of(jar).carried_once(name).unwrap().to_owned()
}

#[tokio::test]
async fn a_shorter_record_leaves_no_piece_of_the_longer_one() {
    let store = made();
    let ticket = ticket();
    let long = carried(&store, &ticket, long_record()).await;
    let browser = Browser::of(&long);
    store.insert(&ticket, record(1_000, 2_000), &browser).await.unwrap();
    let short = jar(&long, &browser.take_lines());
    assert_eq!(Browser::of(&short).carried().count(), 1);
    assert!(opens(&store, &ticket, &short).await);
    let leaving = Browser::of(&long);
    leaving.forget_record(&CookieScope::Host);
    assert_eq!(Browser::of(&jar(&long, &leaving.take_lines())).carried().count(), 0);
}

#[tokio::test]
async fn carries_only_groups_that_somebody_names_and_refuses_what_is_too_long() {
    let store = made();
    let ticket = ticket();
    let mut wide = record(1_000, 2_000);
    wide.groups = (0..500).map(|number| format!("{number}")).chain(["staff".to_owned()]).collect();
    let jar = carried(&store, &ticket, wide).await;
    let (found, _) = store.load(&ticket.key(), &ticket, &Browser::of(&jar)).await.unwrap().unwrap();
    assert_eq!(found.groups.iter().collect::<Vec<_>>(), ["staff"]);
    assert!(store.keeps_group("staff") && !store.keeps_group("7"));
    let mut long = long_record();
    let attributes = &mut long.further.as_mut().unwrap().attributes;
    let noise = attributes[0].1.iter().cloned().cycle().take(100);
    let more = (0..60).map(|_| contract::ticket().to_cookie_value().to_string().into_boxed_str());
    attributes[0].1 = noise.chain(more).collect();
    let browser = Browser::none();
    let refused = store.insert(&ticket, long, &browser).await;
    assert!(matches!(refused, Err(StoreError::SessionTooLarge { limit: 6_000, .. })), "{refused:?}");
    assert!(browser.take_lines().is_empty());
}

#[tokio::test]
async fn a_key_that_was_rotated_out_opens_nothing_and_the_previous_one_does() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path()).unwrap();
    let before = replica(&keys(folder.path()), None);
    let ticket = ticket();
    let jar = carried(&before, &ticket, record(1_000, 2_000)).await;
    let step = |rotate| {
        Rotation::plan(folder.path(), &[KeyName::Seal], rotate).unwrap().carry_out().unwrap();
        replica(&keys(folder.path()), None)
    };
    let [announced, in_use, retired] = [Rotate::Step, Rotate::Step, Rotate::Retire].map(step);
    assert!(opens(&announced, &ticket, &jar).await && opens(&in_use, &ticket, &jar).await);
    assert!(!opens(&retired, &ticket, &jar).await);
    let browser = Browser::of(&jar);
    assert!(in_use.touch(&ticket.key(), Some(&ticket), at(1_500), &browser).await.unwrap());
    let renewed = super::tests::jar(&jar, &browser.take_lines());
    assert!(opens(&retired, &ticket, &renewed).await, "what is used is sealed anew");
}

#[tokio::test]
async fn an_idp_or_an_application_of_another_name_knows_no_session() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path()).unwrap();
    let keys = keys(folder.path());
    let ticket = ticket();
    let jar = carried(&replica(&keys, None), &ticket, record(1_000, 2_000)).await;
    let mut store = replica(&keys, None);
    store.entity_ids = [(idp("jumpcloud"), "https://other.example".to_owned())].into();
    assert!(!opens(&store, &ticket, &jar).await);
    store.entity_ids = HashMap::new();
    assert!(!opens(&store, &ticket, &jar).await);
    let mut store = replica(&keys, None);
    store.seal.owner = "https://other.example.com".to_owned();
    assert!(!opens(&store, &ticket, &jar).await);
}

fn login(return_url: &str, created: i64) -> PendingLogin {
    PendingLogin {
        idp: idp("jumpcloud"),
        return_url: return_url.into(),
        binding: BrowserBinding::generate(&SystemRandom::new()).unwrap().hash(),
        created: at(created),
        authentication: Authentication::Any,
        rounds: Rounds::none(at(created)),
        replaces: None,
        landing: Landing::ReturnUrl,
    }
}

fn request(number: u8) -> RequestId {
    RequestId::from_random([number; 20])
}

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn logins_under_way_stay_small_together_and_beside_a_session() {
    let store = made();
    for session in [None, Some(long_record())] {
        let mut all = match session {
            None => HeaderMap::new(),
            Some(record) => carried(&store, &ticket(), record).await,
        };
        for number in 0..20 {
            let browser = Browser::of(&all);
            let long = format!("/{}", "a".repeat(700));
            store.put_pending(&request(number), login(&long, i64::from(number)), CLIENT, &browser).await.unwrap();
            all = jar(&all, &browser.take_lines());
            let bytes: usize = Browser::of(&all).carried().map(|(name, value)| name.len() + 1 + value.len()).sum();
            assert!(bytes < 7_000, "{bytes}");
            let state = store.pending(request(number).as_str(), at(20), &Browser::of(&all)).await.unwrap();
            assert!(matches!(state, PendingState::Open(_)), "the newest stays");
        }
    }
    let browser = Browser::none();
    let long = format!("/{}", "a".repeat(4_000));
    store.put_pending(&request(1), login(&long, 0), CLIENT, &browser).await.unwrap();
    let all = jar(&HeaderMap::new(), &browser.take_lines());
    let state = store.pending(request(1).as_str(), at(1), &Browser::of(&all)).await.unwrap();
    let PendingState::Open(open) = state else { panic!("not open") };
    assert_eq!(&*open.return_url, "/", "too long for a cookie");
}

/// The declared limit: what happens once is known to one process, and to the browser that was told.
#[tokio::test]
async fn another_replica_learns_from_the_browser_alone_that_a_login_was_used() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path()).unwrap();
    let keys = keys(folder.path());
    let (here, there) = (replica(&keys, None), replica(&keys, None));
    let browser = Browser::none();
    here.put_pending(&request(1), login("/deep", 0), CLIENT, &browser).await.unwrap();
    let open = jar(&HeaderMap::new(), &browser.take_lines());
    let id = request(1);
    let browser = Browser::of(&open);
    assert_eq!(here.take_pending(id.as_str(), at(1), &browser).await.unwrap(), TakeOutcome::Taken);
    let told = jar(&open, &browser.take_lines());
    for store in [&here, &there] {
        let state = store.pending(id.as_str(), at(2), &Browser::of(&told)).await.unwrap();
        assert!(matches!(state, PendingState::Used(_)));
    }
    assert_eq!(here.take_pending(id.as_str(), at(2), &Browser::of(&open)).await.unwrap(), TakeOutcome::Lost);
    assert_eq!(there.take_pending(id.as_str(), at(2), &Browser::of(&open)).await.unwrap(), TakeOutcome::Taken);
    assert_eq!(there.take_pending(id.as_str(), at(2), &Browser::none()).await.unwrap(), TakeOutcome::Lost);
}

#[tokio::test]
async fn what_is_written_to_the_file_ends_sessions_elsewhere_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path()).unwrap();
    let (keys, file) = (keys(folder.path()), folder.path().join("revocations"));
    std::fs::write(&file, "").unwrap();
    let (here, there) = (replica(&keys, Some(file.clone())), replica(&keys, Some(file.clone())));
    let (ended, kept) = (ticket(), ticket());
    let of_ended = carried(&here, &ended, record(1_000, 2_000)).await;
    let of_kept = carried(&here, &kept, record(1_000, 2_000)).await;
    let revocation = Revocation { target: Target::Session(ended.key()), at: at(1_500) };
    assert_eq!(here.publish(&revocation).await.unwrap(), Effect::Written);
    assert!(opens(&there, &ended, &of_ended).await, "nobody told it");
    let (_, news) = there.published(None).await.unwrap();
    assert_eq!(news, std::slice::from_ref(&revocation));
    let restarted = replica(&keys, Some(file.clone()));
    restarted.published(None).await.unwrap();
    for store in [&here, &there, &restarted] {
        assert!(!opens(store, &ended, &of_ended).await && opens(store, &kept, &of_kept).await);
    }
    std::fs::remove_file(&file).unwrap();
    assert!(there.published(None).await.is_err(), "a file that is gone ends nothing, and opens nothing");
    assert_eq!(here.publish(&revocation).await.unwrap(), Effect::Local);
    assert_eq!(replica(&keys, None).publish(&revocation).await.unwrap(), Effect::Local);
}

#[tokio::test]
async fn a_line_of_a_date_to_come_lets_no_ended_session_back() {
    let store = made();
    let (ended, other) = (ticket(), ticket());
    let jar = carried(&store, &ended, record(1_000, 2_000)).await;
    let end = |of: &Ticket, at| Revocation { target: Target::Session(of.key()), at };
    let now = Timestamp::from(SystemTime::now());
    let _ = store.publish(&end(&ended, now)).await.unwrap();
    let _ = store.publish(&end(&other, now.plus_seconds(2 * REVOCATION_SECONDS))).await.unwrap();
    assert!(!opens(&store, &ended, &jar).await);
}
