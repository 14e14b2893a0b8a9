//! The server: accepts connections, and hands each request to whoever answers them, one after another.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::answer::{Answer, Status};
use super::connection;

/// How many connections may be open. A page needs one.
const MAX_CONNECTIONS: usize = 16;
/// How long the server waits after it could not accept a connection, as without descriptors it would try again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// A server on loopback. Its threads end with the process.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Receiver<Request>,
}

/// A request for a path.
pub(crate) struct Request {
    pub(crate) path: String,
    reply: SyncSender<Answer>,
}

impl Server {
    /// Listens on this port of loopback, or on any free port if it is 0.
    pub(crate) fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let (sender, requests) = channel();
        thread::Builder::new().spawn(move || accept_each(&listener, address.port(), &sender))?;
        Ok(Self { address, requests })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request, if one comes within this time.
    pub(crate) fn next(&self, wait: Duration) -> Option<Request> {
        self.requests.recv_timeout(wait).ok()
    }
}

impl Request {
    pub(crate) fn answer(self, answer: Answer) {
        // The client may be gone.
        let _ = self.reply.send(answer);
    }
}

fn accept_each(listener: &TcpListener, port: u16, requests: &Sender<Request>) {
    // Each connection holds a clone, so the count of clones is that of the connections.
    let open = Arc::new(());
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                if Arc::strong_count(&open) > MAX_CONNECTIONS {
                    refuse(&stream);
                    continue;
                }
                let (open, requests) = (Arc::clone(&open), requests.clone());
                // Without a thread for it the connection is closed.
                let _ = thread::Builder::new().spawn(move || {
                    // A client that breaks the connection off has nobody to be told.
                    let _ = serve(stream, port, requests);
                    drop(open);
                });
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

fn serve(stream: TcpStream, port: u16, requests: Sender<Request>) -> io::Result<()> {
    connection::serve(stream, port, |path| {
        let (reply, answer) = sync_channel(1);
        let asked = requests.send(Request { path, reply });
        asked.ok().and_then(|()| answer.recv().ok()).unwrap_or_else(|| Answer::bare(Status::Failed))
    })
}

/// Says that there are too many connections, without waiting for the client.
fn refuse(mut stream: &TcpStream) {
    let answer = Answer::bare(Status::Busy).bytes(true);
    let _ = stream.set_nonblocking(true).and_then(|()| stream.write(&answer));
}
