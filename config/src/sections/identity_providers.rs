//! Who signs people in: trust, addresses, claims and the button.

use saml_core::{Certificate, ClaimNames, EntityId, IdpId, IdpMetadata, Sign, TrustError, TrustedIdp, UniqueIdSource};
use url::Url;

use super::{Word, accept, parsed, sso_url};
use crate::check::{self, CertificateSource, Fault};
use crate::settings::{Binding, Button, IdentityProvider};
use crate::source::Findings;
use crate::table::{Choices, Key, Kind, Section, Table};

pub(crate) static TABLE: Table = Table {
    title: "identity_providers[]",
    about: "An identity provider: what it is called, where it is, and the keys that it signs with. \
            Exactly one of `certificate`, `certificate_file` and `metadata_file` must be there.",
    keys: &[
        Key::required("id", Kind::Text, "a short name for paths, logs and metrics, such as `jumpcloud`"),
        Key::required("entity_id", Kind::Text, "JumpCloud: IdP Entity ID; any text, compared byte for byte"),
        Key::optional(
            "sso_url",
            Kind::Text,
            "what `metadata_file` declares; required without it",
            "JumpCloud: IDP URL; where people are sent to sign in",
        ),
        Key::optional(
            "certificate",
            Kind::Pem,
            "none",
            "JumpCloud: IDP Certificate, pasted; up to four, with or without their BEGIN and END lines",
        ),
        Key::optional(
            "certificate_file",
            Kind::OneOrMany(&Kind::File),
            "none",
            "JumpCloud: IDP Certificate, as a file; or a list of files, up to four certificates in all",
        ),
        Key::optional(
            "metadata_file",
            Kind::File,
            "none",
            "JumpCloud: Export Metadata; gives the certificates, and `sso_url` where that is not set",
        ),
        Key::optional(
            "sign",
            Kind::Choice(SIGN.words),
            "`assertion_and_response`",
            "what the IdP must sign; every signature that is there is verified in any case",
        ),
        Key::optional(
            "binding",
            Kind::Choice(BINDINGS.words),
            "`redirect`",
            "how the AuthnRequest travels: HTTP-Redirect or HTTP-POST",
        ),
        Key::optional("button", Kind::Section(&BUTTON), "its defaults", "the button on the login page"),
        Key::optional("claims", Kind::Section(&CLAIMS), "its defaults", "which SAML attributes carry what"),
    ],
    later: &[
        "metadata_url",
        "trusted_keys",
        "new_keys",
        "allow_idp_initiated",
        "force_authn",
        "encryption",
        "decryption",
        "encryption_keys",
        "decryption_keys",
        "sign_requests",
        "email_domains",
        "second_opinion",
    ],
};

static BUTTON: Table = Table {
    title: "identity_providers[].button",
    about: "The button on the login page.",
    keys: &[
        Key::optional(
            "text",
            Kind::Text,
            "`Login with JumpCloud` for the id `jumpcloud`, else `Login with <id>`",
            "what stands on it",
        ),
        Key::optional("image_url", Kind::Text, "none", "http(s) address, or path on this site, of the image on it"),
    ],
    later: &[],
};

static CLAIMS: Table = Table {
    title: "identity_providers[].claims",
    about: "Names of SAML attributes, compared byte for byte.",
    keys: &[
        Key::optional("email", Kind::Text, "`email`", "the e-mail address; a login without it is refused"),
        Key::optional(
            "unique_id",
            Kind::Text,
            "`sub`",
            "what identifies a user for ever; a login without it is refused; `\"@NameID\"` reads the NameID",
        ),
        Key::optional("username", Kind::Text, "none", "the name that the application shows"),
        Key::optional("first_name", Kind::Text, "`firstname`", "first name"),
        Key::optional("last_name", Kind::Text, "`lastname`", "last name"),
        Key::optional("groups", Kind::Text, "`memberOf`", "names of groups; a list"),
    ],
    later: &[],
};

static SIGN: Word<Sign> = Word {
    words: &Choices { values: &["assertion_and_response", "response", "assertion", "any"], later: &[] },
    meanings: &[Sign::AssertionAndResponse, Sign::Response, Sign::Assertion, Sign::Any],
};

static BINDINGS: Word<Binding> = Word {
    words: &Choices { values: &["redirect", "post"], later: &[] },
    meanings: &[Binding::Redirect, Binding::Post],
};

/// `None` where any of them has a mistake.
pub(crate) fn read(root: &Section<'_>, findings: &mut Findings) -> Option<Vec<IdentityProvider>> {
    let sections = root.sections("identity_providers");
    if sections.len() > 1 {
        let cure = "keep one of them";
        findings.refuse(root.place("identity_providers"), "names more than one, which is not in this version", cure);
    }
    let mut ids: Vec<&str> = Vec::new();
    for section in &sections {
        let Some(id) = section.text("id") else { continue };
        if ids.contains(&id) {
            findings.refuse(section.place("id"), "is the id of another identity provider too", "choose another");
        }
        ids.push(id);
    }
    let all: Vec<_> = sections.iter().map(|section| identity_provider(section, findings)).collect();
    all.into_iter().collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())
}

