//! Exhaustive transplants: every subtree of a signed response copied or moved to every place, renamed and
//! with another identity; and subtrees of one signed document in another. Whatever is accepted must say
//! what the IdP said, whole.
//!
//! The issuer, the audience, the request that is answered and the expiry cannot be read off a login: the
//! verifier compares them with its settings. So they are pinned from the other side: bases that are for
//! somebody else, another request, by another issuer or over are refused, and no transplant of the edited
//! value makes one of them good.

pub mod generate;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::attacks::forge::{
    EXCLUSIVE, INCLUSIVE, Signing, denied, draft, evil, logout_request, metadata, sign, signed_with,
};
use crate::attacks::parties::{ASSERTION_ID, EVE, IDP, OTHER_REQUEST, REQUEST, RESPONSE_ID, SP, Setting, now, spec};
use crate::attacks::strict::{Strict, seen};
use crate::issuer::ResponseSpec;
use crate::weak::{Login, Message, Trust, Wanted, Weakness, judge};

/// The verifiers that show what the documents are worth.
const FOOLED: [Weakness; 3] = [Weakness::LooksUpIds, Weakness::ReadsFirstAnywhere, Weakness::ReadsLastAnywhere];

/// One setting and one kind of canonicalization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    pub wanted: Wanted,
    pub inclusive: bool,
}

impl Pair {
    pub fn all() -> Vec<Self> {
        let both = |wanted| [false, true].map(|inclusive| Self { wanted, inclusive });
        Wanted::ALL.into_iter().flat_map(both).collect()
    }

    pub fn name(self) -> String {
        let sign = match self.wanted {
            Wanted::Both => "assertion_and_response",
            Wanted::Response => "response",
            Wanted::Assertion => "assertion",
            Wanted::Any => "any",
        };
        format!("{sign}, {}", if self.inclusive { "inclusive" } else { "exclusive" })
    }

    fn canonicalization(self) -> &'static str {
        if self.inclusive { INCLUSIVE } else { EXCLUSIVE }
    }
}

/// How many of the documents are tried: every `strict`-th by the verifier, every `weak`-th by the weak ones.
#[derive(Debug, Clone, Copy)]
pub struct Stride {
    pub strict: usize,
    pub weak: usize,
}

/// What came of one pair.
#[derive(Debug)]
pub struct Tried {
    pub pair: Pair,
    /// Elements of the response that was cut.
    pub elements: usize,
    pub documents: usize,
    pub refused: usize,
    /// Accepted, with the whole identity that was signed.
    pub unchanged: usize,
    /// Accepted with any other, by number of the document; the proof fails with the first.
    pub accepted_otherwise: Vec<String>,
    /// Of how many documents, and how many signed the attacker in.
    pub weak: [(Weakness, usize, usize); 3],
}

/// Every pair, two at a time.
pub fn run(stride: Stride) -> Vec<Tried> {
    let pairs = Pair::all();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(pair) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tried = run_pair(*pair, stride);
                    done.lock().expect("no thread panicked").push(tried);
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no thread panicked");
    done.sort_by_key(|tried| pairs.iter().position(|pair| *pair == tried.pair));
    done
}

pub fn run_pair(pair: Pair, stride: Stride) -> Tried {
    let setting = Setting::of(pair.wanted);
    let mut run = Run {
        strict: Strict::of(&setting),
        trust: setting.trust(),
        stride,
        seen: 0,
        original: None,
        tried: Tried {
            pair,
            elements: 0,
            documents: 0,
            refused: 0,
            unchanged: 0,
            accepted_otherwise: Vec::new(),
            weak: FOOLED.map(|weakness| (weakness, 0, 0)),
        },
    };
    run.the_person(pair);
    run.what_is_pinned(pair);
    run.across_documents(pair);
    run.tried
}

struct Run {
    strict: Strict,
    trust: Trust,
    stride: Stride,
    seen: usize,
    /// The only login that may come out.
    original: Option<Login>,
    tried: Tried,
}

impl Run {
    /// Ada's response, in which somebody puts Eve.
    fn the_person(&mut self, pair: Pair) {
        let base = response(pair, |_| ());
        self.tried.elements = generate::Map::of(&base).elements.len();
        self.original = Some(seen(&self.strict.accept_xml(base.as_str()).expect("the base is accepted")));
        generate::within(&base, &evil, Some(&new_ids), &mut |document| self.document(document, true));
    }

