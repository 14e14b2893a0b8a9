//! The size of an answer of a plugin as JSON. One that is too large is refused before anybody reads it: reading takes several times
//! its memory, and a minute for each gigabyte.

use std::io::{self, Write};

/// The most bytes of JSON, or of a sink's state, that a host accepts.
pub(crate) const MAX_ANSWER: usize = 64 << 20;

/// What is wrong with an answer of so many bytes, if it is too large.
pub(crate) fn excess(bytes: usize) -> Option<String> {
    (bytes > MAX_ANSWER).then(|| format!("{bytes} bytes of JSON, but may have {} MiB", MAX_ANSWER >> 20))
}

/// Writes into a vector as many bytes as an answer may have.
pub(crate) struct Answer<'a>(pub(crate) &'a mut Vec<u8>);

impl Write for Answer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > MAX_ANSWER.saturating_sub(self.0.len()) {
            return Err(io::Error::other(format!("an answer may have {} MiB of JSON", MAX_ANSWER >> 20)));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_at_the_limit() {
        let mut bytes = Vec::new();
        Answer(&mut bytes).write_all(&vec![b' '; MAX_ANSWER]).unwrap();
        let error = Answer(&mut bytes).write_all(b" ").unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), bytes.len()),
            ("an answer may have 64 MiB of JSON", MAX_ANSWER)
        );
        assert_eq!(excess(MAX_ANSWER), None);
        assert_eq!(excess(MAX_ANSWER + 1).unwrap(), "67108865 bytes of JSON, but may have 64 MiB");
    }
}
