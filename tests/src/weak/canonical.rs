//! Exclusive XML Canonicalization 1.0 and Canonical XML 1.0 over roxmltree, written from the
//! recommendations and for clarity alone.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

/// How an element is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Method {
    pub inclusive: bool,
    pub comments: bool,
    /// Of an InclusiveNamespaces; `#default` is the empty prefix.
    pub prefixes: Vec<String>,
}

impl Method {
    /// By the identifier of an algorithm.
    pub fn of(uri: &str) -> Option<Self> {
        let (uri, comments) = match uri.strip_suffix("WithComments") {
            Some(plain) => (plain.strip_suffix('#').filter(|base| base.contains("REC-xml")).unwrap_or(plain), true),
            None => (uri, false),
        };
        let inclusive = match uri {
            "http://www.w3.org/2001/10/xml-exc-c14n#" => false,
            "http://www.w3.org/TR/2001/REC-xml-c14n-20010315" | "http://www.w3.org/2006/12/xml-c14n11" => true,
            _ => return None,
        };
        Some(Self { inclusive, comments, prefixes: Vec::new() })
    }
}

/// The canonical form of `node`, without what `skip` names.
pub fn canonicalize(node: Node<'_, '_>, method: &Method, skip: &dyn Fn(Node<'_, '_>) -> bool) -> String {
    let mut writer = Writer { method, skip, out: String::new() };
    writer.element(node, &BTreeMap::new());
    writer.out
}

/// As it is written, prefix included.
pub fn written_name<'a>(node: Node<'a, '_>) -> &'a str {
    name_at(node.document(), node.range().start + 1)
}

fn name_at<'a>(document: &'a Document<'_>, start: usize) -> &'a str {
    let text = &document.input_text()[start..];
    let end = text.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/' | '=')).unwrap_or(text.len());
    &text[..end]
}

fn prefix_of(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

struct Writer<'a> {
    method: &'a Method,
    skip: &'a dyn Fn(Node<'_, '_>) -> bool,
    out: String,
}

impl Writer<'_> {
    /// `rendered`: what the ancestors in the output say of each prefix.
    fn element(&mut self, node: Node<'_, '_>, rendered: &BTreeMap<String, String>) {
        let name = written_name(node);
        let mut attributes: Vec<_> = node
            .attributes()
            .map(|attribute| (attribute, &node.document().input_text()[attribute.range_qname()]))
            .collect();
        attributes.sort_by_key(|(attribute, _)| (attribute.namespace().unwrap_or_default(), attribute.name()));

        self.out.push('<');
        self.out.push_str(name);
        let mut rendered = rendered.clone();
        for (prefix, uri) in self.namespaces(node, name, attributes.iter().map(|(_, name)| *name)) {
            let known = rendered.get(&prefix).map_or("", String::as_str);
            if known != uri {
                let declared = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
                self.attribute(&declared, &uri);
                rendered.insert(prefix, uri);
            }
        }
        for (attribute, name) in &attributes {
            self.attribute(name, attribute.value());
        }
        self.out.push('>');
        for child in node.children().filter(|child| !(self.skip)(*child)) {
            if child.is_element() {
                self.element(child, &rendered);
            } else if child.is_text() {
                self.text(child.text().unwrap_or_default());
            } else if let Some(instruction) = child.pi() {
                let value = instruction.value.map(|value| format!(" {value}")).unwrap_or_default();
                self.out.push_str(&format!("<?{}{value}?>", instruction.target));
            } else if child.is_comment() && self.method.comments {
                self.out.push_str(&format!("<!--{}-->", child.text().unwrap_or_default()));
            }
        }
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// The prefixes that this element shows, with what is in scope for them.
    fn namespaces<'n>(
        &self,
        node: Node<'_, '_>,
        name: &str,
        attributes: impl Iterator<Item = &'n str>,
    ) -> BTreeMap<String, String> {
        let in_scope: BTreeMap<String, String> = node
            .namespaces()
            .map(|namespace| (namespace.name().unwrap_or_default().to_owned(), namespace.uri().to_owned()))
            .filter(|(prefix, _)| prefix != "xml")
            .collect();
        let mut shown: Vec<String> = if self.method.inclusive {
            in_scope.keys().cloned().chain([String::new()]).collect()
        } else {
            attributes.map(prefix_of).filter(|prefix| !prefix.is_empty()).map(str::to_owned).collect()
        };
        shown.push(prefix_of(name).to_owned());
        shown.extend(self.method.prefixes.iter().filter(|prefix| in_scope.contains_key(*prefix)).cloned());
        shown
            .into_iter()
            .filter(|prefix| prefix != "xml")
            .map(|prefix| {
                let uri = in_scope.get(&prefix).cloned().unwrap_or_default();
                (prefix, uri)
            })
            .collect()
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push_str(&format!(" {name}=\""));
        for c in value.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '"' => self.out.push_str("&quot;"),
                '\t' => self.out.push_str("&#x9;"),
                '\n' => self.out.push_str("&#xA;"),
                '\r' => self.out.push_str("&#xD;"),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '\r' => self.out.push_str("&#xD;"),
                c => self.out.push(c),
            }
        }
    }
}
