//! From bytes to text and tree: the gate where it is sound, and every way in which two readers read two
//! documents where it is not.

use roxmltree::{Document, ParsingOptions};

use super::form::Submitted;
use super::transforms::NUL;
use super::verifier::{Refused, Verifier};
use super::weakness::Weakness as W;
use super::{Login, SAML};

/// What is verified, and what another parser reads.
pub(super) struct Texts {
    pub(super) verified: String,
    pub(super) read: Option<String>,
}

pub(super) fn parse(text: &str) -> Result<Document<'_>, Refused> {
    let options = ParsingOptions { allow_dtd: true, nodes_limit: u32::MAX, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| error.to_string().into())
}

impl Verifier<'_> {
    pub(super) fn texts(&self, submitted: &Submitted) -> Result<Texts, Refused> {
        let bytes = &submitted.verified;
        if bytes.len() > 128 * 1024 && !self.has_one_of(&[W::NoLimits, W::MeasuresLate]) {
            return Err("the response is too large".into());
        }
        if self.has(W::OverlongUtf8) {
            let verified = String::from_utf8_lossy(bytes).into_owned();
            return Ok(Texts { verified, read: Some(decode_overlong(bytes)) });
        }
        let text = String::from_utf8(bytes.clone()).map_err(|_| "not UTF-8")?;
        if text.starts_with('\u{feff}') {
            return Err("a byte order mark".into());
        }
        let text = match self.has(W::CutsAtNul) {
            true => text.replace('\0', &NUL.to_string()),
            false => text,
        };
        self.gate(&text)?;
        if let Some(read) = &submitted.read {
            let read = String::from_utf8(read.clone()).map_err(|_| "not UTF-8")?;
            return Ok(Texts { verified: text, read: Some(read) });
        }
        Ok(self.readings(text))
    }

    /// `<!` and `<?` are refused, a declaration in UTF-8 aside.
    fn gate(&self, text: &str) -> Result<(), Refused> {
        let body = match text.strip_prefix("<?xml ").and_then(|rest| rest.split_once("?>")) {
            Some((declaration, body)) => {
                let encoding = declaration.split_once("encoding=").map(|(_, rest)| rest.to_ascii_lowercase());
                let utf8 = encoding.is_none_or(|encoding| encoding[1..].starts_with("utf-8"));
                if !utf8 && !self.has(W::DeclaredEncoding) {
                    return Err("another encoding".into());
                }
                body
            }
            None => text,
        };
        if self.has(W::FetchesSchemas) {
            for (_, rest) in attributes_named(text, &["href=\"", "schemaLocation=\""]) {
                self.fetch(rest);
            }
        }
        let comments = self.has_one_of(&[W::FirstTextNode, W::DigestFromFirstNode, W::CommentsCanonical]);
        let doctype = self.has_one_of(&[W::EntityIds, W::ResolvesEntities, W::TextReader]);
        let sections = self.has_one_of(&[W::TextReader, W::UnescapesSections]);
        for (at, _) in body.match_indices("<!") {
            let rest = &body[at..];
            let allowed = match rest {
                _ if rest.starts_with("<!--") => comments,
                _ if rest.starts_with("<![CDATA[") => sections,
                _ => doctype,
            };
            if !allowed {
                return Err("a declaration, a comment or a CDATA section".into());
            }
        }
        if body.contains("<?") && !self.has(W::FetchesSchemas) {
            return Err("a processing instruction".into());
        }
        let (work, within) = spent(text);
        if self.has(W::NoLimits) {
            self.work(work);
        } else if !within && !doctype {
            return Err("too deep, or too much in one element".into());
        }
        Ok(())
    }

    fn readings(&self, text: String) -> Texts {
        let one = |verified| Texts { verified, read: None };
        if self.has_one_of(&[W::EntityIds, W::ResolvesEntities]) {
            return one(self.expanded(&text));
        }
        if self.has(W::SeveralRoots) {
            return one(format!("<roots>{text}</roots>"));
        }
        if self.has(W::UnescapesSections) {
            return one(text.replace("<![CDATA[", "").replace("]]>", ""));
        }
        if self.has(W::DoubleColon) {
            return Texts { verified: text.replace("::", "__"), read: Some(text.replace("::", ":")) };
        }
        if self.has(W::XmlPrefixedXmlns) {
            return Texts {
                read: Some(text.replace(" xml:xmlns=", " xmlns=")),
                // roxmltree is one of the parsers that take it for a declaration.
                verified: text.replace(" xml:xmlns=", " xml:lang="),
            };
        }
        if self.has(W::DeclaredEncoding) && text.starts_with("<?xml") && text.contains("UTF-7") {
            let read = text.replace("+ADw-", "<").replace("+AD4-", ">").replace("+ACI-", "\"");
            return Texts { verified: text, read: Some(read) };
        }
        if self.has(W::TextReader) {
            return Texts { read: Some(first_assertion(&text)), verified: text };
        }
        one(text)
    }

    /// Internal entities as text, external ones fetched; the document type is gone then.
    fn expanded(&self, text: &str) -> String {
        let Some(start) = text.find("<!DOCTYPE") else { return text.to_owned() };
        let end = text[start..].find("]>").map(|at| start + at + 2);
        let end = end.or_else(|| text[start..].find('>').map(|at| start + at + 1)).unwrap_or(text.len());
        let (doctype, mut body) = (&text[start..end], format!("{}{}", &text[..start], &text[end..]));
        for (_, url) in attributes_named(doctype, &["SYSTEM \"", "SYSTEM '"]) {
            self.fetch(url);
        }
        let mut entities = Vec::new();
        for declaration in doctype.split("<!ENTITY ").skip(1) {
            let Some((name, rest)) = declaration.split_once(' ') else { continue };
            let Some(value) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            entities.push((format!("&{name};"), value));
        }
        // Enough to see that nothing would stop it.
        for _ in 0..64 {
            let before = body.len();
            for (reference, value) in &entities {
                body = body.replace(reference, value);
            }
            self.work(body.len().saturating_sub(before));
            if body.len() == before || body.len() > 16 << 20 {
                break;
            }
        }
        body
    }

    /// The identity as another reader sees it, in a text that nobody verified.
    pub(super) fn read_text(&self, text: &str, response_signed: bool) -> Result<Login, Refused> {
        let document = parse(text)?;
        let root = document.root_element();
        let assertion = root.descendants().find(|node| self.is(*node, SAML, "Assertion"));
        self.identity(assertion.ok_or("there is no Assertion")?, root, response_signed)
    }
}

