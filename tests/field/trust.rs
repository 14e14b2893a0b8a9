//! Links, folders and names of other users.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::field::wrappers::{with_environment_of, wrapped};
use crate::support::{Place, Ran, SOMEBODY, is_root, not_run, plugin};

const RUN: [&str; 7] = ["run", "--backend", "native", "--workload", "null", "--items", "3"];

/// A folder in which everybody may make entries, as `/tmp`, with a link that belongs to another user.
fn link_of_somebody(place: &Place, target: &Path) -> PathBuf {
    let shared = place.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    let link = shared.join("link");
    symlink(target, &link).unwrap();
    lchown(&link, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    link
}

/// Ends a loop that goes on until this is true, also where a test fails before: a scope waits for its threads.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// crossrun with the plugins of `folder`.
fn with_plugins(place: &Place, folder: &Path, words: &[&str]) -> Ran {
    let usual = place.command(&[]);
    let mut command = Command::new(usual.get_program());
    command.args(words).arg("--plugin-dir").arg(folder).current_dir(place.path());
    Ran::of(with_environment_of(&usual, command))
}

#[test]
fn no_remedy_changes_the_permissions_of_a_device() {
    let place = Place::new();
    for more in
        [&["run", "--backend", "native", "--locked=/dev/null"][..], &["run", "--backend", "a=/dev/null"]]
    {
        let ran = place.crossrun(more).code(3).says("not a regular file");
        assert!(!ran.stderr().contains("chmod"), "{}", ran.explain());
        assert!(!ran.stderr().contains("--output /dev/null"), "{}", ran.explain());
    }
}

#[test]
fn a_link_that_another_user_can_replace_is_not_followed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let link = link_of_somebody(&place, &place.plugins());
    let words = format!("the link {} on the way to it belongs to user {SOMEBODY}", link.display());
    // The folder, a file behind the link, and a file that is the link.
    with_plugins(&place, &link, &RUN).code(3).says(&words);
    let file = link.join("libnative_runner.so");
    let named = format!("mine={}", file.display());
    let compare = ["compare", "--workloads", "null", "--dry-run", "--backends", &named];
    place.crossrun(&compare).code(3).says(&words).says("--allow-untrusted");
    place.crossrun(&[&compare, ["--allow-untrusted"].as_slice()].concat()).code(0);
    place.crossrun(&["backends", "check", file.to_str().unwrap()]).code(3).says(&words);
    fs::remove_file(&link).unwrap();
    symlink(plugin("native_runner"), &link).unwrap();
    place.crossrun(&compare).code(3);
    // The same link of one's own.
    fs::remove_file(&link).unwrap();
    symlink(place.plugins(), &link).unwrap();
    place.crossrun(&compare).code(0);
    with_plugins(&place, &link, &RUN).code(0);
}

#[test]
fn no_output_follows_a_link_that_another_user_has_put_into_a_folder_of_all() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.crossrun(&RUN).code(0);
    let precious = place.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let link = link_of_somebody(&place, &precious);
    let name = link.to_str().unwrap();
    for option in ["--csv", "--md", "--html"] {
        let ran = place.crossrun(&["report", "results/null", option, name]).code(1);
        ran.says(&format!("user {SOMEBODY} has put {name} into a folder that everybody can write to"));
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious", "{option}");
    }
    // One that is yet to be made, and a pipe.
    fs::remove_file(&precious).unwrap();
    place.crossrun(&["backends", "lock", "--output", name]).code(1).says("has put ");
    assert!(!precious.exists());
    let pipe = link.with_file_name("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    chown(&pipe, Some(SOMEBODY), None).unwrap();
    let report = ["report", "results/null", "--md", pipe.to_str().unwrap()];
    place.crossrun(&report).code(1).says("has put ");
    // A link of one's own is followed there, too.
    lchown(&link, Some(0), Some(0)).unwrap();
    place.crossrun(&["report", "results/null", "--csv", name]).code(0);
    assert!(precious.is_file() && link.is_symlink());
}

