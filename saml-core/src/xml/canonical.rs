//! Canonicalization without comments: Exclusive XML Canonicalization 1.0, and Canonical XML 1.0 and 1.1,
//! which are the same here, for no `xml:*` attribute can be inherited into a signed part.
//!
//! What it cannot write within its bound is an error by type, and its output is never empty: an element has at least
//! its two tags.

#[cfg(test)]
mod tests;

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
