//! Each mistake alone: where it is said to be, and what is said of it.

use crate::support::{Folder, instead, with, with_first_route, with_idp};

fn check(cases: &[(String, &str, &str)]) {
    let folder = Folder::new();
    for (yaml, path, part) in cases {
        let error = folder.only_mistake(yaml);
        assert_eq!(error.path, *path, "{error}\n{yaml}");
        let said = format!("{} / {}", error.problem, error.cure);
        assert!(said.contains(part), "{part:?} is not in {said:?}\n{yaml}");
        assert!(error.line.is_some() || error.problem == "is missing", "no line: {error}\n{yaml}");
    }
}

#[test]
fn refuses_what_a_route_cannot_take_away_or_bear() {
    let route = |more: &str| {
        with_first_route(&format!("{{ id: a, path_prefix: /admin/x, access: public, upstream: app, {more} }}"))
    };
    check(&[
        (route("rewrite: x"), "routes[0].rewrite", "must be a map"),
        (route("rewrite:"), "routes[0].rewrite", "neither `strip_prefix` nor `add_prefix`"),
        (route("rewrite: {}"), "routes[0].rewrite", "neither `strip_prefix` nor `add_prefix`"),
        (route("rewrite: { strip_prefix: /adm }"), "routes[0].rewrite.strip_prefix", "`/admin/x`"),
        (route("rewrite: { strip_prefix: /admin/x/y }"), "routes[0].rewrite.strip_prefix", "is not above"),
        (route("rewrite: { strip_prefix: / }"), "routes[0].rewrite.strip_prefix", "above everything"),
        (route("rewrite: { add_prefix: /a/../b }"), "routes[0].rewrite.add_prefix", "segment"),
        (route("limits: { max_in_flight: 0 }"), "routes[0].limits.max_in_flight", "between 1"),
        (route("limits: { max_body_bytes: 10MB }"), "routes[0].limits.max_body_bytes", "whole number"),
    ]);
}

#[test]
fn refuses_health_checks_that_ask_for_nothing() {
    let upstream = |more: &str| instead("['127.0.0.1:3000']", &format!("['127.0.0.1:3000'], health_check: {more}"));
    let at = |key: &str| format!("upstreams.app.health_check.{key}");
    check(&[
        (upstream("{}"), &at("path"), "is missing"),
        (upstream("{ path: healthz }"), &at("path"), "`/healthz`"),
        (upstream("{ path: '/a b' }"), &at("path"), "as requests write it"),
        (upstream("{ path: /, interval: 1ms }"), &at("interval"), "between 100ms"),
        (upstream("{ path: /, unhealthy_after: 0 }"), &at("unhealthy_after"), "between 1"),
    ]);
}

