//! A runner whose ABI header switches the check of its layout off, as an attribute of the ABI crate allows.

use plugin_api::ffi::abi::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult};
use plugin_api::{Availability, RunContext, RunResult, RunnerError, WorkloadRunner, WorkloadSpec};

plugin_api::__metadata!("kind=runner\nname=no_layout\n");

struct Runner;

impl WorkloadRunner for Runner {
    fn backend_name(&self) -> &str {
        "no_layout"
    }

    fn is_available(&self) -> Availability {
        Availability::Available
    }

    fn run(&mut self, _spec: &WorkloadSpec, _context: &RunContext) -> Result<RunResult, RunnerError> {
        Err(RunnerError::engine("it was called"))
    }
}

struct Factory;

impl plugin_api::ffi::Factory for Factory {
    fn create() -> Box<dyn WorkloadRunner> {
        Box::new(Runner)
    }
}

extern "C" fn root_module() -> RootModuleResult {
    __call_root_module_loader(plugin_api::ffi::runner_module::<Factory>)
}

#[allow(non_upper_case_globals)]
#[unsafe(no_mangle)]
pub static _1as_0lib_1header_0root_bmodule_bloader: LibHeader =
    // SAFETY: none is claimed: that the host refuses this is what it is for.
    unsafe {
        LibHeader::from_constructor::<plugin_api::ffi::RunnerModuleRef>(root_module, CheckTypeLayout::No)
    };
