//! Two machines for clusters of more than one node: network namespaces with a link between them, where a test may make them;
//! elsewhere two addresses of this machine, which engines take for two machines.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{continued, not_run};

/// Two machines that see each other and nothing else.
pub(crate) struct Network {
    /// The names of the namespaces; empty if the system allows none.
    namespaces: Option<[String; 2]>,
}

impl Network {
    /// Makes the machines. Dropping removes them, but a test must end the processes that it started in them.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let names = ["a", "b"].map(|end| format!("crossrun-{}-{count}-{end}", std::process::id()));
        // Dropped if it cannot be completed, so that a half of it does not stay.
        let network = Self { namespaces: Some(names.clone()) };
        if network.connect(&names) {
            return network;
        }
        not_run("no network namespaces here: the nodes are processes on two addresses of this machine");
        drop(network);
        Self { namespaces: None }
    }

    fn connect(&self, [one, other]: &[String; 2]) -> bool {
        let made = ip(&["netns", "add", one]) && ip(&["netns", "add", other]);
        let cable =
            ["link", "add", "veth0", "netns", one, "type", "veth", "peer", "name", "veth0", "netns", other];
        let up = |machine: usize, name: &str| {
            let address = format!("{}/24", self.address(machine));
            ip(&["-n", name, "addr", "add", &address, "dev", "veth0"])
                && ip(&["-n", name, "link", "set", "veth0", "up"])
                && ip(&["-n", name, "link", "set", "lo", "up"])
        };
        made && ip(&cable) && up(0, one) && up(1, other)
    }

    /// Whether the machines are apart, and not two addresses of one.
    pub(crate) fn is_real(&self) -> bool {
        self.namespaces.is_some()
    }

    /// The address of machine 0 or 1.
    pub(crate) fn address(&self, machine: usize) -> &'static str {
        let addresses = if self.is_real() { ["10.77.0.1", "10.77.0.2"] } else { ["127.0.0.1", "127.0.0.2"] };
        addresses[machine]
    }

    /// `program` on machine 0 or 1.
    pub(crate) fn command(&self, machine: usize, program: impl AsRef<OsStr>) -> Command {
        match &self.namespaces {
            None => Command::new(program),
            Some(names) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &names[machine]]).arg(program);
                command
            }
        }
    }

    /// `command` on machine 0 or 1, with its arguments, its environment and its folder.
    pub(crate) fn moved(&self, machine: usize, command: &Command) -> Command {
        continued(self.command(machine, command.get_program()), command)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.namespaces.iter().flatten() {
            ip(&["netns", "delete", name]);
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    let mut command = Command::new("ip");
    let status = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Where process `pid` listens, in hex as the kernel says it.
pub(crate) fn listens_at(pid: u32) -> Vec<String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    let own: HashSet<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    let tables =
        ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default());
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1));
    let fields = sockets.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listening =
        fields.filter(|fields| fields[3] == "0A" && own.contains(&format!("socket:[{}]", fields[9])));
    listening.map(|fields| fields[1].to_owned()).collect()
}

#[test]
fn a_listener_on_one_machine_is_reachable_from_the_other() {
    let network = Network::new();
    let address = network.address(1);
    let listen = format!(
        "import socket\nserver = socket.create_server(('{address}', 0))\nprint(server.getsockname()[1], flush=True)\n\
         server.accept()[0].sendall(b'hello')"
    );
    let mut server = network.command(1, "python3");
    let mut server = server.args(["-c", &listen]).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.take().unwrap()), &mut port)
        .unwrap();
    let ask = format!(
        "import socket\nline = socket.create_connection(('{address}', {port}), 300)\nprint(line.recv(5).decode(), end='')"
    );
    let answer = network.command(0, "python3").args(["-c", &ask]).output().unwrap();
    assert_eq!(answer.stdout, b"hello");
    assert!(server.wait().unwrap().success());
    if network.is_real() {
        let here = Command::new("python3").args(["-c", &ask.replace(", 300)", ", 0.3)")]).output().unwrap();
        assert!(!here.status.success(), "the machines are seen from here");
    }
}
