//! The one parser: from admitted text to a tree, or a refusal. It knows elements, attributes, namespaces,
//! character references and the five predefined entities; everything else that XML has is refused.

#[cfg(test)]
mod tests;

use std::ops::Range;

use memchr::{memchr, memchr2, memchr3};

use super::gate::XmlText;
use super::lexical::{begins_with, is_absolute, name_length, reference, same};
use super::names::{Attr, AttrSet, Namespace, Tag, XMLNS_NAMESPACE};
use super::tree::{Attribute, Declaration, Document, Element, Kind, Node, QName, Span};
use crate::rejection::Rejection;

/// What a document may spend, checked before anything is allocated for it. Lengths are in bytes of the
/// decoded value, so that canonical bytes, in which escapes are longer, pass where their source did.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) depth: usize,
    pub(crate) elements: usize,
    pub(crate) attributes: usize,
    /// In the whole document, declarations counted in: they cost more than elements and are shorter.
    pub(crate) all_attributes: usize,
    pub(crate) namespaces: usize,
    pub(crate) name: usize,
    pub(crate) namespace_name: usize,
    pub(crate) attribute_value: usize,
    pub(crate) text: usize,
    /// Of a CipherValue, which is a whole document in one text.
    pub(crate) cipher_value: usize,
}

impl Limits {
    pub(crate) const RESPONSE: Self = Self {
        depth: 16,
        elements: 4_000,
        attributes: 24,
        all_attributes: 8_000,
        namespaces: 16,
        name: 128,
        namespace_name: 256,
        attribute_value: 4 * 1024,
        text: 64 * 1024,
        cipher_value: 128 * 1024,
    };
    pub(crate) const METADATA: Self =
        Self { elements: 40_000, all_attributes: 80_000, namespaces: 24, attribute_value: 16 * 1024, ..Self::RESPONSE };
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Comments {
    Refuse,
    /// Metadata is written by people; its values are never split by a comment, see [`Document::text_only`].
    Skip,
}

/// # Errors
/// Text that is not well-formed, over a limit, or holds one of the constructs that are always refused.
pub(crate) fn parse(text: XmlText, limits: &Limits, comments: Comments) -> Result<Document, Rejection> {
    let start = text.start();
    let source = text.into_string();
    let mut parser = Parser::new(&source, start, limits, comments);
    parser.document().map_err(|rejection| *rejection)?;
    let Parser { arena, nodes, attributes, declarations, .. } = parser;
    Ok(Document { source, arena, nodes, attributes, declarations })
}

/// A prefix (empty: the default namespace) and what it stands for here.
#[derive(Clone, Copy)]
struct Binding {
    prefix: Span,
    /// Compared at every name with all in scope, so by its first bytes, which are mostly the whole.
    key: u64,
    uri: Span,
    namespace: Namespace,
}

struct Open {
    node: u32,
    name: QName,
    bindings: usize,
    /// The number of the scope around.
    scope: u32,
    /// As of a [`Node`], so far.
    verbatim: bool,
}

/// The name of an element that was read before, and what it meant in the scope of that number.
#[derive(Clone, Copy)]
struct Known {
    name: QName,
    scope: u32,
    tag: Tag,
    namespace: Namespace,
}

impl Known {
    const NOTHING: Self = Self { name: QName::EMPTY, scope: 0, tag: Tag::Unknown, namespace: Namespace::None };
}

struct Parser<'a> {
    source: &'a str,
    position: usize,
    limits: &'a Limits,
    comments: Comments,
    arena: String,
    nodes: Vec<Node>,
    attributes: Vec<Attribute>,
    declarations: Vec<Declaration>,
    bindings: Vec<Binding>,
    open: Vec<Open>,
    elements: usize,
    /// A response repeats the names of its elements: its values all have one. By [`slot`].
    known: [Known; 32],
    /// The number of the bindings that are in scope: equal numbers, equal bindings.
    scope: u32,
    /// The last number that was given.
    scopes: u32,
    /// Of the tag being read, for [`Parser::resolve_attributes`].
    unknown: Vec<UnknownAttribute>,
    /// Whether a TAB or LF stands anywhere: many responses are one line, and need not search each value for it.
    has_breaks: bool,
}

