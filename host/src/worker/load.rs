//! Loads a runner or a workload library from a file, behind a safe interface. Called in a worker only: loading runs the file's
//! code.

// The compiler can check neither loading a library nor calling its functions.
#![allow(unsafe_code)]

pub(super) mod references;
mod sealed;

use std::ffi::c_void;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::{AbiHeaderRef, LibHeader, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use abi_stable::type_layout::TypeLayout;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use plugin_api::c_abi::{self, BackendFunctions, ForeignBackend};
use plugin_api::ffi::{ForeignRunner, RunnerModuleRef};
use plugin_api::workload::{WorkloadFunctions, WorkloadLibrary, abi_is_compatible};
use plugin_api::{ErrorKind, HostServices, RunnerError, WorkloadRunner};

use sealed::pinned;
pub use sealed::sealed_copy;

use crate::plugin::inspect::{self, FileVersion, Metadata, RunnerAbi, static_tls};
use crate::resource_limit;
use crate::shell;
use crate::worker::protocol::LibraryFile;

/// Keeps a library mapped when its last handle is dropped: a plugin's threads and statics may outlive the handle.
#[cfg(any(target_os = "linux", target_os = "android"))]
const RTLD_NODELETE: i32 = 0x1000;
#[cfg(target_vendor = "apple")]
const RTLD_NODELETE: i32 = 0x80;

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The dynamic linker refused it, for this reason.
    #[error("cannot open {}: {why}", path.display())]
    Open { path: PathBuf, why: String, remedy: Option<String> },
    #[error("{} was replaced after it was inspected", path.display())]
    Changed { path: PathBuf },
    #[error("{} cannot be read any more: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    /// It is not a plugin.
    #[error("{} is not loaded: {why}", path.display())]
    Rejected { path: PathBuf, why: String, remedy: Option<String> },
    /// A symbol that every plugin of its kind exports is missing.
    #[error("{} does not export {symbol}", path.display())]
    Symbol { path: PathBuf, symbol: String },
    /// It was built against an ABI that this host does not speak.
    #[error("{} was built against another plugin ABI ({why})", path.display())]
    Abi { path: PathBuf, why: String },
    /// The plugin could not make its runner.
    #[error(transparent)]
    Runner(#[from] RunnerError),
}

impl LoadError {
    /// What to do about it, if that is known.
    pub(super) fn remedy(&self) -> Option<String> {
        match self {
            Self::Open { remedy, .. } | Self::Rejected { remedy, .. } => remedy.clone(),
            Self::Changed { .. } => Some("run the command again".into()),
            Self::Symbol { symbol, .. } if symbol.starts_with("crossrun_workload_") => {
                Some("define it as crossrun_workloads.h has it; export_workloads! and the kit in C do".into())
            }
            Self::Symbol { .. } | Self::Abi { .. } => {
                Some(format!("rebuild it against plugin-api {}", plugin_api::API_VERSION))
            }
            Self::Unreadable { error, .. } if error.kind() == std::io::ErrorKind::Unsupported => {
                Some("without --locked".into())
            }
            Self::Unreadable { error, .. } => resource_limit::remedy(error),
            Self::Runner(error) => error.remedy.clone(),
        }
    }

    /// The same error in a process in which a backend is loaded: that may have used up the descriptors, or given up the rights, with
    /// which the file would be read. The host looks itself whether the file is still there.
    pub(super) fn beside_backend(self) -> Self {
        match self {
            Self::Unreadable { .. } => {
                let error = RunnerError::new(ErrorKind::Internal, self.to_string());
                Self::Runner(RunnerError { remedy: self.remedy(), ..error })
            }
            other => other,
        }
    }
}

/// Loads the runner in `file`, in whichever language it was written.
pub fn runner(
    file: &LibraryFile,
    host: Arc<dyn HostServices>,
    log_level: log::LevelFilter,
) -> Result<Box<dyn WorkloadRunner>, LoadError> {
    let path = file.path.as_path();
    let to_open = to_open(file)?;
    let metadata = metadata(path, &to_open.path)?;
    let library = open(path, &to_open)?;
    Ok(match metadata.abi {
        RunnerAbi::Rust => Box::new(rust_runner(&library, path, host, log_level)?),
        RunnerAbi::C => Box::new(c_runner(&library, path, &metadata, host, log_level)?),
    })
}

/// The metadata in the bytes that are about to be loaded.
fn metadata(path: &Path, to_open: &Path) -> Result<Metadata, LoadError> {
    let file = File::open(to_open).map_err(inspect::Rejection::from);
    let inspected = file.and_then(|file| inspect::inspect_open(file, None));
    inspected.map_err(|rejection| LoadError::Rejected {
        path: path.into(),
        why: rejection.reason,
        remedy: rejection.remedy,
    })
}

fn c_runner(
    library: &Library,
    path: &Path,
    metadata: &Metadata,
    host: Arc<dyn HostServices>,
    log_level: log::LevelFilter,
) -> Result<ForeignBackend, LoadError> {
    // SAFETY: only the address is read.
    let symbol = unsafe { library.get::<*const c_void>(c_abi::SYMBOL.as_bytes()) };
    let missing = |_| LoadError::Symbol { path: path.into(), symbol: c_abi::SYMBOL.into() };
    let table: *const BackendFunctions = symbol.map_err(missing)?.into_raw().cast_const().cast();
    // SAFETY: inspection found a table of functions at this symbol, in these bytes; the library is never unloaded.
    Ok(unsafe { ForeignBackend::create(table, &metadata.name, host, log_level) }?)
}

fn rust_runner(
    library: &Library,
    path: &Path,
    host: Arc<dyn HostServices>,
    log_level: log::LevelFilter,
) -> Result<ForeignRunner, LoadError> {
    let header = header(library, path)?;
    check_layout(header, path)?;
    // SAFETY: the layouts were just found compatible in one direction or the other, which is what makes the prefix
    // types' accessors right; the major version is checked by the call itself.
    let module = unsafe { header.init_root_module_with_unchecked_layout::<RunnerModuleRef>() };
    let module = module.map_err(|error| abi_error(path, first_line(&error.to_string())))?;
    Ok(ForeignRunner::create(module, host, log_level)?)
}

/// Loads the workload library in `file` from a sealed copy: a backend can write to the file while it runs, also if the judge has it
/// open, and would change the code by which it is judged. A library that looks for others beside it is loaded from its file, and so
/// is every library where the system allows no such copies.
pub(super) fn workloads_of_judge(file: &LibraryFile) -> Result<WorkloadLibrary, LoadError> {
    if file.sealed || File::open(&file.path).is_ok_and(inspect::asks_for_its_folder) {
        return workloads(file);
    }
    workloads(&LibraryFile { sealed: true, ..file.clone() }).or_else(|_| workloads(file))
}

/// Loads the workload library in `file`.
pub fn workloads(file: &LibraryFile) -> Result<WorkloadLibrary, LoadError> {
    workloads_with(file, |own, _| own)
}

/// The same for a process in which a backend is loaded: the host's own functions start an open loop only when the host says, as those do
/// that the backend gets. One that is part of this program has the host's.
pub(super) fn workloads_beside_backend(file: &LibraryFile) -> Result<WorkloadLibrary, LoadError> {
    workloads_with(file, |own, lent| WorkloadFunctions { start: lent.start, ..own })
}

/// The library with the functions for the host that `own` makes of the library's and of those that a backend gets.
fn workloads_with(
    file: &LibraryFile,
    own: impl FnOnce(WorkloadFunctions, &WorkloadFunctions) -> WorkloadFunctions,
) -> Result<WorkloadLibrary, LoadError> {
    let path = file.path.as_path();
    let to_open = to_open(file)?;
    let library = open(path, &to_open)?;
    let address = |name: &std::ffi::CStr| {
        // SAFETY: only the address is read; `resolve` below gives it a type.
        let symbol = unsafe { library.get::<*const c_void>(name.to_bytes_with_nul()) };
        symbol.ok().map(|symbol| symbol.into_raw().cast_const())
    };
    let missing = |symbol: &str| LoadError::Symbol { path: path.into(), symbol: symbol.into() };
    let version = c"crossrun_workload_abi_version";
    let version_of = address(version).ok_or_else(|| missing(&version.to_string_lossy()))?;
    // SAFETY: ABI.md gives this symbol this signature, and inspection found the file to be a workload library.
    let version =
        unsafe { std::mem::transmute::<*const c_void, extern "C-unwind" fn() -> u32>(version_of) }();
    if !abi_is_compatible(version) {
        return Err(abi_error(path, format!("workload ABI {}.{}", version >> 16, version & 0xffff)));
    }
    // SAFETY: the ABI's major version is the host's, so the functions have the signatures of ABI.md; never unloaded.
    let functions = unsafe { WorkloadFunctions::resolve(address) }.map_err(missing)?;
    let lent = Box::leak(Box::new(references::counted(functions)));
    let functions = Box::leak(Box::new(own(functions, lent)));
    // Other processes open the library by its path, and compare its hash. Those of another machine have no descriptor of this one.
    let shared = if file.sealed { &to_open.path } else { path };
    // SAFETY: the functions were resolved in this one library, which is never unloaded; those that are lent hand on to them.
    Ok(unsafe { WorkloadLibrary::new(functions, shared, &file.sha256).lending(lent) })
}

/// Opens the library and never unloads it. All symbols are resolved at once, so that a missing one is an error here and not a
/// crash in a run; other libraries do not see them.
fn open(path: &Path, to_open: &ToOpen) -> Result<Library, LoadError> {
    // SAFETY: running the file's constructors is the point; the worker is a process that may fail.
    let library = unsafe { Library::open(Some(&to_open.path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    let library = library.map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        // The dynamic linker names the path of the descriptor.
        let why = why.replace(&*to_open.path.to_string_lossy(), &path.to_string_lossy());
        let line = first_line(&why);
        if is_beside_a_copy(&why, to_open) {
            let why =
                "a file in a lock is loaded from a copy in memory, beside which no other library is found";
            let folder = shell::quote(path.parent().unwrap_or(path));
            let remedy = Some(format!("export LD_LIBRARY_PATH={folder}"));
            return LoadError::Open { path: path.into(), why: format!("{line}; {why}"), remedy };
        }
        let remedy = static_tls::remedy(&why, &to_open.path);
        LoadError::Open { path: path.into(), why: line, remedy }
    })?;
    if to_open.is_unchanged() { Ok(library) } else { Err(LoadError::Changed { path: path.into() }) }
}

/// Whether a library that is beside a file was not found because the file is in a lock.
fn is_beside_a_copy(why: &str, to_open: &ToOpen) -> bool {
    to_open.hashed.is_none() && why.contains("cannot open shared object file")
}

/// A file whose hash is the one of the inspected file.
struct ToOpen {
    path: PathBuf,
    /// The version of the file that was hashed; nothing for a sealed copy, which cannot change.
    hashed: Option<FileVersion>,
}

impl ToOpen {
    /// Whether the path leads to the file that was hashed, and that file is unchanged.
    fn is_unchanged(&self) -> bool {
        let now = || std::fs::metadata(&self.path).ok().map(|status| FileVersion::of(&status));
        self.hashed.is_none() || self.hashed == now()
    }
}

/// What to open. The file must be the one that was inspected, as the record names that one. If the file is to be sealed, a copy is
/// hashed and opened, which nobody can change. Otherwise the hash is taken through a descriptor, the dynamic linker opens the file
/// through a descriptor too, and the file must be unchanged afterwards. Without `/proc` the linker opens the path.
fn to_open(file: &LibraryFile) -> Result<ToOpen, LoadError> {
    let path = file.path.as_path();
    let unreadable = |error: std::io::Error| LoadError::Unreadable { path: path.into(), error };
    let (to_open, hash) = if file.sealed {
        let (path, hash) = sealed_copy(path).map_err(unreadable)?;
        (ToOpen { path, hashed: None }, hash)
    } else {
        let opened = File::open(path).map_err(unreadable)?;
        let hash = inspect::sha256_of_file(&opened).map_err(unreadable)?;
        let hashed = opened.metadata().map(|status| FileVersion::of(&status)).map_err(unreadable)?;
        let copy = opened.try_clone().map_err(unreadable)?;
        let by_descriptor = pinned(path, opened, inspect::asks_for_its_folder(copy)).map_err(unreadable)?;
        let to_open = ToOpen { path: by_descriptor, hashed: Some(hashed) };
        (if to_open.is_unchanged() { to_open } else { ToOpen { path: path.to_owned(), ..to_open } }, hash)
    };
    if hash == file.sha256 { Ok(to_open) } else { Err(LoadError::Changed { path: path.into() }) }
}

fn header(library: &Library, path: &Path) -> Result<&'static LibHeader, LoadError> {
    let symbol = ROOT_MODULE_LOADER_NAME_WITH_NUL;
    // SAFETY: inspection read the 40 bytes of an ABI header at this symbol before anything was loaded.
    let header = unsafe { library.get::<AbiHeaderRef>(symbol.as_bytes()) };
    let missing = |_| LoadError::Symbol { path: path.into(), symbol: symbol.trim_end_matches('\0').into() };
    let header: AbiHeaderRef = *header.map_err(missing)?;
    header.upgrade().map_err(|error| abi_error(path, first_line(&error.to_string())))
}

/// Accepts a plugin whose layout extends the host's, or the other way round: fields are only ever added at the end, so that an
/// older plugin loads in a newer host and a newer one in an older host.
fn check_layout(header: &LibHeader, path: &Path) -> Result<(), LoadError> {
    let Some(theirs) = header.layout() else {
        return Err(abi_error(path, "it carries no description of its layout".into()));
    };
    let ours = <RunnerModuleRef as StableAbi>::LAYOUT;
    let fits = |one: &'static TypeLayout, other: &'static TypeLayout| check_layout_compatibility(one, other);
    let Err(newer) = fits(ours, theirs) else { return Ok(()) };
    let Err(older) = fits(theirs, ours) else { return Ok(()) };
    // One swapped field gives hundreds of lines: for -v only.
    log::info!(
        "layout of {} against the host's:\n{newer}\nand the other way round:\n{older}",
        path.display()
    );
    Err(abi_error(path, "the layout of its types differs from the host's".into()))
}

fn abi_error(path: &Path, why: String) -> LoadError {
    LoadError::Abi { path: path.into(), why }
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
#[cfg(all(target_os = "linux", not(crossrun_portable)))]
mod tests {
    use std::fs;

    use super::*;

    /// A library that was hashed, and whose folder was replaced then. `link` says how it is linked.
    fn replaced_after_the_check(link: &str) -> (tempfile::TempDir, ToOpen) {
        let place = tempfile::tempdir().unwrap();
        let [folder, evil] = ["plugins", "evil"].map(|name| place.path().join(name));
        for folder in [&folder, &evil] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("libone.so"), "evil").unwrap();
        }
        let (source, path) = (place.path().join("one.c"), folder.join("libone.so"));
        fs::write(&source, "int one(void) { return 1; }").unwrap();
        let mut cc = std::process::Command::new("cc");
        cc.args(["-shared", "-fPIC", link, "-o"]).args([&path, &source]);
        assert!(cc.status().unwrap().success());
        let sha256 = inspect::sha256_of(&path).unwrap();
        let to_open = to_open(&LibraryFile { path, sha256, sealed: false }).unwrap();
        assert!(to_open.is_unchanged());
        fs::rename(&folder, place.path().join("old")).unwrap();
        std::os::unix::fs::symlink(&evil, &folder).unwrap();
        (place, to_open)
    }

    #[test]
    fn what_is_opened_is_what_was_hashed_whatever_its_path_leads_to_by_then() {
        for link in ["-Wl,-rpath,$ORIGIN", "-Wl,-z,now"] {
            let (_place, to_open) = replaced_after_the_check(link);
            assert!(
                to_open.is_unchanged() && fs::read(&to_open.path).unwrap().starts_with(b"\x7fELF"),
                "{link}"
            );
        }
        // Replaced in its folder too. The same command must say so.
        let (place, to_open) = replaced_after_the_check("-Wl,-z,now");
        fs::rename(place.path().join("evil/libone.so"), place.path().join("old/libone.so")).unwrap();
        assert!(fs::read(&to_open.path).unwrap().starts_with(b"\x7fELF") && !to_open.is_unchanged());
    }

    #[test]
    fn a_library_that_asks_for_its_folder_finds_what_is_beside_it() {
        let (place, to_open) = replaced_after_the_check("-Wl,-rpath,$ORIGIN");
        fs::write(place.path().join("old/libtwo.so"), "two").unwrap();
        assert_eq!(fs::read(to_open.path.with_file_name("libtwo.so")).unwrap(), b"two");
    }
}