#[test]
fn refuses_wrong_top_level_values() {
    let public_url = |value: &str| instead("https://app.example.com", value);
    check(&[
        (public_url("http://app.example.com"), "public_url", "elsewhere no browser keeps the login cookie"),
        (public_url("https://app.example.com/app"), "public_url", "`https://app.example.com`"),
        (public_url("https://app.example.com/?x"), "public_url", "query"),
        (public_url("https://ann:secret@app.example.com"), "public_url", "user name"),
        (public_url("''"), "public_url", "is empty"),
        (public_url("5"), "public_url", "must be a text"),
        (public_url("[a]"), "public_url", "must be one text, and is a list"),
        (with("listen: ':8080'"), "listen", "`0.0.0.0:8080`"),
        (with("listen: localhost:8080"), "listen", "`127.0.0.1:8080`"),
        (with("listen: 127.0.0.1:9090"), "listen", "both `listen`"),
        (with("admin_listen: 0.0.0.0:8080"), "admin_listen", "both `listen`"),
        (with("prefix: /"), "prefix", "`/saml`"),
        (with("prefix: saml"), "prefix", "`/saml`"),
        (with("prefix: /a/../b"), "prefix", "`/saml`"),
        (with("threads: 0"), "threads", "between 1 and 1024"),
        (with("threads: many"), "threads", "whole number"),
        (with("threads: 1.5"), "threads", "whole number"),
        (with("threads: -1"), "threads", "whole number"),
        (with("sp_entity_id: ' x'"), "sp_entity_id", "white space"),
        (with("clock_skew: 301s"), "clock_skew", "between 0s and 5m"),
        (with("clock_skew: 500ms"), "clock_skew", "whole number of seconds"),
        (with("clock_skew: 180"), "clock_skew", "`clock_skew: 180s`"),
        (with("login_page: 'yes'"), "login_page", "`login_page: true`"),
        (with("shutdown_timeout: 2h"), "shutdown_timeout", "between 0s and 1h"),
        (with("keys_dir: nowhere"), "keys_dir", "samlgate keys generate"),
        (with("keys_dir: certificate.pem"), "keys_dir", "is no directory"),
        (with("keys_dir:"), "keys_dir", "is empty"),
        (with("tls: { certificate_file: certificate.pem }"), "tls.key_file", "is missing"),
        (with("log: { level: loud }"), "log.level", "trace, debug, info, warn or error"),
        (with("log: { format: xml }"), "log.format", "json or text"),
        (with("log: json"), "log", "must be a map"),
        (with("proxy_protocol: true"), "proxy_protocol", "stands without `trusted_proxies`"),
        (with("audit: {}"), "audit.file", "is missing"),
        (with("audit: { file: nowhere/audit.jsonl }"), "audit.file", "create its directory"),
        (with("audit: { file: audit.jsonl, identity: plain }"), "audit.identity", "hash or clear"),
        (with("session: { idle_timeout: 9h }"), "session.idle_timeout", "longer than max_age (8h)"),
        (with("session: { max_age: 30s }"), "session.max_age", "`max_age: 1m`"),
        (with("session: { max_age: 31d }"), "session.max_age", "`max_age: 30d`"),
        (with("session: { max_age: 8 }"), "session.max_age", "`max_age: 8s`"),
        (with("session: { max_age: '8' }"), "session.max_age", "has no unit"),
        (with("session: { max_age: soon }"), "session.max_age", "is not a duration"),
        (with("session: { max_age: [8h] }"), "session.max_age", "must be a duration, and is a list"),
        (with("session: { max_sessions: 0 }"), "session.max_sessions", "between 1"),
        (with("session: { store: disk }"), "session.store", "must be memory, redis or sealed"),
    ]);
}

#[test]
fn refuses_what_is_missing_and_what_is_empty() {
    check(&[
        (instead("public_url: https://app.example.com\n", ""), "public_url", "is missing"),
        (instead("  - id: jumpcloud\n    entity", "  - entity"), "identity_providers[0].id", "is missing"),
        (instead("    entity_id: jumpcloud-samlgate\n", ""), "identity_providers[0].entity_id", "is missing"),
        (
            instead("    sso_url: https://sso.jumpcloud.com/saml2/samlgate\n", ""),
            "identity_providers[0].sso_url",
            "is missing",
        ),
        (
            instead("    certificate_file: certificate.pem\n", ""),
            "identity_providers[0].certificate_file",
            "is missing",
        ),
        (instead("  - { path_prefix: /, access: signed_in, upstream: app }\n", ""), "routes", "is empty"),
        (
            instead("routes:\n  - { path_prefix: /, access: signed_in, upstream: app }", "routes: []"),
            "routes",
            "empty list",
        ),
        (instead("['127.0.0.1:3000']", "[]"), "upstreams.app.servers", "empty list"),
        (instead("{ servers: ['127.0.0.1:3000'] }", "{}"), "upstreams.app.servers", "is missing"),
        (instead("access: signed_in, ", ""), "routes[0].access", "is missing"),
        (instead(", upstream: app", ""), "routes[0].upstream", "is missing"),
    ]);
}

