//! What right settings become.

use std::time::Duration;

use config::{
    Access, Allow, Binding, Claim, HeaderPreset, HealthCheck, IdentityJwt, LogFormat, PathMatch, Rewrite, RouteLimits,
    Scheme, StoreSettings,
};
use saml_core::{ClaimSource, IdpId, Sign};

use crate::support::{Folder, MINIMAL, instead, with, with_first_route, with_idp};

#[test]
fn minimal_settings_have_the_documented_defaults() {
    let loaded = Folder::new().accepted(MINIMAL);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let settings = loaded.settings;
    assert_eq!(
        (settings.public_url.scheme, settings.public_url.authority.as_str()),
        (Scheme::Https, "app.example.com")
    );
    assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.admin_listen.to_string(), "127.0.0.1:9090");
    assert_eq!(settings.prefix, "/saml");
    assert!(settings.tls.is_none() && settings.keys_dir.is_none() && settings.login_page);
    assert!(settings.control_socket.is_none());
    assert!(settings.threads >= 1);
    assert_eq!(settings.service_provider.entity_id.as_str(), "https://app.example.com/saml/metadata");
    assert_eq!(settings.service_provider.acs_url.as_str(), "https://app.example.com/saml/acs");
    assert_eq!(settings.service_provider.skew_seconds, 180);
    assert_eq!(settings.shutdown_timeout, Duration::from_secs(30));
    let idp = &settings.identity_providers[0];
    assert_eq!((idp.sign, idp.binding), (Sign::AssertionAndResponse, Binding::Redirect));
    assert_eq!(idp.claims, saml_core::ClaimNames::default());
    assert_eq!(idp.certificates().len(), 1);
    assert_eq!((idp.button.text.as_str(), &idp.button.image_url), ("Login with JumpCloud", &None));
    let session = &settings.session;
    assert_eq!(
        (session.max_age.as_secs(), session.idle_timeout.as_secs(), session.max_sessions),
        (28_800, 3_600, 1_000_000)
    );
    assert!(matches!(session.store, StoreSettings::Memory));
    assert_eq!((session.outage_limit.as_secs(), session.max_per_user), (900, None));
    assert_eq!(settings.identity_headers.preset, HeaderPreset::XForwarded);
    assert_eq!(
        (settings.log.level.as_str(), settings.log.format, settings.log.access),
        ("info", LogFormat::Json, true)
    );
    let route = &settings.routes[0];
    assert_eq!(
        (route.id.as_str(), &route.path, &route.access),
        ("route-1", &PathMatch::Prefix("/".to_owned()), &Access::SignedIn)
    );
    assert_eq!(
        (route.timeouts.connect.as_secs(), route.timeouts.read.as_secs(), route.timeouts.write.as_secs()),
        (5, 60, 60)
    );
    assert_eq!((route.upstream, route.api, &route.identity_jwt), (Some(0), false, &None));
}

#[test]
fn hosts_share_a_domain_or_a_name() {
    let routes = with_first_route("{ path: /x, host: B.example.com, access: signed_in, upstream: app }");
    let hosts = "hosts: [https://B.example.com, 'https://example.com:8443']\nsession: { cookie_domain: Example.com }\n";
    let settings = Folder::new().accepted(&format!("{routes}{hosts}")).settings;
    let hosts: Vec<String> = settings.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["https://b.example.com", "https://example.com:8443"]);
    assert_eq!(settings.session.cookie_domain.as_deref(), Some("example.com"));
    assert_eq!(settings.routes[0].host.as_deref(), Some("b.example.com"));
    // Cookies know nothing of ports (RFC 6265 §8.5).
    let settings = Folder::new().accepted(&with("hosts: ['https://app.example.com:8443']")).settings;
    assert_eq!((settings.hosts.len(), settings.session.cookie_domain), (1, None));
}

