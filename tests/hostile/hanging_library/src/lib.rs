//! A library that is no plugin and never returns when it is opened. It leaves a file behind first, so that a test can
//! tell whether anyone opened it.

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    if let Some(trace) = std::env::var_os("CROSSRUN_TEST_TRACE") {
        let _ = std::fs::write(trace, "hanging_library was opened");
    }
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
}