#[test]
fn refuses_wrong_identity_providers() {
    let sso_url = |value: &str| instead("https://sso.jumpcloud.com/saml2/samlgate", value);
    let at = |key: &str| format!("identity_providers[0].{key}");
    let certificate = |value: &str| instead("certificate_file: certificate.pem", value);
    let cases = [
        (instead("id: jumpcloud\n", "id: Jump Cloud\n"), at("id"), "a to z"),
        (sso_url("sso.jumpcloud.com"), at("sso_url"), "https://"),
        (sso_url("ftp://sso.jumpcloud.com"), at("sso_url"), "https://"),
        (with_idp("binding: artifact"), at("binding"), "redirect or post"),
        (with_idp("sign: both"), at("sign"), "assertion_and_response, response, assertion or any"),
        (with_idp("sign: [assertion]"), at("sign"), "must be one text"),
        (certificate("certificate: 'MIIB'"), at("certificate"), "whole content"),
        (certificate("certificate_file: gone.pem"), at("certificate_file"), "cannot be read"),
        (certificate("certificate_file: [certificate.pem, gone.pem]"), at("certificate_file[1]"), "cannot be read"),
        (certificate("certificate_file: []"), at("certificate_file"), "empty list"),
        (certificate("metadata_file: gone.xml"), at("metadata_file"), "cannot be read"),
        (with_idp("button: { image_url: 'javascript:x' }"), at("button.image_url"), "http(s)"),
        (with_idp("button: { image_url: //other.example/x.png }"), at("button.image_url"), "path on this site"),
        (with_idp("button: { text: 7 }"), at("button.text"), "in quotes"),
        (with_idp("claims: { email: '' }"), at("claims.email"), "is empty"),
        (with_idp("claims: { mail: mail }"), at("claims.mail"), "did you mean `email`?"),
        (with_idp("claims: [email]"), at("claims"), "must be a map"),
    ];
    let cases: Vec<(String, &str, &str)> =
        cases.iter().map(|(yaml, path, part)| (yaml.clone(), path.as_str(), *part)).collect();
    check(&cases);
}

