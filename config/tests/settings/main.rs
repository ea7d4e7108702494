//! Settings as administrators write them: accepted, refused, overridden, documented.

mod accepted;
mod environment;
mod files;
mod generated;
mod hostile;
mod mistakes;
mod support;
