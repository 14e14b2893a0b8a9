//! The `crossrun` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    crossrun::main()
}
