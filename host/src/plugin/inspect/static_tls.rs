//! Thread-local memory that must lie where the dynamic linker laid it out when the process started. It keeps little of that for libraries
//! that are opened later, and code that was built with `-ftls-model=initial-exec` needs it.

use std::fs::File;
use std::path::Path;

use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSymbol as _, RelocationFlags, RelocationTarget, elf};

use super::bounded_reader::BoundedReader;
use super::object_file::ObjectFile;
use super::rejection::Rejection;

/// The environment variable of glibc, and the setting in it.
const VARIABLE: &str = "GLIBC_TUNABLES";
const SETTING: &str = "glibc.rtld.optional_static_tls";
/// Another setting that changes how much there is.
const NAMESPACES: &str = "glibc.rtld.nns";

/// The entry of the dynamic section that has flags, and the flag for code that needs static TLS.
const DT_FLAGS: usize = 30;
const DF_STATIC_TLS: usize = 0x10;

/// What glibc keeps at most, in bytes, and how much of that the setting is where it is not set.
const KEPT: u64 = 1664;
const DEFAULT: u64 = 512;
/// What a remedy asks for beyond the block itself: other libraries use some of it.
const MORE: u64 = 4096;

/// Rejects a file for which the dynamic linker cannot have enough.
pub(super) fn check(file: &ObjectFile<'_>) -> Result<(), Rejection> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return Ok(());
    }
    let Some(needed) = needed(file) else { return Ok(()) };
    let tunables = std::env::var(VARIABLE).unwrap_or_default();
    let Some(kept) = kept(&tunables).filter(|kept| *kept < needed) else { return Ok(()) };
    let reason = format!(
        "needs {needed} bytes of static TLS, of which the dynamic linker keeps {kept} for libraries that are opened later; built with \
         -ftls-model=global-dynamic, it would need none"
    );
    Err(Rejection::new(reason).with_remedy(command(&tunables, needed)))
}

/// The command that helps where the dynamic linker has refused the library at `path` for this reason, which may be that of another
/// library that it needs.
pub(crate) fn remedy(why: &str, path: &Path) -> Option<String> {
    if !why.contains("static TLS block") {
        return None;
    }
    let named = why.split(": cannot allocate").next().map(|named| Path::new(named.trim()));
    let needed = named.into_iter().chain([path]).filter_map(needed_by).max();
    let tunables = std::env::var(VARIABLE).unwrap_or_default();
    // More than most libraries need.
    Some(command(&tunables, needed.unwrap_or(64 << 10)))
}

fn needed_by(path: &Path) -> Option<u64> {
    let reader = BoundedReader::new(File::open(path).ok()?);
    needed(&ObjectFile::parse(&reader).ok()?)
}

/// The size of the block, if code of the file needs it there.
fn needed(file: &ObjectFile<'_>) -> Option<u64> {
    let types = match std::env::consts::ARCH {
        "x86_64" => elf::R_X86_64_TPOFF64,
        "aarch64" => elf::R_AARCH64_TLS_TPREL,
        _ => return None,
    };
    // The linker sets the flag where any code needs it. Without it the relocations, which may be many, are not read.
    let has_flag = |[tag, value]: [usize; 2]| tag == DT_FLAGS && value & DF_STATIC_TLS != 0;
    if !file.dynamic().into_iter().any(has_flag) {
        return None;
    }
    let object::File::Elf64(header) = &file.object else { return None };
    let headers = header.elf_header().program_headers(Endianness::default(), file.source).ok()?;
    let block = headers.iter().find(|header| header.p_type(Endianness::default()) == elf::PT_TLS)?;
    // It may also be the block of another library that the code asks for.
    let is_own = |target| match target {
        RelocationTarget::Symbol(index) => file.object.dynamic_symbol_table().is_some_and(|table| {
            object::ObjectSymbolTable::symbol_by_index(&table, index).is_ok_and(|it| !it.is_undefined())
        }),
        _ => true,
    };
    let is_needed = file.relocations().any(|(_, relocation)| {
        relocation.flags() == RelocationFlags::Elf { r_type: types } && is_own(relocation.target())
    });
    is_needed.then(|| block.p_memsz(Endianness::default()))
}

/// What the dynamic linker keeps at most; nothing if that cannot be told.
fn kept(tunables: &str) -> Option<u64> {
    let mut kept = KEPT;
    for (name, value) in tunables.split(':').filter_map(|setting| setting.split_once('=')) {
        match name {
            SETTING => kept = (KEPT - DEFAULT).saturating_add(value.parse().ok()?),
            NAMESPACES => return None,
            _ => {}
        }
    }
    Some(kept)
}

/// The command that has the dynamic linker keep enough, beside the settings that are there.
fn command(tunables: &str, needed: u64) -> String {
    let others = tunables.split(':').filter(|setting| !setting.is_empty() && !setting.starts_with(SETTING));
    let enough = needed.saturating_add(MORE).checked_next_multiple_of(1024).unwrap_or(u64::MAX);
    let ours = format!("{SETTING}={enough}");
    let settings: Vec<_> = others.map(str::to_owned).chain([ours]).collect();
    format!("export {VARIABLE}={}", crate::shell::quote(settings.join(":")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_settings_stay_and_what_cannot_be_told_is_no_reason() {
        assert_eq!(kept(""), Some(1664));
        assert_eq!(kept("glibc.malloc.check=3:glibc.rtld.optional_static_tls=100000"), Some(101_152));
        assert_eq!((kept("glibc.rtld.nns=8"), kept("glibc.rtld.optional_static_tls=x")), (None, None));
        let command = command("glibc.malloc.check=3:glibc.rtld.optional_static_tls=5", 10_000);
        assert_eq!(
            command,
            "export GLIBC_TUNABLES=glibc.malloc.check=3:glibc.rtld.optional_static_tls=14336"
        );
        // A damaged file may say that it needs any number.
        assert!(super::command("", u64::MAX).ends_with(&u64::MAX.to_string()));
    }
}
