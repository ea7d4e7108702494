use std::sync::Arc;

use config::{Access, Allow, PathMatch, Rewrite, Settings, SingleLogout};
use proptest::prelude::*;

use super::*;
use crate::session::SessionRecord;
use crate::testing::{at, groups, idp, machine, prefix, route, session, settings};

/// `/public` and `/healthz` for everybody, `/admin` for admins of the first IdP, `/partners` for a domain of either,
/// `/boss` for one address of the first, `/api` without redirects, the rest signed in.
pub(super) fn sample() -> Settings {
    let mut settings = settings();
    settings.identity_providers[1].single_logout = SingleLogout::Fetched;
    let mut health = route(PathMatch::Exact("/healthz".to_owned()), Access::Public);
    health.methods = vec!["GET".to_owned()];
    let mut api = route(prefix("/api"), Access::SignedIn);
    api.api = true;
    settings.routes = vec![
        health,
        route(prefix("/public"), Access::Public),
        route(prefix("/admin"), groups(&["admins"])),
        route(
            prefix("/partners"),
            Access::Allow(Allow {
                idps: vec![idp("jumpcloud"), idp("okta")],
                email_domains: vec!["partner.example".to_owned()],
                ..Allow::default()
            }),
        ),
        route(
            prefix("/boss"),
            Access::Allow(Allow {
                idps: vec![idp("jumpcloud")],
                emails: vec!["eve@partner.example".to_owned()],
                ..Allow::default()
            }),
        ),
        api,
        route(prefix("/"), Access::SignedIn),
    ];
    settings
}

pub(super) const ROUTES: [&str; 7] = ["healthz", "public", "admin", "partners", "boss", "api", "rest"];

pub(super) fn facts(path: &str) -> RequestFacts<'_> {
    RequestFacts {
        method: "GET",
        authority: "app.example.com",
        path,
        client: ClientKind::Navigation,
        upgrade_origin: None,
        is_preflight: false,
        token: None,
    }
}

/// A decision as one word or two, for tables.
pub(super) fn shown(decision: &Decision) -> String {
    match decision {
        Decision::Forward(permit) => {
            let identity = if permit.identity().is_some() { "identity" } else { "nobody" };
            format!("forward {} {identity}", ROUTES.get(permit.route()).unwrap())
        }
        Decision::Serve(endpoint) => format!("serve {endpoint:?}"),
        Decision::StartLogin { client } => format!("login {client:?}"),
        Decision::Refuse(refusal) => refusal.code().to_owned(),
    }
}

fn outsider(record: &mut SessionRecord) {
    record.groups = ["staff"].into_iter().collect();
}

#[track_caller]
fn check(facts: &RequestFacts<'_>, session: Option<&Arc<Session>>, expected: &str) {
    let decision = decide(&Policy::from_settings(&sample()), facts, session, at(100));
    assert_eq!(shown(&decision), expected, "{}", facts.path);
}

#[test]
fn a_path_that_can_be_read_as_admin_never_passes_as_something_else() {
    let outsider = session(outsider);
    for path in [
        "/x/..;/admin",
        "/x/..;a=b/admin",
        "/x/%2e%2e/admin",
        "/x/%2E%2E/admin",
        "/x/.%2e/admin",
        "//admin",
        "/%61dmin",
        "/%61%64%6d%69%6e",
        "/admin%2f..",
        "/../admin/..%2f",
        "/x/../admin//..",
        "/x/..%5cadmin",
        "/x/..\\admin",
        "/x\\..\\admin",
        "\\admin",
        "/\\admin",
        "/./admin",
        "/x/%252e%252e/admin",
        "/%2561dmin",
        "/admin;x",
        "/;x/admin",
        "/;%2fx/admin",
        "/x/..%253b/admin",
        "/x/..%3b/admin",
        "/admin/..;/public",
        "/public/..;/admin",
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public%2f..%2fadmin",
        "/public/..%2fadmin",
        "/public/..%252fadmin",
        "/public/..%5cadmin",
        "/public/..%255cadmin",
        "/public/./../admin",
        "/public//../admin",
        "/public;/../admin",
        "/public/.;/../../admin",
        "/healthz/..;/admin",
        "/healthz%2f..%2fadmin",
        "/admin/%2e%2e/public",
        "/%2fadmin",
        "/%5cadmin",
        "/%2e/admin",
        "/%2e%2e/admin",
        "/%252fadmin",
        "/x/%2e%2e;/admin",
        "/x/..;/..;/admin",
        "/saml/../admin",
        "/saml/..;/admin",
        "/admin/../saml/acs",
        "/x/../saml/acs",
        "/saml%2facs",
        "/saml;x/acs",
    ] {
        for session in [None, Some(&outsider)] {
            let decision = decide(&Policy::from_settings(&sample()), &facts(path), session, at(100));
            let shown = shown(&decision);
            let refused = ["path_ambiguous", "not_in_allowed_group", "login Navigation"].contains(&shown.as_str());
            assert!(refused, "{path}: {shown}");
        }
    }
}

