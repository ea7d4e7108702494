//! Documents as an IdP writes and signs them, with every part of a signature open to change.
//!
//! Shares no code with saml-core: the canonical form is that of the weak verifier.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};

use crate::issuer::{ResponseSpec, SigningKey, Status};
use crate::weak::canonical::{Method, canonicalize};
use crate::weak::{DS, SAML, SAMLP, Wanted};

use super::parties::{ASSERTION_ID, RESPONSE_ID, key, spec};

pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// Makes a signature value of the canonical SignedInfo.
pub type Sign<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// How a Signature is made; what is absent is as it should be.
pub struct Signing<'a> {
    pub key: &'a SigningKey,
    pub canonicalization: &'a str,
    /// The attribute URI with its name, such as `URI="#x"`.
    pub uri: Option<String>,
    /// The content of Transforms.
    pub transforms: Option<String>,
    pub signature_method: Option<&'a str>,
    /// Content of SignatureMethod.
    pub method_content: &'a str,
    pub digest_method: &'a str,
    /// In place of the digest of the element.
    pub digest_value: Option<String>,
    /// More References, before and behind the one over the element.
    pub references_before: String,
    pub references_behind: String,
    /// In place of the KeyInfo with the certificate.
    pub key_info: Option<String>,
    /// In place of a signature by the key.
    pub value: Option<Sign<'a>>,
}

impl Default for Signing<'_> {
    fn default() -> Self {
        Self {
            key: key(),
            canonicalization: EXCLUSIVE,
            uri: None,
            transforms: None,
            signature_method: None,
            method_content: "",
            digest_method: "http://www.w3.org/2001/04/xmlenc#sha256",
            digest_value: None,
            references_before: String::new(),
            references_behind: String::new(),
            key_info: None,
            value: None,
        }
    }
}

/// The unsigned response with every namespace declared at its root, so that no part of it depends on its place.
pub fn draft(spec: &ResponseSpec) -> String {
    let xml = spec.issue(key()).xml;
    let namespaces = [("samlp", SAMLP), ("saml", SAML), ("ds", DS)];
    let bare = namespaces.iter().fold(xml, |xml, (prefix, uri)| xml.replace(&format!(" xmlns:{prefix}=\"{uri}\""), ""));
    let declared: String = namespaces.iter().map(|(prefix, uri)| format!(" xmlns:{prefix}=\"{uri}\"")).collect();
    bare.replacen("<samlp:Response", &format!("<samlp:Response{declared}"), 1)
}

/// `xml` with a Signature in the element of that ID.
pub fn sign(xml: &str, id: &str, signing: &Signing<'_>) -> String {
    let digest_value = signing.digest_value.clone().unwrap_or_else(|| {
        let canonical = canonical_of(xml, id, signing.canonicalization);
        digest_base64(signing.digest_method, canonical.as_bytes())
    });
    let uri = signing.uri.clone().unwrap_or_else(|| format!("URI=\"#{id}\""));
    let transforms = signing.transforms.clone().unwrap_or_else(|| {
        format!(
            "<ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform><ds:Transform Algorithm=\"{}\"></ds:Transform>",
            signing.canonicalization
        )
    });
    let reference = format!(
        "<ds:Reference {uri}><ds:Transforms>{transforms}</ds:Transforms><ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod><ds:DigestValue>{digest_value}</ds:DigestValue></ds:Reference>",
        signing.digest_method
    );
    let method = signing.signature_method.unwrap_or(signing.key.signature_algorithm());
    let signed_info = format!(
        "<ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{}\"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{method}\">{}</ds:SignatureMethod>{}{reference}{}</ds:SignedInfo>",
        signing.canonicalization, signing.method_content, signing.references_before, signing.references_behind
    );
    let key_info = signing.key_info.clone().unwrap_or_else(|| {
        format!(
            "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
            signing.key.certificate_base64()
        )
    });
    let signature =
        format!("<ds:Signature>{signed_info}<ds:SignatureValue>{VALUE}</ds:SignatureValue>{key_info}</ds:Signature>");
    let whole = insert(xml, place_of_signature(xml, id), &signature);
    let message = signed_info_of(&whole, signing.canonicalization);
    let value = match signing.value {
        Some(value) => value(message.as_bytes()),
        None => signing.key.sign(message.as_bytes()),
    };
    whole.replacen(VALUE, &STANDARD.encode(value), 1)
}

const VALUE: &str = "SIGNATURE-VALUE";

pub fn digest_base64(method: &str, bytes: &[u8]) -> String {
    let sha1 = method == "http://www.w3.org/2000/09/xmldsig#sha1";
    let algorithm = if sha1 { &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY } else { &SHA256 };
    STANDARD.encode(digest(algorithm, bytes))
}

/// The canonical form of the element of that ID, as it stands in `xml`.
pub fn canonical_of(xml: &str, id: &str, method: &str) -> String {
    let document = Document::parse(xml).expect("a draft is XML");
    let method = Method::of(method).unwrap_or_default();
    canonicalize(by_id(&document, id), &method, &|_| false)
}

