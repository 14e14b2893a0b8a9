//! The crates that are linked into what is shipped, with their licences: expressions and texts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::build::{cargo, host_triple, stdout_of};
use crate::failure::Failure;
use crate::folder::entries;

/// The prefixes of the names of licence files.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
/// A text up to this many bytes is only a copyright notice.
const NOTICE: usize = 300;
/// The texts of licences for crates that name a licence but have no file with its text.
const MIT: &str = include_str!("../licences/MIT.txt");
const ZLIB: &str = include_str!("../licences/Zlib.txt");

/// A crate that is linked in.
#[derive(Debug)]
pub(crate) struct Linked {
    name: String,
    version: String,
    expression: String,
    authors: Vec<String>,
    source: String,
    /// The texts in its licence files.
    texts: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_default_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    license_file: Option<PathBuf>,
    authors: Vec<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    /// Null for a crate of the repository.
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// Null for a dependency that is linked, else `build` or `dev`.
    kind: Option<String>,
}

/// Every crate that is linked into the host or a plugin, by name.
pub(crate) fn of(repository: &Path) -> Result<Vec<Linked>, Failure> {
    let mut metadata = cargo(repository);
    metadata.args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform"]);
    let metadata = serde_json::from_str::<Metadata>(&stdout_of(metadata, &[&host_triple()?])?)?;
    let packages: HashMap<_, _> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let mut linked = reached(&metadata, &packages)
        .into_iter()
        .filter_map(|id| packages.get(id))
        .filter(|package| package.source.is_some())
        .map(|package| of_package(package))
        .collect::<Result<Vec<_>, _>>()?;
    linked.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Ok(linked)
}

/// The crates that are linked into the default members. A macro crate runs in the compiler and is not linked.
fn reached<'a>(metadata: &'a Metadata, packages: &HashMap<&'a str, &'a Package>) -> BTreeSet<&'a str> {
    let nodes: HashMap<_, _> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let is_macro = |id: &str| {
        let targets = packages.get(id).into_iter().flat_map(|package| &package.targets);
        targets.into_iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    };
    let mut left: Vec<&str> = metadata.workspace_default_members.iter().map(String::as_str).collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = left.pop() {
        if is_macro(id) || !reached.insert(id) {
            continue;
        }
        let dependencies = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let linked = |it: &&Dependency| it.dep_kinds.iter().any(|kind| kind.kind.is_none());
        left.extend(dependencies.filter(linked).map(|it| it.pkg.as_str()));
    }
    reached
}

fn of_package(package: &Package) -> Result<Linked, Failure> {
    let Package { name, version, .. } = package;
    let folder = package.manifest_path.parent().unwrap_or(&package.manifest_path);
    let named = |path: &PathBuf| {
        let file = path.file_name().map(|name| name.to_string_lossy().to_uppercase()).unwrap_or_default();
        path.is_file() && NAMES.iter().any(|name| file.starts_with(name)) && !file.ends_with(".RS")
    };
    let mut files: Vec<_> = entries(folder)?.into_iter().filter(named).collect();
    files.extend(package.license_file.iter().map(|file| folder.join(file)));
    files.sort();
    files.dedup();
    let mut texts = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(Failure::file("cannot read", &file))?;
        texts.push(String::from_utf8_lossy(&bytes).trim().replace("\r\n", "\n"));
    }
    let expression = package.license.clone().filter(|expression| !expression.trim().is_empty());
    let file_only = (!texts.is_empty()).then(|| "as its text says".to_owned());
    let expression = expression.or(file_only);
    Ok(Linked {
        expression: expression
            .ok_or_else(|| Failure::Invalid(format!("{name} {version} names no licence")))?,
        name: name.clone(),
        version: version.clone(),
        authors: package.authors.clone(),
        source: package.repository.clone().unwrap_or_default(),
        texts,
    })
}

