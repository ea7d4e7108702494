//! Rows 100 to 106 and 110 to 117: who gets in, with what, and what is learnt by trying.

use super::super::held::{test, text};
use super::site::{Kind, Site};
use super::wire::{Draft, Wanted, Wire};
use super::{WireRow, row};

const PATH_TESTS: &str = "tests/tests/end_to_end/paths.rs";
const SIGN_IN_TESTS: &str = "tests/tests/end_to_end/signing_in.rs";
const ENDPOINT_TESTS: &str = "tests/tests/end_to_end/endpoints.rs";
const STRANGER_TESTS: &str = "tests/tests/end_to_end/strangers.rs";

pub(super) fn rows(site: &Site) -> Vec<WireRow> {
    vec![
        row(
            "100",
            "paths that are read in two ways",
            paths(site),
            vec![
                test(PATH_TESTS, "the_spelling_of_a_method_evades_no_rule"),
                test("gateway/src/decide/tests.rs", "a_route_that_rewrites_takes_only_paths_with_one_reading"),
            ],
        ),
        row(
            "101",
            "magic user agents and health paths",
            magic(site),
            vec![test(ENDPOINT_TESTS, "the_admin_listener_serves_health_and_metrics_and_nothing_else")],
        ),
        row(
            "102",
            "a bad cookie, a store that fails",
            bad_cookies(site),
            vec![
                test("gateway/src/session/cache.rs", "a_store_that_is_away_is_an_error_and_never_no_session"),
                text(
                    "gateway/src/request_road.rs",
                    "Err(refusal) => return refuse(",
                    "a store that fails refuses the request",
                ),
            ],
        ),
        row(
            "103",
            "a session that was there before the login",
            fixed(site),
            vec![test(SIGN_IN_TESTS, "a_reload_needs_no_new_login_and_a_new_session_has_a_new_ticket")],
        ),
        row(
            "104",
            "stolen, tossed and misspelt cookies",
            cookies(site),
            vec![
                test("tests/tests/end_to_end/hosts.rs", "a_second_session_cookie_is_cleared_or_told"),
                test("tests/tests/end_to_end/headers.rs", "the_application_cannot_set_our_cookies"),
            ],
        ),
        row(
            "105",
            "SameSite and the POST of the IdP",
            Vec::new(),
            vec![test(SIGN_IN_TESTS, "the_answer_comes_with_the_binding_cookie_and_without_the_session")],
        ),
        row(
            "106",
            "a session that was ended",
            ended(site),
            vec![test(SIGN_IN_TESTS, "sign_out_ends_the_session_here")],
        ),
        row(
            "110",
            "another's page out of a cache",
            Vec::new(),
            vec![
                test(ENDPOINT_TESTS, "our_pages_are_never_kept_framed_or_scripted_from_elsewhere"),
                test("tests/tests/end_to_end/headers.rs", "the_application_cannot_set_our_cookies"),
                text("gateway/Cargo.toml", "pingora.workspace = true", "Pingora without its feature `cache`"),
            ],
        ),
        row(
            "112",
            "the application without us",
            Vec::new(),
            vec![test("tests/tests/end_to_end/identity_jwt.rs", "the_identity_jwt_verifies_against_the_jwks")],
        ),
        row("113", "a WebSocket of another site", websockets(site), Vec::new()),
        row(
            "114",
            "what strangers may cost",
            costs(site),
            vec![
                test(STRANGER_TESTS, "logins_are_limited_and_sessions_go_on"),
                test(STRANGER_TESTS, "a_head_that_trickles_in_is_cut_off"),
                test("tests/tests/end_to_end/kept_forms.rs", "one_address_that_sends_slowly_leaves_room"),
                test("benches/tests/linear.rs", "a_byte_of_128_kb_costs_no_more_than_three_times_a_byte_of_16_kb"),
            ],
        ),
        row(
            "115",
            "secrets and lines in the log",
            Vec::new(),
            vec![
                test(ENDPOINT_TESTS, "no_secret_and_no_name_stands_in_the_log"),
                test(PATH_TESTS, "what_strangers_write_is_cut_in_the_log"),
            ],
        ),
        row(
            "116",
            "errors that help",
            Vec::new(),
            vec![test("gateway/src/respond.rs", "page_shows_code_and_request_and_nothing_for_the_administrator")],
        ),
        row(
            "117",
            "frames and scripts around our forms",
            Vec::new(),
            vec![test(ENDPOINT_TESTS, "our_pages_are_never_kept_framed_or_scripted_from_elsewhere")],
        ),
    ]
}

