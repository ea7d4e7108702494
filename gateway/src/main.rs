//! The binary `samlgate`.

use std::process::ExitCode;

/// A tenth of a request's CPU time less than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gateway::cli::run(std::env::args_os())
}