/// An attribute of a name that is not in [`Attr`]: where it is, and a number that equal local names share.
struct UnknownAttribute {
    at: usize,
    key: u64,
}

/// Boxed, for a refusal is large and these results come and go a dozen times for each tag.
type Parsed<T> = Result<T, Box<Rejection>>;

impl<'a> Parser<'a> {
    fn new(source: &'a str, position: usize, limits: &'a Limits, comments: Comments) -> Self {
        let guess = source.len() / 48;
        Self {
            source,
            position,
            limits,
            comments,
            arena: String::new(),
            nodes: Vec::with_capacity(guess.min(2 * limits.elements)),
            attributes: Vec::with_capacity(guess),
            declarations: Vec::with_capacity(16),
            bindings: Vec::with_capacity(16),
            open: Vec::with_capacity(limits.depth),
            elements: 0,
            known: [Known::NOTHING; 32],
            scope: 0,
            scopes: 0,
            unknown: Vec::new(),
            has_breaks: memchr2(b'\t', b'\n', source.as_bytes()).is_some(),
        }
    }

    fn document(&mut self) -> Parsed<()> {
        self.outside_root()?;
        if self.peek() != Some(b'<') {
            return Err(self.malformed("there is no root element"));
        }
        self.start_tag()?;
        while !self.open.is_empty() {
            match self.peek() {
                Some(b'<') => self.markup()?,
                Some(_) => self.text()?,
                None => return Err(self.malformed("an element is not closed")),
            }
        }
        self.outside_root()?;
        if self.peek().is_some() {
            return Err(self.malformed("something follows the root element"));
        }
        Ok(())
    }

    /// White space, and comments where they are skipped.
    fn outside_root(&mut self) -> Parsed<()> {
        loop {
            self.skip_space();
            if self.rest().starts_with(b"<!") || self.rest().starts_with(b"<?") {
                self.declaration_or_instruction()?;
            } else {
                return Ok(());
            }
        }
    }

    fn markup(&mut self) -> Parsed<()> {
        match self.rest().get(1) {
            Some(b'/') => self.end_tag(),
            Some(b'!' | b'?') => self.declaration_or_instruction(),
            _ => self.start_tag(),
        }
    }

    fn declaration_or_instruction(&mut self) -> Parsed<()> {
        let rest = self.rest();
        if rest.starts_with(b"<?") {
            return Err(Rejection::XmlProcessingInstructionForbidden.into());
        }
        if rest.starts_with(b"<![CDATA[") {
            return Err(Rejection::XmlCdataForbidden.into());
        }
        if !rest.starts_with(b"<!--") {
            return Err(Rejection::XmlDoctypeForbidden.into());
        }
        if self.comments == Comments::Refuse {
            return Err(Rejection::XmlCommentForbidden.into());
        }
        let body = rest.get(4..).unwrap_or_default();
        let length = memchr::memmem::find(body, b"--").ok_or_else(|| self.malformed("a comment is not closed"))?;
        if body.get(length + 2) != Some(&b'>') {
            return Err(self.malformed("a comment holds `--`"));
        }
        self.position += 4 + length + 3;
        self.not_verbatim();
        Ok(())
    }

    // ---- Tags

    fn start_tag(&mut self) -> Parsed<()> {
        self.elements += 1;
        limit("elements", self.elements, self.limits.elements)?;
        limit("levels of elements", self.open.len() + 1, self.limits.depth)?;
        self.position += 1;
        let slot = slot(self.rest());
        let (name, known) = self.element_name(slot)?;
        let first_attribute = self.attributes.len();
        let first_declaration = self.declarations.len();
        let (bindings, scope) = (self.bindings.len(), self.scope);
        let mut empty = false;
        let mut held = AttrSet::EMPTY;
        if self.peek() == Some(b'>') {
            self.position += 1;
        } else {
            empty = self.attribute_list(first_attribute, first_declaration)?;
            self.bind(first_declaration)?;
            held = self.resolve_attributes(first_attribute)?;
        }

        let Known { tag, namespace, .. } = match known {
            Some(known) if known.scope == self.scope => known,
            _ => self.meaning(slot, name)?,
        };
        let node = index(self.nodes.len())?;
        let element = Element {
            name,
            tag,
            namespace,
            held,
            attributes: (index(first_attribute)?, index(self.attributes.len())?),
            declarations: (index(first_declaration)?, index(self.declarations.len())?),
        };
        let parent = self.open.last().map_or(0, |open| open.node);
        self.nodes.push(Node { parent, end: node + 1, end_tag: 0, verbatim: false, kind: Kind::Element(element) });
        if empty {
            self.bindings.truncate(bindings);
            self.scope = scope;
            self.not_verbatim();
        } else {
            let verbatim = self.is_verbatim_tag(&element);
            self.open.push(Open { node, name, bindings, scope, verbatim });
        }
        Ok(())
    }

