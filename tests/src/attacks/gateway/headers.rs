//! Rows 93 to 99: what a client says of itself.

use config::HeaderPreset;

use super::super::held::{test, text};
use super::site::{Kind, Site};
use super::wire::{Draft, Wanted, Wire};
use super::{WireRow, row};

const HEADER_TESTS: &str = "tests/tests/end_to_end/headers.rs";
const ASKED_TESTS: &str = "tests/tests/end_to_end/asked.rs";

pub(super) fn rows(site: &Site) -> Vec<WireRow> {
    vec![
        row(
            "93",
            "a client's own identity headers",
            on_every_kind(site, |draft| forge(draft, str::to_owned)),
            vec![test(ASKED_TESTS, "a_public_route_names_nobody_in_every_header")],
        ),
        row(
            "94",
            "the same in other spellings",
            spellings(site),
            vec![
                test("gateway/src/identity_headers/names.rs", "every_spelling_of_our_names_is_found"),
                test(ASKED_TESTS, "what_could_arrive_as_another_request_is_refused"),
            ],
        ),
        row("95", "twice, as lists, with odd bytes", repetitions(site), Vec::new()),
        row("96", "Connection names our headers", nominations(site), Vec::new()),
        row(
            "97",
            "identity in trailers",
            trailers(site),
            vec![test(
                "tests/tests/end_to_end/grpc.rs",
                "a_call_goes_end_to_end_with_the_trailers_of_its_answer_alone",
            )],
        ),
        row(
            "98",
            "attributes that are more than a value",
            Vec::new(),
            vec![
                test(HEADER_TESTS, "values_outside_printable_ascii_are_encoded"),
                test(HEADER_TESTS, "other_presets_and_headers_from_any_claim"),
                test("tests/tests/end_to_end/refusals.rs", "groups_too_large_for_a_header_and_the_filter_that_helps"),
            ],
        ),
        row(
            "99",
            "X-Forwarded-* of a stranger",
            forwarded(site),
            vec![
                test(ASKED_TESTS, "a_trusted_proxy_names_the_client_and_a_stranger_does_not"),
                test(ASKED_TESTS, "a_stranger_who_asks_learns_nothing"),
                text(
                    "gateway/src/request_road.rs",
                    "path: request.uri.path(),",
                    "a decision sees the target and no header that speaks of another",
                ),
            ],
        ),
    ]
}

fn wire(site: &Site, kind: Kind, name: &str, attack: impl FnOnce(Draft) -> Draft, wanted: Wanted) -> Wire {
    let control = site.good(kind);
    let attack = attack(control.clone()).bytes();
    Wire { name: format!("{}: {name}", kind.name()), control, user: kind.user(), attack, wanted }
}

fn on_every_kind(site: &Site, attack: impl Fn(Draft) -> Draft) -> Vec<Wire> {
    Kind::ALL.map(|kind| wire(site, kind, "every header of ours", &attack, Wanted::Clean)).into()
}

/// Every header that any setting of ours makes, and those that speak of the way here.
fn names() -> Vec<&'static str> {
    let of_presets = HeaderPreset::ALL.into_iter().flat_map(HeaderPreset::headers).map(|(name, _)| name);
    let others = [
        "X-Samlgate-Jwt-Assertion",
        "X-WebAuth-User",
        "X-Forwarded-Access-Token",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Real-IP",
        "Forwarded",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "Proxy",
    ];
    of_presets.chain(others).collect()
}

fn forge(draft: Draft, spell: impl Fn(&str) -> String) -> Draft {
    names().into_iter().fold(draft, |draft, name| draft.line(&format!("{}: mallory", spell(name))))
}

type Spell = fn(&str) -> String;

fn spellings(site: &Site) -> Vec<Wire> {
    let spelt: [(&str, Spell); 9] = [
        ("lower case", |name| name.to_ascii_lowercase()),
        ("upper case", |name| name.to_ascii_uppercase()),
        ("underscores", |name| name.replace('-', "_")),
        ("one underscore", |name| name.replacen('-', "_", 1)),
        ("dots", |name| name.replace('-', ".")),
        ("a tilde", |name| name.replacen('-', "~", 1)),
        ("signs that CGI folds", |name| name.replace('-', "!")),
        ("an underscore behind", |name| format!("{name}_")),
        ("HTTP_ before", |name| format!("HTTP_{}", name.replace('-', "_"))),
    ];
    let of_kind = |kind| {
        spelt
            .iter()
            .filter(|(_, spell)| names().iter().any(|name| spell(name) != *name))
            .map(move |(how, spell)| wire(site, kind, how, |draft| forge(draft, spell), Wanted::Clean))
    };
    Kind::ALL.into_iter().flat_map(of_kind).collect()
}