#[test]
fn readings_that_disagree_are_refused_signed_in_or_not() {
    let admin = session(|_| {});
    for path in ["/x/..;/admin", "/x/%2e%2e/admin", "/public/../admin", "//admin", "/%61dmin", "/x/%252e%252e/admin"] {
        check(&facts(path), None, "path_ambiguous");
        check(&facts(path), Some(&admin), "path_ambiguous");
    }
}

#[test]
fn readings_that_agree_go_on() {
    let admin = session(|_| {});
    check(&facts("/admin/%61"), Some(&admin), "forward admin identity");
    check(&facts("/admin//x;y/./z"), Some(&admin), "forward admin identity");
    check(&facts("/files/100%25"), Some(&admin), "forward rest identity");
    check(&facts("/admin%3fx"), Some(&admin), "forward rest identity");
    check(&facts("/ADMIN"), Some(&admin), "forward rest identity");
    check(&facts("/administrator"), Some(&admin), "forward rest identity");
    check(&facts("/api;v=1"), Some(&admin), "path_ambiguous");
}

#[test]
fn a_public_route_is_public_only_for_a_plain_path() {
    let user = session(outsider);
    check(&facts("/public/a"), None, "forward public nobody");
    check(&facts("/public/%61%20b"), None, "forward public nobody");
    check(&facts("/public/a"), Some(&user), "forward public nobody");
    for path in ["/public//a", "/public/./a", "/public/a;b", "/public/x/../a", "/public/%2561", "/public\\a"] {
        if path.contains('\\') {
            check(&facts(path), None, "path_ambiguous");
        } else {
            check(&facts(path), None, "login Navigation");
            check(&facts(path), Some(&user), "forward public identity");
        }
    }
}

#[test]
fn invalid_escapes_and_controls_are_refused() {
    let admin = session(|_| {});
    for path in ["/%", "/%zz", "/public/%0", "/a%00b", "/a%0d%0aX:", "/a%7f", "/a%2500", "/ü", "/a b", "*", "", "/a#/b"]
    {
        check(&facts(path), Some(&admin), "path_ambiguous");
        check(&facts(path), None, "path_ambiguous");
    }
}

#[test]
fn host_is_the_accepted_one_and_is_judged_first() {
    for authority in ["app.example.com", "APP.Example.COM", "app.example.com:443"] {
        check(&RequestFacts { authority, ..facts("/public") }, None, "forward public nobody");
    }
    for authority in [
        "",
        ":443",
        "evil.example",
        "app.example.com.",
        "app.example.com:80",
        "app.example.com:8443",
        "app.example.com:443:443",
        "app.example.com@evil.example",
        "evil.example,app.example.com",
        " app.example.com",
        "app.example.com.evil.example",
    ] {
        check(&RequestFacts { authority, method: "TRACE", ..facts("/%") }, None, "unknown_host");
    }
}