#[test]
fn refuses_wrong_routes() {
    let path = |value: &str| with_first_route(&format!("{{ path: {value}, access: public, upstream: app }}"));
    let prefix = |value: &str| with_first_route(&format!("{{ path_prefix: {value}, access: public, upstream: app }}"));
    let access = |value: &str| with_first_route(&format!("{{ path: /x, access: {value}, upstream: app }}"));
    let more = |more: &str| with_first_route(&format!("{{ path: /x, access: signed_in, upstream: app, {more} }}"));
    check(&[
        (path("admin"), "routes[0].path", "`/admin`"),
        (path("/a//b"), "routes[0].path", "`/a/b`"),
        (path("/a/../b"), "routes[0].path", "segment"),
        (path("/a%2fb"), "routes[0].path", "percent"),
        (path("/a;b"), "routes[0].path", "`;`"),
        (path("'/a\\b'"), "routes[0].path", "`\\`"),
        (path("/a?b"), "routes[0].path", "query"),
        (path("'/a#b'"), "routes[0].path", "fragment"),
        (path("'/a*'"), "routes[0].path", "there are no patterns"),
        (prefix("'/a/*'"), "routes[0].path_prefix", "`path_prefix: /a/`"),
        (path("/saml/acs"), "routes[0].path", "lies under /saml"),
        (prefix("/saml"), "routes[0].path_prefix", "lies under /saml"),
        (with_first_route("{ access: public, upstream: app }"), "routes[0]", "neither"),
        (
            with_first_route("{ path: /a, path_prefix: /a, access: public, upstream: app }"),
            "routes[0].path_prefix",
            "beside",
        ),
        (access("everybody"), "routes[0].access", "public or signed_in"),
        (access("[admins]"), "routes[0].access", "or a map with groups, emails, email_domains or idps"),
        (access("{}"), "routes[0].access", "access: signed_in"),
        (access("{ groups: [] }"), "routes[0].access.groups", "empty list"),
        (access("{ groups: admins }"), "routes[0].access.groups", "write `groups: [admins]`"),
        (access("{ groups: [7] }"), "routes[0].access.groups[0]", "in quotes"),
        (access("{ emails: [ann] }"), "routes[0].access.emails[0]", "no `@`"),
        (access("{ emails: [a@b@c] }"), "routes[0].access.emails[0]", "more than one"),
        (access("{ email_domains: ['@example.com'] }"), "routes[0].access.email_domains[0]", "contains `@`"),
        (access("{ email_domains: ['*.example.com'] }"), "routes[0].access.email_domains[0]", "matched whole"),
        (access("{ group: [a], groups: [a] }"), "routes[0].access.group", "did you mean `groups`?"),
        (more("methods: [get]"), "routes[0].methods[0]", "`GET`"),
        (more("methods: [TRACE]"), "routes[0].methods[0]", "never forwarded"),
        (more("methods: [GET, CONNECT]"), "routes[0].methods[1]", "never forwarded"),
        (more("methods: GET"), "routes[0].methods", "write `methods: [GET]`"),
        (more("methods: ['G T']"), "routes[0].methods[0]", "is no method"),
        (more("host: other.example.com"), "routes[0].host", "`host: app.example.com`, or add it to `hosts`"),
        (more("host_header: 'a b'"), "routes[0].host_header", "is no host"),
        (more("api: 1"), "routes[0].api", "true or false"),
        (more("timeouts: { read: 0s }"), "routes[0].timeouts.read", "between 1ms"),
        (more("timeouts: 5s"), "routes[0].timeouts", "must be a map"),
        (more("id: 'a b'"), "routes[0].id", "plain name"),
        (more("id: route-2"), "routes[1].id", "another route too"),
        (instead("upstream: app }", "upstream: ap }"), "routes[0].upstream", "did you mean `app`?"),
    ]);
}

#[test]
fn refuses_hosts_that_share_no_session() {
    let hosts = |hosts: &str, domain: &str| with(&format!("hosts: [{hosts}]\nsession: {{ {domain} }}"));
    let domain = "cookie_domain: example.com";
    check(&[
        (hosts("https://b.example.com", "max_age: 8h"), "session.cookie_domain", "https://b.example.com would not see"),
        (hosts("https://b.example.com", "cookie_domain: com"), "session.cookie_domain", "public suffix"),
        (hosts("https://b.example.com", "cookie_domain: .example.com"), "session.cookie_domain", "`example.com`"),
        (hosts("https://b.example.com", "cookie_domain: 7"), "session.cookie_domain", "must be a text"),
        (hosts("https://b.example.org", domain), "session.cookie_domain", "no parent of b.example.org"),
        (hosts("https://b.example.com", "cookie_domain: b.example.com"), "session.cookie_domain", "app.example.com"),
        (hosts("https://b.example.com/x", domain), "hosts[0]", "`https://b.example.com`"),
        (hosts("'https://b.example.com', b", domain), "hosts[1]", "is no address"),
        (hosts("https://B.example.com, 'https://b.example.com:443'", domain), "hosts[1]", "listed twice"),
        (hosts("https://app.example.com", domain), "hosts[0]", "accepted anyway"),
        (hosts("http://localhost", domain), "hosts[0]", "another scheme"),
        (with("hosts: 'https://app.example.com:8443'"), "hosts", "must be a list"),
        (with("hosts: []"), "hosts", "empty list"),
    ]);
}

