//! The transforms of a Reference: two where they are closed, whatever the message says where they are not.

use roxmltree::Node;

use super::DS;
use super::canonical::Method;
use super::verifier::{Refused, Verifier};
use super::weakness::Weakness as W;

const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const XPATH: &str = "http://www.w3.org/TR/1999/REC-xpath-19991116";
const XSLT: &str = "http://www.w3.org/TR/1999/REC-xslt-19991116";

/// Where a NUL of the message is kept while roxmltree, which knows none, holds it.
pub(super) const NUL: char = '\u{f8ff}';

/// As the octets were sent.
pub(super) fn external(text: &str) -> String {
    text.replace(NUL, "\0")
}

impl Verifier<'_> {
    pub(super) fn transformed(
        &self,
        target: Node<'_, '_>,
        signature: Node<'_, '_>,
        reference: Node<'_, '_>,
    ) -> Result<String, Refused> {
        let transforms: Vec<_> = self
            .child(reference, DS, "Transforms")
            .map(|list| self.children(list, DS, "Transform").collect())
            .unwrap_or_default();
        let algorithm = |node: &Node<'_, '_>| node.attribute("Algorithm").unwrap_or_default().to_owned();
        let closed = matches!(transforms.as_slice(), [first, second]
            if algorithm(first) == ENVELOPED && Method::of(&algorithm(second)).is_some());
        let open = [W::RunsXslt, W::RunsXPath, W::IgnoresTransforms, W::TransformsFirst];
        if !closed && !self.has_one_of(&open) {
            return Err("other transforms".into());
        }
        let mut xpath = None;
        let mut canonical = None;
        let skip = |node: Node<'_, '_>, xpath: Option<&str>| {
            let enveloped = node == signature || (self.has(W::StripsEverySignature) && self.is(node, DS, "Signature"));
            enveloped || xpath.is_some_and(|expression| leaves_out(expression, node))
        };
        for transform in &transforms {
            match algorithm(transform).as_str() {
                ENVELOPED => {}
                XSLT if self.has(W::RunsXslt) => self.run_stylesheet(*transform),
                XPATH if self.has(W::RunsXPath) => {
                    xpath = self.child(*transform, DS, "XPath").and_then(|node| node.text());
                }
                uri if Method::of(uri).is_some() => {
                    let text = self.canonical_by(*transform, target, &|node| skip(node, xpath))?;
                    if self.has(W::TransformsFirst) {
                        self.work(text.len());
                    }
                    canonical = Some(text);
                }
                _ if self.has_one_of(&[W::IgnoresTransforms, W::TransformsFirst]) => {}
                _ => return Err("another transform".into()),
            }
        }
        if xpath.is_some_and(|expression| leaves_out(expression, target)) {
            return Ok(String::new());
        }
        match canonical {
            Some(canonical) => Ok(canonical),
            None if self.has_one_of(&open) => {
                let method = Method::default();
                Ok(super::canonical::canonicalize(target, &method, &|node| skip(node, xpath)))
            }
            None => Err("no canonicalization".into()),
        }
    }

    /// Loops in loops: each level runs over the ten thousand nodes that a document may well have.
    fn run_stylesheet(&self, transform: Node<'_, '_>) {
        let loops = transform.descendants().filter(|node| node.tag_name().name() == "for-each").count();
        self.work(10_000_usize.saturating_pow(u32::try_from(loops).unwrap_or(u32::MAX)));
    }
}

/// The part of XPath that an attacker needs: `false()`, and `not(ancestor-or-self::NAME)`.
fn leaves_out(expression: &str, node: Node<'_, '_>) -> bool {
    let expression = expression.trim();
    if expression == "false()" {
        return true;
    }
    let name = expression.strip_prefix("not(ancestor-or-self::").and_then(|rest| rest.strip_suffix(')'));
    name.is_some_and(|name| node.is_element() && super::canonical::written_name(node) == name)
}