#[test]
fn a_port_of_public_url_must_be_in_host() {
    let mut settings = sample();
    settings.public_url = config::Origin { scheme: config::Scheme::Http, authority: "localhost:8080".to_owned() };
    let policy = Policy::from_settings(&settings);
    for (authority, expected) in
        [("localhost:8080", "forward public nobody"), ("localhost", "unknown_host"), ("localhost:80", "unknown_host")]
    {
        let decision = decide(&policy, &RequestFacts { authority, ..facts("/public") }, None, at(0));
        assert_eq!(shown(&decision), expected, "{authority}");
    }
}

#[test]
fn several_hosts_have_their_routes_and_their_own_origin() {
    let https = |authority: &str| config::Origin { scheme: config::Scheme::Https, authority: authority.to_owned() };
    let mut settings = sample();
    settings.hosts = vec![https("b.example.com"), https("app.example.com:8443")];
    // `/public` is open on one of them alone.
    settings.routes[1].host = Some("b.example.com".to_owned());
    let policy = Policy::from_settings(&settings);
    let at_host = |authority, path, upgrade_origin| {
        let facts = RequestFacts { authority, upgrade_origin, ..facts(path) };
        shown(&decide(&policy, &facts, None, at(0)))
    };
    for (authority, expected) in [
        ("b.example.com", "forward public nobody"),
        ("B.EXAMPLE.com:443", "forward public nobody"),
        ("app.example.com", "login Navigation"),
        ("app.example.com:8443", "login Navigation"),
        ("b.example.com:8443", "unknown_host"),
        ("c.example.com", "unknown_host"),
        ("example.com", "unknown_host"),
        ("b.example.com.", "unknown_host"),
        ("", "unknown_host"),
    ] {
        assert_eq!(at_host(authority, "/public", None), expected, "{authority}");
        let known = if expected == "unknown_host" { expected } else { "serve Login" };
        assert_eq!(at_host(authority, "/saml/login", None), known, "{authority}");
    }
    for (origin, expected) in [
        ("https://b.example.com", "forward public nobody"),
        ("https://app.example.com", "upgrade_origin_forbidden"),
        ("http://b.example.com", "upgrade_origin_forbidden"),
        ("null", "upgrade_origin_forbidden"),
    ] {
        assert_eq!(at_host("b.example.com", "/public", Some(origin)), expected, "{origin}");
    }
    let unknown = RequestFacts { authority: "c.example.com", ..facts("/") };
    let Decision::Refuse(Refusal::UnknownHost { seen, wanted }) = decide(&policy, &unknown, None, at(0)) else {
        panic!("no refusal")
    };
    assert_eq!(
        (seen.as_str(), wanted.as_str()),
        ("c.example.com", "app.example.com, b.example.com, app.example.com:8443")
    );
}

#[test]
fn trace_and_connect_are_forbidden_before_the_path_is_read() {
    let admin = session(|_| {});
    for method in ["TRACE", "CONNECT"] {
        check(&RequestFacts { method, ..facts("/%") }, Some(&admin), "method_forbidden");
        check(&RequestFacts { method, ..facts("/saml/acs") }, None, "method_forbidden");
    }
}

#[test]
fn everything_under_the_prefix_is_ours() {
    let admin = session(|_| {});
    for (path, expected) in [
        ("/saml/login", "serve Login"),
        ("/saml/start/jumpcloud", "serve Start"),
        ("/saml/acs", "serve Acs"),
        ("/saml/resume", "serve Resume"),
        ("/saml/metadata", "serve Metadata"),
        ("/saml/logout", "serve Logout"),
        ("/saml/userinfo", "serve Userinfo"),
        ("/saml/jwks.json", "serve Jwks"),
        ("/saml/post.js", "serve PostJs"),
        ("/saml/login.js", "serve LoginJs"),
        ("/saml/style.css", "serve Style"),
        ("/saml/client.js", "serve ClientJs"),
        ("/saml/signed-in", "serve SignedIn"),
        ("/saml/signed-in.js", "serve SignedInJs"),
        ("/saml", "endpoint_unknown"),
        ("/saml/", "endpoint_unknown"),
        ("/saml/acs/", "endpoint_unknown"),
        ("/saml/start", "endpoint_unknown"),
        ("/saml/start/", "endpoint_unknown"),
        ("/saml/start/a/b", "endpoint_unknown"),
        ("/saml/ACS", "endpoint_unknown"),
        ("/saml/x", "endpoint_unknown"),
        ("/saml/x/%2e%2e/acs", "path_ambiguous"),
        ("/saml//acs", "path_ambiguous"),
        ("/samlx", "forward rest identity"),
        ("/SAML/acs", "forward rest identity"),
    ] {
        check(&facts(path), Some(&admin), expected);
    }
}

