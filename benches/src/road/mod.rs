//! The request road beside other proxies: CPU per request, latency, memory, and what a sign-in costs.

pub mod contestants;
pub mod load;
pub mod process;
pub mod report;
