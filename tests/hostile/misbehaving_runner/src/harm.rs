//! What hurts a process, or whoever started it.

use std::ffi::{c_char, c_int, c_void};
use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Words that a terminal would obey: red, cleared, another title.
pub(crate) const IN_COLOUR: &str = "\u{1b}[31mred\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}1m";

unsafe extern "C" {
    fn fork() -> c_int;
    fn _exit(code: c_int) -> !;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn mmap(
        at: *mut c_void,
        length: usize,
        access: c_int,
        kind: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn close(fd: c_int) -> c_int;
    fn write(fd: c_int, bytes: *const c_void, length: usize) -> isize;
    fn signal(number: c_int, handler: usize) -> usize;
    fn getppid() -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn setsid() -> c_int;
    fn sched_setaffinity(thread: c_int, size: usize, cores: *const u8) -> c_int;
    fn setpriority(which: c_int, who: u32, niceness: c_int) -> c_int;
    fn ptrace(request: c_int, pid: c_int, address: usize, data: usize) -> i64;
    fn shmget(key: c_int, size: usize, flags: c_int) -> c_int;
    fn semget(key: c_int, count: c_int, flags: c_int) -> c_int;
    fn msgget(key: c_int, flags: c_int) -> c_int;
    fn unsetenv(name: *const c_char) -> c_int;
}

/// Does every word of `behaviours`.
pub(crate) fn do_all(behaviours: &str) {
    behaviours.split('+').for_each(harm);
}

fn harm(behaviour: &str) {
    match behaviour {
        "segfault" => segfault(),
        "abort" => std::process::abort(),
        "exit_0" => std::process::exit(0),
        "exit_1" => std::process::exit(1),
        "sleep" => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        "spin" => loop {
            std::hint::spin_loop();
        },
        "panic" => panic!("this backend panics on request"),
        "panic_twice" => {
            let _again = PanicsAgain;
            panic!("this backend panics on request");
        }
        "panic_in_thread" => {
            let _ = std::thread::spawn(|| panic!("a thread of this backend panics")).join();
        }
        "crash_in_thread" => {
            std::thread::spawn(segfault);
        }
        "overflow" => {
            black_box(overflow(0));
        }
        "allocate" => allocate(),
        "fork_bomb" => fork_bomb(),
        "fork_chains" => fork_chains(),
        "fork_and_return" => fork_and_return(),
        "fork_and_write" => fork_and_write(),
        "forge_replacement" => forge_replacement(),
        "fork_and_exit" => fork_and_exit(),
        "wait" => wait(),
        "wait_in_third" => wait_in_third(),
        "many_threads" => {
            (0..300).for_each(|_| drop(std::thread::spawn(|| std::thread::sleep(Duration::from_secs(3600)))));
            harm("sleep");
        }
        "hold_threads" => (0..300).for_each(|_| {
            drop(std::thread::Builder::new().spawn(|| std::thread::sleep(Duration::from_secs(3600))));
        }),
        "trace_supervisor" => trace_supervisor(),
        "kill_supervisor" => kill_supervisor(),
        "pipe_for_log" => pipe_for_log(),
        "raise_priority" => raise_priority(),
        "leave_cores" => leave_cores(),
        "leave_shared_memory" => leave_shared_memory(),
        "leave_message_queue" => leave_message_queue(),
        "fill_shared_memory" => fill_shared_memory(),
        "rename_temporary" => {
            let folder = std::env::temp_dir();
            let renamed = folder.with_extension("renamed");
            let _ = fs::rename(&folder, &renamed);
            note(&renamed);
        }
        "close_descriptors" => (0..1024).for_each(|fd| {
            // SAFETY: none: that descriptors of others vanish is what the host must survive.
            unsafe { close(fd) };
        }),
        "use_up_descriptors" => {
            while let Ok(file) = fs::File::open("/dev/null") {
                std::mem::forget(file);
            }
        }
        "write_everywhere" => (0..1024).for_each(|fd| {
            let rubbish = b"rubbish for whoever reads this\n";
            // SAFETY: the bytes are there; that they reach descriptors of others is what the host must survive.
            unsafe { write(fd, rubbish.as_ptr().cast(), rubbish.len()) };
        }),
        "grandchild" => grandchild(),
        "litter" => litter(),
        "meddle" => meddle(),
        "edit_records" | "remove_records" | "replace_records" | "forge_records" => alter_records(behaviour),
        "print" => {
            println!("{{\"type\":\"done\"}} rubbish on standard output");
            eprintln!("rubbish on standard error {IN_COLOUR}");
            log::warn!("a warning of the backend");
        }
        "print_much" => print_much(),
        "log_in_colour" => log::warn!(target: IN_COLOUR, "{IN_COLOUR}"),
        "flood_with_records" => log_records(200_000),
        // More than a pipe takes, and less than it and the channel to the host together.
        "log_100_records" => log_records(100),
        _ => {}
    }
}

/// Ends the process if the system lets it go before others.
fn raise_priority() {
    // SAFETY: the call takes any numbers.
    if unsafe { setpriority(0, 0, -20) } == 0 {
        std::process::abort();
    }
}

/// Lets this thread run on all cores of the machine.
fn leave_cores() {
    let all = [u8::MAX; 128];
    // SAFETY: the call reads as many bytes.
    unsafe { sched_setaffinity(0, all.len(), all.as_ptr()) };
}

fn segfault() {
    // SAFETY: none: this is the crash that the host must survive.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) }
}

struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        panic!("and again while it unwinds");
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn overflow(depth: u64) -> u64 {
    let block = black_box([depth; 64]);
    overflow(depth + 1) + block[0]
}

/// Takes memory until something stops it, and uses it. A host that does not stop it must not cost the machine: it ends
/// at four GiB.
fn allocate() {
    let mut taken = Vec::new();
    for _ in 0..256 {
        taken.push(vec![1_u8; 16 << 20]);
        black_box(&taken);
    }
    harm("sleep");
}

/// Doubles until something stops it: at three hundred processes it ends by itself, lest a host that does not stop it cost
/// the machine.
fn fork_bomb() {
    let count = shared_count();
    while count.fetch_add(1, Ordering::Relaxed) < 300 {
        // SAFETY: none: that there are ever more of this process is what the host must survive.
        unsafe { fork() };
    }
    harm("sleep");
}

/// A few processes, each of which starts the next and leaves: whoever looks for them finds those that were.
fn fork_chains() {
    let count = shared_count();
    for _ in 0..3 {
        // SAFETY: as for the bomb.
        if unsafe { fork() } != 0 {
            continue;
        }
        while count.fetch_add(1, Ordering::Relaxed) < 50_000 {
            std::thread::sleep(Duration::from_millis(1));
            // SAFETY: as for the bomb; the parent leaves without running what a process runs when it exits.
            unsafe {
                if fork() != 0 {
                    _exit(0);
                }
            }
        }
        // SAFETY: as above.
        unsafe { _exit(0) };
    }
}

/// The child returns from the call at once, and this process two seconds later.
fn fork_and_return() {
    // SAFETY: none: that two processes return from a call is what the host must survive.
    if unsafe { fork() } != 0 {
        std::thread::sleep(Duration::from_secs(2));
    }
}

/// A message for the channel to the host.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = b"xrn2".to_vec();
    frame.extend((message.len() as u32).to_le_bytes());
    frame.extend([0; 4]);
    frame.extend(message);
    frame
}

