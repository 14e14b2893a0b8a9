//! An object file: the machine that it is for, and what it exports.

use object::read::ReadRef;
use object::{Architecture, Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol};

use super::bounded_reader::{BoundedReader, LIMIT};
use super::metadata::{MAX_LENGTH, Metadata};
use super::rejection::Rejection;

/// The section into which the export macros put the metadata.
const SECTION: &str = if cfg!(target_vendor = "apple") { "__crossrun" } else { ".crossrun" };

/// More entries than a dynamic section has. A file may claim to have millions.
const MOST_ENTRIES: usize = 4096;
/// More relocations than can be read: a file may have the same ones in any number of its sections.
const MOST_RELOCATIONS: usize = LIMIT as usize / 16;

/// An object file whose headers were parsed.
pub(super) struct ObjectFile<'a> {
    pub(super) source: &'a BoundedReader,
    pub(super) object: object::File<'a, &'a BoundedReader>,
}

impl<'a> ObjectFile<'a> {
    pub(super) fn parse(source: &'a BoundedReader) -> Result<Self, Rejection> {
        match object::File::parse(source) {
            Ok(object) => Ok(Self { source, object }),
            Err(_) if object::FileKind::parse(source).is_err() => Err(Rejection::new("not a shared library")),
            Err(error) => Err(damaged(&error)),
        }
    }

    /// Checks that this machine's dynamic linker can read the file.
    pub(super) fn check_machine(&self) -> Result<(), Rejection> {
        let object = &self.object;
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

    /// Checks that all segments are in the file. The dynamic linker does not: an access to a missing part kills the process.
    pub(super) fn check_length(&self, length: u64) -> Result<(), Rejection> {
        let fits = |(start, size): (u64, u64)| start.checked_add(size).is_some_and(|end| end <= length);
        if self.object.segments().all(|segment| fits(segment.file_range())) {
            return Ok(());
        }
        Err(damaged(&"its segments are longer than the file"))
    }

    pub(super) fn metadata(&self) -> Result<Metadata, Rejection> {
        let section = self.object.section_by_name(SECTION);
        let section =
            section.ok_or_else(|| Rejection::new("not a crossrun plugin: it has no metadata section"))?;
        if section.size() > MAX_LENGTH {
            return Err(Rejection::new("its metadata is damaged: it is too long"));
        }
        let mut metadata = Metadata::parse(section.data().map_err(|error| damaged(&error))?)?;
        metadata.debug_assertions |= self.is_sanitized();
        Ok(metadata)
    }

    /// Whether a sanitizer checks what its code does. Not every compiler tells the code, which then says that it is a release build.
    fn is_sanitized(&self) -> bool {
        self.has_string(&[b"\0__asan_", b"\0__msan_", b"\0__tsan_", b"\0__ubsan_handle_"]).unwrap_or_default()
    }

    /// Whether one of these is among the strings of the dynamic linker: the names of imports, and the paths to search. None if they
    /// cannot be read.
    pub(super) fn has_string(&self, words: &[&[u8]]) -> Option<bool> {
        let strings = self.section(".dynstr")?;
        Some(words.iter().any(|word| strings.windows(word.len()).any(|found| found == *word)))
    }

    /// The content of the section with this name.
    pub(super) fn section(&self, name: &str) -> Option<&'a [u8]> {
        self.object.section_by_name(name)?.data().ok()
    }

    /// The entries of the dynamic section up to its end, each a tag and a value.
    pub(super) fn dynamic(&self) -> Vec<[usize; 2]> {
        let (words, _) = self.section(".dynamic").unwrap_or_default().as_chunks::<{ size_of::<usize>() }>();
        let words: Vec<_> =
            words.iter().take(2 * MOST_ENTRIES).map(|word| usize::from_ne_bytes(*word)).collect();
        // An entry with the tag 0 is the end.
        words.as_chunks::<2>().0.iter().copied().take_while(|[tag, _]| *tag != 0).collect()
    }

    /// The `length` bytes that the file has for an address. Only these bytes are read, not their whole section.
    pub(super) fn bytes_at(&self, address: u64, length: u64) -> Option<&'a [u8]> {
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

    /// The address and the size of an exported symbol. The size is 0 where the format has none.
    pub(super) fn exported(&self, name: &str) -> Option<(u64, u64)> {
        let name = name.as_bytes();
        let symbol = self
            .exports()
            .find(|symbol| symbol.name_bytes().is_ok_and(|found| found == name || plain(found) == name))?;
        Some((symbol.address(), symbol.size()))
    }

    /// Whether the dynamic linker writes to `address` when it loads the library.
    pub(super) fn is_relocated(&self, address: u64) -> bool {
        self.relocations().any(|(place, _)| place == address)
    }

    /// What the dynamic linker writes when it loads the library: places, and what is written there.
    pub(super) fn relocations(&self) -> impl Iterator<Item = (u64, object::Relocation)> {
        self.object.dynamic_relocations().into_iter().flatten().take(MOST_RELOCATIONS)
    }

    /// The symbols that the library defines and exports.
    pub(super) fn exports(&self) -> impl Iterator<Item = object::Symbol<'a, '_, &'a BoundedReader>> {
        self.object.dynamic_symbols().filter(|symbol| symbol.is_definition())
    }
}

/// Mach-O puts an underscore before every name.
pub(super) fn plain(name: &[u8]) -> &[u8] {
    if cfg!(target_vendor = "apple") { name.strip_prefix(b"_").unwrap_or(name) } else { name }
}

fn damaged(why: &dyn std::fmt::Display) -> Rejection {
    Rejection::new(format!("the library is cut short or damaged: {why}"))
}

/// Whether this machine's dynamic linker can read the file.
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
