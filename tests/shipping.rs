//! An executable by itself, manual pages, completions, and the archive work outside of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    self, NOBODY, Place, Ran, arguments_in, can_give, copy_executable, not_run, plugin, repository,
};

/// `program` with an environment of its own, as on another machine, in which `home` is the user's.
fn elsewhere(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
    command
}

fn run(mut command: Command, arguments: &[&str]) -> Ran {
    command.args(arguments);
    Ran::of(command)
}

#[test]
fn an_executable_without_plugins_names_the_searched_folders_and_the_remedy() {
    let place = Place::empty();
    let [bin, home] = ["bin", "my home"].map(|name| place.path().join(name));
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&home).unwrap();
    let installed = bin.join("crossrun");
    copy_executable(&installed);
    let crossrun = |arguments: &[&str]| run(elsewhere(&installed, &home), arguments);
    let plugins = home.join(".local/share/crossrun/plugins");
    let libraries = "\"${CARGO_TARGET_DIR:-target}\"/release/lib*.so";
    let command = format!("cargo build --release && install -D -t '{}' {libraries}", plugins.display());
    let listing = crossrun(&["backends"]).code(0).stdout();
    for folder in [bin.join("plugins"), bin.clone(), plugins.clone()] {
        assert!(listing.contains(&format!("\n  {}\n", folder.display())), "{listing}");
    }
    assert!(listing.contains(&command), "{listing}");
    for arguments in [["run", "--backend", "native"].as_slice(), &["compare"], &["metg"], &["selftest"]] {
        let ran = crossrun(arguments).code(3).says(&command);
        assert!(ran.stderr().contains(plugins.to_str().unwrap()), "{}", ran.explain());
    }
    // What the command does, with plugins that are built already.
    let mut install = Command::new("install");
    install.args(["-D", "-t"]).arg(&plugins).args(["native_runner", "standard_workloads"].map(plugin));
    assert!(install.status().unwrap().success());
    assert!(!crossrun(&["backends"]).code(0).stdout().contains("cargo build"));
    let mut verified = arguments_in("run --backend native --workload null --no-lock --json --output-dir");
    verified.push(home.to_str().unwrap());
    crossrun(&verified).verified();
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    let lines = listed.lines().take_while(|line| !line.trim().is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let place = Place::empty();
    let folder = place.path().join("share/man1");
    let ran = place.crossrun(&["man", folder.to_str().unwrap()]).code(0);
    assert!(ran.stdout().contains("man1/crossrun.1"), "{}", ran.explain());
    let page = |name: &str| {
        let page = std::fs::read_to_string(folder.join(format!("{name}.1")))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS"] {
            assert!(page.contains(part), "{name} has no {part}:\n{page}");
        }
        assert!(!page.contains(place.path().to_str().unwrap()), "{name} has a path of this machine");
        page
    };
    assert!(page("crossrun").contains("Exit codes"));
    let verbs = commands(&place.crossrun(&["--help"]).code(0).stdout());
    assert!(verbs.len() > 10 && verbs.iter().any(|verb| verb == "man"), "{verbs:?}");
    let mut pages = 1;
    for verb in &verbs {
        page(&format!("crossrun-{verb}"));
        pages += 1;
        for inner in commands(&place.crossrun(&[verb, "--help"]).code(0).stdout()) {
            page(&format!("crossrun-{verb}-{inner}"));
            pages += 1;
        }
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), pages);
    assert!(page("crossrun-compare").contains("\\-\\-backends"));
    std::fs::write(place.path().join("file"), "").unwrap();
    place.crossrun(&["man", "file/below"]).code(1).says("cannot write the manual pages into file/below");
}

#[test]
fn completions_are_scripts_that_their_shells_read() {
    let place = Place::empty();
    for (shell, reads) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = place.path().join(shell);
        std::fs::write(&script, place.crossrun(&["completions", shell]).code(0).stdout()).unwrap();
        let read = Command::new(shell).arg(reads).arg(&script).output();
        let Ok(read) = read else {
            assert_ne!(shell, "bash", "there is no bash");
            not_run(&format!("there is no {shell} to read its completions"));
            continue;
        };
        assert!(
            read.status.success() && read.stderr.is_empty(),
            "{shell}: {}",
            String::from_utf8_lossy(&read.stderr)
        );
    }
}

