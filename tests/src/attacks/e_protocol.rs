//! Section E: what a response answers, for whom it is, when, and how often.

use time::Duration;

use super::a_wrapping::unsigned_answer;
use super::d_xml::{encoded, post};
use super::forge::{
    Signing, base, denied, draft, edited, element, evil, issued, logout_request, metadata, sign, without_signature,
};
use super::held::{test, text};
use super::parties::{ACS, ASSERTION_ID, EVE, OTHER_REQUEST, SP, now, spec};
use super::state::{other_browser, replay, replay_of_one_time_use};
use super::{Case, Gain, Proof, Row, case, row};
use crate::issuer::{ResponseSpec, test_keys};
use crate::weak::{Message, Wanted, Weakness as W};

const BOTH: Wanted = Wanted::Both;
const END_TO_END: &str = "tests/tests/end_to_end/attacks.rs";
const OTHER: &str = "https://other.example/saml/metadata";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = requests();
    rows.extend(conditions());
    rows.extend(transport());
    rows
}

fn requests() -> Vec<Row> {
    vec![
        row(
            "63",
            "assertion replay",
            vec![
                replay().into(),
                test(END_TO_END, "a_response_makes_one_session_and_its_repetition_none").into(),
                test(END_TO_END, "an_assertion_is_claimed_once_also_under_another_request").into(),
            ],
        ),
        row("64", "OneTimeUse ignored", vec![replay_of_one_time_use().into()]),
        row(
            "65",
            "unsolicited responses",
            vec![
                meant("it answers nothing", "in_response_to_missing", W::AllowsUnsolicited, |spec| {
                    spec.in_response_to = None;
                    spec.confirmation_in_response_to = None;
                })
                .into(),
                test(END_TO_END, "unknown_and_unsolicited_responses_start_a_login_and_contribute_nothing").into(),
                test("saml-core/tests/verifier/unsolicited.rs", "is_accepted_only_where_the_settings_allow_it").into(),
                test("saml-core/tests/verifier/unsolicited.rs", "never_answers_a_request").into(),
            ],
        ),
        row(
            "66",
            "InResponseTo on the unsigned Response alone",
            vec![unsigned_answer(W::TrustsUnsignedResponse).into()],
        ),
        row(
            "67",
            "login CSRF",
            vec![other_browser().into(), test(END_TO_END, "a_response_in_another_browser_is_not_verified").into()],
        ),
        row(
            "68",
            "guessed request IDs",
            vec![
                meant("the answer to another request", "in_response_to_mismatch", W::NoRequestCheck, |spec| {
                    spec.in_response_to = Some(OTHER_REQUEST.to_owned());
                    spec.confirmation_in_response_to = Some(OTHER_REQUEST.to_owned());
                })
                .into(),
                test("saml-core/src/ids.rs", "request_id_is_an_xml_id_of_160_bits").into(),
            ],
        ),
        row(
            "69",
            "Recipient and Destination of another",
            vec![
                meant("Recipient", "recipient_mismatch", W::NoRecipientCheck, |spec| {
                    spec.recipient = Some("https://staging.example.com/saml/acs".to_owned());
                })
                .into(),
                meant("Destination", "destination_mismatch", W::NoDestinationCheck, |spec| {
                    spec.destination = Some("https://staging.example.com/saml/acs".to_owned());
                })
                .into(),
                meant("Recipient but for the case of letters", "recipient_mismatch", W::NoRecipientCheck, |spec| {
                    spec.recipient = Some(ACS.replace("example", "EXAMPLE"));
                })
                .into(),
            ],
        ),
        row(
            "70",
            "ACS by Host",
            vec![test("tests/tests/end_to_end/paths.rs", "only_the_accepted_host_is_served").into()],
        ),
    ]
}

/// Signed by the right key, for another place or moment.
fn meant(name: &str, code: &'static str, fooled: W, change: impl FnOnce(&mut ResponseSpec)) -> Case {
    case(name, BOTH, (base(BOTH), issued(BOTH, change)), code, fooled, Gain::Login)
}