    /// As [`Self::name`], which need not look at each byte where the name was read before; says what it meant.
    #[inline(always)]
    fn element_name(&mut self, slot: usize) -> Parsed<(QName, Option<Known>)> {
        let rest = self.rest();
        let known = self.known.get(slot).copied().unwrap_or(Known::NOTHING);
        let written = self.bytes(known.name.whole());
        let ended = matches!(rest.get(written.len()), Some(b'>' | b' ' | b'/'));
        if written.is_empty() || !ended || !begins_with(rest, written) {
            return Ok((self.name()?, None));
        }
        let name = QName { start: index(self.position)?, ..known.name };
        self.position += written.len();
        Ok((name, Some(known)))
    }

    /// What the name of an element means in this scope; notes it.
    fn meaning(&mut self, slot: usize, name: QName) -> Parsed<Known> {
        let namespace = self.resolve(name)?.map_or(Namespace::None, |binding| binding.namespace);
        let known = Known { name, scope: self.scope, tag: Tag::of(namespace, self.bytes(name.local())), namespace };
        if let Some(place) = self.known.get_mut(slot) {
            *place = known;
        }
        Ok(known)
    }

    /// Whether the start tag that was just read is as canonicalization writes it, below the element around.
    fn is_verbatim_tag(&self, element: &Element) -> bool {
        let Some(around) = self.open.last() else { return false };
        let name = element.name;
        if element.declarations.0 != element.declarations.1
            || around.name.prefix_length != name.prefix_length
            || !same(self.bytes(around.name.prefix()), self.bytes(name.prefix()))
        {
            return false;
        }
        let at = |place: usize| self.source.as_bytes().get(place);
        let mut end = name.end();
        let mut before: &[u8] = b"";
        let (first, last) = element.attributes;
        for Attribute { name, value, plain, .. } in
            self.attributes.get(first as usize..last as usize).unwrap_or_default()
        {
            let written = *plain
                && name.prefix_length == 0
                && name.start() == end + 1
                && at(end) == Some(&b' ')
                && value.start() == name.end() + 2
                && at(name.end() + 1) == Some(&b'"')
                && (before.is_empty() || before < self.bytes(name.whole()));
            if !written {
                return false;
            }
            before = self.bytes(name.whole());
            end = value.end() + 1;
        }
        at(end) == Some(&b'>')
    }

    /// What was just read, inside the element that is open, is not as canonicalization writes it.
    fn not_verbatim(&mut self) {
        if let Some(around) = self.open.last_mut() {
            around.verbatim = false;
        }
    }

    fn end_tag(&mut self) -> Parsed<()> {
        let start = index(self.position)?;
        self.position += 2;
        let Some(open) = self.open.pop() else {
            return Err(self.malformed("an end tag has no start tag"));
        };
        let wanted = self.bytes(open.name.whole());
        if !begins_with(self.rest(), wanted) {
            return Err(self.malformed("an end tag does not match its start tag"));
        }
        self.position += wanted.len();
        let verbatim = open.verbatim && self.peek() == Some(b'>');
        self.skip_space();
        self.expect(b'>', "an end tag is not closed")?;
        let end = index(self.nodes.len())?;
        if let Some(node) = self.nodes.get_mut(open.node as usize) {
            node.end = end;
            node.end_tag = start;
            node.verbatim = verbatim;
        }
        if !verbatim {
            self.not_verbatim();
        }
        self.bindings.truncate(open.bindings);
        self.scope = open.scope;
        Ok(())
    }

