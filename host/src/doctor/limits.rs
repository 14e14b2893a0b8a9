//! What the system lets a user have.

use rustix::process::{Resource, getrlimit};

use super::{Finding, Level};

/// An engine with some workers opens about so many files and sockets.
const FILES: u64 = 4096;

/// And starts about so many processes and threads.
const PROCESSES: u64 = 2048;

pub(super) fn open_files() -> Finding {
    let effect = "engines that keep many sockets fail with \"too many open files\"";
    limit("open_files", Resource::Nofile, FILES, "files may be open in a process", effect, "ulimit -n")
}

pub(super) fn processes() -> Finding {
    let effect =
        "engines that start many processes and threads fail with \"resource temporarily unavailable\"";
    limit("processes", Resource::Nproc, PROCESSES, "processes and threads may run", effect, "ulimit -u")
}

fn limit(
    id: &'static str,
    resource: Resource,
    needed: u64,
    what: &str,
    effect: &'static str,
    command: &str,
) -> Finding {
    match getrlimit(resource).current {
        None => Finding::good(id, format!("any number of {what}")),
        Some(number) if number >= needed => Finding::good(id, format!("{number} {what}")),
        Some(number) => Finding::harm(id, Level::Bad, format!("{number} {what}"), effect)
            .mended_by(format!("{command} {needed}")),
    }
}
