//! Checks that no file of the archive contains a path of this machine: it would be invalid elsewhere, and name who built it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::folder::entries;

/// Checks that no file below `folder` contains one of these paths.
pub(crate) fn check(folder: &Path, private: &[PathBuf]) -> Result<(), Failure> {
    for path in entries(folder)? {
        if path.is_dir() {
            check(&path, private)?;
            continue;
        }
        let bytes = std::fs::read(&path).map_err(Failure::file("cannot read", &path))?;
        if let Some(found) = private.iter().find(|private| contains(&bytes, private)) {
            let message = format!("{} contains {}, a path of this machine", path.display(), found.display());
            return Err(Failure::Invalid(message));
        }
    }
    Ok(())
}

/// Whether the path, or a path below it, is in the bytes. A longer name with the same beginning does not count.
fn contains(bytes: &[u8], path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    let ends =
        |rest: &[u8]| rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric() && !b"-_.".contains(byte));
    let mut at = bytes;
    while let Some(found) = position(at, path) {
        at = &at[found + path.len()..];
        if ends(at) {
            return true;
        }
    }
    false
}

fn position(bytes: &[u8], word: &[u8]) -> Option<usize> {
    let (first, _) = word.split_first()?;
    let mut start = 0;
    while let Some(found) = bytes[start..].iter().position(|byte| byte == first) {
        if bytes[start + found..].starts_with(word) {
            return Some(start + found);
        }
        start += found + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_in_every_folder_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        let file = folder.path().join("plugins/lib.so");
        let private = [PathBuf::from("/home/me/src")];
        std::fs::write(&file, b"\0/home/me/src-of-another\0/home/me\0src/home/me").unwrap();
        check(folder.path(), &private).unwrap();
        std::fs::write(&file, b"\0\xff/home/me/src/lib.rs\0").unwrap();
        let why = check(folder.path(), &private).unwrap_err().to_string();
        assert!(why.ends_with("lib.so contains /home/me/src, a path of this machine"), "{why}");
        std::fs::write(&file, b"/home/me/src").unwrap();
        check(folder.path(), &private).unwrap_err();
    }
}
