use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::testing::{machine, session, settings};
use config::Claim;

fn request(headers: &[(&str, &str)]) -> HeaderMap {
    let pairs = headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
    pairs.collect()
}

fn context() -> ForwardedContext<'static> {
    ForwardedContext {
        client_addr: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        scheme: Scheme::Https,
        host: "app.example.com",
    }
}

/// Sorted, with their values.
fn shown(request: &HeaderMap) -> Vec<String> {
    let mut shown: Vec<_> =
        request.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    shown.sort();
    shown
}

fn sorted(expected: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let lower = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        format!("{}:{value}", name.to_ascii_lowercase())
    };
    let mut expected: Vec<_> = expected.into_iter().map(|line| lower(line.as_ref())).collect();
    expected.sort();
    expected
}

const FORWARDED: [&str; 3] =
    ["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: app.example.com", "X-Forwarded-Proto: https"];

#[track_caller]
fn check(preset: HeaderPreset, sent: &[(&str, &str)], signed_in: bool, expected: &[&str]) {
    let mut settings = settings();
    settings.identity_headers.preset = preset;
    let headers = IdentityHeaders::from_settings(&settings).unwrap();
    let mut request = request(sent);
    let person = Identity::Person(session(|_| {}));
    headers.apply(&mut request, signed_in.then_some(&person), None, &context()).unwrap();
    assert_eq!(shown(&request), sorted(expected.iter().chain(&FORWARDED)));
}

#[test]
fn each_preset_sets_its_headers() {
    check(
        HeaderPreset::XForwarded,
        &[],
        true,
        &[
            "X-Forwarded-User: 5f3c",
            "X-Forwarded-Email: ada@example.com",
            "X-Forwarded-Preferred-Username: ada",
            "X-Forwarded-Groups: staff,admins",
        ],
    );
    check(
        HeaderPreset::RemoteUser,
        &[],
        true,
        &[
            "Remote-User: 5f3c",
            "Remote-Email: ada@example.com",
            "Remote-Name: Ada Lovelace",
            "Remote-Groups: staff,admins",
        ],
    );
    check(
        HeaderPreset::XAuthRequest,
        &[],
        true,
        &[
            "X-Auth-Request-User: 5f3c",
            "X-Auth-Request-Email: ada@example.com",
            "X-Auth-Request-Preferred-Username: ada",
            "X-Auth-Request-Groups: staff,admins",
        ],
    );
}

const FORGED: [(&str, &str); 14] = [
    ("X-Forwarded-User", "evil"),
    ("X_Forwarded_User", "evil"),
    ("x-forwarded-email", "evil"),
    ("X-Forwarded-Email", "evil"),
    ("x.forwarded.groups", "evil"),
    ("Remote-User", "evil"),
    ("X-Auth-Request-User", "evil"),
    ("X-Samlgate-Jwt-Assertion", "evil"),
    ("X-Forwarded-For", "evil"),
    ("Forwarded", "for=evil"),
    ("X-Real-IP", "evil"),
    ("Proxy", "evil"),
    ("some_thing", "evil"),
    ("X-Forwarded-Uri", "/evil"),
];

#[test]
fn nothing_that_a_client_forges_reaches_the_upstream() {
    check(HeaderPreset::RemoteUser, &FORGED, false, &[]);
    let sent: Vec<_> = FORGED.into_iter().chain([("Accept", "*/*")]).collect();
    check(
        HeaderPreset::XForwarded,
        &sent,
        true,
        &[
            "Accept: */*",
            "X-Forwarded-User: 5f3c",
            "X-Forwarded-Email: ada@example.com",
            "X-Forwarded-Preferred-Username: ada",
            "X-Forwarded-Groups: staff,admins",
        ],
    );
}

#[test]
fn our_cookies_stay_here_and_others_go_on() {
    check(HeaderPreset::XForwarded, &[("Cookie", "__Host-samlgate=x")], false, &[]);
    check(
        HeaderPreset::XForwarded,
        &[("Cookie", "a=b; __Host-samlgate=x; c=d"), ("Cookie", "e=f"), ("Cookie", "__host-samlgate-login=y")],
        false,
        &["Cookie: a=b; c=d", "Cookie: e=f"],
    );
    check(HeaderPreset::XForwarded, &[("cookie", "a=b;  c")], false, &["cookie: a=b;  c"]);
}

