//! Where sessions are kept: what Redis needs to be said of it, and what is no use without it.

use std::fs;
use std::time::Duration;

use config::{RedisServer, RedisSettings, RedisTopology, SessionSettings, StoreSettings};

use crate::support::{Folder, MINIMAL, NOW, with, with_idp};

/// With the keys that processes share, and passwords.
fn folder() -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("keys")).unwrap();
    for name in ["seal", "index", "jwt"] {
        folder.write(&format!("keys/{name}.current"), "for whoever loads it to judge", 0o600);
    }
    folder.write("redis.password", "hunter2\n", 0o600);
    folder.write("sentinel.password", "hunter3\r\n", 0o640);
    folder
}

const KEYS: &str = "keys_dir: keys\n";

/// With `store: redis`, more keys of `session.redis`, and the keys that it needs.
fn redis(settings: &str) -> String {
    format!("{MINIMAL}{KEYS}session: {{ store: redis, redis: {{ {settings} }} }}\n")
}

fn one(more: &str) -> String {
    redis(&format!("servers: ['127.0.0.1:6379'], {more}"))
}

fn session(yaml: &str) -> SessionSettings {
    folder().accepted(yaml).settings.session
}

fn read(folder: &Folder, yaml: &str) -> RedisSettings {
    match folder.accepted(yaml).settings.session.store {
        StoreSettings::Redis(redis) => redis,
        StoreSettings::Memory | StoreSettings::Sealed { .. } => panic!("sessions are kept elsewhere:\n{yaml}"),
    }
}

fn server(host: &str, port: u16) -> RedisServer {
    RedisServer { host: host.to_owned(), port }
}

#[test]
fn one_server_has_the_documented_defaults() {
    let redis = read(&folder(), &redis("servers: ['10.0.0.1:6379']"));
    assert_eq!(redis.topology, RedisTopology::Single);
    assert_eq!(redis.servers, [server("10.0.0.1", 6379)]);
    assert_eq!((redis.database, redis.key_prefix.as_str(), redis.timeout), (0, "samlgate", Duration::from_secs(1)));
    assert!(redis.username.is_none() && redis.password_file.is_none() && redis.tls.is_none());
}

#[test]
fn every_value_of_one_server_arrives() {
    let folder = folder();
    let yaml = redis(
        "mode: single, servers: ['[2001:DB8::1]:6380'], database: 15, username: samlgate, password_file: redis.password, \
         tls: true, ca_file: certificate.pem, key_prefix: 'staging:sso_1.a-b', timeout: 50ms",
    );
    assert!(folder.accepted(&yaml).warnings.is_empty());
    let redis = read(&folder, &yaml);
    assert_eq!(redis.servers, [server("2001:db8::1", 6380)]);
    assert_eq!((redis.database, redis.username.as_deref()), (15, Some("samlgate")));
    assert_eq!(redis.password_file, Some(folder.path().join("redis.password")));
    assert_eq!(redis.tls.unwrap().ca_file, Some(folder.path().join("certificate.pem")));
    assert_eq!((redis.key_prefix.as_str(), redis.timeout), ("staging:sso_1.a-b", Duration::from_millis(50)));
}

#[test]
fn sentinels_say_who_the_master_is_and_have_users_of_their_own() {
    let folder = folder();
    let sentinel = |more: &str| {
        let yaml = redis(&format!("mode: sentinel, servers: ['a:26379', 'b:26379'], master_name: mymaster, {more}"));
        read(&folder, &yaml)
    };
    let plain = sentinel("");
    let master_name = "mymaster".to_owned();
    let topology = RedisTopology::Sentinel { master_name: master_name.clone(), username: None, password_file: None };
    assert_eq!((plain.topology, plain.servers), (topology, vec![server("a", 26379), server("b", 26379)]));
    let own = sentinel("sentinel_username: watcher, sentinel_password_file: sentinel.password, database: 3");
    let topology = RedisTopology::Sentinel {
        master_name,
        username: Some("watcher".to_owned()),
        password_file: Some(folder.path().join("sentinel.password")),
    };
    assert_eq!((own.topology, own.database), (topology, 3));
    assert!(own.username.is_none() && own.password_file.is_none());
}

#[test]
fn some_nodes_of_a_cluster_name_the_others() {
    let redis =
        read(&folder(), &redis("mode: cluster, servers: ['A:6379', 'b:6379', 'c:6379'], database: 0, tls: true"));
    assert_eq!(redis.topology, RedisTopology::Cluster);
    assert_eq!(redis.servers, [server("a", 6379), server("b", 6379), server("c", 6379)]);
    assert!(redis.tls.unwrap().ca_file.is_none());
}

