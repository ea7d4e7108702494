//! Who signs people in: trust, addresses, claims and the button.

use std::path::Path;

use saml_core::{Certificate, ClaimNames, ClaimSource, EntityId, IdpId, IdpMetadata, Sign, TrustError};
use url::Url;

use super::{Word, accept, access, metadata_url, parsed, session, single_logout, sso_url};
use crate::check::{self, CertificateSource, Fault};
use crate::settings::{Binding, Button, ExpiredCertificates, IdentityProvider, MACHINES, SingleLogout, Trust};
use crate::source::Findings;
use crate::table::{Choices, Key, Kind, Section, Table};

pub(crate) static TABLE: Table = Table {
    title: "identity_providers[]",
    about: "An identity provider: what it is called, where it is, and the keys that it signs with. \
            Exactly one of `certificate`, `certificate_file`, `metadata_file` and `metadata_url` must be there. \
            The first one is special in one thing: what the application learns as the user has no prefix; users of the \
            others are `<id>:<unique id>`.",
    keys: &[
        Key::required("id", Kind::Text, "a short name for paths, logs and metrics, such as `jumpcloud`"),
        Key::required("entity_id", Kind::Text, "JumpCloud: IdP Entity ID; any text, compared byte for byte"),
        Key::optional(
            "sso_url",
            Kind::Text,
            "what the metadata declares; required without metadata",
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
            "metadata_url",
            Kind::Text,
            "none",
            "https address of the IdP's metadata, read at the start and again every `metadata_refresh`; needs `trusted_keys` or \
             `new_keys`; until the first success logins answer 503",
        ),
        Key::optional(
            "trusted_keys",
            Kind::List(&Kind::Text),
            "none",
            "beside `metadata_url`: SHA-256 fingerprints of the certificates that may be used; a new key at the address is held \
             until its fingerprint is added here. Name a coming key early and a change of keys costs no outage",
        ),
        Key::optional(
            "new_keys",
            Kind::Choice(&metadata_url::NEW_KEYS),
            "none",
            "beside `metadata_url`, instead of `trusted_keys`: take whatever keys that server names",
        ),
        Key::optional(
            "metadata_refresh",
            metadata_url::REFRESH,
            "`1h`",
            "how often `metadata_url` is read again, give or take a tenth",
        ),
        Key::optional(
            "metadata_ca_file",
            Kind::File,
            "the authorities that this system trusts",
            "PEM of the only authorities that may have issued the certificate of that server",
        ),
        Key::optional(
            "expired_certificates",
            Kind::Choice(EXPIRED.words),
            "`accept`",
            "`accept`: a pinned key is trusted for being pinned, and its certificate's end is only warned of; `refuse`: logins \
             signed with it end then",
        ),
        Key::optional(
            "email_domains",
            Kind::List(&Kind::Text),
            "every domain where it is the only identity provider",
            "the domains that it speaks for, whole and in any case; an e-mail of another is refused. Required with several",
        ),
        Key::optional(
            "sign_requests",
            Kind::Boolean,
            "`false`",
            "sign AuthnRequests with the key `sp-signing` of `keys_dir`",
        ),
        Key::optional(
            "force_authn",
            Kind::Boolean,
            "`false`",
            "ask the IdP for a new sign-in at each login, whatever session it has, and refuse an older one",
        ),
        Key::optional(
            "allow_idp_initiated",
            Kind::Boolean,
            "`false`",
            "let responses that answer no request of ours sign people in, as portals send them. Nothing ties such a response to \
             the browser: whoever has one can sign somebody else in as themselves. Needs `replicas: 1`, or the store \
             `redis`; better, give the portal's tile the address `<public_url><prefix>/login`",
        ),
        Key::optional(
            "single_logout",
            Kind::ChoiceOrSection(&single_logout::CHOICES, &single_logout::TABLE),
            "off",
            "single logout, for IdPs that have it (JumpCloud has none): `metadata` takes the address that the metadata declares, \
             by HTTP-Redirect where it can; or a section with the address. Needs the key `sp-signing` of `keys_dir`; enter \
             `<public_url><prefix>/slo` at the IdP, or give it our metadata",
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
    later: &["encryption", "decryption", "encryption_keys", "decryption_keys", "second_opinion"],
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

pub(super) static BINDINGS: Word<Binding> = Word {
    words: &Choices { values: &["redirect", "post"], later: &[] },
    meanings: &[Binding::Redirect, Binding::Post],
};

static EXPIRED: Word<ExpiredCertificates> = Word {
    words: &Choices { values: &["accept", "refuse"], later: &[] },
    meanings: &[ExpiredCertificates::Accept, ExpiredCertificates::Refuse],
};

/// The ids, of those that have one.
pub(crate) fn ids(root: &Section<'_>) -> Vec<IdpId> {
    root.sections("identity_providers").iter().filter_map(|section| IdpId::parse(section.text("id")?).ok()).collect()
}

/// What IdPs are held against.
pub(crate) struct Surroundings<'s> {
    pub(crate) keys_dir: Option<&'s Path>,
    pub(crate) store: Option<session::Store>,
    pub(crate) replicas: Option<u64>,
}

/// `None` where any of them has a mistake.
pub(crate) fn read(
    root: &Section<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Vec<IdentityProvider>> {
    let sections = root.sections("identity_providers");
    let mut alone = true;
    for key in ["id", "entity_id"] {
        alone &= are_different(&sections, key, findings);
    }
    if sections.len() > 1 && root.boolean("login_page") == Some(false) {
        let problem = "has no effect with several identity providers: people choose one on the page";
        findings.warn(root.place("login_page"), problem, "remove it");
    }
    let company = if sections.len() > 1 { Company::Several } else { Company::Alone };
    let all: Vec<_> = sections.iter().map(|section| identity_provider(section, company, around, findings)).collect();
    let mut all = all.into_iter().collect::<Option<Vec<_>>>().filter(|all| alone && !all.is_empty())?;
    reserve_names(&mut all);
    Some(all)
}

/// A response is held against one IdP: its id picks it, its entity ID must be the Issuer.
fn are_different(sections: &[Section<'_>], key: &str, findings: &mut Findings) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    for section in sections {
        let Some(text) = section.text(key) else { continue };
        if seen.contains(&text) {
            let problem = format!("is the {key} of another identity provider too");
            findings.refuse(section.place(key), problem, "choose another");
            return false;
        }
        seen.push(text);
    }
    true
}

/// Upstreams know the users of the first IdP by their bare unique ids and those of `staff` as `staff:<unique id>`:
/// the first must not have a user who is called so.
fn reserve_names(all: &mut [IdentityProvider]) {
    if let [first, others @ ..] = all {
        first.reserved = others.iter().map(|other| other.id.clone()).collect();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Company {
    Alone,
    Several,
}

fn identity_provider(
    section: &Section<'_>,
    company: Company,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<IdentityProvider> {
    let id = parsed(section, "id", IdpId::parse, findings);
    if id.as_ref().is_some_and(|id| id.as_str() == MACHINES) {
        let problem = "is what the names of machines begin with";
        findings.refuse(section.place("id"), problem, "write another id");
    }
    let entity_id = parsed(section, "entity_id", EntityId::parse, findings);
    let binding = BINDINGS.meaning(section.choice("binding")).unwrap_or(Binding::Redirect);
    let expired = EXPIRED.meaning(section.choice("expired_certificates")).unwrap_or(ExpiredCertificates::Accept);
    let (trust, single_logout) = trust(section, entity_id.as_ref(), binding, expired, findings);
    let sign = sign(section, findings);
    let button = button(section, id.as_ref(), findings);
    let email_domains = email_domains(section, company, findings);
    let sign_requests = section.boolean("sign_requests").unwrap_or(false);
    for (key, wanted) in [("sign_requests", sign_requests), ("single_logout", section.has("single_logout"))] {
        if wanted {
            check_signing_key(section, key, around.keys_dir, findings);
        }
    }
    let allow_idp_initiated = allow_idp_initiated(section, around, findings);
    let idp = IdentityProvider {
        id: id?,
        entity_id: entity_id?,
        trust: trust?,
        sign,
        claims: claims(&section.section("claims")),
        email_domains: email_domains?,
        reserved: Vec::new(),
        binding,
        button,
        expired_certificates: expired,
        sign_requests,
        force_authn: section.boolean("force_authn").unwrap_or(false),
        allow_idp_initiated,
        single_logout: single_logout?,
    };
    check_keys(section, &idp, findings)?;
    Some(idp)
}

/// One IdP must not be able to sign in as a user of another by sending that user's address.
fn email_domains(section: &Section<'_>, company: Company, findings: &mut Findings) -> Option<Vec<String>> {
    if company == Company::Several && !section.has("email_domains") {
        let cure = "write `email_domains: [example.com]` with the domains whose people sign in there";
        findings.refuse(section.place("email_domains"), "is missing, and there are several identity providers", cure);
        return None;
    }
    let found = access::checked(section, "email_domains", access::domain_problem, access::DOMAIN_CURE, findings);
    Some(found.iter().map(|domain| domain.to_ascii_lowercase()).collect())
}

/// The key's content is for whoever loads it to judge.
fn check_signing_key(section: &Section<'_>, key: &str, keys_dir: Option<&Path>, findings: &mut Findings) {
    if !keys_dir.is_some_and(|keys_dir| keys_dir.join("sp-signing.current").exists()) {
        let problem = "asks for signatures, and there is no key: `keys_dir` with `sp-signing.current` in it";
        let cure = "run `samlgate keys generate --dir keys`, write `keys_dir: keys`, and give the IdP our metadata";
        findings.refuse(section.place(key), problem, cure);
    }
}

/// A response that answers nothing is used once because its assertion is claimed, and a memory store claims for its
/// own process; so does a sealed one.
fn allow_idp_initiated(section: &Section<'_>, around: &Surroundings<'_>, findings: &mut Findings) -> bool {
    let wanted = section.boolean("allow_idp_initiated").unwrap_or(false);
    let knows_its_own = match around.store {
        Some(session::Store::Memory) => around.replicas.is_none(),
        Some(session::Store::Sealed) => around.replicas != Some(1),
        Some(session::Store::Redis) | None => false,
    };
    if wanted && knows_its_own {
        let problem = "lets one response open a session in every process, for each knows only what itself has used";
        let cure = "write `replicas: 1` at the top level if there is one process, or `store: redis` under `session`; or leave it off, and give the portal's tile our /saml/login";
        findings.refuse(section.place("allow_idp_initiated"), problem, cure);
    }
    if wanted && section.boolean("force_authn") == Some(true) {
        let problem = "stands beside `force_authn: true`, which a login that the IdP begins would evade";
        findings.refuse(section.place("allow_idp_initiated"), problem, "keep one of the two");
    }
    wanted
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

const SOURCES: [&str; 4] = ["certificate", "certificate_file", "metadata_file", "metadata_url"];

/// What both come from is read once. `None` where what went wrong was reported.
fn trust(
    section: &Section<'_>,
    entity_id: Option<&EntityId>,
    binding: Binding,
    expired: ExpiredCertificates,
    findings: &mut Findings,
) -> (Option<Trust>, Option<SingleLogout>) {
    let one_source = one_source(section, findings);
    if section.has("metadata_url") {
        let explicit = sso_url::explicit(section, findings);
        let complete = one_source && (explicit.is_some() || !section.has("sso_url"));
        let source = metadata_url::read(section, explicit, findings).filter(|_| complete);
        return (source.map(Trust::Fetched), single_logout::read(section, None, findings));
    }
    metadata_url::refuse_companions(section, findings);
    let metadata = match (section.text("metadata_file"), entity_id) {
        (Some(name), Some(entity_id)) => {
            check::metadata(name, entity_id, expired, section.place("metadata_file"), findings)
        }
        _ => None,
    };
    if metadata.as_ref().is_some_and(|metadata| metadata.want_authn_requests_signed)
        && section.boolean("sign_requests") != Some(true)
    {
        let problem = "says that the IdP wants AuthnRequests signed, and they are not";
        findings.warn(section.place("metadata_file"), problem, "write `sign_requests: true`");
    }
    let sso_url = sso_url::read(section, metadata.as_ref(), binding, findings);
    let single_logout = single_logout::read(section, metadata.as_ref(), findings);
    let certificates = certificates(section, metadata, expired, findings);
    let pinned = certificates.zip(sso_url).map(|(certificates, sso_url)| Trust::Pinned { certificates, sso_url });
    (pinned.filter(|_| one_source), single_logout)
}

fn one_source(section: &Section<'_>, findings: &mut Findings) -> bool {
    let given: Vec<&str> = SOURCES.into_iter().filter(|key| section.has(key)).collect();
    match given.as_slice() {
        [] => {
            let cure = "add the file of JumpCloud's IDP Certificate; or `certificate:` with the PEM pasted, `metadata_file:` or `metadata_url:`";
            findings.refuse(section.place("certificate_file"), "is missing", cure);
        }
        [_] => return true,
        [_, second, ..] => {
            let problem = format!("stands beside another source of certificates ({})", given.join(", "));
            findings.refuse(section.place(second), problem, "keep one of them");
        }
    }
    false
}

/// `None` where what went wrong was reported.
fn certificates(
    section: &Section<'_>,
    metadata: Option<IdpMetadata>,
    expired: ExpiredCertificates,
    findings: &mut Findings,
) -> Option<Vec<Certificate>> {
    let mut complete = !section.has("metadata_file") || metadata.is_some();
    let mut all: Vec<Certificate> = metadata.map(|metadata| metadata.certificates).unwrap_or_default();
    if let Some(text) = section.pem("certificate") {
        let read = check::certificates(CertificateSource::Text(text), expired, section.place("certificate"), findings);
        complete &= !read.is_empty();
        all.extend(read);
    }
    for (index, name) in section.texts("certificate_file") {
        let place = section.place_in_list("certificate_file", index);
        let read = check::certificates(CertificateSource::File(name), expired, place, findings);
        complete &= !read.is_empty();
        all.extend(read);
    }
    // Metadata without a certificate is for the caller to refuse; a list without one is refused by now.
    complete &= section.has("metadata_file") || !all.is_empty();
    complete.then_some(all)
}

/// Whether the certificates make a set of keys. Fetched ones are judged when they come.
fn check_keys(section: &Section<'_>, idp: &IdentityProvider, findings: &mut Findings) -> Option<()> {
    let Trust::Pinned { certificates, .. } = &idp.trust else { return Some(()) };
    let outcome = idp.trusting(certificates.clone()).map(drop).map_err(|error| match error {
        TrustError::NoKey => Fault::new("holds no certificate", "give the IdP's certificate"),
        TrustError::TooManyKeys { count } => Fault::new(
            format!("holds {count} certificates, of which at most four are tried"),
            "remove those that the IdP no longer signs with",
        ),
    });
    let source = SOURCES.into_iter().find(|key| section.has(key)).unwrap_or("certificate_file");
    accept(outcome, || section.place(source), findings)
}

fn claims(section: &Section<'_>) -> ClaimNames {
    let named = |key: &str, default: String| section.text(key).map_or(default, str::to_owned);
    let sourced = |key: &str, default: ClaimSource| section.text(key).map_or(default, ClaimSource::parse);
    let default = ClaimNames::default();
    ClaimNames {
        email: sourced("email", default.email),
        unique_id: sourced("unique_id", default.unique_id),
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
