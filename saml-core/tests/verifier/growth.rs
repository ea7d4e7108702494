//! No accepted document canonicalises to more than eight times its size: canonicalization writes a namespace again on
//! each sibling that uses it, and is paid for before a digest can be wrong.

use saml_core::Sign;

use crate::parties::{assert_accepted, assert_refused, good, key};

/// A response with `count` attributes, each with two attributes of foreign namespaces that the root declares.
fn with_foreign(count: usize, length_of_namespace: usize) -> String {
    let name = |letter: &str| format!("urn:{}", letter.repeat(length_of_namespace - 4));
    let xml = good().issue(key()).xml;
    let attributes = "<A:Attribute Name=\"a\" p:a=\"\" q:a=\"\"></A:Attribute>".repeat(count);
    let at = xml.rfind("<saml:Attribute ").unwrap();
    let root = xml.find("Response").unwrap() + "Response".len();
    let declarations = format!(
        " xmlns:A=\"urn:oasis:names:tc:SAML:2.0:assertion\" xmlns:p=\"{}\" xmlns:q=\"{}\"",
        name("p"),
        name("q")
    );
    [&xml[..root], &declarations, &xml[root..at], &attributes, &xml[at..]].concat()
}

#[test]
fn refuses_namespaces_by_which_a_canonical_form_grows_without_measure() {
    assert_accepted(&good().issue(key()).xml, Sign::AssertionAndResponse);
    assert_refused(&with_foreign(2_000, 256), Sign::AssertionAndResponse, "xml_limit_exceeded");
    assert_refused(&with_foreign(1, 97), Sign::AssertionAndResponse, "xml_limit_exceeded");
    // Of the right form: what is wrong with it is that it was not signed so.
    assert_refused(&with_foreign(1, 96), Sign::AssertionAndResponse, "digest_mismatch");
}
