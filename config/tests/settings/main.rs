//! Settings as administrators write them: accepted, refused, overridden, documented.

mod accepted;
mod environment;
mod files;
mod generated;
mod hostile;
mod metadata;
mod metadata_url;
mod mistakes;
mod protocol;
mod several_idps;
mod single_logout;
mod stores;
mod support;
mod tokens;
