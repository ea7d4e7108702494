//! The tree: nodes in document order, so that the subtree of a node is a range and nothing is linked.

use super::names::{Attr, AttrSet, Namespace, Tag};

/// A piece of text: of the source, or of the arena of decoded values. Spans are the most of a tree, so they are
/// two words, and which text it is stands in the highest bit of the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    pub(super) const EMPTY: Self = Self { start: 0, length: 0 };
    /// One past the last place that a span can begin at.
    pub(super) const LIMIT: u32 = 1 << 31;

    /// Of a start below [`Self::LIMIT`].
    pub(super) const fn in_source(start: u32, length: u32) -> Self {
        Self { start, length }
    }

    /// Of a start below [`Self::LIMIT`].
    pub(super) const fn in_arena(start: u32, length: u32) -> Self {
        Self { start: start | Self::LIMIT, length }
    }

    pub(super) const fn is_in_arena(self) -> bool {
        self.start & Self::LIMIT != 0
    }

    pub(super) const fn start(self) -> usize {
        (self.start & !Self::LIMIT) as usize
    }

    pub(super) const fn length(self) -> usize {
        self.length as usize
    }

    pub(super) const fn end(self) -> usize {
        self.start() + self.length()
    }

    pub(super) const fn range(self) -> std::ops::Range<usize> {
        self.start()..self.end()
    }
}

/// A qualified name, as written in the source: `prefix:local` or `local`.
#[derive(Clone, Copy, Debug)]
pub(super) struct QName {
    pub(super) start: u32,
    /// Of all of it; names are at most 128 bytes long.
    pub(super) length: u8,
    /// Zero without a prefix.
    pub(super) prefix_length: u8,
}

impl QName {
    pub(super) const EMPTY: Self = Self { start: 0, length: 0, prefix_length: 0 };

    pub(super) const fn start(self) -> usize {
        self.start as usize
    }

    pub(super) const fn end(self) -> usize {
        self.start as usize + self.length as usize
    }

    pub(super) const fn whole(self) -> std::ops::Range<usize> {
        self.start()..self.end()
    }

    pub(super) const fn prefix_span(self) -> Span {
        Span::in_source(self.start, self.prefix_length as u32)
    }

    pub(super) const fn prefix(self) -> std::ops::Range<usize> {
        self.start()..self.start() + self.prefix_length as usize
    }

    pub(super) const fn local(self) -> std::ops::Range<usize> {
        // Behind the colon.
        let skip = self.prefix_length as usize + (self.prefix_length != 0) as usize;
        self.start() + skip..self.end()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(pub(super) u32);

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) parent: u32,
    /// One past the last node of the subtree.
    pub(super) end: u32,
    /// Where the source has its end tag, of the same name as the start tag; zero where there is none.
    pub(super) end_tag: u32,
    /// Inside the element around, the source has its subtree as every canonicalization writes it: it and
    /// all below it declare nothing and have the prefix of the element around, double quotes, attributes
    /// without a prefix and in order, plain text, and no space that could be left out.
    pub(super) verbatim: bool,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Element(Element),
    Text {
        span: Span,
        /// Canonicalization copies it as it is.
        plain: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    pub(super) name: QName,
    pub(super) tag: Tag,
    pub(super) namespace: Namespace,
    /// Which attributes there are.
    pub(super) held: AttrSet,
    pub(super) attributes: (u32, u32),
    pub(super) declarations: (u32, u32),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    pub(super) name: QName,
    pub(super) attr: Attr,
    pub(super) value: Span,
    /// The namespace's name; empty where there is none.
    pub(super) namespace: Span,
    /// Canonicalization copies the value as it is.
    pub(super) plain: bool,
}

/// `xmlns="uri"` or `xmlns:prefix="uri"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declaration {
    pub(super) prefix: Span,
    pub(super) uri: Span,
}

/// What stands for a node that does not exist: of no known name, so no grammar accepts it.
const NOTHING: Element = Element {
    name: QName::EMPTY,
    tag: Tag::Unknown,
    namespace: Namespace::None,
    held: AttrSet::EMPTY,
    attributes: (0, 0),
    declarations: (0, 0),
};

/// A parsed document. It cannot be changed.
#[derive(Debug)]
pub(crate) struct Document {
    pub(super) source: String,
    pub(super) arena: String,
    pub(super) nodes: Vec<Node>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) declarations: Vec<Declaration>,
}

impl Document {
    pub(crate) const ROOT: NodeId = NodeId(0);

    pub(super) fn str(&self, span: Span) -> &str {
        let text = if span.is_in_arena() { &self.arena } else { &self.source };
        text.get(span.range()).unwrap_or_default()
    }

    /// As it is written, with its prefix.
    pub(super) fn name(&self, name: QName) -> &str {
        self.source.get(name.whole()).unwrap_or_default()
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }

    pub(super) fn element(&self, id: NodeId) -> &Element {
        match self.node(id) {
            Some(Node { kind: Kind::Element(element), .. }) => element,
            _ => &NOTHING,
        }
    }

    /// How much of the source an element takes up, or a little more.
    pub(super) fn source_length(&self, id: NodeId) -> usize {
        let start = self.element(id).name.start();
        let next = self.node(id).and_then(|node| self.nodes.get(node.end as usize));
        let end = match next.map(|next| next.kind) {
            Some(Kind::Element(next)) => next.name.start(),
            Some(Kind::Text { span, .. }) if !span.is_in_arena() => span.start(),
            _ => self.source.len(),
        };
        end.saturating_sub(start)
    }

