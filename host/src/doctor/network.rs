//! The network inside of the machine.

use super::{Finding, Level, System};

/// The bit of an interface that is up.
const UP: u32 = 1;

pub(super) fn loopback(system: &System) -> Finding {
    let id = "loopback";
    let flags = system.text("sys/class/net/lo/flags");
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
    match flags {
        None => Finding::unknown(id),
        Some(flags) if flags & UP == UP => Finding::good(id, "the loopback interface is up"),
        Some(_) => {
            let effect = "the processes of an engine cannot reach each other";
            Finding::harm(id, Level::Bad, "the loopback interface is down", effect)
                .mended_by("sudo ip link set lo up")
        }
    }
}
