//! The signals that are blocked.

// The compiler cannot check what the system calls read.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// Unblocks all signals, in this thread and in the threads and programs that it starts. Whoever started this program may have
/// blocked some, such as those that end it: nobody could stop it or an engine.
pub(crate) fn unblock_all() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: the first call initialises the set, the second one reads it, and a null pointer asks for no answer.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_UNBLOCK, all.as_ptr(), null_mut());
    }
}