/// What stands between one of `openings` and the next quote.
fn attributes_named<'a>(text: &'a str, openings: &[&str]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for opening in openings {
        for (at, _) in text.match_indices(opening) {
            let rest = &text[at + opening.len()..];
            found.push((at, rest.split(['"', '\'']).next().unwrap_or_default()));
        }
    }
    found
}

/// A Response around the first thing that looks like an Assertion.
fn first_assertion(text: &str) -> String {
    let start = text.find("<saml:Assertion").unwrap_or(0);
    let end = text[start..].find("</saml:Assertion>").map_or(text.len(), |at| start + at + "</saml:Assertion>".len());
    let assertion = &text[start..end];
    let namespaces = format!("xmlns:samlp=\"{}\" xmlns:saml=\"{SAML}\" xmlns:ds=\"{}\"", super::SAMLP, super::DS);
    format!("<samlp:Response {namespaces}>{assertion}</samlp:Response>")
}

/// What a parser without limits works through (depths squared, attributes compared with each
/// other), and whether it is within sound limits.
fn spent(text: &str) -> (usize, bool) {
    let (mut depth, mut total, mut within) = (0_usize, 0_usize, true);
    for part in text.split('<').skip(1) {
        match part.as_bytes().first() {
            Some(b'/') => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
        let attributes = part.matches("=\"").count();
        let name = part.find([' ', '>']).unwrap_or(part.len());
        total += depth * depth + attributes * attributes + name * name / 1_000;
        within &= depth <= 16 && attributes <= 24 && name <= 128;
    }
    (total, within)
}

/// UTF-8 whose two-byte forms may stand for ASCII.
fn decode_overlong(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    let mut rest = bytes;
    loop {
        match rest {
            [] => return String::from_utf8_lossy(&out).into_owned(),
            [first @ (0xc0 | 0xc1), second, tail @ ..] => {
                out.push(((first & 1) << 6) | (second & 0x3f));
                rest = tail;
            }
            [first, tail @ ..] => {
                out.push(*first);
                rest = tail;
            }
        }
    }
}
