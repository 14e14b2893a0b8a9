//! Projects for authors of plugins: their files, and how these are written to disk.
//!
//! A template is a folder of `templates`. Its files are copied, except that `{{…}}` is replaced and that `Cargo.toml.in` becomes
//! `Cargo.toml`, which cargo would take for a package of this repository. Templates and the crates that projects depend on are
//! embedded in the executable, so that authors need nothing else of crossrun.

mod disk;
mod error;
mod template;

/// The files that the build script embedded, by name: `TEMPLATES`; `VENDORED`, the crates and the guides; and `LOCK`, the workspace's
/// lock file.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::Path;

pub(crate) use error::ScaffoldError;
pub(crate) use template::{C_BACKEND, C_WORKLOADS, PYTHON_BACKEND, RUST_BACKEND, RUST_WORKLOADS, Template};

use plugin_api::metadata::is_name;
use template::{API, GUIDES};

/// The suffix of files in `templates` that cargo must not find.
const HIDDEN: &str = ".in";

/// A project before it is written to disk.
#[derive(Debug)]
pub(crate) struct Project {
    template: Template,
    name: String,
    files: Vec<(String, String)>,
}

impl Project {
    /// The files of `template` for a plugin called `name`, with the crates that they depend on unless a `checkout` of plugin-api
    /// is given.
    pub(crate) fn new(
        template: Template,
        name: &str,
        checkout: Option<&Path>,
    ) -> Result<Self, ScaffoldError> {
        if !is_name(name) {
            return Err(ScaffoldError::Name(name.to_owned()));
        }
        if template.crates.is_empty() && checkout.is_some() {
            return Err(ScaffoldError::NoCrate);
        }
        let crates = template.crates.iter().map(|own| Ok((*own, dependency(own, checkout)?)));
        let crates: Vec<_> = crates.collect::<Result<_, ScaffoldError>>()?;
        let mut project = Self { template, name: name.to_owned(), files: Vec::new() };
        let fill = |project: &Self, text: &str| project.filled(text, &crates);
        let keep = |_: &Self, text: &str| text.to_owned();
        // A project in C has no folder for plugin-api: its files are one folder higher.
        let without_a_crate =
            |_: &Self, text: &str| text.replace("](../docs/", "](docs/").replace("](../plugin-api/", "](../");
        project.add(embedded::TEMPLATES, template.folder, "", fill);
        for (from, to) in template.copied {
            project.add(embedded::TEMPLATES, from, to, fill);
            project.add(embedded::VENDORED, from, to, without_a_crate);
        }
        if !template.crates.is_empty() {
            // The pages link to each other and to the contract, so their relative paths are those of this repository.
            let vendored = [GUIDES].iter().chain(template.crates).filter(|_| checkout.is_none());
            for own in vendored {
                project.add(embedded::VENDORED, own, &format!("vendor/{own}"), keep);
            }
            project.add(embedded::LOCK, "Cargo.lock", "Cargo.lock", keep);
        }
        Ok(project)
    }

    /// Adds the file at `from` as `to`, or all files below `from` below `to`.
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

    /// The text of a template with its placeholders replaced.
    fn filled(&self, text: &str, crates: &[(&str, String)]) -> String {
        let mut text = text
            .replace("{{name}}", &self.name)
            .replace("{{crate}}", &self.crate_name())
            .replace("{{library}}", &self.library())
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
            .replace("{{rust_version}}", env!("CARGO_PKG_RUST_VERSION"));
        for (own, value) in crates {
            text = text.replace(&format!("{{{{{own}}}}}"), value);
        }
        text
    }

    /// Writes all files into `folder`, or none if that fails. The folder must be empty or not exist.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), ScaffoldError> {
        disk::write(folder, &self.files)
    }

    /// The name of the crate. The suffix keeps it from being a keyword, and it never begins with a digit.
    pub(crate) fn crate_name(&self) -> String {
        let prefix = if self.name.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
        format!("{prefix}{}{}", self.name.replace('-', "_"), self.template.suffix)
    }

    /// The path of the library, relative to the project's folder.
    pub(crate) fn library(&self) -> String {
        format!("{}/{DLL_PREFIX}{}{DLL_SUFFIX}", self.template.built, self.crate_name())
    }

    /// The commands to run in the project's folder, one after another.
    pub(crate) fn commands(&self) -> impl Iterator<Item = String> {
        let words = |command: &&str| command.replace("LIBRARY", &self.library()).replace("NAME", &self.name);
        self.template.commands.iter().map(words)
    }

    /// The paths of the files, relative to the project's folder.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(path, _)| path.as_str())
    }
}

/// The dependency on a crate in a manifest.
fn dependency(own: &str, checkout: Option<&Path>) -> Result<String, ScaffoldError> {
    let Some(checkout) = checkout else { return Ok(format!("{{ path = \"vendor/{own}\" }}")) };
    let folder = if own == API { checkout.to_owned() } else { checkout.join("../plugins").join(own) };
    let manifest = folder.join("Cargo.toml");
    let folder = folder.canonicalize().ok().filter(|_| manifest.is_file());
    let folder = folder.ok_or(ScaffoldError::NoCheckout(manifest))?;
    let path = folder.to_str().ok_or_else(|| ScaffoldError::NotUtf8(folder.clone()))?;
    // The escapes of a basic string in TOML are those of JSON.
    Ok(format!("{{ path = {} }}", serde_json::Value::from(path)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const ALL: [Template; 5] = [RUST_BACKEND, PYTHON_BACKEND, C_BACKEND, RUST_WORKLOADS, C_WORKLOADS];

    fn project(template: Template) -> Project {
        Project::new(template, "my-own", None).unwrap()
    }

    fn text<'a>(project: &'a Project, path: &str) -> &'a str {
        &project.files.iter().find(|(of, _)| of == path).unwrap().1
    }

    #[test]
    fn every_placeholder_is_replaced() {
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
    fn no_file_is_duplicate_or_hidden() {
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
            let of_c =
                ["Makefile", "include/crossrun_workloads.h", "include/crossrun_remote_kit.h", "ABI.md"]
                    .as_slice();
            let own = if template.crates.is_empty() { of_c } else { of_rust };
            for wanted in own.iter().chain(&["README.md", ".gitignore"]) {
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
    fn a_crate_has_a_name_that_cargo_takes() {
        let crate_of = |name: &str| Project::new(RUST_BACKEND, name, None).unwrap().crate_name();
        assert_eq!(crate_of("my-own"), "my_own_runner");
        assert_eq!(crate_of("match"), "match_runner");
        assert_eq!(crate_of("2fast"), "_2fast_runner");
        let error = Project::new(RUST_BACKEND, "../mine", None).unwrap_err().to_string();
        assert!(error.contains("not a valid name"), "{error}");
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
        let project = Project::new(PYTHON_BACKEND, "mine", Some(&checkout)).unwrap();
        assert!(!project.files().any(|path| path.starts_with("vendor")));
        let manifest = text(&project, "Cargo.toml");
        for folder in ["plugin-api", "plugins/python_engine"] {
            let path = checkout.join("..").join(folder).canonicalize().unwrap();
            assert!(manifest.contains(&format!("{{ path = {path:?} }}")), "{manifest}");
        }
        assert!(matches!(Project::new(C_BACKEND, "mine", Some(&checkout)), Err(ScaffoldError::NoCrate)));
        let error = Project::new(RUST_BACKEND, "mine", Some(&checkout.join("src"))).unwrap_err().to_string();
        assert!(error.contains("not a checkout of plugin-api"), "{error}");
    }
}