/// Answers in place of the worker, in its own process, that a file was replaced: to the fifth request of a session, by which a comparison
/// has the first run done. The channel has the number 200.
fn forge_replacement() {
    let error = br#"{"kind":"unavailable","message":"other.so was replaced","remedy":null}"#;
    let before = br#"{"type":"failed","number":5,"refused":"changed","error":"#;
    let parts = [before.as_slice(), error.as_slice(), b"}".as_slice()];
    let frame = framed(&parts.concat());
    // SAFETY: the bytes are there; that they reach the channel is what the host must survive.
    unsafe { write(200, frame.as_ptr().cast(), frame.len()) };
}

/// A child answers for this process: it repeats what looks like an answer on every descriptor, and leaves.
fn fork_and_write() {
    // SAFETY: as for the bomb.
    if unsafe { fork() } != 0 {
        std::thread::sleep(Duration::from_secs(2));
        return;
    }
    let frame =
        framed(br#"{"type":"failed","number":4,"error":{"kind":"engine","message":"forged","remedy":null}}"#);
    for fd in 3..1024 {
        // SAFETY: the bytes are there; that they reach descriptors of others is what the host must survive.
        unsafe { write(fd, frame.as_ptr().cast(), frame.len()) };
    }
    // SAFETY: the child leaves without running what a process runs when it exits.
    unsafe { _exit(0) };
}

/// A helper that ends as a program does. This process ends if its exit code is not the helper's own.
fn fork_and_exit() {
    // SAFETY: as for the bomb.
    let child = unsafe { fork() };
    if child == 0 {
        std::process::exit(0);
    }
    let mut status = 0;
    // SAFETY: the status is written into a variable of this function.
    if unsafe { waitpid(child, &raw mut status, 0) } != child || status != 0 {
        std::process::abort();
    }
}

/// Waits until there is a file at the path that `CROSSRUN_TEST_GO` gives, and says in a file beside it that it waits.
fn wait() {
    let go = PathBuf::from(std::env::var_os("CROSSRUN_TEST_GO").unwrap_or_default());
    let _ = fs::write(go.with_extension("begun"), "");
    while !go.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The same the first time only; whether it is that.
pub(crate) fn wait_once() -> bool {
    let go = PathBuf::from(std::env::var_os("CROSSRUN_TEST_GO").unwrap_or_default());
    let is_first = !go.exists();
    wait();
    is_first
}

/// The same, but only in the third of the processes that come here, and in those after it.
fn wait_in_third() {
    let go = PathBuf::from(std::env::var_os("CROSSRUN_TEST_GO").unwrap_or_default());
    let mut file = fs::OpenOptions::new();
    let file = file.create(true).append(true).open(go.with_extension("count"));
    let count = file.and_then(|mut file| file.write_all(b".").and_then(|()| file.metadata()));
    if count.is_ok_and(|count| count.len() >= 3) {
        wait();
    }
}

/// A child that stops the supervisor as a debugger does, and does not let it go on.
fn trace_supervisor() {
    const ATTACH: c_int = 16;
    // SAFETY: none: that a process of the tree holds the supervisor is what the host must survive.
    unsafe {
        let supervisor = getppid();
        if fork() == 0 {
            setsid();
            ptrace(ATTACH, supervisor, 0, 0);
            harm("sleep");
        }
    }
    std::thread::sleep(Duration::from_secs(1));
}

/// Kills the parent of the worker, which is the supervisor where there is no namespace.
fn kill_supervisor() {
    const KILL: c_int = 9;
    // SAFETY: the calls take numbers only.
    unsafe { kill(getppid(), KILL) };
}

/// Puts a pipe that nobody reads in the place of the log.
fn pipe_for_log() {
    let Ok(log) = fs::read_link("/proc/self/fd/2") else { return };
    let _ = fs::remove_file(&log);
    let _ = Command::new("mkfifo").arg(&log).status();
}

/// Leaves POSIX memory and a POSIX semaphore by the name that `CROSSRUN_TEST_SHARED` gives, and memory, semaphores and a queue of
/// System V with the same number as their key.
fn leave_shared_memory() {
    let name = std::env::var("CROSSRUN_TEST_SHARED").unwrap_or_else(|_| "1".into());
    for file in ["crossrun-test-", "sem.crossrun-test-"] {
        let _ = fs::write(format!("/dev/shm/{file}{name}"), "left");
    }
    let key = name.parse().unwrap_or(1);
    // SAFETY: the calls take numbers only.
    unsafe {
        shmget(key, 4096, 0o1600);
        semget(key, 1, 0o1600);
        msgget(key, 0o1600);
    }
}

/// Makes a message queue by its file, and leaves it.
fn leave_message_queue() {
    let name = std::env::var("CROSSRUN_TEST_SHARED").unwrap_or_else(|_| "1".into());
    let _ = fs::File::create(format!("/dev/mqueue/crossrun-test-{name}"));
}

/// Writes 600 MiB into files that are in memory and that nobody maps.
fn fill_shared_memory() {
    let path = std::path::Path::new("/dev/shm").join(format!("crossrun-test-{}", std::process::id()));
    if let Ok(mut file) = fs::File::create(&path) {
        let _ = fs::remove_file(path);
        (0..600).for_each(|_| drop(file.write_all(&[1; 1 << 20])));
        harm("sleep");
    }
}

/// A number that this process and all that it forks have together.
fn shared_count() -> &'static AtomicU32 {
    const SHARED: c_int = 0x21;
    const READ_WRITE: c_int = 3;
    // SAFETY: an anonymous mapping at an address of the system's choice, which is never unmapped.
    let page = unsafe { mmap(std::ptr::null_mut(), 4096, READ_WRITE, SHARED, -1, 0) };
    // SAFETY: the page is there, zeroed, aligned, and shared with all children.
    unsafe { &*page.cast::<AtomicU32>() }
}

/// A process that leaves the session and the group of its parent, and sleeps for ten minutes under a name by which the
/// tests find it.
fn grandchild() {
    let name = std::env::var("CROSSRUN_TEST_GRANDCHILD").unwrap_or_else(|_| "600".into());
    let script = format!("setsid sleep {name} & exit 0");
    let _ = Command::new("sh").arg("-c").arg(script).status();
}

/// Leaves what is awkward to remove in the folder for temporary files: folders that may not be entered, and links to what
/// must not go. The file that `CROSSRUN_TEST_LITTER` names gets the folder's path.
fn litter() {
    let folder = std::env::temp_dir();
    let within = folder.join("a/b");
    let _ = fs::create_dir_all(&within);
    let _ = fs::write(within.join("file"), "litter");
    let _ = symlink(std::env::current_dir().unwrap_or_default(), within.join("link"));
    let _ = fs::set_permissions(&within, fs::Permissions::from_mode(0o500));
    let _ = fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0));
    note(&folder);
}

