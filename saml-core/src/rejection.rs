//! Every reason for which a response is not a login: one enum, each reason with its code and its cure.
//!
//! The text says what failed, the value seen and the value wanted. Values are settings, URLs, times,
//! attribute names and algorithms; a NameID, an e-mail address or a unique id never.

use std::fmt;

use crate::time::Timestamp;
use crate::trust::Fingerprint;

/// The fingerprint of the certificate that a response carries. It is shown to the administrator and
/// decides nothing: keys come from the settings alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered(pub Option<Fingerprint>);

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(fingerprint) => fingerprint.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// What a stranger wrote, cut to a length that a log line bears.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

macro_rules! rejections {
    ($( $(#[$doc:meta])* $variant:ident $({ $($field:ident : $type:ty),* $(,)? })? = $code:literal, $text:literal, $cure:literal; )*) => {
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Rejection {
            $( $(#[$doc])* #[error($text)] $variant $({ $($field: $type),* })?, )*
        }

        impl Rejection {
            /// The stable name: in logs, metrics, on the page and in `docs/refusals.md`.
            pub fn code(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $code, )* }
            }

            /// What the administrator can do about it, in the words of JumpCloud's console.
            pub fn cure(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $cure, )* }
            }

            /// Each code with its cure, for documents.
            pub fn catalogue() -> &'static [(&'static str, &'static str)] {
                &[$(($code, $cure)),*]
            }
        }
    };
}

