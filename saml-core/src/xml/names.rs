//! The namespaces, elements and attributes that a SAML response may hold, each as a small value, so that
//! names are compared as (namespace, local name) once, while parsing, and never by prefix.

use super::lexical::same;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Namespace {
    /// No namespace.
    None,
    Saml,
    Samlp,
    Ds,
    Dsig11,
    Xenc,
    Xenc11,
    ExclusiveC14n,
    Metadata,
    Xsi,
    Xml,
    /// Any other; its name stands in the document.
    Foreign,
}

pub(crate) const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
pub(crate) const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

impl Namespace {
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "" => Self::None,
            "urn:oasis:names:tc:SAML:2.0:assertion" => Self::Saml,
            "urn:oasis:names:tc:SAML:2.0:protocol" => Self::Samlp,
            "http://www.w3.org/2000/09/xmldsig#" => Self::Ds,
            "http://www.w3.org/2009/xmldsig11#" => Self::Dsig11,
            "http://www.w3.org/2001/04/xmlenc#" => Self::Xenc,
            "http://www.w3.org/2009/xmlenc11#" => Self::Xenc11,
            "http://www.w3.org/2001/10/xml-exc-c14n#" => Self::ExclusiveC14n,
            "urn:oasis:names:tc:SAML:2.0:metadata" => Self::Metadata,
            "http://www.w3.org/2001/XMLSchema-instance" => Self::Xsi,
            XML_NAMESPACE => Self::Xml,
            _ => Self::Foreign,
        }
    }
}

macro_rules! tags {
    ($( $namespace:ident { $($variant:ident = $name:literal),* $(,)? } )*) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Tag {
            $($($variant,)*)*
            Unknown,
        }

        const TAGS: &[(&[u8], Namespace, Tag)] =
            &[$($(($name.as_bytes(), Namespace::$namespace, Tag::$variant),)*)*];

        impl Tag {
            pub(super) fn of(namespace: Namespace, local: &[u8]) -> Self {
                let found = TAG_SLOTS.get(slot(local)).and_then(|at| TAGS.get(usize::from(*at)));
                let found = found.filter(|(name, of, _)| *of == namespace && same(name, local));
                found.map_or(Self::Unknown, |(_, _, tag)| *tag)
            }

            /// The local name; empty where unknown.
            pub(crate) fn local_name(self) -> &'static str {
                match self {
                    $($(Self::$variant => $name,)*)*
                    Self::Unknown => "",
                }
            }
        }
    };
}

tags! {
    Samlp {
        Response = "Response", Status = "Status", StatusCode = "StatusCode",
        StatusMessage = "StatusMessage", StatusDetail = "StatusDetail",
        LogoutRequest = "LogoutRequest", LogoutResponse = "LogoutResponse", SessionIndex = "SessionIndex",
    }
    Saml {
        Assertion = "Assertion", EncryptedAssertion = "EncryptedAssertion", Issuer = "Issuer",
        Subject = "Subject", NameId = "NameID", SubjectConfirmation = "SubjectConfirmation",
        SubjectConfirmationData = "SubjectConfirmationData", Conditions = "Conditions",
        AudienceRestriction = "AudienceRestriction", Audience = "Audience", OneTimeUse = "OneTimeUse",
        ProxyRestriction = "ProxyRestriction", AuthnStatement = "AuthnStatement",
        SubjectLocality = "SubjectLocality", AuthnContext = "AuthnContext",
        AuthnContextClassRef = "AuthnContextClassRef", AuthnContextDeclRef = "AuthnContextDeclRef",
        AuthenticatingAuthority = "AuthenticatingAuthority", AttributeStatement = "AttributeStatement",
        Attribute = "Attribute", AttributeValue = "AttributeValue", EncryptedId = "EncryptedID",
    }
    Ds {
        Signature = "Signature", SignedInfo = "SignedInfo", CanonicalizationMethod = "CanonicalizationMethod",
        SignatureMethod = "SignatureMethod", Reference = "Reference", Transforms = "Transforms",
        Transform = "Transform", DigestMethod = "DigestMethod", DigestValue = "DigestValue",
        SignatureValue = "SignatureValue", KeyInfo = "KeyInfo", Object = "Object", Manifest = "Manifest",
        SignatureProperties = "SignatureProperties", X509Data = "X509Data", X509Certificate = "X509Certificate",
        RetrievalMethod = "RetrievalMethod",
    }
    Xenc {
        EncryptedData = "EncryptedData", EncryptedKey = "EncryptedKey", EncryptionMethod = "EncryptionMethod",
        CipherData = "CipherData", CipherValue = "CipherValue", ReferenceList = "ReferenceList",
        DataReference = "DataReference",
    }
    Xenc11 { Mgf = "MGF" }
    ExclusiveC14n { InclusiveNamespaces = "InclusiveNamespaces" }
    Metadata {
        EntitiesDescriptor = "EntitiesDescriptor", EntityDescriptor = "EntityDescriptor",
        IdpSsoDescriptor = "IDPSSODescriptor", KeyDescriptor = "KeyDescriptor",
        SingleSignOnService = "SingleSignOnService", SingleLogoutService = "SingleLogoutService",
    }
}