#[test]
fn no_output_goes_through_a_folder_that_is_a_link_of_another_user() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.crossrun(&RUN).code(0);
    let precious = place.path().join("precious");
    fs::create_dir(&precious).unwrap();
    let link = link_of_somebody(&place, &precious);
    let (file, folder) = (link.join("file"), link.join("new/folder"));
    let (file, folder) = (file.to_str().unwrap(), folder.to_str().unwrap());
    // A link of one's own leads to it.
    let own = place.path().join("own");
    symlink(&link, &own).unwrap();
    let own = own.to_str().unwrap();
    let compare = ["compare", "--no-lock", "--quick", "--backends", "native", "--workloads", "null"];
    let commands: [&[&str]; 11] = [
        &["report", "results/null", "--csv", file],
        &["report", "results/null", "--md", file],
        &["report", "results/null", "--html", file],
        &["backends", "lock", "--output", file],
        &["workloads", "show", "task_graph", "--items", "12", "--extra", "width=4", "--svg", file],
        &["man", folder],
        &["backends", "new", "mine", "--dir", folder],
        &["workloads", "new", "ours", "--dir", own],
        &[&RUN[..], &["--no-lock", "--output-dir", folder]].concat(),
        &[&RUN[..], &["--no-lock", "--output-dir", own]].concat(),
        &[&compare[..], &["--items", "3", "--output-dir", folder]].concat(),
    ];
    for words in commands {
        let ran = place.crossrun(words).code(1);
        let entry = link.display();
        ran.says(&format!("user {SOMEBODY} has put {entry} into a folder that everybody can write to"));
        assert_eq!(fs::read_dir(&precious).unwrap().count(), 0, "{words:?}");
    }
    // The data folder, and with it the logs, are checked as plugins are.
    let mut command = place.command(&RUN);
    command.env("CROSSRUN_DATA_DIR", folder);
    Ran::of(command).code(3).says(&format!("the link {} on the way to it belongs", link.display()));
    assert_eq!(fs::read_dir(&precious).unwrap().count(), 0);
    // A link of one's own is followed there, too.
    lchown(&link, Some(0), Some(0)).unwrap();
    for words in commands {
        let _ = fs::remove_dir_all(&precious);
        fs::create_dir(&precious).unwrap();
        place.crossrun(words).code(0);
        assert!(fs::read_dir(&precious).unwrap().count() > 0, "{words:?}");
    }
}

/// A library that is no plugin, and that makes the file `ran` when it is loaded.
fn forbidden_library(place: &Place, ran: &Path) -> PathBuf {
    let [source, library] = ["forbidden.c", "forbidden.so"].map(|name| place.path().join(name));
    let code = format!(
        "#include <fcntl.h>\n__attribute__((constructor)) static void run(void) {{ open(\"{}\", O_CREAT | O_WRONLY, 0600); }}\n",
        ran.display()
    );
    fs::write(&source, code).unwrap();
    let made =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap();
    assert!(made.success());
    library
}

#[test]
fn nothing_but_the_checked_bytes_runs_while_links_and_files_are_replaced() {
    let place = Place::new();
    let [good, evil, link, ran] = ["good", "evil", "link", "ran"].map(|name| place.path().join(name));
    let forbidden = forbidden_library(&place, &ran);
    for folder in [&good, &evil] {
        fs::create_dir(folder).unwrap();
    }
    let (name, original) = ("libnative_runner.so", place.path().join("original.so"));
    fs::copy(plugin("native_runner"), &original).unwrap();
    fs::hard_link(&original, good.join(name)).unwrap();
    fs::hard_link(&forbidden, evil.join(name)).unwrap();
    symlink(&good, &link).unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ends = Ends(&ended);
        scope.spawn(|| {
            let next = place.path().join("next");
            while !ended.load(Ordering::Relaxed) {
                for (folder, file) in [(&evil, &forbidden), (&good, &original)] {
                    symlink(folder, &next).unwrap();
                    fs::rename(&next, &link).unwrap();
                    fs::hard_link(file, &next).unwrap();
                    fs::rename(&next, good.join(name)).unwrap();
                    // Hard links to one file: the rename leaves the new name where both are the same.
                    let _ = fs::remove_file(&next);
                }
            }
        });
        for _ in 0..12 {
            with_plugins(&place, &link, &["backends"]).code(0);
            with_plugins(&place, &good, &["backends"]).code(0);
        }
    });
    assert!(!ran.exists(), "a file that is no plugin was loaded");
}

#[test]
fn a_folder_that_a_link_is_in_is_checked_although_it_is_not_on_the_resolved_path() {
    let place = Place::new();
    let open = place.path().join("open");
    fs::create_dir(&open).unwrap();
    symlink(place.plugins(), open.join("link")).unwrap();
    with_plugins(&place, &open.join("link"), &RUN).code(0);
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let ran = with_plugins(&place, &open.join("link"), &RUN).code(3);
    ran.says("open above it can be written by everyone").says(&format!("chmod o-w {}", open.display()));
}

#[test]
fn engines_and_logs_are_not_kept_where_another_user_can_write() {
    let place = Place::new();
    place.crossrun(&RUN).code(0);
    let logs = place.data().join("logs");
    for folder in [place.data(), logs] {
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let ran = place.crossrun(&RUN).code(3).says("the data folder").says("can be written by everyone");
        ran.says(&format!("try: chmod o-w {}\n", folder.display()));
        place.crossrun(&[&RUN, ["--allow-untrusted"].as_slice()].concat()).code(0);
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    }
    if !is_root() {
        return;
    }
    chown(place.data(), Some(SOMEBODY), None).unwrap();
    place.crossrun(&RUN).code(3).says("belongs to user 54321");
}

#[test]
fn a_folder_of_root_is_mended_by_root() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut command = place.command(&["backends", "--json", "--no-probe"]);
    if !place.give_to_nobody(&mut command) {
        return;
    }
    chown(place.plugins(), Some(0), Some(0)).unwrap();
    fs::set_permissions(place.plugins(), Permissions::from_mode(0o777)).unwrap();
    let rows = Ran::of(command).code(0).json();
    assert_eq!(rows[0]["status"], "rejected", "{rows}");
    assert_eq!(rows[0]["remedy"], format!("sudo chmod o-w {}", place.plugins().display()), "{rows}");
}

