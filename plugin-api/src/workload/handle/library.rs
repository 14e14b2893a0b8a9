//! A loaded library.

use std::path::Path;
use std::sync::Arc;

use super::buffer::Buffer;
use super::opened::{Reference, WorkloadHandle};
use super::table::WorkloadFunctions;
use crate::spec::WorkloadSpec;
use crate::workload::capi::{self, RawBuffer, RawWorkload, status};
use crate::workload::catalogue::CatalogueEntry;
use crate::workload::error::WorkloadError;

/// Empties the buffer, whose memory stays that of the library.
unsafe extern "C-unwind" fn refuse_expected(_workload: *const RawWorkload, out: *mut RawBuffer) -> i32 {
    // SAFETY: the caller's pointer is null, or valid for this call, as the contract of the table says.
    if let Some(out) = unsafe { out.as_mut() } {
        out.length = 0;
    }
    status::JUDGE_ONLY
}

/// A loaded workload library.
#[derive(Clone)]
pub struct WorkloadLibrary {
    functions: &'static WorkloadFunctions,
    /// What a backend of another library gets.
    lent: &'static WorkloadFunctions,
    path: Arc<Path>,
    sha256: Arc<str>,
}

impl WorkloadLibrary {
    /// A library whose functions were found in the file at `path` with the hash `sha256` (hex).
    ///
    /// # Safety
    /// All functions must be those of one library, which keeps `ABI.md` and is never unloaded.
    pub unsafe fn new(functions: &'static WorkloadFunctions, path: &Path, sha256: &str) -> Self {
        Self { functions, lent: functions, path: path.into(), sha256: sha256.into() }
    }

    /// The same library, whose workloads go to backends of other libraries with the functions `lent`, so that their calls can be
    /// told from the host's.
    ///
    /// # Safety
    /// As for [`new`](Self::new): each function does what the library's own does, or less.
    #[must_use]
    pub unsafe fn lending(self, lent: &'static WorkloadFunctions) -> Self {
        Self { lent, ..self }
    }

    /// The same library for a process in which a backend is loaded: `expected` gives no answer, only
    /// [`status::JUDGE_ONLY`]. `outcome` stays, as it tells a backend nothing but what its own state holds, and backends count
    /// their results with it. The tables are never freed.
    #[must_use]
    pub fn without_answers(&self) -> Self {
        let refusing = |functions: &WorkloadFunctions| -> &'static WorkloadFunctions {
            Box::leak(Box::new(WorkloadFunctions { expected: refuse_expected, ..*functions }))
        };
        Self { functions: refusing(self.functions), lent: refusing(self.lent), ..self.clone() }
    }

    /// What workloads it has.
    ///
    /// # Errors
    /// When the library cannot list its workloads.
    pub fn catalogue(&self) -> Result<Vec<CatalogueEntry>, WorkloadError> {
        let mut out = Buffer::new(self.functions);
        // SAFETY: `out` is a buffer of this library.
        let code = unsafe { (self.functions.catalogue)(out.raw_mut()) };
        out.json(code)
    }

    /// Opens the workload that `spec` names.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot run this spec.
    pub fn open(&self, spec: &WorkloadSpec) -> Result<WorkloadHandle, WorkloadError> {
        let (json, mut raw, mut error) = (spec.to_json(), std::ptr::null(), Buffer::new(self.functions));
        // SAFETY: the pointers are to live values, and `error` is a buffer of this library.
        let code = unsafe { (self.functions.open)(json.as_ptr(), json.len(), &raw mut raw, error.raw_mut()) };
        error.check(code)?;
        let reference = Reference { functions: self.functions, lent: self.lent, raw };
        WorkloadHandle::of(reference, self.path.clone(), self.sha256.clone(), spec.clone())
    }
}

/// Whether this side can call a library of this ABI version.
pub fn abi_is_compatible(version: u32) -> bool {
    version >> 16 == capi::ABI_VERSION >> 16
}
