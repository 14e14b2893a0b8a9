//! What a plugin must export: the symbols of its kind, and what the data behind them say before any of it is run.

use plugin_api::c_abi;

use super::image::{Image, plain};
use super::metadata::{Kind, Metadata, RunnerAbi};
use super::rejection::Rejection;

/// The symbol of a backend in Rust: data, of which the first bytes say that it is what it should be.
const RUST_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";
/// A symbol of every library of workloads.
const WORKLOADS_SYMBOL: &str = "crossrun_workload_abi_version";
/// How the names of a workload library's functions begin.
const WORKLOADS_PREFIX: &[u8] = b"crossrun_workload_";

/// How the header at [`RUST_SYMBOL`] begins; two little-endian u32 follow, its major and its minor version.
const MAGIC: &[u8; 32] = b"abi stable library for Rust     ";
/// The version of that header which this host can read.
const HEADER_VERSION: (u32, u32) = (0, 11);
/// How long the part of it is that is read: the magic and the two versions.
const HEADER_LENGTH: u64 = 40;

/// Checks that a library exports what its metadata say.
pub(super) fn check(image: &Image<'_>, metadata: &Metadata) -> Result<(), Rejection> {
    match (&metadata.kind, metadata.abi) {
        (Kind::Workloads(_), _) => address(image, WORKLOADS_SYMBOL).map(|_| ()),
        (Kind::Runner, abi) => {
            check_alone(image)?;
            match abi {
                RunnerAbi::Rust => check_header(header(image)?),
                RunnerAbi::C => check_table(image, table(image)?),
            }
        }
    }
}

/// Whether a symbol is one that makes a library a plugin.
pub(super) fn is_ours(name: &[u8]) -> bool {
    let plain = plain(name);
    [RUST_SYMBOL, c_abi::SYMBOL].iter().any(|ours| [plain, name].contains(&ours.as_bytes()))
        || plain.starts_with(WORKLOADS_PREFIX)
}

fn address(image: &Image<'_>, symbol: &str) -> Result<u64, Rejection> {
    image.exported(symbol).map(|(address, _)| address).ok_or_else(|| missing(symbol))
}

fn missing(symbol: &str) -> Rejection {
    Rejection::new(format!("it has the metadata of a plugin, but does not export {symbol}"))
        .with_remedy(rebuild())
}

fn rebuild() -> String {
    format!("rebuild it against plugin-api {}", plugin_api::API_VERSION)
}

/// A library that is a backend in two ways does not say which of them is meant.
fn check_alone(image: &Image<'_>) -> Result<(), Rejection> {
    let symbols = [RUST_SYMBOL, c_abi::SYMBOL];
    if !symbols.iter().all(|symbol| image.exported(symbol).is_some()) {
        return Ok(());
    }
    let [rust, c] = symbols;
    Err(Rejection::new(format!("it exports both {c} and {rust}, so it is two backends in one file"))
        .with_remedy("build one library for each"))
}

// ---- Rust -------------------------------------------------------------------------------------------------------

/// Major and minor version of the header of a backend in Rust.
pub(super) fn header(image: &Image<'_>) -> Result<(u32, u32), Rejection> {
    let header = image.bytes_at(address(image, RUST_SYMBOL)?, HEADER_LENGTH);
    let versions = header
        .and_then(|header| header.strip_prefix(MAGIC))
        .and_then(|rest| rest.as_chunks::<4>().0.get(..2));
    let Some([major, minor]) = versions else {
        return Err(Rejection::new("its ABI header is none").with_remedy(rebuild()));
    };
    Ok((u32::from_le_bytes(*major), u32::from_le_bytes(*minor)))
}

fn check_header(version: (u32, u32)) -> Result<(), Rejection> {
    if version == HEADER_VERSION {
        return Ok(());
    }
    let (major, minor) = version;
    Err(Rejection::new(format!("its ABI header has version {major}.{minor}, which this host cannot read"))
        .with_remedy(rebuild()))
}

// ---- C ----------------------------------------------------------------------------------------------------------

/// What the file says of the functions of a backend in C.
#[derive(Clone, Copy)]
pub(super) struct Table {
    address: u64,
    size: u32,
    /// The version of the ABI.
    pub(super) version: u32,
    /// How large the symbol is, or 0 if that is not known.
    symbol_size: u64,
}

/// The first two fields of the table of a backend in C.
pub(super) fn table(image: &Image<'_>) -> Result<Table, Rejection> {
    let (address, symbol_size) = image.exported(c_abi::SYMBOL).ok_or_else(|| missing(c_abi::SYMBOL))?;
    let fields = image.bytes_at(address, 8).and_then(|bytes| bytes.as_chunks::<4>().0.get(..2));
    let Some([size, version]) = fields else {
        return Err(not_a_table("is no data of the file"));
    };
    let [size, version] = [size, version].map(|field| u32::from_ne_bytes(*field));
    Ok(Table { address, size, version, symbol_size })
}

fn not_a_table(why: &str) -> Rejection {
    Rejection::new(format!("its {} {why}", c_abi::SYMBOL))
        .with_remedy(format!("{} with crossrun.h", rebuild()))
}

fn check_table(image: &Image<'_>, table: Table) -> Result<(), Rejection> {
    let Table { address, size, version, symbol_size } = table;
    if !c_abi::is_compatible(version) {
        let (theirs, ours) = (c_abi::words(version), c_abi::words(c_abi::ABI_VERSION));
        return Err(not_a_table(&format!("has version {theirs} of the ABI, but this host speaks {ours}")));
    }
    if size < c_abi::LEAST_SIZE {
        let least = c_abi::LEAST_SIZE;
        return Err(not_a_table(&format!("has {size} bytes by its own words, and needs {least}")));
    }
    if symbol_size != 0 && symbol_size < u64::from(size) {
        return Err(not_a_table(&format!(
            "has {size} bytes by its own words, and {symbol_size} by its symbol"
        )));
    }
    let Some(bytes) = image.bytes_at(address, size.into()) else {
        return Err(not_a_table(&format!("has {size} bytes by its own words, which are not in the file")));
    };
    // A pointer to a function is there only once the dynamic linker has written it, and in some formats before.
    let (end, length) = (c_abi::LEAST_SIZE as usize, size_of::<usize>());
    let run = bytes.get(end - length..end).unwrap_or_default();
    if run.iter().all(|byte| *byte == 0) && !image.is_relocated(address + (end - length) as u64) {
        return Err(not_a_table("has no function `run`"));
    }
    Ok(())
}
