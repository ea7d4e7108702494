//! Variables over the file.

use std::time::Duration;

use crate::support::{Folder, MINIMAL, NOW, with};

fn check_mistake(variable: &str, value: &str, path: &str, part: &str) {
    let errors = Folder::new().parse_at(MINIMAL, &[(variable, value)], NOW).expect_err(variable);
    assert_eq!(errors.len(), 1, "{errors}");
    let error = &errors.errors[0];
    assert_eq!(error.path, path, "{error}");
    assert!(format!("{} / {}", error.problem, error.cure).contains(part), "{part:?} is not in {error}");
}

#[test]
fn variables_win_over_the_file() {
    let yaml = with("session: { max_age: 2h }\nlisten: 0.0.0.0:1");
    let variables = [
        ("SAMLGATE_SESSION__MAX_AGE", "3h"),
        ("SAMLGATE_SESSION__MAX_SESSIONS", "7"),
        ("SAMLGATE_LISTEN", "0.0.0.0:2"),
        ("SAMLGATE_LOGIN_PAGE", "false"),
        ("SAMLGATE_LOG__FORMAT", "text"),
        ("SAMLGATE_CLOCK_SKEW", "5s"),
        ("PATH", "/bin"),
    ];
    let settings = Folder::new().parse_at(&yaml, &variables, NOW).unwrap().settings;
    assert_eq!(settings.session.max_age, Duration::from_secs(3 * 3600));
    assert_eq!(settings.session.max_sessions, 7);
    assert_eq!(settings.listen.port(), 2);
    assert!(!settings.login_page);
    assert_eq!(settings.log.format, config::LogFormat::Text);
    assert_eq!(settings.service_provider.skew_seconds, 5);
}

#[test]
fn a_variable_replaces_even_a_mistake_of_the_file() {
    let yaml = with("listen: nonsense");
    assert!(Folder::new().parse_at(&yaml, &[("SAMLGATE_LISTEN", "0.0.0.0:2")], NOW).is_ok());
}

#[test]
fn a_variable_fills_what_the_file_lacks() {
    let yaml = MINIMAL.replace("public_url: https://app.example.com\n", "");
    let variables = [("SAMLGATE_PUBLIC_URL", "https://b.example.com")];
    let settings = Folder::new().parse_at(&yaml, &variables, NOW).unwrap().settings;
    assert_eq!(settings.public_url.authority, "b.example.com");
}

#[test]
fn mistakes_in_variables_name_the_variable() {
    check_mistake("SAMLGATE_SESSION__STORE", "disk", "session.store (from SAMLGATE_SESSION__STORE)", "memory");
    check_mistake(
        "SAMLGATE_SESSION__MAX_AGE",
        "8",
        "session.max_age (from SAMLGATE_SESSION__MAX_AGE)",
        "`max_age: 8s`",
    );
    check_mistake("SAMLGATE_THREADS", "", "threads (from SAMLGATE_THREADS)", "whole number");
    check_mistake("SAMLGATE_LOGIN_PAGE", "1", "login_page (from SAMLGATE_LOGIN_PAGE)", "true or false");
}

#[test]
fn unknown_variables_are_mistakes() {
    check_mistake("SAMLGATE_LISTN", "x", "SAMLGATE_LISTN", "did you mean `SAMLGATE_LISTEN`?");
    check_mistake("SAMLGATE_SESSION_STORE", "x", "SAMLGATE_SESSION_STORE", "did you mean `SAMLGATE_SESSION__STORE`?");
    check_mistake("SAMLGATE_LISTEN__X", "x", "SAMLGATE_LISTEN__X", "no known setting");
    check_mistake(
        "SAMLGATE_SESSION__REDIS__PASWORD_FILE",
        "x",
        "SAMLGATE_SESSION__REDIS__PASWORD_FILE",
        "did you mean `SAMLGATE_SESSION__REDIS__PASSWORD_FILE`?",
    );
    check_mistake("SAMLGATE_", "x", "SAMLGATE_", "no known setting");
    check_mistake("SAMLGATE_BRANDING", "x", "SAMLGATE_BRANDING", "not in this version");
    check_mistake(
        "SAMLGATE_SESSION__COOKIE_DOMAIN",
        "com",
        "session.cookie_domain (from SAMLGATE_SESSION__COOKIE_DOMAIN)",
        "public suffix",
    );
}

#[test]
fn variables_cannot_point_into_lists_and_maps() {
    for variable in [
        "SAMLGATE_ROUTES",
        "SAMLGATE_ROUTES__0__PATH",
        "SAMLGATE_IDENTITY_PROVIDERS__SSO_URL",
        "SAMLGATE_UPSTREAMS__APP__SERVERS",
        "SAMLGATE_IDENTITY_HEADERS__SET__X",
        "SAMLGATE_SESSION",
        "SAMLGATE_SESSION__REDIS",
        "SAMLGATE_SESSION__REDIS__SERVERS",
    ] {
        check_mistake(variable, "x", variable, "which is no single value");
    }
}

#[test]
fn variables_that_are_not_settings_are_left_alone() {
    let variables = [
        ("SAMLGATE_CONFIG", "x"),
        ("SAMLGATE_SERVICE_HOST", "10.0.0.1"),
        ("SAMLGATE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("samlgate_listen", "x"),
    ];
    assert!(Folder::new().parse_at(MINIMAL, &variables, NOW).is_ok());
}