/// Against a control of that kind.
fn refused(site: &Site, kind: Kind, name: &str, attack: Draft, (status, code): (u16, &'static str)) -> Wire {
    let wanted = Wanted::Refused(status, code);
    Wire { name: name.to_owned(), control: site.good(kind), user: kind.user(), attack: attack.bytes(), wanted }
}

const AMBIGUOUS: (u16, &str) = (400, "path_ambiguous");
const NO_SESSION: (u16, &str) = (401, "login_required");
const NO_GROUP: (u16, &str) = (403, "not_in_allowed_group");

/// Each could be read as `/admin/x` by some application.
const ADMIN: [&str; 24] = [
    "/x/..;/admin/x",
    "/x/..;a=b/admin/x",
    "/x/%2e%2e/admin/x",
    "/x/%2E%2E/admin/x",
    "/x/.%2e/admin/x",
    "//admin/x",
    "///admin/x",
    "/./admin/x",
    "/%2e/admin/x",
    "/x/../admin/x",
    "/x/..%2fadmin/x",
    "/x/..%5cadmin/x",
    "/x\\..\\admin\\x",
    "/\\admin/x",
    "/%5cadmin/x",
    "/%2fadmin/x",
    "/%61dmin/x",
    "/%2561dmin/x",
    "/x/%252e%252e/admin/x",
    "/;/admin/x",
    "/;a/admin/x",
    "/x/..%3b/admin/x",
    "/admin%2fx/../../admin/x",
    "/x/..%00/admin/x",
];

/// Each lies below `/public` for some reader and elsewhere for another.
const PUBLIC: [&str; 13] = [
    "/public/../x",
    "/public/%2e%2e/x",
    "/public/..;/x",
    "/public/..%2fx",
    "/public/..%5cx",
    "/public/%252e%252e/x",
    "/public/..;a=b/x",
    "/public%2f..%2fx",
    "/public/../../x",
    "/public/./../x",
    "/public//../../x",
    "/public/..%3b/x",
    "/public/..#/x",
];

fn paths(site: &Site) -> Vec<Wire> {
    let ben = format!("Cookie: {}", site.ben);
    let mut wires = Vec::new();
    for path in ADMIN {
        let attack = site.draft("GET", path).line(&ben);
        wires.push(refused(site, Kind::Group, &format!("without the group: {path}"), attack, AMBIGUOUS));
    }
    wires.push(refused(
        site,
        Kind::Group,
        "without the group: as it is",
        site.draft("GET", "/admin/x").line(&ben),
        NO_GROUP,
    ));
    for path in PUBLIC {
        let attack = site.draft("GET", path);
        wires.push(refused(site, Kind::Public, &format!("without a session: {path}"), attack, AMBIGUOUS));
    }
    // One route, but a spelling of its own: what is not plain is not public.
    for path in
        ["/public\\..\\x", "/public//x", "/public/./x", "/public/x;y", "/public/%2e", "/public/a%5cb", "/public/%2561"]
    {
        let attack = site.draft("GET", path);
        wires.push(refused(site, Kind::Public, &format!("without a session: {path}"), attack, NO_SESSION));
    }
    for path in ["/x?/public/x", "/x?/../public/x", "/publicity", "/PUBLIC/x", "/x?path=/public/", "/public.html"] {
        let attack = site.draft("GET", path);
        wires.push(refused(site, Kind::Public, &format!("no public path: {path}"), attack, NO_SESSION));
    }
    for path in ["/cors//x", "/cors/./x", "/cors/x;y"] {
        let attack = site.good(Kind::Preflight).start(&format!("OPTIONS {path} HTTP/1.1"));
        wires.push(refused(site, Kind::Preflight, &format!("preflight: {path}"), attack, NO_SESSION));
    }
    for path in
        ["/strip/../admin/x", "/strip/..%2fadmin", "/strip//admin/x", "/strip/%2e%2e/strip/x", "/strip/x;/admin"]
    {
        let attack = site.draft("GET", path).line(&site.cookie());
        wires.push(refused(site, Kind::Rewritten, &format!("rewritten: {path}"), attack, AMBIGUOUS));
    }
    for path in ["/saml//acs", "/saml/%61cs", "/x/../saml/acs", "/saml;x/acs", "/public/..;/saml/acs"] {
        let attack = site.draft("GET", path).line(&site.cookie());
        wires.push(refused(site, Kind::SignedIn, &format!("our own endpoints: {path}"), attack, AMBIGUOUS));
    }
    for (method, answer) in [
        ("POST", NO_GROUP),
        ("post", (405, "method_forbidden")),
        ("gET", (405, "method_forbidden")),
        ("PROPFIND", NO_GROUP),
    ] {
        let attack =
            site.draft(method, "/read/x").line(&ben).line("X-HTTP-Method-Override: GET").line("Content-Length: 0");
        let mut wire = refused(site, Kind::SignedIn, &format!("a rule on methods: {method}"), attack, answer);
        wire.control = site.draft("GET", "/read/x").line(&site.cookie());
        wires.push(wire);
    }
    wires
}

fn magic(site: &Site) -> Vec<Wire> {
    let agents =
        ["GoogleHC/1.0", "kube-probe/1.31", "ELB-HealthChecker/2.0", "Prometheus/2.42.0", "samlgate/1 health check"];
    let by_agent = agents.map(|agent| {
        let attack = site.draft("GET", "/x").line(&format!("User-Agent: {agent}"));
        refused(site, Kind::SignedIn, agent, attack, NO_SESSION)
    });
    let paths = ["/ping", "/healthz", "/readyz", "/ready", "/health", "/metrics", "/robots.txt", "/favicon.ico"];
    let by_path = paths.map(|path| refused(site, Kind::SignedIn, path, site.draft("GET", path), NO_SESSION));
    let under =
        refused(site, Kind::SignedIn, "/saml/healthz", site.draft("GET", "/saml/healthz"), (404, "endpoint_unknown"));
    by_agent.into_iter().chain(by_path).chain([under]).collect()
}

fn bad_cookies(site: &Site) -> Vec<Wire> {
    let ticket = site.ada.split_once('=').map(|(_, ticket)| ticket.to_owned()).unwrap_or_default();
    let cut = ticket.get(..ticket.len() - 1).unwrap_or_default();
    let values: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("a word", b"admin".to_vec()),
        ("one sign short", cut.as_bytes().to_vec()),
        ("one sign more", format!("{ticket}A").into_bytes()),
        ("another case", ticket.to_ascii_lowercase().into_bytes()),
        ("padded", format!("{ticket}=").into_bytes()),
        ("in quotes", format!("\"{ticket}\"").into_bytes()),
        ("encoded", format!("%{:02X}{}", ticket.as_bytes()[0], &ticket[1..]).into_bytes()),
        ("4 kB", vec![b'A'; 4096]),
        ("Latin-1", b"\xe4\xf6\xfc".to_vec()),
        ("a comma", format!("{ticket},{ticket}").into_bytes()),
        ("JSON", br#"{"user":"ada"}"#.to_vec()),
    ];
    let mut wires = Vec::new();
    for kind in [Kind::SignedIn, Kind::Group, Kind::Api, Kind::Rewritten] {
        let path = kind_path(kind);
        for (name, value) in &values {
            let line = [b"Cookie: __Host-samlgate=".as_slice(), value].concat();
            let attack = site.draft("GET", path).line_of_bytes(&line);
            wires.push(refused(site, kind, &format!("{}: {name}", kind.name()), attack, NO_SESSION));
        }
    }
    for (name, authorization) in [
        ("no token", "Bearer"),
        ("a token of nobody", "Bearer samlgate_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("Basic", "Basic YWRhOmFkYQ=="),
    ] {
        let attack = site.draft("GET", "/hooks/x").line(&format!("Authorization: {authorization}"));
        let answer = if name == "a token of nobody" { (401, "token_unknown") } else { NO_SESSION };
        wires.push(refused(site, Kind::Machine, &format!("machine: {name}"), attack, answer));
    }
    wires
}

fn kind_path(kind: Kind) -> &'static str {
    match kind {
        Kind::Group => "/admin/x",
        Kind::Api => "/api/x",
        Kind::Rewritten => "/strip/x",
        _ => "/x",
    }
}

fn fixed(site: &Site) -> Vec<Wire> {
    // Well-formed, and never given out.
    let chosen = "Cookie: __Host-samlgate=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    vec![refused(
        site,
        Kind::SignedIn,
        "a ticket that somebody chose",
        site.draft("GET", "/x").line(chosen),
        NO_SESSION,
    )]
}

