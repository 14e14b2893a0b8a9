//! What the system lets a user have.

use std::path::Path;

use super::State;
use crate::control_group;
use crate::resource_limit::{self, Resource};

/// An engine with some workers opens about so many files and sockets.
const FILES: u64 = 4096;

/// And starts about so many processes and threads.
const PROCESSES: u64 = 2048;

pub(super) fn open_files() -> State {
    let effect = "engines that keep many sockets fail with \"too many open files\"";
    limit(Resource::OpenFiles, FILES, "files may be open in a process", effect)
}

/// The lower one of two limits: that of the user, and that of the control groups.
pub(super) fn processes(root: &Path) -> State {
    let effect =
        "engines that start many processes and threads fail with \"resource temporarily unavailable\"";
    let of_user = resource_limit::of(Resource::Processes).soft.unwrap_or(u64::MAX);
    match control_group::process_limit(root) {
        Some(number) if number < PROCESSES.min(of_user) => {
            let found = format!("{number} processes and threads may run in a control group");
            let remedy =
                format!("docker run --pids-limit={PROCESSES}, or TasksMax={PROCESSES} of a systemd unit");
            State::bad(found, effect, remedy)
        }
        _ => limit(Resource::Processes, PROCESSES, "processes and threads may run", effect),
    }
}

fn limit(resource: Resource, needed: u64, what: &str, effect: &'static str) -> State {
    match resource_limit::of(resource).soft {
        None => State::good(format!("any number of {what}")),
        Some(number) if number >= needed => State::good(format!("{number} {what}")),
        Some(number) => {
            let remedy = resource_limit::raise(resource, Some(needed));
            State::bad(format!("{number} {what}"), effect, remedy)
        }
    }
}
