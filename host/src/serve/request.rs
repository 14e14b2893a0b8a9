//! What a client asks for.

use super::answer::Status;

/// The longest head of a request.
pub(super) const MAX_HEAD: usize = 8192;

/// The end of the head in what was read so far.
pub(super) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n")
}

/// Whether a request that begins with these bytes asks only for what is known of a page. No answer to it has a page, also if
/// the request is refused.
pub(super) fn is_head(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HEAD ")
}

/// Reads a head without the empty line at its end, and returns the path. `port` is that of this server.
pub(super) fn parse(head: &[u8], port: u16) -> Result<String, Status> {
    let head = std::str::from_utf8(head).map_err(|_| Status::Malformed)?;
    let mut lines = head.split("\r\n");
    let words: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, path, version] = words.as_slice() else { return Err(Status::Malformed) };
    if !version.starts_with("HTTP/1.") || !path.starts_with('/') || head.contains('\0') {
        return Err(Status::Malformed);
    }
    let mut hosts = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Status::Malformed)?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name || value.contains(['\r', '\n']) {
            return Err(Status::Malformed);
        }
        if name.eq_ignore_ascii_case("host") {
            hosts.push(value.trim());
        }
    }
    let [host] = hosts.as_slice() else { return Err(Status::Malformed) };
    if !is_this_server(host, port) {
        return Err(Status::OtherHost);
    }
    match *method {
        "GET" | "HEAD" => Ok((*path).to_owned()),
        _ => Err(Status::NotAllowed),
    }
}

/// Whether a browser that names this host wants this server. Any other name may be that of a site whose owner had it lead to
/// loopback, to read with a page of that site what this server sends.
fn is_this_server(host: &str, port: u16) -> bool {
    let (name, named_port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let is_port = named_port.parse() == Ok(port) && named_port.bytes().all(|byte| byte.is_ascii_digit());
    is_port && (name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(head: &str) -> Result<String, Status> {
        parse(head.as_bytes(), 8350)
    }

    #[test]
    fn a_browsers_request_is_read() {
        let path = |path: &str| Ok(path.to_owned());
        assert_eq!(parsed("GET / HTTP/1.1\r\nHost: 127.0.0.1:8350\r\nAccept: */*"), path("/"));
        assert_eq!(parsed("HEAD /runs/a?b HTTP/1.0\r\nhost:LocalHost:8350"), path("/runs/a?b"));
        assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: localhost", 80), path("/"));
        assert!(is_head(b"HEAD / HTTP/1.1") && !is_head(b"HEADER / HTTP/1.1") && !is_head(b"GET / HTTP/1.1"));
    }

    #[test]
    fn other_hosts_are_refused() {
        for host in [
            "example.org:8350",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.1:+8350",
            "localhost.example.org:8350",
            "127.0.0.1:8350.example.org",
            "127.0.0.1.:8350",
            "",
            "0.0.0.0:8350",
            "[::1]:8350",
            "localhost:8350:8350",
        ] {
            assert_eq!(parsed(&format!("GET / HTTP/1.1\r\nHost: {host}")), Err(Status::OtherHost), "{host}");
        }
    }

    #[test]
    fn what_is_not_a_request_is_malformed() {
        let host = "\r\nHost: 127.0.0.1:8350";
        for head in [
            String::new(),
            "GET /".into(),
            format!("GET  / HTTP/1.1{host}"),
            format!("GET http://127.0.0.1:8350/ HTTP/1.1{host}"),
            format!("GET / HTTP/2{host}"),
            format!("GET /\0 HTTP/1.1{host}"),
            format!("GET / HTTP/1.1{host}{host}"),
            format!("GET / HTTP/1.1{host}\r\n folded: yes"),
            format!("GET / HTTP/1.1{host}\r\nno colon"),
            format!("GET / HTTP/1.1{host}\r\nx: a\nb"),
            "GET / HTTP/1.1".into(),
        ] {
            assert_eq!(parsed(&head), Err(Status::Malformed), "{head:?}");
        }
    }

    #[test]
    fn other_methods_are_refused() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get", ""] {
            let head = format!("{method} / HTTP/1.1\r\nHost: 127.0.0.1:8350");
            assert_eq!(parsed(&head), Err(Status::NotAllowed), "{method}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, 8350);
        }
    }
}
