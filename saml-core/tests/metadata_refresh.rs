//! Newer metadata takes the place of older only as far as somebody said so, and never locks everybody out.

use saml_core::{
    Certificate, EntityId, Fingerprint, Held, IdpMetadata, IdpService, IdpSloUrl, NewKeys, RefreshError,
    RefreshWarning, Refreshed, SingleLogoutService, SsoUrl, Timestamp, metadata_past_valid_until, refresh_metadata,
};

const NOW: Timestamp = Timestamp::from_unix(1_795_445_071, 0);

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["idp.example".to_owned()]).unwrap();
    Certificate::parse_all(made.cert.pem().as_bytes()).unwrap().remove(0)
}

fn keys(count: usize) -> Vec<Certificate> {
    (0..count).map(|_| certificate()).collect()
}

fn metadata(certificates: &[Certificate]) -> IdpMetadata {
    let logout =
        SingleLogoutService { location: IdpSloUrl::parse("https://idp.example/slo").unwrap(), response_location: None };
    IdpMetadata {
        entity_id: EntityId::parse("idp").unwrap(),
        certificates: certificates.to_vec(),
        redirect: Some(SsoUrl::parse("https://idp.example/sso").unwrap()),
        post: None,
        logout_redirect: Some(logout),
        logout_post: None,
        want_authn_requests_signed: false,
        valid_until: Some(NOW.plus_seconds(3_600)),
    }
}

fn fingerprints(certificates: &[Certificate]) -> Vec<Fingerprint> {
    certificates.iter().map(Certificate::fingerprint).collect()
}

fn listed(certificates: &[&Certificate]) -> NewKeys {
    NewKeys::Listed(certificates.iter().map(|certificate| certificate.fingerprint()).collect())
}

fn used(refreshed: &Refreshed) -> Vec<Fingerprint> {
    fingerprints(&refreshed.used.certificates)
}

fn held_keys(refreshed: &Refreshed) -> Vec<Fingerprint> {
    let key = |held: &Held| match held {
        Held::Key { fingerprint, .. } | Held::KeyBeyondLimit { fingerprint } => Some(*fingerprint),
        Held::Address { .. } => None,
    };
    refreshed.held.iter().filter_map(key).collect()
}

#[test]
fn the_same_metadata_changes_nothing() {
    let all = keys(2);
    let current = metadata(&all);
    for new_keys in [NewKeys::Accept, listed(&[&all[0], &all[1]])] {
        let refreshed = refresh_metadata(Some(&current), &current, &new_keys, NOW).unwrap();
        assert_eq!(used(&refreshed), fingerprints(&all));
        assert_eq!((refreshed.held.as_slice(), refreshed.warnings.as_slice()), (&[][..], &[][..]));
    }
}

#[test]
fn a_new_key_is_held_until_its_fingerprint_is_listed() {
    let all = keys(2);
    let (old, new) = (&all[0], &all[1]);
    let (current, fetched) = (metadata(&all[..1]), metadata(&all));

    let refreshed = refresh_metadata(Some(&current), &fetched, &listed(&[old]), NOW).unwrap();
    assert_eq!(used(&refreshed), [old.fingerprint()]);
    assert_eq!(held_keys(&refreshed), [new.fingerprint()]);
    let text = refreshed.held[0].to_string();
    assert!(text.contains(&new.fingerprint().to_string()) && text.contains("trusted_keys"), "{text}");

    for new_keys in [listed(&[old, new]), NewKeys::Accept] {
        let refreshed = refresh_metadata(Some(&current), &fetched, &new_keys, NOW).unwrap();
        assert_eq!(used(&refreshed), fingerprints(&all));
        assert_eq!(refreshed.held, []);
        assert_eq!(refreshed.warnings, [RefreshWarning::KeyTaken { fingerprint: new.fingerprint() }]);
    }
}

#[test]
fn a_rollover_with_both_keys_listed_beforehand_costs_no_outage() {
    let all = keys(2);
    let trusted = listed(&[&all[0], &all[1]]);
    let mut current = metadata(&all[..1]);
    for published in [&all[..1], &all[..], &all[1..]] {
        let refreshed = refresh_metadata(Some(&current), &metadata(published), &trusted, NOW).unwrap();
        assert_eq!(used(&refreshed), fingerprints(published));
        assert_eq!(refreshed.held, []);
        current = refreshed.used;
    }
}

