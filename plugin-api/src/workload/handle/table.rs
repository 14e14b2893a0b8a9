//! The functions of a workload library.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

use crate::workload::capi::{RawBuffer, RawState, RawWorkload};
use crate::workload::error::WorkloadError;

macro_rules! function_table {
    (
        $($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty;)*
        @since 1.1:
        $($(#[$later_doc:meta])* $later:ident($($later_argument:ident: $later_type:ty),* $(,)?) -> $later_result:ty;)*
    ) => {
        /// The functions of one workload library, as its C ABI has them. The table is never freed, as no library is
        /// ever unloaded. A function that API 1.0 does not have is `None` if the library lacks it.
        ///
        /// The library may be written in C++. An exception that leaves one of its functions ends the process; this is
        /// not undefined behaviour.
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct WorkloadFunctions {
            /// The size of this table in bytes: a later minor version may have more functions at the end.
            pub size: usize,
            /// See [`catalogue`](crate::workload::capi::catalogue).
            pub catalogue: unsafe extern "C-unwind" fn(out: *mut RawBuffer) -> i32,
            /// See [`open`](crate::workload::capi::open).
            pub open: unsafe extern "C-unwind" fn(
                spec: *const u8, length: usize, opened: *mut *const RawWorkload, error: *mut RawBuffer
            ) -> i32,
            $($(#[$doc])* pub $name: unsafe extern "C-unwind" fn($($argument: $type),*) -> $result,)*
            $(
                $(#[$later_doc])*
                pub $later: Option<unsafe extern "C-unwind" fn($($later_argument: $later_type),*) -> $later_result>,
            )*
        }

        impl WorkloadFunctions {
            /// The size of a table of API 1.0. Every table has at least these functions.
            const LEAST_SIZE: usize = std::mem::offset_of!(Self, buffer_free) + size_of::<usize>();

            /// Finds every function with `resolve`, which maps a symbol's name to its address.
            ///
            /// # Errors
            /// The name that was not found, of those that every library has.
            ///
            /// # Safety
            /// What `resolve` returns must be the functions of a library that keeps `ABI.md` and is never unloaded.
            pub unsafe fn resolve(
                resolve: impl Fn(&CStr) -> Option<*const c_void>,
            ) -> Result<Self, &'static str> {
                // SAFETY: the addresses are functions with these signatures, by this function's contract.
                unsafe {
                    Ok(Self {
                        size: size_of::<Self>(),
                        catalogue: find(&resolve, c"crossrun_workload_catalogue")?,
                        open: find(&resolve, c"crossrun_workload_open")?,
                        $($name: find(&resolve, nul_terminated(
                            concat!("crossrun_workload_", stringify!($name), "\0")
                        ))?,)*
                        $($later: find(&resolve, nul_terminated(
                            concat!("crossrun_workload_", stringify!($later), "\0")
                        )).ok(),)*
                    })
                }
            }
        }
    };
}

crate::__workload_functions!(function_table);

impl WorkloadFunctions {
    /// The table at `table`, which another library made: a version of this contract with fewer functions, or with more. Of a
    /// smaller table a copy is made, in which the functions that it lacks are absent.
    ///
    /// # Errors
    /// When the table is too small for the functions of API 1.0.
    ///
    /// # Safety
    /// `table` must be a table of `ABI.md`, which is never freed and does not change.
    pub(super) unsafe fn of_other_library(table: *const c_void) -> Result<&'static Self, WorkloadError> {
        // SAFETY: every table begins with its size.
        let size = unsafe { table.cast::<usize>().read() };
        if size < Self::LEAST_SIZE {
            let (least, name) = (Self::LEAST_SIZE, "table of workload functions");
            return Err(WorkloadError::Argument(format!("the {name} has {size} bytes, but needs {least}")));
        }
        if size >= size_of::<Self>() {
            // SAFETY: the table has all functions that this version knows, and is never freed. A pointer that is null is
            // a function that is absent, and only later functions may be.
            return Ok(unsafe { &*table.cast() });
        }
        // One copy for each table, however often it is handed over.
        static COPIES: Mutex<BTreeMap<usize, &'static WorkloadFunctions>> = Mutex::new(BTreeMap::new());
        let mut copies = COPIES.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the table has `size` bytes, and keeps the contract.
        let copy = || -> &'static Self { Box::leak(Box::new(unsafe { Self::copied(table, size) })) };
        Ok(copies.entry(table.addr()).or_insert_with(copy))
    }

    /// A copy of the first `size` bytes of a table. A part of a pointer at the end is left out.
    ///
    /// # Safety
    /// `table` has `size` bytes, which are at least [`LEAST_SIZE`](Self::LEAST_SIZE) and less than the size of this type.
    unsafe fn copied(table: *const c_void, size: usize) -> Self {
        let mut copy = MaybeUninit::<Self>::zeroed();
        let whole = size - size % size_of::<usize>();
        // SAFETY: so many bytes are in the table, and fewer than in the copy. All functions that cannot be absent are
        // among them; the bytes of the others stay zero, which is `None`.
        let mut copy = unsafe {
            std::ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), whole);
            copy.assume_init()
        };
        copy.size = size_of::<Self>();
        copy
    }
}

const fn nul_terminated(name: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => c"",
    }
}