    /// Responses that are not for us, now: whatever is edited into them, they are refused.
    fn what_is_pinned(&mut self, pair: Pair) {
        self.original = None;
        let later = |seconds: i64| now() + time::Duration::seconds(seconds);
        let elsewhere = response(pair, |spec| spec.audiences = vec!["https://other.example/saml/metadata".to_owned()]);
        self.pinned(&elsewhere, &|text| text.replace("https://other.example/saml/metadata", SP));
        let other_request = response(pair, |spec| {
            spec.in_response_to = Some(OTHER_REQUEST.to_owned());
            spec.confirmation_in_response_to = Some(OTHER_REQUEST.to_owned());
        });
        self.pinned(&other_request, &|text| text.replace(OTHER_REQUEST, REQUEST));
        let other_issuer = response(pair, |spec| {
            spec.response_issuer = Some("another-idp".to_owned());
            spec.assertion_issuer = "another-idp".to_owned();
        });
        self.pinned(&other_issuer, &|text| text.replace("another-idp", IDP));
        let over = response(pair, |spec| {
            spec.confirmation_not_on_or_after = Some(later(-200));
            spec.conditions_not_on_or_after = Some(later(-200));
        });
        // 14:41:11 becomes 14:49:11.
        self.pinned(&over, &|text| text.replace("T14:41:11", "T14:49:11"));
    }

    fn pinned(&mut self, base: &str, edit: generate::Edit<'_>) {
        assert_ne!(edit(base), base, "the edit changes something");
        assert!(self.strict.accept_xml(base).is_err(), "the base is refused");
        generate::within(base, edit, None, &mut |document| self.document(document, false));
    }

    /// Eve's own good response and what else the same key signed, each in the other.
    fn across_documents(&mut self, pair: Pair) {
        let own = response(pair, |spec| {
            spec.response_id = Some("_response-0002".to_owned());
            spec.assertion_id = Some("_assertion-0002".to_owned());
            spec.name_id = Some(EVE.to_owned());
            spec.attributes[0].1 = vec![EVE.to_owned()];
            spec.attributes[1].1 = vec!["0e0e0e0e0e0e0e0e0e0e0e0e".to_owned()];
        });
        self.original =
            Some(seen(&self.strict.accept_xml(own.as_str()).expect("the attacker's own response is accepted")));
        let victims = response(pair, |spec| {
            spec.in_response_to = Some(OTHER_REQUEST.to_owned());
            spec.confirmation_in_response_to = Some(OTHER_REQUEST.to_owned());
        });
        for other in [victims, denied(), metadata(), logout_request()] {
            generate::across(&other, &own, &mut |document| self.document(document, false));
            generate::across(&own, &other, &mut |document| self.document(document, false));
        }
    }

    fn document(&mut self, xml: &str, for_weak: bool) {
        self.seen += 1;
        if self.seen.is_multiple_of(self.stride.strict) {
            self.tried.documents += 1;
            match self.strict.accept_xml(xml) {
                Err(_) => self.tried.refused += 1,
                Ok(login) if self.original.as_ref() == Some(&seen(&login)) => self.tried.unchanged += 1,
                Ok(login) => self.tried.accepted_otherwise.push(format!("{:?} by {xml}", seen(&login))),
            }
        }
        if for_weak && self.seen.is_multiple_of(self.stride.weak) {
            let message = Message::xml(xml);
            for (weakness, tried, fooled) in &mut self.tried.weak {
                *tried += 1;
                let verdict = judge(&self.trust, Some(*weakness), &message);
                *fooled += usize::from(verdict.login.is_ok_and(|login| login.email == EVE));
            }
        }
    }
}

/// Of 40 to 75 elements, signed as the pair says.
fn response(pair: Pair, change: impl FnOnce(&mut ResponseSpec)) -> String {
    let mut spec = spec().attribute("firstname", &["Ada"]).attribute("lastname", &["Lovelace"]);
    change(&mut spec);
    let ids = [&spec.assertion_id, &spec.response_id].map(|id| id.clone().unwrap_or_default());
    if ids == [ASSERTION_ID, RESPONSE_ID] {
        return signed_with(&draft(&spec), pair.wanted, pair.canonicalization());
    }
    let by = Signing { canonicalization: pair.canonicalization(), ..Signing::default() };
    let [assertion_id, response_id] = ids;
    let mut xml = draft(&spec);
    if pair.wanted != Wanted::Response {
        xml = sign(&xml, &assertion_id, &by);
    }
    if matches!(pair.wanted, Wanted::Both | Wanted::Response) {
        xml = sign(&xml, &response_id, &by);
    }
    xml
}

fn new_ids(text: &str) -> String {
    text.replace(&format!(" ID=\"{ASSERTION_ID}\""), " ID=\"_new-assertion\"")
        .replace(&format!(" ID=\"{RESPONSE_ID}\""), " ID=\"_new-response\"")
}

impl Tried {
    pub fn holds(&self) -> bool {
        self.accepted_otherwise.is_empty()
            && self.documents == self.refused + self.unchanged
            && (40..=75).contains(&self.elements)
    }

    pub fn line(&self) -> String {
        let Self { pair, elements, documents, refused, unchanged, .. } = self;
        let other = self.accepted_otherwise.len();
        format!(
            "{}: {elements} elements, {documents} documents, {refused} refused, {unchanged} accepted unchanged, {other} otherwise",
            pair.name()
        )
    }

    pub fn weak_line(&self) -> String {
        let each =
            self.weak.map(|(weakness, tried, fooled)| format!("{fooled} of {tried} fool what {}", weakness.name()));
        each.join("; ")
    }
}
