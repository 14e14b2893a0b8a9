//! No path of the machine that built it may stand in the archive: it would lead nowhere, and tell of who built it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::folder::entries;

/// Whether none of the files below `folder` holds one of these paths.
pub(crate) fn check(folder: &Path, private: &[PathBuf]) -> Result<(), Failure> {
    for path in entries(folder)? {
        if path.is_dir() {
            check(&path, private)?;
            continue;
        }
        let bytes = std::fs::read(&path).map_err(Failure::file("cannot read", &path))?;
        if let Some(found) = private.iter().find(|private| holds(&bytes, private)) {
            let message = format!("{} holds {}, a path of this machine", path.display(), found.display());
            return Err(Failure::Unfit(message));
        }
    }
    Ok(())
}

/// As a folder: what stands in it, too, is a path of this machine, but not what is only named alike.
fn holds(bytes: &[u8], path: &Path) -> bool {
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
    fn a_path_is_found_in_any_file_of_any_folder_and_names_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        let file = folder.path().join("plugins/lib.so");
        let private = [PathBuf::from("/home/me/src")];
        std::fs::write(&file, b"\0/home/me/src-of-another\0/home/me\0src/home/me").unwrap();
        check(folder.path(), &private).unwrap();
        std::fs::write(&file, b"\0\xff/home/me/src/lib.rs\0").unwrap();
        let why = check(folder.path(), &private).unwrap_err().to_string();
        assert!(why.ends_with("lib.so holds /home/me/src, a path of this machine"), "{why}");
        std::fs::write(&file, b"/home/me/src").unwrap();
        check(folder.path(), &private).unwrap_err();
    }
}
