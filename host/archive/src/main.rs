//! Makes an archive that runs from any folder: the host, every plugin, completions, manual pages, documents and licences.
//!
//! `cargo run -p archive` builds everything for release, without any path of this machine, and writes
//! `crossrun-VERSION-TARGET.tar.gz` with its SHA-256 beside it.

mod build;
mod contents;
mod failure;
mod folder;
mod glibc;
mod guide;
mod licences;
mod pack;
mod paths;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use failure::Failure;

/// Make the archive with the host, the plugins and what belongs to them.
#[derive(Debug, Parser)]
#[command(name = "archive", version)]
struct Arguments {
    /// The folder for the archive [default: target/archive].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let repository = repository()?;
    let target = repository.join("target").join("archive");
    let output = arguments.output.clone().unwrap_or_else(|| target.clone());
    let built = build::release(&repository, &target)?;
    let name = format!("crossrun-{}-{}", built.version, built.target);
    let staging =
        tempfile::tempdir().map_err(Failure::file("cannot make a folder in", &std::env::temp_dir()))?;
    let folder = staging.path().join(&name);
    contents::collect(&repository, &built, &folder)?;
    paths::check(&folder, &built.private)?;
    let archive = output.join(format!("{name}.tar.gz"));
    let sha256 = pack::pack(&folder, &archive)?;
    println!("{}\nSHA-256 {sha256}", archive.display());
    Ok(())
}

/// The folder of the workspace.
fn repository() -> Result<PathBuf, Failure> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = own.join("../..");
    repository.canonicalize().map_err(Failure::file("cannot find", &repository))
}
