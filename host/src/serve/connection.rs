//! One connection: reads a request and sends the answer, both within a time.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::answer::{Answer, Status};
use super::request::{self, MAX_HEAD};

/// How long a client may take to send its request.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// And to take the answer, which may have a few megabytes.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// How much of what a client still sends is read, so that it sees the answer.
const MAX_REST: usize = 1 << 20;
/// For how long: a client may wait for a core while it sends. Each connection has a thread of its own.
const REST_DEADLINE: Duration = Duration::from_secs(3);

/// Reads the request and sends what `answer` says for its path.
pub(super) fn serve(
    mut stream: TcpStream,
    port: u16,
    answer: impl FnOnce(String) -> Answer,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let answer = match read(&mut stream, &mut bytes, port)? {
        Ok(path) => answer(path),
        Err(status) => Answer::bare(status),
    };
    send(stream, &answer, !request::is_head(&bytes))
}

/// Reads the head of a request into `bytes`, and returns its path. An error of the connection has nobody to be answered.
fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>, port: u16) -> io::Result<Result<String, Status>> {
    let until = Instant::now() + REQUEST_DEADLINE;
    let mut part = [0; 1024];
    loop {
        if let Some(end) = request::end_of_head(bytes) {
            return Ok(request::parse(&bytes[..end], port));
        }
        if bytes.len() >= MAX_HEAD {
            return Ok(Err(Status::TooLong));
        }
        let Some(rest) = rest_of(until) else { return Ok(Err(Status::TooSlow)) };
        stream.set_read_timeout(Some(rest))?;
        match stream.read(&mut part) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(error) if is_too_early(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends an answer and ends the connection.
fn send(mut stream: TcpStream, answer: &Answer, with_page: bool) -> io::Result<()> {
    let until = Instant::now() + ANSWER_DEADLINE;
    let bytes = answer.bytes(with_page);
    let mut unsent = bytes.as_slice();
    while !unsent.is_empty() {
        let rest = rest_of(until).ok_or(ErrorKind::TimedOut)?;
        stream.set_write_timeout(Some(rest))?;
        match stream.write(unsent) {
            Ok(count) => unsent = &unsent[count..],
            Err(error) if is_too_early(&error) => {}
            Err(error) => return Err(error),
        }
    }
    stream.shutdown(Shutdown::Write)?;
    discard_rest(&mut stream)
}

/// Reads what the client still sends: closing a connection with unread bytes takes the answer from the client.
fn discard_rest(stream: &mut TcpStream) -> io::Result<()> {
    let until = Instant::now() + REST_DEADLINE;
    let (mut part, mut discarded) = ([0; 4096], 0);
    while let Some(rest) = rest_of(until).filter(|_| discarded < MAX_REST) {
        stream.set_read_timeout(Some(rest))?;
        match stream.read(&mut part)? {
            0 => break,
            count => discarded += count,
        }
    }
    Ok(())
}

/// The time that is left, which a socket takes if it is not nothing.
fn rest_of(until: Instant) -> Option<Duration> {
    until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
}

fn is_too_early(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
