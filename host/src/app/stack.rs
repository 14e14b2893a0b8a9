//! The stack of the main thread: parsing a command line takes more than a low limit of the shell allows, and an overflow ends the
//! process without a word.

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Exit, Problem};
use crate::resource_limit::{self, Limit};

/// Less is raised.
const ENOUGH: u64 = 1 << 20;
/// To this, as far as it may be.
const USUAL: u64 = 8 << 20;

/// Raises the limit of this process and of those that it starts, if it is low. The system lets the stack grow up to the new limit.
///
/// # Errors
/// When this process may not raise the limit.
pub(crate) fn raise() -> Result<(), Problem> {
    let Limit { soft, hard } = resource_limit::of(resource_limit::Resource::Stack);
    let Some(bytes) = soft.filter(|bytes| *bytes < ENOUGH) else { return Ok(()) };
    // Only root may raise the hard limit.
    let maximum = hard.map(|hard| hard.max(ENOUGH));
    let raised = Rlimit { current: Some(maximum.map_or(USUAL, |most| most.min(USUAL))), maximum };
    setrlimit(Resource::Stack, raised).map_err(|_| {
        let message = format!("the stack of a process may have only {} KiB", bytes >> 10);
        Problem::new(Exit::Unexpected, message)
            .with_remedy(resource_limit::raise(resource_limit::Resource::Stack, Some(ENOUGH)))
    })
}
