//! The object file: for which machine it is, and what it exports.

use std::fs::File;

use object::read::{ReadCache, ReadRef};
use object::{Architecture, Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol};

use super::metadata::MAX_LENGTH;
use super::{Kind, Metadata, Rejection, libc};

/// Where the export macros put the metadata.
const SECTION: &str = if cfg!(target_vendor = "apple") { "__crossrun" } else { ".crossrun" };

/// The symbol of a runner: data, of which the first bytes say that it is what it should be.
const RUNNER_SYMBOL: &[u8] = b"_1as_0lib_1header_0root_bmodule_bloader";
/// A symbol of every library of workloads.
const WORKLOADS_SYMBOL: &[u8] = b"crossrun_workload_abi_version";

/// How the header at [`RUNNER_SYMBOL`] begins; two little-endian u32 follow, its major and its minor version.
const MAGIC: &[u8; 32] = b"abi stable library for Rust     ";
/// The version of that header which this host can read.
const HEADER_VERSION: (u32, u32) = (0, 11);

/// Checks everything that can be seen in the bytes, and reads the metadata.
pub(super) fn check(file: File, length: u64) -> Result<Metadata, Rejection> {
    let bytes = ReadCache::new(file);
    let object = match object::File::parse(&bytes) {
        Ok(object) => object,
        Err(_) if object::FileKind::parse(&bytes).is_err() => {
            return Err(Rejection::new("not a shared library"));
        }
        Err(error) => return Err(damaged(&error)),
    };
    check_machine(&object)?;
    check_length(&object, length)?;
    let metadata = metadata(&object)?;
    match metadata.kind {
        Kind::Runner => check_runner(&object)?,
        Kind::Workloads(_) => check_workloads(&object)?,
    }
    libc::check(&object)?;
    Ok(metadata)
}

fn damaged(why: &dyn std::fmt::Display) -> Rejection {
    Rejection::new(format!("the library is cut short or damaged: {why}"))
}

fn check_machine<'data, R: ReadRef<'data>>(object: &object::File<'data, R>) -> Result<(), Rejection> {
    if object.kind() != ObjectKind::Dynamic {
        return Err(Rejection::new("an object file, but not a shared library"));
    }
    let theirs = (object.format(), object.architecture(), object.is_64(), object.is_little_endian());
    let format =
        if cfg!(target_vendor = "apple") { object::BinaryFormat::MachO } else { object::BinaryFormat::Elf };
    let ours =
        (format, own_architecture(), cfg!(target_pointer_width = "64"), cfg!(target_endian = "little"));
    if theirs == ours {
        return Ok(());
    }
    let (format, architecture) = (theirs.0, theirs.1);
    let machine = std::env::consts::ARCH;
    Err(Rejection::new(format!(
        "built for another machine ({format:?}, {architecture:?}); this one is {machine}"
    ))
    .with_remedy(format!("rebuild it for {machine}")))
}

fn own_architecture() -> Architecture {
    match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        "riscv64" => Architecture::Riscv64,
        "powerpc64" => Architecture::PowerPc64,
        "s390x" => Architecture::S390x,
        "x86" => Architecture::I386,
        "arm" => Architecture::Arm,
        _ => Architecture::Unknown,
    }
}

/// What a library wants mapped must be in the file: the linker does not look, and the access dies.
fn check_length<'data, R: ReadRef<'data>>(
    object: &object::File<'data, R>,
    length: u64,
) -> Result<(), Rejection> {
    let fits = |(start, size): (u64, u64)| start.checked_add(size).is_some_and(|end| end <= length);
    if object.segments().all(|segment| fits(segment.file_range())) {
        return Ok(());
    }
    Err(damaged(&"it wants more bytes mapped than it has"))
}

fn metadata<'data, R: ReadRef<'data>>(object: &object::File<'data, R>) -> Result<Metadata, Rejection> {
    let section = object.section_by_name(SECTION);
    let section =
        section.ok_or_else(|| Rejection::new("not a crossrun plugin: it has no metadata section"))?;
    if section.size() > MAX_LENGTH {
        return Err(Rejection::new("its metadata is damaged: it is too long"));
    }
    Metadata::parse(section.data().map_err(|error| damaged(&error))?)
}

fn check_runner<'data, R: ReadRef<'data>>(object: &object::File<'data, R>) -> Result<(), Rejection> {
    let address = exported(object, RUNNER_SYMBOL)?;
    let header = object.sections().find_map(|section| section.data_range(address, 40).ok().flatten());
    let versions = header
        .and_then(|header| header.strip_prefix(MAGIC))
        .and_then(|rest| rest.as_chunks::<4>().0.get(..2));
    let Some([major, minor]) = versions else {
        return Err(Rejection::new("its ABI header is none").with_remedy(rebuild()));
    };
    let version = (u32::from_le_bytes(*major), u32::from_le_bytes(*minor));
    if version == HEADER_VERSION {
        return Ok(());
    }
    let (major, minor) = version;
    Err(Rejection::new(format!("its ABI header has version {major}.{minor}, which this host cannot read"))
        .with_remedy(rebuild()))
}

fn check_workloads<'data, R: ReadRef<'data>>(object: &object::File<'data, R>) -> Result<(), Rejection> {
    exported(object, WORKLOADS_SYMBOL).map(|_| ())
}

fn rebuild() -> String {
    format!("rebuild it against plugin-api {}", plugin_api::API_VERSION)
}

/// The address of a symbol that the library defines and shows.
fn exported<'data, R: ReadRef<'data>>(
    object: &object::File<'data, R>,
    name: &[u8],
) -> Result<u64, Rejection> {
    // Mach-O puts an underscore before every name.
    let same = |found: &[u8]| {
        found == name || (cfg!(target_vendor = "apple") && found.strip_prefix(b"_") == Some(name))
    };
    let symbol =
        object.dynamic_symbols().find(|symbol| symbol.is_definition() && symbol.name_bytes().is_ok_and(same));
    let missing = || {
        let name = String::from_utf8_lossy(name);
        Rejection::new(format!("it has the metadata of a plugin, but does not export {name}"))
            .with_remedy(rebuild())
    };
    symbol.map(|symbol| symbol.address()).ok_or_else(missing)
}
