//! Writes the driver and the package `crossrun_engine` to disk, where Python can read them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::environment::{private_folder, remove_any};
use crate::sources::Sources;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$((
            concat!("crossrun_engine/", $name),
            include_str!(concat!("../python/crossrun_engine/", $name)),
        ),)*]
    };
}

const PACKAGE: &[(&str, &str)] = embedded![
    "__init__.py",
    "actors.py",
    "closing.py",
    "closing_futures.py",
    "code.py",
    "dataflow.py",
    "datasets.py",
    "driver.py",
    "executors.py",
    "failure.py",
    "folder.py",
    "futures.py",
    "futures_engine.py",
    "graph.py",
    "graph_futures.py",
    "java.py",
    "job.py",
    "kernel.py",
    "loop.py",
    "memory.py",
    "network.py",
    "output.py",
    "partitions.py",
    "phase.py",
    "program.py",
    "py.typed",
    "remote.py",
    "report.py",
    "spec.py",
    "startup.py",
    "tasks.py",
    "window.py",
];

/// Python puts a folder that it runs first on the search path of modules, also when it is isolated from the
/// user's settings; `driver.py` then is a main module like any other.
const MAIN: &str = "import runpy\n\nrunpy.run_module(\"driver\", run_name=\"__main__\", alter_sys=True)\n";

/// The start of the name that a folder has until all files are in it.
const PARTIAL: &str = ".partial-";

/// No process takes so long to write some files: what is older was left by one that was killed.
const LEFT: Duration = Duration::from_hours(1);

/// The folder to run with Python: written now, or by an earlier session. Its name is a hash of what is in it.
pub(crate) fn write(sources: &Sources, data_dir: &Path) -> io::Result<PathBuf> {
    let parent = data_dir.join("python_engine");
    let folder = parent.join(hash(sources));
    if is_intact(sources, &folder) {
        remove_others(sources, &folder)?;
        return Ok(folder);
    }
    private_folder(&parent)?;
    remove_left(&parent);
    // Not named after the process: two workers in process namespaces of their own may have the same number.
    let partial = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(&parent)?;
    for (name, text) in files(sources) {
        let path = partial.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(&parent))?;
        fs::write(path, text)?;
    }
    put_in_place(sources, partial, &folder)?;
    Ok(folder)
}

/// As [`write`], or below `log_dir` where the data folder takes no files, as in the image of a container into which an engine was
/// installed. There each session has a folder of its own: nobody looks whether another backend has put a module into it.
pub(crate) fn write_in_either(sources: &Sources, data_dir: &Path, log_dir: &Path) -> io::Result<PathBuf> {
    write(sources, data_dir).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            write(sources, &tempfile::Builder::new().prefix("driver-").tempdir_in(log_dir)?.keep())
        }
        _ => Err(error),
    })
}

/// Removes what killed processes have left in `parent`, which nobody else can write to.
fn remove_left(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let written = entry.metadata().and_then(|status| status.modified());
        let is_old = written.is_ok_and(|then| then.elapsed().is_ok_and(|age| age > LEFT));
        if is_old && entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            // What cannot be removed stays, and does no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Every file with its place in the folder.
fn files(sources: &Sources) -> impl Iterator<Item = (&'static str, &str)> {
    let own = sources.files.iter().map(|(name, text)| (*name, text.as_ref()));
    PACKAGE.iter().copied().chain(own).chain([("__main__.py", MAIN)])
}

fn hash(sources: &Sources) -> String {
    let mut digest = Sha256::new();
    for (name, text) in files(sources) {
        for part in [name, text] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    hex::encode(digest.finalize())[..16].to_owned()
}

/// Whether `folder` has these files.
fn is_intact(sources: &Sources, folder: &Path) -> bool {
    files(sources).all(|(name, text)| fs::read(folder.join(name)).is_ok_and(|found| found == text.as_bytes()))
}

/// Removes all but these files from `folder`: Python would import a module that another program has put there, or compiled code, in the
/// place of its own.
fn remove_others(sources: &Sources, folder: &Path) -> io::Result<()> {
    let own = files(sources).map(|(name, _)| folder.join(name));
    let own: HashSet<_> =
        own.flat_map(|path| path.ancestors().map(Path::to_owned).collect::<Vec<_>>()).collect();
    let mut unseen = vec![folder.to_owned()];
    while let Some(folder) = unseen.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !own.contains(&path) {
                remove_any(&path)?;
            } else if path.is_dir() {
                unseen.push(path);
            }
        }
    }
    Ok(())
}

