//! The form that carries a response, and the base64 in it.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::verifier::{Refused, Verifier};
use super::weakness::Weakness as W;

/// What arrives at the ACS: the decoded XML, or the whole POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Xml(Vec<u8>),
    Post { content_type: String, query: Option<String>, body: Vec<u8> },
}

impl Message {
    pub fn xml(xml: impl Into<Vec<u8>>) -> Self {
        Self::Xml(xml.into())
    }

    /// A form as a browser posts it.
    pub fn form(body: impl Into<Vec<u8>>) -> Self {
        Self::Post { content_type: "application/x-www-form-urlencoded".to_owned(), query: None, body: body.into() }
    }
}

/// The bytes that are verified, and those that are read where they differ.
pub(super) struct Submitted {
    pub(super) verified: Vec<u8>,
    pub(super) read: Option<Vec<u8>>,
}

/// What a sound service provider reads at most.
const LIMIT: usize = 256 * 1024;

impl Verifier<'_> {
    pub(super) fn submitted(&self, message: &Message) -> Result<Submitted, Refused> {
        let (content_type, query, body) = match message {
            Message::Xml(xml) => return Ok(Submitted { verified: xml.clone(), read: None }),
            Message::Post { content_type, query, body } => (content_type, query.as_deref().unwrap_or_default(), body),
        };
        if body.len() > LIMIT && !self.has(W::MeasuresLate) {
            return Err("the body is too large".into());
        }
        if content_type != "application/x-www-form-urlencoded" {
            return match self.has(W::AnyContentType) {
                true => Ok(Submitted { verified: body.clone(), read: None }),
                false => Err("another content type".into()),
            };
        }
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        if self.has(W::MergesQuery) {
            pairs.splice(0..0, form_urlencoded::parse(query.as_bytes()).into_owned());
        } else if !query.is_empty() {
            return Err("a query".into());
        }
        if self.has(W::ResolvesArtifacts)
            && let Some((_, artifact)) = pairs.iter().find(|(name, _)| name == "SAMLart")
        {
            self.fetch(artifact);
        }
        let beside = ["SAMLRequest", "SAMLart", "SigAlg", "Signature", "SAMLEncoding"];
        let lenient = self.has(W::ParametersBeside) || self.has(W::Inflates);
        if !lenient && pairs.iter().any(|(name, _)| beside.contains(&name.as_str())) {
            return Err("a parameter of another binding".into());
        }
        let responses: Vec<&String> =
            pairs.iter().filter(|(name, _)| name == "SAMLResponse").map(|(_, value)| value).collect();
        match responses.as_slice() {
            [one] => Ok(Submitted { verified: self.base64_of_form(one)?, read: None }),
            [first, .., last] if self.has(W::VerifiesFirstReadsLast) => {
                Ok(Submitted { verified: self.base64_of_form(first)?, read: Some(self.base64_of_form(last)?) })
            }
            [first, ..] if self.has(W::MergesQuery) => {
                Ok(Submitted { verified: self.base64_of_form(first)?, read: None })
            }
            _ => Err("not exactly one SAMLResponse".into()),
        }
    }

    fn base64_of_form(&self, text: &str) -> Result<Vec<u8>, Refused> {
        let decoded = self.base64(text)?;
        self.work(decoded.len());
        if self.has(W::Inflates) && !decoded.trim_ascii_start().starts_with(b"<") {
            return Ok(self.inflated(&decoded));
        }
        Ok(decoded)
    }

    fn inflated(&self, deflated: &[u8]) -> Vec<u8> {
        use std::io::Read as _;
        let mut out = Vec::new();
        // Enough to see that nothing would stop it.
        let _ = flate2::read::DeflateDecoder::new(deflated).take(32 << 20).read_to_end(&mut out);
        self.work(out.len());
        out
    }

    /// White space is dropped; else canonical.
    pub(super) fn base64(&self, text: &str) -> Result<Vec<u8>, Refused> {
        if !self.has(W::LenientBase64) {
            let compact: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')).collect();
            return STANDARD.decode(compact).map_err(|_| "not base64".into());
        }
        let config = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let known = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
        let standard = |c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        };
        let plain: String = text.chars().filter(known).map(standard).collect();
        GeneralPurpose::new(&ALPHABET, config).decode(plain).map_err(|_| "not base64".into())
    }
}
