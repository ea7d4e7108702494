//! Canonicalization without comments: Exclusive XML Canonicalization 1.0, and Canonical XML 1.0 and 1.1,
//! which are the same here, for no `xml:*` attribute can be inherited into a signed part.
//!
//! What it cannot write within its bound is an error by type, and its output is never empty: an element has at least
//! its two tags.

use std::cmp::Ordering;

use super::lexical::same;
use super::tree::{Attribute, Declaration, Document, Element, Kind, NodeId, QName};
use crate::rejection::Rejection;

/// How an element is written; chosen by a Signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Method {
    /// With the prefixes of an InclusiveNamespaces, `#default` written as the empty string.
    Exclusive {
        prefixes: Vec<String>,
    },
    Inclusive,
}

/// The canonical form of an element.
#[derive(Debug)]
pub(crate) struct CanonicalBytes(String);

impl CanonicalBytes {
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// By how much a canonical form may be longer than its document. Canonicalization writes a namespace again on each
/// sibling that uses it, and is paid for before a digest can be wrong.
const MAX_GROWTH: usize = 8;

/// The canonical form of the element `id`, without the subtree of `skip`.
///
/// # Errors
/// It is more than eight times as long as the whole document; nothing is written beyond that.
pub(crate) fn canonicalize(
    document: &Document,
    id: NodeId,
    skip: Option<NodeId>,
    method: &Method,
) -> Result<CanonicalBytes, Rejection> {
    // Rarely longer than its source; if so, it grows.
    let text = String::with_capacity(document.source_length(id) + 512);
    let limit = MAX_GROWTH * document.source.len();
    let mut copy = Copy { source: &document.source, text, from: 0, to: 0, limit };
    Writer::new(document, skip, method, &mut copy).write(id);
    copy.flush();
    if copy.is_settled() {
        return Err(Rejection::XmlLimitExceeded { what: "bytes in a canonical form", limit });
    }
    Ok(CanonicalBytes(copy.text))
}

/// Whether the document was parsed from its own canonical form.
pub(crate) fn is_canonical_form(document: &Document, method: &Method) -> bool {
    let mut comparison = Comparison { source: &document.source, agreed: Some(0) };
    Writer::new(document, None, method, &mut comparison).write(Document::ROOT);
    comparison.agreed == Some(document.source.len())
}

trait Sink {
    fn put(&mut self, text: &str);

    /// As [`Self::put`] of `source[start..end]`.
    fn put_source(&mut self, start: usize, end: usize);

    /// Whether nothing that is put can change the outcome any more.
    fn is_settled(&self) -> bool {
        false
    }
}

/// Appends to `text`. What follows each other in the source too is copied in one go: of a source that is
/// canonical already, all around the Signature.
struct Copy<'a> {
    source: &'a str,
    text: String,
    /// A piece of the source that comes next and is not yet copied.
    from: usize,
    to: usize,
    /// The most that is written.
    limit: usize,
}

impl Copy<'_> {
    fn flush(&mut self) {
        if self.from != self.to {
            self.text.push_str(self.source.get(self.from..self.to).unwrap_or_default());
            self.from = self.to;
        }
    }
}

impl Sink for Copy<'_> {
    #[inline(always)]
    fn put(&mut self, text: &str) {
        let next = self.source.as_bytes().get(self.to..).unwrap_or_default();
        if next.starts_with(text.as_bytes()) {
            self.to += text.len();
        } else {
            self.flush();
            self.text.push_str(text);
        }
    }

    #[inline]
    fn put_source(&mut self, start: usize, end: usize) {
        if start != self.to {
            self.flush();
            self.from = start;
        }
        self.to = end;
    }

    fn is_settled(&self) -> bool {
        self.text.len() > self.limit
    }
}

/// How far the source is what was put; `None` once something else came.
struct Comparison<'a> {
    source: &'a str,
    agreed: Option<usize>,
}

impl Sink for Comparison<'_> {
    #[inline]
    fn put(&mut self, text: &str) {
        let agreed = self
            .agreed
            .filter(|agreed| self.source.as_bytes().get(*agreed..).unwrap_or_default().starts_with(text.as_bytes()));
        self.agreed = agreed.map(|agreed| agreed + text.len());
    }

    #[inline]
    fn put_source(&mut self, start: usize, end: usize) {
        if self.agreed == Some(start) {
            self.agreed = Some(end);
        } else {
            self.put(self.source.get(start..end).unwrap_or_default());
        }
    }
}

