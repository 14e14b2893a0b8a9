//! Frames on the channel: a magic number, two lengths, and that many bytes of a message and of its attachment.
//!
//! Opaque bytes, such as the state of a sink, are the attachment: in a message of JSON they would take twice the space.

use std::io::{self, Read, Write};

use super::failure::Failure;

/// The first bytes of every frame, which distinguish a frame from bytes that a plugin wrote to the channel by accident.
const MAGIC: [u8; 4] = *b"xrn2";
const HEADER: usize = 12;

/// The maximum number of bytes of a message, and of an attachment.
pub(crate) const MAX_LENGTH: usize = 64 << 20;

/// The maximum capacity that is reserved before any bytes have come.
const INITIAL_CAPACITY: usize = 64 << 10;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub message: Vec<u8>,
    pub attachment: Vec<u8>,
}

/// The head of a frame: all of it without the attachment, which is sent without being copied.
///
/// # Errors
/// When the message or the attachment has more than [`MAX_LENGTH`] bytes.
pub(crate) fn head(message: &[u8], attachment: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEADER + message.len());
    bytes.extend_from_slice(&MAGIC);
    for part in [message, attachment] {
        let length = u32::try_from(part.len()).ok().filter(|_| part.len() <= MAX_LENGTH);
        let length = length.ok_or_else(|| io::Error::other("a message has more than 64 MiB"))?;
        bytes.extend_from_slice(&length.to_le_bytes());
    }
    bytes.extend_from_slice(message);
    Ok(bytes)
}

/// Writes one frame.
pub fn write(mut to: impl Write, message: &[u8], attachment: &[u8]) -> io::Result<()> {
    to.write_all(&head(message, attachment)?)?;
    to.write_all(attachment)
}

/// Reads one frame; `None` if the other side closed the channel between two frames.
///
/// # Errors
/// Those of `from`; [`io::ErrorKind::InvalidData`] for bytes that are not a frame.
pub fn read(mut from: impl Read) -> io::Result<Option<Frame>> {
    let mut header = [0; HEADER];
    match from.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (message, attachment) = lengths(header)?;
    Ok(Some(Frame { message: read_part(&mut from, message)?, attachment: read_part(&mut from, attachment)? }))
}

fn read_part(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    // Memory grows with the bytes that have come, and not with a length that is only announced.
    let mut bytes = Vec::with_capacity(length.min(INITIAL_CAPACITY));
    match from.take(length as u64).read_to_end(&mut bytes)? {
        whole if whole == length => Ok(bytes),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The lengths of the message and of the attachment.
fn lengths(header: [u8; HEADER]) -> io::Result<(usize, usize)> {
    let [a, b, c, d, m0, m1, m2, m3, a0, a1, a2, a3] = header;
    let message = u32::from_le_bytes([m0, m1, m2, m3]) as usize;
    let attachment = u32::from_le_bytes([a0, a1, a2, a3]) as usize;
    if [a, b, c, d] == MAGIC && message <= MAX_LENGTH && attachment <= MAX_LENGTH {
        return Ok((message, attachment));
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "not a message"))
}

/// A buffer of bytes that have come, from which frames are taken.
#[derive(Debug, Default)]
pub struct Incoming {
    bytes: Vec<u8>,
    /// How many of them have been taken: moving the rest to the front for each frame would take quadratic time.
    taken: usize,
}

impl Incoming {
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.taken));
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes are in the buffer.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// The next frame, if all of it has come.
    pub fn take(&mut self) -> Result<Option<Frame>, Failure> {
        let Some((header, rest)) = self.bytes[self.taken..].split_first_chunk() else { return Ok(None) };
        let (message, attachment) = lengths(*header).map_err(|_| Failure::Malformed)?;
        let Some(bytes) = rest.get(..message + attachment) else { return Ok(None) };
        let (message, attachment) = bytes.split_at(message);
        let frame = Frame { message: message.to_vec(), attachment: attachment.to_vec() };
        self.taken += HEADER + bytes.len();
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_come_back_however_they_are_cut(parts: Vec<(Vec<u8>, Vec<u8>)>, cut in 1_usize..20) {
            let frames: Vec<_> =
                parts.into_iter().map(|(message, attachment)| Frame { message, attachment }).collect();
            let mut bytes = Vec::new();
            frames.iter().for_each(|frame| write(&mut bytes, &frame.message, &frame.attachment).unwrap());
            let (mut incoming, mut back) = (Incoming::default(), Vec::new());
            for chunk in bytes.chunks(cut) {
                incoming.extend(chunk);
                while let Some(frame) = incoming.take().unwrap() {
                    back.push(frame);
                }
            }
            prop_assert_eq!(&back, &frames);
            let mut reader = bytes.as_slice();
            for frame in frames {
                prop_assert_eq!(read(&mut reader).unwrap(), Some(frame));
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
    fn the_output_of_a_library_is_refused() {
        let mut incoming = Incoming::default();
        incoming.extend(b"hello, world\n");
        assert!(matches!(incoming.take(), Err(crate::sandbox::Failure::Malformed)));
        assert!(read(b"hello, world\n".as_slice()).is_err());
    }

    #[test]
    fn each_part_has_its_own_limit() {
        let largest = vec![0; MAX_LENGTH];
        assert!(head(&[], &largest).is_ok() && head(&largest, &largest).is_ok());
        let more = vec![0; MAX_LENGTH + 1];
        assert!(head(&[], &more).is_err() && head(&more, &[]).is_err());
    }
}
