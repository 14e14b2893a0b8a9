//! Writes the driver and the package `crossrun_engine` to disk, where Python can read them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::Engine;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$((
            concat!("crossrun_engine/", $name),
            include_str!(concat!("../python/crossrun_engine/", $name)),
        ),)*]
    };
}

const PACKAGE: &[(&str, &str)] =
    embedded!["__init__.py", "driver.py", "failure.py", "kernel.py", "loop.py", "py.typed", "spec.py",];

/// Python puts a folder that it is told to run first on the search path of modules, also when it is isolated from the
/// user's settings; `driver.py` then is a main module like any other.
const MAIN: &str = "import runpy\n\nrunpy.run_module(\"driver\", run_name=\"__main__\", alter_sys=True)\n";

/// The folder to run with Python: written now, or by an earlier session. Its name is a hash of what is in it.
pub(crate) fn write(engine: &Engine, data_dir: &Path) -> io::Result<PathBuf> {
    let parent = data_dir.join("python_engine");
    let folder = parent.join(hash(engine));
    if is_intact(engine, &folder) {
        return Ok(folder);
    }
    fs::create_dir_all(&parent)?;
    let partial = parent.join(format!(".partial-{}", std::process::id()));
    remove(&partial)?;
    for (name, text) in files(engine) {
        let path = partial.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&partial))?;
        fs::write(path, text)?;
    }
    put_in_place(engine, &partial, &folder)?;
    Ok(folder)
}

/// Every file with its place in the folder.
fn files(engine: &Engine) -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = [("__main__.py", MAIN), ("driver.py", engine.driver)];
    PACKAGE.iter().chain(engine.files).copied().chain(own)
}

fn hash(engine: &Engine) -> String {
    let mut digest = Sha256::new();
    for (name, text) in files(engine) {
        for part in [name, text] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    hex::encode(digest.finalize())[..16].to_owned()
}

fn is_intact(engine: &Engine, folder: &Path) -> bool {
    files(engine).all(|(name, text)| fs::read(folder.join(name)).is_ok_and(|found| found == text.as_bytes()))
}

fn put_in_place(engine: &Engine, partial: &Path, folder: &Path) -> io::Result<()> {
    match fs::rename(partial, folder) {
        // Another session was faster.
        Err(_) if is_intact(engine, folder) => remove(partial),
        Err(_) if folder.exists() => {
            remove(folder)?;
            fs::rename(partial, folder)
        }
        renamed => renamed,
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