    pub(crate) fn tag(&self, id: NodeId) -> Tag {
        self.element(id).tag
    }

    pub(crate) fn namespace(&self, id: NodeId) -> Namespace {
        self.element(id).namespace
    }

    /// As written, with its prefix: for messages only.
    pub(crate) fn written_name(&self, id: NodeId) -> &str {
        self.name(self.element(id).name)
    }

    pub(super) fn prefix(&self, name: QName) -> &str {
        self.source.get(name.prefix()).unwrap_or_default()
    }

    pub(super) fn local(&self, name: QName) -> &str {
        self.source.get(name.local()).unwrap_or_default()
    }

    pub(super) fn attributes_of(&self, element: &Element) -> &[Attribute] {
        let (start, end) = element.attributes;
        self.attributes.get(start as usize..end as usize).unwrap_or_default()
    }

    pub(super) fn declarations_of(&self, element: &Element) -> &[Declaration] {
        let (start, end) = element.declarations;
        self.declarations.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The element's attributes with their written names and values, without namespace declarations.
    pub(crate) fn attributes(&self, id: NodeId) -> impl Iterator<Item = (Attr, &str, &str)> {
        self.attributes_of(self.element(id))
            .iter()
            .map(|attribute| (attribute.attr, self.name(attribute.name), self.str(attribute.value)))
    }

    /// The written name of the first attribute that is none of `allowed`.
    pub(crate) fn attribute_outside(&self, id: NodeId, allowed: AttrSet) -> Option<&str> {
        let element = self.element(id);
        if element.held.is_within(allowed) {
            return None;
        }
        let attributes = self.attributes_of(element);
        attributes.iter().find(|attribute| !allowed.contains(attribute.attr)).map(|found| self.name(found.name))
    }

    /// Of each attribute whose written name is `id`, in some case, the element and the value.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (NodeId, &str)> {
        (0..).zip(&self.nodes).flat_map(move |(id, node)| {
            let attributes = match &node.kind {
                Kind::Element(element) => self.attributes_of(element),
                Kind::Text { .. } => &[],
            };
            let named = |attribute: &&Attribute| {
                let name = attribute.name;
                name.length == 2 && self.name(name).eq_ignore_ascii_case("id")
            };
            attributes.iter().filter(named).map(move |attribute| (NodeId(id), self.str(attribute.value)))
        })
    }

    /// The written names of attributes of a namespace that has no place of its own, with the namespaces' names.
    pub(crate) fn foreign_attributes(&self, id: NodeId) -> impl Iterator<Item = (&str, &str)> {
        self.attributes_of(self.element(id))
            .iter()
            .filter(|attribute| attribute.attr == Attr::Foreign)
            .map(|attribute| (self.name(attribute.name), self.str(attribute.namespace)))
    }

    pub(crate) fn attribute(&self, id: NodeId, wanted: Attr) -> Option<&str> {
        let element = self.element(id);
        if !element.held.contains(wanted) {
            return None;
        }
        let found = self.attributes_of(element).iter().find(|attribute| attribute.attr == wanted)?;
        Some(self.str(found.value))
    }

    /// Elements and texts, in order.
    pub(crate) fn children(&self, id: NodeId) -> Children<'_> {
        let end = self.node(id).map_or(0, |node| node.end);
        Children { document: self, next: id.0.saturating_add(1), end }
    }

    /// The concatenated text of an element that holds nothing else; `None` if it holds an element.
    pub(crate) fn text_only(&self, id: NodeId) -> Option<&str> {
        let mut children = self.children(id);
        match (children.next(), children.next()) {
            (None, _) => Some(""),
            // Without comments and CDATA a run of text is one node.
            (Some(Child::Text(text)), None) => Some(text),
            _ => None,
        }
    }

    /// Where the text of an element that holds nothing else stands in the source; `None` where it was decoded.
    #[cfg(feature = "test-support")]
    pub(crate) fn text_place(&self, id: NodeId) -> Option<std::ops::Range<usize>> {
        match self.node(NodeId(id.0.saturating_add(1)))?.kind {
            Kind::Text { span, .. } if !span.is_in_arena() => Some(span.range()),
            _ => None,
        }
    }

    /// The node, the one around it, and so on up to the root.
    pub(crate) fn with_ancestors(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(id), |id| match *id {
            Self::ROOT => None,
            id => self.node(id).map(|node| NodeId(node.parent)),
        })
    }

    /// Every node of the subtree below `id` that is an element, in document order.
    pub(crate) fn descendants(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let end = self.node(id).map_or(0, |node| node.end);
        (id.0.saturating_add(1)..end)
            .map(NodeId)
            .filter(|id| matches!(self.node(*id), Some(Node { kind: Kind::Element(_), .. })))
    }
}

pub(crate) enum Child<'a> {
    Element(NodeId),
    Text(&'a str),
}

pub(crate) struct Children<'a> {
    document: &'a Document,
    next: u32,
    end: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = Child<'a>;

    fn next(&mut self) -> Option<Child<'a>> {
        if self.next >= self.end {
            return None;
        }
        let id = NodeId(self.next);
        let node = self.document.node(id)?;
        self.next = node.end;
        Some(match node.kind {
            Kind::Element(_) => Child::Element(id),
            Kind::Text { span, .. } => Child::Text(self.document.str(span)),
        })
    }
}