#[test]
fn a_refresh_never_empties_the_key_set() {
    let all = keys(2);
    let (current, fetched) = (metadata(&all[..1]), metadata(&all[1..]));
    let refreshed = refresh_metadata(Some(&current), &fetched, &listed(&[&all[0]]), NOW).unwrap();
    assert_eq!(used(&refreshed), [all[0].fingerprint()]);
    assert_eq!(held_keys(&refreshed), [all[1].fingerprint()]);
    assert_eq!(refreshed.warnings, [RefreshWarning::KeysKept]);

    // The control: with the new one listed, the old one goes, for the IdP no longer names it.
    let refreshed = refresh_metadata(Some(&current), &fetched, &listed(&[&all[0], &all[1]]), NOW).unwrap();
    assert_eq!(used(&refreshed), [all[1].fingerprint()]);
    let warnings = [
        RefreshWarning::KeyTaken { fingerprint: all[1].fingerprint() },
        RefreshWarning::KeyDropped { fingerprint: all[0].fingerprint() },
    ];
    assert_eq!(refreshed.warnings, warnings);
}

#[test]
fn a_key_whose_fingerprint_was_taken_out_of_the_settings_is_used_no_more() {
    let all = keys(3);
    let current = metadata(&all[..2]);
    let refreshed = refresh_metadata(Some(&current), &current, &listed(&[&all[1]]), NOW).unwrap();
    assert_eq!(used(&refreshed), [all[1].fingerprint()]);
    assert_eq!(held_keys(&refreshed), [all[0].fingerprint()]);

    // Neither by fetched metadata that holds nothing better, nor by metadata that is past its time.
    let mut past = metadata(&all[..1]);
    past.valid_until = Some(NOW);
    for fetched in [metadata(&all[..1]), past] {
        let outcome = refresh_metadata(Some(&current), &fetched, &listed(&[&all[2]]), NOW).unwrap_err();
        assert_eq!(outcome, RefreshError::NoTrustedKey { offered: vec![all[0].fingerprint()] });
    }
}

#[test]
fn the_first_fetch_takes_listed_keys_only_and_its_addresses() {
    let all = keys(2);
    let fetched = metadata(&all);
    let refreshed = refresh_metadata(None, &fetched, &listed(&[&all[1]]), NOW).unwrap();
    assert_eq!(used(&refreshed), [all[1].fingerprint()]);
    assert_eq!(held_keys(&refreshed), [all[0].fingerprint()]);
    assert_eq!(refreshed.used.redirect, fetched.redirect);
    assert_eq!(refreshed.warnings, []);

    let outcome = refresh_metadata(None, &fetched, &NewKeys::Listed(Vec::new()), NOW).unwrap_err();
    assert_eq!(outcome, RefreshError::NoTrustedKey { offered: fingerprints(&all) });
    assert_eq!(used(&refresh_metadata(None, &fetched, &NewKeys::Accept, NOW).unwrap()), fingerprints(&all));
}

#[test]
fn at_most_four_keys_are_used_and_those_in_use_come_first() {
    let all = keys(6);
    let current = metadata(&all[4..]);
    let refreshed = refresh_metadata(Some(&current), &metadata(&all), &NewKeys::Accept, NOW).unwrap();
    assert_eq!(used(&refreshed), fingerprints(&[&all[4..], &all[..2]].concat()));
    assert_eq!(held_keys(&refreshed), fingerprints(&all[2..4]));
}

