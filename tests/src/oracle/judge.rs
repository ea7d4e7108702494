//! Every document of a folder before three judges: saml-core first, and what it accepts before the two others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::second_opinion::{Terms, confirm, read};
use saml_core::{
    AcceptedLogin, AcsUrl, Authentication, Certificate, ClaimNames, ClaimSource, DecryptionKeys, EntityId, IdpId,
    RequestId, SentRequest, ServiceProvider, Sign, Timestamp, TrustedIdp, UnverifiedResponse,
};

use super::Tally;
use super::documents::Stated;
use super::facts::{self, Facts};
use super::xmlsec1::{self, Signed};
use crate::issuer::test_keys;

/// samael has no clock but the machine's, and the documents have theirs.
const AGES: Duration = Duration::from_secs(100 * 365 * 86_400);

const CANNOT_READ: &str = "Failed to parse reduced signed SAML assertion";

/// A document and where it is from.
#[derive(Debug, Clone)]
pub struct Case {
    pub origin: String,
    pub name: String,
    pub xml: Vec<u8>,
    pub trust: Trust,
    pub expected: Expected,
}

/// Whose keys are pinned.
#[derive(Debug, Clone)]
pub enum Trust {
    TestKeys,
    /// What the document carries, as for real responses whose IdP is not at hand.
    Carried,
    /// What stands beside the document, with the other facts of its login.
    Stated(Box<Stated>),
}

/// What saml-core shall say.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    Accepted,
    /// By this rule, though every signature is good: a rule that asks more than XML Signature does.
    Refused(&'static str),
    /// Listed elsewhere, or nobody knows.
    Anything,
}

impl Case {
    fn sign(&self) -> Sign {
        match &self.trust {
            Trust::Stated(stated) => stated.sign,
            Trust::TestKeys | Trust::Carried => Sign::Any,
        }
    }
}

enum Verdict {
    Agreed,
    /// The code of our refusal: nothing for the others to say.
    Refused(&'static str),
    /// As it should be; xmlsec1 verified every signature.
    RefusedByRule(&'static str),
    /// Too little in it to be judged.
    Unreadable,
    Disagreed(Vec<String>),
    /// xmlsec1 agrees, and samael cannot read an Assertion whose NameID is empty: not counted as agreed on.
    BeyondSamael,
}

/// What the judges said, by origin.
#[derive(Debug, Default)]
pub struct Report {
    pub origins: BTreeMap<String, Origin>,
}

#[derive(Debug, Default)]
pub struct Origin {
    pub agreed: Vec<String>,
    pub refused: BTreeMap<String, Vec<String>>,
    pub by_rule: BTreeMap<&'static str, usize>,
    pub beyond_samael: usize,
    pub disagreed: Vec<String>,
}

impl Report {
    pub fn agreed(&self, counts: impl Fn(&str) -> bool) -> usize {
        self.origins.iter().filter(|(name, _)| counts(name)).map(|(_, origin)| origin.agreed.len()).sum()
    }

    pub fn tally(&self) -> Tally {
        let by_rule: usize = self.origins.values().flat_map(|origin| origin.by_rule.values()).sum();
        Tally {
            passed: self.agreed(|_| true) + by_rule,
            failed: self.origins.values().map(|origin| origin.disagreed.len()).sum(),
        }
    }
}

/// Judges `cases` on every core; `scratch` is for files that xmlsec1 reads.
pub fn judge(cases: &[Case], scratch: &Path) -> Report {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut seen = Vec::new();
        while let Some((number, case)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, cases.get(n)?)))
        {
            seen.push((case, Bench { case, scratch, number }.verdict()));
        }
        seen
    };
    let lanes = std::thread::available_parallelism().map_or(2, usize::from);
    let seen: Vec<_> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(work)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("no judge panics")).collect()
    });
    let mut report = Report::default();
    for (case, verdict) in seen {
        let origin = report.origins.entry(case.origin.clone()).or_default();
        match verdict {
            Verdict::Agreed => origin.agreed.push(case.name.clone()),
            Verdict::BeyondSamael => origin.beyond_samael += 1,
            Verdict::RefusedByRule(code) => *origin.by_rule.entry(code).or_default() += 1,
            Verdict::Refused(code) => origin.refused.entry(code.to_owned()).or_default().push(case.name.clone()),
            Verdict::Unreadable => origin.refused.entry("unreadable".to_owned()).or_default().push(case.name.clone()),
            Verdict::Disagreed(reasons) => origin.disagreed.push(format!("{}: {}", case.name, reasons.join("; "))),
        }
    }
    report
}

struct Bench<'a> {
    case: &'a Case,
    scratch: &'a Path,
    number: usize,
}