/// Signed by the right key, with a text that the issuer does not write.
fn written(name: &str, (from, to): (&str, &str), code: &'static str, fooled: W, gain: Gain) -> Case {
    let attack = edited(BOTH, |xml| {
        assert!(xml.contains(from), "{name}: {from} is not in {xml}");
        xml.replacen(from, to, 1)
    });
    case(name, BOTH, (base(BOTH), attack), code, fooled, gain)
}

fn conditions() -> Vec<Row> {
    let after = |seconds: i64| Some(now() + Duration::seconds(seconds));
    vec![
        row("71", "audience missing, of another, or of one restriction alone", vec![
            meant("another", "audience_mismatch", W::NoAudienceCheck, |spec| spec.audiences = vec![OTHER.to_owned()]).into(),
            meant("none", "audience_missing", W::NoAudienceCheck, |spec| spec.audiences.clear()).into(),
            written(
                "two restrictions, one for us",
                ("</saml:AudienceRestriction>", &format!("</saml:AudienceRestriction><saml:AudienceRestriction><saml:Audience>{OTHER}</saml:Audience></saml:AudienceRestriction>")),
                "audience_mismatch",
                W::AudiencesOred,
                Gain::Login,
            )
            .into(),
            meant("ours with a slash", "audience_mismatch", W::NoAudienceCheck, |spec| spec.audiences = vec![format!("{SP}/")]).into(),
        ]),
        row("72", "time windows", times()),
        row("73", "the IdP's session is over", vec![
            meant("SessionNotOnOrAfter is past", "idp_session_ended", W::IgnoresSessionEnd, move |spec| {
                spec.session_not_on_or_after = after(-1);
            })
            .into(),
            two_sessions().into(),
                test(
                    "saml-core/tests/verifier/sign_in_anew.rs",
                    "a_sign_in_before_the_request_is_refused_where_a_new_one_was_asked_for",
                )
                .into(),
        ]),
        row("74", "SubjectConfirmation", vec![
            meant("sender-vouches", "bearer_missing", W::AnyConfirmationMethod, |spec| {
                spec.confirmation_method = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches".to_owned();
            })
            .into(),
            meant("holder-of-key", "bearer_missing", W::AnyConfirmationMethod, |spec| {
                spec.confirmation_method = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key".to_owned();
            })
            .into(),
            meant("NotBefore ahead", "assertion_not_yet_valid", W::NoTimeCheck, move |spec| {
                spec.confirmation_not_before = after(1_000);
            })
            .into(),
            across_confirmations().into(),
        ]),
        row("75", "issuer confusion", vec![
            meant("the Issuer of the Assertion", "issuer_mismatch", W::NoIssuerCheck, |spec| {
                spec.assertion_issuer = "another-idp".to_owned();
            })
            .into(),
            meant("the Issuer of the Response", "issuer_mismatch", W::NoIssuerCheck, |spec| {
                spec.response_issuer = Some("another-idp".to_owned());
            })
            .into(),
            mixed_up().into(),
                test("saml-core/tests/verifier/separation.rs", "an_idp_speaks_for_its_email_domains_and_no_other").into(),
        ]),
        row("76", "status not checked", vec![
            written(
                "an Assertion in a Response that failed",
                ("status:Success\"", "status:Responder\""),
                "shape_forbidden",
                W::NoStatusCheck,
                Gain::Login,
            )
            .into(),
        ]),
        row("77", "signed errors and metadata as responses", as_responses()),
        row("78", "unknown conditions", vec![
            written(
                "a condition of the IdP's own",
                ("</saml:AudienceRestriction>", "</saml:AudienceRestriction><saml:Condition></saml:Condition>"),
                "shape_forbidden",
                W::UnknownConditions,
                Gain::Login,
            )
            .into(),
        ]),
        row("79", "which attribute, which NameID", vec![
            written(
                "FriendlyName",
                ("<saml:Attribute Name=\"email\"", "<saml:Attribute FriendlyName=\"email\" Name=\"nickname\""),
                "email_missing",
                W::UsesFriendlyName,
                Gain::Login,
            )
            .into(),
            repeated("the first of two addresses", W::FirstAttribute, 0).into(),
            repeated("the last of two addresses", W::LastAttribute, 3).into(),
            transient().into(),
        ]),
    ]
}

