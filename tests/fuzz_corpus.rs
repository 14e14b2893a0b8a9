//! Replays the corpus of the fuzzer: a fault that was found once must not come back.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use plugin_api::workload::WorkloadFunctions;

use crate::fuzz::{self, seeds::Seeds};
use crate::support::{plugin, repository};

/// Set, the seeds are written to the corpus anew.
const WRITE: &str = "CROSSRUN_WRITE_SEEDS";

fn corpus() -> PathBuf {
    repository().join("tests/fuzz/corpus")
}

/// Checks every input of a target.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let mut count = 0;
    for entry in std::fs::read_dir(corpus().join(target)).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap();
        // The name of an input that fails is the last that is printed.
        println!("{}", entry.path().display());
        check(&bytes);
        count += 1;
    }
    assert!(count >= 10, "{target} has {count} inputs");
}

#[test]
fn inspection_reads_any_file() {
    replay("inspect", fuzz::inspect::check);
}

#[test]
fn the_channel_reads_any_bytes() {
    replay("protocol", fuzz::protocol::check);
}

#[test]
fn the_standard_workloads_read_any_batch_and_any_state() {
    let functions = functions(&plugin("standard_workloads"));
    replay("workloads", |data| fuzz::workloads::check(data, functions));
}

#[test]
fn any_records_are_read_and_compared_or_refused() {
    replay("records", fuzz::records::check);
}

#[test]
fn any_spec_plan_and_word_is_read_or_refused() {
    replay("specs", fuzz::specs::check);
}

/// The functions of the real library, which is opened here, in a test.
fn functions(file: &Path) -> &'static WorkloadFunctions {
    static FUNCTIONS: OnceLock<WorkloadFunctions> = OnceLock::new();
    FUNCTIONS.get_or_init(|| resolved(file))
}

/// The functions of a library of our own, which is opened here, in a test.
pub(crate) fn resolved(file: &Path) -> WorkloadFunctions {
    // SAFETY: the library is ours and runs nothing when it is opened.
    #[allow(unsafe_code)]
    let library = Box::leak(Box::new(unsafe { libloading::Library::new(file) }.unwrap()));
    // SAFETY: it keeps the C ABI, and is leaked.
    #[allow(unsafe_code)]
    let functions = unsafe {
        WorkloadFunctions::resolve(|name| {
            library.get::<*const std::ffi::c_void>(name.to_bytes()).ok().map(|symbol| *symbol)
        })
    };
    functions.unwrap()
}

#[test]
fn every_seed_is_in_the_corpus() {
    for (target, name, bytes) in Seeds::all().0 {
        let path = corpus().join(target).join(name);
        if std::env::var_os(WRITE).is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        // Not compared: a message that an older protocol wrote is as good an input as one of today's.
        assert!(path.exists(), "{} is missing; try: {WRITE}=1 cargo test", path.display());
    }
}
