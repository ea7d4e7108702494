//! XML as SAML messages need it and no more: a byte gate, one strict tree, canonicalization.
//!
//! Left out on purpose: document types, entities, comments, CDATA, processing instructions, look-up by
//! ID, XPath, and any way to change a tree.

pub(crate) mod canonical;
mod gate;
mod lexical;
mod names;
mod parse;
mod tree;

pub(crate) use gate::XmlText;
pub(crate) use names::{Attr, AttrSet, Namespace, Tag};
pub(crate) use parse::{Comments, Limits, parse};
pub(crate) use tree::{Child, Children, Document, NodeId};