impl Linked {
    /// Its licence texts; if it has none, the text of a licence that it names.
    fn all_texts(&self, apache: &str) -> Result<Vec<String>, Failure> {
        if self.texts.iter().any(|text| text.len() > NOTICE) {
            return Ok(self.texts.clone());
        }
        let holders = if self.authors.is_empty() {
            vec![format!("the authors of {}", self.name)]
        } else {
            self.authors.clone()
        };
        let names = |licence: &str| self.expression.split([' ', '/', '(', ')']).any(|word| word == licence);
        let standard = [("MIT", MIT), ("Zlib", ZLIB), ("Apache-2.0", apache)];
        let (licence, text) = standard.into_iter().find(|(licence, _)| names(licence)).ok_or_else(|| {
            let Self { name, version, expression, .. } = self;
            Failure::Invalid(format!(
                "{name} {version} has no text of its licence, {expression}; add it to host/archive/licences"
            ))
        })?;
        Ok(vec![format!("{licence} licence\n\nCopyright (c) {}\n\n{}", holders.join(", "), text.trim())])
    }
}

/// The list of crates, then every licence text once, with its crates.
pub(crate) fn text(linked: &[Linked], apache: &str) -> Result<String, Failure> {
    let mut page = String::from(
        "The crates that are linked into crossrun and its plugins\n\n\
         Each with its licence and the address of its source. The licence texts follow. The standard library of Rust is linked in as\n\
         well: copyright (c) the Rust Project contributors, MIT OR Apache-2.0, https://github.com/rust-lang/rust\n\n",
    );
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for it in linked {
        // Writing into a string cannot fail, so what `write!` returns is dropped here and below.
        let _ = writeln!(page, "{} {}: {}  {}", it.name, it.version, it.expression, it.source);
        for text in it.all_texts(apache)? {
            texts.entry(text).or_default().push(format!("{} {}", it.name, it.version));
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|one, other| one.1.cmp(&other.1));
    for (text, of) in texts {
        let _ = write!(page, "\n{}\n{}\n\n{text}\n", "-".repeat(80), of.join(", "));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apache() -> String {
        std::fs::read_to_string(crate::repository().unwrap().join("LICENSE-APACHE")).unwrap()
    }

    #[test]
    fn every_linked_crate_has_a_licence_and_its_text() {
        let linked = of(&crate::repository().unwrap()).unwrap();
        let names: Vec<_> = linked.iter().map(|it| it.name.as_str()).collect();
        // Dependencies of the host and of a plugin, direct and indirect.
        for name in ["abi_stable", "clap_builder", "timely", "hdrhistogram", "itoa"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        // Crates of the workspace, crates for tests only, and macro crates, which run in the compiler.
        for name in ["plugin-api", "proptest", "insta", "serde_derive"] {
            assert!(!names.contains(&name), "{name} is in {names:?}");
        }
        let apache = apache();
        let page = text(&linked, &apache).unwrap();
        for it in &linked {
            let texts = it.all_texts(&apache).unwrap();
            assert!(texts.iter().all(|text| page.contains(text)), "{it:?}");
            assert!(texts.iter().any(|text| text.len() > NOTICE), "{it:?}");
            assert!(page.contains(&format!("\n{} {}: {}", it.name, it.version, it.expression)));
        }
    }

    #[test]
    fn a_crate_without_a_licence_text_gets_that_of_a_licence_that_it_names_or_is_refused() {
        let mut bare = Linked {
            name: "bare".into(),
            version: "1.0.0".into(),
            expression: "MIT/Apache-2.0".into(),
            authors: vec!["Somebody".into()],
            source: String::new(),
            texts: Vec::new(),
        };
        let page = text(std::slice::from_ref(&bare), "").unwrap();
        assert!(
            page.contains("Copyright (c) Somebody") && page.contains("Permission is hereby granted"),
            "{page}"
        );
        bare.expression = "LicenseRef-own".into();
        let refused = text(&[bare], "").unwrap_err().to_string();
        assert!(refused.contains("bare 1.0.0 has no text"), "{refused}");
    }
}