fn cookies(site: &Site) -> Vec<Wire> {
    let own = &site.ada;
    let ticket = own.split_once('=').map(|(_, ticket)| ticket).unwrap_or_default();
    let lines: Vec<(&str, Vec<u8>)> = vec![
        ("twice in one line", format!("Cookie: {own}; {}", site.ben).into_bytes()),
        ("twice, the same", format!("Cookie: {own}; {own}").into_bytes()),
        ("a second, empty", format!("Cookie: {own}; __Host-samlgate=").into_bytes()),
        ("another case", format!("Cookie: __host-samlgate={ticket}").into_bytes()),
        ("without its prefix", format!("Cookie: samlgate={ticket}").into_bytes()),
        ("Secure prefix", format!("Cookie: __Secure-samlgate={ticket}").into_bytes()),
        ("white space behind the name", format!("Cookie: __Host-samlgate ={ticket}").into_bytes()),
        ("white space before the value", format!("Cookie: __Host-samlgate= {ticket}").into_bytes()),
        (
            "an en quad before the name",
            [b"Cookie: \xe2\x80\x80__Host-samlgate=".as_slice(), ticket.as_bytes()].concat(),
        ),
        ("a no-break space before the name", [b"Cookie: \xa0__Host-samlgate=".as_slice(), ticket.as_bytes()].concat()),
        ("in the quotes of another", format!("Cookie: a=\"b; {own}\"").into_bytes()),
        ("a cookie of RFC 2965", format!("Cookie: $Version=1; __Host-samlgate=\"{ticket}\"; $Path=/").into_bytes()),
        ("as Cookie2", format!("Cookie2: {own}").into_bytes()),
        ("as a query", Vec::from(*b"X-Cookie: none")),
    ];
    let mut wires: Vec<Wire> = lines
        .into_iter()
        .map(|(name, line)| {
            let target = if name == "as a query" { format!("/x?{own}") } else { "/x".to_owned() };
            refused(site, Kind::SignedIn, name, site.draft("GET", &target).line_of_bytes(&line), NO_SESSION)
        })
        .collect();
    let two_lines = site.draft("GET", "/x").line(&format!("Cookie: {own}")).line(&format!("Cookie: {}", site.ben));
    wires.push(refused(site, Kind::SignedIn, "twice in two lines", two_lines, NO_SESSION));
    wires
}