#[test]
fn outages_and_sessions_of_one_user_have_limits_with_either_store() {
    let memory = session(&with("session: { outage_limit: 0s, max_per_user: 1 }"));
    assert!(matches!(memory.store, StoreSettings::Memory));
    assert_eq!((memory.outage_limit, memory.max_per_user), (Duration::ZERO, Some(1)));
    let yaml = one("").replace("session: {", "session: { outage_limit: 1d, max_per_user: 1000000,");
    let shared = session(&yaml);
    assert_eq!((shared.outage_limit.as_secs(), shared.max_per_user), (86_400, Some(1_000_000)));
}

#[test]
fn a_shared_store_serves_several_processes_and_logins_that_the_idp_begins() {
    let folder = folder();
    folder.accepted(&format!("{}replicas: 3\n", one("")));
    let begun = with_idp("allow_idp_initiated: true") + one("").strip_prefix(MINIMAL).unwrap();
    for replicas in ["", "replicas: 1\n", "replicas: 3\n"] {
        let settings = folder.accepted(&format!("{begun}{replicas}")).settings;
        assert!(settings.identity_providers[0].allow_idp_initiated);
    }
}

fn sealed(more: &str) -> String {
    with(&format!("{KEYS}session: {{ store: sealed{more} }}\n"))
}

#[test]
fn a_sealed_store_needs_shared_keys_and_takes_a_file_of_revocations() {
    let folder = folder();
    let file = |yaml: &str| match folder.accepted(yaml).settings.session.store {
        StoreSettings::Sealed { revocations_file } => revocations_file,
        other => panic!("{other:?}"),
    };
    assert_eq!(file(&format!("{}replicas: 3\n", sealed(""))), None);
    let named = sealed(", revocations_file: revocations");
    let error = folder.only_mistake(&named);
    assert!(error.path == "session.revocations_file" && error.cure.contains("create it, empty"), "{error}");
    folder.write("revocations", "", 0o600);
    assert_eq!(file(&named), Some(folder.path().join("revocations")));
    let error = folder.only_mistake(&sealed("").replace(KEYS, ""));
    assert!(error.path == "session.store" && error.problem.contains("no seal.current"), "{error}");
}

#[test]
fn what_a_sealed_store_cannot_do_is_a_mistake() {
    let folder = folder();
    folder.write("revocations", "", 0o600);
    for (yaml, path, problem) in [
        (sealed(", max_per_user: 2"), "session.max_per_user", "cannot count sessions"),
        (sealed(", redis: { servers: ['127.0.0.1:6379'] }"), "session.redis", "beside another store"),
        (
            sealed(", revocations_file: revocations").replace("store: sealed, ", ""),
            "session.revocations_file",
            "ends sessions itself",
        ),
    ] {
        let error = folder.only_mistake(&yaml);
        assert!(error.path == path && error.problem.contains(problem), "{error}");
    }
    let begun = with_idp("allow_idp_initiated: true") + sealed("").strip_prefix(MINIMAL).unwrap();
    for replicas in ["", "replicas: 2\n"] {
        let error = folder.only_mistake(&format!("{begun}{replicas}"));
        assert_eq!(error.path, "identity_providers[0].allow_idp_initiated", "{error}");
    }
    folder.accepted(&format!("{begun}replicas: 1\n"));
}

#[test]
fn variables_reach_two_levels_down() {
    let folder = folder();
    let yaml = format!("{MINIMAL}{KEYS}session: {{ redis: {{ servers: ['127.0.0.1:6379'], timeout: 2s }} }}\n");
    let variables = [
        ("SAMLGATE_SESSION__STORE", "redis"),
        ("SAMLGATE_SESSION__REDIS__PASSWORD_FILE", "redis.password"),
        ("SAMLGATE_SESSION__REDIS__DATABASE", "7"),
        ("SAMLGATE_SESSION__REDIS__TIMEOUT", "3s"),
        ("SAMLGATE_CONTROL_SOCKET", "control.sock"),
    ];
    let settings = folder.parse_at(&yaml, &variables, NOW).unwrap().settings;
    let StoreSettings::Redis(redis) = settings.session.store else { panic!("sessions are kept in memory") };
    assert_eq!(redis.password_file, Some(folder.path().join("redis.password")));
    assert_eq!((redis.database, redis.timeout), (7, Duration::from_secs(3)));
    assert_eq!(settings.control_socket, Some(folder.path().join("control.sock")));

    let variables = [("SAMLGATE_SESSION__REDIS__PASSWORD_FILE", "gone")];
    let errors = folder.parse_at(&one(""), &variables, NOW).unwrap_err();
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["session.redis.password_file (from SAMLGATE_SESSION__REDIS__PASSWORD_FILE)"]);
}

