//! The grammar at its borders: as many as it allows, and one more.

use issuer::{Status, test_keys};
use saml_core::{Rejection, Sign, UnverifiedResponse};

use crate::parties::{accept, accepted_when_edited, assert_accepted, edited, good, key, refused_when_edited};

const BOTH: Sign = Sign::AssertionAndResponse;
const VOUCHES: &str = "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:sender-vouches\"><saml:SubjectConfirmationData></saml:SubjectConfirmationData></saml:SubjectConfirmation>";

/// Writes `text` before what is there.
fn before(place: &'static str, text: impl Into<String>) -> impl Fn(String) -> String + Send + Sync + 'static {
    let text = text.into();
    move |xml| xml.replacen(place, &format!("{text}{place}"), 1)
}

/// The first element `name` stands there `times` times.
fn times(name: &'static str, times: usize) -> impl Fn(String) -> String + Send + Sync + 'static {
    move |xml| {
        let end_tag = format!("</saml:{name}>");
        let found = [">", " "].iter().filter_map(|after| xml.find(&format!("<saml:{name}{after}"))).min();
        let start = found.unwrap();
        let end = xml.find(&end_tag).unwrap() + end_tag.len();
        format!("{}{}{}", &xml[..start], xml[start..end].repeat(times), &xml[end..])
    }
}

/// The document as it arrived, changed after it was signed.
fn arrived(from: &str, to: &str) -> Result<(), Rejection> {
    let xml = good().issue(key()).xml;
    assert!(xml.contains(from), "{from} is not in {xml}");
    accept(&xml.replacen(from, to, 1), BOTH).map(drop)
}

/// The shape has nothing against it, so that only what was signed refuses it.
#[track_caller]
fn well_formed(from: &str, to: &str, code: &str) {
    assert_eq!(arrived(from, to).map_err(|rejection| rejection.code()), Err(code));
}

#[track_caller]
fn ill_formed(from: &str, to: &str, problem: &str) {
    let rejection = arrived(from, to).unwrap_err();
    assert_eq!(rejection.code(), "shape_forbidden");
    assert!(rejection.to_string().contains(problem), "{rejection}");
}

#[test]
fn as_many_as_are_allowed_and_no_more() {
    for (name, most) in
        [("AuthnStatement", 4), ("AudienceRestriction", 8), ("Audience", 16), ("SubjectConfirmation", 4)]
    {
        accepted_when_edited(times(name, most));
        refused_when_edited(times(name, most + 1), "shape_forbidden");
    }
    for name in ["AuthnStatement", "SubjectConfirmation", "Audience"] {
        refused_when_edited(times(name, 0), "shape_forbidden");
    }
    refused_when_edited(times("AudienceRestriction", 0), "audience_missing");
    refused_when_edited(times("AttributeStatement", 0), "unique_id_missing");
    accepted_when_edited(times("AttributeStatement", 4));
    refused_when_edited(times("AttributeStatement", 5), "shape_forbidden");
    let once = "<saml:OneTimeUse></saml:OneTimeUse>";
    accepted_when_edited(before("</saml:Conditions>", once));
    refused_when_edited(before("</saml:Conditions>", once.repeat(2)), "shape_forbidden");
    let proxies = |audiences: usize| {
        let audience = "<saml:Audience>urn:other</saml:Audience>";
        format!("<saml:ProxyRestriction Count=\"0\">{}</saml:ProxyRestriction>", audience.repeat(audiences))
    };
    accepted_when_edited(before("</saml:Conditions>", proxies(0)));
    accepted_when_edited(before("<saml:AudienceRestriction>", proxies(16)));
    refused_when_edited(before("</saml:Conditions>", proxies(17)), "shape_forbidden");
    refused_when_edited(before("</saml:Conditions>", proxies(0).repeat(2)), "shape_forbidden");
    refused_when_edited(before("</saml:Conditions>", "<saml:Condition></saml:Condition>"), "shape_forbidden");
    refused_when_edited(before("</saml:Assertion>", "<saml:Statement></saml:Statement>"), "shape_forbidden");
}

#[test]
fn statements_and_conditions_stand_in_any_order() {
    accepted_when_edited(|xml| {
        let start = xml.find("<saml:AuthnStatement").unwrap();
        let end = xml.find("</saml:AuthnStatement>").unwrap() + "</saml:AuthnStatement>".len();
        let moved = format!("{}{}", &xml[..start], &xml[end..]);
        moved.replacen("</saml:Assertion>", &format!("{}</saml:Assertion>", &xml[start..end]), 1)
    });
    accepted_when_edited(before("<saml:AudienceRestriction>", "<saml:OneTimeUse></saml:OneTimeUse>"));
}

#[test]
fn white_space_may_stand_between_elements_and_text_may_not() {
    accepted_when_edited(|xml| {
        xml.replace("><saml:", ">\n \t<saml:").replace("</saml:Subject>", "&#xD;</saml:Subject>")
    });
    for place in
        ["<saml:Subject>", "<saml:Conditions", "</saml:AuthnContext>", "</saml:Attribute>", "</saml:Assertion>"]
    {
        for text in ["x", "\u{a0}"] {
            refused_when_edited(before(place, text), "shape_forbidden");
        }
    }
}

#[test]
fn what_an_authn_statement_may_hold() {
    accepted_when_edited(before(
        "<saml:AuthnContext>",
        "<saml:SubjectLocality Address=\"192.0.2.1\" DNSName=\"a.example\"></saml:SubjectLocality>",
    ));
    refused_when_edited(
        before("<saml:AuthnContext>", "<saml:SubjectLocality>x</saml:SubjectLocality>"),
        "shape_forbidden",
    );
    let reference = "<saml:AuthnContextDeclRef>urn:d</saml:AuthnContextDeclRef>";
    let authority = "<saml:AuthenticatingAuthority>urn:a</saml:AuthenticatingAuthority>";
    accepted_when_edited(before("</saml:AuthnContext>", format!("{reference}{authority}{authority}")));
    refused_when_edited(before("</saml:AuthnContext>", reference.repeat(2)), "shape_forbidden");
    refused_when_edited(
        before("</saml:AuthnContext>", "<saml:AuthnContextDecl></saml:AuthnContextDecl>"),
        "shape_forbidden",
    );
    refused_when_edited(|xml| xml.replacen(" AuthnInstant=", " SessionIndex2=", 1), "xml_attribute_forbidden");
}

#[test]
fn a_value_is_text_or_nil_or_one_name_id() {
    let as_email = |value: &'static str| {
        move |xml: String| {
            let xml = xml.replacen(
                "<saml:Assertion ",
                "<saml:Assertion xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" ",
                1,
            );
            xml.replacen("<saml:AttributeValue>ada@example.com</saml:AttributeValue>", value, 1)
        }
    };
    let by_name_id = as_email(
        "<saml:AttributeValue><saml:NameID NameQualifier=\"q\">ada@example.com</saml:NameID></saml:AttributeValue>",
    );
    assert_eq!(edited(by_name_id).identity().email, "ada@example.com");
    for typed in ["xsi:type=\"xs:string\"", "xsi:nil=\"false\"", "xsi:nil=\"0\"", "xml:lang=\"en\""] {
        let value = format!("<saml:AttributeValue {typed}>ada@example.com</saml:AttributeValue>");
        accepted_when_edited(as_email(value.leak()));
    }
    for nil in ["true", "1"] {
        let empty = format!("<saml:AttributeValue xsi:nil=\"{nil}\"></saml:AttributeValue>");
        refused_when_edited(as_email(empty.leak()), "email_missing");
        let full = format!("<saml:AttributeValue xsi:nil=\"{nil}\">ada@example.com</saml:AttributeValue>");
        refused_when_edited(as_email(full.leak()), "shape_forbidden");
    }
    refused_when_edited(
        as_email("<saml:AttributeValue><saml:NameID>a</saml:NameID><saml:NameID>b</saml:NameID></saml:AttributeValue>"),
        "shape_forbidden",
    );
    refused_when_edited(
        as_email("<saml:AttributeValue><saml:Issuer>a</saml:Issuer></saml:AttributeValue>"),
        "shape_forbidden",
    );
    refused_when_edited(
        as_email("<saml:AttributeValue>x<saml:NameID>a</saml:NameID></saml:AttributeValue>"),
        "shape_forbidden",
    );
}

#[test]
fn an_attribute_has_at_most_two_of_foreign_attributes_and_none_is_an_id() {
    let with = |attributes: &'static str| {
        move |xml: String| {
            let xml = xml.replacen("<saml:Assertion ", "<saml:Assertion xmlns:f=\"urn:foreign\" ", 1);
            xml.replacen("<saml:Attribute ", &format!("<saml:Attribute {attributes} "), 1)
        }
    };
    accepted_when_edited(with("f:a=\"1\""));
    accepted_when_edited(with("f:a=\"1\" f:b=\"2\""));
    accepted_when_edited(with("f:idx=\"1\" f:xid=\"2\""));
    refused_when_edited(with("f:a=\"1\" f:b=\"2\" f:c=\"3\""), "xml_attribute_forbidden");
    for name in ["id", "ID", "Id", "iD"] {
        refused_when_edited(with(format!("f:{name}=\"_x\"").leak()), "xml_attribute_forbidden");
        refused_when_edited(with(format!("f:{name}=\"_x\" f:z=\"1\"").leak()), "xml_attribute_forbidden");
    }
    accepted_when_edited(with("FriendlyName=\"e-mail\""));
    refused_when_edited(with("OriginalIssuer=\"e-mail\""), "xml_attribute_forbidden");
}