/// VERIFIER: UTC by `Z` or `+00:00`, seconds 00 to 59, hours 00 to 23, skew 180 s, ten minutes for a bearer.
fn times() -> Vec<Proof> {
    let after = |seconds: i64| Some(now() + Duration::seconds(seconds));
    let not_on_or_after = "NotOnOrAfter=\"2026-11-23T14:49:31.000Z\"";
    let text = |name: &str, time: &str| -> Proof {
        written(
            name,
            (not_on_or_after, &format!("NotOnOrAfter=\"{time}\"")),
            "time_invalid",
            W::LenientTime,
            Gain::Login,
        )
        .into()
    };
    vec![
        meant("over by the skew", "assertion_expired", W::NoTimeCheck, move |spec| {
            spec.confirmation_not_on_or_after = after(-180)
        })
        .into(),
        meant("the Conditions are over", "assertion_expired", W::NoTimeCheck, move |spec| {
            spec.conditions_not_on_or_after = after(-180)
        })
        .into(),
        meant("not yet", "assertion_not_yet_valid", W::NoTimeCheck, move |spec| {
            spec.conditions_not_before = after(181)
        })
        .into(),
        meant("issued tomorrow", "assertion_not_yet_valid", W::NoTimeCheck, move |spec| {
            spec.assertion_issue_instant = now() + Duration::DAY
        })
        .into(),
        meant("a bearer for a day, a quarter of an hour old", "assertion_expired", W::LenientTime, move |spec| {
            spec.assertion_issue_instant = now() - Duration::minutes(15);
            spec.confirmation_not_on_or_after = after(86_400);
        })
        .into(),
        meant("no NotOnOrAfter of the bearer", "bearer_incomplete", W::LenientTime, |spec| {
            spec.confirmation_not_on_or_after = None
        })
        .into(),
        meant("no NotOnOrAfter of the Conditions", "shape_forbidden", W::LenientTime, |spec| {
            spec.conditions_not_on_or_after = None
        })
        .into(),
        text("no zone", "2026-11-23T14:49:31"),
        text("another zone", "2026-11-23T14:49:31-12:00x"),
        text("24:00", "2026-11-23T24:00:00Z"),
        text("a leap second", "2026-11-23T23:59:60Z"),
        text("a day that is none", "2026-11-31T00:00:00Z"),
        text("never", "9999"),
        test("saml-core/src/time.rs", "refuses_every_other_form").into(),
    ]
}

/// Two statements, of which the later ends the session long after the IdP did.
fn two_sessions() -> Case {
    let end = "2026-11-23T14:00:00Z";
    let attack = edited(BOTH, |xml| {
        let statement = element(&xml, "saml:AuthnStatement").to_owned();
        let ended = statement.replacen(" SessionIndex", &format!(" SessionNotOnOrAfter=\"{end}\" SessionIndex"), 1);
        let long = statement.replacen(" SessionIndex", " SessionNotOnOrAfter=\"2036-11-23T14:00:00Z\" SessionIndex", 1);
        let sort = |text: String| {
            // Attributes in canonical order.
            text.replace(
                &format!("SessionNotOnOrAfter=\"{end}\" SessionIndex=\"_session-0001\""),
                &format!("SessionIndex=\"_session-0001\" SessionNotOnOrAfter=\"{end}\""),
            )
        };
        xml.replacen(&statement, &format!("{long}{}", sort(ended)), 1)
    });
    case(
        "one of two statements is over",
        BOTH,
        (base(BOTH), attack),
        "idp_session_ended",
        W::IgnoresSessionEnd,
        Gain::Login,
    )
}

/// One confirmation is for us and over, the other is good and for somebody else.
fn across_confirmations() -> Case {
    let attack = edited(BOTH, |xml| {
        let confirmation = element(&xml, "saml:SubjectConfirmation").to_owned();
        let over = confirmation.replace("T14:49:31", "T14:00:31");
        let elsewhere = confirmation.replace(ACS, "https://other.example/saml/acs");
        xml.replacen(&confirmation, &format!("{over}{elsewhere}"), 1)
    });
    case(
        "each of two confirmations meets a part",
        BOTH,
        (base(BOTH), attack),
        "assertion_expired",
        W::AcrossConfirmations,
        Gain::Login,
    )
}