    /// Up to and with the `>` of the tag; says whether it was `/>`.
    fn attribute_list(&mut self, first_attribute: usize, first_declaration: usize) -> Parsed<bool> {
        loop {
            let before = self.position;
            self.skip_space();
            match self.peek() {
                Some(b'>') => {
                    self.position += 1;
                    return Ok(false);
                }
                Some(b'/') => {
                    self.position += 1;
                    self.expect(b'>', "a tag is not closed")?;
                    return Ok(true);
                }
                _ if before == self.position => return Err(self.malformed("white space is missing in a tag")),
                _ => self.attribute()?,
            }
            let held = self.attributes.len() - first_attribute + self.declarations.len() - first_declaration;
            limit("attributes in one element", held, self.limits.attributes)?;
            limit("attributes", self.attributes.len() + self.declarations.len(), self.limits.all_attributes)?;
        }
    }

    fn attribute(&mut self) -> Parsed<()> {
        let name = self.name()?;
        self.skip_space();
        self.expect(b'=', "an attribute has no value")?;
        self.skip_space();
        let (value, plain) = self.attribute_value()?;
        let written = self.bytes(name.whole());
        if written == b"xmlns" {
            self.declarations.push(Declaration { prefix: Span::EMPTY, uri: value });
        } else if written.starts_with(b"xmlns:") {
            let prefix = Span::in_source(name.start + 6, u32::from(name.length) - 6);
            self.declarations.push(Declaration { prefix, uri: value });
        } else {
            self.attributes.push(Attribute { name, attr: Attr::Unknown, value, namespace: Span::EMPTY, plain });
        }
        Ok(())
    }

    fn attribute_value(&mut self) -> Parsed<(Span, bool)> {
        let quote = match self.peek() {
            Some(quote @ (b'"' | b'\'')) => quote,
            _ => return Err(self.malformed("an attribute value is not quoted")),
        };
        self.position += 1;
        let rest = self.rest();
        let start = self.position;
        // Most values end before anything that needs a second look.
        let plain = memchr3(quote, b'<', b'&', rest).filter(|at| rest.get(*at) == Some(&quote));
        let length = plain.or_else(|| memchr(quote, rest));
        let length = length.ok_or_else(|| self.malformed("an attribute value is not closed"))?;
        let raw = rest.get(..length).unwrap_or_default();
        if plain.is_none() && memchr(b'<', raw).is_some() {
            return Err(self.malformed("an attribute value holds `<`"));
        }
        let special = plain.is_none() || self.has_breaks && memchr2(b'\t', b'\n', raw).is_some();
        let value = if special {
            let arena_start = self.arena.len();
            self.decode(start, start + length, Context::AttributeValue)?;
            self.arena_span(arena_start)?
        } else {
            self.source_span(start, start + length)?
        };
        limit("bytes in an attribute value", value.length(), self.limits.attribute_value)?;
        self.position = start + length + 1;
        Ok((value, !special && (quote == b'"' || memchr(b'"', raw).is_none())))
    }

    // ---- Names and namespaces

    /// An ASCII QName (Namespaces in XML 1.0 §4).
    #[inline(always)]
    fn name(&mut self) -> Parsed<QName> {
        let start = self.position;
        let mut prefix_length = 0;
        let mut length = self.name_part()?;
        if self.peek() == Some(b':') {
            prefix_length = length;
            self.position += 1;
            length += 1 + self.name_part()?;
        }
        limit("bytes in a name", length, self.limits.name)?;
        match (u8::try_from(length), u8::try_from(prefix_length)) {
            (Ok(length), Ok(prefix_length)) => Ok(QName { start: index(start)?, length, prefix_length }),
            _ => Err(over("bytes in a name", u8::MAX.into())),
        }
    }

