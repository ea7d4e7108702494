//! The settings of samlgate: YAML and environment in, checked [`Settings`] out.
//!
//! Everything is checked here and nothing later: each field of [`Settings`] is of a type that cannot
//! hold a value the gateway could not act on. All mistakes are reported together.

mod settings;

pub use settings::*;
