//! The decision table: every kind of session, route, method and client, as a file under version control.
//!
//! A change of policy is a change of `decisions.txt`; `UPDATE_TABLES=1` writes it anew.

use std::fmt::Write;
use std::path::Path;

use super::tests::{ROUTES, facts, sample, shown};
use super::*;
use crate::testing::{at, idp, session};

const PATHS: [(&str, &str); 14] = [
    ("healthz", "/healthz"),
    ("public", "/public/a"),
    ("public, not plain", "/public//a"),
    ("admin", "/admin/a"),
    ("partners", "/partners/a"),
    ("boss", "/boss"),
    ("api", "/api/a"),
    ("rest", "/a"),
    ("ambiguous", "/x/..;/admin"),
    ("invalid", "/%zz"),
    ("endpoint", "/saml/acs"),
    ("single logout", "/saml/slo"),
    ("no endpoint", "/saml/x"),
    ("endpoint, ambiguous", "/x/../saml/acs"),
];

const CLIENTS: [ClientKind; 4] =
    [ClientKind::Navigation, ClientKind::FormPost, ClientKind::Frame, ClientKind::Background];

/// A new kind of client must be put into the table.
fn is_listed(client: ClientKind) -> bool {
    match client {
        ClientKind::Navigation | ClientKind::FormPost | ClientKind::Frame | ClientKind::Background => {
            CLIENTS.contains(&client)
        }
    }
}

fn table() -> String {
    let policy = Policy::from_settings(&sample());
    let sessions = [
        ("none", None),
        ("expired", Some(session(|record| record.expires = at(100)))),
        ("admins", Some(session(|_| {}))),
        ("no group", Some(session(|record| record.groups = Default::default()))),
        ("partner", Some(session(|record| record.email = "eve@partner.example".into()))),
        // What the first IdP would say of a boss, said by the other.
        ("admins of okta", Some(session(|record| record.idp = idp("okta")))),
        (
            "partner of okta",
            Some(session(|record| (record.idp, record.email) = (idp("okta"), "eve@partner.example".into()))),
        ),
    ];
    let mut table = String::from("path | session | method | client | decision\n");
    for (name, path) in PATHS {
        for (who, session) in &sessions {
            for method in ["GET", "POST", "TRACE"] {
                for client in CLIENTS {
                    let facts = RequestFacts { method, client, ..facts(path) };
                    let decision = shown(&decide(&policy, &facts, session.as_ref(), at(100)));
                    writeln!(table, "{name} | {who} | {method} | {client:?} | {decision}").unwrap();
                }
            }
        }
    }
    table
}

#[test]
fn decisions_are_those_of_the_committed_table() {
    assert!(CLIENTS.into_iter().all(is_listed));
    assert_eq!(ROUTES.len(), sample().routes.len());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/decide/decisions.txt");
    let table = table();
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == table,
        "decisions have changed: see them with UPDATE_TABLES=1 cargo test -p gateway, git diff"
    );
}