#[test]
fn a_changed_address_is_held_until_it_is_approved() {
    let all = keys(1);
    let current = metadata(&all);
    let mut fetched = current.clone();
    fetched.redirect = Some(SsoUrl::parse("https://evil.example/sso").unwrap());
    fetched.post = fetched.redirect.clone();
    fetched.logout_redirect = None;
    let changed = IdpSloUrl::parse("https://evil.example/slo").unwrap();
    fetched.logout_post = Some(SingleLogoutService { location: changed.clone(), response_location: Some(changed) });

    let refreshed = refresh_metadata(Some(&current), &fetched, &listed(&[&all[0]]), NOW).unwrap();
    assert_eq!(refreshed.used.redirect, current.redirect);
    assert_eq!(refreshed.used.post, None);
    assert_eq!(refreshed.used.logout_redirect, current.logout_redirect);
    assert_eq!(refreshed.used.logout_post, None);
    let address = |held: &Held| match held {
        Held::Address { service, used, offered, fingerprint } => {
            (*service, used.clone(), offered.clone(), *fingerprint)
        }
        other => panic!("{other:?}"),
    };
    let held: Vec<_> = refreshed.held.iter().map(address).collect();
    let services: Vec<IdpService> = held.iter().map(|(service, ..)| *service).collect();
    use IdpService::{LogoutByPost, LogoutByRedirect, SignOnByPost, SignOnByRedirect};
    assert_eq!(services, [SignOnByRedirect, SignOnByPost, LogoutByRedirect, LogoutByPost]);
    assert_eq!(held[0].1.as_deref(), Some("https://idp.example/sso"));
    assert_eq!(held[0].2.as_deref(), Some("https://evil.example/sso"));
    assert_eq!(held[2].2, None);

    // Approving one address approves that one alone, though another service has the same.
    let approved = NewKeys::Listed(vec![all[0].fingerprint(), held[0].3]);
    let refreshed = refresh_metadata(Some(&current), &fetched, &approved, NOW).unwrap();
    assert_eq!(refreshed.used.redirect, fetched.redirect);
    assert_eq!(refreshed.used.post, None);
    assert_eq!(refreshed.held.len(), 3);
    assert!(matches!(&refreshed.warnings[..], [RefreshWarning::AddressTaken { service: SignOnByRedirect, .. }]));

    let refreshed = refresh_metadata(Some(&current), &fetched, &NewKeys::Accept, NOW).unwrap();
    assert_eq!(refreshed.used.logout_post, fetched.logout_post);
    assert_eq!((refreshed.held.len(), refreshed.warnings.len()), (0, 4));
}

#[test]
fn metadata_past_its_time_replaces_nothing_and_is_warned_of() {
    let all = keys(2);
    let current = metadata(&all[..1]);
    for (seconds, replaces) in [(1, true), (0, false), (-86_400, false)] {
        let mut fetched = metadata(&all[1..]);
        let until = NOW.plus_seconds(seconds);
        fetched.valid_until = Some(until);
        let refreshed = refresh_metadata(Some(&current), &fetched, &NewKeys::Accept, NOW).unwrap();
        let wanted = if replaces { &all[1] } else { &all[0] };
        assert_eq!(used(&refreshed), [wanted.fingerprint()]);
        let warned = refreshed.warnings.contains(&RefreshWarning::NewIsPastValidUntil { until });
        assert_eq!(warned, !replaces);
    }
    // At the first fetch there is nothing better.
    let mut fetched = metadata(&all);
    fetched.valid_until = Some(NOW);
    let refreshed = refresh_metadata(None, &fetched, &NewKeys::Accept, NOW).unwrap();
    assert_eq!(used(&refreshed), fingerprints(&all));
    assert_eq!(refreshed.warnings, [RefreshWarning::UsedIsPastValidUntil { until: NOW }]);
    assert_eq!(metadata_past_valid_until(&current, NOW), None);
    let warning = metadata_past_valid_until(&current, NOW.plus_seconds(3_600));
    assert_eq!(warning, Some(RefreshWarning::UsedIsPastValidUntil { until: NOW.plus_seconds(3_600) }));
}

#[test]
fn the_entity_id_never_changes() {
    let all = keys(1);
    let current = metadata(&all);
    let mut fetched = current.clone();
    fetched.entity_id = EntityId::parse("other").unwrap();
    let outcome = refresh_metadata(Some(&current), &fetched, &NewKeys::Accept, NOW).unwrap_err();
    assert!(matches!(outcome, RefreshError::OtherEntity { .. }));
}