    #[inline(always)]
    fn name_part(&mut self) -> Parsed<usize> {
        let rest = self.rest();
        if !rest.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_') {
            return Err(self.malformed("a name is missing or begins with a character that is not an ASCII letter"));
        }
        let length = name_length(rest);
        self.position += length;
        Ok(length)
    }

    /// Enters the declarations of a tag into scope. A named prefix may be declared again only for the
    /// same namespace; the default namespace may change (ADFS, Entra and npm samlp do it).
    fn bind(&mut self, first: usize) -> Parsed<()> {
        for at in first..self.declarations.len() {
            let Some(Declaration { prefix, uri, .. }) = self.declarations.get(at).copied() else { break };
            let (name, value) = (self.str(prefix), self.str(uri));
            let earlier = self.declarations.get(first..at).unwrap_or_default();
            if earlier.iter().any(|other| self.str(other.prefix) == name) {
                return Err(self.malformed("an element declares a prefix twice"));
            }
            let namespace = Namespace::of(value);
            self.check_declaration(name, value, namespace)?;
            match self.find(prefix) {
                Some(binding) if self.str(binding.uri) == value => {}
                Some(_) if !name.is_empty() => return Err(forbidden("a prefix is bound to another namespace")),
                _ => {
                    self.bindings.push(Binding { prefix, key: self.prefix_key(prefix), uri, namespace });
                    self.scopes += 1;
                    self.scope = self.scopes;
                    let named = self.bindings.iter().filter(|binding| binding.prefix.length() != 0).count();
                    limit("namespaces in scope", named, self.limits.namespaces)?;
                }
            }
        }
        Ok(())
    }

    fn check_declaration(&self, prefix: &str, uri: &str, namespace: Namespace) -> Parsed<()> {
        limit("bytes in a namespace name", uri.len(), self.limits.namespace_name)?;
        if matches!(prefix, "xml" | "xmlns") || namespace == Namespace::Xml || uri == XMLNS_NAMESPACE {
            return Err(forbidden("xml or xmlns is declared"));
        }
        if uri.is_empty() {
            return if prefix.is_empty() { Ok(()) } else { Err(forbidden("a prefix is bound to no namespace")) };
        }
        // One of those that we know is absolute.
        if namespace == Namespace::Foreign && !is_absolute(uri) {
            return Err(forbidden("a namespace name is relative or holds characters that no URI has"));
        }
        Ok(())
    }

    #[inline(always)]
    fn find(&self, prefix: Span) -> Option<&Binding> {
        if prefix.length() >= 8 {
            return self.find_long(prefix);
        }
        // All of the prefix, for none holds a NUL, and all that begin so are longer.
        let key = self.prefix_key(prefix);
        self.bindings.iter().rev().find(|binding| binding.key == key)
    }

    #[cold]
    fn find_long(&self, prefix: Span) -> Option<&Binding> {
        self.bindings.iter().rev().find(|binding| self.str(binding.prefix) == self.str(prefix))
    }

    /// The first eight bytes of a prefix, or fewer and NULs.
    #[inline(always)]
    fn prefix_key(&self, prefix: Span) -> u64 {
        let unused = 64 - 8 * prefix.length().min(8);
        let mask = u64::MAX.checked_shr(unused as u32).unwrap_or_default();
        match self.source.as_bytes().get(prefix.start()..).and_then(<[u8]>::first_chunk) {
            Some(first) => u64::from_le_bytes(*first) & mask,
            None => self.bytes(prefix.range()).iter().rev().fold(0, |key, byte| key << 8 | u64::from(*byte)),
        }
    }

    #[inline(always)]
    fn resolve(&self, name: QName) -> Parsed<Option<&Binding>> {
        let found = self.find(name.prefix_span());
        if found.is_none() && name.prefix_length != 0 {
            return Err(forbidden("a prefix is not declared"));
        }
        Ok(found)
    }

    /// Names each attribute of a tag by its namespace, refuses two of one name, and says which there are.
    fn resolve_attributes(&mut self, first: usize) -> Parsed<AttrSet> {
        let mut seen = AttrSet::EMPTY;
        self.unknown.clear();
        for at in first..self.attributes.len() {
            let Some(name) = self.attributes.get(at).map(|attribute| attribute.name) else { break };
            let (namespace, uri) = match self.bytes(name.prefix()) {
                b"" => (Namespace::None, Span::EMPTY),
                b"xml" => (Namespace::Xml, Span::EMPTY),
                _ => self.resolve(name)?.map_or((Namespace::None, Span::EMPTY), |found| (found.namespace, found.uri)),
            };
            let attr = Attr::of(namespace, self.bytes(name.local()));
            if let Some(attribute) = self.attributes.get_mut(at) {
                attribute.attr = attr;
                attribute.namespace = uri;
            }
            let twice = match attr {
                Attr::Unknown | Attr::Foreign => self.holds_unknown(at),
                known => seen.contains(known),
            };
            if twice {
                return Err(self.malformed("an element holds an attribute twice"));
            }
            seen = seen.with(attr);
        }
        Ok(seen)
    }

    /// Whether an earlier attribute of the tag, of no known name either, has the same name; notes this one.
    /// Each is compared with each, so the comparison is of one word.
    fn holds_unknown(&mut self, at: usize) -> bool {
        let Some(attribute) = self.attributes.get(at).copied() else { return false };
        let key = key(self.bytes(attribute.name.local()));
        let mut alike = self.unknown.iter().filter(|earlier| earlier.key == key);
        let twice = alike.any(|earlier| {
            let earlier = self.attributes.get(earlier.at);
            earlier.is_some_and(|other| self.same_name(other, attribute.attr, attribute.namespace, attribute.name))
        });
        self.unknown.push(UnknownAttribute { at, key });
        twice
    }

    fn same_name(&self, other: &Attribute, attr: Attr, uri: Span, name: QName) -> bool {
        if other.attr != attr {
            return false;
        }
        let is_xml = |name: QName| self.bytes(name.prefix()) == b"xml";
        self.str(other.namespace) == self.str(uri)
            && is_xml(other.name) == is_xml(name)
            && self.bytes(other.name.local()) == self.bytes(name.local())
    }

    // ---- Text

    fn text(&mut self) -> Parsed<()> {
        let start = self.position;
        let mut plain = true;
        let mut scan = start;
        let span = loop {
            let rest = self.source.as_bytes().get(scan..).unwrap_or_default();
            let Some(offset) = memchr3(b'<', b'&', b'>', rest) else {
                return Err(self.malformed("an element is not closed"));
            };
            let at = scan + offset;
            match rest.get(offset) {
                Some(b'<') => {
                    self.position = at;
                    break self.source_span(start, at)?;
                }
                Some(b'&') => {
                    plain = false;
                    break self.text_with_references(start, at)?;
                }
                _ => {
                    plain = false;
                    self.refuse_section_end(start, at)?;
                    scan = at + 1;
                }
            }
        };
        let node = index(self.nodes.len())?;
        let parent = self.open.last().map_or(0, |open| open.node);
        limit("bytes in a text", span.length(), self.text_limit(parent))?;
        self.nodes.push(Node { parent, end: node + 1, end_tag: 0, verbatim: plain, kind: Kind::Text { span, plain } });
        if !plain {
            self.not_verbatim();
        }
        Ok(())
    }

    fn text_limit(&self, parent: u32) -> usize {
        match self.nodes.get(parent as usize) {
            Some(Node { kind: Kind::Element(Element { tag: Tag::CipherValue, .. }), .. }) => self.limits.cipher_value,
            _ => self.limits.text,
        }
    }

    fn text_with_references(&mut self, start: usize, first_reference: usize) -> Parsed<Span> {
        let rest = self.source.as_bytes().get(first_reference..).unwrap_or_default();
        let length = memchr(b'<', rest).ok_or_else(|| self.malformed("an element is not closed"))?;
        let end = first_reference + length;
        for at in memchr::memchr_iter(b'>', rest.get(..length).unwrap_or_default()) {
            self.refuse_section_end(start, first_reference + at)?;
        }
        let arena_start = self.arena.len();
        self.decode(start, end, Context::Text)?;
        self.position = end;
        self.arena_span(arena_start)
    }

    /// XML 1.0 §2.4: `]]>` may not stand in text.
    fn refuse_section_end(&self, start: usize, at: usize) -> Parsed<()> {
        let before = self.source.as_bytes().get(start..at).unwrap_or_default();
        if before.ends_with(b"]]") { Err(self.malformed("a text holds `]]>`")) } else { Ok(()) }
    }

    /// Appends the decoded value of `source[start..end]` to the arena.
    fn decode(&mut self, start: usize, end: usize, context: Context) -> Parsed<()> {
        let raw = self.source.get(start..end).unwrap_or_default();
        let bytes = raw.as_bytes();
        let (mut from, mut at) = (0, 0);
        // Byte by byte: a search for each reference would cost more the denser they stand.
        while let Some(byte) = bytes.get(at) {
            let (character, length) = match (byte, context) {
                (b'&', _) => {
                    let found = reference(bytes.get(at + 1..).unwrap_or_default());
                    let (character, length) = found.ok_or(Rejection::XmlEntityForbidden { offset: start + at })?;
                    (character, length + 1)
                }
                (b'\t' | b'\n', Context::AttributeValue) => (' ', 1),
                _ => {
                    at += 1;
                    continue;
                }
            };
            if from < at {
                self.arena.push_str(raw.get(from..at).unwrap_or_default());
            }
            self.arena.push(character);
            at += length;
            from = at;
        }
        self.arena.push_str(raw.get(from..).unwrap_or_default());
        Ok(())
    }

    // ---- Small parts

    fn rest(&self) -> &'a [u8] {
        self.source.as_bytes().get(self.position..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.position).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn expect(&mut self, wanted: u8, problem: &'static str) -> Parsed<()> {
        if self.peek() != Some(wanted) {
            return Err(self.malformed(problem));
        }
        self.position += 1;
        Ok(())
    }

    #[cold]
    fn malformed(&self, problem: &'static str) -> Box<Rejection> {
        Box::new(Rejection::XmlMalformed { problem, offset: self.position })
    }

    fn str(&self, span: Span) -> &str {
        let text = if span.is_in_arena() { self.arena.as_str() } else { self.source };
        text.get(span.range()).unwrap_or_default()
    }

    /// Of the source: for names and prefixes, which are never in the arena, and mostly only compared.
    fn bytes(&self, range: Range<usize>) -> &'a [u8] {
        self.source.as_bytes().get(range).unwrap_or_default()
    }

    fn source_span(&self, start: usize, end: usize) -> Parsed<Span> {
        Ok(Span::in_source(index(start)?, index(end - start)?))
    }

    fn arena_span(&self, start: usize) -> Parsed<Span> {
        Ok(Span::in_arena(index(start)?, index(self.arena.len() - start)?))
    }
}

