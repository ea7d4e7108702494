//! The claims, each asked for by itself. Values that say who somebody is are not shown here: they are the
//! identity, which stands beside the steps once the response is accepted.

use super::super::claimed::Claims;
use super::super::verified::Verified;
use super::step::Walk;
use crate::claims::ClaimSource;

pub(super) fn walk(walk: &mut Walk, verified: &Verified<'_>) {
    let claims = Claims::of(verified);
    let names = verified.idp.claims();
    let arrived = claims.arrived().join(", ");
    let name_id = claims.name_id();
    let name_id_seen = match &name_id {
        Ok(Some(_)) => "a NameID",
        Ok(None) => "none",
        Err(_) => "a NameID that cannot be used",
    };
    let name_id = match name_id {
        Ok(found) => {
            walk.passed("name_id", name_id_seen, "none, or one without deceptive characters");
            Some(found)
        }
        Err(rejection) => {
            walk.refused("name_id", &rejection, name_id_seen, "none, or one without deceptive characters");
            None
        }
    };
    for (check, source) in [("unique_id", &names.unique_id), ("email", &names.email)] {
        let wanted = match source {
            ClaimSource::Attribute(name) => format!("the attribute {name:?}"),
            ClaimSource::NameId => "the NameID".to_owned(),
        };
        let found = match (&name_id, source) {
            (None, ClaimSource::NameId) => {
                walk.not_run(check, "the NameID, which it is read from, is refused");
                continue;
            }
            (found, _) => found.as_ref().and_then(Option::as_ref),
        };
        let outcome = match check {
            "unique_id" => claims.unique_id(found).map(drop),
            _ => claims.email(found).map(drop),
        };
        walk.judged(check, outcome, format!("attributes that arrived: {arrived}"), wanted);
    }
    match &names.username {
        Some(name) => walk.judged("username", claims.username().map(drop), count(&claims, name), optional(name)),
        None => walk.not_applicable("username", "the settings name no attribute for it"),
    }
    let groups = claims.groups();
    let seen = match &groups {
        Ok(groups) if groups.is_empty() => {
            "none; in JumpCloud, tick \"include group attribute\" if groups are to arrive".to_owned()
        }
        Ok(groups) => groups.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", "),
        Err(_) => count(&claims, &names.groups),
    };
    walk.judged("groups", groups.map(drop), seen, optional(&names.groups));
    for (check, name, outcome) in [
        ("first_name", &names.first_name, claims.first_name().map(drop)),
        ("last_name", &names.last_name, claims.last_name().map(drop)),
    ] {
        walk.judged(check, outcome, count(&claims, name), optional(name));
    }
}

fn optional(name: &str) -> String {
    format!("the attribute {name:?}, if it arrives")
}

fn count(claims: &Claims<'_>, name: &str) -> String {
    match claims.values(name).len() {
        0 => "none".to_owned(),
        1 => "one value".to_owned(),
        several => format!("{several} values"),
    }
}
