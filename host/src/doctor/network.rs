//! The network inside of the machine.

use super::{State, System};

/// The bit of an interface that is up.
const UP: u32 = 1;

pub(super) fn loopback(system: &System) -> Option<State> {
    let flags = system.text("sys/class/net/lo/flags")?;
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok()?;
    if flags & UP == UP {
        return Some(State::good("the loopback interface is up"));
    }
    let effect = "the processes of an engine cannot reach each other";
    Some(State::bad("the loopback interface is down", effect, "sudo ip link set lo up"))
}