fn put_in_place(sources: &Sources, partial: TempDir, folder: &Path) -> io::Result<()> {
    if fs::rename(partial.path(), folder).is_err() {
        if is_intact(sources, folder) {
            // Another session was faster.
            return Ok(());
        }
        // Another program has written there, or the folder cannot be renamed at all: then the second attempt fails too.
        remove_any(folder)?;
        fs::rename(partial.path(), folder)?;
    }
    // It is not there under its old name any more.
    let _ = partial.keep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::ENGINE;

    #[test]
    fn what_is_written_is_found_again_and_repaired() {
        let (data, sources) = (tempfile::tempdir().unwrap(), Sources::in_folder(&ENGINE, None).unwrap());
        let folder = write(&sources, data.path()).unwrap();
        assert_eq!(fs::read_to_string(folder.join("driver.py")).unwrap(), ENGINE.driver);
        assert_eq!(fs::read_to_string(folder.join("more.py")).unwrap(), "MORE = 1\n");
        assert!(folder.join("crossrun_engine/kernel.py").exists());
        let before = fs::metadata(folder.join("driver.py")).unwrap().modified().unwrap();
        assert_eq!(write(&sources, data.path()).unwrap(), folder);
        assert_eq!(fs::metadata(folder.join("driver.py")).unwrap().modified().unwrap(), before);
        fs::write(folder.join("driver.py"), "half").unwrap();
        assert_eq!(write(&sources, data.path()).unwrap(), folder);
        assert_eq!(fs::read_to_string(folder.join("driver.py")).unwrap(), ENGINE.driver);
        // What Python would import in the place of a module of its own, or of this one.
        for name in ["json.py", "__pycache__/driver.cpython-311.pyc", "crossrun_engine/more.py"] {
            let planted = folder.join(name);
            fs::create_dir_all(planted.parent().unwrap()).unwrap();
            fs::write(&planted, "").unwrap();
            assert_eq!(write(&sources, data.path()).unwrap(), folder);
            assert!(!planted.exists() && folder.join("driver.py").is_file(), "{name}");
        }
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.join("json")).unwrap();
        assert_eq!(write(&sources, data.path()).unwrap(), folder);
        assert!(!folder.join("json").exists() && elsewhere.path().exists());
        // A file in place of the folder.
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, "").unwrap();
        assert_eq!(write(&sources, data.path()).unwrap(), folder);
        assert!(folder.is_dir());
        assert_eq!(fs::read_dir(data.path().join("python_engine")).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_once_it_is_old() {
        let (data, sources) = (tempfile::tempdir().unwrap(), Sources::in_folder(&ENGINE, None).unwrap());
        let parent = data.path().join("python_engine");
        let [old, young] = [".partial-old", ".partial-young"].map(|name| parent.join(name));
        for folder in [&old, &young] {
            fs::create_dir_all(folder.join("crossrun_engine")).unwrap();
        }
        let then = std::time::SystemTime::now() - 2 * LEFT;
        fs::File::open(&old).unwrap().set_modified(then).unwrap();
        write(&sources, data.path()).unwrap();
        assert!(!old.exists() && young.exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_data_folder_that_takes_no_files_needs_none() {
        let (logs, sources) = (tempfile::tempdir().unwrap(), Sources::in_folder(&ENGINE, None).unwrap());
        // Nobody makes folders there, root included.
        let folder = write_in_either(&sources, Path::new("/sys"), logs.path()).unwrap();
        assert!(folder.starts_with(logs.path()) && folder.join("driver.py").is_file());
        let another = write_in_either(&sources, Path::new("/sys"), logs.path()).unwrap();
        assert_ne!(another, folder);
    }

    #[test]
    fn sessions_that_write_at_once_do_not_meet() {
        let (data, sources) = (tempfile::tempdir().unwrap(), Sources::in_folder(&ENGINE, None).unwrap());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| write(&sources, data.path()).unwrap());
            }
        });
        assert_eq!(fs::read_dir(data.path().join("python_engine")).unwrap().count(), 1);
    }

    #[test]
    fn every_file_of_the_package_is_in_the_library() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/crossrun_engine");
        for entry in fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let listed = PACKAGE.iter().any(|(path, _)| *path == format!("crossrun_engine/{name}"));
            assert!(listed || name == "__pycache__", "{name}");
        }
    }
}