/// A prefix and the namespace name that it stands for.
#[derive(Clone, Copy)]
struct Binding<'a> {
    prefix: Prefix<'a>,
    uri: &'a str,
}

/// Compared at every element with all in scope, so by its first bytes, which are mostly the whole.
#[derive(Clone, Copy)]
struct Prefix<'a> {
    whole: &'a str,
    /// Filled up with NUL, which no prefix holds, so that it makes no two of them alike.
    first: u64,
    rest: &'a [u8],
}

impl<'a> Prefix<'a> {
    fn of(whole: &'a str) -> Self {
        let mut first = [0; 8];
        first.iter_mut().zip(whole.bytes()).for_each(|(to, from)| *to = from);
        Self { whole, first: u64::from_ne_bytes(first), rest: whole.as_bytes().get(8..).unwrap_or_default() }
    }
}

impl PartialEq for Prefix<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.first == other.first && same(self.rest, other.rest)
    }
}

struct Writer<'a, S> {
    document: &'a Document,
    skip: Option<NodeId>,
    method: &'a Method,
    sink: &'a mut S,
    /// Declared by the source, innermost last.
    scope: Vec<Binding<'a>>,
    /// Written so far, innermost last.
    written: Vec<Binding<'a>>,
    /// Of the element around, if it was written.
    parent_prefix: Option<Prefix<'a>>,
    /// Working space of one element.
    to_write: Vec<Binding<'a>>,
    sorted: Vec<&'a Attribute>,
}

impl<'a, S: Sink> Writer<'a, S> {
    fn new(document: &'a Document, skip: Option<NodeId>, method: &'a Method, sink: &'a mut S) -> Self {
        let scope = Vec::with_capacity(16);
        let written = Vec::with_capacity(16);
        Self {
            document,
            skip,
            method,
            sink,
            scope,
            written,
            parent_prefix: None,
            to_write: Vec::with_capacity(8),
            sorted: Vec::with_capacity(8),
        }
    }

    fn write(&mut self, apex: NodeId) {
        self.enter_ancestors(apex);
        self.element(apex, Position::Apex);
    }

    /// Puts what the apex's ancestors declare into scope, outermost first.
    fn enter_ancestors(&mut self, apex: NodeId) {
        let ancestors: Vec<NodeId> = self.document.with_ancestors(apex).skip(1).collect();
        for ancestor in ancestors.into_iter().rev() {
            self.enter(self.document.element(ancestor));
        }
    }

    fn enter(&mut self, element: &'a Element) {
        let document = self.document;
        let declared = document.declarations_of(element);
        let binding = |declared: &Declaration| Binding {
            prefix: Prefix::of(document.str(declared.prefix)),
            uri: document.str(declared.uri),
        };
        self.scope.extend(declared.iter().map(binding));
    }

    /// Recursion is bounded by the parser's limit of depth.
    fn element(&mut self, id: NodeId, position: Position) {
        let document = self.document;
        let element = document.element(id);
        let scope = self.scope.len();
        let written = self.written.len();
        self.enter(element);

        let name = element.name;
        // A start tag has its `<` right before the name.
        self.sink.put_source(name.start().saturating_sub(1), name.end());
        let prefix = Prefix::of(document.prefix(element.name));
        self.namespaces(element, prefix, scope, position);
        self.attributes(element);
        self.sink.put(">");
        let around = self.parent_prefix.replace(prefix);
        self.content(id);
        self.parent_prefix = around;
        self.end_tag(id, name);

        self.scope.truncate(scope);
        self.written.truncate(written);
    }

    fn end_tag(&mut self, id: NodeId, name: QName) {
        match self.document.node(id).map_or(0, |node| node.end_tag) as usize {
            0 => {
                self.sink.put("</");
                self.sink.put(self.document.name(name));
            }
            start => self.sink.put_source(start, start + 2 + usize::from(name.length)),
        }
        self.sink.put(">");
    }

