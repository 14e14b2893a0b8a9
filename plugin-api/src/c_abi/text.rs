//! Text that crosses the border: UTF-8 that ends with a NUL.

use std::ffi::{CString, c_char};

use crate::error::{ErrorKind, RunnerError};

/// The most bytes of a text for people that are read.
pub(super) const MAX_SHOWN: usize = 64 << 10;

/// Why text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Null,
    TooLong,
}

/// The bytes before the NUL.
///
/// # Safety
/// `text` is null, or good for reading up to its NUL or `most` bytes, for as long as the result is used.
pub(super) unsafe fn read<'a>(text: *const c_char, most: usize) -> Result<&'a [u8], Unfit> {
    if text.is_null() {
        return Err(Unfit::Null);
    }
    // SAFETY: by this function's contract; no byte after the NUL is read.
    let length = (0..=most).find(|at| unsafe { *text.add(*at) } == 0).ok_or(Unfit::TooLong)?;
    // SAFETY: as many bytes were just read.
    Ok(unsafe { std::slice::from_raw_parts(text.cast(), length) })
}

/// Text to show to people: invalid UTF-8 in it is replaced, and it is cut if it is too long. Nothing if it is null.
///
/// # Safety
/// As [`read`].
pub(super) unsafe fn shown(text: *const c_char) -> Option<String> {
    // SAFETY: handed on from the caller.
    let bytes = match unsafe { read(text, MAX_SHOWN) } {
        Ok(bytes) => bytes,
        Err(Unfit::Null) => return None,
        // SAFETY: so many bytes were read without finding the end.
        Err(Unfit::TooLong) => unsafe { std::slice::from_raw_parts(text.cast(), MAX_SHOWN) },
    };
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// Text for the other side. JSON has no NUL, which is escaped there, and a path cannot have one.
pub(super) fn owned(text: impl Into<Vec<u8>>, what: &str) -> Result<CString, RunnerError> {
    CString::new(text).map_err(|_| {
        RunnerError::new(
            ErrorKind::InvalidSpec,
            format!("{what} has a NUL in it, which text for a backend in C cannot have"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_up_to_its_end_and_no_further_than_allowed() {
        let text = c"four".as_ptr();
        // SAFETY: text that ends with a NUL, or null.
        unsafe {
            assert_eq!(read(text, 4), Ok(b"four".as_slice()));
            assert_eq!(read(text, 3), Err(Unfit::TooLong));
            assert_eq!(read(std::ptr::null(), 3), Err(Unfit::Null));
            assert_eq!(shown(c"a\xffb".as_ptr()).as_deref(), Some("a\u{fffd}b"));
            assert_eq!(shown(std::ptr::null()), None);
        }
    }

    #[test]
    fn text_with_a_nul_is_refused() {
        assert!(owned("a\0b", "the scheduler's name").unwrap_err().message.contains("scheduler's name"));
    }
}
