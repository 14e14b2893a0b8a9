//! What tests build by cargo: the plugins of the workspace, each once, and what is not of the workspace, in a folder of its own.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Ran, executable, once, own_umask, repository};

/// The folder of the executable, where plain `cargo build` puts plugins too.
fn target_folder() -> &'static Path {
    executable().parent().unwrap()
}

/// Takes the right of others to write from the libraries in `folder`, which cargo may have built under another umask: some tests name them
/// where they are, and a copy has their permissions.
fn close_to_others(folder: &Path) {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "so")) {
        let mode = file.metadata().map_or(0, |status| status.permissions().mode());
        if mode & 0o022 != 0 {
            // Not if another user has built it: crossrun then says so in the test that needs it.
            let _ = std::fs::set_permissions(&file, Permissions::from_mode(mode & 0o7755));
        }
    }
}

/// The folder into which cargo has built these tests, and the target for which it has, if one was named on the command line or in its
/// settings: it then builds into a folder of that name in the former.
fn target() -> (&'static Path, Option<&'static str>) {
    let folder = target_folder().parent().unwrap();
    let above = folder.parent().unwrap();
    // cargo puts this file at the top.
    let is_top = |folder: &Path| folder.join("CACHEDIR.TAG").exists();
    if is_top(folder) || !is_top(above) {
        return (folder, None);
    }
    (above, folder.file_name().unwrap().to_str())
}

/// cargo, which builds for the target for which it has built these tests.
pub(crate) fn cargo() -> Command {
    own_umask();
    let mut command = Command::new(env!("CARGO"));
    match target() {
        (_, Some(target)) => command.env("CARGO_BUILD_TARGET", target),
        (_, None) => command.env_remove("CARGO_BUILD_TARGET"),
    };
    command
}

/// What [`cargo`] has built for debugging into `folder`.
fn built_in(folder: &Path) -> PathBuf {
    folder.join(target().1.unwrap_or_default()).join("debug")
}

/// Where everything is built that is not of the workspace, so that the packages below it are built once.
fn outside() -> PathBuf {
    target().0.join("hostile")
}

/// A file that [`cargo_outside`] has built for debugging.
pub(crate) fn built_outside(file: &str) -> PathBuf {
    built_in(&outside()).join(file)
}

/// Runs cargo in `folder` on what is not of the workspace, and panics with its output if it fails. Nobody debugs what is built.
pub(crate) fn cargo_outside(folder: &Path, arguments: &[&str]) {
    let mut command = cargo();
    command.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", outside());
    command
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    Ran::of(command).code(0);
    close_to_others(&built_in(&outside()));
}

/// The host without what of its sandbox is Linux's alone, in a folder of its own: the flag makes other packages of all.
pub(crate) fn portable_host() -> PathBuf {
    let folder = target().0.join("portable");
    let mut command = cargo();
    command
        .args(["build", "--quiet", "--locked", "-p", "crossrun", "--bin", "crossrun"])
        .current_dir(repository());
    command
        .env("CARGO_TARGET_DIR", &folder)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "--cfg crossrun_portable")
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    Ran::of(command).code(0);
    built_in(&folder).join("crossrun")
}

/// The profile that the executable was built with, as an option of cargo.
fn profile_option() -> &'static str {
    if cfg!(debug_assertions) { "--profile=dev" } else { "--profile=release" }
}

/// A file of the workspace's own plugins, built once: a test binary does not make cargo build them.
pub(crate) fn plugin(name: &str) -> PathBuf {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    once(&BUILT, || {
        let mut command = cargo();
        // With these tests, which are built already, the packages below have the same features as they had then, and are not
        // built again.
        command.args(["build", "--quiet", "--locked", "--workspace", "--lib", "--test", "tests"]);
        command.arg(profile_option()).arg("--target-dir").arg(target().0).current_dir(repository());
        Ran::of(command).code(0);
        close_to_others(target_folder());
    });
    target_folder().join(format!("lib{name}.so"))
}

/// The file of a hostile plugin, built once into a folder that is not searched for plugins.
pub(crate) fn hostile(name: &str) -> PathBuf {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    once(&BUILT, || {
        let manifest = repository().join("tests/hostile/Cargo.toml");
        cargo_outside(
            repository(),
            &["build", "--quiet", "--locked", "--manifest-path", manifest.to_str().unwrap()],
        );
    });
    built_outside(&format!("lib{name}.so"))
}

/// Builds `source` as a plugin crate of its own, outside the workspace, as a third party would.
pub(crate) fn build_outside(name: &str, source: &str) -> PathBuf {
    own_umask();
    let folder = target_folder().parent().unwrap().join("outside").join(name);
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let api = repository().join("plugin-api");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n\
         description = \"a plugin of a third party\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\nplugin-api = {{ path = {api:?} }}\n\n[workspace]\n"
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    std::fs::write(folder.join("src/lib.rs"), source).unwrap();
    cargo_outside(&folder, &["build", "--quiet"]);
    built_outside(&format!("lib{name}.so"))
}
