//! The suite of session stores; `tests/stores/run` installs what it needs and runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::stores::main()
}