#[test]
fn every_top_level_value_arrives() {
    let yaml = with(
        "\
listen: 127.0.0.1:1
admin_listen: '[::1]:2'
prefix: /.auth
threads: 3
sp_entity_id: jumpcloud-samlgate
clock_skew: 1m
login_page: false
keys_dir: .
shutdown_timeout: 1m30s
session: { store: memory, max_age: 30m, max_sessions: 5 }
provisioning: { mode: jit }
log: { level: debug, format: text, access: false }
identity_headers:
  preset: remote-user
  set: { X-Forwarded-User: user, X-Department: 'attribute:department', X-Name-Id: name_id }
  groups_filter: [admins]",
    );
    let settings = Folder::new().accepted(&yaml).settings;
    assert_eq!(settings.listen.to_string(), "127.0.0.1:1");
    assert_eq!(settings.admin_listen.to_string(), "[::1]:2");
    assert_eq!(settings.service_provider.acs_url.as_str(), "https://app.example.com/.auth/acs");
    assert_eq!(settings.service_provider.entity_id.as_str(), "jumpcloud-samlgate");
    assert_eq!((settings.threads, settings.service_provider.skew_seconds, settings.login_page), (3, 60, false));
    assert!(settings.keys_dir.is_some());
    assert_eq!(settings.shutdown_timeout, Duration::from_secs(90));
    assert_eq!(
        (settings.session.max_age, settings.session.idle_timeout),
        (Duration::from_secs(1800), Duration::from_secs(1800))
    );
    assert_eq!(
        (settings.log.level.as_str(), settings.log.format, settings.log.access),
        ("debug", LogFormat::Text, false)
    );
    let headers = settings.identity_headers;
    assert_eq!((headers.preset, headers.groups_filter), (HeaderPreset::RemoteUser, vec!["admins".to_owned()]));
    assert_eq!(
        headers.set,
        [
            ("X-Forwarded-User".to_owned(), Claim::User),
            ("X-Department".to_owned(), Claim::Attribute("department".to_owned())),
            ("X-Name-Id".to_owned(), Claim::NameId),
        ]
    );
}

#[test]
fn every_value_of_an_identity_provider_arrives() {
    let yaml = with_idp(
        "sign: assertion\n    binding: post\n    button: { text: Go, image_url: /logo.png }\n    \
         claims: { email: mail, unique_id: '@NameID', username: uid, first_name: gn, last_name: sn, groups: groups }",
    );
    let settings = Folder::new().accepted(&yaml).settings;
    let idp = &settings.identity_providers[0];
    assert_eq!((idp.sign, idp.binding), (Sign::Assertion, Binding::Post));
    assert_eq!((idp.button.text.as_str(), idp.button.image_url.as_deref()), ("Go", Some("/logo.png")));
    let claims = &idp.claims;
    assert_eq!((claims.email.to_string().as_str(), &claims.unique_id), ("mail", &ClaimSource::NameId));
    assert_eq!((claims.username.as_deref(), claims.first_name.as_str()), (Some("uid"), "gn"));
    assert_eq!((claims.last_name.as_str(), claims.groups.as_str()), ("sn", "groups"));
}

#[test]
fn every_value_of_a_route_arrives() {
    let yaml = with_first_route(
        "{ id: admin, host: APP.example.com, path_prefix: /admin/, methods: [GET, POST], upstream: app, api: true, \
         host_header: app.internal, identity_jwt: true, jwt_audience: aud, timeouts: { connect: 100ms, read: 1m, write: 2m }, \
         rewrite: { strip_prefix: /admin/, add_prefix: /a/b }, limits: { max_body_bytes: 0, max_in_flight: 7 }, \
         access: { groups: [a], emails: [Ann@example.com], email_domains: [example.com] } }",
    );
    let route = &Folder::new().accepted(&yaml).settings.routes[0];
    assert_eq!((route.id.as_str(), route.host.as_deref()), ("admin", Some("app.example.com")));
    assert_eq!(route.path, PathMatch::Prefix("/admin".to_owned()));
    assert_eq!(route.methods, ["GET", "POST"]);
    assert_eq!((route.api, route.host_header.as_deref()), (true, Some("app.internal")));
    assert_eq!(route.identity_jwt, Some(IdentityJwt { audience: Some("aud".to_owned()) }));
    assert_eq!(route.timeouts.connect, Duration::from_millis(100));
    let rewrite = Rewrite { strip_prefix: Some("/admin".to_owned()), add_prefix: Some("/a/b".to_owned()) };
    assert_eq!(route.rewrite, Some(rewrite));
    assert_eq!(route.limits, RouteLimits { max_body_bytes: Some(0), max_in_flight: Some(7) });
    assert_eq!((route.timeouts.read.as_secs(), route.timeouts.write.as_secs()), (60, 120));
    let allow = Allow {
        idps: vec![IdpId::parse("jumpcloud").unwrap()],
        groups: vec!["a".to_owned()],
        emails: vec!["Ann@example.com".to_owned()],
        email_domains: vec!["example.com".to_owned()],
    };
    assert_eq!(route.access, Access::Allow(allow));
}

