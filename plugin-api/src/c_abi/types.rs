//! The structs of `include/crossrun.h`, with the same fields in the same order. The header documents each field. A test
//! compiles the header and compares sizes and offsets.

use std::ffi::{c_char, c_void};

use crate::workload::WorkloadFunctions;
use crate::workload::capi::{RawBuffer, RawWorkload};

/// The version of this ABI: the major in the upper 16 bits, the minor in the lower.
pub const ABI_VERSION: u32 = 1 << 16 | 1;

/// What a backend's function returns when it has succeeded.
pub const OK: i32 = 0;
/// What it returns when it has failed, after it has reported why.
pub const FAILED: i32 = -1;

/// `remaining_nanos` of a run without a deadline.
pub const NO_DEADLINE: u64 = u64::MAX;

/// The backend that `create` made.
pub type BackendPointer = *mut c_void;

/// `crossrun_host`
#[repr(C)]
#[derive(Debug)]
pub struct Host {
    pub size: u32,
    pub abi_version: u32,
    pub log_level: u32,
    pub reserved: u32,
    pub data: *const c_void,
    pub log: extern "C" fn(*const Host, level: u32, target: *const c_char, message: *const c_char),
    pub progress: extern "C" fn(*const Host, done: u64, total: u64, message: *const c_char),
    pub cancelled: extern "C" fn(*const Host) -> i32,
    pub clock_nanos: extern "C" fn(*const Host) -> u64,
}

/// `crossrun_reply`
#[repr(C)]
#[derive(Debug)]
pub struct Reply {
    pub size: u32,
    pub reserved: u32,
    pub data: *const c_void,
    pub answer: extern "C" fn(*mut Reply, json: *const c_char) -> i32,
    pub sink: extern "C" fn(*mut Reply, bytes: *const u8, length: usize) -> i32,
    pub fail: extern "C" fn(*mut Reply, kind: i32, message: *const c_char, remedy: *const c_char) -> i32,
    pub workload_failed: extern "C" fn(*mut Reply, status: i32, message: *const RawBuffer) -> i32,
}

/// `crossrun_option`
#[repr(C)]
#[derive(Debug)]
pub struct NamedOption {
    pub name: *const c_char,
    pub value: *const c_char,
}

/// `crossrun_setup`
#[repr(C)]
#[derive(Debug)]
pub struct Setup {
    pub size: u32,
    pub remove: u32,
    pub python: *const c_char,
    pub data_dir: *const c_char,
    pub log_dir: *const c_char,
    pub request: *const c_char,
    pub context: *const c_char,
    pub host: *const Host,
}

/// `crossrun_session`
#[repr(C)]
#[derive(Debug)]
pub struct Session {
    pub size: u32,
    pub parallelism: u32,
    pub nodes: u32,
    pub option_count: u32,
    pub options: *const NamedOption,
    pub data_dir: *const c_char,
    pub log_dir: *const c_char,
    pub session: *const c_char,
    pub host: *const Host,
}

/// `crossrun_run`
#[repr(C)]
#[derive(Debug)]
pub struct Run {
    pub size: u32,
    pub parallelism: u32,
    pub total_items: u64,
    pub batch_size: u64,
    pub seed: u64,
    pub remaining_nanos: u64,
    pub fusion_off: u32,
    pub open_loop: u32,
    pub stage_count: u32,
    pub option_count: u32,
    pub stages: *const u32,
    pub options: *const NamedOption,
    pub workload_name: *const c_char,
    pub scheduler_name: *const c_char,
    pub functions: *const WorkloadFunctions,
    pub workload: *const RawWorkload,
    pub library_path: *const c_char,
    pub library_sha256: *const c_char,
    pub data_dir: *const c_char,
    pub log_dir: *const c_char,
    pub spec: *const c_char,
    pub context: *const c_char,
    pub host: *const Host,
    pub start_nanos: u64,
    pub graph_steps: u64,
    pub graph_width: u64,
    pub graph_output_bytes: u64,
}

/// A function of a backend that answers. If a C++ exception leaves it, the process aborts; this is not undefined
/// behaviour.
type Call = unsafe extern "C-unwind" fn(BackendPointer, *mut Reply) -> i32;
/// The same, with arguments.
type CallWith<T> = unsafe extern "C-unwind" fn(BackendPointer, *const T, *mut Reply) -> i32;

/// `crossrun_backend_functions`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BackendFunctions {
    pub size: u32,
    pub abi_version: u32,
    pub create: Option<unsafe extern "C-unwind" fn(*const Host, *mut BackendPointer, *mut Reply) -> i32>,
    pub destroy: Option<unsafe extern "C-unwind" fn(BackendPointer)>,
    pub describe: Option<Call>,
    pub is_available: Option<Call>,
    pub setup: Option<CallWith<Setup>>,
    pub open: Option<CallWith<Session>>,
    pub run: Option<CallWith<Run>>,
    pub close: Option<Call>,
    pub prepare: Option<CallWith<Run>>,
}

impl BackendFunctions {
    /// A table without functions. A field that a smaller table does not have is read as it is here.
    pub(super) const NONE: Self = Self {
        size: 0,
        abi_version: 0,
        create: None,
        destroy: None,
        describe: None,
        is_available: None,
        setup: None,
        open: None,
        run: None,
        close: None,
        prepare: None,
    };
}