/// Another IdP that this service provider trusts answers a request that went to the first.
fn mixed_up() -> Case {
    let by = || Signing { key: test_keys::stranger(), ..Signing::default() };
    let attack = sign(&evil(&draft(&spec())), ASSERTION_ID, &by());
    let wanted = Wanted::Assertion;
    case(
        "signed by the key of another IdP",
        wanted,
        (base(wanted), attack),
        "signed_by_unknown_key",
        W::AnyIdpsKey,
        Gain::Identity(EVE),
    )
}

/// Each carried along in a Response that nobody signed.
fn as_responses() -> Vec<Proof> {
    let control = base(Wanted::Response);
    let unsigned = evil(&without_signature(&control));
    let wrapped = |document: &str| {
        unsigned.replacen(
            "<samlp:Status>",
            &format!("<samlp:Extensions>{document}</samlp:Extensions><samlp:Status>"),
            1,
        )
    };
    vec![
        case(
            "a signed error in Extensions of a forged Response",
            Wanted::Response,
            (control.clone(), wrapped(&denied())),
            "shape_forbidden",
            W::LooksUpIds,
            Gain::Identity(EVE),
        )
        .into(),
        case(
            "metadata in Extensions of a forged Response",
            Wanted::Response,
            (control.clone(), wrapped(&metadata())),
            "shape_forbidden",
            W::LooksUpIds,
            Gain::Identity(EVE),
        )
        .into(),
        case(
            "a LogoutRequest in Extensions of a forged Response",
            Wanted::Response,
            (control, wrapped(&logout_request())),
            "shape_forbidden",
            W::LooksUpIds,
            Gain::Identity(EVE),
        )
        .into(),
    ]
}

/// The IdP sends two addresses, one of them chosen by the user.
fn repeated(name: &str, fooled: W, at: usize) -> Case {
    let attack = issued(BOTH, |spec| {
        spec.attributes.insert(at, ("email".to_owned(), vec![EVE.to_owned()]));
    });
    case(name, BOTH, (base(BOTH), attack), "claim_ambiguous", fooled, Gain::Identity(EVE))
}

fn transient() -> Case {
    let change = |spec: &mut ResponseSpec| {
        spec.attributes.retain(|(name, _)| name != "sub");
        spec.name_id_format = Some("urn:oasis:names:tc:SAML:2.0:nameid-format:transient".to_owned());
    };
    case(
        "a transient NameID",
        BOTH,
        (base(BOTH), issued(BOTH, change)),
        "unique_id_missing",
        W::TransientIsIdentity,
        Gain::Login,
    )
}

