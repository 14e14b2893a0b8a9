//! The files of the archive.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::{Built, stdout_of};
use crate::failure::Failure;
use crate::folder::entries;
use crate::{guide, licences};

/// The shells for which there are completions, and the file that each looks for.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "bash/crossrun"), ("zsh", "zsh/_crossrun"), ("fish", "fish/crossrun.fish")];

/// The folder for documents. Below it they have the same paths as in the repository, so that their links work.
const DOCUMENTS: &str = "doc";

/// Writes all files into `folder`, which must not exist yet.
pub(crate) fn collect(
    repository: &Path,
    built: &Built,
    glibc: Option<&str>,
    folder: &Path,
) -> Result<(), Failure> {
    copy(&built.host, &folder.join("crossrun"), 0o755)?;
    for plugin in &built.plugins {
        copy(plugin, &folder.join("plugins").join(plugin.file_name().unwrap_or_default()), 0o755)?;
    }
    for (shell, file) in COMPLETIONS {
        let script = stdout_of(Command::new(folder.join("crossrun")), &["completions", shell])?;
        write(&folder.join("completions").join(file), script.as_bytes())?;
    }
    manual(folder)?;
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&repository.join(licence), &folder.join(licence), 0o644)?;
    }
    for header in listed(&repository.join("plugin-api/include"), "h")? {
        copy(&header, &folder.join("include").join(header.file_name().unwrap_or_default()), 0o644)?;
    }
    for document in documents(repository)? {
        copy(&repository.join(&document), &folder.join(DOCUMENTS).join(&document), 0o644)?;
    }
    let third_party = licences::of(repository)?;
    write(&folder.join("THIRD-PARTY.txt"), licences::text(&third_party, &apache(repository)?)?.as_bytes())?;
    write(&folder.join("README.md"), guide::text(built, glibc).as_bytes())
}

/// The manual pages, written by the host that is in the archive.
fn manual(folder: &Path) -> Result<(), Failure> {
    let pages = folder.join("man/man1");
    stdout_of(Command::new(folder.join("crossrun")), &["--quiet", "man", &pages.to_string_lossy()])?;
    for page in listed(&pages, "1")? {
        set_mode(&page, 0o644)?;
    }
    Ok(())
}

fn apache(repository: &Path) -> Result<String, Failure> {
    let path = repository.join("LICENSE-APACHE");
    std::fs::read_to_string(&path).map_err(Failure::file("cannot read", &path))
}

/// All documents, among them every target of a link in another document.
fn documents(repository: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut documents = Vec::new();
    for folder in ["", "host", "plugin-api", "plugins", "tests", "docs"] {
        let folder = repository.join(folder);
        let below = |path: &PathBuf| path.is_dir() && folder != *repository;
        let inner = if folder.is_dir() { entries(&folder)? } else { Vec::new() };
        for path in inner.iter().filter(|path| below(path)).chain([&folder]).filter(|path| path.is_dir()) {
            documents.extend(listed(path, "md")?);
            documents.extend(listed(path, "png")?);
        }
    }
    documents.extend(["LICENSE-MIT", "LICENSE-APACHE"].map(|licence| repository.join(licence)));
    documents.sort();
    documents.dedup();
    let relative = |path: &PathBuf| path.strip_prefix(repository).ok().map(Path::to_owned);
    Ok(documents.iter().filter_map(relative).collect())
}

/// The files of `folder` with this extension, sorted.
fn listed(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let fits = |path: &PathBuf| path.is_file() && path.extension().is_some_and(|it| it == extension);
    Ok(entries(folder)?.into_iter().filter(fits).collect())
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), Failure> {
    let bytes = std::fs::read(from).map_err(Failure::file("cannot read", from))?;
    write(to, &bytes)?;
    set_mode(to, mode)
}

fn write(to: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = to.parent().unwrap_or(to);
    std::fs::create_dir_all(folder).map_err(Failure::file("cannot make", folder))?;
    std::fs::write(to, bytes).map_err(Failure::file("cannot write", to))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Failure> {
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, mode).map_err(Failure::file("cannot set the mode of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_between_documents_has_its_target_in_the_archive() {
        let repository = crate::repository().unwrap();
        let documents = documents(&repository).unwrap();
        let mut links = 0;
        for document in documents.iter().filter(|path| path.extension().is_some_and(|it| it == "md")) {
            let text = std::fs::read_to_string(repository.join(document)).unwrap();
            for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
                if link.is_empty()
                    || link.contains("://")
                    || !link.ends_with(".md") && !link.ends_with(".png")
                {
                    continue;
                }
                let folder = repository.join(document).parent().unwrap().join(link);
                let to = folder
                    .canonicalize()
                    .unwrap_or_else(|_| panic!("{} links to {link}", document.display()));
                let to = to.strip_prefix(&repository).unwrap().to_owned();
                assert!(
                    documents.contains(&to),
                    "{} links to {}, which is left out",
                    document.display(),
                    to.display()
                );
                links += 1;
            }
        }
        assert!(links > 10 && documents.contains(&"plugin-api/ABI.md".into()), "{documents:?}");
    }
}
