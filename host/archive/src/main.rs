//! Makes packages for other machines: the host, every plugin, completions, manual pages, documents and licences.
//!
//! `cargo run -p archive` builds everything for release, without any path of this machine, and writes an archive that runs from
//! any folder, `crossrun-VERSION-TARGET.tar.gz`, with its SHA-256 beside it. `-- wheel` and `-- deb` write the same files as
//! packages for pip and dpkg.

mod build;
mod contents;
mod deb;
mod failure;
mod folder;
mod glibc;
mod guide;
mod installed;
mod licences;
mod pack;
mod paths;
mod wheel;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use failure::Failure;

/// Make a package with the host, the plugins and what belongs to them.
#[derive(Debug, Parser)]
#[command(name = "archive", version)]
struct Arguments {
    /// What to make: an archive that runs wherever it is unpacked, a wheel for pip, or a package for Debian and its kin.
    #[arg(value_enum, default_value_t = Format::Tar)]
    format: Format,
    /// The folder for the package [default: target/archive for an archive, else dist].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Tar,
    Wheel,
    Deb,
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
    let built = build::release(&repository, &target)?;
    let glibc = glibc::newest_required(built.plugins.iter().chain([&built.host]))?;
    let name = format!("crossrun-{}-{}", built.version, built.target);
    let staging =
        tempfile::tempdir().map_err(Failure::file("cannot make a folder in", &std::env::temp_dir()))?;
    let folder = staging.path().join(&name);
    contents::collect(&repository, &built, glibc.as_deref(), &folder)?;
    paths::check(&folder, &built.private)?;
    let (beside, (file, bytes)) = match arguments.format {
        Format::Tar => (target, (format!("{name}.tar.gz"), pack::pack(&folder)?)),
        Format::Wheel => (repository.join("dist"), wheel::pack(&folder, &built, glibc.as_deref())?),
        Format::Deb => (repository.join("dist"), deb::pack(&folder, &built, glibc.as_deref())?),
    };
    let package = arguments.output.clone().unwrap_or(beside).join(file);
    let sha256 = pack::write(&package, &bytes)?;
    println!("{}\nSHA-256 {sha256}", package.display());
    Ok(())
}

/// The folder of the workspace.
fn repository() -> Result<PathBuf, Failure> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = own.join("../..");
    repository.canonicalize().map_err(Failure::file("cannot find", &repository))
}
