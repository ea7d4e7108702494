//! `demo` shows samlgate with everything around it; `demo samlgate ...` is samlgate itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::demo::main(std::env::args_os().collect())
}