    fn content(&mut self, id: NodeId) {
        let document = self.document;
        let Some(end) = document.node(id).map(|node| node.end) else { return };
        let mut next = NodeId(id.0 + 1);
        while next.0 < end && !self.sink.is_settled() {
            let Some(node) = document.node(next) else { return };
            match node.kind {
                _ if self.skip == Some(next) => {}
                Kind::Element(element) if node.verbatim && !self.skips_below(next, node.end) => {
                    let name = element.name;
                    let end = node.end_tag as usize + 2 + usize::from(name.length) + 1;
                    self.sink.put_source(name.start().saturating_sub(1), end);
                }
                Kind::Element(_) => self.element(next, Position::Inside),
                Kind::Text { span, plain: true } => self.sink.put_source(span.start(), span.end()),
                Kind::Text { span, plain: false } => self.escaped_text(document.str(span)),
            }
            next = NodeId(node.end);
        }
    }

    /// Whether what is left out stands in the subtree of `id`, which ends before `end`.
    fn skips_below(&self, id: NodeId, end: u32) -> bool {
        self.skip.is_some_and(|skip| (id.0..end).contains(&skip.0))
    }

    fn namespaces(&mut self, element: &'a Element, own: Prefix<'a>, scope_before: usize, position: Position) {
        if matches!(position, Position::Inside) && scope_before == self.scope.len() && self.has_written(element, own) {
            return;
        }
        self.to_write.clear();
        match self.method {
            Method::Exclusive { prefixes } => self.visibly_utilized(element, own, prefixes),
            Method::Inclusive => self.all_in_scope(scope_before, position),
        }
        self.to_write.sort_unstable_by_key(|binding| binding.prefix.whole);
        for at in 0..self.to_write.len() {
            let Some(Binding { prefix: Prefix { whole: prefix, .. }, uri }) = self.to_write.get(at).copied() else {
                break;
            };
            if prefix.is_empty() {
                self.sink.put(" xmlns=\"");
            } else {
                self.sink.put(" xmlns:");
                self.sink.put(prefix);
                self.sink.put("=\"");
            }
            // A namespace name is a URI or empty, and of what is escaped in a value a URI may hold one.
            if uri.as_bytes().contains(&b'&') {
                self.escaped_value(uri);
            } else {
                self.sink.put(uri);
            }
            self.sink.put("\"");
        }
        self.written.append(&mut self.to_write);
    }

    /// Whether an element without declarations needs none in the output: its parent, under the same scope,
    /// was written with what a PrefixList asks for, so its own prefixes are all that could be new.
    fn has_written(&self, element: &Element, own: Prefix<'a>) -> bool {
        let document = self.document;
        match self.method {
            Method::Inclusive => true,
            Method::Exclusive { .. } => {
                self.parent_prefix == Some(own)
                    && document.attributes_of(element).iter().all(|attribute| attribute.name.prefix_length == 0)
            }
        }
    }

    /// Exclusive XML Canonicalization 1.0 §3: the prefixes of the element and of its attributes, and
    /// those of the InclusiveNamespaces that are in scope.
    fn visibly_utilized(&mut self, element: &'a Element, own: Prefix<'a>, inclusive: &'a [String]) {
        let document = self.document;
        self.need(own);
        for attribute in document.attributes_of(element) {
            if attribute.name.prefix_length != 0 {
                self.need(Prefix::of(document.prefix(attribute.name)));
            }
        }
        for prefix in inclusive {
            self.need(Prefix::of(prefix));
        }
    }

    /// Canonical XML 1.0 §2.3: at the apex everything in scope, further in what the element declares.
    fn all_in_scope(&mut self, scope_before: usize, position: Position) {
        let first = match position {
            Position::Apex => 0,
            Position::Inside => scope_before,
        };
        for at in first..self.scope.len() {
            if let Some(Binding { prefix, .. }) = self.scope.get(at).copied() {
                self.need(prefix);
            }
        }
    }