#[test]
fn a_data_folder_that_is_made_is_nobody_elses_whatever_the_umask_is() {
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o022;
    for (verb, below) in
        [(&RUN[..], Some("logs")), (&["backends", "lock"], None), (&["doctor", "--reset"], None)]
    {
        let place = Place::new();
        let command = place.command(verb);
        Ran::of(wrapped("sh", &["-c", "umask 0; exec \"$@\"", "sh"], &command)).code(0);
        assert_eq!(mode(place.data()), 0, "{verb:?}");
        assert_eq!(below.map_or(0, |name| mode(place.data().join(name))), 0, "{verb:?}");
    }
}

#[test]
fn a_relative_folder_in_the_environment_is_no_place_to_search_or_to_write() {
    let place = Place::new();
    let entries = || {
        let entries = fs::read_dir(place.path()).unwrap().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let run = |variables: &[(&str, &str)]| {
        let mut command = place.command(&RUN);
        command.envs(variables.iter().copied());
        Ran::of(command)
    };
    fs::create_dir(place.path().join("relative")).unwrap();
    let inside = || fs::read_dir(place.path().join("relative")).unwrap().count();
    run(&[("TMPDIR", "relative")]).code(0);
    assert_eq!(inside(), 0, "{:?}", entries());

    let home = |variables: &[(&str, &str)]| {
        let mut command = place.command(&RUN);
        command.env_remove("CROSSRUN_DATA_DIR").env_remove("XDG_DATA_HOME").envs(variables.iter().copied());
        Ran::of(command)
    };
    home(&[("HOME", "relative")]).code(2).says("there is no home directory").says("CROSSRUN_DATA_DIR");
    assert_eq!(inside(), 0, "{:?}", entries());
    let own = place.path().join("home");
    fs::create_dir(&own).unwrap();
    home(&[("HOME", own.to_str().unwrap()), ("XDG_DATA_HOME", "relative")]).code(0);
    assert_eq!(inside(), 0, "{:?}", entries());
}

#[test]
fn the_name_of_a_participant_is_no_path() {
    let place = Place::new();
    let file = place.plugins().join("libnative_runner.so");
    let compare = |backends: &str| {
        place.crossrun(&["compare", "--workloads", "null", "--dry-run", "--backends", backends])
    };
    for name in ["../outside", "a/b", ".", ""] {
        compare(&format!("{name}={}", file.display())).code(2).says("letters, digits");
    }
    compare(file.to_str().unwrap()).code(3).says("there is no backend");
    compare("../plugins/libnative_runner.so").code(3).says("there is no backend");
}

#[test]
fn a_copy_of_ones_own_is_the_remedy_for_plugins_of_another_user_and_works() {
    if !is_root() {
        return;
    }
    // The folder, and a file in it.
    for whole in [true, false] {
        let place = Place::new();
        let file = place.plugins().join("libnative_runner.so");
        chown(if whole { place.plugins() } else { file }, Some(SOMEBODY), None).unwrap();
        let listed =
            with_plugins(&place, &place.plugins(), &["backends", "--json", "--no-probe"]).code(0).json();
        let rejected =
            listed.as_array().unwrap().iter().find(|row| row["status"] == "rejected").unwrap().clone();
        assert!(rejected["reason"].as_str().unwrap().contains("--allow-untrusted"), "{rejected}");
        let remedy = rejected["remedy"].as_str().unwrap();
        let pasted = Command::new("sh").args(["-c", remedy]).current_dir(place.path()).status().unwrap();
        assert!(pasted.success(), "{remedy}");
        let (copies, before) = (place.data().join("plugins"), place.plugins());
        let run = [&RUN[..], &["--plugin-dir", before.to_str().unwrap()]].concat();
        let ran = with_plugins(&place, &copies, &run).code(0);
        assert!(ran.stdout().contains("verified"), "{}", ran.explain());
    }
}

/// All users outside of a user namespace have the same number in it.
#[test]
fn an_owner_whom_the_user_namespace_does_not_map_is_no_user_to_trust() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    chown(place.plugins().join("libnative_runner.so"), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let command = place.command(&["backends", "--json", "--no-probe"]);
    let ran = Ran::of(wrapped("unshare", &["--user", "--map-root-user"], &command));
    if ran.stderr().contains("unshare: ") {
        return not_run("this user may not make a user namespace");
    }
    let listed = ran.code(0).json();
    let mut rows = listed.as_array().unwrap().iter();
    let Some(native) = rows.find(|row| row["status"] == "rejected") else { panic!("{listed}") };
    assert!(native["reason"].as_str().unwrap().contains("does not map"), "{native}");
    assert!(native["remedy"].as_str().unwrap().starts_with("--allow-untrusted"), "{native}");
}
