//! The bound on memory: an allocation that would take the live heap beyond it ends the process, which the fuzzer
//! reports with the input. (libFuzzer's own limit sees only pages that were touched, and once a second.)

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static CEILING: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Runs `check`, which may hold so many MiB at a time and no more.
pub fn bounded(mebibytes: usize, check: impl FnOnce()) {
    CEILING.store(LIVE.load(Relaxed) + (mebibytes << 20), Relaxed);
    check();
    CEILING.store(usize::MAX, Relaxed);
}

/// The system's allocator, counting.
pub struct Bounded;

impl Bounded {
    fn count(size: usize) {
        let live = LIVE.fetch_add(size, Relaxed).saturating_add(size);
        let ceiling = CEILING.load(Relaxed);
        if live > ceiling {
            // Telling it allocates.
            CEILING.store(usize::MAX, Relaxed);
            eprintln!("an allocation of {size} bytes takes the heap beyond its bound of {ceiling}");
            std::process::abort();
        }
    }
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: handed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: handed on from the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: handed on from the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: handed on from the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}
