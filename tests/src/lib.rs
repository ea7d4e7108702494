//! What the end-to-end tests of samlgate stand on: an IdP that behaves as JumpCloud does, an application that
//! shows what reached it, a browser with a strict cookie jar, and the gateway itself as a child process.
//!
//! Nothing here uses the SAML code under test: [`issuer`] writes and signs responses by itself.

pub mod attacks;
pub mod browser;
pub mod demo;
#[cfg(feature = "fronts")]
pub mod fronts;
pub mod gateway;
pub mod http1;
pub mod idp;
pub mod issuers;
pub use issuer;
pub mod load;
#[cfg(feature = "peers")]
pub mod oracle;
pub mod raw;
pub mod replicas;
mod report;
#[cfg(feature = "stores")]
pub mod stores;
#[cfg(any(feature = "fronts", feature = "stores"))]
mod suite;
pub mod transplant;
pub mod upstream;
pub mod weak;
pub mod world;