#[test]
fn refuses_wrong_upstreams() {
    let servers = |value: &str| instead("['127.0.0.1:3000']", value);
    check(&[
        (servers("['127.0.0.1']"), "upstreams.app.servers[0]", "`127.0.0.1:80`"),
        (servers("['http://app:3000/']"), "upstreams.app.servers[0]", "`app:3000`"),
        (servers("['https://app']"), "upstreams.app.servers[0]", "`app:443`, and `tls: {}`"),
        (servers("['app:0']"), "upstreams.app.servers[0]", "1 to 65535"),
        (servers("['a:1', 'A:1']"), "upstreams.app.servers[1]", "listed twice"),
        (servers("app:3000"), "upstreams.app.servers", "must be a list"),
        (servers("['a:1'], http2: 2"), "upstreams.app.http2", "true or false"),
        (
            instead("upstreams:\n", "upstreams:\n  'a b': { servers: ['a:1'] }\n"),
            "upstreams.\"a b\"",
            "letters, digits",
        ),
    ]);
}

#[test]
fn refuses_tls_that_could_prove_nothing() {
    let tls = |server: &str, tls: &str| instead("['127.0.0.1:3000']", &format!("['{server}'], tls: {tls}"));
    let name = |name: &str| tls("app:1", &format!("{{ server_name: {name} }}"));
    check(&[
        (tls("app:1", "true"), "upstreams.app.tls", "must be a map"),
        (tls("app:1", "{ verify: false }"), "upstreams.app.tls.verify", "is no known key"),
        (tls("my_app.internal.lan:1", "{}"), "upstreams.app.tls.server_name", "my_app.internal.lan"),
        (name("my_app"), "upstreams.app.tls.server_name", "no name that a certificate holds"),
        (name("''"), "upstreams.app.tls.server_name", "is empty"),
        (name("'app:443'"), "upstreams.app.tls.server_name", "without its port"),
        (name("'*.internal'"), "upstreams.app.tls.server_name", "no name that a certificate holds"),
        (name("app."), "upstreams.app.tls.server_name", "no name that a certificate holds"),
        (name("1.2.3"), "upstreams.app.tls.server_name", "no name that a certificate holds"),
        (tls("app:1", "{ ca_file: gone.pem }"), "upstreams.app.tls.ca_file", "cannot be read"),
        (
            tls("app:1", "{ client_certificate_file: certificate.pem }"),
            "upstreams.app.tls.client_certificate_file",
            "stands without `client_key_file`",
        ),
    ]);
}

#[test]
fn refuses_wrong_identity_headers() {
    let set = |value: &str| with(&format!("identity_headers: {{ set: {{ {value} }} }}"));
    check(&[
        (
            with("identity_headers: { preset: x }"),
            "identity_headers.preset",
            "x-forwarded, remote-user or x-auth-request",
        ),
        (set("X_Email: email"), "identity_headers.set.X_Email", "`X-Email`"),
        (set("Connection: email"), "identity_headers.set.Connection", "connection"),
        (set("Content-Type: email"), "identity_headers.set.Content-Type", "meaning"),
        (set("Cookie: email"), "identity_headers.set.Cookie", "meaning"),
        (set("x-forwarded-user: email"), "identity_headers.set.x-forwarded-user", "preset"),
        (
            with("identity_headers: { preset: remote-user, set: { Remote-Name: email } }"),
            "identity_headers.set.Remote-Name",
            "preset",
        ),
        (set("X-A: email, x-a: user"), "identity_headers.set.x-a", "twice"),
        (set("X-A: mail"), "identity_headers.set.X-A", "attribute:<Name>"),
        (set("X-A: 'attribute:'"), "identity_headers.set.X-A", "is no claim"),
        (with("identity_headers: { groups_filter: [] }"), "identity_headers.groups_filter", "empty list"),
    ]);
}

#[test]
fn refuses_proxies_that_are_no_addresses() {
    let proxies = |list: &str| with(&format!("trusted_proxies: {list}"));
    check(&[
        (proxies("[proxy.internal]"), "trusted_proxies[0]", "no IP address"),
        (proxies("[10.1.2.3/8]"), "trusted_proxies[0]", "`10.0.0.0/8`"),
        (proxies("[10.0.0.1, 10.0.0.1/32]"), "trusted_proxies[1]", "listed twice"),
        (proxies("[]"), "trusted_proxies", "empty list"),
        (instead(", upstream: app }", " }"), "routes[0].upstream", "`trusted_proxies`"),
    ]);
}

