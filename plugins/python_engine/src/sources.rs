//! The files of an engine's driver: those in its library, or those of a folder while their author works on them.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::engine::Engine;

/// The variable with the folders, as `NAME=FOLDER:NAME=FOLDER`.
const VARIABLE: &str = "CROSSRUN_DRIVERS";

/// The file that Python runs.
const DRIVER: &str = "driver.py";

/// A file: its name, and its text.
type File = (&'static str, Cow<'static, str>);

/// The files of an engine's driver.
pub(crate) struct Sources {
    pub(crate) files: Vec<File>,
    /// The folder that they were read from, if they are not those of the library.
    pub(crate) folder: Option<PathBuf>,
}

impl Sources {
    /// Those of the folder that the environment names for `engine`, or else of its library.
    pub(crate) fn of(engine: &Engine) -> io::Result<Self> {
        let variable = std::env::var_os(VARIABLE).unwrap_or_default();
        Self::in_folder(engine, named(&variable, engine.name)?)
    }

    /// Those of `folder`. A file that is not there is that of the library, except the driver.
    pub(crate) fn in_folder(engine: &Engine, folder: Option<PathBuf>) -> io::Result<Self> {
        let own = engine.files.iter().copied().chain([(DRIVER, engine.driver)]);
        let read = |(name, text): (&'static str, &'static str)| {
            let Some(folder) = &folder else { return Ok((name, text.into())) };
            let path = folder.join(name);
            match fs::read_to_string(&path) {
                Ok(text) => Ok((name, text.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound && name != DRIVER => {
                    Ok((name, text.into()))
                }
                Err(error) => Err(io::Error::new(
                    error.kind(),
                    format!("{}, as {VARIABLE} says: {error}", path.display()),
                )),
            }
        };
        Ok(Self { files: own.map(read).collect::<io::Result<_>>()?, folder })
    }

    /// A warning for each run, if the files are not those of the library.
    pub(crate) fn warning(&self) -> Option<String> {
        let folder = self.folder.as_ref()?.display();
        Some(format!(
            "the driver was read from {folder}, as {VARIABLE} says, and is not the one in the plugin's file"
        ))
    }
}

/// The folder of `engine` in the value of the variable.
fn named(variable: &OsStr, engine: &str) -> io::Result<Option<PathBuf>> {
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidInput, format!("{VARIABLE}: {why}"));
    let mut folder = None;
    for entry in std::env::split_paths(variable).filter(|entry| !entry.as_os_str().is_empty()) {
        let bytes = entry.as_os_str().as_bytes();
        let end = bytes.iter().position(|byte| *byte == b'=');
        let end = end.ok_or_else(|| wrong(format!("{} is not NAME=FOLDER", entry.display())))?;
        if bytes[..end] == *engine.as_bytes()
            && folder.replace(Path::new(OsStr::from_bytes(&bytes[end + 1..])).to_owned()).is_some()
        {
            return Err(wrong(format!("{engine} is given twice")));
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::ENGINE;

    #[test]
    fn a_folder_is_named_for_an_engine() {
        let named = |text: &str| named(OsStr::new(text), "tested");
        assert_eq!(named("other=/x:tested=/a b").unwrap(), Some("/a b".into()));
        assert_eq!((named("").unwrap(), named("tested2=/x:").unwrap()), (None, None));
        for (wrong, why) in
            [("/x", "/x is not NAME=FOLDER"), ("tested=/a:tested=/b", "tested is given twice")]
        {
            assert!(named(wrong).unwrap_err().to_string().contains(why), "{wrong}");
        }
    }

    #[test]
    fn a_folder_has_the_driver_and_the_files_that_are_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let of = || Sources::in_folder(&ENGINE, Some(folder.path().into()));
        let why = of().map(|_| ()).unwrap_err().to_string();
        assert!(why.contains("driver.py, as CROSSRUN_DRIVERS says"), "{why}");
        fs::write(folder.path().join("driver.py"), "import sys\n").unwrap();
        let sources = of().unwrap();
        assert_eq!(sources.files, [("more.py", "MORE = 1\n".into()), ("driver.py", "import sys\n".into())]);
        assert!(sources.warning().unwrap().contains(folder.path().to_str().unwrap()));
        fs::write(folder.path().join("more.py"), "MORE = 2\n").unwrap();
        assert_eq!(of().unwrap().files[0].1, "MORE = 2\n");
        let own = Sources::in_folder(&ENGINE, None).unwrap();
        assert_eq!((own.files[1].1.as_ref(), own.warning()), (ENGINE.driver, None));
    }
}
