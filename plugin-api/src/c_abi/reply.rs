//! The answers of a backend in C. They are copied, checked, and kept until the call has returned. Each call has a reply of
//! its own, so that a late answer does not become a part of the next call's.

use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::text::{self, Unfit};
use super::types::{FAILED, Host, OK, Reply};
use crate::answer::MAX_ANSWER;
use crate::error::{ErrorKind, RunnerError};
use crate::workload::WorkloadError;
use crate::workload::capi::RawBuffer;

/// What a backend has answered in one call.
#[derive(Default)]
struct Answers {
    json: Option<Vec<u8>>,
    sink: Option<Vec<u8>>,
    /// The error that it reported first.
    error: Option<RunnerError>,
    /// How it broke the contract.
    misuse: Option<String>,
}

/// A call, to which its reply points.
struct Call {
    /// The name of the function, for people.
    function: &'static str,
    /// Nothing once the call has returned: later answers are ignored.
    answers: Mutex<Option<Answers>>,
    late: &'static LateReport,
}

/// Reports a late answer to the host, once.
struct LateReport {
    host: &'static Host,
    reported: AtomicBool,
}

/// A checked answer: UTF-8 text, and bytes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) json: Option<Vec<u8>>,
    pub(super) sink: Option<Vec<u8>>,
}

/// Collects the answers of one backend.
pub(super) struct Replies {
    late: &'static LateReport,
}

impl Replies {
    /// Reports the first late answer to `host`.
    pub(super) fn new(host: &'static Host) -> Self {
        Self { late: Box::leak(Box::new(LateReport { host, reported: AtomicBool::new(false) })) }
    }

    /// Calls `call` with a new reply, and gives the answer or the error. `function` is its name, for messages.
    ///
    /// The reply, some two hundred bytes, is never freed: a backend may keep the pointer without harm, and no later call
    /// has the same reply.
    pub(super) fn of(
        &self,
        function: &'static str,
        call: impl FnOnce(*mut Reply) -> i32,
    ) -> Result<Answer, RunnerError> {
        let answers = Mutex::new(Some(Answers::default()));
        let this: &'static Call = Box::leak(Box::new(Call { function, answers, late: self.late }));
        let reply = Reply {
            size: size_of::<Reply>() as u32,
            reserved: 0,
            data: std::ptr::from_ref(this).cast(),
            answer,
            sink,
            fail,
            workload_failed,
        };
        let status = call(Box::into_raw(Box::new(reply)));
        let Answers { json, sink, error, misuse } = lock(&this.answers).take().unwrap_or_default();
        if let Some(error) = error {
            return Err(error);
        }
        if let Some(misuse) = misuse {
            return Err(internal(format!("the backend's {function} {misuse}")));
        }
        if status != OK {
            return Err(internal(format!("the backend's {function} returned {status} and did not say why")));
        }
        Ok(Answer { json, sink })
    }
}

impl Call {
    /// Reports that the backend used the reply of a call that has returned, unless that was reported before.
    fn report_late(&self) {
        let LateReport { host, reported } = self.late;
        if reported.swap(true, Ordering::Relaxed) {
            return;
        }
        let function = self.function;
        let message = format!(
            "{function} used its reply after it had returned: that is ignored, and this warning comes only once"
        );
        let message = CString::new(message).unwrap_or_default();
        (host.log)(*host, log::Level::Warn as u32, std::ptr::null(), message.as_ptr());
    }
}

fn internal(message: String) -> RunnerError {
    RunnerError::new(ErrorKind::Internal, message)
}

fn lock(answers: &Mutex<Option<Answers>>) -> std::sync::MutexGuard<'_, Option<Answers>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets `take` change the answer of the call. No panic may cross the border.
fn update(reply: *mut Reply, take: impl FnOnce(&mut Answers) -> Result<(), String>) -> i32 {
    // SAFETY: a backend passes the pointer that it was given, which is never freed, or null.
    let Some(reply) = (unsafe { reply.as_ref() }) else { return FAILED };
    // SAFETY: `data` is the leaked call of `Replies::of`.
    let Some(call) = (unsafe { reply.data.cast::<Call>().as_ref() }) else { return FAILED };
    let taken = catch_unwind(AssertUnwindSafe(|| {
        if let Some(answers) = lock(&call.answers).as_mut() {
            let Err(misuse) = take(answers) else { return OK };
            answers.misuse.get_or_insert(misuse);
        } else {
            call.report_late();
        }
        FAILED
    }));
    taken.unwrap_or(FAILED)
}

