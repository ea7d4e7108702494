//! The explanation for programs: one JSON object, of the same members whatever happened.

use saml_core::Identity;
use saml_core::explain::{Explanation, Outcome, Step};
use serde_json::{Map, Value, json};

use super::capture::Unusable;

pub(super) fn explanation(input: &Step, explanation: &Explanation) -> String {
    let steps = std::iter::once(input).chain(explanation.steps()).map(step).collect();
    object(explanation.is_accepted(), explanation.refusal(), explanation.identity(), steps)
}

pub(super) fn unusable(unusable: &Unusable) -> String {
    let step = step(&Step { reason: Some(unusable.to_string()), ..Step::new("input", Outcome::Refused) });
    object(false, None, None, vec![step])
}

fn object(accepted: bool, refusal: Option<&str>, identity: Option<&Identity>, steps: Vec<Value>) -> String {
    let identity = identity.map(self::identity);
    let value = json!({ "accepted": accepted, "refusal": refusal, "identity": identity, "steps": steps });
    escaped(&format!("{value:#}"))
}

fn step(step: &Step) -> Value {
    json!({
        "check": step.check,
        "outcome": step.outcome.as_str(),
        "seen": step.seen,
        "wanted": step.wanted,
        "reason": step.reason,
        "code": step.code,
        "cure": step.cure,
        "missing_fact": step.missing_fact.map(|fact| fact.flag()),
    })
}

fn identity(identity: &Identity) -> Value {
    let attributes: Map<String, Value> =
        identity.attributes.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
    json!({
        "name_id": identity.name_id.as_ref().map(|name_id| &name_id.value),
        "unique_id": identity.unique_id,
        "email": identity.email,
        "first_name": identity.first_name,
        "last_name": identity.last_name,
        "groups": identity.groups,
        "attributes": attributes,
    })
}

/// JSON may hold C1 controls and direction marks as they are; a terminal must not see them. Outside ASCII
/// there are only strings, and in those an escape means the same.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && character != '\u{7f}' || super::show::is_visible(character) {
            text.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}
