//! Rows 107 to 109 and 111: where a request ends, and for whom it is.

use super::super::held::{test, text};
use super::site::{Kind, Site};
use super::wire::{Draft, Wanted, Wire};
use super::{WireRow, row};

/// What a smuggled request would be: it must never arrive.
const SMUGGLED: &str = "GET /admin/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub(super) fn rows(site: &Site) -> Vec<WireRow> {
    vec![
        row("107", "request smuggling", smuggling(site), Vec::new()),
        row(
            "108",
            "bytes behind an Upgrade",
            upgrades(site),
            vec![text("Cargo.toml", "pingora = { version = \"0.9.1\"", "Pingora behind CVE-2026-2833")],
        ),
        row(
            "109",
            "a body that nobody read",
            undrained(site),
            vec![text("Cargo.toml", "pingora = { version = \"0.9.1\"", "Pingora behind CVE-2025-4366")],
        ),
        row(
            "111",
            "CONNECT, TRACE, absolute form, hosts",
            hosts(site),
            vec![
                test("tests/tests/end_to_end/paths.rs", "only_the_accepted_host_is_served"),
                text("Cargo.lock", "name = \"h2\"\nversion = \"0.4.20\"", "h2 behind CVE-2025-8671"),
            ],
        ),
    ]
}

/// Where a connection is kept open: behind the attack there is another request.
fn post(site: &Site, kind: Kind) -> Draft {
    site.good(kind).post()
}

fn wire(site: &Site, kind: Kind, name: &str, attack: impl Into<Vec<u8>>, wanted: Wanted) -> Wire {
    let control = post(site, kind).line("Content-Length: 3").rest("abc");
    Wire { name: format!("{}: {name}", kind.name()), control, user: kind.user(), attack: attack.into(), wanted }
}

const MALFORMED: Wanted = Wanted::Closed(400, "request_malformed");
/// By Pingora.
const UNREADABLE: Wanted = Wanted::Closed(400, "");

