//! The list of weaknesses, each as somebody's service provider had it.

macro_rules! weaknesses {
    ($( $variant:ident = $name:literal, $like:literal; )*) => {
        /// One thing that a service provider gets wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Weakness { $( $variant, )* }

        impl Weakness {
            pub const ALL: &[Self] = &[$( Self::$variant, )*];

            /// What the weak verifier does.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )* }
            }

            /// Where it was seen.
            pub fn seen_in(self) -> &'static str {
                match self { $( Self::$variant => $like, )* }
            }
        }
    };
}

weaknesses! {
    // ---- Which element
    LooksUpIds = "looks the signed element up by its ID anywhere and reads the first Assertion of the Response", "On Breaking SAML, 2012: 11 of 14 frameworks";
    ReadsFirstAnywhere = "verifies some signature and reads `//Assertion[1]`", "CVE-2026-25922, CVE-2025-47949";
    ReadsLastAnywhere = "verifies some signature and keeps the last Assertion", "CVE-2022-41912";
    ReadsUnverifiedTree = "verifies the Assertion and reads `.//Attribute` from the unverified tree", "CVE-2025-54419, CVE-2023-34205";
    LooksUpLastOfOneId = "keeps the last of two elements of one ID, and takes the Response for signed", "duplicate IDs in a hash map";
    SignatureByPosition = "takes the Response for signed because a good Signature stands in it", "CVE-2024-8698";
    AnySignedElement = "takes a good signature in the Assertion for one over it, whatever it covers", "CVE-2024-6800";
    DigestAnywhere = "takes `//ds:DigestValue[1]`", "CVE-2024-45409";
    SecondSignedInfo = "verifies the first SignedInfo and digests by the last", "CVE-2019-3465, CVE-2025-29774";
    FirstReferenceOnly = "checks the first Reference alone", "CVE-2026-33487";
    LastReferenceOnly = "checks the last Reference alone", "CVE-2026-33487";
    StripsEverySignature = "strips every Signature as enveloped, looks at no status and reads `//Assertion[1]`", "CVE-2026-34840";
    TrustsUnsignedResponse = "believes the unsigned Response", "CVE-2026-49284";
    OneSignatureIsEnough = "is content with one signature where two are asked for, and believes the unsigned Response", "selective stripping";
    NoStatusCheck = "looks at no status", "CVE-2022-39299";

    // ---- Parsers that disagree
    PrefixComparison = "compares prefixes instead of namespaces", "The Fragile Lock, 2025";
    LocalNames = "compares local names alone", "The Fragile Lock, 2025";
    NamespaceBlindAttributes = "reads attributes by local name, the last one winning", "The Fragile Lock, 2025";
    XmlPrefixedXmlns = "its second parser takes `xml:xmlns` for a declaration", "CVE-2025-66567";
    DoubleColon = "its round trip turns `saml::Assertion` into `saml:Assertion`", "CVE-2020-29511";
    EntityIds = "looks IDs up in a table made before entities are expanded", "CVE-2025-23369";
    ResolvesEntities = "expands entities and fetches external ones", "CVE-2017-1000061";
    FirstTextNode = "reads the first text node of an element", "CVE-2017-11427 and five more of 2018";
    DigestFromFirstNode = "reads the first node of DigestValue, comment or not", "CVE-2025-29775";
    CommentsCanonical = "accepts canonicalization with comments and reads the first text node", "allow-lists by prefix";
    TextReader = "verifies a tree and reads the identity by searching the text", "CVE-2025-25291";
    SeveralRoots = "accepts several roots and reads the first", "CVE-2022-39299";
    DeclaredEncoding = "verifies UTF-8 and reads by the declared encoding", "encoding mismatches";
    OverlongUtf8 = "decodes overlong UTF-8 when it reads", "encoding mismatches";
    CutsAtNul = "ends a string at NUL", "C strings";
    TrimsValues = "trims white space off identifiers", "usual";
    FoldsUnicode = "folds compatibility characters in identifiers", "Splitting the email atom, 2024";
    DropsInvisible = "drops invisible characters from identifiers", "Splitting the email atom, 2024";
    SplitsAddress = "takes an address up to its second `@`", "GHSA-c5c4-8r6x-56w3";
    EmptyDigest = "canonicalizes to nothing when a namespace is relative", "CVE-2025-66568, CVE-2025-66578";
    DigestOnly = "checks digests and no signature value", "signature verified in another step";
    UnescapesSections = "serialises CDATA sections without escaping them before it verifies", "middleware";

    // ---- Signature logic
    NoSignatureIsFine = "has nothing to verify where there is no Signature", "CVE-2012-5353, CVE-2026-16443";
    KeyFromKeyInfo = "takes the key from KeyInfo", "CVE-2021-21239, CVE-2020-2021";
    CertificateIsEnough = "is content when KeyInfo names the pinned certificate and the digest holds", "certificate compared, key not used";
    HmacWithPublicKey = "takes the pinned certificate for an HMAC key", "CVE-2018-7644";
    HmacTruncated = "obeys HMACOutputLength", "CVE-2009-0217";
    Sha1 = "accepts SHA-1", "default of most";
    DerSignature = "accepts ECDSA signatures in DER beside r||s", "malleability";
    PsychicSignature = "accepts r = s = 0", "CVE-2022-21449";
    ErrorIsTrue = "takes an error of the crypto library for true", "CVE-2016-9814";
    EmptyUri = "takes an empty URI for the whole document", "XML Signature 1.1 §4.4.3.2";
    MissingUri = "checks no digest where there is no URI", "ruby-saml response_without_reference_uri";
    FollowsUris = "follows XPointers, escapes and URLs in a Reference", "XML Signature Best Practices 8";
    RunsXslt = "runs XSLT transforms before the signature is checked", "pysaml2 #1035";
    RunsXPath = "runs XPath transforms", "XML Signature Best Practices 5";
    IgnoresTransforms = "ignores transforms that it does not know", "usual";
    TransformsFirst = "runs every transform of every reference before the signature is checked", "XML Signature Best Practices 9";
    FollowsRetrievalMethod = "follows RetrievalMethod", "XML Signature Best Practices 7";
    PrefixDigest = "compares as many bytes of the digest as the message gives", "goxmldsig 9c3a4d6";
    LenientBase64 = "accepts base64 of any alphabet, padding and trailing bits", "usual";

    // ---- XML and transport
    NoLimits = "has no limits of depth, attributes and names", "CVE-2026-3055 and others";
    Inflates = "inflates what is not XML", "CVE-2025-25293, CVE-2023-28119";
    MeasuresLate = "measures after it has decoded", "CVE-2025-54572";
    FetchesSchemas = "obeys stylesheets, XInclude and schemaLocation", "validating parsers";
    NestedValues = "reads all text below an AttributeValue", "usual";
    FirstAttribute = "takes the first of two attributes of one name", "usual";
    LastAttribute = "takes the last of two attributes of one name", "usual";
    UsesFriendlyName = "takes FriendlyName for the name", "IIP-SP11 forbids it";
    TransientIsIdentity = "takes a transient NameID for who somebody is", "usual";

    // ---- Protocol and state
    NoReplayCache = "remembers nothing", "CVE-2025-64131";
    AllowsUnsolicited = "accepts what answers no request", "CVE-2026-2603, CVE-2026-3047";
    NoRequestCheck = "does not compare InResponseTo", "usual";
    NoRecipientCheck = "does not compare Recipient", "usual";
    NoDestinationCheck = "does not compare Destination", "usual";
    NoAudienceCheck = "does not look at AudienceRestriction", "CVE-2026-41577";
    AudiencesOred = "wants to be named in one AudienceRestriction of several", "usual";
    NoTimeCheck = "does not look at times", "CVE-2026-41577";
    LenientTime = "reads times generously, and none as for ever", "usual";
    IgnoresSessionEnd = "ignores SessionNotOnOrAfter", "usual";
    AnyConfirmationMethod = "accepts any SubjectConfirmation method", "usual";
    AcrossConfirmations = "lets one confirmation meet one condition and another the next", "usual";
    NoIssuerCheck = "does not compare Issuer", "CVE-2026-49283";
    AnyIdpsKey = "tries the keys of every IdP and compares no Issuer", "CVE-2026-49284";
    UnknownConditions = "passes over conditions that it does not know", "SAML Core 2.0 §2.5.1.1 forbids it";
    VerifiesFirstReadsLast = "verifies the first SAMLResponse of a form and reads the last", "CVE-2025-31335";
    MergesQuery = "takes SAMLResponse from the query", "CVE-2025-27773";
    ParametersBeside = "passes over parameters of other bindings", "CVE-2025-27773";
    ResolvesArtifacts = "resolves SAMLart wherever it points", "CVE-2026-49283";
    AnyContentType = "takes the body for the message, of whatever type, and finds a Response in it", "CVE-2019-3878";

    // ---- Encryption
    DecryptsUnsigned = "decrypts and believes, without a signature over either", "CVE-2026-2092, CVE-2024-9487";
    Cbc = "decrypts CBC and says why it failed", "How to break XML encryption, 2011";
    Pkcs1KeyTransport = "accepts RSA 1.5 key transport", "Bleichenbacher's attack strikes again, 2012";
    FetchesCiphertext = "fetches CipherReference", "XML Encryption 1.1 §6.5";
}