rejections! {
    // ---- Form: what the browser posted
    FormContentType { seen: String } = "form_content_type",
        "the body is of type {seen:?}, wanted application/x-www-form-urlencoded",
        "the IdP must answer by HTTP-POST; nothing but its form may post to the ACS URL";
    FormQueryNotEmpty = "form_query_not_empty",
        "the ACS URL was called with a query, wanted none",
        "JumpCloud, SSO tab, ACS URL: enter the address without a query";
    FormTooLarge { limit: usize } = "form_too_large",
        "the form is larger than {limit} bytes",
        "send fewer attributes or groups: JumpCloud lists only groups bound to the application";
    FormParameterUnexpected { name: &'static str } = "form_parameter_unexpected",
        "the form holds the parameter {name}, which has no place beside SAMLResponse",
        "the IdP must answer by HTTP-POST with SAMLResponse and RelayState alone";
    FormMalformed = "form_malformed",
        "the form holds a percent sign that begins no escape",
        "the form was damaged on its way, or is not from a browser: start again";
    SamlResponseMissing = "saml_response_missing",
        "the form holds no SAMLResponse",
        "the IdP must answer by HTTP-POST with the field SAMLResponse";
    SamlResponseRepeated = "saml_response_repeated",
        "the form holds more than one SAMLResponse, or more than one RelayState",
        "the IdP must send each field once";

    // ---- Bytes
    Base64Invalid { problem: &'static str } = "base64_invalid",
        "SAMLResponse is not canonical base64: {problem}",
        "the response was damaged on its way, or is not from an IdP: start again";
    ResponseTooLarge { size: usize, limit: usize } = "response_too_large",
        "the response has {size} bytes, at most {limit} are read",
        "send fewer attributes or groups: JumpCloud lists only groups bound to the application";
    XmlNotUtf8 { offset: usize } = "xml_not_utf8",
        "the response is not UTF-8 without a byte order mark (byte {offset})",
        "the IdP must write its responses in UTF-8";
    XmlCharacterForbidden { offset: usize } = "xml_character_forbidden",
        "the response holds a character that XML 1.0 forbids (byte {offset})",
        "look for control characters in the attributes that the IdP sends";
    XmlDeclarationInvalid = "xml_declaration_invalid",
        "the XML declaration is not version 1.0 in UTF-8",
        "the IdP must write XML 1.0 in UTF-8";
    XmlDoctypeForbidden = "xml_doctype_forbidden",
        "the response holds a document type declaration, or another declaration that begins with `<!`",
        "no IdP needs one: treat it as an attack";
    XmlCommentForbidden = "xml_comment_forbidden",
        "the response holds a comment",
        "no IdP needs one: treat it as an attack";
    XmlCdataForbidden = "xml_cdata_forbidden",
        "the response holds a CDATA section",
        "no IdP needs one: treat it as an attack";
    XmlProcessingInstructionForbidden = "xml_processing_instruction_forbidden",
        "the response holds a processing instruction",
        "no IdP needs one: treat it as an attack";
    XmlMalformed { problem: &'static str, offset: usize } = "xml_malformed",
        "the response is not well-formed XML: {problem} (byte {offset})",
        "the response was damaged on its way, or is not from an IdP: start again";
    XmlEntityForbidden { offset: usize } = "xml_entity_forbidden",
        "the response holds a reference that is neither one of the five predefined entities nor a short character reference (byte {offset})",
        "no IdP needs one: treat it as an attack";
    XmlLimitExceeded { what: &'static str, limit: usize } = "xml_limit_exceeded",
        "the response has more than {limit} {what}",
        "send fewer or shorter attributes";
    XmlNamespaceForbidden { problem: &'static str } = "xml_namespace_forbidden",
        "the response declares or uses a namespace in a forbidden way: {problem}",
        "the IdP must declare each prefix and give it one meaning throughout; one that does not inside what it encrypts, \
         as pysaml2, must send assertions unencrypted; from anybody else it is an attack";
    XmlAttributeForbidden { element: String, attribute: String } = "xml_attribute_forbidden",
        "the element {element} holds the attribute {attribute}, which has no place there",
        "remove what the IdP adds there; if it is from nobody you know, treat it as an attack";

    // ---- Shape
    ShapeForbidden { element: String, problem: String } = "shape_forbidden",
        "the element {element} is not as a response has it: {problem}",
        "if it is from your IdP and not an attack, report the response's structure";
    IdInvalid { element: String } = "id_invalid",
        "the ID of {element} is not 1 to 128 letters, digits, `_`, `.` or `-`",
        "the IdP must write such IDs";
    IdDuplicate = "id_duplicate",
        "two elements have the same ID",
        "no IdP writes this: treat it as an attack";
    EncryptionUnsupported = "encryption_unsupported",
        "the assertion is encrypted, and no decryption key is set",
        "switch encryption of assertions off at the IdP, or give the gateway a decryption key";
    EncryptionAlgorithmForbidden { seen: String } = "encryption_algorithm_forbidden",
        "the assertion is encrypted with {seen:?}; AES-GCM is accepted, its key by rsa-oaep-mgf1p with SHA-1 or by rsa-oaep with SHA-256 and MGF1 of SHA-256",
        "at the IdP choose AES256-GCM (or AES128-GCM) as encryption algorithm and RSA-OAEP as key transport; where it knows only CBC or RSA 1.5, switch encryption of assertions off";
    EncryptedResponseNotSigned = "encrypted_response_not_signed",
        "the assertion is encrypted and the Response around it is not signed: anybody can encrypt for us",
        "sign the Response at the IdP; with encrypted assertions that is needed whatever `sign` says";
    DecryptionFailed { problem: String } = "decryption_failed",
        "the encrypted assertion cannot be used: {problem}",
        "give the IdP our current metadata, so that it encrypts for our key; it must encrypt one whole Assertion for one recipient";
    IdpDenied { status: String, message: String } = "idp_denied",
        "the IdP answered with the status {status:?} instead of Success, unverified message: {message:?}",
        "JumpCloud, SSO Applications, your application, User Groups tab: tick a group of the user, save";

    // ---- Request
    InResponseToConflict = "in_response_to_conflict",
        "InResponseTo of the Response and of its SubjectConfirmationData differ",
        "no IdP writes this: treat it as an attack";
    UnsolicitedResponse = "unsolicited_response",
        "the response answers no request of ours",
        "for a portal tile, set the Login URL in JumpCloud to this gateway's /saml/login";
    InResponseToUnexpected = "in_response_to_unexpected",
        "the response says that it answers a request, and was taken for one that answers none",
        "start again; if it happens again, treat it as an attack";

    // ---- Signature
    ResponseNotSigned = "response_not_signed",
        "the Response is not signed, only its Assertion is; wanted: what the setting `sign` says",
        "JumpCloud, SSO Applications, your application, SSO tab: set Sign to \"Assertion and Response\", save. Or accept it: `sign: assertion`";
    AssertionNotSigned = "assertion_not_signed",
        "the Assertion is not signed, only its Response is; wanted: what the setting `sign` says",
        "JumpCloud, SSO Applications, your application, SSO tab: set Sign to \"Assertion and Response\", save. Or accept it: `sign: response`";
    NotSigned = "not_signed",
        "neither the Response nor its Assertion is signed",
        "JumpCloud, SSO Applications, your application, SSO tab: set Sign to \"Assertion and Response\", save";
    SignatureReferenceMismatch { seen: String } = "signature_reference_mismatch",
        "a Signature refers to {seen:?} and not to the element that it stands in",
        "no IdP writes this: treat it as an attack";
    SignatureAlgorithmForbidden { seen: String } = "signature_algorithm_forbidden",
        "a Signature uses the algorithm {seen:?}; RSA and ECDSA with SHA-256, SHA-384 or SHA-512 are accepted",
        "JumpCloud, SSO tab, Signature Algorithm: choose RSA-SHA256, save";
    DigestAlgorithmForbidden { seen: String } = "digest_algorithm_forbidden",
        "a Signature uses the digest {seen:?}; SHA-256, SHA-384 and SHA-512 are accepted",
        "JumpCloud, SSO tab, Signature Algorithm: choose RSA-SHA256, save";
    CanonicalizationForbidden { seen: String } = "canonicalization_forbidden",
        "a Signature uses the canonicalization {seen:?}; exclusive 1.0, inclusive 1.0 and 1.1, without comments, are accepted",
        "choose exclusive canonicalization at the IdP";
    TransformForbidden { seen: String } = "transform_forbidden",
        "a Signature uses the transforms {seen:?}; exactly enveloped-signature, then one canonicalization, is accepted",
        "no IdP needs others: treat it as an attack";
    SignatureValueInvalid { problem: &'static str } = "signature_value_invalid",
        "a SignatureValue or DigestValue cannot be read: {problem}",
        "the response was damaged on its way: start again";
    SignedByUnknownKey { offered: Offered, pinned: Vec<Fingerprint> } = "signed_by_unknown_key",
        "no pinned key made this signature; certificate offered: {offered}, pinned: {pinned:?}",
        "JumpCloud: IDP Certificate Valid, Download Certificate; replace `certificate_file`";
    SignatureInvalid { pinned: Fingerprint } = "signature_invalid",
        "the response names the pinned certificate {pinned}, but the signature is not by its key or the message was altered",
        "the response was altered on its way: treat it as an attack";
    DigestMismatch { element: &'static str } = "digest_mismatch",
        "the {element} is not what was signed: its digest differs",
        "the response was altered on its way: treat it as an attack";
    SignedInfoMismatch = "signed_info_mismatch",
        "what was signed says otherwise than what was read before",
        "no IdP writes this: treat it as an attack";
    CanonicalFormUnstable { element: &'static str } = "canonical_form_unstable",
        "the canonical form of the {element} does not canonicalize to itself",
        "no IdP writes this: treat it as an attack";

    // ---- Policy
    IssuerMismatch { element: &'static str, seen: String, wanted: String } = "issuer_mismatch",
        "the Issuer of the {element} is {seen:?}, wanted {wanted:?}",
        "JumpCloud, SSO tab, IdP Entity ID: enter the value wanted, save. Or set `entity_id` to the value seen";
    IssuerMissing = "issuer_missing",
        "the signed Response holds no Issuer",
        "the IdP must write an Issuer into the responses that it signs";
    DestinationMismatch { seen: String, wanted: String } = "destination_mismatch",
        "the Destination is {seen:?}, wanted {wanted:?}",
        "JumpCloud, SSO tab, ACS URL: enter the value wanted, save. If the value seen is right, correct `public_url`";
    DestinationMissing { wanted: String } = "destination_missing",
        "the signed Response holds no Destination, wanted {wanted:?}",
        "the IdP must write the ACS URL as Destination into the responses that it signs";
    AudienceMissing { wanted: String } = "audience_missing",
        "the Assertion holds no AudienceRestriction, wanted one with {wanted:?}",
        "JumpCloud, SSO tab, SP Entity ID: enter the value wanted, save";
    AudienceMismatch { seen: Vec<String>, wanted: String } = "audience_mismatch",
        "the Audience is {seen:?}, wanted {wanted:?}",
        "JumpCloud, SSO tab, SP Entity ID: enter the value wanted, save. Or set `sp_entity_id` to the value seen";
    BearerMissing = "bearer_missing",
        "no SubjectConfirmation is of the method bearer",
        "the IdP must confirm the subject by urn:oasis:names:tc:SAML:2.0:cm:bearer";
    BearerIncomplete { missing: &'static str } = "bearer_incomplete",
        "the bearer SubjectConfirmationData holds no {missing}",
        "the IdP must write Recipient and NotOnOrAfter there";
    RecipientMismatch { seen: String, wanted: String } = "recipient_mismatch",
        "the Recipient is {seen:?}, wanted {wanted:?}",
        "JumpCloud, SSO tab, ACS URL: enter the value wanted, save. If the value seen is right, correct `public_url`";
    InResponseToMismatch { element: &'static str } = "in_response_to_mismatch",
        "InResponseTo of the {element} is not the ID of the request that this login began with",
        "start again; if it happens again, treat it as an attack";
    InResponseToMissing = "in_response_to_missing",
        "no signed part of the response says which request it answers",
        "the IdP must write InResponseTo into SubjectConfirmationData";
    AssertionExpired { what: &'static str, seen: Timestamp, now: Timestamp, late_seconds: i64 } = "assertion_expired",
        "{what} is {seen}, and our clock reads {now}: {late_seconds} s too late, the allowed skew counted in",
        "set both clocks by NTP; if the sign-in took long, start again; `clock_skew` allows up to 300 s";
    AssertionNotYetValid { what: &'static str, seen: Timestamp, now: Timestamp, early_seconds: i64 } = "assertion_not_yet_valid",
        "{what} is {seen}, and our clock reads {now}: {early_seconds} s too early, the allowed skew counted in",
        "set both clocks by NTP; `clock_skew` allows up to 300 s";
    IdpSessionEnded { seen: Timestamp, now: Timestamp } = "idp_session_ended",
        "SessionNotOnOrAfter is {seen}, and our clock reads {now}: the IdP's session is over",
        "sign in at the IdP again; if it happens at once, set both clocks by NTP";
    AuthnTooOld { seen: Timestamp, wanted: Timestamp } = "authn_too_old",
        "AuthnInstant is {seen}, and the user was to sign in anew after {wanted}, the allowed skew counted in",
        "the IdP must honour ForceAuthn; set both clocks by NTP";
    TimeInvalid { what: &'static str, seen: String } = "time_invalid",
        "{what} is {seen:?}, wanted the form YYYY-MM-DDThh:mm:ssZ",
        "the IdP must write times in UTC as XML Schema has them";

    // ---- Claims
    NameIdInvalid { problem: &'static str } = "name_id_invalid",
        "the NameID {problem}",
        "JumpCloud, SSO tab, SAMLSubject NameID: choose a property without such characters";
    UniqueIdMissing { wanted: String, arrived: Vec<String> } = "unique_id_missing",
        "no value for the unique id: wanted {wanted:?}, these attributes arrived: {arrived:?}",
        "JumpCloud, SSO tab, Attributes: add `sub -> id`, save. Or set `claims.unique_id` to a name that arrives";
    UniqueIdInvalid { problem: &'static str } = "unique_id_invalid",
        "the unique id {problem}",
        "map the unique id to a property without such characters, for JumpCloud `sub -> id`";
    EmailMissing { wanted: String, arrived: Vec<String> } = "email_missing",
        "no value for the e-mail: wanted the attribute {wanted:?}, these arrived: {arrived:?}",
        "JumpCloud, SSO tab, Attributes: add `email -> email`, save. Or set `claims.email` to a name that arrives";
    EmailInvalid { problem: &'static str } = "email_invalid",
        "the e-mail {problem}",
        "map `email -> email` and correct the user's e-mail in JumpCloud";
    EmailNotOfThisIdp { domain: String } = "email_not_of_this_idp",
        "the e-mail is of the domain {domain:?}, which this identity provider does not speak for",
        "add the domain to `email_domains` of this identity provider, if its word is to count for it";
    ClaimAmbiguous { name: String } = "claim_ambiguous",
        "the attribute {name:?} arrived with two different values, wanted one",
        "JumpCloud, SSO tab, Attributes: map the name once";
    ClaimInvalid { name: String, problem: &'static str } = "claim_invalid",
        "the attribute {name:?} {problem}",
        "correct the property that it is mapped to";

    // ---- Logout
    LogoutParametersInvalid { problem: &'static str } = "logout_parameters_invalid",
        "the logout message's parameters are not as its binding has them: {problem}",
        "the IdP must send one SAMLRequest or SAMLResponse with at most one RelayState, and by HTTP-Redirect SigAlg and Signature";
    LogoutMessageTooLarge { limit: usize } = "logout_message_too_large",
        "the logout message has more than {limit} bytes",
        "no IdP sends one so large: treat it as an attack";
    LogoutDeflateInvalid = "logout_deflate_invalid",
        "the logout message is not compressed as HTTP-Redirect has it",
        "the IdP must compress with DEFLATE, without a header and with nothing behind it";
    LogoutNotSigned = "logout_not_signed",
        "the logout message is not signed",
        "the IdP must sign its LogoutRequests and LogoutResponses";
    LogoutSignatureInvalid = "logout_signature_invalid",
        "no pinned key of any identity provider made the signature of the query, or the query was altered",
        "have the IdP sign with a pinned key; add its certificate if it is new";
    LogoutIssuerMismatch { seen: String } = "logout_issuer_mismatch",
        "the Issuer of the logout message is {seen:?}, which is the entity ID of no identity provider whose key made the signature",
        "set `entity_id` to the value that the IdP writes as Issuer";
    LogoutDestinationMismatch { seen: Option<String>, wanted: String } = "logout_destination_mismatch",
        "the Destination of the logout message is {seen:?}, wanted {wanted:?}",
        "at the IdP, enter the value wanted as our single logout URL. If the value seen is right, correct `public_url`";
    LogoutExpired { what: &'static str, seen: Timestamp, now: Timestamp } = "logout_expired",
        "{what} is {seen}, and our clock reads {now}: the logout message is too old, the allowed skew counted in",
        "set both clocks by NTP; `clock_skew` allows up to 300 s";
    LogoutNotYetValid { seen: Timestamp, now: Timestamp } = "logout_not_yet_valid",
        "IssueInstant of the logout message is {seen}, and our clock reads {now}: it is of the future, the allowed skew counted in",
        "set both clocks by NTP; `clock_skew` allows up to 300 s";
    LogoutNameIdEncrypted = "logout_name_id_encrypted",
        "the LogoutRequest names the user by an EncryptedID",
        "switch encryption of the NameID off at the IdP";
    LogoutInResponseToMismatch = "logout_in_response_to_mismatch",
        "the LogoutResponse does not answer the LogoutRequest that was sent",
        "sign out again; if it happens again, treat it as an attack";
}