    /// Notes `prefix` unless an ancestor in the output says the same of it.
    fn need(&mut self, prefix: Prefix<'a>) {
        let find = |list: &[Binding<'a>]| list.iter().rev().find(|other| other.prefix == prefix).map(|found| found.uri);
        let Some(uri) = find(&self.scope) else { return };
        let already = find(&self.written);
        // An undeclared default is written only where an ancestor in the output has one.
        let same = already.map_or(uri.is_empty(), |already| std::ptr::eq(already, uri) || already == uri);
        if !same && !self.to_write.iter().any(|other| other.prefix == prefix) {
            self.to_write.push(Binding { prefix, uri });
        }
    }

    /// By namespace name, then local name; those in no namespace first.
    fn attributes(&mut self, element: &'a Element) {
        let document = self.document;
        let attributes = document.attributes_of(element);
        if attributes.is_sorted_by(|one, other| order(document, one, other).is_le()) {
            attributes.iter().for_each(|attribute| self.attribute(attribute));
            return;
        }
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.clear();
        sorted.extend(attributes);
        sorted.sort_unstable_by(|one, other| order(document, one, other));
        sorted.iter().for_each(|attribute| self.attribute(attribute));
        self.sorted = sorted;
    }

    fn attribute(&mut self, attribute: &Attribute) {
        let document = self.document;
        if is_verbatim(document, attribute) {
            self.sink.put_source(attribute.name.start() - 1, attribute.value.end() + 1);
            return;
        }
        let name = attribute.name;
        let source = document.source.as_bytes();
        if source.get(name.start().saturating_sub(1)) == Some(&b' ') {
            self.sink.put_source(name.start().saturating_sub(1), name.end());
        } else {
            self.sink.put(" ");
            self.sink.put_source(name.start(), name.end());
        }
        self.sink.put("=\"");
        let value = document.str(attribute.value);
        if attribute.plain {
            self.sink.put_source(attribute.value.start(), attribute.value.end());
        } else {
            self.escaped_value(value);
        }
        self.sink.put("\"");
    }

    fn escaped_text(&mut self, text: &str) {
        self.escaped(text, |byte| match byte {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'>' => Some("&gt;"),
            b'\r' => Some("&#xD;"),
            _ => None,
        });
    }

    fn escaped_value(&mut self, value: &str) {
        self.escaped(value, |byte| match byte {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'"' => Some("&quot;"),
            b'\t' => Some("&#x9;"),
            b'\n' => Some("&#xA;"),
            b'\r' => Some("&#xD;"),
            _ => None,
        });
    }

    /// Byte by byte: text that comes here holds escapes, and a search for each would cost more the denser
    /// they stand.
    fn escaped(&mut self, text: &str, escape: impl Fn(u8) -> Option<&'static str>) {
        let mut start = 0;
        for (at, byte) in text.bytes().enumerate() {
            if let Some(escaped) = escape(byte) {
                self.sink.put(text.get(start..at).unwrap_or_default());
                self.sink.put(escaped);
                start = at + 1;
            }
        }
        self.sink.put(text.get(start..).unwrap_or_default());
    }
}

#[derive(Clone, Copy)]
enum Position {
    Apex,
    Inside,
}

/// Whether the source has ` name="value"`, as it is written. A plain value is one of the source, behind the
/// quote that ends it too; with two bytes between them, `=` and a quote stand behind the name.
fn is_verbatim(document: &Document, attribute: &Attribute) -> bool {
    let (name, value) = (attribute.name, attribute.value);
    let at = |place: usize| document.source.as_bytes().get(place);
    attribute.plain
        && at(name.start().saturating_sub(1)) == Some(&b' ')
        && value.start() == name.end() + 2
        && at(name.end() + 1) == Some(&b'"')
}

/// By namespace name, then local name. Of two without a prefix neither has a namespace.
fn order(document: &Document, one: &Attribute, other: &Attribute) -> Ordering {
    let local = || document.local(one.name).cmp(document.local(other.name));
    if one.name.prefix_length == 0 && other.name.prefix_length == 0 {
        return local();
    }
    let namespace = |attribute: &Attribute| match document.prefix(attribute.name) {
        "xml" => super::names::XML_NAMESPACE,
        _ => document.str(attribute.namespace),
    };
    namespace(one).cmp(namespace(other)).then_with(local)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::xml::{Comments, Limits, XmlText, parse};

    fn exclusive(prefixes: &[&str]) -> Method {
        Method::Exclusive { prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect() }
    }

    /// Canonicalizes the node at `path` (child element numbers) and compares.
    #[track_caller]
    fn check(xml: &str, node: u32, skip: Option<u32>, method: &Method, expected: &str) {
        let text = XmlText::admit(xml.as_bytes().to_vec()).unwrap();
        let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
        let seen = canonicalize(&document, NodeId(node), skip.map(NodeId), method).unwrap();
        assert_eq!(seen.as_str(), expected);
        let again =
            parse(XmlText::admit(seen.as_slice().to_vec()).unwrap(), &Limits::RESPONSE, Comments::Refuse).unwrap();
        assert!(is_canonical_form(&again, method));
        if xml.contains("/>") {
            assert!(!is_canonical_form(&document, method), "{xml} holds an empty-element tag");
        }
    }

    // Canonical XML 1.0 §3.3, Start and End Tags, without the document type that gives defaults.
    #[test]
    fn writes_start_and_end_tags_as_the_recommendation_shows() {
        let xml = concat!(
            "<doc>\n   <e1   />\n   <e2   ></e2>\n   <e3   name = \"elem3\"   id=\"elem3\"   />\n",
            "   <e4   name=\"elem4\"   id=\"elem4\"   ></e4>\n",
            "   <e5 a:attr=\"out\" b:attr=\"sorted\" attr2=\"all\" attr=\"I'm\"\n      xmlns:b=\"http://www.ietf.org\"\n",
            "      xmlns:a=\"http://www.w3.org\"\n      xmlns=\"http://example.org\"/>\n",
            "   <e6 xmlns=\"\" xmlns:a=\"http://www.w3.org\">\n      <e7 xmlns=\"http://www.ietf.org\">\n",
            "         <e8 xmlns=\"\" xmlns:a=\"http://www.w3.org\">\n            <e9 xmlns=\"\" xmlns:a=\"http://www.ietf.org\"/>\n",
            "         </e8>\n      </e7>\n   </e6>\n</doc>",
        );
        let xml = xml.replace("<e9 xmlns=\"\" xmlns:a=\"http://www.ietf.org\"/>", "<e9 xmlns=\"\" attr=\"default\"/>");
        let expected = concat!(
            "<doc>\n   <e1></e1>\n   <e2></e2>\n   <e3 id=\"elem3\" name=\"elem3\"></e3>\n   <e4 id=\"elem4\" name=\"elem4\"></e4>\n",
            "   <e5 xmlns=\"http://example.org\" xmlns:a=\"http://www.w3.org\" xmlns:b=\"http://www.ietf.org\" attr=\"I'm\" attr2=\"all\" b:attr=\"sorted\" a:attr=\"out\"></e5>\n",
            "   <e6 xmlns:a=\"http://www.w3.org\">\n      <e7 xmlns=\"http://www.ietf.org\">\n         <e8 xmlns=\"\">\n",
            "            <e9 attr=\"default\"></e9>\n         </e8>\n      </e7>\n   </e6>\n</doc>",
        );
        check(&xml, 0, None, &Method::Inclusive, expected);
    }

    // Canonical XML 1.0 §3.4, Character Modifications and Character References.
    #[test]
    fn escapes_as_the_recommendation_shows() {
        let xml = concat!(
            "<doc>\n   <text>First line&#x0d;&#10;Second line</text>\n   <value>&#x32;</value>\n",
            "   <compute expr='value>\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"'>valid</compute>\n",
            "   <norm attr=' &apos;   &#x20;&#13;&#xa;&#9;   &apos; '/>\n</doc>",
        );
        let expected = concat!(
            "<doc>\n   <text>First line&#xD;\nSecond line</text>\n   <value>2</value>\n",
            "   <compute expr=\"value>&quot;0&quot; &amp;&amp; value&lt;&quot;10&quot; ?&quot;valid&quot;:&quot;error&quot;\">valid</compute>\n",
            "   <norm attr=\" '    &#xD;&#xA;&#x9;   ' \"></norm>\n</doc>",
        );
        check(xml, 0, None, &Method::Inclusive, expected);
        check(xml, 0, None, &exclusive(&[]), expected);
    }

    // Exclusive XML Canonicalization 1.0 §2.2: the same element in two surroundings.
    #[test]
    fn exclusive_form_does_not_depend_on_the_surroundings() {
        let inner = "<n1:elem2 xmlns:n1=\"http://example.net\" xml:lang=\"en\"><n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>";
        let one = format!("<n0:pdu xmlns:n0=\"http://a.example\" xmlns:n9=\"urn:unused\">{inner}</n0:pdu>");
        let two = format!(
            "<n2:pdu xmlns:n1=\"http://example.net\" xmlns:n2=\"http://foo.example\" xmlns:n3=\"ftp://example.org\">{inner}</n2:pdu>"
        );
        check(&one, 1, None, &exclusive(&[]), inner);
        check(&two, 1, None, &exclusive(&[]), inner);
    }

    #[test]
    fn inclusive_form_takes_every_namespace_in_scope() {
        let xml = "<a xmlns=\"urn:d\" xmlns:p=\"urn:p\"><b xmlns:q=\"urn:q\"><c/></b></a>";
        check(xml, 1, None, &Method::Inclusive, "<b xmlns=\"urn:d\" xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"><c></c></b>");
        check(xml, 1, None, &exclusive(&[]), "<b xmlns=\"urn:d\"><c></c></b>");
        check(xml, 1, None, &exclusive(&["p", "gone"]), "<b xmlns=\"urn:d\" xmlns:p=\"urn:p\"><c></c></b>");
    }

    #[test]
    fn the_default_namespace_can_be_in_the_prefix_list_and_be_taken_away() {
        check(
            "<p:a xmlns:p=\"urn:p\" xmlns=\"urn:d\"><p:b/></p:a>",
            0,
            None,
            &exclusive(&[""]),
            "<p:a xmlns=\"urn:d\" xmlns:p=\"urn:p\"><p:b></p:b></p:a>",
        );
        check(
            "<a xmlns=\"urn:d\"><b xmlns=\"\"><c xmlns=\"urn:d\"/></b></a>",
            0,
            None,
            &exclusive(&[]),
            "<a xmlns=\"urn:d\"><b xmlns=\"\"><c xmlns=\"urn:d\"></c></b></a>",
        );
        check("<a xmlns=\"urn:d\"><b xmlns=\"\"/></a>", 1, None, &Method::Inclusive, "<b></b>");
    }

    #[test]
    fn leaves_out_the_skipped_subtree_and_nothing_else() {
        check("<a>x<b><c/></b>y<b/></a>", 0, Some(2), &exclusive(&[]), "<a>xy<b></b></a>");
    }

    #[test]
    fn attributes_are_sorted_by_namespace_name_and_not_by_prefix() {
        let xml = "<a xmlns:z=\"urn:1\" xmlns:y=\"urn:2\" y:k=\"1\" z:k=\"2\" k=\"3\" xml:lang=\"en\"/>";
        check(
            xml,
            0,
            None,
            &exclusive(&[]),
            "<a xmlns:y=\"urn:2\" xmlns:z=\"urn:1\" k=\"3\" xml:lang=\"en\" z:k=\"2\" y:k=\"1\"></a>",
        );
    }

    #[test]
    fn leaves_out_what_stands_deep_in_a_subtree_that_is_canonical_already() {
        let xml = "<p:r xmlns:p=\"urn:p\"><p:a><p:b>x<p:c>y</p:c>z</p:b></p:a><p:d></p:d></p:r>";
        for method in [Method::Inclusive, exclusive(&[])] {
            check(xml, 0, None, &method, xml);
            check(xml, 0, Some(4), &method, &xml.replace("<p:c>y</p:c>", ""));
            check(xml, 0, Some(2), &method, &xml.replace("<p:b>x<p:c>y</p:c>z</p:b>", ""));
        }
    }

    #[test]
    fn each_part_of_a_start_tag_is_written_anew_where_it_is_written_otherwise() {
        for (written, canonical) in [
            (" k=\"1\"", " k=\"1\""),
            ("\nk=\"1\"", " k=\"1\""),
            ("\tk=\"1\"", " k=\"1\""),
            ("  k=\"1\"", " k=\"1\""),
            (" k='1'", " k=\"1\""),
            (" k =\"1\"", " k=\"1\""),
            (" k= \"1\"", " k=\"1\""),
            (" k='\"'", " k=\"&quot;\""),
            (" k=\"&#49;\"", " k=\"1\""),
            (" k=\"\t\"", " k=\" \""),
            (" k=\"1\" ", " k=\"1\""),
            (" k=\"1\" j=\"2\"", " j=\"2\" k=\"1\""),
            (" k=\"1\" p:a=\"2\"", " k=\"1\" p:a=\"2\""),
            (" p:a=\"2\" k=\"1\"", " k=\"1\" p:a=\"2\""),
            (" p:a=\"2\" xml:lang=\"en\" k=\"1\"", " k=\"1\" xml:lang=\"en\" p:a=\"2\""),
            (" xml:lang=\"en\" z=\"1\"", " z=\"1\" xml:lang=\"en\""),
        ] {
            for method in [Method::Inclusive, exclusive(&[])] {
                let xml = format!("<p:r xmlns:p=\"urn:p\"><p:a{written}>t</p:a></p:r>");
                check(&xml, 0, None, &method, &format!("<p:r xmlns:p=\"urn:p\"><p:a{canonical}>t</p:a></p:r>"));
            }
        }
    }

    #[test]
    fn prefixes_are_told_apart_by_all_their_letters() {
        for (one, other) in
            [("as", "bs"), ("sa", "sb"), ("s", "sa"), ("longprefa", "longprefb"), ("longpref", "longprefa")]
        {
            let inner = format!("<{other}:b xmlns:{other}=\"urn:2\"></{other}:b>");
            let xml = format!("<{one}:a xmlns:{one}=\"urn:1\">{inner}</{one}:a>");
            check(&xml, 0, None, &exclusive(&[]), &xml);
            check(&xml, 1, None, &exclusive(&[]), &inner);
            let declared = format!("<{one}:a xmlns:{one}=\"urn:1\" xmlns:{other}=\"urn:2\"><{other}:b/></{one}:a>");
            check(&declared, 0, None, &exclusive(&[]), &xml);
        }
    }

    /// The pieces in which an element is put, `=` before those that are copied from the source.
    #[derive(Default)]
    struct Pieces<'a> {
        source: &'a str,
        pieces: Vec<String>,
    }

    impl Sink for Pieces<'_> {
        fn put(&mut self, text: &str) {
            self.pieces.push(text.to_owned());
        }

        fn put_source(&mut self, start: usize, end: usize) {
            self.pieces.push(format!("={}", &self.source[start..end]));
        }
    }

