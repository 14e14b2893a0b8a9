//! The macros with which a plugin exports what it is.

/// Exports a backend from a `cdylib` crate.
///
/// ```ignore
/// plugin_api::export_runner!(name = "mine", runner = MyRunner::new());
/// ```
///
/// `name` is what [`backend_name`](crate::WorkloadRunner::backend_name) returns. A host reads it without running the
/// plugin, and refuses a plugin that returns another name. `runner` is evaluated once, in the worker process. Version,
/// description and licence are those of the crate.
#[macro_export]
macro_rules! export_runner {
    (name = $name:expr, runner = $runner:expr $(,)?) => {
        $crate::__metadata!("kind=runner\nname=", $crate::metadata::name($name), "\n");

        const _: () = {
            struct Factory;
            impl $crate::ffi::Factory for Factory {
                fn create() -> ::std::boxed::Box<dyn $crate::WorkloadRunner> {
                    ::std::boxed::Box::new($runner)
                }
            }
            $crate::__root_module!(Factory);
        };
    };
}

/// Exports a library of workloads from a `cdylib` crate.
///
/// ```ignore
/// plugin_api::export_workloads!(name = "mine", workloads = [MyWorkload, AnotherWorkload]);
/// ```
///
/// It also defines `workload_library()`, the same library without a file, for the crate's own tests.
#[macro_export]
macro_rules! export_workloads {
    (name = $name:expr, workloads = [$first:ty $(, $rest:ty)* $(,)?] $(,)?) => {
        $crate::__metadata!(
            "kind=workloads\nname=", $crate::metadata::name($name), "\nworkloads=",
            $crate::metadata::name(<$first as $crate::Workload>::NAME),
            $(",", $crate::metadata::name(<$rest as $crate::Workload>::NAME),)*
            "\n",
        );

        #[doc(hidden)]
        #[allow(unsafe_code, clippy::missing_safety_doc, missing_docs, unreachable_pub)]
        pub mod __crossrun_workloads {
            use super::*;
            use $crate::workload::capi::{self, RawBuffer, RawState, RawWorkload};

            static DEFINITIONS: &[$crate::workload::Definition] =
                &[$crate::workload::Definition::of::<$first>() $(, $crate::workload::Definition::of::<$rest>())*];

            #[unsafe(no_mangle)]
            pub extern "C" fn crossrun_workload_abi_version() -> u32 {
                capi::ABI_VERSION
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C-unwind" fn crossrun_workload_catalogue(out: *mut RawBuffer) -> i32 {
                // SAFETY: handed on from the caller.
                unsafe { capi::catalogue(DEFINITIONS, out) }
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C-unwind" fn crossrun_workload_open(
                spec: *const u8, length: usize, opened: *mut *const RawWorkload, error: *mut RawBuffer,
            ) -> i32 {
                // SAFETY: handed on from the caller.
                unsafe { capi::open(DEFINITIONS, spec, length, opened, error) }
            }

            $crate::__workload_functions!($crate::__export_functions);
        }

        /// This library's workloads without a file: for tests in the crate that defines them.
        #[cfg(test)]
        #[allow(dead_code, unsafe_code)]
        pub(crate) fn workload_library() -> $crate::workload::WorkloadLibrary {
            static TABLE: ::std::sync::OnceLock<$crate::workload::WorkloadFunctions> = ::std::sync::OnceLock::new();
            let table = TABLE.get_or_init(__crossrun_workloads::table);
            // SAFETY: the table has the functions that this crate exports, and this crate is never unloaded.
            unsafe { $crate::workload::WorkloadLibrary::new(table, ::std::path::Path::new("linked"), "linked") }
        }
    };
}

/// Defines the exported functions of a workload library, and a table of them.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_functions {
    (
        $($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty;)*
        @since 1.1:
        $($(#[$later_doc:meta])* $later:ident($($later_argument:ident: $later_type:ty),* $(,)?) -> $later_result:ty;)*
    ) => {
        $crate::__export_functions!(define $($(#[$doc])* $name($($argument: $type),*) -> $result;)*);
        $crate::__export_functions!(
            define $($(#[$later_doc])* $later($($later_argument: $later_type),*) -> $later_result;)*
        );

        #[cfg(test)]
        pub(super) fn table() -> $crate::workload::WorkloadFunctions {
            $crate::workload::WorkloadFunctions {
                size: size_of::<$crate::workload::WorkloadFunctions>(),
                catalogue: crossrun_workload_catalogue,
                open: crossrun_workload_open,
                $($name,)*
                $($later: Some($later),)*
            }
        }
    };
    (define $($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(
            // The prefix is put before the symbol only, as a macro cannot join identifiers.
            $(#[$doc])*
            #[unsafe(export_name = concat!("crossrun_workload_", stringify!($name)))]
            pub unsafe extern "C-unwind" fn $name($($argument: $type),*) -> $result {
                // SAFETY: handed on from the caller.
                unsafe { capi::$name($($argument),*) }
            }
        )*
    };
}

/// Exports the root module of a runner. It expands to what the attribute of the ABI crate would, so that an author needs no
/// dependency on that crate.
#[doc(hidden)]
#[macro_export]
macro_rules! __root_module {
    ($factory:ty) => {
        extern "C" fn root_module() -> $crate::ffi::abi::RootModuleResult {
            $crate::ffi::abi::__call_root_module_loader($crate::ffi::runner_module::<$factory>)
        }

        #[allow(unsafe_code, non_upper_case_globals)]
        #[unsafe(no_mangle)]
        pub static _1as_0lib_1header_0root_bmodule_bloader: $crate::ffi::abi::LibHeader =
            // SAFETY: `root_module` returns the module type that is named here.
            unsafe {
                $crate::ffi::abi::LibHeader::from_constructor::<$crate::ffi::RunnerModuleRef>(
                    root_module,
                    $crate::ffi::abi::CheckTypeLayout::Yes,
                )
            };
    };
}
