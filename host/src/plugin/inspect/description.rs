//! A description of any file, made without running it, whether it is a plugin for this host or not.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use object::{Object, ObjectKind, ObjectSymbol};
use serde::Serialize;
use serde_json::{Map, Value};

use super::bounded_reader::BoundedReader;
use super::object_file::{self, ObjectFile};
use super::symbols;
use super::{Metadata, Rejection, glibc, inspect, needed, sha256_of};
use crate::text::serialize_path;

/// The largest file that is hashed without `--hash`, in bytes: that takes about a tenth of a second.
pub(crate) const HASHED_BY_DEFAULT: u64 = 64 << 20;

/// The description of a file. A value that could not be read is null or empty.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Description {
    /// The file, with every link on the way to it resolved.
    #[serde(serialize_with = "serialize_path")]
    pub path: PathBuf,
    /// `plugin` if this host would load it, else `rejected`.
    pub status: &'static str,
    pub reason: Option<String>,
    pub remedy: Option<String>,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256, in hex; null if the file is large and no hash was asked for.
    pub sha256: Option<String>,
    /// Its format as an object file; null if it is not one.
    pub object: Option<Format>,
    /// `runner` or `workloads`.
    pub kind: Option<&'static str>,
    pub name: Option<String>,
    pub version: Option<String>,
    pub description: Option<String>,
    pub license: Option<String>,
    pub workloads: Vec<String>,
    pub abi: Abi,
    pub needed: Vec<String>,
    /// The C library.
    pub glibc: Glibc,
    /// The symbols that it exports.
    pub exports: Exports,
    pub build: Map<String, Value>,
}

/// The format of an object file.
#[derive(Clone, Debug, Serialize)]
pub struct Format {
    /// `Elf` or `MachO`.
    pub format: String,
    pub architecture: String,
    /// 32 or 64.
    pub bits: u8,
    /// `little` or `big`.
    pub endianness: &'static str,
    /// `shared library`, `program`, or another.
    pub what: &'static str,
    /// Whether this machine's dynamic linker can read it.
    pub of_this_machine: bool,
}

/// The versions of the interfaces between host and plugin.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Abi {
    /// The version of plugin-api that it was built against.
    pub plugin_api: Option<String>,
    pub host_plugin_api: &'static str,
    /// The version of the header of a backend in Rust.
    pub runner_header: Option<String>,
    /// The version of the C ABI of a backend in C.
    pub backend_abi: Option<String>,
    /// The major version of a workload library's C ABI, which is that of plugin-api. The library also reports it through a
    /// function, which the worker calls when it loads the library.
    pub workload_abi: Option<String>,
}

/// Versions of the C library.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Glibc {
    /// The newest version that the file needs.
    pub required: Option<String>,
    /// The symbols for which it needs that version.
    pub symbols: Vec<String>,
    pub present: Option<String>,
}

/// The symbols that a library exports.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Exports {
    /// The symbols that make it a plugin, sorted.
    pub ours: Vec<String>,
    pub others: usize,
}

impl Description {
    /// Describes the file at `path`, with its hash if the file is small or if `hash` is set.
    pub fn of(path: &Path, hash: bool) -> Result<Self, Rejection> {
        let path = path.canonicalize()?;
        let status = path.metadata()?;
        if !status.is_file() {
            return Err(Rejection::new("not a regular file"));
        }
        let rejection = inspect(&path).err();
        let (reason, remedy) = rejection.map_or((None, None), |why| (Some(why.reason), why.remedy));
        let size = status.len();
        let sha256 = if hash || size <= HASHED_BY_DEFAULT { Some(sha256_of(&path)?) } else { None };
        let reader = BoundedReader::new(File::open(&path)?);
        let description = Self {
            path,
            status: if reason.is_none() { "plugin" } else { "rejected" },
            reason,
            remedy,
            size,
            sha256,
            abi: Abi { host_plugin_api: plugin_api::API_VERSION, ..Abi::default() },
            ..Self::default()
        };
        Ok(match ObjectFile::parse(&reader) {
            Ok(file) => description.with_object_file(&file),
            Err(_) => description,
        })
    }

    fn with_object_file(mut self, file: &ObjectFile<'_>) -> Self {
        let object = &file.object;
        self.object = Some(format(object));
        self.glibc.required = glibc::newest(object).map(|version| version.to_string());
        self.glibc.symbols = glibc::newest_symbols(object);
        self.glibc.present = glibc::present().map(ToString::to_string);
        self.needed = needed::names(file);
        self.exports = exports(file);
        self.abi.runner_header = symbols::header(file).ok().map(|(major, minor)| format!("{major}.{minor}"));
        self.abi.backend_abi = symbols::table(file).ok().map(|table| plugin_api::c_abi::words(table.version));
        match file.metadata() {
            Ok(metadata) => self.with_metadata(metadata),
            Err(_) => self,
        }
    }

    fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.build = metadata.build();
        let profile = if metadata.is_debug_build() { "debug" } else { "release" };
        self.build.insert("profile".into(), profile.into());
        self.kind = Some(metadata.kind.as_str());
        if let super::Kind::Workloads(names) = metadata.kind {
            self.workloads = names;
            self.abi.workload_abi = metadata.api.split('.').next().map(str::to_owned);
        }
        self.name = Some(metadata.name);
        self.version = Some(metadata.version);
        self.description = Some(metadata.description);
        self.license = Some(metadata.license);
        self.abi.plugin_api = Some(metadata.api);
        self
    }
}

fn format<'data>(object: &object::File<'data, &'data BoundedReader>) -> Format {
    Format {
        format: format!("{:?}", object.format()),
        architecture: format!("{:?}", object.architecture()),
        bits: if object.is_64() { 64 } else { 32 },
        endianness: if object.is_little_endian() { "little" } else { "big" },
        what: match object.kind() {
            ObjectKind::Dynamic => "shared library",
            ObjectKind::Executable => "program",
            ObjectKind::Relocatable => "object that is not linked",
            ObjectKind::Core => "core dump",
            _ => "unknown",
        },
        of_this_machine: object_file::is_of_this_machine(object),
    }
}

fn exports(file: &ObjectFile<'_>) -> Exports {
    let (mut ours, mut others) = (BTreeSet::new(), 0);
    for symbol in file.exports() {
        match symbol.name_bytes() {
            // Each name once: a file may claim to have millions of symbols of one name.
            Ok(name) if symbols::is_plugin_symbol(name) => _ = ours.insert(name),
            _ => others += 1,
        }
    }
    Exports {
        ours: ours.into_iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        others,
    }
}