/// Writes a path into the file that `CROSSRUN_TEST_LITTER` names: whole, or not at all.
fn note(path: &Path) {
    let Some(note) = std::env::var_os("CROSSRUN_TEST_LITTER").map(PathBuf::from) else { return };
    let half = note.with_extension("half");
    let _ = fs::write(&half, path.to_str().unwrap_or_default()).and_then(|()| fs::rename(half, note));
}

/// Alters the file of records that `CROSSRUN_TEST_RECORDS` names, if it is there and has a line.
fn alter_records(how: &str) {
    let file = PathBuf::from(std::env::var_os("CROSSRUN_TEST_RECORDS").unwrap_or_default());
    let text = fs::read_to_string(&file).unwrap_or_default();
    let Some((first, rest)) = text.split_once('\n') else { return };
    let _ = match how {
        // All times are longer.
        "edit_records" => fs::write(&file, text.replace("elapsed\":", "elapsed\":1")),
        "remove_records" => fs::remove_file(&file),
        // Another file, without the first line.
        "replace_records" => {
            let other = file.with_extension("other");
            fs::write(&other, rest).and_then(|()| fs::rename(other, &file))
        }
        // The first trial again.
        _ => fs::write(&file, format!("{text}{first}\n")),
    };
}

/// Changes what a process has only one of.
fn meddle() {
    let _ = std::env::set_current_dir("/");
    for name in [c"CROSSRUN_SESSION", c"TMPDIR", c"HOME"] {
        // SAFETY: a name that ends in NUL; whoever reads the environment meanwhile is what the host must survive.
        unsafe { unsetenv(name.as_ptr()) };
    }
    // SAFETY: as above.
    unsafe { std::env::set_var("PATH", "/nowhere") };
    for number in 1..32 {
        // SAFETY: 1 is SIG_IGN: from now on, signals that can be ignored are.
        unsafe { signal(number, 1) };
    }
}

/// Prints as many MiB as `CROSSRUN_TEST_MIB` says.
fn print_much() {
    let count = std::env::var("CROSSRUN_TEST_MIB").ok().and_then(|count| count.parse().ok()).unwrap_or(1);
    let block = "all work and no play\n".repeat(50_000);
    let mut out = std::io::stdout().lock();
    for _ in 0..count {
        let _ = out.write_all(block.as_bytes());
    }
    let _ = out.write_all(b"the last line\n");
    let _ = out.flush();
}

fn log_records(count: u32) {
    let message = "x".repeat(1000);
    for number in 0..count {
        log::warn!("{number} {message}");
    }
}