#[test]
fn an_upstream_speaks_what_it_says_and_tls_with_nothing_behind_it_is_tls() {
    let folder = Folder::new();
    for (written, is_tls) in [("", false), (", tls: {}", true), (", tls: ", true)] {
        let yaml = instead("['127.0.0.1:3000']", &format!("['127.0.0.1:3000', '[::1]:1', 'app:2']{written}"));
        assert_eq!(folder.accepted(&yaml).settings.upstreams[0].tls.is_some(), is_tls, "{written}");
    }
    let yaml = instead("['127.0.0.1:3000']", "['my_app:1'], tls: { server_name: App.Internal }");
    let tls = folder.accepted(&yaml).settings.upstreams[0].tls.clone().unwrap();
    assert_eq!(tls.server_name.as_deref(), Some("app.internal"));
    let yaml = instead("['127.0.0.1:3000']", "['127.0.0.1:3000'], http2: true");
    assert!(
        folder.accepted(&yaml).settings.upstreams[0].http2 && !folder.accepted(MINIMAL).settings.upstreams[0].http2
    );
}

#[test]
fn servers_are_checked_where_the_settings_say_so() {
    let checked = |written: &str| {
        let yaml = instead("['127.0.0.1:3000']", &format!("['127.0.0.1:3000']{written}"));
        Folder::new().accepted(&yaml).settings.upstreams[0].health_check.clone()
    };
    assert_eq!(checked(""), None);
    let defaults = HealthCheck {
        path: "/healthz?deep=1".to_owned(),
        host_header: None,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        unhealthy_after: 3,
        healthy_after: 2,
    };
    assert_eq!(checked(", health_check: { path: '/healthz?deep=1' }"), Some(defaults));
    let all = checked(
        ", health_check: { path: /, host_header: App, interval: 1s, timeout: 100ms, unhealthy_after: 1, healthy_after: 4 }",
    );
    let wanted = HealthCheck {
        path: "/".to_owned(),
        host_header: Some("app".to_owned()),
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(100),
        unhealthy_after: 1,
        healthy_after: 4,
    };
    assert_eq!(all, Some(wanted));
}

#[test]
fn routes_name_upstreams_by_index() {
    let yaml = instead("upstreams:\n", "upstreams:\n  other: { servers: ['[::1]:1', 'Other:2'] }\n")
        .replace("upstream: app }", "upstream: app }\n  - { path: /o, access: public, upstream: other }");
    let settings = Folder::new().accepted(&yaml).settings;
    let names: Vec<&str> =
        settings.routes.iter().map(|route| settings.upstreams[route.upstream.unwrap()].name.as_str()).collect();
    assert_eq!(names, ["app", "other"]);
    let servers: Vec<String> = settings.upstreams[0].servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["[::1]:1", "other:2"]);
}

#[test]
fn sections_with_nothing_in_them_are_their_defaults() {
    let settings = Folder::new().accepted(&with("session:\nlog:\nidentity_headers:\nprovisioning:")).settings;
    assert_eq!(settings.session.max_age, Duration::from_secs(28_800));
}

fn warnings(yaml: &str) -> Vec<String> {
    Folder::new().accepted(yaml).warnings.iter().map(ToString::to_string).collect()
}