#[test]
fn a_websocket_opens_only_from_our_own_pages() {
    let admin = session(|_| {});
    let upgrade = |origin| RequestFacts { upgrade_origin: Some(origin), ..facts("/public") };
    check(&upgrade("https://app.example.com"), None, "forward public nobody");
    for origin in [
        "null",
        "",
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://app.example.com:8443",
        "app.example.com",
    ] {
        check(&upgrade(origin), None, "upgrade_origin_forbidden");
        check(&upgrade(origin), Some(&admin), "upgrade_origin_forbidden");
    }
}

#[test]
fn an_expired_session_is_none() {
    let admin = session(|record| record.expires = at(100));
    check(&facts("/admin"), Some(&admin), "login Navigation");
    check(&RequestFacts { client: ClientKind::Background, ..facts("/") }, Some(&admin), "login_required");
}

#[test]
fn no_route_is_refused() {
    let mut settings = sample();
    settings.routes.pop();
    let decision = decide(&Policy::from_settings(&settings), &facts("/x"), None, at(0));
    assert_eq!(shown(&decision), "no_route");
}

#[test]
fn a_route_of_another_host_or_method_does_not_match() {
    let mut settings = settings();
    let mut other_host = route(prefix("/"), Access::Public);
    other_host.host = Some("b.example.com".to_owned());
    let mut only_post = route(prefix("/"), Access::Public);
    only_post.methods = vec!["POST".to_owned()];
    let mut ours = route(prefix("/"), groups(&["admins"]));
    ours.host = Some("app.example.com".to_owned());
    settings.routes = vec![other_host, only_post, ours];
    let policy = Policy::from_settings(&settings);
    let decision = decide(&policy, &RequestFacts { authority: "app.example.com:443", ..facts("/x") }, None, at(0));
    assert_eq!(shown(&decision), "login Navigation");
    let decision = decide(&policy, &RequestFacts { method: "POST", ..facts("/x") }, None, at(0));
    assert!(matches!(decision, Decision::Forward(permit) if permit.route() == 1 && permit.identity().is_none()));
}