fn transport() -> Vec<Row> {
    let control = base(BOTH);
    let good = post(&[("SAMLResponse", &encoded(&control))]);
    let posted = |name: &str, attack: Message, code: &'static str, fooled: W, gain: Gain| -> Proof {
        case(name, BOTH, ("", ""), code, fooled, gain).posted(good.clone(), attack).into()
    };
    let eves = encoded(evil(&control));
    let with = |name: &str| post(&[("SAMLResponse", &encoded(&control)), (name, "x")]);
    let in_query = Message::Post {
        content_type: "application/x-www-form-urlencoded".to_owned(),
        query: Some(format!(
            "SAMLResponse={}",
            form_urlencoded::byte_serialize(encoded(&control).as_bytes()).collect::<String>()
        )),
        body: Vec::new(),
    };
    let soap = format!(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>{control}</soap:Body></soap:Envelope>"
    );
    let paos = |content_type: &str| Message::Post {
        content_type: content_type.to_owned(),
        query: None,
        body: soap.clone().into_bytes(),
    };
    vec![
        row(
            "80",
            "RelayState as a redirect",
            vec![
                text(
                    "saml-core/src/form.rs",
                    "RelayState is not kept: what comes back is ignored",
                    "nothing reads RelayState",
                )
                .into(),
                test("tests/tests/end_to_end/signing_in.rs", "return_addresses_lead_nowhere_else").into(),
            ],
        ),
        row(
            "81",
            "RelayState reflected or oversize",
            vec![
                text(
                    "saml-core/src/form.rs",
                    "RelayState is not kept: what comes back is ignored",
                    "nothing reads RelayState",
                )
                .into(),
                test("saml-core/src/form.rs", "refuses_everything_else").into(),
            ],
        ),
        row(
            "82",
            "repeated and mixed parameters",
            vec![
                posted(
                    "two SAMLResponses",
                    post(&[("SAMLResponse", &encoded(&control)), ("SAMLResponse", &eves)]),
                    "saml_response_repeated",
                    W::VerifiesFirstReadsLast,
                    Gain::Identity(EVE),
                ),
                posted("in the query", in_query, "form_query_not_empty", W::MergesQuery, Gain::Login),
                posted(
                    "with SAMLRequest",
                    with("SAMLRequest"),
                    "form_parameter_unexpected",
                    W::ParametersBeside,
                    Gain::Login,
                ),
                posted("with SigAlg", with("SigAlg"), "form_parameter_unexpected", W::ParametersBeside, Gain::Login),
                posted(
                    "with Signature",
                    with("Signature"),
                    "form_parameter_unexpected",
                    W::ParametersBeside,
                    Gain::Login,
                ),
                posted(
                    "with SAMLEncoding",
                    with("SAMLEncoding"),
                    "form_parameter_unexpected",
                    W::ParametersBeside,
                    Gain::Login,
                ),
                test(END_TO_END, "forms_that_are_none_are_refused").into(),
            ],
        ),
        row(
            "83",
            "artifact binding",
            vec![posted(
                "SAMLart to a URL",
                post(&[("SAMLart", "https://evil.example/artifact")]),
                "form_parameter_unexpected",
                W::ResolvesArtifacts,
                Gain::Fetch("https://evil.example/artifact"),
            )],
        ),
        row(
            "84",
            "ECP and PAOS",
            vec![
                posted("a SOAP envelope", paos("text/xml"), "form_content_type", W::AnyContentType, Gain::Login),
                posted("PAOS", paos("application/vnd.paos+xml"), "form_content_type", W::AnyContentType, Gain::Login),
            ],
        ),
        row(
            "85",
            "forced logout",
            vec![
                test("tests/tests/end_to_end/signing_in.rs", "a_page_of_another_site_signs_nobody_out").into(),
                test("tests/tests/end_to_end/signing_in.rs", "sign_out_ends_the_session_here").into(),
                test("saml-core/tests/verifier/logout.rs", "refuses_an_unpinned_key_and_a_missing_signature").into(),
                test("saml-core/tests/verifier/logout.rs", "a_request_ends_sessions_of_that_idp_name_and_index_alone")
                    .into(),
            ],
        ),
        row(
            "86",
            "stolen IdP key",
            vec![
                text(
                    "saml-core/src/response/accepted.rs",
                    "pub fn signed_with(&self) -> Fingerprint",
                    "the certificate that verified is known to the audit",
                )
                .into(),
                test("saml-core/tests/verifier/refuses.rs", "refuses_a_key_that_is_not_pinned").into(),
            ],
        ),
        row(
            "87",
            "metadata poisoning",
            vec![
                test("config/tests/settings/metadata.rs", "metadata_that_is_none_or_of_somebody_else_is_one_mistake")
                    .into(),
                test("saml-core/tests/verifier/metadata.rs", "keys_come_from_the_idp_role_and_nowhere_else").into(),
                test("saml-core/tests/metadata_refresh.rs", "a_new_key_is_held_until_its_fingerprint_is_listed").into(),
            ],
        ),
        row(
            "88",
            "certificate lifecycle",
            vec![
                test("saml-core/tests/certificates.rs", "an_idp_has_one_to_four_different_keys").into(),
                test(
                    "saml-core/tests/verifier/accepts.rs",
                    "every_kind_of_key_verifies_with_and_without_a_certificate_in_the_message",
                )
                .into(),
            ],
        ),
    ]
}
