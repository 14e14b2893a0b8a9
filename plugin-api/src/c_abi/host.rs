//! The host as a backend in C sees it.

use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::text;
use super::types::{ABI_VERSION, Host};
use crate::runner::{HostServices, Progress};

/// What the functions of a [`Host`] need.
struct Services {
    services: Arc<dyn HostServices>,
    /// The target of a log record whose target is null.
    backend: String,
}

/// A host that is never freed, as threads of a plugin may live longer than its backend.
pub(super) fn leak(
    services: Arc<dyn HostServices>,
    backend: &str,
    log_level: log::LevelFilter,
) -> &'static Host {
    let services: &'static Services = Box::leak(Box::new(Services { services, backend: backend.to_owned() }));
    Box::leak(Box::new(Host {
        size: size_of::<Host>() as u32,
        abi_version: ABI_VERSION,
        log_level: log_level as u32,
        reserved: 0,
        data: std::ptr::from_ref(services).cast(),
        log,
        progress,
        cancelled,
        clock_nanos,
    }))
}

/// Calls into the host; no panic may cross the border. After a null pointer or a panic it returns `otherwise`.
fn with<T>(host: *const Host, otherwise: T, call: impl FnOnce(&Host, &Services) -> T) -> T {
    // SAFETY: a backend passes the host that it was given, which is never freed, or null.
    let Some(host) = (unsafe { host.as_ref() }) else { return otherwise };
    // SAFETY: `data` is what `leak` put there, and never freed.
    let Some(services) = (unsafe { host.data.cast::<Services>().as_ref() }) else { return otherwise };
    catch_unwind(AssertUnwindSafe(|| call(host, services))).unwrap_or(otherwise)
}

extern "C" fn log(host: *const Host, level: u32, target: *const c_char, message: *const c_char) {
    with(host, (), |host, Services { services, backend }| {
        let level = level.max(1);
        if level > host.log_level {
            return;
        }
        let known = log::Level::iter().nth(level as usize - 1).unwrap_or(log::Level::Trace);
        // SAFETY: a backend passes text that ends with a NUL, or null.
        let (target, message) = unsafe { (text::shown(target), text::shown(message)) };
        services.log(known, target.as_ref().unwrap_or(backend), &message.unwrap_or_default());
    });
}

extern "C" fn progress(host: *const Host, done: u64, total: u64, message: *const c_char) {
    with(host, (), |_, Services { services, .. }| {
        // SAFETY: as in `log`.
        let message = unsafe { text::shown(message) }.unwrap_or_default();
        services.progress(Progress { done, total, message });
    });
}

extern "C" fn cancelled(host: *const Host) -> i32 {
    with(host, 1, |_, Services { services, .. }| i32::from(services.cancelled()))
}

extern "C" fn clock_nanos(host: *const Host) -> u64 {
    with(host, 0, |_, Services { services, .. }| services.clock_nanos())
}