/// `decide` can be tested in microseconds, and trusted, because it sees nothing but its arguments.
#[test]
fn a_machine_comes_as_itself_where_its_token_counts_and_nowhere_else() {
    let mut settings = sample();
    for route in [1, 2, 4, 5] {
        settings.routes[route].machines =
            vec![machine("ci", b"samlgate_ci", &["engineers"]), machine("root", b"samlgate_root", &["admins"])];
    }
    let policy = Policy::from_settings(&settings);
    let person = session(|_| {});
    for (path, token, expected) in [
        ("/api/a", "samlgate_ci", "forward ci"),
        ("/admin/a", "samlgate_ci", "not_in_allowed_group"),
        ("/admin/a", "samlgate_root", "forward root"),
        // A rule on addresses is no rule for machines.
        ("/boss", "samlgate_root", "not_allowed"),
        ("/api/a", "samlgate_other", "token_unknown"),
        // Of another route.
        ("/a", "samlgate_root", "token_unknown"),
        ("/public/a", "samlgate_root", "forward nobody"),
        ("/public//a", "samlgate_root", "forward root"),
        ("/x/..;/admin", "samlgate_root", "path_ambiguous"),
        ("/saml/userinfo", "samlgate_root", "Userinfo"),
    ] {
        for session in [None, Some(&person)] {
            let token = Some(OfferedToken::One(hash(token.as_bytes())));
            let facts = RequestFacts { token, client: ClientKind::Navigation, ..facts(path) };
            let shown = match decide(&policy, &facts, session, at(100)) {
                Decision::Forward(permit) => match permit.identity() {
                    Some(Identity::Machine(machine)) => format!("forward {}", machine.name),
                    Some(Identity::Person(_)) => "forward a person".to_owned(),
                    None => "forward nobody".to_owned(),
                },
                Decision::Refuse(refusal) => refusal.code().to_owned(),
                Decision::Serve(endpoint) => format!("{endpoint:?}"),
                Decision::StartLogin { .. } => "login".to_owned(),
            };
            assert_eq!(shown, expected, "{path} {}", session.is_some());
        }
    }
    let upgrade = RequestFacts {
        token: Some(OfferedToken::One(hash(b"samlgate_ci"))),
        upgrade_origin: Some("https://evil.example"),
        ..facts("/api/a")
    };
    assert_eq!(shown(&decide(&policy, &upgrade, None, at(100))), "upgrade_origin_forbidden");
}

#[test]
fn decide_uses_no_clock_no_files_no_network_and_no_environment() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/decide");
    let allowed = [
        "std::collections::BTreeMap",
        "std::sync::Arc",
        "config::",
        "http::HeaderMap",
        "http::header::AUTHORIZATION",
        "saml_core::Timestamp",
        "crate::refusal::",
        "crate::session::",
        "super::",
        "access::",
        "client::",
        "hosts::",
        "machine::",
        "path::",
        "policy::",
    ];
    let mut scanned = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".rs") || name == "tests.rs" || name == "table.rs" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in product.lines().map(str::trim_start) {
            let used = line.split("use ").nth(1).filter(|_| line.starts_with("use ") || line.starts_with("pub"));
            if let Some(used) = used {
                assert!(allowed.iter().any(|start| used.starts_with(start)), "{name}: {line}");
            }
            let bans = [
                "std::time",
                "std::fs",
                "std::net",
                "std::env",
                "std::io",
                "tokio",
                "SystemTime",
                "Instant",
                "rand",
                "async ",
                ".await",
            ];
            let code = line.split("//").next().unwrap();
            assert!(!bans.iter().any(|ban| code.contains(ban)), "{name}: {line}");
        }
        scanned += 1;
    }
    assert!(scanned >= 5);
}

fn any_path() -> impl Strategy<Value = String> {
    prop_oneof![
        "/([a-z./;%\\\\?#]|admin|public|healthz|api|saml|acs|%2[eEfF5]|%5[cC]|%3[bBfF]|%61|%25){0,10}",
        "\\PC{0,30}",
        prop::collection::vec(
            prop_oneof![
                Just("admin"),
                Just("public"),
                Just(".."),
                Just("."),
                Just(""),
                Just("%2e%2e"),
                Just("..;"),
                Just("%252e%252e"),
                Just("x"),
                Just("healthz"),
                Just(";a"),
                Just("..%2f"),
                Just("%5c.."),
            ],
            0..8,
        )
        .prop_map(|segments| format!("/{}", segments.join("/"))),
    ]
}

