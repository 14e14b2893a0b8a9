//! The object file: for which machine it is, and what it exports.

use std::fs::File;

use object::read::ReadRef;
use object::{Architecture, Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol};

use super::metadata::MAX_LENGTH;
use super::source::Source;
use super::{Kind, Metadata, Rejection, libc};

/// Where the export macros put the metadata.
const SECTION: &str = if cfg!(target_vendor = "apple") { "__crossrun" } else { ".crossrun" };

/// The symbol of a runner: data, of which the first bytes say that it is what it should be.
const RUNNER_SYMBOL: &[u8] = b"_1as_0lib_1header_0root_bmodule_bloader";
/// A symbol of every library of workloads.
const WORKLOADS_SYMBOL: &[u8] = b"crossrun_workload_abi_version";

/// How the names of a workload library's functions begin.
const WORKLOADS_PREFIX: &[u8] = b"crossrun_workload_";

/// How the header at [`RUNNER_SYMBOL`] begins; two little-endian u32 follow, its major and its minor version.
const MAGIC: &[u8; 32] = b"abi stable library for Rust     ";
/// The version of that header which this host can read.
const HEADER_VERSION: (u32, u32) = (0, 11);
/// How long the part of it is that is read: the magic and the two versions.
const HEADER_LENGTH: u64 = 40;

/// Checks everything that can be seen in the bytes, and reads the metadata.
pub(super) fn check(file: File, length: u64) -> Result<Metadata, Rejection> {
    let source = Source::new(file);
    let image = Image::parse(&source)?;
    check_machine(&image.object)?;
    check_length(&image.object, length)?;
    let metadata = image.metadata()?;
    match metadata.kind {
        Kind::Runner => check_header(image.header()?)?,
        Kind::Workloads(_) => image.exported(WORKLOADS_SYMBOL).map(|_| ())?,
    }
    libc::check(&image.object)?;
    Ok(metadata)
}

/// An object file of which the tables were found.
pub(super) struct Image<'a> {
    source: &'a Source,
    pub(super) object: object::File<'a, &'a Source>,
}

impl<'a> Image<'a> {
    pub(super) fn parse(source: &'a Source) -> Result<Self, Rejection> {
        match object::File::parse(source) {
            Ok(object) => Ok(Self { source, object }),
            Err(_) if object::FileKind::parse(source).is_err() => Err(Rejection::new("not a shared library")),
            Err(error) => Err(damaged(&error)),
        }
    }

    pub(super) fn metadata(&self) -> Result<Metadata, Rejection> {
        let section = self.object.section_by_name(SECTION);
        let section =
            section.ok_or_else(|| Rejection::new("not a crossrun plugin: it has no metadata section"))?;
        if section.size() > MAX_LENGTH {
            return Err(Rejection::new("its metadata is damaged: it is too long"));
        }
        Metadata::parse(section.data().map_err(|error| damaged(&error))?)
    }

    /// Major and minor version of the header of a runner.
    pub(super) fn header(&self) -> Result<(u32, u32), Rejection> {
        let header = self.bytes_at(self.exported(RUNNER_SYMBOL)?, HEADER_LENGTH);
        let versions = header
            .and_then(|header| header.strip_prefix(MAGIC))
            .and_then(|rest| rest.as_chunks::<4>().0.get(..2));
        let Some([major, minor]) = versions else {
            return Err(Rejection::new("its ABI header is none").with_remedy(rebuild()));
        };
        Ok((u32::from_le_bytes(*major), u32::from_le_bytes(*minor)))
    }

    /// What the file has for an address. Only these bytes are read, not the section that they are in.
    fn bytes_at(&self, address: u64, length: u64) -> Option<&'a [u8]> {
        self.object.sections().find_map(|section| {
            let (start, size) = section.file_range()?;
            let into = address.checked_sub(section.address())?;
            let within = into.checked_add(length)? <= size;
            if !within {
                return None;
            }
            self.source.read_bytes_at(start.checked_add(into)?, length).ok()
        })
    }

    /// The address of a symbol that the library defines and shows.
    fn exported(&self, name: &[u8]) -> Result<u64, Rejection> {
        let symbol = self.exports().find(|symbol| symbol.name_bytes().is_ok_and(|found| is(found, name)));
        let missing = || {
            let name = String::from_utf8_lossy(name);
            Rejection::new(format!("it has the metadata of a plugin, but does not export {name}"))
                .with_remedy(rebuild())
        };
        symbol.map(|symbol| symbol.address()).ok_or_else(missing)
    }

    /// The symbols that the library defines and shows.
    pub(super) fn exports(&self) -> impl Iterator<Item = object::Symbol<'a, '_, &'a Source>> {
        self.object.dynamic_symbols().filter(|symbol| symbol.is_definition())
    }
}

/// Whether a symbol is one that makes a library a plugin.
pub(super) fn is_ours(name: &[u8]) -> bool {
    is(name, RUNNER_SYMBOL) || plain(name).starts_with(WORKLOADS_PREFIX)
}

fn is(found: &[u8], name: &[u8]) -> bool {
    plain(found) == name || found == name
}

/// Mach-O puts an underscore before every name.
fn plain(name: &[u8]) -> &[u8] {
    if cfg!(target_vendor = "apple") { name.strip_prefix(b"_").unwrap_or(name) } else { name }
}

fn damaged(why: &dyn std::fmt::Display) -> Rejection {
    Rejection::new(format!("the library is cut short or damaged: {why}"))
}

fn check_machine<'data, R: ReadRef<'data>>(object: &object::File<'data, R>) -> Result<(), Rejection> {
    if object.kind() != ObjectKind::Dynamic {
        return Err(Rejection::new("an object file, but not a shared library"));
    }
    if is_of_this_machine(object) {
        return Ok(());
    }
    let (format, architecture) = (object.format(), object.architecture());
    let machine = std::env::consts::ARCH;
    Err(Rejection::new(format!(
        "built for another machine ({format:?}, {architecture:?}); this one is {machine}"
    ))
    .with_remedy(format!("rebuild it for {machine}")))
}

/// Whether this machine's linker reads such files.
pub(super) fn is_of_this_machine<'data, R: ReadRef<'data>>(object: &object::File<'data, R>) -> bool {
    let theirs = (object.format(), object.architecture(), object.is_64(), object.is_little_endian());
    let format =
        if cfg!(target_vendor = "apple") { object::BinaryFormat::MachO } else { object::BinaryFormat::Elf };
    let ours =
        (format, own_architecture(), cfg!(target_pointer_width = "64"), cfg!(target_endian = "little"));
    theirs == ours
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

fn check_header(version: (u32, u32)) -> Result<(), Rejection> {
    if version == HEADER_VERSION {
        return Ok(());
    }
    let (major, minor) = version;
    Err(Rejection::new(format!("its ABI header has version {major}.{minor}, which this host cannot read"))
        .with_remedy(rebuild()))
}

fn rebuild() -> String {
    format!("rebuild it against plugin-api {}", plugin_api::API_VERSION)
}
