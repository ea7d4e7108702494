//! Elements that are written in canonical form by construction.
//!
//! Each namespace is declared on the element that first visibly uses it, attributes are sorted, there are
//! no empty-element tags and no comments, and text is escaped as Exclusive XML Canonicalization 1.0
//! (§3, over Canonical XML 1.0 §2.3) writes it. What is signed is therefore the written string itself;
//! nothing here parses or canonicalises a document.

use std::collections::BTreeMap;

/// A namespace with the prefix that stands for it. The default namespace is not used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespace {
    pub prefix: &'static str,
    pub uri: &'static str,
}

/// Prefixes and what they mean at some place of a document.
pub type Scope = BTreeMap<&'static str, &'static str>;

#[derive(Debug, Clone)]
pub struct Element {
    namespace: Namespace,
    name: &'static str,
    attributes: Vec<Attribute>,
    children: Vec<Node>,
    /// Written instead of everything else.
    raw: Option<String>,
}

#[derive(Debug, Clone)]
struct Attribute {
    namespace: Option<Namespace>,
    name: &'static str,
    value: String,
}

#[derive(Debug, Clone)]
enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    pub fn new(namespace: Namespace, name: &'static str) -> Self {
        Self { namespace, name, attributes: Vec::new(), children: Vec::new(), raw: None }
    }

    /// An element that was written elsewhere, and that must declare every namespace that it uses.
    pub fn raw(canonical: String) -> Self {
        Self { raw: Some(canonical), ..Self::new(Namespace { prefix: "", uri: "" }, "") }
    }

    pub fn attribute(self, name: &'static str, value: impl Into<String>) -> Self {
        self.any_attribute(None, name, value.into())
    }

    /// Leaves the attribute out where there is no value.
    pub fn optional_attribute(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.attribute(name, value),
            None => self,
        }
    }

    pub fn qualified_attribute(self, namespace: Namespace, name: &'static str, value: impl Into<String>) -> Self {
        self.any_attribute(Some(namespace), name, value.into())
    }

    fn any_attribute(mut self, namespace: Option<Namespace>, name: &'static str, value: String) -> Self {
        self.attributes.push(Attribute { namespace, name, value });
        self
    }

    pub fn child(mut self, child: Element) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    pub fn children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children.into_iter().map(Node::Element));
        self
    }

    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.children.push(Node::Text(text.into()));
        self
    }

    /// The same element with one more child at `index`.
    pub fn with_child_at(mut self, index: usize, child: Element) -> Self {
        self.children.insert(index, Node::Element(child));
        self
    }

    /// What is in scope for the children of this element when it stands where `inherited` is in scope.
    pub fn scope_for_children(&self, inherited: &Scope) -> Scope {
        let mut scope = inherited.clone();
        scope.extend(self.declarations(inherited));
        scope
    }

    /// The element as the apex of exclusive canonicalisation: it declares what it and its descendants use, itself.
    pub fn exclusive(&self) -> String {
        self.inclusive(&Scope::new())
    }

    /// The element as the apex of inclusive canonicalisation below ancestors that put `inherited` in scope:
    /// the apex shows every namespace in scope, used or not (Canonical XML 1.0 §2.4).
    pub fn inclusive(&self, inherited: &Scope) -> String {
        let mut out = String::new();
        let shown = self.scope_for_children(inherited);
        self.write_with(&shown, &shown, &mut out);
        out
    }

    fn write(&self, inherited: &Scope, out: &mut String) {
        self.write_with(&self.declarations(inherited), &self.scope_for_children(inherited), out);
    }

    fn write_with(&self, declared: &Scope, scope: &Scope, out: &mut String) {
        if let Some(raw) = &self.raw {
            out.push_str(raw);
            return;
        }
        out.push('<');
        self.write_name(out);
        for (prefix, uri) in declared {
            write_attribute(&format!("xmlns:{prefix}"), uri, out);
        }
        for attribute in self.sorted_attributes() {
            match attribute.namespace {
                Some(namespace) => {
                    write_attribute(&format!("{}:{}", namespace.prefix, attribute.name), &attribute.value, out);
                }
                None => write_attribute(attribute.name, &attribute.value, out),
            }
        }
        out.push('>');
        for child in &self.children {
            match child {
                Node::Element(element) => element.write(scope, out),
                Node::Text(text) => escape_text(text, out),
            }
        }
        out.push_str("</");
        self.write_name(out);
        out.push('>');
    }

    fn write_name(&self, out: &mut String) {
        out.push_str(self.namespace.prefix);
        out.push(':');
        out.push_str(self.name);
    }

    /// The namespaces that this element visibly uses and that are not in scope already.
    fn declarations(&self, inherited: &Scope) -> Scope {
        let of_attributes = self.attributes.iter().filter_map(|attribute| attribute.namespace);
        std::iter::once(self.namespace)
            .chain(of_attributes)
            .filter(|namespace| inherited.get(namespace.prefix) != Some(&namespace.uri))
            .map(|namespace| (namespace.prefix, namespace.uri))
            .collect()
    }

    /// By namespace name, then local name; no namespace comes first.
    fn sorted_attributes(&self) -> Vec<&Attribute> {
        let mut sorted: Vec<_> = self.attributes.iter().collect();
        sorted.sort_by_key(|attribute| (attribute.namespace.map_or("", |namespace| namespace.uri), attribute.name));
        sorted
    }
}