fn any_client() -> impl Strategy<Value = ClientKind> {
    prop::sample::select(vec![ClientKind::Navigation, ClientKind::FormPost, ClientKind::Frame, ClientKind::Background])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_input_forwards_to_a_protected_route_without_a_session(
        path in any_path(),
        client in any_client(),
        method in "[A-Z]{1,7}|GET|POST",
        authority in "app.example.com|app.example.com:443|[a-z.:0-9]{0,20}",
        expired in any::<bool>(),
    ) {
        let session = session(|record| record.expires = at(50));
        let facts = RequestFacts {
            method: &method,
            authority: &authority,
            path: &path,
            client,
            upgrade_origin: None,
            is_preflight: false,
        token: None,
        };
        let policy = Policy::from_settings(&sample());
        match decide(&policy, &facts, expired.then_some(&session), at(100)) {
            Decision::Forward(permit) => {
                prop_assert!(permit.route() <= 1, "{path} went to {}", permit.route());
                prop_assert!(permit.identity().is_none());
            }
            Decision::StartLogin { client } => {
                prop_assert!(matches!(client, ClientKind::Navigation | ClientKind::FormPost));
            }
            Decision::Serve(_) | Decision::Refuse(_) => {}
        }
    }

    #[test]
    fn no_path_that_a_server_resolves_to_admin_passes_without_the_group(path in any_path()) {
        let outsider = session(outsider);
        let policy = Policy::from_settings(&sample());
        if let Decision::Forward(permit) = decide(&policy, &facts(&path), Some(&outsider), at(100)) {
            prop_assert_ne!(permit.route(), 2);
            let readings = Readings::of(&path).unwrap();
            prop_assert!(!readings.all().any(|reading| is_under("/admin", reading)), "{path}");
            // An independent reader: the URL parser of browsers.
            let url = url::Url::parse("http://h").unwrap().join(&format!("http://h{path}")).unwrap();
            prop_assert!(!is_under("/admin", url.path()), "{path}");
        }
    }
}

#[test]
fn there_is_no_place_for_logout_messages_where_no_idp_has_single_logout() {
    let mut settings = sample();
    let shown =
        |settings: &Settings| shown(&decide(&Policy::from_settings(settings), &facts("/saml/slo"), None, at(0)));
    assert_eq!(shown(&settings), "serve Slo");
    settings.identity_providers[1].single_logout = SingleLogout::Off;
    assert_eq!(shown(&settings), "endpoint_unknown");
}

#[test]
fn a_preflight_goes_on_in_nobodys_name_where_the_route_says_so() {
    let mut settings = sample();
    for name in ["admin", "api"] {
        let index = ROUTES.iter().position(|route| *route == name).unwrap();
        settings.routes[index].forwards_preflights = true;
    }
    let policy = Policy::from_settings(&settings);
    let preflight =
        |path| RequestFacts { method: "OPTIONS", client: ClientKind::Background, is_preflight: true, ..facts(path) };
    let admin = session(|_| {});
    for (path, session, expected) in [
        ("/api/a", None, "forward api nobody"),
        ("/admin/a", None, "forward admin nobody"),
        ("/admin/a", Some(&admin), "forward admin nobody"),
        ("/a", None, "login_required"),
        ("/api//a", None, "login_required"),
        ("/api/..;/admin/a", None, "path_ambiguous"),
        ("/saml/x", None, "endpoint_unknown"),
    ] {
        assert_eq!(shown(&decide(&policy, &preflight(path), session, at(100))), expected, "{path}");
    }
    let options = RequestFacts { is_preflight: false, ..preflight("/api/a") };
    assert_eq!(shown(&decide(&policy, &options, None, at(100))), "login_required", "any OPTIONS is none");
}

#[test]
fn a_route_that_rewrites_takes_only_paths_with_one_reading() {
    let mut settings = sample();
    let api = ROUTES.iter().position(|route| *route == "api").unwrap();
    settings.routes[api].rewrite = Some(Rewrite { strip_prefix: Some("/api".to_owned()), add_prefix: None });
    let policy = Policy::from_settings(&settings);
    for (path, expected) in [
        ("/api/a", "login_required"),
        ("/api/%61%20b", "login_required"),
        ("/api//a", "path_ambiguous"),
        ("/api/b/../a", "path_ambiguous"),
        ("/api/b/%2e%2e/a", "path_ambiguous"),
        ("/api/a;b", "path_ambiguous"),
        ("/api/%252e%252e/api/a", "path_ambiguous"),
    ] {
        assert_eq!(shown(&decide(&policy, &facts(path), None, at(100))), expected, "{path}");
    }
}