    #[test]
    fn a_canonical_form_out_of_proportion_is_an_error() {
        // Each `<x/>` has the namespace declared again, as long as it has to be for eight times the source.
        let xml = |length: usize, count: usize| {
            let apex =
                format!("<p:a xmlns:p=\"urn:p\" xmlns=\"urn:{}\">{}</p:a>", "x".repeat(length), "<x/>".repeat(count));
            let text = XmlText::admit(apex.clone().into_bytes()).unwrap();
            let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
            let form = canonicalize(&document, Document::ROOT, None, &exclusive(&[]));
            (apex.len(), form.map(|form| form.as_slice().len()))
        };
        let (source, form) = xml(12, 1_000);
        assert!(form.as_ref().is_ok_and(|form| *form > 7 * source && *form <= 8 * source), "{form:?} of {source}");
        for length in [13, 100, 200] {
            let (source, form) = xml(length, 1_000);
            let what = "bytes in a canonical form";
            assert_eq!(form, Err(Rejection::XmlLimitExceeded { what, limit: 8 * source }), "{length}");
        }
    }

    #[test]
    fn a_copy_is_over_its_limit_with_one_byte_more() {
        let mut copy = Copy { source: "", text: String::new(), from: 0, to: 0, limit: 3 };
        copy.put("abc");
        assert!(!copy.is_settled());
        copy.put("d");
        assert!(copy.is_settled());
    }

