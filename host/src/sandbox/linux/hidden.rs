//! The commands that nobody types: what the executable is when it starts itself.

use std::process::ExitCode;

use super::{arguments, init, supervise};

/// What the hidden command `word` does.
pub(crate) fn hidden_command(word: &str) -> Option<fn() -> ExitCode> {
    match word {
        arguments::SUPERVISE => Some(supervise::main),
        arguments::INIT => Some(init::main),
        _ => None,
    }
}