/// # Safety
/// `F` must be a function pointer of the type of what `resolve` returns for `name`.
unsafe fn find<F>(
    resolve: impl Fn(&CStr) -> Option<*const c_void>,
    name: &'static CStr,
) -> Result<F, &'static str> {
    const { assert!(size_of::<F>() == size_of::<*const c_void>()) };
    let address = resolve(name).filter(|address| !address.is_null());
    let address = address.ok_or_else(|| name.to_str().unwrap_or_default())?;
    // SAFETY: of one size, and a function pointer of this type by this function's contract.
    Ok(unsafe { std::mem::transmute_copy(&address) })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const LEAST: usize = WorkloadFunctions::LEAST_SIZE;
    const WHOLE: usize = size_of::<WorkloadFunctions>();

    extern "C-unwind" fn never_called() {}

    /// A table whose functions are not called.
    pub(in crate::workload::handle) fn table(size: usize) -> WorkloadFunctions {
        // SAFETY: no function of the table is called.
        let found = unsafe { WorkloadFunctions::resolve(|_| Some(never_called as *const c_void)) };
        WorkloadFunctions { size, ..found.unwrap() }
    }

    /// What is read of a table that says it has `size` bytes, in memory that is no larger than that.
    fn read(size: usize) -> Result<&'static WorkloadFunctions, WorkloadError> {
        let words = size.min(WHOLE).div_ceil(size_of::<usize>());
        let memory = vec![0_usize; words].leak().as_mut_ptr();
        let whole = table(size);
        // SAFETY: the table has at least as many words as are copied, and what is read of it is not called.
        unsafe {
            std::ptr::copy_nonoverlapping((&raw const whole).cast(), memory, words);
            WorkloadFunctions::of_other_library(memory.cast_const().cast())
        }
    }

    #[test]
    fn a_table_of_another_version_has_the_functions_that_its_size_reaches() {
        for size in [LEAST, LEAST + 1, LEAST + 7] {
            assert!(read(size).unwrap().describe.is_none(), "{size} bytes");
        }
        for size in [WHOLE, WHOLE + 1, WHOLE + 80] {
            assert!(read(size).unwrap().describe.is_some(), "{size} bytes");
        }
        assert!(read(LEAST - 1).is_err_and(|error| error.to_string().contains("needs")));
    }

    #[test]
    fn a_function_that_is_null_is_absent() {
        let table: &'static _ = Box::leak(Box::new(WorkloadFunctions { describe: None, ..table(WHOLE) }));
        // SAFETY: what is read of the table is not called.
        let read = unsafe { WorkloadFunctions::of_other_library(std::ptr::from_ref(table).cast()) };
        assert!(read.unwrap().describe.is_none());
    }

    #[test]
    fn a_smaller_table_is_copied_once() {
        let small: &'static _ = Box::leak(Box::new(table(LEAST)));
        // SAFETY: what is read of the table is not called.
        let copy = || unsafe { WorkloadFunctions::of_other_library(std::ptr::from_ref(small).cast()) };
        assert!(std::ptr::eq(copy().unwrap(), copy().unwrap()));
    }

    #[test]
    fn a_library_without_a_later_function_is_resolved_and_one_without_an_earlier_is_not() {
        let without = |missing: &'static CStr| {
            // SAFETY: no function of the table is called.
            unsafe {
                WorkloadFunctions::resolve(|name| (name != missing).then_some(never_called as *const c_void))
            }
        };
        assert!(without(c"crossrun_workload_describe").unwrap().describe.is_none());
        assert_eq!(without(c"crossrun_workload_split").err(), Some("crossrun_workload_split"));
    }
}
