//! A small comparison, and programs that start another one under other conditions.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

pub(crate) use crate::support::with_environment_of;
use crate::support::{continued, executable, not_run};

/// A comparison of three trials; of six with `--aa`.
pub(crate) const COMPARE: [&str; 7] = [
    "compare",
    "--quick",
    "--no-lock",
    "--run-id=c",
    "--backends=native",
    "--workloads=pipeline",
    "--items=5",
];

/// A program that runs another one without a system call: `nosyscall NUMBER ERRNO PROGRAM…`. With the number 0 of an error, the call
/// kills the process. `None` if it cannot be built or if a sandbox forbids it, or where the tests know no numbers: this then says that
/// the test is not run.
pub(crate) fn nosyscall() -> Option<PathBuf> {
    const SOURCE: &str = r#"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int count, char **words) {
    int number = atoi(words[1]), error = atoi(words[2]);
    struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
                                   BPF_STMT(BPF_RET | BPF_K, error ? SECCOMP_RET_ERRNO | error : SECCOMP_RET_KILL_PROCESS),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {4, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (count < 4 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 99;
    execvp(words[3], words + 3);
    return 98;
}
"#;
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let program = compiled("nosyscall", SOURCE, &[]).filter(|_| cfg!(target_arch = "x86_64"))?;
        let works = Command::new(&program).args(["999", "38", "true"]).status().is_ok_and(|it| it.success());
        works.then_some(program)
    };
    let built = BUILT.get_or_init(build).clone();
    if built.is_none() {
        not_run("no filter of system calls can be made here");
    }
    built
}

/// A library that the dynamic linker can put before others, and that sets the clock to the number of seconds in `CLOCK_SECONDS`.
pub(crate) fn other_clock() -> Option<PathBuf> {
    const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, clock, time);
    const char *seconds = getenv("CLOCK_SECONDS");
    if (!failed && clock == CLOCK_REALTIME && seconds) time->tv_sec = strtoll(seconds, 0, 10);
    return failed;
}
"#;
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| compiled("other_clock", SOURCE, &["-shared", "-fPIC"])).clone()
}

/// A library that the dynamic linker can put before others, and with which no process can start a thread.
pub(crate) fn without_threads() -> Option<PathBuf> {
    const SOURCE: &str = r#"
#include <errno.h>
#include <pthread.h>
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    (void)thread, (void)attributes, (void)start, (void)argument;
    return EAGAIN;
}
"#;
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| compiled("without_threads", SOURCE, &["-shared", "-fPIC"])).clone()
}

/// The file that the C compiler makes of `source`, if there is one.
pub(crate) fn compiled(name: &str, source: &str, options: &[&str]) -> Option<PathBuf> {
    let folder = executable().parent()?.join("field");
    std::fs::create_dir_all(&folder).ok()?;
    let own = |end: &str| folder.join(format!("{name}-{}{end}", std::process::id()));
    std::fs::write(own(".c"), source).ok()?;
    let mut command = Command::new("cc");
    let built = command.args(options).arg(own(".c")).arg("-o").arg(own("")).status();
    let _ = std::fs::remove_file(own(".c"));
    let file = folder.join(name);
    std::fs::rename(own(""), &file).ok().filter(|()| built.is_ok_and(|it| it.success()))?;
    Some(file)
}

/// `command`, run by `wrapper` with `words` before it.
pub(crate) fn wrapped(wrapper: impl AsRef<std::ffi::OsStr>, words: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(wrapper);
    outer.args(words).arg(command.get_program());
    continued(outer, command)
}