    // Its element has the prefix of the one around, so nothing but the attribute asks for a declaration.
    #[test]
    fn the_prefix_of_an_attribute_is_declared_where_it_is_first_used() {
        let xml = "<p:r xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"><p:a q:k=\"v\"><p:b q:k=\"v\"/></p:a></p:r>";
        let expected = "<p:r xmlns:p=\"urn:p\"><p:a xmlns:q=\"urn:q\" q:k=\"v\"><p:b q:k=\"v\"></p:b></p:a></p:r>";
        check(xml, 0, None, &exclusive(&[]), expected);
    }

    #[test]
    fn nothing_is_written_once_a_canonical_form_is_out_of_proportion() {
        let xml = format!("<p:a xmlns:p=\"urn:p\" xmlns=\"urn:{}\">{}</p:a>", "x".repeat(200), "<x/>".repeat(1_000));
        let text = XmlText::admit(xml.into_bytes()).unwrap();
        let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
        let limit = 10_000;
        let mut copy = Copy { source: &document.source, text: String::new(), from: 0, to: 0, limit };
        Writer::new(&document, None, &exclusive(&[]), &mut copy).write(Document::ROOT);
        assert!(copy.is_settled() && copy.text.len() < limit + 1_000, "{}", copy.text.len());
    }

    #[test]
    fn what_stands_in_the_source_as_it_is_to_be_written_is_copied_in_pieces_as_large_as_can_be() {
        let xml = "<p:r xmlns:p=\"urn:p\" k=\"1\"><p:a><p:b k=\"v\">x</p:b>y</p:a><p:c><p:d/></p:c></p:r>";
        let text = XmlText::admit(xml.as_bytes().to_vec()).unwrap();
        let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
        let mut sink = Pieces { source: xml, pieces: Vec::new() };
        let skip = NodeId(document.nodes.len() as u32 - 1);
        Writer::new(&document, Some(skip), &exclusive(&[]), &mut sink).write(Document::ROOT);
        assert_eq!(
            sink.pieces,
            [
                "=<p:r",
                " xmlns:",
                "p",
                "=\"",
                "urn:p",
                "\"",
                "= k=\"1\"",
                ">",
                "=<p:a><p:b k=\"v\">x</p:b>y</p:a>",
                "=<p:c",
                ">",
                "=</p:c",
                ">",
                "=</p:r",
                ">",
            ]
        );
    }

