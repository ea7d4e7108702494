//! The issuer suite; `tests/issuers/run` installs what it needs and runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::issuers::main()
}
