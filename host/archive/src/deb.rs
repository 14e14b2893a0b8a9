//! The package for Debian and its kin: `dpkg -i` puts the executable, the plugins and the documents below `/usr`.
//!
//! The format is that of [deb(5)](https://manpages.debian.org/deb.5).

use std::path::Path;

use crate::build::Built;
use crate::failure::Failure;
use crate::installed;
use crate::pack::{Entry, Tar, changed, entries};

/// The fields of the package, and where its version goes.
const CONTROL: &str = "\
Section: science
Priority: optional
Maintainer: the maintainers of crossrun <maintainers@crossrun.invalid>
Description: One workload, any runtime
 Runs one workload on several runtimes (native threads, timely, plain Python,
 Ray, Dask, Spark, SAGE), verifies that all computed the same, and says which
 is faster, by how much, and how sure that is.
";

/// The file name and the bytes of the package of what is in `folder`.
pub(crate) fn pack(folder: &Path, built: &Built, glibc: Option<&str>) -> Result<(String, Vec<u8>), Failure> {
    let (processor, rest) = built.target.split_once('-').unwrap_or((&built.target, ""));
    if !rest.contains("linux") {
        return Err(Failure::Invalid(format!("a deb is made on Linux, and not for {}", built.target)));
    }
    let architecture = match processor {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let bytes =
        deb(folder, &built.version, architecture, glibc).map_err(Failure::file("cannot pack", folder))?;
    Ok((format!("crossrun_{}_{architecture}.deb", built.version), bytes))
}

fn deb(folder: &Path, version: &str, architecture: &str, glibc: Option<&str>) -> std::io::Result<Vec<u8>> {
    let (mut data, mut size) = (Tar::new(), 0);
    let mut folders = std::collections::BTreeSet::new();
    for Entry { path, mode, file } in entries(folder)? {
        let Some(installed) = installed::path(&path) else { continue };
        let place = Path::new("usr").join(installed);
        for parent in place.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            if parent != Path::new("") && folders.insert(parent.to_owned()) {
                data.add_folder(parent)?;
            }
        }
        size += std::fs::metadata(&file)?.len();
        data.add_file(&place, mode, &std::fs::read(file)?)?;
    }
    let depends = glibc.map_or_else(String::new, |glibc| format!("Depends: libc6 (>= {glibc})\n"));
    let head = format!("Package: crossrun\nVersion: {version}\nArchitecture: {architecture}\n");
    let control = format!("{head}Installed-Size: {}\n{depends}{CONTROL}", size.div_ceil(1024));
    let mut about = Tar::new();
    about.add_file(Path::new("control"), 0o644, control.as_bytes())?;
    let mut deb = ar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", about.finish()?),
        ("data.tar.gz", data.finish()?),
    ] {
        let mut header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        header.set_mtime(changed());
        header.set_mode(0o100_644);
        deb.append(&header, bytes.as_slice())?;
    }
    deb.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_its_parts_in_order() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("crossrun"), "program").unwrap();
        let bytes = deb(folder.path(), "1.2.3", "amd64", Some("2.34")).unwrap();
        let mut archive = ar::Archive::new(bytes.as_slice());
        let (mut names, mut parts) = (Vec::new(), Vec::new());
        while let Some(entry) = archive.next_entry() {
            let mut entry = entry.unwrap();
            names.push(String::from_utf8(entry.header().identifier().to_vec()).unwrap());
            let mut part = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut part).unwrap();
            parts.push(part);
        }
        assert_eq!(names, ["debian-binary", "control.tar.gz", "data.tar.gz"]);
        let mut data = tar::Archive::new(flate2::read::GzDecoder::new(parts[2].as_slice()));
        let paths: Vec<_> = data
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(paths, ["usr/", "usr/bin/", "usr/bin/crossrun"].map(str::to_owned));
        let mut control = tar::Archive::new(flate2::read::GzDecoder::new(parts[1].as_slice()));
        let mut text = String::new();
        let mut entry = control.entries().unwrap().next().unwrap().unwrap();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        assert!(
            text.contains("Depends: libc6 (>= 2.34)\n") && text.contains("Installed-Size: 1\n"),
            "{text}"
        );
    }
}
