//! Projects for authors to start from, outside of this repository: what is in one, and how it comes to disk whole.
//!
//! A template is a folder of `templates`. Its files stand there as they are written, but for the words in `{{…}}`, and for
//! `Cargo.toml.in`, which cargo would take for a package of this repository. They are part of the executable, and so are
//! the crates that a project depends on: an author needs nothing else of ours.

mod disk;
mod name;
mod template;

/// What the build script found, each file by its name: `TEMPLATES`; `VENDORED`, our crates and the guides; and `LOCK`, the
/// workspace's.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

pub(crate) use disk::DiskError;
pub(crate) use name::{Name, NameError};
pub(crate) use template::{C_BACKEND, C_WORKLOADS, PYTHON_BACKEND, RUST_BACKEND, RUST_WORKLOADS, Template};

use template::{API, GUIDES};

/// What a template's name in `templates` ends with if cargo must not see it there.
const HIDDEN: &str = ".in";

/// A project that is not on disk yet.
#[derive(Debug)]
pub(crate) struct Project {
    template: Template,
    name: Name,
    files: Vec<(String, String)>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ScaffoldError {
    /// There are no crates of ours where they were said to be.
    #[error("{} is not there, so this is no checkout of plugin-api", .0.display())]
    NoCheckout(PathBuf),
    #[error("a project in C has the headers in it, and is built on no crate")]
    NoCrate,
    #[error("{} is no path for a manifest, which is UTF-8", .0.display())]
    Path(PathBuf),
}

impl Project {
    /// The files of `template` for `name`. Our crates are put beside them, unless there is a `checkout` of plugin-api.
    pub(crate) fn new(
        template: Template,
        name: Name,
        checkout: Option<&Path>,
    ) -> Result<Self, ScaffoldError> {
        if template.crates.is_empty() && checkout.is_some() {
            return Err(ScaffoldError::NoCrate);
        }
        let crates = template.crates.iter().map(|own| Ok((*own, dependency(own, checkout)?)));
        let crates: Vec<_> = crates.collect::<Result<_, ScaffoldError>>()?;
        let mut project = Self { template, name, files: Vec::new() };
        let fill = |project: &Self, text: &str| project.filled(text, &crates);
        let keep = |_: &Self, text: &str| text.to_owned();
        // In C there is no folder of the crate: what would be in it is one folder up.
        let without_a_crate =
            |_: &Self, text: &str| text.replace("](../docs/", "](docs/").replace("](../plugin-api/", "](../");
        project.add(embedded::TEMPLATES, template.folder, "", fill);
        for (from, to) in template.copied {
            project.add(embedded::TEMPLATES, from, to, fill);
            project.add(embedded::VENDORED, from, to, without_a_crate);
        }
        if checkout.is_none() {
            // The pages link to one another and to the contract, so they stand to each other as they do in this repository.
            let guides = [GUIDES].into_iter().filter(|_| !template.crates.is_empty());
            for own in guides.chain(template.crates.iter().copied()) {
                project.add(embedded::VENDORED, own, &format!("vendor/{own}"), keep);
            }
        }
        if !template.crates.is_empty() {
            project.add(embedded::LOCK, "Cargo.lock", "Cargo.lock", keep);
        }
        Ok(project)
    }

    /// Adds the file at `from`, or all below it, as `to` or below that.
    fn add(&mut self, files: &[(&str, &str)], from: &str, to: &str, made: impl Fn(&Self, &str) -> String) {
        for (path, text) in files {
            let Some(rest) = path.strip_prefix(from) else { continue };
            if rest.is_empty() || rest.starts_with('/') {
                let place = format!("{to}{rest}");
                let place = place.trim_start_matches('/');
                let place = place.strip_suffix(HIDDEN).unwrap_or(place).to_owned();
                self.files.push((place, made(self, text)));
            }
        }
    }

    /// A template's text with the words of this project.
    fn filled(&self, text: &str, crates: &[(&str, String)]) -> String {
        let mut text = text
            .replace("{{name}}", self.name.as_str())
            .replace("{{crate}}", &self.crate_name())
            .replace("{{library}}", &self.library())
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
            .replace("{{rust_version}}", env!("CARGO_PKG_RUST_VERSION"));
        for (own, value) in crates {
            text = text.replace(&format!("{{{{{own}}}}}"), value);
        }
        text
    }

    /// Writes everything into `folder`, which must be empty or not there, or nothing at all.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), DiskError> {
        disk::write(folder, &self.files)
    }

    /// The folder for it, if none is named.
    pub(crate) fn crate_name(&self) -> String {
        self.name.as_crate(self.template.suffix)
    }

    /// The path of the library, from the project's folder on.
    pub(crate) fn library(&self) -> String {
        format!("{}/{DLL_PREFIX}{}{DLL_SUFFIX}", self.template.built, self.crate_name())
    }

    /// What to run in its folder, one after the other.
    pub(crate) fn commands(&self) -> impl Iterator<Item = String> {
        let words =
            |command: &&str| command.replace("LIBRARY", &self.library()).replace("NAME", self.name.as_str());
        self.template.commands.iter().map(words)
    }

    /// The files, by their place in the folder.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(path, _)| path.as_str())
    }
}

