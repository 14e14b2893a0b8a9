//! The rule by which a host accepts a plugin of another minor version: one of the two layouts is a prefix of the other.

// The derive of the ABI crate writes unsafe code, and items in odd places and under odd names. The functions are never
// called: only their types count.
#![allow(dead_code, missing_docs, unreachable_pub, unsafe_code, non_local_definitions, non_camel_case_types)]

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use plugin_api::ffi::RunnerModuleRef;

/// The module as a version of this contract has it that adds `$functions` to the runner's end and `$services` to the
/// host's; `close` is the last that every version has. `$open` and `$run` are what stands in these two places.
macro_rules! version {
    (
        $name:ident, [$open:ident, $run:ident],
        functions [$($function:ident)*], services [$($service:ident)*]
    ) => {
        mod $name {
            use abi_stable::StableAbi;
            use abi_stable::std_types::RStr;
            use plugin_api::ffi::{
                HostPointer, LogRecord, OpenArguments, ProgressRecord, Reply, RunArguments, RunnerPointer,
                SetupArguments,
            };

            #[repr(C)]
            #[derive(StableAbi)]
            #[sabi(kind(Prefix(prefix_ref = RunnerModuleRef, prefix_fields = RunnerModulePrefix)))]
            pub struct RunnerModule {
                pub create: extern "C" fn(Host) -> Created,
                pub destroy: extern "C" fn(RunnerPointer),
                pub describe: extern "C" fn(RunnerPointer) -> Reply,
                pub is_available: extern "C" fn(RunnerPointer) -> Reply,
                pub setup: extern "C" fn(RunnerPointer, SetupArguments<'_>) -> Reply,
                pub open: extern "C" fn(RunnerPointer, $open<'_>) -> Reply,
                pub run: extern "C" fn(RunnerPointer, $run<'_>) -> Reply,
                #[sabi(last_prefix_field)]
                pub close: extern "C" fn(RunnerPointer) -> Reply,
                pub query_extension: extern "C" fn(RunnerPointer, RStr<'_>) -> *const (),
                pub prepare: extern "C" fn(RunnerPointer, RunArguments<'_>) -> Reply,
                $(pub $function: extern "C" fn(RunnerPointer) -> Reply,)*
            }

            #[repr(C)]
            #[derive(StableAbi)]
            #[sabi(kind(Prefix(prefix_ref = HostFunctionsRef, prefix_fields = HostFunctionsPrefix)))]
            pub struct HostFunctions {
                pub log: extern "C" fn(HostPointer, LogRecord<'_>),
                pub progress: extern "C" fn(HostPointer, ProgressRecord<'_>),
                #[sabi(last_prefix_field)]
                pub cancelled: extern "C" fn(HostPointer) -> bool,
                pub clock_nanos: extern "C" fn(HostPointer) -> u64,
                $(pub $service: extern "C" fn(HostPointer) -> u64,)*
            }

            #[repr(C)]
            #[derive(StableAbi)]
            pub struct Host {
                pub functions: HostFunctionsRef,
                pub data: HostPointer,
                pub log_level: u32,
            }

            #[repr(C)]
            #[derive(StableAbi)]
            pub struct Created {
                pub runner: RunnerPointer,
                pub reply: Reply,
            }
        }
    };
}

version!(same, [OpenArguments, RunArguments], functions [], services []);
version!(grown, [OpenArguments, RunArguments], functions [pause resume], services [memory]);
version!(grown_runner, [OpenArguments, RunArguments], functions [pause], services []);
version!(grown_host, [OpenArguments, RunArguments], functions [], services [memory]);
version!(swapped, [RunArguments, OpenArguments], functions [], services []);
version!(swapped_and_grown, [RunArguments, OpenArguments], functions[pause], services[memory]);

/// Whether `Other` has all that this version has, and the other way round.
fn accepts<Other: StableAbi>() -> (bool, bool) {
    let (ours, theirs) = (<RunnerModuleRef as StableAbi>::LAYOUT, Other::LAYOUT);
    (check_layout_compatibility(ours, theirs).is_ok(), check_layout_compatibility(theirs, ours).is_ok())
}

#[test]
fn the_copy_in_this_test_is_the_contract_of_today() {
    assert_eq!(accepts::<same::RunnerModuleRef>(), (true, true));
}

#[test]
fn a_version_with_more_at_the_ends_is_accepted_in_one_direction() {
    assert_eq!(accepts::<grown::RunnerModuleRef>(), (true, false));
    assert_eq!(accepts::<grown_runner::RunnerModuleRef>(), (true, false));
    assert_eq!(accepts::<grown_host::RunnerModuleRef>(), (true, false));
}

#[test]
fn a_version_that_changed_something_is_refused_both_ways() {
    assert_eq!(accepts::<swapped::RunnerModuleRef>(), (false, false));
    assert_eq!(accepts::<swapped_and_grown::RunnerModuleRef>(), (false, false));
}
