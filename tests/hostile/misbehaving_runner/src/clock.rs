//! A clock that is slow in the whole process: the C library's function is replaced by one that runs at a tenth of the speed.

use std::ffi::{c_int, c_long, c_void};
use std::sync::atomic::{AtomicI64, Ordering};

#[repr(C)]
struct Time {
    seconds: i64,
    nanos: i64,
}

unsafe extern "C" {
    fn clock_gettime(clock: c_int, time: *mut Time) -> c_int;
    fn mprotect(at: *mut c_void, length: usize, access: c_int) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

#[cfg(target_arch = "x86_64")]
const CLOCK_GETTIME: c_long = 228;
/// The monotonic clock when it began to be slow, in nanoseconds.
static BEGAN: AtomicI64 = AtomicI64::new(0);

/// Slows the clock of this process. Only where a jump is known.
#[cfg(target_arch = "x86_64")]
pub(crate) fn slow_down() {
    BEGAN.store(real(1), Ordering::SeqCst);
    let function = clock_gettime as *const () as *mut u8;
    let page = (function as usize & !4095) as *mut c_void;
    // `mov rax, ADDRESS; jmp rax`
    let mut jump = vec![0x48, 0xb8];
    jump.extend((slow as *const () as usize).to_le_bytes());
    jump.extend([0xff, 0xe0]);
    unsafe {
        assert_eq!(mprotect(page, 2 * 4096, 7), 0);
        std::ptr::copy_nonoverlapping(jump.as_ptr(), function, jump.len());
    }
}

#[cfg(target_arch = "x86_64")]
fn real(clock: c_int) -> i64 {
    let mut time = Time { seconds: 0, nanos: 0 };
    unsafe { syscall(CLOCK_GETTIME, clock as c_long, &raw mut time) };
    time.seconds * 1_000_000_000 + time.nanos
}

#[cfg(target_arch = "x86_64")]
unsafe extern "C" fn slow(clock: c_int, time: *mut Time) -> c_int {
    let began = BEGAN.load(Ordering::SeqCst);
    let now = real(clock);
    let shown = if clock == 1 { began + (now - began) / 10 } else { now };
    unsafe { *time = Time { seconds: shown / 1_000_000_000, nanos: shown % 1_000_000_000 } };
    0
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn slow_down() {}