    /// What surrounds each part of a start tag, and what it holds: written as canonicalization does, or in one of the
    /// ways in which it does not.
    fn start_tag() -> impl Strategy<Value = (String, String)> {
        let name = prop::sample::select(vec!["p:n", "p:n", "p:m", "q:n", "n"]);
        let parts = [
            " a=\"1\"",
            " b=\"2\"",
            " c='3'",
            "  d=\"4\"",
            "\ne=\"5\"",
            " f =\"6\"",
            " g= \"7\"",
            " h=\"&lt;\"",
            " i='\"'",
            " j=\"'>\"",
            " p:k=\"8\"",
            " xml:lang=\"en\"",
            " xmlns:p=\"u:p\"",
            " xmlns:r=\"u:r\"",
            " xmlns=\"u:d\"",
            " xmlns=\"\"",
        ];
        let parts = prop::sample::subsequence(parts.to_vec(), 0..3).prop_shuffle();
        (name, parts, prop::sample::select(vec!["", "", "", " "])).prop_filter_map(
            "xmlns twice",
            |(name, parts, end)| {
                let twice = parts.iter().filter(|part| part.starts_with(" xmlns=")).count() > 1;
                (!twice).then(|| (name.to_owned(), format!("<{name}{}{end}", parts.concat())))
            },
        )
    }

