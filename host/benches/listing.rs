//! What looking at plugins costs: a listing of many beside opening the same files with the dynamic linker, and the
//! inspection of a large file beside that of a small one. `cargo bench --bench listing` prints the rows of docs/benchmarks.md.

// A benchmark that cannot be set up must stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unsafe_code, missing_docs)]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crossrun::internals::plugin::Description;
use crossrun::internals::plugin::{inspect, sha256_of};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use peers::{Pair, heading};
use serde_json::Value;

/// How many plugins are listed.
const PLUGINS: usize = 100;
/// The length of a large file.
const LARGE: u64 = 500 << 20;
const ROUNDS: usize = 21;

/// The word that makes this program the other side of a pair.
const OPEN_ALL: &str = "--open-all";

fn main() {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == OPEN_ALL) {
        return open_all(Path::new(&words.next().unwrap()));
    }
    let folder = tempfile::tempdir().unwrap();
    let native = built();
    heading();
    listing(folder.path(), &native);
    inspection(folder.path(), &native);
}

/// A plugin in a release build.
fn built() -> PathBuf {
    let arguments = ["build", "--quiet", "--release", "-p", "native_runner"];
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = Path::new(env!("CARGO_BIN_EXE_crossrun")).ancestors().nth(2).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).arg("--target-dir").arg(target).current_dir(repository);
    assert!(cargo.status().unwrap().success());
    target.join("release/libnative_runner.so")
}

/// A listing in a process of its own, beside a process that opens each file as a loader would, before it asks anything.
fn listing(folder: &Path, native: &Path) {
    let plugins = folder.join("plugins");
    fs::create_dir(&plugins).unwrap();
    let whole = fs::read(native).unwrap();
    for number in 0..PLUGINS {
        // Of the same length, so that nothing else of the file changes.
        let name = format!("p{number:05}");
        fs::write(plugins.join(format!("lib{name}_runner.so")), renamed(&whole, &name)).unwrap();
    }
    let list = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossrun"));
        command.args(["backends", "--no-probe"]).args(more).arg("--plugin-dir").arg(&plugins);
        command.env("CROSSRUN_DATA_DIR", folder.join("data"));
        command
    };
    let rows: Value = serde_json::from_slice(&list(&["--json"]).output().unwrap().stdout).unwrap();
    let found = rows.as_array().unwrap().iter().filter(|row| row["status"] == "found").count();
    assert_eq!(found, PLUGINS);
    let open_all = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(OPEN_ALL).arg(&plugins);
        command
    };
    let name = format!("`crossrun backends --no-probe` of {PLUGINS} plugins, beside dlopen of each");
    let pair = Pair { with: || timed(list(&[])), without: || timed(open_all()) };
    pair.compare(&name, "< 150 ms", ROUNDS);
}

/// `library` with another name in its metadata.
fn renamed(library: &[u8], name: &str) -> Vec<u8> {
    let (from, to) = (b"\nname=native\n", format!("\nname={name}\n"));
    let at = library.windows(from.len()).position(|window| window == from).unwrap();
    let mut library = library.to_vec();
    library[at..at + from.len()].copy_from_slice(to.as_bytes());
    library
}

fn timed(mut command: Command) -> f64 {
    let started = Instant::now();
    let status = command.stdout(Stdio::null()).status().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    assert!(status.success());
    seconds
}

/// Opens every file in `folder`.
fn open_all(folder: &Path) {
    let mut opened = 0;
    for entry in fs::read_dir(folder).unwrap() {
        // SAFETY: the file is a copy of our own plugin, whose constructors do nothing that hurts.
        let library = unsafe { Library::open(Some(entry.unwrap().path()), RTLD_NOW | RTLD_LOCAL) };
        std::mem::forget(library.unwrap());
        opened += 1;
    }
    assert_eq!(opened, PLUGINS);
}

/// A plugin of 500 MiB, with a hole at its end or with a section that is full of bytes, beside the plugin as it is.
fn inspection(folder: &Path, native: &Path) {
    // In one folder with the others: resolving a path takes longer the longer it is.
    let alone = folder.join("libalone.so");
    fs::copy(native, &alone).unwrap();
    let native = alone.as_path();
    let sparse = folder.join("libsparse.so");
    fs::copy(native, &sparse).unwrap();
    OpenOptions::new().write(true).open(&sparse).unwrap().set_len(LARGE).unwrap();
    let full = with_section(folder, native);
    for (name, large) in [("a hole", &sparse), ("a section of bytes", &full)] {
        let size = large.metadata().unwrap().len();
        assert!(size >= LARGE && inspect(large).is_ok());
        let look = |path: &Path| {
            let started = Instant::now();
            inspect(path).unwrap();
            started.elapsed().as_secs_f64()
        };
        let (with, without) = (|| look(large), || look(native));
        Pair { with, without }.compare(
            &format!("inspecting 500 MiB with {name}, beside the plugin alone"),
            "",
            ROUNDS,
        );
        let listed = bytes_read(|| drop(inspect(large).unwrap()));
        let described = bytes_read(|| drop(Description::of(large, false).unwrap()));
        let kib = |bytes: u64| bytes / 1024;
        println!("  read of it: {} KiB to list it, {} KiB to describe it", kib(listed), kib(described));
        assert!(listed < size / 100 && described < size / 100);
    }
    let kib = bytes_read(|| drop(inspect(native).unwrap())) / 1024;
    println!("  read of the plugin alone, of {} KiB: {kib} KiB", native.metadata().unwrap().len() / 1024);
    let started = Instant::now();
    sha256_of(&full).unwrap();
    println!("  for comparison, the hash of 500 MiB: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
}

/// The plugin with a section of its own that holds 500 MiB.
fn with_section(folder: &Path, native: &Path) -> PathBuf {
    let (bytes, full) = (folder.join("bytes"), folder.join("libfull.so"));
    let mut file = File::create(&bytes).unwrap();
    let piece: Vec<u8> = (0..1 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for _ in 0..LARGE >> 20 {
        file.write_all(&piece).unwrap();
    }
    let section = format!(".big={}", bytes.display());
    let mut objcopy = Command::new("objcopy");
    objcopy.args(["--add-section", &section]).args([native, &full]);
    assert!(objcopy.status().expect("objcopy, which comes with the linker, is needed").success());
    fs::remove_file(bytes).unwrap();
    full
}

/// What this process reads during `body`, by the kernel's count.
fn bytes_read(body: impl FnOnce()) -> u64 {
    let read = || {
        let io = fs::read_to_string("/proc/self/io").unwrap();
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse::<u64>().unwrap()
    };
    let before = read();
    body();
    read() - before
}
