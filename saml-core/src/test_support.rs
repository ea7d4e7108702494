//! The parser and canonicalization by themselves, for the tests, fuzz targets and judges of this project.
//! Never in a build that serves.

use crate::rejection::Rejection;
pub use crate::response::resigned;
use crate::xml::canonical::{self, is_canonical_form};
use crate::xml::{Comments, Document, Limits, NodeId, XmlText};

/// How an element is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// With the prefixes of an InclusiveNamespaces, `#default` as the empty string.
    Exclusive {
        prefixes: Vec<String>,
    },
    Inclusive,
}

impl From<&Method> for canonical::Method {
    fn from(method: &Method) -> Self {
        match method {
            Method::Exclusive { prefixes } => Self::Exclusive { prefixes: prefixes.clone() },
            Method::Inclusive => Self::Inclusive,
        }
    }
}

/// A document that the strict parser admitted, under the limits of a Response.
#[derive(Debug)]
pub struct Tree(Document);

/// # Errors
/// Whatever the byte gate and the parser refuse.
pub fn parse(xml: &[u8]) -> Result<Tree, Rejection> {
    crate::xml::parse(XmlText::admit(xml.to_vec())?, &Limits::RESPONSE, Comments::Refuse).map(Tree)
}

/// The text that the byte gate lets through, without the XML declaration.
///
/// # Errors
/// Whatever the byte gate refuses.
pub fn admit(bytes: &[u8]) -> Result<String, Rejection> {
    let text = XmlText::admit(bytes.to_vec())?;
    let start = text.start();
    Ok(text.into_string().split_off(start))
}

/// The canonical form of the root element.
///
/// # Errors
/// As [`parse`], and a canonical form out of proportion.
pub fn canonicalize(xml: &[u8], method: &Method) -> Result<Vec<u8>, Rejection> {
    Ok(canonical::canonicalize(&parse(xml)?.0, Document::ROOT, None, &method.into())?.as_slice().to_vec())
}

impl Tree {
    /// The elements below the root, in document order; the root itself is number 0.
    fn element(&self, number: usize) -> Option<NodeId> {
        match number {
            0 => Some(Document::ROOT),
            number => self.0.descendants(Document::ROOT).nth(number - 1),
        }
    }

    /// How many elements there are, the root among them.
    pub fn elements(&self) -> usize {
        1 + self.0.descendants(Document::ROOT).count()
    }

    /// The name without its prefix; `None` where there is no such element.
    pub fn local_name(&self, element: usize) -> Option<String> {
        let written = self.0.written_name(self.element(element)?);
        written.rsplit(':').next().map(str::to_owned)
    }

    /// The attributes as written, without namespace declarations.
    pub fn attributes(&self, element: usize) -> Vec<(&str, &str)> {
        let attributes = self.element(element).map(|element| self.0.attributes(element));
        attributes.into_iter().flatten().map(|(_, name, value)| (name, value)).collect()
    }

    /// The text of an element that holds no other.
    pub fn text_only(&self, element: usize) -> Option<&str> {
        self.element(element).and_then(|element| self.0.text_only(element))
    }

    /// The number of the first element of which an attribute written `name` is `value`.
    pub fn find(&self, name: &str, value: &str) -> Option<usize> {
        (0..self.elements()).find(|number| {
            let attributes = self.element(*number).map(|element| self.0.attributes(element));
            attributes.into_iter().flatten().any(|(_, written, held)| written == name && held == value)
        })
    }

    /// The canonical form of an element, without the element `skip`; `None` where there is no such element, or where it
    /// is out of proportion.
    pub fn canonicalize(&self, element: usize, skip: Option<usize>, method: &Method) -> Option<Vec<u8>> {
        let skip = match skip {
            Some(number) => Some(self.element(number)?),
            None => None,
        };
        canonical::canonicalize(&self.0, self.element(element)?, skip, &method.into())
            .ok()
            .map(|bytes| bytes.as_slice().to_vec())
    }

    /// Whether the document was parsed from its own canonical form.
    pub fn is_canonical_form(&self, method: &Method) -> bool {
        is_canonical_form(&self.0, &method.into())
    }
}
