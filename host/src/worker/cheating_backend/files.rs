//! Alters the files of the host: its records, and what it might keep for the judge.

use std::fs;
use std::io;
use std::path::Path;

/// A file of a name that the host gave to its expected answers once.
const PLANTED: &str = "oracle/planted.json";

/// Changes every digit in the files below `folder`, and leaves a file there.
pub(super) fn alter(folder: &Path) -> io::Result<()> {
    alter_below(folder)?;
    let planted = folder.join(PLANTED);
    fs::create_dir_all(planted.parent().unwrap_or(folder))?;
    fs::write(planted, r#"{"count":1,"checksum":"00000000000000000000000000000001"}"#)
}

fn alter_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry?.path();
        if path.is_dir() {
            alter_below(&path)?;
        } else {
            let other = |byte: u8| if byte.is_ascii_digit() { b'0' + (byte - b'0' + 1) % 10 } else { byte };
            let altered: Vec<_> = fs::read(&path)?.into_iter().map(other).collect();
            fs::write(&path, altered)?;
        }
    }
    Ok(())
}