fn signed_info_of(xml: &str, method: &str) -> String {
    let document = Document::parse(xml).expect("a draft is XML");
    let is_new = |node: &Node<'_, '_>| node.tag_name().name() == "SignatureValue" && node.text() == Some(VALUE);
    let value = document.descendants().find(is_new).expect("the new Signature is there");
    let info = value.parent().and_then(|signature| signature.first_element_child()).expect("it has a SignedInfo");
    canonicalize(info, &Method::of(method).unwrap_or_default(), &|_| false)
}

fn by_id<'a, 'i>(document: &'a Document<'i>, id: &str) -> Node<'a, 'i> {
    let found =
        document.descendants().find(|node| node.attribute("ID") == Some(id) || node.attribute("Id") == Some(id));
    found.expect("the element is there")
}

/// Behind the Issuer, or at the beginning where there is none.
fn place_of_signature(xml: &str, id: &str) -> usize {
    let document = Document::parse(xml).expect("a draft is XML");
    let element = by_id(&document, id);
    match element.children().find(|child| child.has_tag_name((SAML, "Issuer"))) {
        Some(issuer) => issuer.range().end,
        None => element.first_child().expect("it has content").range().start,
    }
}

pub fn insert(xml: &str, at: usize, text: &str) -> String {
    format!("{}{text}{}", &xml[..at], &xml[at..])
}

/// Signed by the IdP's key as `wanted` asks, the assertion first.
pub fn signed(draft: &str, wanted: Wanted) -> String {
    signed_with(draft, wanted, EXCLUSIVE)
}

pub fn signed_with(draft: &str, wanted: Wanted, canonicalization: &str) -> String {
    let by = Signing { canonicalization, ..Signing::default() };
    let assertion = match wanted {
        Wanted::Response => draft.to_owned(),
        _ => sign(draft, ASSERTION_ID, &by),
    };
    match wanted {
        Wanted::Both | Wanted::Response => sign(&assertion, RESPONSE_ID, &by),
        Wanted::Assertion | Wanted::Any => assertion,
    }
}

/// What the IdP sends for Ada.
pub fn base(wanted: Wanted) -> String {
    signed(&draft(&spec()), wanted)
}

/// As [`base`], of what `change` makes of the specification.
pub fn issued(wanted: Wanted, change: impl FnOnce(&mut ResponseSpec)) -> String {
    let mut spec = spec();
    change(&mut spec);
    signed(&draft(&spec), wanted)
}

/// As [`base`], of what `change` makes of the text before it is signed. What it writes is canonical.
pub fn edited(wanted: Wanted, change: impl FnOnce(String) -> String) -> String {
    signed(&change(draft(&spec())), wanted)
}

/// A Response that says no, signed.
pub fn denied() -> String {
    let mut spec = spec();
    spec.response_id = Some("_denied-0001".to_owned());
    spec.status = Status::denied("not you");
    sign(&draft(&spec), "_denied-0001", &Signing::default())
}

/// The IdP's metadata, signed by the key that signs responses.
pub fn metadata() -> String {
    let certificate = key().certificate_base64();
    let text = format!(
        "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:ds=\"{DS}\" ID=\"_metadata-0001\" entityID=\"{}\"><md:IDPSSODescriptor protocolSupportEnumeration=\"{SAMLP}\"><md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://sso.example/saml2\"></md:SingleSignOnService></md:IDPSSODescriptor></md:EntityDescriptor>",
        super::parties::IDP
    );
    sign(&text, "_metadata-0001", &Signing::default())
}

/// A LogoutRequest of the IdP for Ada, signed.
pub fn logout_request() -> String {
    let text = format!(
        "<samlp:LogoutRequest xmlns:samlp=\"{SAMLP}\" xmlns:saml=\"{SAML}\" xmlns:ds=\"{DS}\" ID=\"_logout-0001\" Version=\"2.0\" IssueInstant=\"2026-11-23T14:44:31.000Z\" Destination=\"{}\"><saml:Issuer>{}</saml:Issuer><saml:NameID>{}</saml:NameID><samlp:SessionIndex>_session-0001</samlp:SessionIndex></samlp:LogoutRequest>",
        super::parties::ACS,
        super::parties::IDP,
        super::parties::ADA
    );
    sign(&text, "_logout-0001", &Signing::default())
}

// ---- Parts of a text

/// The first element of that written name, tags included.
pub fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let start = xml.find(&format!("<{name}")).expect("the element is there");
    let close = format!("</{name}>");
    let end = xml[start..].rfind(&close).expect("it is closed") + start + close.len();
    &xml[start..end]
}

/// The first Signature of `xml`.
pub fn signature(xml: &str) -> &str {
    let start = xml.find("<ds:Signature>").expect("there is a Signature");
    let close = "</ds:Signature>";
    let end = xml[start..].find(close).expect("it is closed") + start + close.len();
    &xml[start..end]
}

pub fn without_signature(xml: &str) -> String {
    xml.replacen(signature(xml), "", 1)
}

/// Ada's words in Eve's mouth.
pub fn evil(text: &str) -> String {
    use super::parties::{ADA, ADA_ID, EVE, EVE_ID};
    text.replace(ADA, EVE).replace(ADA_ID, EVE_ID)
}

/// As [`evil`], with an ID of its own and without a signature.
pub fn evil_assertion(assertion: &str) -> String {
    let bare = if assertion.contains("<ds:Signature>") { without_signature(assertion) } else { assertion.to_owned() };
    evil(&bare).replace(ASSERTION_ID, "_evil-0001")
}
