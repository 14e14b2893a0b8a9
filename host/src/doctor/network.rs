//! The network inside of the machine.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use super::State;

/// The network answers itself at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this process reaches itself. A file of the system may be that of another network namespace.
pub(super) fn loopback() -> Option<State> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let reached = bound.and_then(|listener| {
        let address = listener.local_addr()?;
        TcpStream::connect_timeout(&address, PATIENCE)
    });
    match reached {
        Ok(_) => Some(State::good("the loopback interface is up")),
        // No sockets, or none left, says nothing of the interface.
        Err(error) if !is_of_the_network(error.kind()) => None,
        Err(error) => {
            let effect = "the processes of an engine cannot reach each other";
            let found = format!("the loopback interface is down ({error})");
            Some(State::bad(found, effect, "sudo ip link set lo up"))
        }
    }
}

fn is_of_the_network(kind: ErrorKind) -> bool {
    use ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut};
    [AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut].contains(&kind)
}