#[test]
fn set_adds_to_a_preset_and_overrides_it() {
    let mut settings = settings();
    settings.identity_headers.set = vec![
        ("X-WEBAUTH-USER".to_owned(), Claim::Email),
        ("x-forwarded-user".to_owned(), Claim::NameId),
        ("X-Team".to_owned(), Claim::Attribute("team".to_owned())),
    ];
    let headers = IdentityHeaders::from_settings(&settings).unwrap();
    let mut request = request(&[("x.webauth.user", "evil"), ("X-Team", "evil")]);
    headers.apply(&mut request, Some(&Identity::Person(session(|_| {}))), Some("a.b.c"), &context()).unwrap();
    let mut expected = vec![
        "X-Forwarded-Email: ada@example.com",
        "X-Forwarded-Groups: staff,admins",
        "X-Forwarded-Preferred-Username: ada",
        "X-Samlgate-Jwt-Assertion: a.b.c",
        "X-WEBAUTH-USER: ada@example.com",
        "x-forwarded-user: ada@example.com",
    ];
    expected.extend(FORWARDED);
    assert_eq!(shown(&request), sorted(expected));
}

#[test]
fn nobody_gets_no_jwt() {
    let headers = IdentityHeaders::from_settings(&settings()).unwrap();
    let mut request = request(&[]);
    headers.apply(&mut request, None, Some("a.b.c"), &context()).unwrap();
    assert!(!request.contains_key("x-samlgate-jwt-assertion"));
}

#[test]
fn groups_that_do_not_fit_refuse_the_request() {
    let headers = IdentityHeaders::from_settings(&settings()).unwrap();
    let mut settings = settings();
    settings.identity_headers.groups_filter = vec!["x".repeat(5_000)];
    let strict = IdentityHeaders::from_settings(&settings).unwrap();
    let person = Identity::Person(session(|record| record.groups = ["x".repeat(5_000)].into_iter().collect()));
    assert_eq!(
        strict.apply(&mut request(&[]), Some(&person), None, &context()),
        Err(Refusal::GroupsTooLarge { bytes: 5_000, limit: GROUPS_LIMIT })
    );
    assert_eq!(headers.apply(&mut request(&[]), Some(&person), None, &context()), Ok(()));
}

#[test]
fn answers_of_the_upstream_lose_our_names_and_are_private() {
    let mut response = ResponseHeader::build(200, None).unwrap();
    for (name, value) in [
        ("Set-Cookie", "sid=1; Path=/"),
        ("Set-Cookie", "__Host-samlgate=evil; Secure; Path=/"),
        ("set-cookie", "__HOST-samlgate-login=evil"),
        ("Set-Cookie", "b=2"),
        ("X-Samlgate", "1"),
    ] {
        response.append_header(name, value).unwrap();
    }
    clean_response(&mut response, true);
    let cookies: Vec<_> = response.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["sid=1; Path=/", "b=2"]);
    assert!(!response.headers.contains_key("x-samlgate"));
    assert_eq!(response.headers["cache-control"], "private, no-cache");

    let mut cached = ResponseHeader::build(200, None).unwrap();
    cached.append_header("Cache-Control", "public, max-age=60").unwrap();
    clean_response(&mut cached, true);
    assert_eq!(cached.headers["cache-control"], "public, max-age=60");

    let mut public = ResponseHeader::build(200, None).unwrap();
    clean_response(&mut public, false);
    assert!(!public.headers.contains_key("cache-control"));
}