/// Where a name that begins so is looked for among those that were read before. A collision costs a second reading.
fn slot(rest: &[u8]) -> usize {
    let Some(first) = rest.first_chunk() else { return 0 };
    let first = u128::from_le_bytes(*first);
    let mixed = (first as u64 ^ ((first >> 64) as u64).rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 59) as usize
}

#[derive(Clone, Copy)]
enum Context {
    Text,
    /// XML 1.0 §3.3.3: literal TAB and LF become a space.
    AttributeValue,
}

/// A number that differs for most names that differ, wherever they do.
fn key(local: &[u8]) -> u64 {
    let (chunks, rest) = local.as_chunks::<8>();
    let last = rest.iter().fold(local.len() as u64, |last, byte| last << 8 | u64::from(*byte));
    chunks
        .iter()
        .fold(last, |key, chunk| (key.rotate_left(23) ^ u64::from_le_bytes(*chunk)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cold]
fn forbidden(problem: &'static str) -> Box<Rejection> {
    Box::new(Rejection::XmlNamespaceForbidden { problem })
}

fn limit(what: &'static str, spent: usize, limit: usize) -> Parsed<()> {
    if spent > limit { Err(over(what, limit)) } else { Ok(()) }
}

fn index(number: usize) -> Parsed<u32> {
    u32::try_from(number).ok().filter(|number| *number < Span::LIMIT).ok_or_else(|| over("bytes", Span::LIMIT as usize))
}

#[cold]
fn over(what: &'static str, limit: usize) -> Box<Rejection> {
    Box::new(Rejection::XmlLimitExceeded { what, limit })
}