    fn element() -> impl Strategy<Value = String> {
        let text = || prop::sample::select(vec!["", "x", " ", "&amp;", "a>b", "&#13;"]);
        let leaf = (start_tag(), text(), prop::bool::weighted(0.2)).prop_map(|((name, start), text, empty)| {
            if empty { format!("{start}/>") } else { format!("{start}>{text}</{name}>") }
        });
        leaf.prop_recursive(4, 24, 4, move |inner| {
            let space = prop::sample::select(vec!["", "", "", "\n"]);
            (start_tag(), prop::collection::vec((text(), inner), 1..4), space).prop_map(
                |((name, start), content, space)| {
                    let content: String = content.into_iter().map(|(text, inner)| format!("{text}{inner}")).collect();
                    format!("{start}>{content}</{name}{space}>")
                },
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn a_subtree_copied_whole_is_what_its_elements_written_one_by_one_are(inner in element()) {
            let xml = format!("<p:r xmlns=\"u:d\" xmlns:p=\"u:p\" xmlns:q=\"u:q\">{inner}</p:r>");
            let text = XmlText::admit(xml.clone().into_bytes()).unwrap();
            let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
            let text = XmlText::admit(xml.into_bytes()).unwrap();
            let mut one_by_one = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
            one_by_one.nodes.iter_mut().for_each(|node| node.verbatim = false);
            let elements: Vec<NodeId> = std::iter::once(Document::ROOT).chain(document.descendants(Document::ROOT)).collect();
            for method in [Method::Inclusive, exclusive(&[]), exclusive(&["", "q"])] {
                for apex in &elements {
                    for skip in elements.iter().map(|skip| Some(*skip)).chain([None]).filter(|skip| *skip != Some(*apex)) {
                        let seen = canonicalize(&document, *apex, skip, &method).map(|bytes| bytes.0);
                        prop_assert_eq!(seen, canonicalize(&one_by_one, *apex, skip, &method).map(|bytes| bytes.0));
                    }
                }
                prop_assert_eq!(is_canonical_form(&document, &method), is_canonical_form(&one_by_one, &method));
            }
        }
    }
}