#[test]
fn what_a_confirmation_may_hold() {
    let name_id = "<saml:NameID>somebody</saml:NameID>";
    accepted_when_edited(before("<saml:SubjectConfirmationData", name_id));
    refused_when_edited(before("<saml:SubjectConfirmationData", name_id.repeat(2)), "shape_forbidden");
    refused_when_edited(before("</saml:SubjectConfirmationData>", name_id), "shape_forbidden");
    refused_when_edited(before("</saml:SubjectConfirmation>", name_id), "shape_forbidden");
    refused_when_edited(|xml| xml.replacen(" Method=", " Address=", 1), "xml_attribute_forbidden");
    accepted_when_edited(|xml| xml.replacen("ConfirmationData ", "ConfirmationData Address=\"192.0.2.1\" ", 1));
    refused_when_edited(
        before("</saml:Subject>", "<saml:SubjectConfirmation Method=\"x\"></saml:SubjectConfirmation>"),
        "shape_forbidden",
    );
    accepted_when_edited(before("</saml:Subject>", VOUCHES));
}

#[test]
fn a_version_other_than_2_0_is_refused() {
    refused_when_edited(|xml| xml.replacen("Version=\"2.0\"", "Version=\"2.1\"", 1), "shape_forbidden");
    ill_formed("Version=\"2.0\"", "Version=\"1.1\"", "its Version is not 2.0");
}

