//! Attacks in which a good message comes twice, or from another browser: against the gateway's own store
//! and its decision which login a response may finish.

use gateway::login::awaited;
use gateway::session::{
    BrowserBinding, ClaimOutcome, Landing, MemoryStore, PendingLogin, PendingState, Rounds, SessionStore,
};
use saml_core::{Authentication, IdpId};

use super::forge::{base, edited};
use super::parties::{Setting, timestamp};
use super::run::Outcome;
use super::strict::Strict;
use crate::weak::{Message, Wanted, Weakness, judge};

pub struct Live {
    pub name: &'static str,
    pub code: &'static str,
    pub fooled: Weakness,
    attempt: fn() -> Result<(), String>,
}

impl Live {
    pub(super) fn run(&self) -> Outcome {
        Outcome {
            name: self.name.to_owned(),
            answer: self.code.to_owned(),
            fools: Some((self.fooled.name(), "signs in twice by one message".to_owned())),
            control: Some("accepted".to_owned()),
            problems: (self.attempt)().err().into_iter().collect(),
        }
    }
}

pub(super) fn replay() -> Live {
    Live {
        name: "the same response a second time, from the same browser",
        code: "assertion_replayed",
        fooled: Weakness::NoReplayCache,
        attempt: || claimed_once(&base(Wanted::Both)),
    }
}

pub(super) fn replay_of_one_time_use() -> Live {
    Live {
        name: "a response with OneTimeUse a second time",
        code: "assertion_replayed",
        fooled: Weakness::NoReplayCache,
        attempt: || {
            let restriction = "</saml:AudienceRestriction>";
            let once = format!("{restriction}<saml:OneTimeUse></saml:OneTimeUse>");
            claimed_once(&edited(Wanted::Both, |xml| xml.replacen(restriction, &once, 1)))
        },
    }
}

/// The first login claims the assertion in the store, the second finds it claimed; a verifier without memory
/// lets both in.
fn claimed_once(xml: &str) -> Result<(), String> {
    let setting = Setting::of(Wanted::Both);
    let strict = Strict::of(&setting);
    let store = MemoryStore::new(10);
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let login = strict.accept_xml(xml).map_err(|rejection| rejection.to_string())?;
        let claim = store.claim_assertion(login.replay_key(), login.replay_until(), timestamp());
        outcomes.push(wait(claim).map_err(|error| error.to_string())?);
    }
    if outcomes != [ClaimOutcome::Claimed, ClaimOutcome::AlreadyClaimed] {
        return Err(format!("claimed {outcomes:?}"));
    }
    let message = Message::xml(xml);
    let weak = || judge(&setting.trust(), Some(Weakness::NoReplayCache), &message).login.is_ok();
    if weak() && weak() { Ok(()) } else { Err("the verifier without memory refused it".to_owned()) }
}

pub(super) fn other_browser() -> Live {
    Live {
        name: "a good response in a browser that did not ask for it",
        code: "login_of_other_browser",
        fooled: Weakness::NoReplayCache,
        attempt: || {
            let binding = |letter: &str| BrowserBinding::parse(letter.repeat(43).as_bytes());
            let (attacker, victim) = (binding("A").ok_or("no binding")?, binding("E").ok_or("no binding")?);
            let pending = || PendingLogin {
                idp: IdpId::parse("jumpcloud").expect("it is an id"),
                return_url: "/".into(),
                binding: attacker.hash(),
                created: timestamp(),
                authentication: Authentication::Any,
                rounds: Rounds::none(timestamp()),
                replaces: None,
                landing: Landing::ReturnUrl,
            };
            awaited(PendingState::Open(pending()), Some(&attacker)).map_err(|home| home.refusal.to_string())?;
            let home = awaited(PendingState::Open(pending()), Some(&victim)).err().ok_or("the victim was let in")?;
            let setting = Setting::of(Wanted::Both);
            let weak = judge(&setting.trust(), Some(Weakness::NoReplayCache), &Message::xml(base(Wanted::Both)));
            match home.refusal.code() {
                "login_of_other_browser" if weak.login.is_ok() => Ok(()),
                code => Err(format!("saw {code}, weak {:?}", weak.login)),
            }
        },
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made").block_on(future)
}