#[test]
fn refuses_what_is_wrong_with_redis() {
    let sentinel = |more: &str| redis(&format!("mode: sentinel, servers: ['127.0.0.1:26379'], {more}"));
    let cluster = |more: &str| redis(&format!("mode: cluster, servers: ['127.0.0.1:6379'], {more}"));
    let servers = |value: &str| redis(&format!("servers: {value}"));
    let folder = folder();
    for (yaml, path, said) in [
        (redis(""), "servers", "is missing"),
        (servers("[]"), "servers", "empty list"),
        (servers("'127.0.0.1:6379'"), "servers", "must be a list"),
        (servers("[redis]"), "servers[0]", "write `redis:6379`"),
        (servers("['redis:0']"), "servers[0]", "1 to 65535"),
        (servers("['a:1', 'b:1']"), "servers", "`mode: sentinel` or `mode: cluster`"),
        (servers("['redis://redis:6379']"), "servers[0]", "a scheme"),
        (servers("['rediss://redis:6379/1']"), "servers[0]", "`tls: true`"),
        (servers("['redis://:hunter2@redis:6379']"), "servers[0]", "`password_file`"),
        (servers("['hunter2@redis:6379']"), "servers[0]", "user name or password"),
        (servers("[a], mode: sentinel, master_name: m"), "servers[0]", "write `a:26379`"),
        (servers("['a:1', 'A:1'], mode: cluster"), "servers[1]", "listed twice"),
        (one("mode: ring"), "mode", "single, sentinel or cluster"),
        (sentinel(""), "master_name", "is missing"),
        (one("master_name: mymaster"), "master_name", "`mode: sentinel`"),
        (cluster("master_name: mymaster"), "master_name", "`mode: sentinel`"),
        (one("sentinel_password_file: sentinel.password"), "sentinel_password_file", "`mode: sentinel`"),
        (cluster("sentinel_password_file: sentinel.password"), "sentinel_password_file", "has a meaning only with"),
        (one("sentinel_username: watcher"), "sentinel_username", "`mode: sentinel`"),
        (
            sentinel("master_name: m, sentinel_username: watcher, password_file: redis.password"),
            "sentinel_username",
            "without `sentinel_password_file`",
        ),
        (one("username: samlgate"), "username", "without `password_file`"),
        (one("database: 1000001"), "database", "between 0 and 1000000"),
        (one("database: '1'"), "database", "without quotes"),
        (cluster("database: 1"), "database", "a cluster has no other"),
        (one("ca_file: certificate.pem"), "ca_file", "write `tls: true`"),
        (one("tls: false, ca_file: gone.pem"), "ca_file", "beside `tls: true`"),
        (one("tls: true, ca_file: gone.pem"), "ca_file", "cannot be read"),
        (one("tls: true, ca_file: redis.password"), "ca_file", "holds no PEM certificate"),
        (one("tls: 'yes', ca_file: certificate.pem"), "tls", "true or false"),
        (one("key_prefix: 'a b'"), "key_prefix", "letters, digits"),
        (one("key_prefix: '{a}'"), "key_prefix", "letters, digits"),
        (one(&format!("key_prefix: {}", "x".repeat(65))), "key_prefix", "at most 64"),
        (one("key_prefix: ''"), "key_prefix", "is empty"),
        (one("timeout: 49ms"), "timeout", "between 50ms and 30s"),
        (one("timeout: 1"), "timeout", "`timeout: 1s`"),
        (one("pasword_file: x"), "pasword_file", "did you mean `password_file`?"),
        (one("password: hunter2"), "password", "is no known key"),
    ] {
        let error = folder.only_mistake(&yaml);
        assert_eq!(error.path, format!("session.redis.{path}"), "{error}\n{yaml}");
        assert!(format!("{} / {}", error.problem, error.cure).contains(said), "{said:?} is not in {error}\n{yaml}");
        assert!(error.line.is_some() && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn refuses_wrong_password_files() {
    let folder = folder();
    for (text, mode, said) in [
        ("", 0o600, "holds no password"),
        ("\n", 0o600, "holds no password"),
        ("\r\n", 0o600, "holds no password"),
        ("hunter2\nhunter3\n", 0o600, "more than one line"),
        ("hunter2\n\n", 0o600, "more than one line"),
        ("hunter2\rhunter3", 0o600, "on one line"),
        ("hunter2\n", 0o644, "can read or change the password"),
        ("hunter2\n", 0o620, "chmod 600"),
    ] {
        folder.write("wrong.password", text, mode);
        for (yaml, path) in [
            (one("password_file: wrong.password"), "password_file"),
            (
                redis("mode: sentinel, servers: ['[::1]:1'], master_name: m, sentinel_password_file: wrong.password"),
                "sentinel_password_file",
            ),
        ] {
            let error = folder.only_mistake(&yaml);
            assert_eq!(error.path, format!("session.redis.{path}"), "{error}");
            assert!(format!("{} / {}", error.problem, error.cure).contains(said), "{said}: {error}");
            assert!(!error.to_string().contains("hunter"), "{error}");
        }
    }
    assert!(folder.only_mistake(&one("password_file: gone")).problem.contains("cannot be read"));
    fs::write(folder.path().join("wrong.password"), b"hunter\xff").unwrap();
    assert!(folder.only_mistake(&one("password_file: wrong.password")).problem.contains("no UTF-8"));
    for text in ["hunter2", "hunter2\n", "hunter2\r\n", " "] {
        folder.write("right.password", text, 0o440);
        folder.accepted(&one("password_file: right.password"));
    }
}

#[test]
fn refuses_a_store_that_its_section_does_not_fit() {
    let folder = folder();
    let section = "redis: { servers: ['127.0.0.1:6379'] }";
    for (yaml, path, said) in [
        (with(&format!("session: {{ {section} }}")), "session.redis", "would be ignored / write `store: redis`"),
        (with(&format!("session: {{ store: memory, {section} }}")), "session.redis", "would be ignored"),
        (with(&format!("{KEYS}session: {{ store: redis }}")), "session.redis", "is missing / add it: `redis: {"),
        (with(&format!("session: {{ store: disk, {section} }}")), "session.store", "memory, redis or sealed"),
        (with("session: { outage_limit: 25h }"), "session.outage_limit", "between 0s and 1d"),
        (with("session: { max_per_user: 0 }"), "session.max_per_user", "between 1 and 1000000"),
        (with("replicas: 2"), "replicas", "write `store: redis` or `store: sealed` under `session`; or `replicas: 1`"),
    ] {
        let error = folder.only_mistake(&yaml);
        assert_eq!(error.path, path, "{error}\n{yaml}");
        assert!(format!("{} / {}", error.problem, error.cure).contains(said), "{said:?} is not in {error}");
    }
}

/// A store that is refused is no reason to keep quiet about its section.
#[test]
fn mistakes_of_the_section_are_told_beside_one_of_the_store() {
    let yaml = one("database: 1, mode: cluster").replace("store: redis", "store: reddis");
    let errors = folder().refused(&yaml);
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["session.store", "session.redis.database"], "{errors}");
}

#[test]
fn a_shared_store_needs_shared_keys() {
    let folder = folder();
    let missing = |yaml: &str| {
        let error = folder.only_mistake(yaml);
        assert_eq!((error.path.as_str(), error.value.as_deref()), ("session.store", Some("redis")), "{error}");
        assert!(error.cure.contains("samlgate keys generate --dir keys"), "{error}");
        error.problem
    };
    let all = "there is no seal.current, index.current or jwt.current in `keys_dir`";
    assert!(missing(&one("").replace(KEYS, "")).contains(all));
    assert!(missing(&one("").replace(KEYS, "keys_dir: .\n")).contains(all));
    fs::remove_file(folder.path().join("keys/index.current")).unwrap();
    assert!(missing(&one("")).contains("there is no index.current in `keys_dir`"));
    let error = folder.only_mistake(&one("").replace(KEYS, "keys_dir: gone\n"));
    assert_eq!(error.path, "keys_dir", "{error}");
}

#[test]
fn warns_of_a_password_in_clear_to_another_machine() {
    let folder = folder();
    let to = |server: &str, more: &str| redis(&format!("servers: ['{server}'], {more}"));
    let (password, sentinels) = ("password_file: redis.password", "mode: sentinel, master_name: m");
    for (yaml, expected) in [
        (to("10.0.0.1:6379", password), Some("password_file")),
        (to("redis:6379", &format!("{password}, tls: false")), Some("password_file")),
        (redis(&format!("mode: cluster, servers: ['127.0.0.1:1', 'b:1'], {password}")), Some("password_file")),
        (to("a:1", &format!("{sentinels}, sentinel_password_file: sentinel.password")), Some("sentinel_password_file")),
        (to("10.0.0.1:6379", &format!("{password}, tls: true")), None),
        (to("10.0.0.1:6379", ""), None),
        (to("127.0.0.2:6379", password), None),
        (to("[::1]:6379", password), None),
        (to("localhost:6379", password), None),
    ] {
        let warnings = folder.accepted(&yaml).warnings;
        let paths: Vec<&str> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, expected.map(|key| format!("session.redis.{key}")).as_slice(), "{yaml}");
        let part = "the password crosses the network in clear";
        assert!(
            warnings.iter().all(|warning| warning.problem.contains(part) && warning.line.is_some()),
            "{warnings:?}"
        );
    }
}