fn cargo(arguments: &[&str]) -> Ran {
    let mut command = support::cargo();
    command.args(arguments).current_dir(repository());
    Ran::of(command).code(0)
}

/// Every folder below `folder`.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let below = entries.filter(|path| path.is_dir() && !path.is_symlink());
    below.flat_map(|path| [vec![path.clone()], folders(&path)].concat()).collect()
}

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
#[ignore = "a release build of everything"]
fn the_archive_runs_from_any_folder() {
    let place = Place::empty();
    let output = place.path().join("archive");
    let told =
        cargo(&["run", "--quiet", "--locked", "-p", "archive", "--", "--output", output.to_str().unwrap()]);
    let archive = PathBuf::from(told.stdout().lines().next().unwrap());
    let mut sums = Command::new("sha256sum");
    sums.args(["--check", "--strict"]).arg(archive.with_extension("gz.sha256")).current_dir(&output);
    assert!(sums.status().unwrap().success());
    // A path with a space, whose owner is somebody else than who runs it.
    let unpacked = place.path().join("un packed");
    std::fs::create_dir(&unpacked).unwrap();
    let tar = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&unpacked).status().unwrap();
    assert!(tar.success());
    let folder = std::fs::read_dir(&unpacked).unwrap().flatten().next().unwrap().path();
    // A clone may be in a folder such as `/src`, which texts have for other reasons: of that only what is below it can be told.
    let repository = repository().display().to_string();
    let private = match Path::new(&repository).components().count() {
        0..=2 => ["host/", "plugin-api/"].map(|folder| format!("{repository}/{folder}")).to_vec(),
        _ => vec![repository],
    };
    for file in files(&folder) {
        let bytes = std::fs::read(&file).unwrap();
        let holds = |path: &&String| bytes.windows(path.len()).any(|window| window == path.as_bytes());
        assert_eq!(private.iter().find(holds), None, "{}", file.display());
    }
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let crossrun = |arguments: &[&str]| {
        let mut command = elsewhere(&folder.join("crossrun"), &home);
        as_nobody(&mut command, &place, &home);
        run(command, arguments)
    };
    let backends = crossrun(&["backends", "--json"]).code(0).json();
    let rows = backends.as_array().unwrap();
    assert_eq!(rows.len(), files(&folder.join("plugins")).len());
    for row in rows {
        let (status, path) = (row["status"].as_str().unwrap(), row["path"].as_str().unwrap());
        assert!(
            ["available", "unavailable"].contains(&status) && path.starts_with(folder.to_str().unwrap()),
            "{row}"
        );
    }
    let out = home.join("results");
    for backend in ["native", "timely", "python"] {
        let run = format!("run --backend {backend} --workload word_count --items 1000 --json --no-lock");
        let out = ["--output-dir", out.to_str().unwrap()];
        crossrun(&[&arguments_in(&run)[..], &out].concat()).verified();
    }
    for file in [
        "README.md",
        "THIRD-PARTY.txt",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "doc/README.md",
        "doc/docs/README.md",
        "doc/docs/operating.md",
        "doc/docs/what-changed-for-authors.md",
        "doc/plugin-api/ABI.md",
        "man/man1/crossrun-compare.1",
        "completions/zsh/_crossrun",
        "completions/bash/crossrun",
        "completions/fish/crossrun.fish",
    ] {
        assert!(folder.join(file).metadata().is_ok_and(|status| status.len() > 100), "{file}");
    }
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(readme.contains("It needs glibc 2."), "{readme}");
}

/// The package of this format, made in `place`.
fn package(place: &Place, format: &str) -> PathBuf {
    let output = place.path().join("dist");
    let archive = ["run", "--quiet", "--locked", "-p", "archive", "--"];
    let told = cargo(&[&archive[..], &[format, "--output", output.to_str().unwrap()]].concat());
    PathBuf::from(told.stdout().lines().next().unwrap())
}