/// How a manifest names a crate of ours.
fn dependency(own: &str, checkout: Option<&Path>) -> Result<String, ScaffoldError> {
    let Some(checkout) = checkout else { return Ok(format!("{{ path = \"vendor/{own}\" }}")) };
    let folder = if own == API { checkout.to_owned() } else { checkout.join("../plugins").join(own) };
    let manifest = folder.join("Cargo.toml");
    let folder = folder.canonicalize().ok().filter(|_| manifest.is_file());
    let folder = folder.ok_or(ScaffoldError::NoCheckout(manifest))?;
    let path = folder.to_str().ok_or_else(|| ScaffoldError::Path(folder.clone()))?;
    // A basic string of TOML has the escapes of JSON.
    Ok(format!("{{ path = {} }}", serde_json::Value::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Template; 5] = [RUST_BACKEND, PYTHON_BACKEND, C_BACKEND, RUST_WORKLOADS, C_WORKLOADS];

    fn project(template: Template) -> Project {
        Project::new(template, Name::parse("my-own").unwrap(), None).unwrap()
    }

    fn text<'a>(project: &'a Project, path: &str) -> &'a str {
        &project.files.iter().find(|(of, _)| of == path).unwrap().1
    }

    #[test]
    fn no_word_is_left_open() {
        for template in ALL {
            for (path, text) in &project(template).files {
                let mut words = text.split("{{").skip(1);
                let open = words.find(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
                assert!(
                    path.starts_with("vendor/") || open.is_none(),
                    "{}/{path}: {open:?}",
                    template.folder
                );
            }
        }
    }

    #[test]
    fn no_file_is_there_twice_or_hidden() {
        for template in ALL {
            let project = project(template);
            let mut paths: Vec<_> = project.files().collect();
            assert!(!paths.iter().any(|path| path.ends_with(HIDDEN)));
            let count = paths.len();
            paths.sort_unstable();
            paths.dedup();
            assert_eq!(paths.len(), count, "{}", template.folder);
            let of_rust =
                ["Cargo.toml", "src/lib.rs", "vendor/plugin-api/src/lib.rs", "Cargo.lock"].as_slice();
            let of_c = ["Makefile", "include/crossrun_workloads.h", "ABI.md"].as_slice();
            let own = if template.crates.is_empty() { of_c } else { of_rust };
            for wanted in own.iter().chain(&["README.md"]) {
                assert!(paths.contains(wanted), "{} has no {wanted}", template.folder);
            }
        }
    }

    #[test]
    fn links_of_a_page_lead_to_files_of_the_project() {
        for template in ALL {
            let (project, mut links) = (project(template), 0);
            let paths: Vec<_> = project.files().map(PathBuf::from).collect();
            for (path, text) in project.files.iter().filter(|(path, _)| path.ends_with(".md")) {
                for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
                    if link.is_empty() || link.starts_with("http") {
                        continue;
                    }
                    let mut to = Path::new(path).parent().unwrap().to_owned();
                    for part in link.split('/') {
                        if part == ".." {
                            to.pop();
                        } else {
                            to.push(part);
                        }
                    }
                    assert!(paths.contains(&to), "{}: {path} links to {link}", template.folder);
                    links += 1;
                }
            }
            assert!(links > 2, "{}", template.folder);
        }
    }

    #[test]
    fn what_an_author_edits_has_fewer_than_sixty_lines() {
        let edited = [
            (RUST_BACKEND, "src/lib.rs"),
            (PYTHON_BACKEND, "driver.py"),
            (C_BACKEND, "backend.c"),
            (RUST_WORKLOADS, "src/lib.rs"),
            (C_WORKLOADS, "workload.c"),
        ];
        for (template, path) in edited {
            let lines = text(&project(template), path).lines().count();
            assert!((20..60).contains(&lines), "{} of {} has {lines} lines", path, template.folder);
        }
    }

    #[test]
    fn a_vendored_crate_needs_no_workspace() {
        let project = project(PYTHON_BACKEND);
        let engine = text(&project, "vendor/python_engine/Cargo.toml");
        assert!(engine.contains("plugin-api = { path = \"../plugin-api\" }"), "{engine}");
        let api = text(&project, "vendor/plugin-api/Cargo.toml");
        assert!(api.contains("abi_stable = { version = \"=0.11.3\""), "{api}");
        assert!(!api.contains("proptest"), "{api}");
    }

    #[test]
    fn a_checkout_stands_in_for_what_is_vendored() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api");
        let name = || Name::parse("mine").unwrap();
        let project = Project::new(PYTHON_BACKEND, name(), Some(&checkout)).unwrap();
        assert!(!project.files().any(|path| path.starts_with("vendor")));
        let manifest = text(&project, "Cargo.toml");
        for folder in ["plugin-api", "plugins/python_engine"] {
            let path = checkout.join("..").join(folder).canonicalize().unwrap();
            assert!(manifest.contains(&format!("{{ path = {path:?} }}")), "{manifest}");
        }
        assert!(matches!(Project::new(C_BACKEND, name(), Some(&checkout)), Err(ScaffoldError::NoCrate)));
        let error = Project::new(RUST_BACKEND, name(), Some(&checkout.join("src"))).unwrap_err().to_string();
        assert!(error.contains("no checkout of plugin-api"), "{error}");
    }
}
