//! What the parser reads, and what it refuses with which code.

use super::*;
use crate::xml::tree::{Child, NodeId};

fn document(xml: &str) -> Result<Document, Rejection> {
    parse(XmlText::admit(xml.as_bytes().to_vec())?, &Limits::RESPONSE, Comments::Refuse)
}

#[track_caller]
fn refused(xml: &str, code: &str) {
    assert_eq!(document(xml).map(|_| "accepted").map_err(|rejection| rejection.code()), Err(code), "{xml}");
}

fn shape(document: &Document, id: NodeId, out: &mut String) {
    out.push('(');
    out.push_str(document.written_name(id));
    for (_, name, value) in document.attributes(id) {
        out.push_str(&format!(" {name}={value:?}"));
    }
    for child in document.children(id) {
        match child {
            Child::Element(child) => shape(document, child, out),
            Child::Text(text) => out.push_str(&format!(" {text:?}")),
        }
    }
    out.push(')');
}

#[track_caller]
fn accepted(xml: &str, expected: &str) {
    let document = document(xml).unwrap_or_else(|rejection| panic!("{xml}: {rejection}"));
    let mut out = String::new();
    shape(&document, Document::ROOT, &mut out);
    assert_eq!(out, expected);
}

#[test]
fn reads_elements_attributes_and_text() {
    accepted(" <a/> ", "(a)");
    accepted("<a b='1'  c = \"2\"\n/>", r#"(a b="1" c="2")"#);
    accepted("<a>x<b/>y<c>z</c ></a>", r#"(a "x"(b) "y"(c "z"))"#);
    accepted("<a>&lt;&#65;&#x10FFFF;&amp;gt; > ]] ></a>", "(a \"<A\\u{10ffff}&gt; > ]] >\")");
    accepted("<a b='x\ty\nz&#10;&#9;&quot;'/>", r#"(a b="x y z\n\t\"")"#);
    accepted("<a>x\ty\n&amp;\t</a>", r#"(a "x\ty\n&\t")"#);
    accepted("<p:a xmlns:p='urn:x' p:b='1' b='2'><p:c/></p:a>", r#"(p:a p:b="1" b="2"(p:c))"#);
    accepted("<a xmlns='urn:x'><b xmlns='urn:y'/><b xmlns=''/></a>", "(a(b)(b))");
    accepted("<a xmlns:p='urn:x'><b xmlns:p='urn:x'/></a>", "(a(b))");
    accepted("<a><b xmlns:p='urn:x'/><b xmlns:p='urn:y'/></a>", "(a(b)(b))");
}

#[test]
fn names_are_compared_by_namespace_and_not_by_prefix() {
    let xml = "<x:Response xmlns:x='urn:oasis:names:tc:SAML:2.0:protocol'><Assertion xmlns='urn:oasis:names:tc:SAML:2.0:assertion'/><samlp:Response xmlns:samlp='urn:other'/></x:Response>";
    let document = document(xml).unwrap();
    let tags: Vec<Tag> = (0..3).map(|id| document.tag(NodeId(id))).collect();
    assert_eq!(tags, [Tag::Response, Tag::Assertion, Tag::Unknown]);
}

#[test]
fn refuses_markup_that_no_response_needs() {
    refused("<!DOCTYPE a><a/>", "xml_doctype_forbidden");
    refused("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "xml_doctype_forbidden");
    refused("<a><!-- x --></a>", "xml_comment_forbidden");
    refused("<!-- x --><a/>", "xml_comment_forbidden");
    refused("<a/><!-- x -->", "xml_comment_forbidden");
    refused("<a><![CDATA[x]]></a>", "xml_cdata_forbidden");
    refused("<a><?x y?></a>", "xml_processing_instruction_forbidden");
    refused(" <?xml version='1.0'?><a/>", "xml_processing_instruction_forbidden");
    refused("<a><!ENTITY x 'y'></a>", "xml_doctype_forbidden");
}

#[test]
fn refuses_references_beyond_the_predefined() {
    for text in [
        "&x;",
        "&#0;",
        "&#x0;",
        "&#xD800;",
        "&#xFFFF;",
        "&#X41;",
        "&#;",
        "&#x;",
        "&#x00000041;",
        "&#+65;",
        "& ",
        "&lt",
        "&",
        "&LT;",
        "&#1;",
        "&#xfffe;",
        "&#x110000;",
    ] {
        refused(&format!("<a>{text}</a>"), "xml_entity_forbidden");
        refused(&format!("<a b='{text}'/>"), "xml_entity_forbidden");
    }
}

#[test]
fn refuses_what_is_not_well_formed() {
    for xml in [
        "",
        " ",
        "x",
        "<a",
        "<a>",
        "<a></b>",
        "<a><b></a></b>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a b/>",
        "<a b=1/>",
        "<a b='1'c='2'/>",
        "<a b='<'/>",
        "<a b='1' b='2'/>",
        "<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='1' q:b='2'/>",
        "<a xmlns:p='urn:x' xmlns:p='urn:x'/>",
        "<a>]]></a>",
        "<a>&amp;]]></a>",
        "<1/>",
        "<:a/>",
        "<a:/>",
        "<a:b:c/>",
        "< a/>",
        "<a/ >",
        "</a>",
        "<a></a",
        "<a b='1'",
        "<a b='1",
        "<\u{e4}/>",
        "<a></ a>",
    ] {
        refused(xml, "xml_malformed");
    }
}

#[test]
fn refuses_namespaces_that_parsers_disagree_about() {
    for xml in [
        "<p:a/>",
        "<a p:b='1'/>",
        "<a xmlns:p=''/>",
        "<a xmlns:p='1'/>",
        "<a xmlns='x/y'/>",
        "<a xmlns:p='urn:'/>",
        "<a xmlns:p='urn:x y'/>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xmlns='urn:x'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns:p='urn:x'><b xmlns:p='urn:y'/></a>",
        "<a xmlns:p='urn:\u{e4}'/>",
    ] {
        refused(xml, "xml_namespace_forbidden");
    }
}

#[test]
fn spends_its_limits_and_no_more() {
    let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
    accepted(&nested(16), &("(a".repeat(16) + &")".repeat(16)));
    refused(&nested(17), "xml_limit_exceeded");
    refused(&format!("<a>{}</a>", "<b/>".repeat(4_000)), "xml_limit_exceeded");
    assert!(document(&format!("<a>{}</a>", "<b/>".repeat(3_999))).is_ok());
    let attributes = |count: usize| format!("<a {}/>", (0..count).map(|n| format!("a{n}='' ")).collect::<String>());
    assert!(document(&attributes(24)).is_ok());
    refused(&attributes(25), "xml_limit_exceeded");
    let many = |count: usize| {
        let each = "<b a='' b='' c='' d='' e='' f='' g='' h=''/>".repeat(count / 8);
        format!("<a>{each}{}</a>", "<b a=''/>".repeat(count % 8))
    };
    assert!(document(&many(8_000)).is_ok());
    refused(&many(8_001), "xml_limit_exceeded");
    let namespaces =
        |count: usize| format!("<a {}/>", (0..count).map(|n| format!("xmlns:a{n}='urn:x{n}' ")).collect::<String>());
    assert!(document(&namespaces(16)).is_ok());
    refused(&namespaces(17), "xml_limit_exceeded");
    refused(&format!("<{}/>", "a".repeat(129)), "xml_limit_exceeded");
    refused(&format!("<a b='{}'/>", "x".repeat(4097)), "xml_limit_exceeded");
    assert!(document(&format!("<a b='{}'/>", "&amp;".repeat(4096))).is_ok());
    refused(&format!("<a>{}</a>", "x".repeat(65_537)), "xml_limit_exceeded");
    refused(&format!("<a xmlns:p='urn:{}'/>", "x".repeat(253)), "xml_limit_exceeded");
}

/// The names of the elements whose subtree is as every canonicalization writes it.
#[track_caller]
fn verbatim(inner: &str, expected: &str) {
    let document = document(&format!("<p:r xmlns:p=\"u:p\" xmlns:q=\"u:p\">{inner}</p:r>")).unwrap();
    let elements = document.descendants(Document::ROOT);
    let names: Vec<&str> =
        elements.filter(|id| document.node(*id).unwrap().verbatim).map(|id| document.written_name(id)).collect();
    assert_eq!(names.join(" "), expected, "{inner}");
}

#[test]
fn knows_what_canonicalization_would_copy_as_it_is() {
    verbatim("<p:a b=\"1\" c=\"'\">x<p:d></p:d> </p:a>", "p:a p:d");
    for other in [
        "<p:a/>",
        "<p:a ></p:a>",
        "<p:a></p:a >",
        "<p:a  b=\"1\"></p:a>",
        "<p:a\nb=\"1\"></p:a>",
        "<p:a b =\"1\"></p:a>",
        "<p:a b= \"1\"></p:a>",
        "<p:a b='1'></p:a>",
        "<p:a b=\"1\" ></p:a>",
        "<p:a b=\"&amp;\"></p:a>",
        "<p:a c=\"1\" b=\"2\"></p:a>",
        "<p:a p:b=\"1\"></p:a>",
        "<p:a xml:lang=\"en\"></p:a>",
        "<p:a xmlns:p=\"u:p\"></p:a>",
        "<p:a>&amp;</p:a>",
        "<p:a>></p:a>",
        "<q:a></q:a>",
        "<a></a>",
    ] {
        verbatim(other, "");
        verbatim(&format!("<p:e><p:f></p:f>{other}<p:g></p:g></p:e>"), "p:f p:g");
    }
    verbatim("<q:a><q:b></q:b></q:a>", "q:b");
    let commented = XmlText::admit(b"<r><a><!----></a><b></b></r>".to_vec()).unwrap();
    let commented = parse(commented, &Limits::METADATA, Comments::Skip).unwrap();
    let seen: Vec<bool> = commented.nodes.iter().map(|node| node.verbatim).collect();
    assert_eq!(seen, [false, false, true]);
}

#[test]
fn a_name_read_before_means_what_it_means_here() {
    let tags = |xml: &str| {
        let document = document(xml).unwrap();
        let elements = std::iter::once(Document::ROOT).chain(document.descendants(Document::ROOT));
        elements.map(|id| format!("{:?}/{:?}", document.namespace(id), document.tag(id))).collect::<Vec<_>>().join(" ")
    };
    let (saml, samlp) =
        ("xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\"", "xmlns=\"urn:oasis:names:tc:SAML:2.0:protocol\"");
    assert_eq!(
        tags(&format!(
            "<Assertion {saml}><Assertion {samlp}><Assertion></Assertion></Assertion><Assertion></Assertion></Assertion>"
        )),
        "Saml/Assertion Samlp/Unknown Samlp/Unknown Saml/Assertion"
    );
    assert_eq!(
        tags(&format!(
            "<Assertion><Assertion {saml}/><Assertion></Assertion><Assertion {saml}></Assertion></Assertion>"
        )),
        "None/Unknown Saml/Assertion None/Unknown Saml/Assertion"
    );
    // Names that begin alike for sixteen bytes.
    assert_eq!(
        tags(&format!(
            "<AuthnContextClassRef {saml}><AuthnContextClassRe></AuthnContextClassRe><AuthnContextClassRef_/><AuthnContextClassRef></AuthnContextClassRef></AuthnContextClassRef>"
        )),
        "Saml/AuthnContextClassRef Saml/Unknown Saml/Unknown Saml/AuthnContextClassRef"
    );
    refused("<a xmlns:p=\"u:p\"><b xmlns:q=\"u:q\"><q:c/></b><q:c/></a>", "xml_namespace_forbidden");
    refused("<aaaaaaaaaaaaaaaaaaaa><aaaaaaaaaaaaaaaaaaaa:b/></aaaaaaaaaaaaaaaaaaaa>", "xml_namespace_forbidden");
}
