//! What the IdP answers: settings, user and request in; the response to be issued out.

use time::{Duration, OffsetDateTime};

use super::settings::{IdpSettings, Misbehaviour, User};
use crate::issuer::{ResponseSpec, Status, random_id};

pub(super) const REPEATED_ASSERTION_ID: &str = "_the-same-assertion-again";
const ELSEWHERE: &str = "https://elsewhere.example";

/// The response for `user` to the request with this ID, or an unsolicited one.
pub(super) fn response_for(
    settings: &IdpSettings,
    user: &User,
    request_id: Option<&str>,
    now: OffsetDateTime,
) -> ResponseSpec {
    let name_id = user.property(&settings.subject_field).unwrap_or_default();
    let now = now + shift(settings);
    let mut spec = ResponseSpec::new(&settings.idp_entity_id, &settings.sp_entity_id, &settings.acs_url, name_id, now);
    spec.sign = settings.sign;
    spec.padded_to = settings.padded_to;
    spec.name_id_format = Some(settings.name_id_format.clone());
    spec.in_response_to = request_id.map(str::to_owned);
    spec.confirmation_in_response_to = spec.in_response_to.clone();
    spec.attributes = attributes(settings, user);
    for misbehaviour in &settings.misbehaviours {
        misbehave(*misbehaviour, &mut spec);
    }
    spec
}

pub(super) fn denial_for(
    settings: &IdpSettings,
    user: &User,
    request_id: Option<&str>,
    now: OffsetDateTime,
) -> ResponseSpec {
    let mut spec = response_for(settings, user, request_id, now);
    spec.status = Status::denied("the user is not bound to this application");
    spec
}

fn attributes(settings: &IdpSettings, user: &User) -> Vec<(String, Vec<String>)> {
    let of_user = settings.user_attributes.iter().filter_map(|(name, property)| {
        let value = user.property(property)?;
        Some((name.clone(), vec![value.to_owned()]))
    });
    let constant = settings.constant_attributes.iter().map(|(name, value)| (name.clone(), vec![value.clone()]));
    let groups = settings.bound_groups_of(user);
    let groups =
        (settings.include_groups && !groups.is_empty()).then(|| (settings.groups_attribute_name.clone(), groups));
    of_user
        .chain(constant)
        .chain(groups)
        .filter(|(name, _)| !settings.dropped_attributes.contains(name))
        .map(|(name, values)| match settings.emptied_attributes.contains(&name) {
            true => (name, vec![String::new()]),
            false => (name, values),
        })
        .collect()
}

fn shift(settings: &IdpSettings) -> Duration {
    let late = settings.misbehaves(Misbehaviour::Expired).then_some(-Duration::HOUR);
    let early = settings.misbehaves(Misbehaviour::NotYetValid).then_some(Duration::HOUR);
    late.or(early).unwrap_or_default()
}

fn misbehave(how: Misbehaviour, spec: &mut ResponseSpec) {
    let elsewhere = || Some(format!("{ELSEWHERE}/saml/acs"));
    match how {
        // The server chooses the key; `shift` moves the times.
        Misbehaviour::SignByStranger | Misbehaviour::Expired | Misbehaviour::NotYetValid => {}
        Misbehaviour::BreakSignature => tamper(spec, |xml, name_id| xml.replace(name_id, &format!("x{name_id}"))),
        Misbehaviour::WrongAudience => spec.audiences = vec![ELSEWHERE.to_owned()],
        Misbehaviour::NoAudience => spec.audiences.clear(),
        Misbehaviour::WrongRecipient => spec.recipient = elsewhere(),
        Misbehaviour::WrongDestination => spec.destination = elsewhere(),
        Misbehaviour::NoDestination => spec.destination = None,
        Misbehaviour::WrongIssuer => {
            spec.response_issuer = Some(ELSEWHERE.to_owned());
            spec.assertion_issuer = ELSEWHERE.to_owned();
        }
        Misbehaviour::WrongInResponseTo => {
            spec.in_response_to = Some(random_id());
            spec.confirmation_in_response_to = spec.in_response_to.clone();
        }
        Misbehaviour::NoInResponseTo => {
            spec.in_response_to = None;
            spec.confirmation_in_response_to = None;
        }
        Misbehaviour::DeniedStatus => spec.status = Status::denied("denied by the pretend JumpCloud"),
        Misbehaviour::SameAssertionIdAgain => spec.assertion_id = Some(REPEATED_ASSERTION_ID.to_owned()),
        Misbehaviour::CommentInNameId => {
            tamper(spec, |xml, name_id| xml.replacen(&format!("{name_id}</saml:NameID>"), &commented(name_id), 1));
        }
        Misbehaviour::DocumentType => tamper(spec, |xml, _| format!("<!DOCTYPE r [<!ENTITY e \"x\">]>{xml}")),
        Misbehaviour::NoNameId => spec.name_id = None,
        Misbehaviour::TwoEmails => {
            spec.attributes.push(("email".to_owned(), vec!["somebody.else@demo.example".to_owned()]));
        }
    }
}

/// Adds a change of the final XML behind those already there; it is told the NameID.
fn tamper(spec: &mut ResponseSpec, change: impl Fn(String, &str) -> String + Send + Sync + 'static) {
    let earlier = spec.tamper.take();
    let name_id = spec.name_id.clone().unwrap_or_default();
    spec.tamper = Some(Box::new(move |xml| {
        let xml = match &earlier {
            Some(earlier) => earlier(xml),
            None => xml,
        };
        change(xml, &name_id)
    }));
}

/// The 2018 trick: canonicalisation drops the comment, careless readers stop at it.
fn commented(name_id: &str) -> String {
    let (first, last) = name_id.split_at(name_id.len() / 2);
    format!("{first}<!---->{last}</saml:NameID>")
}
