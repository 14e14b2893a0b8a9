//! The wheel: `pip install` puts the executable, the plugins and the documents into an environment. It holds no Python code.
//!
//! The format is that of the [binary distribution format](https://packaging.python.org/en/latest/specifications/binary-distribution-format/).

use std::collections::BTreeSet;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::build::Built;
use crate::failure::Failure;
use crate::installed;
use crate::pack::{Entry, entries};

/// The name on the index. `crossrun` is the name of another project there.
const NAME: &str = "crossrun_bench";

/// A file for each folder that has only folders, as pip leaves such a folder behind, empty.
const NOTE: (&str, &str) = (
    "crossrun-bench.txt",
    "pip removes a folder only if it has a file of the package. This is that file of crossrun-bench.\n",
);

/// What the tag says of the machine: the newest version of the C library that a file needs, and the processor.
fn platform(built: &Built, glibc: Option<&str>) -> Result<String, Failure> {
    let (processor, rest) = built.target.split_once('-').unwrap_or((&built.target, ""));
    if !rest.ends_with("linux-gnu") {
        return Err(Failure::Invalid(format!(
            "a wheel is made on Linux with glibc, and not for {}",
            built.target
        )));
    }
    // Before 2.5 there were no wheels.
    let glibc = glibc.unwrap_or("2.5").replace('.', "_");
    Ok(format!("manylinux_{glibc}_{processor}"))
}

/// The file name and the bytes of the wheel of what is in `folder`.
pub(crate) fn pack(folder: &Path, built: &Built, glibc: Option<&str>) -> Result<(String, Vec<u8>), Failure> {
    let tag = format!("py3-none-{}", platform(built, glibc)?);
    let version = &built.version;
    let bytes = wheel(folder, version, &tag).map_err(Failure::file("cannot pack", folder))?;
    Ok((format!("{NAME}-{version}-{tag}.whl"), bytes))
}

fn wheel(folder: &Path, version: &str, tag: &str) -> std::io::Result<Vec<u8>> {
    let (data, info) = (format!("{NAME}-{version}.data"), format!("{NAME}-{version}.dist-info"));
    let mut wheel = Wheel { zip: ZipWriter::new(Cursor::new(Vec::new())), record: String::new() };
    let mut files = Vec::new();
    for Entry { path, mode, file } in entries(folder)? {
        let Some(installed) = installed::path(&path) else { continue };
        // The installer makes what is in `scripts` executable, in the folder of the environment's programs.
        let place = match installed.strip_prefix("bin") {
            Ok(program) => format!("{data}/scripts/{}", program.display()),
            Err(_) => format!("{data}/data/{}", installed.display()),
        };
        wheel.add(&place, mode, &std::fs::read(file)?)?;
        files.push(installed);
    }
    for folder in folders_without_a_file(&files) {
        let (name, text) = NOTE;
        wheel.add(&format!("{data}/data/{}/{name}", folder.display()), 0o644, text.as_bytes())?;
    }
    for licence in ["LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY.txt"] {
        wheel.add(&format!("{info}/licenses/{licence}"), 0o644, &std::fs::read(folder.join(licence))?)?;
    }
    wheel.add(&format!("{info}/METADATA"), 0o644, metadata(version).as_bytes())?;
    let about = format!(
        "Wheel-Version: 1.0\nGenerator: crossrun archive {version}\nRoot-Is-Purelib: false\nTag: {tag}\n"
    );
    wheel.add(&format!("{info}/WHEEL"), 0o644, about.as_bytes())?;
    let record = format!("{}{info}/RECORD,,\n", wheel.record);
    wheel.add(&format!("{info}/RECORD"), 0o644, record.as_bytes())?;
    Ok(wheel.zip.finish()?.into_inner())
}

/// The folders that an installer makes for these files, and that pip would leave behind: neither they nor a folder above has a file.
/// pip removes a folder as a whole only if it knows a file directly in it (`compress_for_rename` of `pip._internal.req.req_uninstall`).
fn folders_without_a_file(files: &[PathBuf]) -> BTreeSet<&Path> {
    let with_file: BTreeSet<_> = files.iter().filter_map(|file| file.parent()).collect();
    // Every environment has these.
    let others = ["", "lib", "include"].map(Path::new);
    let made = with_file.iter().flat_map(|folder| folder.ancestors());
    let is_left = |folder: &&Path| {
        !others.contains(folder) && !folder.ancestors().any(|above| with_file.contains(above))
    };
    made.filter(is_left).collect()
}

