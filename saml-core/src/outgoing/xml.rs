//! Elements that are written in the form that Exclusive XML Canonicalization 1.0 gives them.
//!
//! The caller says where a namespace is declared: on the outermost element that uses its prefix. Attributes
//! are in no namespace and are sorted here; there are no empty-element tags.

/// A prefix and what it stands for.
pub(crate) type Namespace = (&'static str, &'static str);

pub(crate) const SAMLP: Namespace = ("samlp", "urn:oasis:names:tc:SAML:2.0:protocol");
pub(crate) const SAML: Namespace = ("saml", "urn:oasis:names:tc:SAML:2.0:assertion");
pub(crate) const DS: Namespace = ("ds", "http://www.w3.org/2000/09/xmldsig#");

#[derive(Debug)]
pub(crate) struct Element {
    name: &'static str,
    declared: Option<Namespace>,
    attributes: Vec<(&'static str, String)>,
    /// As it is written.
    content: String,
}

impl Element {
    /// `name` with its prefix, which is in scope.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, declared: None, attributes: Vec::new(), content: String::new() }
    }

    #[must_use]
    pub(crate) fn declaring(mut self, namespace: Namespace) -> Self {
        self.declared = Some(namespace);
        self
    }

    #[must_use]
    pub(crate) fn attribute(mut self, name: &'static str, value: &str) -> Self {
        self.attributes.push((name, value.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn optional_attribute(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.attribute(name, value),
            None => self,
        }
    }

    #[must_use]
    pub(crate) fn text(mut self, text: &str) -> Self {
        push_text(&mut self.content, text);
        self
    }

    #[must_use]
    pub(crate) fn child(mut self, child: &Self) -> Self {
        self.content.push_str(&child.write());
        self
    }

    pub(crate) fn write(&self) -> String {
        let mut xml = self.start_tag();
        xml.push_str(&self.content);
        xml.push_str(&self.end_tag());
        xml
    }

    pub(crate) fn start_tag(&self) -> String {
        let mut xml = format!("<{}", self.name);
        if let Some((prefix, uri)) = self.declared {
            xml.push_str(" xmlns:");
            push_attribute(&mut xml, prefix, uri);
        }
        let mut sorted: Vec<&(&str, String)> = self.attributes.iter().collect();
        sorted.sort_unstable();
        for (name, value) in sorted {
            xml.push(' ');
            push_attribute(&mut xml, name, value);
        }
        xml.push('>');
        xml
    }

    pub(crate) fn end_tag(&self) -> String {
        format!("</{}>", self.name)
    }
}

/// Canonical XML 1.0 §2.3, attribute nodes.
fn push_attribute(xml: &mut String, name: &str, value: &str) {
    xml.push_str(name);
    xml.push_str("=\"");
    for character in value.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '"' => xml.push_str("&quot;"),
            '\t' => xml.push_str("&#x9;"),
            '\n' => xml.push_str("&#xA;"),
            '\r' => xml.push_str("&#xD;"),
            other => xml.push(other),
        }
    }
    xml.push('"');
}

/// Canonical XML 1.0 §2.3, text nodes.
fn push_text(xml: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '\r' => xml.push_str("&#xD;"),
            other => xml.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::canonical::{Method, is_canonical_form};
    use crate::xml::{Comments, Limits, XmlText, parse};

    #[test]
    fn what_is_written_is_its_own_canonical_form() {
        let odd = "\"&<>'\t\n\r \u{e9}";
        let inner = Element::new("saml:Issuer").declaring(SAML).attribute("Z", odd).attribute("A", odd).text(odd);
        let root = Element::new("samlp:Status").declaring(SAMLP).attribute("b", "1").attribute("B", "2");
        let xml = root.child(&inner).child(&Element::new("samlp:StatusCode")).write();
        assert!(xml.starts_with("<samlp:Status xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" B=\"2\" b=\"1\">"));
        assert!(xml.ends_with("<samlp:StatusCode></samlp:StatusCode></samlp:Status>"));
        let text = XmlText::admit(xml.into_bytes()).unwrap();
        let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
        assert!(is_canonical_form(&document, &Method::Exclusive { prefixes: Vec::new() }));
    }
}
