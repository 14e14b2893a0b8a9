//! Work that goes on when the run has returned.

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

/// The processor time that is used after each run.
const WORK: Duration = Duration::from_millis(500);

/// Works in a thread from the moment at which the answer is judged: the workload `patient` makes the file `judging` in the folder
/// `CROSSRUN_TEST_AFTERWARDS`, and waits until this thread removes the file `working`. So the work lies between two runs on any
/// machine.
pub(crate) fn work() {
    let folder = PathBuf::from(std::env::var_os("CROSSRUN_TEST_AFTERWARDS").unwrap_or_default());
    let (working, judging) = (folder.join("working"), folder.join("judging"));
    let _ = fs::write(&working, "");
    std::thread::spawn(move || {
        while !judging.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let started = processor_time();
        while processor_time() < started + WORK {
            black_box((0..black_box(100_000_u64)).fold(1, |product: u64, _| product * 139 % 2_147_483_647));
        }
        let _ = fs::remove_file(&judging);
        let _ = fs::remove_file(&working);
    });
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("the system says how long a thread has run"))
}