struct Wheel {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    /// A line for each file, with its hash and size.
    record: String,
}

impl Wheel {
    fn add(&mut self, place: &str, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
        // Without a time: the same files make the same wheel.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(mode)
            .last_modified_time(zip::DateTime::default());
        self.zip.start_file(place, options)?;
        self.zip.write_all(bytes)?;
        let sha256 = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(bytes));
        self.record += &format!("{place},sha256={sha256},{}\n", bytes.len());
        Ok(())
    }
}

fn metadata(version: &str) -> String {
    format!(
        "Metadata-Version: 2.4
Name: crossrun-bench
Version: {version}
Summary: One workload, any runtime: runs it on each, verifies the answers, and says which is faster
License-Expression: MIT OR Apache-2.0
License-File: LICENSE-MIT
License-File: LICENSE-APACHE
License-File: THIRD-PARTY.txt
Requires-Python: >=3.8
Description-Content-Type: text/markdown

The command `crossrun` runs one workload on several runtimes (native threads, timely, plain Python, and with `crossrun setup` Ray, Dask, Spark and SAGE),
verifies that all computed the same, and compares the speed. The wheel holds the program and its plugins; it has no Python code and needs no package.

    crossrun backends
    crossrun compare --backends native,python --quick

The documents are in `share/doc/crossrun` of the environment.
"
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn built(target: &str) -> Built {
        Built {
            version: "1.2.3".into(),
            target: target.into(),
            host: Default::default(),
            plugins: Vec::new(),
            private: Vec::new(),
        }
    }

    #[test]
    fn the_tag_names_the_c_library_and_the_processor() {
        let gnu = built("x86_64-unknown-linux-gnu");
        assert_eq!(platform(&gnu, Some("2.34")).unwrap(), "manylinux_2_34_x86_64");
        assert!(platform(&built("aarch64-apple-darwin"), None).is_err());
    }

    #[test]
    fn a_wheel_has_every_file_with_its_hash_and_is_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        for file in
            ["crossrun", "plugins/libit.so", "LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY.txt", "README.md"]
        {
            std::fs::write(folder.path().join(file), file).unwrap();
        }
        let pack = || pack(folder.path(), &built("x86_64-unknown-linux-gnu"), Some("2.34")).unwrap();
        let (name, bytes) = pack();
        assert_eq!(
            (name.as_str(), &bytes),
            ("crossrun_bench-1.2.3-py3-none-manylinux_2_34_x86_64.whl", &pack().1)
        );
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut record = String::new();
        zip.by_name("crossrun_bench-1.2.3.dist-info/RECORD").unwrap().read_to_string(&mut record).unwrap();
        let recorded: Vec<_> = record.lines().map(|line| line.split(',').next().unwrap()).collect();
        let mut names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        names.sort_by_key(|name| recorded.iter().position(|recorded| recorded == name));
        assert_eq!(recorded, names);
        assert!(recorded.contains(&"crossrun_bench-1.2.3.data/scripts/crossrun"), "{record}");
        assert!(
            recorded.contains(&"crossrun_bench-1.2.3.data/data/lib/crossrun/plugins/libit.so"),
            "{record}"
        );
        assert!(
            recorded.contains(&"crossrun_bench-1.2.3.data/data/lib/crossrun/crossrun-bench.txt"),
            "{record}"
        );
        let mut program = Vec::new();
        zip.by_name("crossrun_bench-1.2.3.data/scripts/crossrun").unwrap().read_to_end(&mut program).unwrap();
        assert_eq!(program, b"crossrun");
    }

    #[test]
    fn each_folder_that_pip_would_leave_is_known() {
        let files = [
            "bin/crossrun",
            "lib/crossrun/plugins/libit.so",
            "include/crossrun/crossrun.h",
            "share/man/man1/crossrun.1",
            "share/doc/crossrun/README.md",
            "share/doc/crossrun/plugins/sage_runner/README.md",
        ]
        .map(PathBuf::from);
        let left: Vec<_> = folders_without_a_file(&files).into_iter().collect();
        assert_eq!(left, ["lib/crossrun", "share", "share/doc", "share/man"].map(Path::new));
    }
}
