//! `crossrun serve` shows the runs of a folder to browsers of this machine, and nothing else to anybody.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};

use crate::released::assert_has_keys;
use crate::support::{PATIENCE, Place, repository, send_signal, shell_code};

/// A server of the folder `results` of a place.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
    line: String,
    place: Place,
}

/// A place with two runs, one of them in a folder with a name that an address cannot have.
pub(crate) fn place() -> Place {
    let place = Place::empty();
    for run in ["results/look", "results/more/a run?"] {
        std::fs::create_dir_all(place.path().join(run)).unwrap();
        let records = repository().join("tests/fixtures/format_1/trials.jsonl");
        std::fs::copy(records, place.path().join(run).join("trials.jsonl")).unwrap();
    }
    std::fs::write(place.path().join("results/look/secret.txt"), "secret").unwrap();
    std::fs::write(place.path().join("secret.txt"), "secret").unwrap();
    place
}

impl Served {
    pub(crate) fn of(place: Place) -> Self {
        Self::with(place, &[])
    }

    /// A server that was started with these options too.
    fn with(place: Place, options: &[&str]) -> Self {
        let mut command = place.command(&[&["serve", "results", "--port", "0"], options].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
        Self { child, address, line, place }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends this text and returns all that comes back.
    fn send(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        received(stream)
    }

    /// The answer to a request as a browser makes it.
    fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n", self.address))
    }

    /// Where the index has the pages of the runs.
    fn runs(&self) -> Vec<String> {
        let index = self.get("/");
        let links = index.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        links.filter(|link| link.starts_with("/runs/")).map(str::to_owned).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn received(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[track_caller]
fn assert_status(answer: &str, status: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
}

#[test]
fn programs_are_told_where_it_listens() {
    let served = Served::with(place(), &["--json"]);
    let line: serde_json::Value = serde_json::from_str(&served.line).unwrap();
    assert_eq!((&line["event"], &line["runs"]), (&"serving".into(), &2.into()), "{line}");
    assert_has_keys("docs/json.md", line.as_object().unwrap().keys());
}

#[test]
fn the_index_leads_to_the_page_of_every_run() {
    let served = Served::of(place());
    assert!(served.address.ip().is_loopback());
    assert!(served.line.starts_with("2 runs of results at http://127.0.0.1:"), "{}", served.line);
    let mut runs = served.runs();
    runs.sort();
    assert_eq!(runs, ["/runs/look/trials.jsonl", "/runs/more/a%20run%3F/trials.jsonl"]);
    for run in &runs {
        let page = served.get(run);
        assert_status(&page, "200");
        let (head, page) = page.split_once("\r\n\r\n").unwrap();
        assert!(page.starts_with("<!doctype html>") && page.contains("<table class=\"matrix"), "{page}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", page.len())), "{head}");
        assert!(
            head.contains("X-Content-Type-Options: nosniff") && !head.contains("Access-Control"),
            "{head}"
        );
    }
    // A run that comes later is there without a restart.
    let later = served.place.path().join("results/later");
    std::fs::create_dir(&later).unwrap();
    std::fs::copy(served.place.path().join("results/look/trials.jsonl"), later.join("trials.jsonl")).unwrap();
    assert_eq!(served.runs().len(), 3);
    let head = served.send(&format!("HEAD / HTTP/1.1\r\nHost: {}\r\n\r\n", served.address));
    assert_status(&head, "200");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_folder_that_is_gone_is_told() {
    let served = Served::of(place());
    let results = served.place.path().join("results");
    std::fs::rename(&results, served.place.path().join("moved")).unwrap();
    let answer = served.get("/");
    assert_status(&answer, "500");
    assert!(answer.contains("is no folder any more"), "{answer}");
}

#[test]
fn the_page_of_a_run_with_a_graph_of_tasks_draws_it() {
    let place = Place::new();
    let run =
        ["run", "--backend", "native", "--workload", "task_graph", "--items", "64", "--extra", "width=8"];
    place.crossrun(&run).code(0);
    let served = Served::of(place);
    let page = served.get("/runs/task_graph/trials.jsonl");
    assert_status(&page, "200");
    assert!(page.contains("the first 64 tasks"), "{page}");
}

#[test]
fn nothing_but_runs_is_served() {
    let place = place();
    let results = place.path().join("results");
    // Records elsewhere, by a link to their folder, and by a link to them.
    std::fs::create_dir(place.path().join("elsewhere")).unwrap();
    std::fs::copy(results.join("look/trials.jsonl"), place.path().join("elsewhere/trials.jsonl")).unwrap();
    symlink(place.path().join("elsewhere"), results.join("linked")).unwrap();
    std::fs::create_dir(results.join("link")).unwrap();
    symlink(place.path().join("elsewhere/trials.jsonl"), results.join("link/trials.jsonl")).unwrap();
    // A measured record elsewhere, by a link beside trials.
    let trials = std::fs::read_to_string(results.join("look/trials.jsonl")).unwrap();
    let trial: serde_json::Value = serde_json::from_str(trials.lines().next().unwrap()).unwrap();
    let mut record = trial["record"].clone();
    (record["backend"], record["run_id"]) = ("secret".into(), "other".into());
    std::fs::write(place.path().join("elsewhere/measured.jsonl"), format!("{record}\n")).unwrap();
    let measured = results.join("look/unified_results.jsonl");
    symlink(place.path().join("elsewhere/measured.jsonl"), measured).unwrap();
    let served = Served::of(place);
    assert_eq!(served.runs().len(), 2);
    assert_status(&served.get("/runs/look/trials.jsonl"), "200");
    for path in [
        "/look/secret.txt",
        "/runs/look/secret.txt",
        "/runs/look/../../secret.txt",
        "/runs/look/%2e%2e/%2e%2e/secret.txt",
        "/runs/../secret.txt",
        "/../../../../etc/passwd",
        "//etc/passwd",
        "/runs//etc/passwd",
        "/runs/look",
        "/runs/look/trials.jsonl/",
        "/runs/look/trials.jsonl?x",
        "/runs/look/%74rials.jsonl",
        "/runs/linked/trials.jsonl",
        "/runs/link/trials.jsonl",
        "/runs/",
        "/favicon.ico",
        "/?",
    ] {
        assert_status(&served.get(path), "404");
    }
}

#[test]
fn other_requests_are_refused() {
    let served = Served::of(place());
    let host = format!("Host: {}", served.address);
    let port = served.address.port();
    for (request, status) in [
        (format!("POST / HTTP/1.1\r\n{host}\r\nContent-Length: 3\r\n\r\nabc"), "405"),
        (format!("DELETE /runs/look/trials.jsonl HTTP/1.1\r\n{host}\r\n\r\n"), "405"),
        // A site whose name leads here.
        (format!("GET / HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"), "421"),
        (format!("GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example:{port}\r\n\r\n"), "421"),
        ("GET / HTTP/1.1\r\n\r\n".into(), "400"),
        (format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\n{host}\r\n\r\n"), "400"),
        ("not HTTP\r\n\r\n".into(), "400"),
        (format!("GET /{} HTTP/1.1\r\n{host}\r\n\r\n", "x".repeat(100_000)), "431"),
        (format!("GET / HTTP/1.1\r\n{host}\r\n{}\r\n", "x: y\r\n".repeat(10_000)), "431"),
    ] {
        assert_status(&served.send(&request), status);
    }
    // An answer to HEAD has no page, also if it is a refusal.
    for (request, status) in [
        (format!("HEAD /nosuch HTTP/1.1\r\n{host}\r\n\r\n"), "404"),
        (format!("HEAD / HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"), "421"),
        ("HEAD / HTTP/1.1\r\n\r\n".into(), "400"),
        (format!("HEAD /{} HTTP/1.1\r\n{host}\r\n\r\n", "x".repeat(100_000)), "431"),
    ] {
        let answer = served.send(&request);
        assert_status(&answer, status);
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
    assert_status(&served.send(&format!("GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")), "200");
    assert!(served.place.path().join("results/look/trials.jsonl").is_file());
}

#[test]
fn slow_clients_are_given_up_and_do_not_keep_others_waiting() {
    let served = Served::of(place());
    let mut slow: Vec<_> = (0..4).map(|_| served.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET / HT").unwrap();
    }
    assert_status(&served.get("/"), "200");
    let first = slow.pop().unwrap();
    assert_status(&received(first), "408");
}

#[test]
fn many_connections_are_refused_and_then_there_is_room_again() {
    let served = Served::of(place());
    let idle: Vec<_> = (0..64).map(|_| served.connect()).collect();
    // The later ones are closed at once, and the earlier ones by now or in five seconds.
    drop(idle);
    crate::support::eventually("there is room", || {
        let Ok(mut stream) = TcpStream::connect(served.address) else { return false };
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", served.address);
        let mut answer = String::new();
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
        answer.starts_with("HTTP/1.1 200 ")
    });
}

#[test]
fn an_interrupt_ends_it_with_the_usual_code() {
    let mut served = Served::of(place());
    send_signal(served.child.id(), rustix::process::Signal::INT).unwrap();
    assert_eq!(shell_code(served.child.wait().unwrap()), Some(130));
}

#[test]
fn a_port_in_use_and_a_wrong_folder_are_told() {
    let place = place();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    place
        .crossrun(&["serve", "results", "--port", &port])
        .code(1)
        .says(&format!("port {port} is in use by another program; try: crossrun serve results --port 0"));
    place.crossrun(&["serve", "nosuch"]).code(2).says("nosuch: ");
    place.crossrun(&["serve", "secret.txt"]).code(2).says("secret.txt is not a folder");
}

#[test]
fn records_that_cannot_be_read_are_a_page_that_says_so() {
    let place = place();
    let file = place.path().join("results/look/trials.jsonl");
    std::fs::write(&file, "not JSON\n").unwrap();
    let served = Served::of(place);
    let answer = served.get("/runs/look/trials.jsonl");
    assert!(answer.contains("trials.jsonl: 1 line cannot be read and is left out"), "{answer}");
}