fn repetitions(site: &Site) -> Vec<Wire> {
    let twice = |draft: Draft| forge(forge(draft, str::to_owned), str::to_ascii_lowercase);
    let lists =
        |draft: Draft| names().into_iter().fold(draft, |draft, name| draft.line(&format!("{name}: a, mallory")));
    let latin1 = |draft: Draft| draft.line_of_bytes(b"X-Forwarded-User: m\xe4llory");
    let empty = |draft: Draft| draft.line("X-Forwarded-User:");
    let mut wires = Vec::new();
    for kind in Kind::ALL {
        wires.push(wire(site, kind, "each twice", twice, Wanted::Clean));
        wires.push(wire(site, kind, "each as a list", lists, Wanted::Clean));
        wires.push(wire(site, kind, "bytes of Latin-1", latin1, Wanted::Clean));
        wires.push(wire(site, kind, "empty", empty, Wanted::Clean));
        for (name, byte) in [("NUL", b'\0'), ("a carriage return", b'\r'), ("a line feed", b'\n')] {
            let line = [b"X-Forwarded-User: a".as_slice(), &[byte], b"X-Forwarded-Groups: admins"].concat();
            let wanted = if byte == b'\n' { Wanted::Clean } else { Wanted::Closed(400, "") };
            wires.push(wire(site, kind, &format!("a value with {name}"), |draft| draft.line_of_bytes(&line), wanted));
        }
    }
    wires
}

/// What Pingora keeps from being named, and how many names it takes.
const PROTECTED: [&str; 3] = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"];
const NOMINATIONS: usize = 8;

fn nominations(site: &Site) -> Vec<Wire> {
    let names: Vec<&str> = names().into_iter().filter(|name| !PROTECTED.contains(name)).collect();
    let mut wires = Vec::new();
    for kind in Kind::ALL {
        for (number, some) in names.chunks(NOMINATIONS).enumerate() {
            let list = |draft: Draft| draft.line(&format!("Connection: {}", some.join(", ")));
            wires.push(wire(site, kind, &format!("a list, {number}"), list, Wanted::Clean));
            let each = |draft: Draft| some.iter().fold(draft, |draft, name| draft.line(&format!("connection: {name}")));
            wires.push(wire(site, kind, &format!("a line each, {number}"), each, Wanted::Clean));
        }
        let other = |draft: Draft| draft.line("Keep-Alive: 5").line("Proxy-Connection: X-Forwarded-User");
        wires.push(wire(site, kind, "Proxy-Connection", other, Wanted::Clean));
        let refused = Wanted::Refused(400, "request_malformed");
        for name in PROTECTED.into_iter().chain(["Host"]) {
            let named = |draft: Draft| draft.line(&format!("Connection: {name}"));
            wires.push(wire(site, kind, name, named, refused));
        }
        let many = |draft: Draft| draft.line(&format!("Connection: {}", names.join(", ")));
        wires.push(wire(site, kind, "all at once", many, refused));
    }
    wires
}

fn trailers(site: &Site) -> Vec<Wire> {
    let with_body =
        [Kind::Public, Kind::PublicSignedIn, Kind::SignedIn, Kind::Group, Kind::Api, Kind::Machine, Kind::Rewritten];
    let mut wires = Vec::new();
    for kind in with_body {
        let post = site.good(kind).post().line("Transfer-Encoding: chunked");
        let named: String = names().iter().map(|name| format!("{name}: mallory\r\n")).collect();
        let attack = post.clone().rest(&format!("3\r\nabc\r\n0\r\n{named}Cookie: a=1\r\n\r\n")).bytes();
        let control = post.rest("3\r\nabc\r\n0\r\n\r\n");
        let name = format!("{}: every header of ours", kind.name());
        wires.push(Wire { name, control, user: kind.user(), attack, wanted: Wanted::Clean });
    }
    wires
}

fn forwarded(site: &Site) -> Vec<Wire> {
    let lies = [
        "X-Forwarded-Uri: /public/x",
        "X-Original-URL: /public/x",
        "X-Rewrite-URL: /public/x",
        "X-Forwarded-Prefix: /public",
        "X-Forwarded-Path: /public/x",
        "X-Forwarded-Method: OPTIONS",
        "X-HTTP-Method-Override: OPTIONS",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: https",
        "X-Forwarded-For: 127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "Forwarded: for=127.0.0.1;host=evil.example;proto=https",
    ];
    let lie = |draft: Draft| lies.iter().fold(draft, |draft, line| draft.line(line));
    let mut wires: Vec<Wire> =
        Kind::ALL.map(|kind| wire(site, kind, "who asks, where and for what", lie, Wanted::Clean)).into();
    let control = site.good(Kind::SignedIn);
    let refused = |name: &str, attack: Draft, status, code| Wire {
        name: name.to_owned(),
        control: control.clone(),
        user: Kind::SignedIn.user(),
        attack: attack.bytes(),
        wanted: Wanted::Refused(status, code),
    };
    wires.push(refused(
        "no session: who asks, where and for what",
        lie(site.draft("GET", "/x")),
        401,
        "login_required",
    ));
    for endpoint in ["nginx", "traefik", "envoy/public/x"] {
        let attack = lie(site.draft("GET", &format!("/saml/auth/{endpoint}")).line(&site.cookie()));
        wires.push(refused(&format!("the verify endpoint {endpoint}"), attack, 403, "untrusted_proxy"));
    }
    wires
}
