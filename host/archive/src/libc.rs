//! Which C library the archive needs.

use std::path::{Path, PathBuf};

use object::{Object, ObjectSection};

use crate::failure::Failure;

/// The newest version of glibc that any of these asks for: the least that a machine must have.
pub(crate) fn least<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Result<Option<String>, Failure> {
    let mut newest = None;
    for file in files {
        newest = newest.max(needed(file)?);
    }
    Ok(newest.map(|version| version.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")))
}

/// A version as numbers, so that 2.9 comes before 2.34.
fn needed(file: &Path) -> Result<Option<Vec<u32>>, Failure> {
    let bytes = std::fs::read(file).map_err(Failure::file("cannot read", file))?;
    let unfit = |error: object::Error| Failure::Unfit(format!("{}: {error}", file.display()));
    let object = object::File::parse(bytes.as_slice()).map_err(unfit)?;
    let Some(strings) = object.section_by_name(".dynstr") else { return Ok(None) };
    let strings = strings.data().map_err(unfit)?;
    Ok(strings.split(|byte| *byte == 0).filter_map(version).max())
}

fn version(name: &[u8]) -> Option<Vec<u32>> {
    let digits = std::str::from_utf8(name.strip_prefix(b"GLIBC_")?).ok()?;
    digits.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_needs_a_version_that_this_machine_has() {
        let own = std::env::current_exe().unwrap();
        let least = least([own].iter()).unwrap().unwrap();
        assert!(least.starts_with("2."), "{least}");
        assert!(version(b"GLIBC_2.9") < version(b"GLIBC_2.34"));
        assert_eq!((version(b"GLIBC_PRIVATE"), version(b"GCC_3.0")), (None, None));
    }
}
