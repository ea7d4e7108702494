//! The suite of other proxies in front; `tests/fronts/run` installs them and runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::fronts::main()
}