macro_rules! attributes {
    ($( $variant:ident = $name:literal, )*) => {
        /// An attribute in no namespace, or one of the three namespaced ones that have a place.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(crate) enum Attr {
            $($variant,)*
            XsiType,
            XsiNil,
            XmlLang,
            /// In a namespace that is neither SAML's nor a signature's nor of encryption nor `xml` nor `xsi`.
            Foreign,
            Unknown,
        }

        /// In no namespace.
        const PLAIN: &[(&[u8], Attr)] = &[$(($name.as_bytes(), Attr::$variant),)*];

        impl Attr {
            pub(super) fn of(namespace: Namespace, local: &[u8]) -> Self {
                match (namespace, local) {
                    (Namespace::None, _) => plain_attribute(local),
                    (Namespace::Xsi, b"type") => Self::XsiType,
                    (Namespace::Xsi, b"nil") => Self::XsiNil,
                    (Namespace::Xml, b"lang") => Self::XmlLang,
                    (Namespace::Foreign, _) => Self::Foreign,
                    _ => Self::Unknown,
                }
            }
        }
    };
}

/// One comparison instead of one with each name: where a name is in a table, by [`slot`].
macro_rules! slots {
    ($table:ident) => {{
        let mut slots = [ABSENT; 256];
        let mut at = 0;
        while at < $table.len() {
            #[expect(clippy::indexing_slicing, reason = "a mistake would not compile")]
            {
                let slot = slot($table[at].0);
                assert!(slots[slot] == ABSENT, "two names share a slot: change the factors of `slot`");
                slots[slot] = at as u8;
            }
            at += 1;
        }
        slots
    }};
}

const PLAIN_SLOTS: [u8; 256] = slots!(PLAIN);
/// No local name stands in two namespaces.
const TAG_SLOTS: [u8; 256] = slots!(TAGS);

const ABSENT: u8 = u8::MAX;

/// Of the length, the first, the middle and the last byte; the factors were searched for until no two names of a
/// table met.
const fn slot(name: &[u8]) -> usize {
    match (name, name.split_at(name.len() / 2).1) {
        ([first, .., last], [middle, ..]) => {
            (name.len() * 40 + *first as usize * 121 + *last as usize * 112 + *middle as usize) % 256
        }
        _ => 0,
    }
}

fn plain_attribute(local: &[u8]) -> Attr {
    let found = PLAIN_SLOTS.get(slot(local)).and_then(|at| PLAIN.get(usize::from(*at)));
    found.filter(|(name, _)| same(name, local)).map_or(Attr::Unknown, |(_, attr)| *attr)
}

attributes! {
    IdUpper = "ID", Id = "Id", Version = "Version", IssueInstant = "IssueInstant", Destination = "Destination",
    InResponseTo = "InResponseTo", Consent = "Consent", Value = "Value", Method = "Method",
    NotBefore = "NotBefore", NotOnOrAfter = "NotOnOrAfter", Recipient = "Recipient", Address = "Address",
    Count = "Count", AuthnInstant = "AuthnInstant", SessionIndex = "SessionIndex",
    SessionNotOnOrAfter = "SessionNotOnOrAfter", DnsName = "DNSName", Name = "Name", NameFormat = "NameFormat",
    FriendlyName = "FriendlyName", Format = "Format", NameQualifier = "NameQualifier",
    SpNameQualifier = "SPNameQualifier", SpProvidedId = "SPProvidedID", Algorithm = "Algorithm", Uri = "URI",
    Type = "Type", PrefixList = "PrefixList", EntityId = "entityID", Use = "use", Binding = "Binding",
    Location = "Location", ValidUntil = "validUntil", Reason = "Reason",
}

/// A set of [`Attr`]: what an element may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AttrSet(u64);

impl AttrSet {
    pub(crate) const EMPTY: Self = Self(0);

    #[must_use]
    pub(crate) const fn with(self, attribute: Attr) -> Self {
        Self(self.0 | 1 << attribute as u8)
    }

    pub(crate) const fn contains(self, attribute: Attr) -> bool {
        self.0 & 1 << attribute as u8 != 0
    }

    pub(super) const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}