#[test]
fn refuses_what_later_versions_bring() {
    let mut cases = Vec::new();
    for key in ["control_token_file", "branding", "tracing", "otlp"] {
        cases.push((with(&format!("{key}: 1")), key.to_owned()));
    }
    for key in ["encryption", "decryption_keys", "second_opinion"] {
        cases.push((with_idp(&format!("{key}: x")), format!("identity_providers[0].{key}")));
    }
    for value in ["invite_only", "scim"] {
        cases.push((with(&format!("provisioning: {{ mode: {value} }}")), "provisioning.mode".to_owned()));
    }
    cases.push((with("provisioning: { users_file: x }"), "provisioning.users_file".to_owned()));
    let cases: Vec<(String, &str, &str)> =
        cases.iter().map(|(yaml, path)| (yaml.clone(), path.as_str(), "not in this version")).collect();
    check(&cases);
}

#[cfg(not(feature = "second-opinion"))]
#[test]
fn refuses_a_second_opinion_that_this_build_does_not_have() {
    check(&[(with("second_opinion: true"), "second_opinion", "is not in this build")]);
    assert!(!Folder::new().accepted(&with("second_opinion: false")).settings.second_opinion);
}

#[test]
fn refuses_unknown_keys_and_suggests_the_nearest() {
    check(&[
        (with("public_ulr: x"), "public_ulr", "did you mean `public_url`?"),
        (with("colour: x"), "colour", "the keys are public_url, hosts, listen"),
        (with("session: { idle_timout: 1h }"), "session.idle_timout", "did you mean `idle_timeout`?"),
        (with_idp("certificate_fil: x"), "identity_providers[0].certificate_fil", "did you mean `certificate_file`?"),
        (with_first_route("{ paths: /x, path: /x, access: public, upstream: app }"), "routes[0].paths", "`path`"),
    ]);
}

#[test]
fn refuses_yaml_that_means_two_things() {
    check(&[
        (with("listen: 0.0.0.0:1\nlisten: 0.0.0.0:2"), "listen", "stands twice"),
        (with("session: { store: memory, store: memory }"), "session.store", "stands twice"),
        (with("log: { 7: x }"), "log", "a key that is a number"),
        (with("log: { null: x }"), "log", "keys must be texts"),
        (with("log: { [a]: x }"), "log", "a key that is a list"),
        (with("log: { <<: { level: info } }"), "log.<<", "merge keys are not followed"),
    ]);
}

#[test]
fn a_repeated_key_is_found_at_its_second_place() {
    let error = Folder::new().only_mistake(&with("listen: 0.0.0.0:1\nlisten: 0.0.0.0:2"));
    assert_eq!(error.line, Some(12));
}

#[test]
fn lines_are_those_of_the_file() {
    let folder = Folder::new();
    assert_eq!(folder.only_mistake(&with("\n\nlog:\n  format: xml")).line, Some(14));
    assert_eq!(folder.only_mistake(&with_idp("sign: both")).line, Some(7));
    assert_eq!(folder.only_mistake(&instead("upstream: app }", "upstream: [app] }")).line, Some(10));
}

#[test]
fn yaml_that_does_not_parse_is_one_mistake_with_its_line_and_column() {
    let folder = Folder::new();
    for yaml in ["public_url: [", "a: b: c", "a:\n\t- b", "a: &x [*x]", "a: *b", "- !tag x", "a: 1\n---\nb: 2"] {
        let error = folder.only_mistake(yaml);
        assert_eq!(error.path, "");
        assert!(error.problem.contains("is no YAML"), "{error}");
    }
    let error = folder.only_mistake("public_url: https://app.example.com\nlisten: 'x\n");
    assert_eq!(error.line, Some(3));
    assert!(error.problem.contains("column"), "{error}");
}