/// Stores `bytes` in `place`, which must be empty.
fn store_once(place: &mut Option<Vec<u8>>, what: &str, bytes: &[u8]) -> Result<(), String> {
    match place {
        Some(_) => Err(format!("gave its {what} twice")),
        None => {
            *place = Some(bytes.to_vec());
            Ok(())
        }
    }
}

extern "C" fn answer(reply: *mut Reply, json: *const c_char) -> i32 {
    update(reply, |answers| {
        // SAFETY: a backend passes text that ends with a NUL, or null.
        let json = unsafe { text::read(json, MAX_ANSWER) };
        let json = json.map_err(|why| format!("answered with {}", unfit(why)))?;
        std::str::from_utf8(json).map_err(|_| "answered with text that is not UTF-8".to_owned())?;
        store_once(&mut answers.json, "answer", json)
    })
}

fn unfit(why: Unfit) -> String {
    match why {
        Unfit::Null => "a null pointer".to_owned(),
        Unfit::TooLong => format!("more than {} MiB of text", MAX_ANSWER >> 20),
    }
}

extern "C" fn sink(reply: *mut Reply, bytes: *const u8, length: usize) -> i32 {
    update(reply, |answers| {
        if length > MAX_ANSWER {
            return Err(format!("gave a sink's state of {length} bytes, more than {} MiB", MAX_ANSWER >> 20));
        }
        let bytes: &[u8] = match length {
            // The buffer of a library may have any address then, null too.
            0 => &[],
            _ if bytes.is_null() => return Err("gave a null pointer for the sink's state".to_owned()),
            // SAFETY: not null, and by the contract `length` bytes.
            _ => unsafe { std::slice::from_raw_parts(bytes, length) },
        };
        store_once(&mut answers.sink, "sink's state", bytes)
    })
}

extern "C" fn fail(reply: *mut Reply, kind: i32, message: *const c_char, remedy: *const c_char) -> i32 {
    update(reply, |answers| {
        // SAFETY: a backend passes text that ends with a NUL, or null.
        let (message, remedy) = unsafe { (text::shown(message), text::shown(remedy)) };
        let message = message.unwrap_or_else(|| "the backend failed and did not say why".to_owned());
        let remedy = remedy.filter(|remedy| !remedy.is_empty());
        answers.error.get_or_insert(RunnerError { kind: error_kind(kind), message, remedy });
        Ok(())
    });
    FAILED
}

extern "C" fn workload_failed(reply: *mut Reply, status: i32, message: *const RawBuffer) -> i32 {
    update(reply, |answers| {
        // SAFETY: a backend passes a buffer of the workload's library, or null.
        let message = unsafe { message.as_ref() }.filter(|buffer| !buffer.data.is_null());
        // SAFETY: the library left so many bytes there.
        let message = message.map(|buffer| unsafe {
            std::slice::from_raw_parts(buffer.data, buffer.length.min(text::MAX_SHOWN))
        });
        let message = String::from_utf8_lossy(message.unwrap_or_default());
        answers.error.get_or_insert(WorkloadError::of_call(status, &message).into());
        Ok(())
    });
    FAILED
}

/// The kinds of `CROSSRUN_ERROR_`.
pub fn error_kind(kind: i32) -> ErrorKind {
    match kind {
        1 => ErrorKind::InvalidSpec,
        2 => ErrorKind::Unsupported,
        3 => ErrorKind::Unavailable,
        4 => ErrorKind::Setup,
        5 => ErrorKind::Engine,
        6 => ErrorKind::Workload,
        7 => ErrorKind::Cancelled,
        8 => ErrorKind::Panic,
        _ => ErrorKind::Internal,
    }
}
