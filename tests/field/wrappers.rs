//! Programs that start another one under other conditions.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::support::executable;

/// A program that runs another one without a system call: `nosyscall NUMBER ERRNO PROGRAM…`. `None` if it cannot be built or if a
/// sandbox forbids it.
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
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
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
        let folder = executable().parent()?.join("field");
        std::fs::create_dir_all(&folder).ok()?;
        let (source, own) =
            (folder.join("nosyscall.c"), folder.join(format!("nosyscall-{}", std::process::id())));
        std::fs::write(&source, SOURCE).ok()?;
        let built = Command::new("cc").arg(&source).arg("-o").arg(&own).status().is_ok_and(|it| it.success());
        let program = folder.join("nosyscall");
        std::fs::rename(&own, &program).ok().filter(|()| built)?;
        let works = Command::new(&program).args(["999", "38", "true"]).status().is_ok();
        works.then_some(program)
    };
    BUILT.get_or_init(build).clone()
}

/// `command`, run by `wrapper` with `words` before it.
pub(crate) fn wrapped(wrapper: impl AsRef<std::ffi::OsStr>, words: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(wrapper);
    outer.args(words).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    with_environment_of(command, outer)
}

/// `outer` with the variables of `command`, such as that of the lock: without it, a measurement of somebody else would be waited for.
pub(crate) fn with_environment_of(command: &Command, mut outer: Command) -> Command {
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}