fn smuggling(site: &Site) -> Vec<Wire> {
    let chunked = format!("0\r\n\r\n{SMUGGLED}");
    let counted = format!("abc{SMUGGLED}");
    let framings: [(&str, &[&str], &str, Wanted); 32] = [
        ("CL and TE", &["Content-Length: 5", "Transfer-Encoding: chunked"], &chunked, MALFORMED),
        ("TE and CL", &["Transfer-Encoding: chunked", "Content-Length: 5"], &chunked, MALFORMED),
        ("CL of 0 and TE", &["Content-Length: 0", "Transfer-Encoding: chunked"], &chunked, MALFORMED),
        ("two CL that differ", &["Content-Length: 3", "Content-Length: 100"], &counted, UNREADABLE),
        ("two CL that agree", &["Content-Length: 3", "Content-Length: 3"], &counted, MALFORMED),
        ("CL as a list", &["Content-Length: 3, 3"], &counted, MALFORMED),
        ("CL as a list that differs", &["Content-Length: 3, 100"], &counted, UNREADABLE),
        ("CL with a sign", &["Content-Length: +3"], &counted, UNREADABLE),
        ("CL below 0", &["Content-Length: -3"], &counted, UNREADABLE),
        ("CL in hexadecimal", &["Content-Length: 0x3"], &counted, UNREADABLE),
        ("CL with a space", &["Content-Length: 3 3"], &counted, UNREADABLE),
        ("CL of nothing", &["Content-Length:"], &counted, UNREADABLE),
        ("CL beyond 64 bits", &["Content-Length: 18446744073709551619"], &counted, UNREADABLE),
        ("TE identity", &["Transfer-Encoding: identity"], &chunked, UNREADABLE),
        ("TE of an unknown coding", &["Transfer-Encoding: xchunked"], &chunked, UNREADABLE),
        ("TE chunked, identity", &["Transfer-Encoding: chunked, identity"], &chunked, UNREADABLE),
        ("TE twice", &["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], &chunked, UNREADABLE),
        ("TE in quotes", &["Transfer-Encoding: \"chunked\""], &chunked, UNREADABLE),
        ("TE with a vertical tab", &["Transfer-Encoding: \u{b}chunked"], &chunked, UNREADABLE),
        ("TE of nothing", &["Transfer-Encoding:"], &chunked, UNREADABLE),
        ("white space before the colon", &["Transfer-Encoding : chunked"], &chunked, UNREADABLE),
        ("a folded TE", &["Transfer-Encoding:", " chunked"], &chunked, UNREADABLE),
        ("a folded header", &["X-A: a", " Transfer-Encoding: chunked"], &chunked, UNREADABLE),
        ("white space before the name", &[" Transfer-Encoding: chunked"], &chunked, UNREADABLE),
        ("a line without a colon", &["Transfer-Encoding"], &chunked, UNREADABLE),
        ("a carriage return within a line", &["X-A: a\rTransfer-Encoding: chunked"], &chunked, UNREADABLE),
        ("NUL in a name", &["Transfer\0-Encoding: chunked"], &chunked, UNREADABLE),
        ("NUL in a value", &["X-A: a\0b"], "", UNREADABLE),
        ("a chunk below 0", &["Transfer-Encoding: chunked"], "-1\r\nabc\r\n0\r\n\r\n", MALFORMED),
        ("a chunk in another notation", &["Transfer-Encoding: chunked"], "0x3\r\nabc\r\n0\r\n\r\n", MALFORMED),
        ("a chunk beyond 64 bits", &["Transfer-Encoding: chunked"], "FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", MALFORMED),
        ("a chunk that goes on", &["Transfer-Encoding: chunked"], "3\r\nabcdef\r\n0\r\n\r\n", MALFORMED),
    ];
    let mut wires = Vec::new();
    for kind in [Kind::Public, Kind::SignedIn, Kind::Machine] {
        for (name, lines, rest, wanted) in framings {
            let draft = lines.iter().fold(post(site, kind), |draft, line| draft.line(line));
            wires.push(wire(site, kind, name, draft.rest(rest).bytes(), wanted));
        }
        let http10 =
            post(site, kind).start("POST /public/x HTTP/1.0").line("Transfer-Encoding: chunked").rest(&chunked);
        wires.push(wire(site, kind, "HTTP/1.0 with TE", http10.bytes(), UNREADABLE));
        for (name, start) in [
            ("HTTP/0.9", "GET /public/x"),
            ("HTTP/2.0 in a line", "POST /public/x HTTP/2.0"),
            ("HTTP/1.2", "POST /public/x HTTP/1.2"),
            ("http in small letters", "POST /public/x http/1.1"),
            ("a tab", "POST\t/public/x HTTP/1.1"),
        ] {
            let draft = post(site, kind).start(start).line("Content-Length: 0");
            wires.push(wire(site, kind, name, draft.bytes(), UNREADABLE));
        }
        let two = post(site, kind).start("POST  /public/x HTTP/1.1").line("Content-Length: 0");
        wires.push(wire(site, kind, "two spaces", two.bytes(), MALFORMED));
        // Pingora encodes what has no place in a target; what is judged is what arrives.
        let encoded = site.good(kind).start("GET /public/x%20y%22 HTTP/1.1");
        let attack = site.good(kind).start("GET /public/x y\" HTTP/1.1").bytes();
        let name = format!("{}: a target with a space", kind.name());
        wires.push(Wire { name, control: encoded, user: None, attack, wanted: Wanted::Clean });
    }
    wires
}

fn upgrades(site: &Site) -> Vec<Wire> {
    let ask = |kind, upgrade: &str| site.good(kind).line("Connection: Upgrade").line(&format!("Upgrade: {upgrade}"));
    let mut wires = Vec::new();
    // The application answers 200 to these: what follows must be judged as a request of its own, which it is not admitted by.
    for kind in [Kind::Public, Kind::SignedIn] {
        for upgrade in ["h2c", "TLS/1.0", "websocket, h2c", "foo"] {
            let attack = ask(kind, upgrade).bytes();
            let control = site.good(kind);
            let name = format!("{}: Upgrade: {upgrade}", kind.name());
            wires.push(Wire { name, control, user: kind.user(), attack, wanted: Wanted::Clean });
        }
        let early = ask(kind, "websocket").line("Sec-WebSocket-Version: 13").rest(SMUGGLED).bytes();
        let control = ask(kind, "websocket").line("Sec-WebSocket-Version: 13");
        let name = format!("{}: a request behind an Upgrade that is not taken", kind.name());
        wires.push(Wire { name, control, user: kind.user(), attack: early, wanted: Wanted::Clean });
    }
    let stranger = site.draft("GET", "/ws").line("Connection: Upgrade").line("Upgrade: websocket").rest(SMUGGLED);
    let control = site.good(Kind::WebSocket);
    let name = "no session: a WebSocket, and a request behind it".to_owned();
    let wanted = Wanted::Refused(401, "login_required");
    wires.push(Wire { name, control: control.clone(), user: Kind::WebSocket.user(), attack: stranger.bytes(), wanted });
    let post = control.clone().post().line("Content-Length: 0").bytes();
    let name = "a WebSocket by POST".to_owned();
    wires.push(Wire { name, control, user: Kind::WebSocket.user(), attack: post, wanted: MALFORMED });
    wires
}

fn undrained(site: &Site) -> Vec<Wire> {
    let length = SMUGGLED.len();
    let counted = format!("Content-Length: {length}");
    let chunked = format!("{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n");
    let mut wires = Vec::new();
    for (name, path, cookie, answer) in [
        ("no session", "/x", None, (401, "login_required")),
        ("without the group", "/admin/x", Some(&site.ben), (403, "not_in_allowed_group")),
        ("an ambiguous path", "/x/../admin/x", Some(&site.ada), (400, "path_ambiguous")),
        ("no endpoint", "/saml/nothing", None, (404, "endpoint_unknown")),
        ("a verify endpoint", "/saml/auth/nginx", None, (403, "untrusted_proxy")),
    ] {
        let draft = site.draft("POST", path);
        let draft = cookie.map_or(draft.clone(), |cookie| draft.line(&format!("Cookie: {cookie}")));
        let (status, code) = answer;
        for (how, attack) in [
            ("counted", draft.clone().line(&counted).rest(SMUGGLED)),
            ("chunked", draft.clone().line("Transfer-Encoding: chunked").rest(&chunked)),
            ("more than it says", draft.line("Content-Length: 0").rest(SMUGGLED)),
        ] {
            let name = format!("{name}, {how}");
            wires.push(wire(site, Kind::SignedIn, &name, attack.bytes(), Wanted::Refused(status, code)));
        }
    }
    wires
}

fn hosts(site: &Site) -> Vec<Wire> {
    let own = site.world.gateway.authority().to_owned();
    let cookie = site.cookie();
    let at = |start: &str, hosts: &[&str]| {
        let draft = Draft::new("GET", "/x").start(start).line(&cookie);
        hosts.iter().fold(draft, |draft, host| draft.line(&format!("Host: {host}"))).bytes()
    };
    let control = site.good(Kind::SignedIn);
    let get = "GET /x HTTP/1.1";
    let unknown = Wanted::Refused(421, "unknown_host");
    let absolute = |host: &str| format!("GET http://{host}/x HTTP/1.1");
    let (evil, user_info) = (absolute("evil.example"), absolute(&format!("localhost@{own}")));
    [
        ("no Host", at(get, &[]), MALFORMED),
        ("HTTP/1.0 without Host", at("GET /x HTTP/1.0", &[]), unknown),
        ("two Hosts", at(get, &[&own, "evil.example"]), UNREADABLE),
        ("two Hosts that agree", at(get, &[&own, &own]), UNREADABLE),
        ("an empty Host", at(get, &[""]), unknown),
        ("another host", at(get, &["evil.example"]), unknown),
        ("a host with a user", at(get, &[&format!("evil@{own}")]), UNREADABLE),
        ("a host as a list", at(get, &[&format!("{own}, evil.example")]), unknown),
        ("a host with a dot behind", at(get, &[&own.replace(':', ".:")]), unknown),
        ("a host with a path", at(get, &[&format!("{own}/public")]), unknown),
        ("the host without its port", at(get, &["localhost"]), unknown),
        ("absolute form of another host", at(&evil, &["evil.example"]), unknown),
        ("absolute form against Host", at(&evil, &[&own]), UNREADABLE),
        ("absolute form with a user", at(&user_info, &[&own]), UNREADABLE),
        ("TRACE", at("TRACE /x HTTP/1.1", &[&own]), Wanted::Refused(405, "method_forbidden")),
        ("CONNECT", at("CONNECT /x HTTP/1.1", &[&own]), Wanted::Refused(405, "")),
        ("CONNECT to a host", at("CONNECT evil.example:443 HTTP/1.1", &["evil.example:443"]), Wanted::Refused(405, "")),
        ("OPTIONS *", at("OPTIONS * HTTP/1.1", &[&own]), MALFORMED),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), UNREADABLE),
    ]
    .into_iter()
    .map(|(name, attack, wanted)| Wire {
        name: name.to_owned(),
        control: control.clone(),
        user: Kind::SignedIn.user(),
        attack,
        wanted,
    })
    .collect()
}