fn ended(site: &Site) -> Vec<Wire> {
    [Kind::SignedIn, Kind::Group, Kind::Api, Kind::Rewritten]
        .map(|kind| {
            let attack = site.draft("GET", kind_path(kind)).line(&format!("Cookie: {}", site.ended));
            refused(site, kind, &format!("{}: signed out", kind.name()), attack, NO_SESSION)
        })
        .into()
}

fn websockets(site: &Site) -> Vec<Wire> {
    let own = site.world.gateway.public_url();
    let upgrade = |origin: &str| {
        let lines = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
        let draft = site.draft("GET", "/ws").line(&site.cookie()).line("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
        lines.into_iter().fold(draft, Draft::line).line(&format!("Origin: {origin}"))
    };
    let mut wires: Vec<Wire> = [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        String::new(),
        own.replace("http:", "https:"),
        format!("{own}.evil.example"),
        own.rsplit_once(':').map(|(name, _)| name.to_owned()).unwrap_or_default(),
        format!("{own}/"),
        own.to_ascii_uppercase(),
    ]
    .iter()
    .map(|origin| {
        refused(site, Kind::WebSocket, &format!("of {origin:?}"), upgrade(origin), (403, "upgrade_origin_forbidden"))
    })
    .collect();
    let twice = upgrade(own).line("Origin: https://evil.example");
    wires.push(refused(site, Kind::WebSocket, "of two origins", twice, (400, "request_malformed")));
    wires
}

fn costs(site: &Site) -> Vec<Wire> {
    let large = site.good(Kind::SignedIn).line(&format!("X-Long: {}", "a".repeat(70_000)));
    let target = site.draft("GET", &format!("/{}", "a".repeat(20_000))).line(&site.cookie());
    let many = (0..300).fold(site.good(Kind::SignedIn), |draft, number| draft.line(&format!("X-{number}: a")));
    let response = format!("SAMLResponse={}", "A".repeat(1_000_000));
    let acs = site.draft("POST", "/saml/acs").line("Content-Type: application/x-www-form-urlencoded");
    let counted = acs.clone().line(&format!("Content-Length: {}", response.len())).rest(&response);
    let chunked =
        acs.line("Transfer-Encoding: chunked").rest(&format!("{:x}\r\n{response}\r\n0\r\n\r\n", response.len()));
    vec![
        refused(site, Kind::SignedIn, "a head of 70 kB", large, (431, "head_too_large")),
        refused(site, Kind::SignedIn, "a target of 20 kB", target, (400, "request_malformed")),
        refused(site, Kind::SignedIn, "300 headers", many, (400, "")),
        refused(site, Kind::SignedIn, "a response of 1 MB", counted, (400, "form_too_large")),
        refused(site, Kind::SignedIn, "a response of 1 MB in chunks", chunked, (400, "form_too_large")),
    ]
}