#[test]
fn an_empty_file_lacks_what_is_required() {
    for yaml in ["", "# nothing", "{}", "null"] {
        let paths: Vec<String> = Folder::new().refused(yaml).iter().map(|error| error.path.clone()).collect();
        assert_eq!(paths, ["public_url", "identity_providers", "routes"], "{yaml:?}");
    }
}

#[test]
fn a_file_that_is_no_map_is_one_mistake() {
    for yaml in ["just text", "[a, b]", "7"] {
        assert!(Folder::new().only_mistake(yaml).problem.contains("must be a map"), "{yaml:?}");
    }
}

#[test]
fn aliases_that_unfold_without_end_are_refused_quickly() {
    let mut yaml = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        yaml.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 9].join(", ")));
    }
    assert!(Folder::new().only_mistake(&yaml).problem.contains("is no YAML"));
}

#[test]
fn one_long_text_repeated_by_aliases_is_refused() {
    let yaml = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 100].join(", "));
    assert!(Folder::new().only_mistake(&yaml).problem.contains("too many values"));
}

#[test]
fn five_different_mistakes_are_five() {
    let yaml = "\
public_url: http://app.example.com
listn: 0.0.0.0:8080
identity_providers:
  - id: jumpcloud
    entity_id: jumpcloud-samlgate
    sso_url: https://sso.jumpcloud.com/saml2/samlgate
    certificate_file: certificate.pem
    sign: both
upstreams:
  app: { servers: '127.0.0.1:3000' }
routes:
  - { path_prefix: /, access: signed_in, upstream: app }
session: { max_age: 8 }
";
    let errors = Folder::new().refused(yaml);
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(
        paths,
        ["public_url", "listn", "identity_providers[0].sign", "upstreams.app.servers", "session.max_age"],
        "{errors}"
    );
    assert_eq!(
        errors.to_string(),
        "\
5 mistakes
1. public_url (line 1) is \"http://app.example.com\": must be https, or http on localhost or 127.0.0.1; elsewhere no browser keeps the login cookie
   write `https://app.example.com` (plain http may arrive at `listen` where TLS ends in front)
2. listn (line 2): is no known key
   did you mean `listen`?
3. identity_providers[0].sign (line 8) is \"both\": must be assertion_and_response, response, assertion or any
   write `sign: assertion_and_response`, `sign: response`, `sign: assertion` or `sign: any`
4. upstreams.app.servers (line 10) is \"127.0.0.1:3000\": must be a list, and is a text
   write `servers: [127.0.0.1:3000]`
5. session.max_age (line 13) is \"8\": has no unit
   write `max_age: 8s` for seconds, or another unit: ms, s, m, h, d"
    );
}

#[test]
fn what_may_be_a_secret_is_never_shown() {
    let folder = Folder::new();
    for yaml in [
        instead("https://app.example.com", "https://ann:hunter2@app.example.com"),
        instead("https://sso.jumpcloud.com/saml2/samlgate", "https://ann:hunter2@sso.jumpcloud.com/"),
        instead(
            "certificate_file: certificate.pem",
            "certificate: |\n      -----BEGIN PRIVATE KEY-----\n      hunter2\n",
        ),
        with("session: { redis: 'redis://:hunter2@redis' }"),
        with("session: { store: redis, redis: { servers: ['redis://:hunter2@redis'] } }"),
        with("session: { store: redis, redis: { servers: ['hunter2@redis:6379'] } }"),
        with("session: { store: redis, redis: { servers: [':hunter2@redis'] } }"),
        instead("127.0.0.1:3000", "http://ann:hunter2@app:3000"),
        instead("['127.0.0.1:3000']", "'http://ann:hunter2@app:3000'"),
        with("password: hunter2"),
    ] {
        let errors = folder.refused(&yaml);
        assert!(!format!("{errors} {errors:?}").contains("hunter2"), "{errors}");
    }
}