/// A name of ours with its letters' case and its separators exchanged.
fn respelled() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-preferred-username",
        "x-forwarded-groups",
        "x-forwarded-for",
        "remote-user",
        "remote-email",
        "remote-name",
        "remote-groups",
        "x-auth-request-user",
        "x-auth-request-groups",
        "x-samlgate-jwt-assertion",
        "x-webauth-user",
        "forwarded",
        "x-real-ip",
    ]);
    (names, any::<u64>(), prop::collection::vec(prop::sample::select(vec!['-', '_', '.']), 4)).prop_map(
        |(name, cases, separators)| {
            let mut separators = separators.into_iter();
            name.chars()
                .enumerate()
                .map(|(position, letter)| match letter {
                    '-' => separators.next().unwrap_or('-'),
                    letter if cases >> (position % 64) & 1 == 1 => letter.to_ascii_uppercase(),
                    letter => letter,
                })
                .collect()
        },
    )
}

proptest! {
    #[test]
    fn a_forged_identity_header_never_survives_in_any_spelling(
        names in prop::collection::vec(respelled(), 1..6),
        signed_in in any::<bool>(),
        preset in prop::sample::select(vec![HeaderPreset::XForwarded, HeaderPreset::RemoteUser, HeaderPreset::XAuthRequest]),
    ) {
        let mut settings = settings();
        settings.identity_headers.preset = preset;
        settings.identity_headers.set = vec![("X-Webauth-User".to_owned(), Claim::User)];
        let headers = IdentityHeaders::from_settings(&settings).unwrap();
        let sent: Vec<_> = names.iter().map(|name| (name.as_str(), "evil")).chain([("Accept", "*/*")]).collect();
        let mut request = request(&sent);
        let person = Identity::Person(session(|_| {}));
        headers.apply(&mut request, signed_in.then_some(&person), None, &context()).unwrap();
        prop_assert!(request.values().all(|value| value != "evil"), "{:?}", shown(&request));
        prop_assert!(request.keys().all(|name| !name.as_str().contains('_')));
        prop_assert!(request.contains_key("accept"));
        prop_assert!(names.iter().all(|name| headers.could_be_identity(name)));
        prop_assert_eq!(request.contains_key("x-webauth-user"), signed_in);
    }
}

#[test]
fn a_machine_has_a_name_that_nobody_has_and_no_address() {
    let mut settings = settings();
    settings.identity_headers.set =
        vec![("X-Mail".to_owned(), Claim::Email), ("X-Team".to_owned(), Claim::Attribute("team".to_owned()))];
    for (preset, name) in [(HeaderPreset::XForwarded, "X-Forwarded"), (HeaderPreset::RemoteUser, "Remote")] {
        settings.identity_headers.preset = preset;
        let headers = IdentityHeaders::from_settings(&settings).unwrap();
        let machine = Identity::Machine(machine("ci", b"samlgate_x", &["engineers", "a,b"]).into());
        let mut request =
            request(&[("Authorization", "Bearer samlgate_x"), ("X-Mail", "evil"), ("Remote-Email", "evil")]);
        headers.apply(&mut request, Some(&machine), None, &context()).unwrap();
        let mut expected = vec![format!("{name}-User: machine:ci"), format!("{name}-Groups: engineers,a%2Cb")];
        expected.push(match preset {
            HeaderPreset::RemoteUser => "Remote-Name: machine:ci".to_owned(),
            _ => "X-Forwarded-Preferred-Username: machine:ci".to_owned(),
        });
        expected.extend(FORWARDED.map(str::to_owned));
        assert_eq!(shown(&request), sorted(expected));
    }
}

#[test]
fn tokens_of_ours_stay_here_and_those_of_applications_go_on() {
    for (sent, arrives) in [
        (&[("Authorization", "Bearer samlgate_x")][..], false),
        (&[("Authorization", "bEARER samlgate_x"), ("Authorization", "Basic x")], false),
        (&[("Authorization", "Bearer of-the-application")], true),
        (&[("Authorization", "Basic x")], true),
    ] {
        let headers = IdentityHeaders::from_settings(&settings()).unwrap();
        let mut request = request(sent);
        headers.apply(&mut request, None, None, &context()).unwrap();
        assert_eq!(request.contains_key("authorization"), arrives, "{sent:?}");
        let mut answer = HeaderMap::new();
        headers.fill(&mut answer, &self::request(sent), None, None).unwrap();
        assert_eq!(answer["authorization"].is_empty(), !arrives, "{sent:?}");
    }
}