fn write_attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            _ => out.push(c),
        }
    }
    out.push('"');
}

fn escape_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Namespace = Namespace { prefix: "a", uri: "urn:a" };
    const B: Namespace = Namespace { prefix: "b", uri: "urn:b" };
    const X: Namespace = Namespace { prefix: "x", uri: "urn:0" };

    #[test]
    fn declares_a_namespace_once_where_it_is_first_used() {
        let element =
            Element::new(A, "r").child(Element::new(B, "c").child(Element::new(B, "d"))).child(Element::new(B, "e"));
        assert_eq!(
            element.exclusive(),
            r#"<a:r xmlns:a="urn:a"><b:c xmlns:b="urn:b"><b:d></b:d></b:c><b:e xmlns:b="urn:b"></b:e></a:r>"#
        );
    }

    #[test]
    fn nested_element_is_the_same_string_as_its_own_exclusive_apex() {
        let child = Element::new(B, "c").attribute("ID", "1").text("t");
        let parent = Element::new(A, "r").child(child.clone());
        assert!(parent.exclusive().contains(&child.exclusive()));
    }

    #[test]
    fn inclusive_apex_shows_namespaces_of_ancestors_that_it_does_not_use() {
        let parent = Element::new(A, "r");
        let child = Element::new(B, "c").child(Element::new(A, "d"));
        let inherited = parent.scope_for_children(&Scope::new());
        assert_eq!(child.inclusive(&inherited), r#"<b:c xmlns:a="urn:a" xmlns:b="urn:b"><a:d></a:d></b:c>"#);
        assert_eq!(child.exclusive(), r#"<b:c xmlns:b="urn:b"><a:d xmlns:a="urn:a"></a:d></b:c>"#);
    }

    #[test]
    fn sorts_attributes_by_namespace_name_and_not_by_prefix() {
        let element = Element::new(A, "r")
            .qualified_attribute(B, "attr", "of b")
            .qualified_attribute(X, "attr", "of x")
            .attribute("z", "2")
            .attribute("B", "1");
        assert_eq!(
            element.exclusive(),
            r#"<a:r xmlns:a="urn:a" xmlns:b="urn:b" xmlns:x="urn:0" B="1" z="2" x:attr="of x" b:attr="of b"></a:r>"#
        );
    }

    /// The characters of Canonical XML 1.0 §3.4, "Character Modifications and Character References".
    #[test]
    fn escapes_as_canonical_xml_writes_it() {
        let element = Element::new(A, "r").attribute("v", "\"&<>'\t\n\r é").text("\"&<>'\t\n\r é");
        assert_eq!(
            element.exclusive(),
            "<a:r xmlns:a=\"urn:a\" v=\"&quot;&amp;&lt;>'&#x9;&#xA;&#xD; é\">\"&amp;&lt;&gt;'\t\n&#xD; é</a:r>"
        );
    }
}
