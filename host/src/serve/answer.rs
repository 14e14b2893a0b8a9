//! What the server sends.

/// The answer to a request: a page.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) page: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Found,
    Malformed,
    NotFound,
    /// Neither `GET` nor `HEAD`.
    NotAllowed,
    /// The client took too long to send its request.
    TooSlow,
    /// The host of the request is not this server: a page of another site that has its name lead here.
    OtherHost,
    TooLong,
    Failed,
    /// Too many connections are open.
    Busy,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::Found => "200 OK",
            Self::Malformed => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::NotAllowed => "405 Method Not Allowed",
            Self::TooSlow => "408 Request Timeout",
            Self::OtherHost => "421 Misdirected Request",
            Self::TooLong => "431 Request Header Fields Too Large",
            Self::Failed => "500 Internal Server Error",
            Self::Busy => "503 Service Unavailable",
        }
    }
}

impl Answer {
    /// An answer that says no more than its status.
    pub(crate) fn bare(status: Status) -> Self {
        Self { status, page: format!("<!doctype html><title>{0}</title><p>{0}\n", status.line()) }
    }

    /// The bytes for a client, which are without the page for `HEAD`.
    pub(super) fn bytes(&self, with_page: bool) -> Vec<u8> {
        let Self { status, page } = self;
        let mut text = format!(
            "HTTP/1.1 {}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n\
             Content-Security-Policy: frame-ancestors 'none'\r\n",
            status.line(),
            page.len()
        );
        if *status == Status::NotAllowed {
            text += "Allow: GET, HEAD\r\n";
        }
        text += "\r\n";
        if with_page {
            text += page;
        }
        text.into_bytes()
    }
}