#[test]
fn a_status_is_told_as_the_idp_wrote_it() {
    let refused = |status: Status| {
        let mut spec = good();
        spec.status = status;
        let xml = spec.issue(test_keys::rsa_2048()).xml;
        let detail = "</samlp:StatusMessage><samlp:StatusDetail><x>y</x></samlp:StatusDetail>";
        let with_detail = xml.replacen("</samlp:StatusMessage>", detail, 1);
        let told = |xml: String| UnverifiedResponse::from_xml(xml.into_bytes()).unwrap_err();
        assert_eq!(told(with_detail).to_string(), told(xml.clone()).to_string());
        told(xml)
    };
    match refused(Status::denied("not bound to it")) {
        Rejection::IdpDenied { status, message } => {
            assert_eq!(status, format!("{} / {}", issuer::RESPONDER, issuer::REQUEST_DENIED));
            assert_eq!(message, "not bound to it");
        }
        other => panic!("{other:?}"),
    }
    let bare = Status { code: issuer::RESPONDER.to_owned(), nested_code: None, message: Some(String::new()) };
    assert_eq!(refused(bare).code(), "idp_denied");
    // A nested code and a message are for success too; a detail is not.
    well_formed(
        "Success\"></samlp:StatusCode>",
        "Success\"><samlp:StatusCode Value=\"x\"></samlp:StatusCode></samlp:StatusCode><samlp:StatusMessage xml:lang=\"en\">m</samlp:StatusMessage>",
        "digest_mismatch",
    );
    ill_formed("</samlp:Status>", "<samlp:StatusDetail></samlp:StatusDetail></samlp:Status>", "StatusDetail");
}

#[test]
fn an_id_is_of_letters_that_no_other_software_reads_otherwise() {
    let with_id = |id: &str| {
        let mut spec = good();
        spec.assertion_id = Some(id.to_owned());
        accept(&spec.issue(key()).xml, BOTH).map(drop).map_err(|rejection| rejection.code())
    };
    for id in ["a", "1", "_", "A.b-C_9", &"x".repeat(128)] {
        assert_eq!(with_id(id), Ok(()), "{id}");
    }
    for id in ["", "a b", "a:b", "\u{e4}", "a#", "a/b", "a@", "a[", "a`", "a{", &"x".repeat(129)] {
        assert_eq!(with_id(id), Err("id_invalid"), "{id}");
    }
}

#[test]
fn a_prefix_list_holds_at_most_eight_prefixes() {
    assert_accepted(&good().issue(key()).xml, BOTH);
    let exclusive = "Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:CanonicalizationMethod>";
    let with = |list: &str| {
        format!(
            "Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"><ec:InclusiveNamespaces xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"{list}\"></ec:InclusiveNamespaces></ds:CanonicalizationMethod>"
        )
    };
    well_formed(exclusive, &with("a b c d e f g h"), "signature_invalid");
    well_formed(exclusive, &with("  a   b\tc\td e f g  h  "), "signature_invalid");
    ill_formed(exclusive, &with("a b c d e f g h i"), "8 prefixes");
}

#[test]
fn a_key_info_holds_nothing_in_which_a_signature_could_hide() {
    let end = "</ds:X509Data>";
    let with = |more: &str| format!("{end}{more}");
    // It is the Response's Signature, which signs all but itself.
    for unread in [
        "<ds:KeyName>k</ds:KeyName>",
        "<d:X xmlns:d=\"http://www.w3.org/2009/xmldsig11#\"></d:X>",
        "<ds:KeyValue Any=\"1\"></ds:KeyValue>",
    ] {
        assert!(arrived(end, &with(unread)).is_ok(), "{unread}");
    }
    ill_formed(end, &with("<x xmlns=\"urn:x\"></x>"), "has no place there");
    ill_formed(end, &with("<x></x>"), "has no place there");
    for structural in ["Signature", "SignedInfo", "Reference", "KeyInfo"] {
        ill_formed(end, &with(&format!("<ds:{structural}></ds:{structural}>")), "has no place there");
    }
    for attribute in ["ds:a=\"1\"", "xmlns:f=\"urn:f\" f:a=\"1\""] {
        let rejection = arrived(end, &with(&format!("<ds:KeyName {attribute}></ds:KeyName>"))).unwrap_err();
        assert_eq!(rejection.code(), "xml_attribute_forbidden");
    }
}
