//! The rows of the attack catalogue as data: each with a control that is accepted, an attack and the exact refusal.
//!
//! One file a section. Those of A to F have a weak verifier that the attack fools; those of G are sent to a running gateway.

mod a_wrapping;
mod b_parsers;
mod c_signatures;
mod d_xml;
mod e_protocol;
mod f_encryption;
pub mod forge;
pub mod gateway;
mod held;
pub mod parties;
pub mod report;
mod run;
pub mod seal;
mod state;
pub mod strict;

use crate::weak::{Message, Wanted, Weakness};

pub use c_signatures::sha1_by_openssl;
pub use held::Held;
pub use run::{Outcome, run};
pub use state::Live;

use parties::Setting;

/// One row of the catalogue.
pub struct Row {
    pub number: &'static str,
    pub name: &'static str,
    pub proofs: Vec<Proof>,
}

pub enum Proof {
    Case(Box<Case>),
    /// Against the real store, in which an attack is a second attempt and no document.
    Live(Live),
    /// What is no refusable document: a test, a lint or a type answers it.
    Held(Held),
}

/// An attack as a document, beside its control.
pub struct Case {
    pub name: String,
    pub setting: Setting,
    pub control: Message,
    pub attack: Message,
    /// The refusal of the attack.
    pub code: &'static str,
    pub fooled: Weakness,
    pub gain: Gain,
}

/// What the attacker gets from the weak verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gain {
    /// A login as this address.
    Identity(&'static str),
    /// A login at all, where there must be none.
    Login,
    /// A session that outlives the IdP's.
    Endless,
    /// The service provider fetches this.
    Fetch(&'static str),
    /// It works at least so much.
    Work(u64),
}

/// Every row of the sections A to F, in order.
pub fn rows() -> Vec<Row> {
    [
        a_wrapping::rows(),
        b_parsers::rows(),
        c_signatures::rows(),
        d_xml::rows(),
        e_protocol::rows(),
        f_encryption::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

// ---- How the sections write their rows

fn row(number: &'static str, name: &'static str, proofs: Vec<Proof>) -> Row {
    Row { number, name, proofs }
}

/// A case of which control and attack are XML.
fn case(
    name: &str,
    wanted: Wanted,
    (control, attack): (impl Into<Vec<u8>>, impl Into<Vec<u8>>),
    code: &'static str,
    fooled: Weakness,
    gain: Gain,
) -> Case {
    Case {
        name: name.to_owned(),
        setting: Setting::of(wanted),
        control: Message::xml(control),
        attack: Message::xml(attack),
        code,
        fooled,
        gain,
    }
}

/// The base response, in which `from` becomes `to` after it was signed.
fn tampered(
    name: &str,
    wanted: Wanted,
    (from, to): (&str, &str),
    code: &'static str,
    fooled: Weakness,
    gain: Gain,
) -> Case {
    let control = forge::base(wanted);
    assert!(control.contains(from), "{name}: {from} is not in {control}");
    let attack = control.replacen(from, to, 1);
    case(name, wanted, (control, attack), code, fooled, gain)
}

impl Case {
    fn with(mut self, change: impl FnOnce(&mut Setting)) -> Self {
        change(&mut self.setting);
        self
    }

    /// Not posted as XML but as these forms.
    fn posted(mut self, control: Message, attack: Message) -> Self {
        self.control = control;
        self.attack = attack;
        self
    }
}

impl From<Case> for Proof {
    fn from(case: Case) -> Self {
        Self::Case(Box::new(case))
    }
}

impl From<Held> for Proof {
    fn from(held: Held) -> Self {
        Self::Held(held)
    }
}

impl From<Live> for Proof {
    fn from(live: Live) -> Self {
        Self::Live(live)
    }
}