impl Bench<'_> {
    fn verdict(&self) -> Verdict {
        let judged = self.judged();
        match (&judged, self.case.expected) {
            (Verdict::Agreed | Verdict::BeyondSamael, Expected::Refused(code)) => {
                Verdict::Disagreed(vec![format!("accepted; the rule is {code}")])
            }
            (Verdict::Refused(code), Expected::Refused(wanted)) if *code == wanted => self.good_but_refused(code),
            // Of these xmlsec1 said the same: the signer is at fault.
            (Verdict::Refused("signature_invalid" | "digest_mismatch"), Expected::Accepted) => judged,
            (Verdict::Refused(code), Expected::Accepted | Expected::Refused(_)) => {
                Verdict::Disagreed(vec![format!("{code} for us, and it ought to be otherwise")])
            }
            (Verdict::Unreadable, Expected::Accepted | Expected::Refused(_)) => {
                Verdict::Disagreed(vec!["it lacks a fact".to_owned()])
            }
            _ => judged,
        }
    }

    fn judged(&self) -> Verdict {
        let Some(facts) = self.facts() else { return Verdict::Unreadable };
        let pem = self.pinned(&facts);
        let Ok(pinned) = Certificate::parse_all(pem.as_bytes()) else { return Verdict::Unreadable };
        let Some(idp) = trusted(&facts, self.case.sign(), pinned) else { return Verdict::Unreadable };
        let login = match accept(&self.case.xml, &facts, &idp) {
            Ok(login) => login,
            Err(code @ ("signature_invalid" | "digest_mismatch")) => return self.refused(code, &facts, &pem),
            Err(code) => return Verdict::Refused(code),
        };
        let samael = self.samael(&login, &facts, &idp);
        let beyond = facts.name_id_empty && samael.as_ref().is_some_and(|reason| reason.contains(CANNOT_READ));
        let mut reasons: Vec<String> = samael.filter(|_| !beyond).into_iter().collect();
        reasons.extend(self.xmlsec1(&login, &facts, &pem));
        reasons.extend(self.controls(&facts, &idp, &pem));
        if let Trust::Stated(stated) = &self.case.trust
            && login.identity().email != stated.email
        {
            reasons.push("the e-mail is not that of the person who signed in".to_owned());
        }
        match reasons.is_empty() {
            true if beyond => Verdict::BeyondSamael,
            true => Verdict::Agreed,
            false => Verdict::Disagreed(reasons),
        }
    }

    fn facts(&self) -> Option<Facts> {
        let facts = facts::read(std::str::from_utf8(&self.case.xml).ok()?);
        match &self.case.trust {
            Trust::Stated(stated) => facts.map(|facts| stated.instead_of(facts)),
            Trust::TestKeys | Trust::Carried => facts,
        }
    }

    fn pinned(&self, facts: &Facts) -> String {
        let test_keys = [test_keys::rsa_2048(), test_keys::rsa_4096(), test_keys::p256()];
        match &self.case.trust {
            Trust::TestKeys => test_keys.map(|key| key.certificate_pem()).concat(),
            Trust::Carried => facts.certificates.concat(),
            Trust::Stated(stated) => stated.certificate.clone(),
        }
    }

    fn good_but_refused(&self, code: &'static str) -> Verdict {
        let good = self.facts().is_some_and(|facts| self.xmlsec1_verifies_all(&facts, &self.pinned(&facts)));
        match good {
            true => Verdict::RefusedByRule(code),
            false => Verdict::Disagreed(vec![format!("{code}, and xmlsec1 does not verify it either")]),
        }
    }

    /// What we call a broken signature, xmlsec1 must call one too.
    fn refused(&self, code: &'static str, facts: &Facts, pem: &str) -> Verdict {
        match self.xmlsec1_verifies_all(facts, pem) {
            true => Verdict::Disagreed(vec![format!("{code} for us, and xmlsec1 verifies every signature")]),
            false => Verdict::Refused(code),
        }
    }

    fn xmlsec1_verifies_all(&self, facts: &Facts, pem: &str) -> bool {
        let file = self.write("xml", &self.case.xml);
        let blocks = pem.split_inclusive("-----END CERTIFICATE-----\n").enumerate();
        let certificates: Vec<PathBuf> =
            blocks.map(|(number, block)| self.write(&format!("{number}.pem"), block.as_bytes())).collect();
        let verifies = |signed: &Signed| certificates.iter().any(|pem| xmlsec1::verifies(&file, *signed, pem));
        signatures(facts).iter().all(verifies)
    }

    fn samael(&self, login: &AcceptedLogin, facts: &Facts, idp: &TrustedIdp) -> Option<String> {
        confirm(login, idp.certificates(), &self.case.xml, &terms(facts)).err().map(|difference| difference.to_string())
    }

    fn xmlsec1(&self, login: &AcceptedLogin, facts: &Facts, pem: &str) -> Vec<String> {
        let file = self.write("xml", &self.case.xml);
        let certificates = self.certificates(login, pem);
        let refused = |signed: &Signed| !certificates.iter().any(|pem| xmlsec1::verifies(&file, *signed, pem));
        signatures(facts)
            .into_iter()
            .filter(refused)
            .map(|signed| format!("xmlsec1 does not verify the signature of the {signed:?}"))
            .collect()
    }

    /// An altered document and a strange key, so that no judge agrees because it agrees with everything.
    fn controls(&self, facts: &Facts, idp: &TrustedIdp, pem: &str) -> Vec<String> {
        let mut reasons = Vec::new();
        let Some(altered) = altered(&self.case.xml) else { return vec!["nothing to alter for the control".to_owned()] };
        if accept(&altered, facts, idp).is_ok() {
            reasons.push("saml-core accepts the altered document".to_owned());
        }
        let certificates: Vec<&[u8]> = idp.certificates().iter().map(Certificate::der).collect();
        if read(&altered, &certificates, &terms(facts)).is_ok() {
            reasons.push("samael accepts the altered document".to_owned());
        }
        let file = self.write("altered.xml", &altered);
        let pinned = self.write("pinned.pem", pem.as_bytes());
        if signatures(facts).iter().any(|signed| xmlsec1::verifies(&file, *signed, &pinned)) {
            reasons.push("xmlsec1 verifies the altered document".to_owned());
        }
        let stranger = self.write("stranger.pem", test_keys::stranger().certificate_pem().as_bytes());
        let file = self.write("xml", &self.case.xml);
        if signatures(facts).iter().any(|signed| xmlsec1::verifies(&file, *signed, &stranger)) {
            reasons.push("xmlsec1 verifies with a stranger's key".to_owned());
        }
        reasons
    }

    /// The certificates that verified, each in a file.
    fn certificates(&self, login: &AcceptedLogin, pem: &str) -> Vec<PathBuf> {
        let blocks = pem.split_inclusive("-----END CERTIFICATE-----\n").map(str::as_bytes);
        let verified = blocks.filter(|block| {
            let parsed = Certificate::parse_all(block).unwrap_or_default();
            parsed.iter().any(|certificate| login.verified_with().any(|print| print == certificate.fingerprint()))
        });
        verified.enumerate().map(|(number, block)| self.write(&format!("{number}.pem"), block)).collect()
    }

    fn write(&self, suffix: &str, bytes: &[u8]) -> PathBuf {
        let path = self.scratch.join(format!("{}-{suffix}", self.number));
        std::fs::write(&path, bytes).expect("the scratch folder can be written");
        path
    }
}

