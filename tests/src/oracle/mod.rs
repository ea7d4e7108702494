//! Independent judges of the verifier: xmlsec1 and xmllint as programs, samael as a library.
//!
//! Whatever saml-core accepts, xmlsec1 must verify, signature by signature and with the pinned key, and samael must
//! read the same NameID and attributes. And canonicalization must be what libxml2 makes of the same document.

pub mod canonicalization;
mod corpus;
mod documents;
mod facts;
mod judge;
mod own;
mod page;
mod random;
mod xmlsec1;

pub use corpus::corpus;
pub use documents::{generated, stated};
pub use judge::{Report, judge};
pub use own::issue;
pub use page::page;

/// What a run counted; the last line of `tests/oracle/run` is the sum of them.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, 0 skipped", self.passed, self.failed)
    }
}
