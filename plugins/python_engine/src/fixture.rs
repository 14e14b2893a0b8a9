//! An engine for tests, and interpreters that are none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::engine::Engine;
use crate::interpreter::PythonRange;

pub(crate) const ENGINE: Engine = Engine {
    name: "tested",
    requirements: "# a comment\none==1 \\\n    --hash=sha256:00\n\ntwo==2 --hash=sha256:11\n",
    build_requirements: "",
    python: PythonRange::new((3, 9), (3, 11)),
    driver: "import more\n",
    files: &[("more.py", "MORE = 1\n")],
    options: Vec::new,
    import_check: "one.part",
    variables: &[],
};

/// The same, with a package that has to be built.
pub(crate) const BUILT: Engine = Engine { build_requirements: "builder==1 --hash=sha256:22\n", ..ENGINE };

/// An executable file in `folder` that runs `script` in a shell.
pub(crate) fn program(folder: &Path, name: &str, script: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    // Written by another process: a file that this one has open for writing, in whatever thread forks next, cannot be
    // executed.
    let mut writer = Command::new("sh");
    writer
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\""])
        .arg(&path)
        .arg(script);
    assert!(writer.status().unwrap().success());
    path
}
