//! Runs a case: against the verifier under test, the weak one, and the weak one without its weakness.

use super::parties::{ADA, NOW};
use super::{Case, Gain, Proof, strict};
use crate::weak::{Login, Message, Verdict, judge};

/// What a proof came to.
pub struct Outcome {
    pub name: String,
    /// The refusal, or what stands in its place.
    pub answer: String,
    /// What came of the control; none where there is no document or request.
    pub control: Option<String>,
    /// Which weak verifier the attack fools, and with what gain.
    pub fools: Option<(&'static str, String)>,
    /// What does not hold.
    pub problems: Vec<String>,
}

pub fn run(proof: &Proof) -> Outcome {
    match proof {
        Proof::Case(case) => run_case(case),
        Proof::Live(live) => live.run(),
        Proof::Held(held) => Outcome {
            name: held.name(),
            answer: "answered by it".to_owned(),
            fools: None,
            control: None,
            problems: held.check().err().into_iter().collect(),
        },
    }
}

fn run_case(case: &Case) -> Outcome {
    let mut problems = Vec::new();
    let mut ask = |holds: bool, problem: &dyn Fn() -> String| {
        if !holds {
            problems.push(problem());
        }
    };

    let control = strict::judge(&case.setting, &case.control);
    ask(control.as_ref().is_ok_and(|login| login.email == ADA), &|| format!("the control: {control:?}"));
    let attacked = strict::judge(&case.setting, &case.attack);
    ask(case.attack != case.control, &|| "the attack is its control".to_owned());
    ask(attacked == Err(case.code), &|| format!("wanted {}, saw {attacked:?}", case.code));

    let trust = case.setting.trust();
    let weak = |weakness, message: &Message| judge(&trust, weakness, message);
    let weak_control = weak(Some(case.fooled), &case.control);
    ask(is_adas(&weak_control), &|| format!("the weak verifier on the control: {:?}", weak_control.login));
    let fooled = weak(Some(case.fooled), &case.attack);
    ask(case.gain.is_got(&fooled), &|| format!("the weak verifier gives {:?} by {fooled:?}", case.gain));
    ask(case.gain == Gain::Login || !case.gain.is_got(&weak_control), &|| "the gain comes from the control".to_owned());
    // Without the weakness the naive verifier gives nothing away: it is this weakness that lets the attack in.
    let sound_control = weak(None, &case.control);
    ask(is_adas(&sound_control), &|| format!("the sound verifier on the control: {:?}", sound_control.login));
    let sound = weak(None, &case.attack);
    ask(!case.gain.is_got(&sound), &|| format!("the sound verifier gives {:?}", sound.login));

    Outcome {
        name: case.name.clone(),
        answer: case.code.to_owned(),
        fools: Some((case.fooled.name(), case.gain.name())),
        control: Some("accepted".to_owned()),
        problems,
    }
}

fn is_adas(verdict: &Verdict) -> bool {
    verdict.login.as_ref().is_ok_and(|login| login.email == ADA)
}

impl Gain {
    fn is_got(&self, verdict: &Verdict) -> bool {
        let login = |holds: &dyn Fn(&Login) -> bool| verdict.login.as_ref().is_ok_and(holds);
        match self {
            Self::Identity(email) => login(&|login| login.email == *email),
            Self::Login => login(&|_| true),
            Self::Endless => login(&|login| login.session_end.is_none_or(|end| end > NOW + 86_400)),
            Self::Fetch(url) => verdict.effects.fetched.iter().any(|fetched| fetched == url),
            Self::Work(units) => verdict.effects.work >= *units,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Identity(email) => format!("signs the attacker in as {email}"),
            Self::Login => "signs in by a message that was not for us, now".to_owned(),
            Self::Endless => "keeps the session".to_owned(),
            Self::Fetch(url) => format!("fetches {url}"),
            Self::Work(units) => format!("does {units} units of work and more"),
        }
    }
}
