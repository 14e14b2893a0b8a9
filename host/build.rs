//! Puts into the executable what `crossrun backends new` writes, so that an author needs nothing but the executable: the
//! templates, the crates that a project outside of this repository is built on, and the lock that they were built with.
//! Also says to the tests which engines they may install.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What a project may have in its folder `vendor`: a crate, and what of it is needed to build it.
const CRATES: [(&str, &[&str]); 2] = [
    ("plugin-api", &["build.rs", "src", "include", "kit", "ABI.md"]),
    ("plugins/python_engine", &["src", "python/crossrun_engine"]),
];

/// The pages that every project has beside the contract.
const GUIDES: [&str; 2] = ["docs/backends.md", "docs/workloads.md"];

const LICENCES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];

/// Which engines the tests may install: `all`, or only the small one. `all` also has the tests that take long. It is asked for here
/// and not in the tests, which could not be shown as ignored then.
const ENGINES: &str = "CROSSRUN_TEST_ENGINES";

fn main() -> io::Result<()> {
    choose_engines()?;
    let host = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let repository = host.parent().map(Path::to_owned).unwrap_or_default();
    let out = PathBuf::from(variable("OUT_DIR")?);
    let mut templates = Vec::new();
    watch(&host.join("templates"));
    collect(&host.join("templates"), "", &mut templates)?;
    let mut vendored = Vec::new();
    for (folder, parts) in CRATES {
        vendor(&repository, folder, parts, &out, &mut vendored)?;
    }
    for guide in GUIDES {
        collect(&repository.join(guide), guide, &mut vendored)?;
    }
    let lock = [("Cargo.lock".to_owned(), repository.join("Cargo.lock"))];
    let mut code = String::new();
    for (name, files) in [("TEMPLATES", templates.as_slice()), ("VENDORED", &vendored), ("LOCK", &lock)] {
        embed(name, files, &mut code).map_err(io::Error::other)?;
    }
    watch(&repository.join("Cargo.toml"));
    fs::write(out.join("embedded.rs"), code)
}

fn choose_engines() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed={ENGINES}");
    println!("cargo::rustc-check-cfg=cfg(all_engines)");
    match env::var(ENGINES).unwrap_or_default().as_str() {
        "all" => println!("cargo::rustc-cfg=all_engines"),
        "" => {}
        other => return Err(io::Error::other(format!("{ENGINES} is {other:?}, but may only be \"all\""))),
    }
    Ok(())
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}

/// Has this run again when a file changes, or anything below a folder.
fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// Every file at `path` or below it, by its name from there on.
fn collect(path: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    if path.is_file() {
        watch(path);
        files.push((name.to_owned(), path.to_owned()));
        return Ok(());
    }
    let mut entries: Vec<_> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let own = entry.file_name().to_string_lossy().into_owned();
        // What an interpreter leaves beside its sources.
        if own != "__pycache__" {
            let name = if name.is_empty() { own } else { format!("{name}/{own}") };
            collect(&entry.path(), &name, files)?;
        }
    }
    Ok(())
}

/// A crate's files, below the name of its folder, with a manifest that needs no workspace.
fn vendor(
    repository: &Path,
    folder: &str,
    parts: &[&str],
    out: &Path,
    files: &mut Vec<(String, PathBuf)>,
) -> io::Result<()> {
    let name = base(folder);
    // A new file. Not in the folder of the Python package, where an interpreter leaves files of its own: there a new
    // one is listed in a file of `src`.
    watch(&repository.join(folder).join("src"));
    for part in parts {
        collect(&repository.join(folder).join(part), &format!("{name}/{part}"), files)?;
    }
    for licence in LICENCES {
        collect(&repository.join(licence), &format!("{name}/{licence}"), files)?;
    }
    let manifest = repository.join(folder).join("Cargo.toml");
    watch(&manifest);
    let workspace = fs::read_to_string(repository.join("Cargo.toml"))?;
    let alone = out.join(format!("{name}.toml"));
    fs::write(&alone, standing_alone(&fs::read_to_string(&manifest)?, &workspace)?)?;
    files.push((format!("{name}/Cargo.toml"), alone));
    Ok(())
}

fn base(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}

/// A manifest with the values that it has from its workspace, and without what only this repository needs: tests and
/// lints. Our manifests have one key a line.
fn standing_alone(manifest: &str, workspace: &str) -> io::Result<String> {
    let (mut alone, mut table) = (String::new(), "");
    for line in manifest.lines() {
        if line.starts_with('[') {
            table = line;
        }
        if ["[dev-dependencies]", "[lints]"].contains(&table) {
            continue;
        }
        match line.strip_suffix(".workspace = true") {
            Some(key) => {
                let value = inherited(key, table, workspace);
                let value = value.ok_or_else(|| {
                    io::Error::other(format!("{key} is no line of the workspace's {table}"))
                })?;
                alone.extend([key, " = ", &value]);
            }
            None => alone.push_str(line),
        }
        alone.push('\n');
    }
    // A key that is written in another way would be missed.
    if alone.contains("workspace") {
        return Err(io::Error::other(format!("a key of the workspace is left in:\n{alone}")));
    }
    Ok(alone)
}

/// What a key of `table` is in the workspace's manifest. One of our own crates stands beside the other.
fn inherited(key: &str, table: &str, workspace: &str) -> Option<String> {
    if CRATES.iter().any(|(folder, _)| base(folder) == key) {
        return Some(format!("{{ path = \"../{key}\" }}"));
    }
    let heading = format!("\n[workspace.{}\n", table.trim_start_matches('['));
    let (_, rest) = workspace.split_once(&heading)?;
    let entries = rest.lines().take_while(|line| !line.starts_with('['));
    let mut values = entries.filter_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
    values.next().map(str::to_owned)
}

fn embed(name: &str, files: &[(String, PathBuf)], code: &mut String) -> std::fmt::Result {
    writeln!(code, "pub(super) const {name}: &[(&str, &str)] = &[")?;
    for (name, path) in files {
        writeln!(code, "    ({name:?}, include_str!({path:?})),")?;
    }
    writeln!(code, "];")
}
