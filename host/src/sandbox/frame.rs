//! Frames on the channel: a magic word, a length, and that many bytes.

use std::io::{self, Read, Write};

/// What every frame starts with: bytes that got onto the channel by accident are told from a message by it.
const MAGIC: [u8; 4] = *b"xrn1";
const HEADER: usize = 8;

/// The most bytes that a message may have.
pub(crate) const MAX_LENGTH: usize = 64 << 20;

/// How much room is made for a message before any of it has come.
const FIRST_ROOM: usize = 64 << 10;

/// The frame around `message`.
///
/// # Errors
/// When it has more than [`MAX_LENGTH`] bytes.
pub fn encode(message: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(message.len()).ok().filter(|_| message.len() <= MAX_LENGTH);
    let length = length.ok_or_else(|| io::Error::other("a message has more than 64 MiB"))?;
    let mut bytes = Vec::with_capacity(HEADER + message.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(message);
    Ok(bytes)
}

/// Writes one message.
///
/// # Errors
/// Those of `to`, and of [`encode`].
pub fn write(mut to: impl Write, message: &[u8]) -> io::Result<()> {
    to.write_all(&encode(message)?)
}

/// Reads one message; nothing if the other side has closed between two.
///
/// # Errors
/// Those of `from`; [`io::ErrorKind::InvalidData`] for what is no message.
pub fn read(mut from: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; HEADER];
    match from.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = length(header)?;
    // What is said to come is no reason to have room for it: memory grows with what has come.
    let mut message = Vec::with_capacity(length.min(FIRST_ROOM));
    match from.take(length as u64).read_to_end(&mut message)? {
        whole if whole == length => Ok(Some(message)),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn length(header: [u8; HEADER]) -> io::Result<usize> {
    let [a, b, c, d, length @ ..] = header;
    let length = u32::from_le_bytes(length) as usize;
    if [a, b, c, d] == MAGIC && length <= MAX_LENGTH {
        return Ok(length);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "not a message"))
}

/// Bytes that have come, of which messages are made.
#[derive(Debug, Default)]
pub struct Incoming {
    bytes: Vec<u8>,
    /// How many of them have been taken: moving the rest up for each message would cost the square of their number.
    taken: usize,
}

impl Incoming {
    /// Takes in what has come.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.taken));
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes have come and not been taken.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// The next whole message, if it has come.
    ///
    /// # Errors
    /// [`super::Failure::Malformed`] when what has come is no message.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, super::Failure> {
        let Some((header, rest)) = self.bytes[self.taken..].split_first_chunk() else { return Ok(None) };
        let length = length(*header).map_err(|_| super::Failure::Malformed)?;
        let Some(message) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.taken += HEADER + length;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn messages_come_back_however_they_are_cut(messages: Vec<Vec<u8>>, cut in 1_usize..20) {
            let mut bytes = Vec::new();
            messages.iter().for_each(|message| write(&mut bytes, message).unwrap());
            let (mut incoming, mut back) = (Incoming::default(), Vec::new());
            for chunk in bytes.chunks(cut) {
                incoming.extend(chunk);
                while let Some(message) = incoming.take().unwrap() {
                    back.push(message);
                }
            }
            prop_assert_eq!(&back, &messages);
            let mut reader = bytes.as_slice();
            for message in messages {
                prop_assert_eq!(read(&mut reader).unwrap(), Some(message));
            }
            prop_assert_eq!(read(&mut reader).unwrap(), None);
        }

        #[test]
        fn any_bytes_are_refused_or_awaited(bytes: Vec<u8>) {
            let mut incoming = Incoming::default();
            incoming.extend(&bytes);
            while let Ok(Some(_)) = incoming.take() {}
        }
    }

    #[test]
    fn what_a_library_prints_is_no_message() {
        let mut incoming = Incoming::default();
        incoming.extend(b"hello, world\n");
        assert!(matches!(incoming.take(), Err(crate::sandbox::Failure::Malformed)));
        assert!(read(b"hello, world\n".as_slice()).is_err());
    }
}
