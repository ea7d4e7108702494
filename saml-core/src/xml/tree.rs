//! The tree: nodes in document order, so that the subtree of a node is a range and nothing is linked.

use super::names::{Attr, AttrSet, Namespace, Tag};

/// A piece of text: of the source, or of the arena of decoded values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) in_arena: bool,
}

impl Span {
    pub(super) const EMPTY: Self = Self { start: 0, end: 0, in_arena: false };
}

/// A qualified name, as written: `prefix:local` or `local`.
#[derive(Clone, Copy, Debug)]
pub(super) struct QName {
    pub(super) span: Span,
    /// Zero without a prefix; names are at most 128 bytes long.
    pub(super) prefix_length: u8,
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
    name: QName { span: Span::EMPTY, prefix_length: 0 },
    tag: Tag::Unknown,
    namespace: Namespace::None,
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
        let text = if span.in_arena { &self.arena } else { &self.source };
        text.get(span.start as usize..span.end as usize).unwrap_or_default()
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
        let start = self.element(id).name.span.start as usize;
        let next = self.node(id).and_then(|node| self.nodes.get(node.end as usize));
        let end = match next.map(|next| next.kind) {
            Some(Kind::Element(next)) => next.name.span.start as usize,
            Some(Kind::Text { span, .. }) if !span.in_arena => span.start as usize,
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
        self.str(self.element(id).name.span)
    }

    pub(super) fn prefix(&self, name: QName) -> &str {
        self.str(name.span).get(..usize::from(name.prefix_length)).unwrap_or_default()
    }

    pub(super) fn local(&self, name: QName) -> &str {
        let skip = if name.prefix_length == 0 { 0 } else { usize::from(name.prefix_length) + 1 };
        self.str(name.span).get(skip..).unwrap_or_default()
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
            .map(|attribute| (attribute.attr, self.str(attribute.name.span), self.str(attribute.value)))
    }

    /// The written name of the first attribute that is none of `allowed`.
    pub(crate) fn attribute_outside(&self, id: NodeId, allowed: AttrSet) -> Option<&str> {
        let attributes = self.attributes_of(self.element(id));
        attributes.iter().find(|attribute| !allowed.contains(attribute.attr)).map(|found| self.str(found.name.span))
    }

    /// Of each attribute whose written name is `id`, in some case, the element and the value.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (NodeId, &str)> {
        (0..).zip(&self.nodes).flat_map(move |(id, node)| {
            let attributes = match &node.kind {
                Kind::Element(element) => self.attributes_of(element),
                Kind::Text { .. } => &[],
            };
            let named = |attribute: &&Attribute| {
                let name = attribute.name.span;
                name.end - name.start == 2 && self.str(name).eq_ignore_ascii_case("id")
            };
            attributes.iter().filter(named).map(move |attribute| (NodeId(id), self.str(attribute.value)))
        })
    }

    /// The written names of attributes of a namespace that has no place of its own, with the namespaces' names.
    pub(crate) fn foreign_attributes(&self, id: NodeId) -> impl Iterator<Item = (&str, &str)> {
        self.attributes_of(self.element(id))
            .iter()
            .filter(|attribute| attribute.attr == Attr::Foreign)
            .map(|attribute| (self.str(attribute.name.span), self.str(attribute.namespace)))
    }

    pub(crate) fn attribute(&self, id: NodeId, wanted: Attr) -> Option<&str> {
        let found = self.attributes_of(self.element(id)).iter().find(|attribute| attribute.attr == wanted)?;
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
            Kind::Text { span, .. } if !span.in_arena => Some(span.start as usize..span.end as usize),
            _ => None,
        }
    }

    #[cfg(feature = "test-support")]
    pub(crate) fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.node(id).map(|node| NodeId(node.parent))
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
