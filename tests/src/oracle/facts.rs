//! The facts under which a document is judged: those that it asks for itself, so that nothing but the document
//! decides whether it is accepted. Read by a reader that is not saml-core's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};

const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";

pub(super) struct Facts {
    pub(super) issuer: String,
    pub(super) recipient: String,
    pub(super) audience: String,
    pub(super) request: String,
    pub(super) issued: String,
    /// The attribute that has an `@` in its value.
    pub(super) email: Option<String>,
    /// The certificates that the document carries, as PEM.
    pub(super) certificates: Vec<String>,
    /// There is a NameID, and nothing in it: samael cannot read such an Assertion.
    pub(super) name_id_empty: bool,
    pub(super) response_signed: bool,
    pub(super) assertion_signed: bool,
}

/// `None` where the document is none, or says too little.
pub(super) fn read(xml: &str) -> Option<Facts> {
    let document = Document::parse(xml).ok()?;
    let response = document.root_element();
    let assertion = child(response, SAML, "Assertion")?;
    let confirmation = find(assertion, SAML, "SubjectConfirmationData")?;
    let email = assertion
        .descendants()
        .filter(|node| node.has_tag_name((SAML, "Attribute")))
        .find(|node| text(*node).is_some_and(|text| text.contains('@')));
    let request = response.attribute("InResponseTo").or_else(|| confirmation.attribute("InResponseTo"));
    Some(Facts {
        issuer: text(child(assertion, SAML, "Issuer")?)?,
        recipient: confirmation.attribute("Recipient")?.to_owned(),
        audience: text(find(assertion, SAML, "Audience")?)?,
        request: request?.to_owned(),
        issued: assertion.attribute("IssueInstant")?.to_owned(),
        email: email.and_then(|node| node.attribute("Name")).map(str::to_owned),
        certificates: certificates(&document),
        name_id_empty: find(assertion, SAML, "NameID").is_some_and(|node| text(node).is_none()),
        response_signed: child(response, DS, "Signature").is_some(),
        assertion_signed: child(assertion, DS, "Signature").is_some(),
    })
}

fn certificates(document: &Document<'_>) -> Vec<String> {
    let nodes = document.descendants().filter(|node| node.has_tag_name((DS, "X509Certificate")));
    let mut all: Vec<String> = nodes.filter_map(text).filter_map(|text| pem(&text)).collect();
    all.dedup();
    all
}

fn pem(text: &str) -> Option<String> {
    let compact: String = text.split_ascii_whitespace().collect();
    let der = STANDARD.decode(compact).ok()?;
    // Of the corpus, one response carries the PEM file where the DER belongs.
    if der.starts_with(b"-----BEGIN CERTIFICATE-----") {
        return String::from_utf8(der).ok();
    }
    let body: Vec<String> =
        STANDARD.encode(der).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    Some(format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", body.join("\n")))
}

fn child<'a>(parent: Node<'a, 'a>, namespace: &str, name: &str) -> Option<Node<'a, 'a>> {
    parent.children().find(|node| node.has_tag_name((namespace, name)))
}

fn find<'a>(parent: Node<'a, 'a>, namespace: &str, name: &str) -> Option<Node<'a, 'a>> {
    parent.descendants().find(|node| node.has_tag_name((namespace, name)))
}

fn text(node: Node<'_, '_>) -> Option<String> {
    let text: String = node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