fn signatures(facts: &Facts) -> Vec<Signed> {
    let response = facts.response_signed.then_some(Signed::Response);
    response.into_iter().chain(facts.assertion_signed.then_some(Signed::Assertion)).collect()
}

fn terms(facts: &Facts) -> Terms<'_> {
    Terms {
        idp_entity_id: &facts.issuer,
        sp_entity_id: &facts.audience,
        acs_url: &facts.recipient,
        max_age: AGES,
        skew: AGES,
    }
}

fn trusted(facts: &Facts, sign: Sign, certificates: Vec<Certificate>) -> Option<TrustedIdp> {
    let source = facts.email.as_deref().map_or(ClaimSource::NameId, ClaimSource::parse);
    let claims = ClaimNames { email: source.clone(), unique_id: source, ..ClaimNames::default() };
    let id = IdpId::parse("idp").expect("an id");
    TrustedIdp::new(id, EntityId::parse(&facts.issuer).ok()?, certificates, sign, claims).ok()
}

fn accept(xml: &[u8], facts: &Facts, idp: &TrustedIdp) -> Result<AcceptedLogin, &'static str> {
    let sp = ServiceProvider {
        entity_id: EntityId::parse(&facts.audience).map_err(|_| "audience")?,
        acs_url: AcsUrl::parse(&facts.recipient).map_err(|_| "acs_url")?,
        skew_seconds: 180,
    };
    let id = RequestId::parse(&facts.request).map_err(|_| "request_id")?;
    let request = SentRequest { id, authentication: Authentication::Any };
    let now = Timestamp::parse(&facts.issued).map_err(|_| "issue_instant")?;
    let response = UnverifiedResponse::from_xml(xml.to_vec()).map_err(|rejection| rejection.code())?;
    let verified = response.verify(idp, &DecryptionKeys::none()).map_err(|rejection| rejection.code())?;
    verified.accept(&request, &sp, now).map_err(|rejection| rejection.code())
}

/// With another NameID, or another value where there is none: a letter more before its end tag.
fn altered(xml: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(xml).ok()?;
    let end_of = |wanted: &str| {
        text.match_indices("</").map(|(at, _)| at).find(|at| {
            let name = text[at + 2..].split('>').next().unwrap_or_default().trim_end();
            name.rsplit(':').next() == Some(wanted)
        })
    };
    let end = end_of("NameID").or_else(|| end_of("AttributeValue"))?;
    Some([&text[..end], "x", &text[end..]].concat().into_bytes())
}