fn identity_provider(section: &Section<'_>, findings: &mut Findings) -> Option<IdentityProvider> {
    let id = parsed(section, "id", IdpId::parse, findings);
    let entity_id = parsed(section, "entity_id", EntityId::parse, findings);
    let binding = BINDINGS.meaning(section.choice("binding")).unwrap_or(Binding::Redirect);
    let metadata = match (section.text("metadata_file"), &entity_id) {
        (Some(name), Some(entity_id)) => check::metadata(name, entity_id, section.place("metadata_file"), findings),
        _ => None,
    };
    let sso_url = sso_url::read(section, metadata.as_ref(), binding, findings);
    let certificates = certificates(section, metadata, findings);
    let claims = claims(&section.section("claims"));
    let sign = sign(section, findings);
    let button = button(section, id.as_ref(), findings);
    let trusted = trusted(section, id?, entity_id?, certificates?, sign, claims, findings)?;
    Some(IdentityProvider { trusted, sso_url: sso_url?, binding, button })
}

fn sign(section: &Section<'_>, findings: &mut Findings) -> Sign {
    let sign = SIGN.meaning(section.choice("sign")).unwrap_or(Sign::AssertionAndResponse);
    if sign == Sign::Any {
        findings.warn(
            section.place("sign"),
            "one signature of either kind is enough, so the IdP may stop signing the other unnoticed",
            "JumpCloud: set Sign to \"Assertion and Response\", save, and remove `sign` here",
        );
    }
    sign
}

const CERTIFICATE_KEYS: [&str; 3] = ["certificate", "certificate_file", "metadata_file"];

/// `None` where what went wrong was reported.
fn certificates(
    section: &Section<'_>,
    metadata: Option<IdpMetadata>,
    findings: &mut Findings,
) -> Option<Vec<Certificate>> {
    let given: Vec<&str> = CERTIFICATE_KEYS.into_iter().filter(|key| section.has(key)).collect();
    match given.as_slice() {
        [] => {
            let cure = "add the file of JumpCloud's IDP Certificate; or `certificate:` with the PEM pasted, or `metadata_file:`";
            findings.refuse(section.place("certificate_file"), "is missing", cure);
            return None;
        }
        [_] => {}
        [_, second, ..] => {
            let problem = format!("stands beside another source of certificates ({})", given.join(", "));
            findings.refuse(section.place(second), problem, "keep one of them");
        }
    }
    let mut complete = !section.has("metadata_file") || metadata.is_some();
    let mut all: Vec<Certificate> = metadata.map(|metadata| metadata.certificates).unwrap_or_default();
    if let Some(text) = section.pem("certificate") {
        let read = check::certificates(CertificateSource::Text(text), section.place("certificate"), findings);
        complete &= !read.is_empty();
        all.extend(read);
    }
    for (index, name) in section.texts("certificate_file") {
        let place = section.place_in_list("certificate_file", index);
        let read = check::certificates(CertificateSource::File(name), place, findings);
        complete &= !read.is_empty();
        all.extend(read);
    }
    // Metadata without a certificate is for the caller to refuse; a list without one is refused by now.
    complete &= section.has("metadata_file") || !all.is_empty();
    complete.then_some(all)
}

fn trusted(
    section: &Section<'_>,
    id: IdpId,
    entity_id: EntityId,
    certificates: Vec<Certificate>,
    sign: Sign,
    claims: ClaimNames,
    findings: &mut Findings,
) -> Option<TrustedIdp> {
    let outcome = TrustedIdp::new(id, entity_id, certificates, sign, claims).map_err(|error| match error {
        TrustError::NoKey => Fault::new("holds no certificate", "give the IdP's certificate"),
        TrustError::TooManyKeys { count } => Fault::new(
            format!("holds {count} certificates, of which at most four are tried"),
            "remove those that the IdP no longer signs with",
        ),
    });
    let source = CERTIFICATE_KEYS.into_iter().find(|key| section.has(key)).unwrap_or("certificate_file");
    accept(outcome, || section.place(source), findings)
}

const NAME_ID: &str = "@NameID";

fn claims(section: &Section<'_>) -> ClaimNames {
    let named = |key: &str, default: String| section.text(key).map_or(default, str::to_owned);
    let default = ClaimNames::default();
    ClaimNames {
        email: named("email", default.email),
        unique_id: match section.text("unique_id") {
            Some(NAME_ID) => UniqueIdSource::NameId,
            Some(name) => UniqueIdSource::Attribute(name.to_owned()),
            None => default.unique_id,
        },
        username: section.text("username").map(str::to_owned).or(default.username),
        first_name: named("first_name", default.first_name),
        last_name: named("last_name", default.last_name),
        groups: named("groups", default.groups),
    }
}

fn button(section: &Section<'_>, id: Option<&IdpId>, findings: &mut Findings) -> Button {
    let button = section.section("button");
    let name = match id.map(IdpId::as_str) {
        Some("jumpcloud") => "JumpCloud",
        Some(id) => id,
        None => "",
    };
    let image_url = button.text("image_url");
    if image_url.is_some_and(|url| !is_image_url(url)) {
        let cure = "write an http(s) address, or a path on this site that begins with one /";
        findings.refuse(button.place("image_url"), "is neither an http(s) address nor a path on this site", cure);
    }
    Button {
        text: button.text("text").map_or_else(|| format!("Login with {name}"), str::to_owned),
        image_url: image_url.map(str::to_owned),
    }
}

fn is_image_url(text: &str) -> bool {
    if text.starts_with('/') {
        return check::same_site_path(text);
    }
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let is_http = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host() && !text.contains('@');
    is_plain && Url::parse(text).is_ok_and(is_http)
}
