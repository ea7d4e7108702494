//! The settings of samlgate: YAML and environment in, checked [`Settings`] out.
//!
//! Everything is checked here and nothing later: each field of [`Settings`] is of a type that cannot
//! hold a value the gateway could not act on. All mistakes are reported together.
//!
//! The road: `yaml` makes a tree of nodes, `environment` lays the variables over it, `table::shape`
//! holds the tree against the tables of keys (unknown keys, wrong types, values out of range), and
//! `sections` gives the rest its meaning. The same tables make the JSON schema and the reference page.

mod check;
mod document;
mod environment;
mod errors;
mod path;
mod schema;
mod sections;
mod settings;
mod source;
mod table;
mod yaml;

pub use check::EXPIRY_WARNING_DAYS;
pub use document::reference;
pub use environment::process_environment;
pub use errors::{ConfigError, ConfigErrors, Warning};
pub use schema::json_schema;
pub use sections::tokens::machines;
pub use settings::*;
pub use source::{Loaded, load, parse, parse_at};
