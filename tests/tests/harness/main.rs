//! The harness itself, its parts working together: what the end-to-end tests take for granted.

mod demo;
mod gateway;
mod idp;
mod upstream;
