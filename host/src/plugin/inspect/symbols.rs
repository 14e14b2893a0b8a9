//! The symbols that a plugin must export, and the data behind them that can be read without running code.

use plugin_api::c_abi;

use super::metadata::{Kind, Metadata, RunnerAbi};
use super::object_file::{ObjectFile, plain};
use super::rejection::Rejection;

/// The symbol of a backend in Rust. It is data that begins with [`MAGIC`].
const RUST_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";
/// A symbol of every workload library.
const WORKLOADS_SYMBOL: &str = "crossrun_workload_abi_version";
/// The prefix of the functions of a workload library.
const WORKLOADS_PREFIX: &[u8] = b"crossrun_workload_";

/// The first bytes of the header at [`RUST_SYMBOL`]; its major and its minor version follow, two little-endian u32.
const MAGIC: &[u8; 32] = b"abi stable library for Rust     ";
/// The version of the header that this host can read.
const HEADER_VERSION: (u32, u32) = (0, 11);
/// The length in bytes of the part of the header that is read: the magic and the two versions.
const HEADER_LENGTH: u64 = 40;

/// Checks that a library exports the symbols of the kind that its metadata claim.
pub(super) fn check(file: &ObjectFile<'_>, metadata: &Metadata) -> Result<(), Rejection> {
    match (&metadata.kind, metadata.abi) {
        (Kind::Workloads(_), _) => address(file, WORKLOADS_SYMBOL).map(|_| ()),
        (Kind::Runner, abi) => {
            check_alone(file)?;
            match abi {
                RunnerAbi::Rust => check_header(header(file)?),
                RunnerAbi::C => check_table(file, table(file)?),
            }
        }
    }
}

/// Whether a symbol makes a library a plugin.
pub(super) fn is_plugin_symbol(name: &[u8]) -> bool {
    let plain = plain(name);
    [RUST_SYMBOL, c_abi::SYMBOL].iter().any(|ours| [plain, name].contains(&ours.as_bytes()))
        || plain.starts_with(WORKLOADS_PREFIX)
}

fn address(file: &ObjectFile<'_>, symbol: &str) -> Result<u64, Rejection> {
    file.exported(symbol).map(|(address, _)| address).ok_or_else(|| missing(symbol))
}

fn missing(symbol: &str) -> Rejection {
    Rejection::rebuild(format!("it has the metadata of a plugin, but does not export {symbol}"))
}

/// Rejects a library that exports both kinds of backend: it does not say which of them is meant.
fn check_alone(file: &ObjectFile<'_>) -> Result<(), Rejection> {
    let symbols = [RUST_SYMBOL, c_abi::SYMBOL];
    if !symbols.iter().all(|symbol| file.exported(symbol).is_some()) {
        return Ok(());
    }
    let [rust, c] = symbols;
    Err(Rejection::new(format!("it exports both {c} and {rust}, so it is two backends in one file"))
        .with_remedy("build one library for each"))
}

// ---- Rust -------------------------------------------------------------------------------------------------------

/// Major and minor version of the header of a backend in Rust.
pub(super) fn header(file: &ObjectFile<'_>) -> Result<(u32, u32), Rejection> {
    let header = file.bytes_at(address(file, RUST_SYMBOL)?, HEADER_LENGTH);
    let versions = header
        .and_then(|header| header.strip_prefix(MAGIC))
        .and_then(|rest| rest.as_chunks::<4>().0.get(..2));
    let Some([major, minor]) = versions else {
        return Err(Rejection::rebuild("its ABI header is malformed"));
    };
    Ok((u32::from_le_bytes(*major), u32::from_le_bytes(*minor)))
}

fn check_header(version: (u32, u32)) -> Result<(), Rejection> {
    if version == HEADER_VERSION {
        return Ok(());
    }
    let (major, minor) = version;
    Err(Rejection::rebuild(format!(
        "its ABI header has version {major}.{minor}, which this host cannot read"
    )))
}

// ---- C ----------------------------------------------------------------------------------------------------------

/// The function table of a backend in C, as the file has it.
#[derive(Clone, Copy)]
pub(super) struct Table {
    address: u64,
    size: u32,
    /// The version of the ABI.
    pub(super) version: u32,
    /// The size of the symbol, or 0 if that is not known.
    symbol_size: u64,
}

/// Reads the first two fields of the function table of a backend in C.
pub(super) fn table(file: &ObjectFile<'_>) -> Result<Table, Rejection> {
    let (address, symbol_size) = file.exported(c_abi::SYMBOL).ok_or_else(|| missing(c_abi::SYMBOL))?;
    let fields = file.bytes_at(address, 8).and_then(|bytes| bytes.as_chunks::<4>().0.get(..2));
    let Some([size, version]) = fields else {
        return Err(not_a_table("is not data in the file"));
    };
    let [size, version] = [size, version].map(|field| u32::from_ne_bytes(*field));
    Ok(Table { address, size, version, symbol_size })
}

fn not_a_table(why: &str) -> Rejection {
    let rejection = Rejection::rebuild(format!("its {} {why}", c_abi::SYMBOL));
    Rejection { remedy: rejection.remedy.map(|rebuild| format!("{rebuild} with crossrun.h")), ..rejection }
}

fn check_table(file: &ObjectFile<'_>, table: Table) -> Result<(), Rejection> {
    let Table { address, size, version, symbol_size } = table;
    if !c_abi::is_compatible(version) {
        let (theirs, ours) = (c_abi::words(version), c_abi::words(c_abi::ABI_VERSION));
        return Err(not_a_table(&format!("has version {theirs} of the ABI, but this host has {ours}")));
    }
    if size < c_abi::LEAST_SIZE {
        let least = c_abi::LEAST_SIZE;
        return Err(not_a_table(&format!("says that it has {size} bytes, but needs {least}")));
    }
    if symbol_size != 0 && symbol_size < u64::from(size) {
        return Err(not_a_table(&format!("says that it has {size} bytes, but its symbol has {symbol_size}")));
    }
    let Some(bytes) = file.bytes_at(address, size.into()) else {
        return Err(not_a_table(&format!("says that it has {size} bytes, which are not in the file")));
    };
    // The dynamic linker writes a pointer to a function when it loads the file; in some formats the file has it already.
    let (end, length) = (c_abi::LEAST_SIZE as usize, size_of::<usize>());
    let run = bytes.get(end - length..end).unwrap_or_default();
    if run.iter().all(|byte| *byte == 0) && !file.is_relocated(address.saturating_add((end - length) as u64))
    {
        return Err(not_a_table("has no function `run`"));
    }
    Ok(())
}