fn check_warning(yaml: &str, path: &str, part: &str) {
    let warnings = warnings(yaml);
    assert!(warnings.len() == 1 && warnings[0].starts_with(path) && warnings[0].contains(part), "{warnings:?}\n{yaml}");
}

#[test]
fn warns_of_what_weakens_or_does_nothing() {
    let append = |route: &str| instead("upstream: app }\n", &format!("upstream: app }}\n  - {route}\n"));
    check_warning(&with_idp("sign: any"), "identity_providers[0].sign (line 7)", "Assertion and Response");
    check_warning(&instead("https://sso", "http://sso"), "identity_providers[0].sso_url", "plain http");
    check_warning(
        &instead("upstreams:\n", "upstreams:\n  spare: { servers: ['a:1'] }\n"),
        "upstreams.spare",
        "no route",
    );
    check_warning(
        &append("{ path: /x, access: public, upstream: app }"),
        "routes[1] (line 11)",
        "can never match: route-1",
    );
    check_warning(
        &with_first_route("{ path: /x, access: signed_in, upstream: app, jwt_audience: a }"),
        "routes[0].jwt_audience",
        "no effect",
    );
    check_warning(
        &with_first_route("{ path: /x, access: signed_in, upstream: app, methods: [GET], preflight: forward }"),
        "routes[0].preflight",
        "no OPTIONS",
    );
    check_warning(
        &with_first_route("{ path: /x, access: public, upstream: app, identity_jwt: true }"),
        "routes[0].identity_jwt",
        "public",
    );
}

#[test]
fn a_route_is_unreachable_only_behind_one_that_matches_all_that_it_matches() {
    let two = |first: &str, second: &str| {
        let rest = "access: public, upstream: app";
        instead(
            "path_prefix: /, access: signed_in, upstream: app }",
            &format!("{first}, {rest} }}\n  - {{ {second}, {rest} }}"),
        )
    };
    for (first, second, expected) in [
        ("path: /a", "path: /a", 1),
        ("path: /a", "path_prefix: /a", 0),
        ("path_prefix: /a", "path: /a", 1),
        ("path_prefix: /a/", "path_prefix: /a/b", 1),
        ("path_prefix: /a", "path_prefix: /ab", 0),
        ("path_prefix: /, methods: [GET]", "path_prefix: /a", 0),
        ("path_prefix: /, methods: [GET, POST]", "path: /a, methods: [POST]", 1),
        ("path_prefix: /, methods: [GET]", "path: /a, methods: [GET, POST]", 0),
        ("path_prefix: /", "path: /a, methods: [POST]", 1),
        ("path_prefix: /", "host: 'app.example.com:8443', path: /a", 1),
        ("path_prefix: /, host: app.example.com", "host: app.example.com, path: /a", 1),
        ("path_prefix: /, host: app.example.com", "host: 'app.example.com:8443', path: /a", 0),
        ("path_prefix: /, host: app.example.com", "path: /a", 0),
    ] {
        let found = warnings(&format!("hosts: ['https://app.example.com:8443']\n{}", two(first, second)));
        assert_eq!(found.len(), expected, "{first} before {second}: {found:?}");
    }
}

#[test]
fn logins_are_limited_in_any_case() {
    let limits = Folder::new().accepted(&with("limits: { logins: 100 }")).settings.limits;
    assert_eq!((limits.per_address.get(), limits.in_all.get()), (600, 100));
}

#[test]
fn proxies_in_front_are_addresses_and_networks_and_may_be_all_that_reaches_applications() {
    let yaml = instead(", upstream: app }", " }").replace("upstreams:\n  app: { servers: ['127.0.0.1:3000'] }\n", "");
    let settings =
        Folder::new().accepted(&format!("trusted_proxies: [10.0.0.0/8, '::1', '::ffff:192.0.2.7']\n{yaml}")).settings;
    let networks: Vec<String> = settings.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128", "192.0.2.7/32"]);
    assert_eq!((settings.upstreams.len(), settings.routes[0].upstream), (0, None));
    check_warning(&with("trusted_proxies: [0.0.0.0/0]"), "trusted_proxies[0]", "trusts everybody");
}