/// Has a user who is not root run a command, where that can be had. The user gets the folder `home` of the place.
fn as_nobody(command: &mut Command, place: &Place, home: &Path) {
    if !can_give() || !place.others_may_enter() {
        return;
    }
    for folder in [place.path(), home] {
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    std::os::unix::process::CommandExt::uid(command, NOBODY);
    std::os::unix::process::CommandExt::gid(command, NOBODY);
}

/// Runs `python` and `native` with the installed program, as a user who is not root where that can be had.
fn compares(place: &Place, program: &Path) {
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    for backend in ["native", "python"] {
        let mut command = elsewhere(program, &home);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(&home);
        as_nobody(&mut command, place, &home);
        let words = format!("run --backend {backend} --workload word_count --items 1000 --json --no-lock");
        run(command, &arguments_in(&words)).verified();
    }
}

#[test]
#[ignore = "a release build of everything"]
fn the_wheel_installs_into_an_environment_and_leaves_nothing() {
    let place = Place::empty();
    let wheel = package(&place, "wheel");
    let environment = place.path().join("environment");
    assert!(Command::new("python3").args(["-m", "venv"]).arg(&environment).status().unwrap().success());
    let pip = |arguments: &[&str]| {
        let mut command = Command::new(environment.join("bin/python"));
        command.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]).args(arguments);
        Ran::of(command).code(0)
    };
    let (before, folders_before) = (files(&environment), folders(&environment));
    pip(&["install", "--no-index", "--no-compile", wheel.to_str().unwrap()]);
    assert!(environment.join("lib/crossrun/plugins/libnative_runner.so").exists());
    compares(&place, &environment.join("bin/crossrun"));
    pip(&["uninstall", "--yes", "crossrun-bench"]);
    let left: Vec<_> = files(&environment).into_iter().filter(|file| !before.contains(file)).collect();
    // Python compiles pip itself when it runs.
    assert!(left.iter().all(|file| file.extension().is_some_and(|it| it == "pyc")), "{left:?}");
    let is_new = |folder: &PathBuf| !folders_before.contains(folder) && !folder.ends_with("__pycache__");
    let left: Vec<_> = folders(&environment).into_iter().filter(is_new).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
#[ignore = "a release build of everything"]
fn the_deb_installs_into_a_fresh_root_and_leaves_nothing() {
    let place = Place::empty();
    let deb = package(&place, "deb");
    if Command::new("dpkg").arg("--version").output().is_err() || !can_give() {
        return not_run("it needs dpkg and root");
    }
    let root = place.path().join("root");
    for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "tmp"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for file in ["status", "available"] {
        std::fs::write(root.join("var/lib/dpkg").join(file), "").unwrap();
    }
    let dpkg = |arguments: &[&str]| {
        let mut command = Command::new("dpkg");
        command
            .arg(format!("--root={}", root.display()))
            .args(["--force-depends", "--log=/dev/null"])
            .args(arguments);
        Ran::of(command).code(0)
    };
    dpkg(&["--install", deb.to_str().unwrap()]);
    compares(&place, &root.join("usr/bin/crossrun"));
    dpkg(&["--purge", "crossrun"]);
    assert!(!root.join("usr").exists(), "{:?}", files(&root.join("usr")));
}

#[test]
#[ignore = "a build of the host into another folder"]
fn cargo_installs_the_host() {
    let place = Place::empty();
    let root = place.path().join("root");
    let root = root.to_str().unwrap();
    cargo(&["install", "--quiet", "--path", "host", "--locked", "--debug", "--root", root]);
    let installed = Path::new(root).join("bin/crossrun");
    let listing = run(elsewhere(&installed, place.path()), &["backends"]).code(0).stdout();
    assert!(
        listing.starts_with("no library was found in") && listing.contains("cargo build --release"),
        "{listing}"
    );
}
