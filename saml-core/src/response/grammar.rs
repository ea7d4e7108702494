//! Tools of the closed grammar: what an element holds is taken in order, and whatever is left is refused.

use crate::rejection::Rejection;
use crate::xml::{Attr, AttrSet, Child, Children, Document, NodeId, Tag};

/// The element children of an element that holds no text but white space.
pub(crate) struct Content<'a> {
    document: &'a Document,
    parent: NodeId,
    children: Children<'a>,
    ahead: Option<NodeId>,
}

impl<'a> Content<'a> {
    /// # Errors
    /// Text that is not white space.
    pub(crate) fn of(document: &'a Document, parent: NodeId) -> Result<Self, Rejection> {
        let holds_text = |child| matches!(child, Child::Text(text) if !is_white_space(text));
        if document.children(parent).any(holds_text) {
            return Err(refused(document, parent, "it holds text"));
        }
        let mut content = Self { document, parent, children: document.children(parent), ahead: None };
        content.advance();
        Ok(content)
    }

    fn advance(&mut self) {
        self.ahead = self.children.find_map(|child| match child {
            Child::Element(id) => Some(id),
            Child::Text(_) => None,
        });
    }

    /// The next child if it is a `tag`.
    pub(crate) fn optional(&mut self, tag: Tag) -> Option<NodeId> {
        let id = self.ahead.filter(|id| self.document.tag(*id) == tag)?;
        self.advance();
        Some(id)
    }

    pub(crate) fn required(&mut self, tag: Tag) -> Result<NodeId, Rejection> {
        self.optional(tag).ok_or_else(|| {
            refused(self.document, self.parent, &format!("{} is missing or not in its place", tag.local_name()))
        })
    }

    /// All next children that are a `tag`.
    pub(crate) fn repeated(&mut self, tag: Tag) -> Vec<NodeId> {
        std::iter::from_fn(|| self.optional(tag)).collect()
    }

    pub(crate) fn next(&mut self) -> Option<NodeId> {
        let id = self.ahead?;
        self.advance();
        Some(id)
    }

    /// # Errors
    /// Anything is left.
    pub(crate) fn end(mut self) -> Result<(), Rejection> {
        match self.next() {
            None => Ok(()),
            Some(child) => Err(self.unexpected(child)),
        }
    }

    pub(crate) fn unexpected(&self, child: NodeId) -> Rejection {
        let name = self.document.written_name(child);
        refused(self.document, self.parent, &format!("{name} has no place there"))
    }
}

pub(crate) fn refused(document: &Document, element: NodeId, problem: &str) -> Rejection {
    Rejection::ShapeForbidden { element: document.written_name(element).to_owned(), problem: problem.to_owned() }
}

fn is_white_space(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// # Errors
/// An attribute outside `allowed`.
pub(crate) fn attributes(document: &Document, id: NodeId, allowed: AttrSet) -> Result<(), Rejection> {
    match document.attribute_outside(id, allowed) {
        None => Ok(()),
        Some(name) => Err(Rejection::XmlAttributeForbidden {
            element: document.written_name(id).to_owned(),
            attribute: name.to_owned(),
        }),
    }
}

pub(crate) fn required_attribute<'a>(
    document: &'a Document,
    id: NodeId,
    attr: Attr,
    name: &str,
) -> Result<&'a str, Rejection> {
    document.attribute(id, attr).ok_or_else(|| refused(document, id, &format!("the attribute {name} is missing")))
}

/// # Errors
/// An element inside, or an attribute outside `allowed`.
pub(crate) fn text_with(document: &Document, id: NodeId, allowed: AttrSet) -> Result<&str, Rejection> {
    attributes(document, id, allowed)?;
    document.text_only(id).ok_or_else(|| refused(document, id, "it holds elements where only text belongs"))
}

/// # Errors
/// Any content, or an attribute outside `allowed`.
pub(crate) fn empty_with(document: &Document, id: NodeId, allowed: AttrSet) -> Result<(), Rejection> {
    attributes(document, id, allowed)?;
    Content::of(document, id)?.end()
}

/// # Errors
/// More than `most` or fewer than `least`.
pub(crate) fn count(
    document: &Document,
    id: NodeId,
    what: Tag,
    found: usize,
    least: usize,
    most: usize,
) -> Result<(), Rejection> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let name = what.local_name();
    Err(refused(document, id, &format!("it holds {found} of {name}, wanted {least} to {most}")))
}
