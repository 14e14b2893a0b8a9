//! `crossrun setup` on machines whose pip, uv and Python have settings of their own, and what becomes of an environment later.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::python_setup::wheels;
use crate::support::{Place, Ran, eventually, hostile, not_run, plugin};

const SETUP: [&str; 2] = ["setup", "provisioned"];
const RUN: [&str; 7] = ["run", "--backend", "provisioned", "--workload", "null", "--items", "9"];

fn place(runner: &str) -> Place {
    let place = Place::empty();
    place.stage(&plugin("standard_workloads"));
    place.stage(&hostile(runner));
    place
}

/// crossrun without the settings of this machine for pip and uv, and with a home of its own.
fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["PIP_", "UV_", "PYTHON", "XDG_"].iter().any(|start| name.starts_with(start)) {
            command.env_remove(name);
        }
    }
    let home = place.path().join("home");
    fs::create_dir_all(&home).unwrap();
    command.env("HOME", home);
    command
}

/// The same, with the fixtures' wheels for an index, and no network.
fn offline(place: &Place, arguments: &[&str]) -> Command {
    let mut command = command(place, arguments);
    command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", wheels(place));
    command
}

fn is_set_up_and_runs(place: &Place, setup: Command) {
    Ran::of(setup).code(0);
    Ran::of(offline(place, &RUN)).code(0);
}

/// Writes an executable file. Another process writes it: a file that this process has open could not be executed.
fn program(path: &Path, text: &str) {
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
    assert!(Command::new("sh").args(["-c", write]).arg(path).arg(text).status().unwrap().success());
}

#[test]
#[cfg_attr(not(all_engines), ignore = "makes environments with pip: CROSSRUN_TEST_ENGINES=all")]
fn variables_that_say_where_to_install_or_what_are_no_matter() {
    for (runner, name) in [("provisioned_runner", "provisioned"), ("built_runner", "built")] {
        let place = place(runner);
        let elsewhere = place.path().join("elsewhere");
        let constraint = place.path().join("constraint.txt");
        fs::write(&constraint, "tiny-engine==0.1\n").unwrap();
        let mut setup = offline(&place, &["setup", name]);
        for variable in
            ["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_SRC", "PIP_LOG", "PYTHONUSERBASE", "UV_TARGET"]
        {
            setup.env(variable, &elsewhere);
        }
        let switches = "PIP_USER PIP_REQUIRE_VIRTUALENV PIP_DRY_RUN PIP_NO_COMPILE PIP_QUIET PIP_ISOLATED";
        for variable in switches.split(' ') {
            setup.env(variable, "1");
        }
        for variable in
            ["PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "PIP_REQUIREMENT", "UV_CONSTRAINT", "UV_OVERRIDE"]
        {
            setup.env(variable, &constraint);
        }
        setup.env("PIP_NO_BINARY", ":all:").env("PIP_PLATFORM", "win32").env("PIP_PYTHON", "/no/such");
        setup.env("PYTHONHOME", "/no/such").env("PYTHONPATH", "/no/such").env("PYTHONWARNINGS", "error");
        setup.env("_PYTHON_SYSCONFIGDATA_NAME", "none").env("SETUPTOOLS_USE_DISTUTILS", "none");
        Ran::of(setup).code(0);
        let run = ["run", "--json", "--backend", name, "--workload", "null", "--items", "9"];
        Ran::of(offline(&place, &run)).verified();
        assert!(!elsewhere.exists());
    }
}

#[test]
#[cfg_attr(not(all_engines), ignore = "makes environments with pip: CROSSRUN_TEST_ENGINES=all")]
fn of_pips_files_only_where_packages_come_from_counts() {
    let place = place("provisioned_runner");
    let folder = place.path().join("home/.config/pip");
    // Variables of a Dockerfile or a CI system that nobody gave a value are empty, and hide nothing.
    let setup = || {
        let mut setup = command(&place, &SETUP);
        for empty in ["PIP_FIND_LINKS", "PIP_NO_INDEX", "UV_INDEX", "UV_OFFLINE"] {
            setup.env(empty, "");
        }
        setup
    };
    let mut first = setup();
    fs::create_dir_all(&folder).unwrap();
    let elsewhere = place.path().join("elsewhere");
    let (wheels, to) = (wheels(&place), elsewhere.display());
    let settings = format!(
        "[global]\nno-index = true\nfind_links =\n    /no/such\n    {}\nrequire-virtualenv = true\n\
         [install]\nuser = true\ntarget = {to}\nprefix = {to}\nconstraint = /no/such\n",
        wheels.display()
    );
    fs::write(folder.join("pip.conf"), &settings).unwrap();
    first.env("PATH", without_uv());
    is_set_up_and_runs(&place, first);
    assert!(!elsewhere.exists());
    // The file that a variable names.
    Ran::of(offline(&place, &["setup", "provisioned", "--remove"])).code(0);
    fs::rename(folder.join("pip.conf"), place.path().join("mine.conf")).unwrap();
    let mut second = setup();
    second.env("PIP_CONFIG_FILE", place.path().join("mine.conf"));
    is_set_up_and_runs(&place, second);
    assert!(!elsewhere.exists());
}

#[test]
#[cfg_attr(not(all_engines), ignore = "makes environments with pip: CROSSRUN_TEST_ENGINES=all")]
fn settings_that_pip_cannot_read_are_told_and_not_passed_over() {
    let place = place("provisioned_runner");
    let folder = place.path().join("home/.config/pip");
    let mut setup = offline(&place, &SETUP);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("pip.conf"), "index-url = https://index.invalid/simple\n").unwrap();
    setup.env("PATH", without_uv());
    let ran = Ran::of(setup).code(8).says("pip cannot read its settings").says("pip.conf");
    ran.says("; try: PIP_CONFIG_FILE=/dev/null crossrun setup provisioned");
    let mut remedy = offline(&place, &SETUP);
    remedy.env("PIP_CONFIG_FILE", "/dev/null").env("PATH", without_uv());
    is_set_up_and_runs(&place, remedy);
}

/// The search path without folders in which uv is.
fn without_uv() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap();
    std::env::join_paths(std::env::split_paths(&path).filter(|folder| !folder.join("uv").exists())).unwrap()
}

#[test]
#[cfg_attr(not(all_engines), ignore = "makes environments with pip: CROSSRUN_TEST_ENGINES=all")]
fn uv_takes_no_settings_of_the_project_that_it_is_called_in() {
    let place = place("provisioned_runner");
    let (programs, log) = (place.path().join("programs"), place.path().join("uv.log"));
    fs::create_dir(&programs).unwrap();
    // In place of uv: it refuses what the real one refuses, and has pip do its work.
    let script = format!(
        "case \"$*\" in *--help) exit 0;; esac\n\
         echo \"$@\" >> {log}; env >> {log}\n\
         case \"$*\" in *--no-config*) ;; *) [ ! -e pyproject.toml ] || {{ echo 'error: Required uv version `<0.1`'; exit 2; }};; esac\n\
         case \"$1\" in\n\
         venv) for last; do :; done; shift $(($# - 2)); exec \"$1\" -m venv \"$last\";;\n\
         pip) while [ \"$1\" != --python ]; do shift; done; python=\"$2\"; for last; do :; done\n\
         exec \"$python\" -I -m pip install --no-index --find-links \"$UV_FIND_LINKS\" -r \"$last\";;\n\
         esac",
        log = log.display()
    );
    program(&programs.join("uv"), &script);
    fs::write(place.path().join("pyproject.toml"), "[tool.uv]\nrequired-version = \"<0.1\"\n").unwrap();
    let mut setup = command(&place, &SETUP);
    let path = std::env::var_os("PATH").unwrap();
    let search = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&path)));
    setup.env("PATH", search.unwrap()).env("UV_FIND_LINKS", wheels(&place));
    for variable in
        ["UV_TARGET", "UV_PROJECT", "UV_PYTHON", "UV_CONSTRAINT", "UV_SYSTEM_PYTHON", "VIRTUAL_ENV"]
    {
        setup.env(variable, "/no/such");
    }
    is_set_up_and_runs(&place, setup);
    let said = fs::read_to_string(log).unwrap();
    assert!(said.contains("pip install") && said.contains("UV_FIND_LINKS="), "{said}");
    assert!(!said.contains("=/no/such"), "{said}");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "makes environments with pip: CROSSRUN_TEST_ENGINES=all")]
fn a_uv_that_leads_nowhere_and_files_among_the_environments_keep_no_set_up_back() {
    let place = place("provisioned_runner");
    let programs = place.path().join("programs");
    fs::create_dir(&programs).unwrap();
    program(&programs.join("uv"), "echo 'pyenv: uv: command not found' >&2; exit 127");
    fs::create_dir_all(place.data().join("environments/provisioned")).unwrap();
    fs::write(place.data().join("environments/provisioned/.DS_Store"), "").unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let search = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut setup = offline(&place, &SETUP);
    // By this variable uv is preferred.
    setup.env("PATH", &search).env("UV_FIND_LINKS", wheels(&place));
    is_set_up_and_runs(&place, setup);
}

#[test]
fn a_remedy_for_an_index_overrules_what_would_keep_it_from_being_used() {
    let place = place("provisioned_runner");
    without_packages(&place, &[("PIP_NO_INDEX", "1")]).code(8).says(NOT_REACHED).says(OTHER_INDEX);
}

const NOT_REACHED: &str = "no package index could be reached";
const OTHER_INDEX: &str =
    "; try: PIP_NO_INDEX=0 PIP_INDEX_URL=AN_INDEX_THAT_CAN_BE_REACHED crossrun setup provisioned";

/// A set-up with these variables that finds packages in an index alone.
fn without_packages(place: &Place, variables: &[(&str, &str)]) -> Ran {
    let empty = place.path().join("empty");
    fs::create_dir_all(&empty).unwrap();
    let mut command = command(place, &SETUP);
    command.env("PIP_FIND_LINKS", &empty).env("PATH", without_uv()).envs(variables.iter().copied());
    Ran::of(command)
}

#[test]
#[cfg_attr(not(all_engines), ignore = "makes environments with pip: CROSSRUN_TEST_ENGINES=all")]
fn the_remedy_for_an_index_helps_where_a_file_of_pip_says_that_there_is_none() {
    let place = place("provisioned_runner");
    let settings = place.path().join("home/.config/pip");
    fs::create_dir_all(&settings).unwrap();
    fs::write(settings.join("pip.conf"), "[global]\nno-index = true\n").unwrap();
    let setup = |variables: &[(&str, &str)]| without_packages(&place, variables);
    setup(&[]).code(8).says(NOT_REACHED).says(OTHER_INDEX);
    let index = index_of(&place, "tiny-engine", &wheels(&place).join("tiny_engine-1.0-py3-none-any.whl"));
    setup(&[("PIP_INDEX_URL", &index)]).code(8).says(NOT_REACHED);
    setup(&[("PIP_NO_INDEX", "0"), ("PIP_INDEX_URL", &index)]).code(0);
}

/// An index in a folder that has one package with one file.
fn index_of(place: &Place, package: &str, file: &Path) -> String {
    let folder = place.path().join("index");
    fs::create_dir_all(folder.join(package)).unwrap();
    let (path, name) = (file.to_str().unwrap(), file.file_name().unwrap().to_str().unwrap());
    let page = format!("<!DOCTYPE html><html><body><a href=\"file://{path}\">{name}</a></body></html>");
    fs::write(folder.join(package).join("index.html"), page).unwrap();
    format!("file://{}", folder.to_str().unwrap())
}

#[test]
fn remedies_of_a_set_up_quote_paths() {
    let place = place("driven_runner");
    let python = place.path().join("a b'c/python3");
    let ran = Ran::of(offline(&place, &["setup", "driven", "--python", python.to_str().unwrap()])).code(8);
    let told = ran.stderr();
    let (_, remedy) = told.trim_end().rsplit_once("; try: ").unwrap();
    // The shell reads it as an assignment and a command.
    let check = format!("crossrun() {{ :; }}; {remedy}");
    let pasted = Command::new("sh").args(["-c", &check]).output().unwrap();
    assert!(pasted.status.success() && pasted.stderr.is_empty(), "{told}\n{pasted:?}");
}

#[test]
fn a_data_folder_with_a_colon_is_told_and_what_needs_no_packages_runs_with_it() {
    let place = place("provisioned_runner");
    place.stage(&plugin("python_runner"));
    let data = place.path().join("a:b");
    let at = |words: &[&str]| {
        let mut command = offline(&place, words);
        command.env("CROSSRUN_DATA_DIR", &data);
        Ran::of(command)
    };
    let ran = at(&SETUP).code(8).says("/a:b has a colon, which divides lists of folders");
    ran.says("; try: export CROSSRUN_DATA_DIR=ANOTHER_FOLDER && crossrun setup provisioned");
    assert!(!data.join("environments/provisioned").exists());
    at(&["run", "--no-lock", "--backend", "python", "--workload", "null", "--items", "9"]).code(0);
}

#[test]
fn what_cannot_be_imported_is_not_declared_whole() {
    let place = place("provisioned_runner");
    let python = place.path().join("fake_python");
    // A real Python makes the environment, in which the engine's module is then refused.
    let refuse = "import sys; sys.modules[\\\"tiny_engine\\\"] = None";
    program(
        &python,
        &format!(
            "[ \"$3\" = -c ] && echo '[[3, 11, 0], \"{}\"]' && exit\npython3 \"$@\" || exit\n\
             for modules in \"$5\"/lib/python*/site-packages; do echo \"{refuse}\" > \"$modules/sitecustomize.py\"; done",
            python.display()
        ),
    );
    let arguments = ["setup", "provisioned", "--python", python.to_str().unwrap()];
    let ran = Ran::of(offline(&place, &arguments)).code(8).says("cannot be imported").says("tiny_engine");
    ran.says("; try: crossrun setup provisioned --python PATH_OF_ANOTHER_PYTHON");
    let left = fs::read_dir(place.data().join("environments/provisioned")).into_iter().flatten();
    assert_eq!(left.count(), 0);
    Ran::of(offline(&place, &RUN)).code(3).says("is not set up");
}

/// Two interpreters of different minor versions that the backend of these tests runs on.
fn two_pythons() -> Option<[PathBuf; 2]> {
    let names = (9..=14).map(|minor| format!("python3.{minor}"));
    let mut real = names.filter_map(|name| {
        let ask = "import venv, ensurepip, sys; print(sys.executable)";
        let output = Command::new(name).args(["-I", "-c", ask]).output().ok()?;
        let path = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| PathBuf::from(path.trim()))
    });
    let found = Some([real.next()?, real.next()?]);
    found.filter(|[one, other]| one != other)
}

fn status(ran: &Ran, name: &str) -> serde_json::Value {
    let rows = ran.json();
    rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone()
}

#[test]
fn a_python_that_changed_under_its_environment_is_noticed_and_the_remedy_works() {
    let Some([old, new]) = two_pythons() else {
        return not_run("there are no two versions of Python on the PATH");
    };
    let place = place("provisioned_runner");
    let folder = place.path().join("programs");
    fs::create_dir(&folder).unwrap();
    let python = folder.join("python3");
    symlink(old, &python).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let search = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let crossrun = |words: &[&str]| {
        let mut command = offline(&place, words);
        command.env("PATH", &search);
        Ran::of(command)
    };
    crossrun(&SETUP).code(0);
    assert_eq!(status(&crossrun(&["backends", "--json"]).code(0), "provisioned")["status"], "available");
    fs::remove_file(&python).unwrap();
    symlink(new, &python).unwrap();
    let row = status(&crossrun(&["backends", "--json"]).code(0), "provisioned");
    assert_eq!(row["status"], "unavailable", "{row}");
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.contains("was made with Python 3.") && reason.contains("but its Python is 3."), "{row}");
    crossrun(&RUN).code(3).says("was made with Python 3.");
    let remedy = format!("crossrun setup provisioned --plugin-dir {}", place.plugins().display());
    assert_eq!(row["remedy"], remedy);
    crossrun(&SETUP).code(0);
    crossrun(&RUN).code(0);
    // It is gone altogether: the next one on the path takes its place.
    fs::remove_file(&python).unwrap();
    assert_eq!(status(&crossrun(&["backends", "--json"]).code(0), "provisioned")["status"], "unavailable");
    crossrun(&SETUP).code(0);
    crossrun(&RUN).code(0);
}

#[test]
fn a_launcher_that_leads_nowhere_is_no_python_in_the_listing_either() {
    let place = place("driven_runner");
    let folder = place.path().join("programs");
    fs::create_dir(&folder).unwrap();
    let launchers = [
        ("exit 127", "is not a Python that works: exited with code 127"),
        ("echo 'pyenv: python3: command not found' >&2; exit 127", "python3: command not found"),
        ("echo '[[3, 6, 15], \"/old/python3\"]'", "is Python 3.6.15, but 3.9 to 3.14 is needed"),
        ("exec /bin/sleep 600", "is not a Python that works: no answer within 4 s"),
    ];
    for (number, (script, words)) in launchers.into_iter().enumerate() {
        program(&folder.join("python3"), script);
        let crossrun = |words: &[&str]| {
            let mut command = offline(&place, words);
            // On a busy machine, other parts of a probe may take longer than is left of it.
            command.env("PATH", &folder).env("CROSSRUN_DEADLINES", "probe=2m");
            Ran::of(command)
        };
        let row = status(&crossrun(&["backends", "--json"]).code(0), "driven");
        assert_eq!(row["status"], "unavailable", "{row}");
        assert!(row["reason"].as_str().unwrap().contains(words), "{row}");
        // It asks in the same way.
        if number == 0 {
            crossrun(&["run", "--backend", "driven", "--workload", "null"]).code(3).says(words);
        }
    }
}

/// A server that is asked for packages, and is ended with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// HTTPS on a port of its own, with a certificate that nobody has signed. Nothing if there is no `openssl` to make one.
fn https(place: &Place) -> Option<(Server, String)> {
    let (key, certificate, port) =
        (place.path().join("key"), place.path().join("certificate"), place.path().join("port"));
    let words =
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost";
    let mut openssl = Command::new("openssl");
    openssl
        .args(words.split(' '))
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null());
    if !openssl.status().is_ok_and(|status| status.success()) {
        return None;
    }
    let script = "import http.server, ssl, sys, os\n\
        key, certificate, port = sys.argv[1:]\n\
        server = http.server.ThreadingHTTPServer(('localhost', 0), http.server.SimpleHTTPRequestHandler)\n\
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
        context.load_cert_chain(certificate, key)\n\
        server.socket = context.wrap_socket(server.socket, server_side=True)\n\
        open(port + '.new', 'w').write(str(server.server_port))\n\
        os.rename(port + '.new', port)\n\
        server.serve_forever()\n";
    let mut python = Command::new("python3");
    python
        .args(["-I", "-c", script])
        .args([&key, &certificate, &port])
        .current_dir(place.data().parent().unwrap());
    let server = Server(python.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually("the server listens", || port.exists());
    Some((server, format!("https://localhost:{}/simple", fs::read_to_string(port).unwrap())))
}

#[test]
#[cfg_attr(not(all_engines), ignore = "makes environments with pip: CROSSRUN_TEST_ENGINES=all")]
fn a_certificate_that_is_not_trusted_is_told_from_an_index_that_cannot_be_reached() {
    let place = place("provisioned_runner");
    let Some((_server, index)) = https(&place) else { return not_run("openssl makes no certificate here") };
    let setup = |more: &[(&str, &str)]| {
        let mut command = command(&place, &SETUP);
        // Of what an index tells nothing, pip asks several times.
        command.env("PIP_INDEX_URL", &index).env("PIP_RETRIES", "0").env_remove("SSL_CERT_FILE");
        command.env_remove("SSL_CERT_DIR").env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
        // pip reads the name in small letters first.
        command.envs(more.iter().copied()).env("NO_PROXY", "localhost").env("no_proxy", "localhost");
        Ran::of(command).code(8)
    };
    let words = "the certificate of a package index is not trusted";
    setup(&[]).says(words).says("; try: PIP_CERT=FILE_WITH_THE_CERTIFICATE crossrun setup provisioned");
    setup(&[("PIP_CERT", "/no/such/file")]).says(words).says("/no/such/file");
    // With the certificate the index is reached, and does not have the package.
    let certificate = place.path().join("certificate");
    setup(&[("PIP_CERT", certificate.to_str().unwrap())]).says("no package index could be reached");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "makes environments with pip: CROSSRUN_TEST_ENGINES=all")]
fn a_proxy_that_cannot_be_used_is_named_with_its_variables() {
    let place = place("provisioned_runner");
    for proxy in ["socks5://127.0.0.1:1", "http://127.0.0.1:1"] {
        let mut setup = command(&place, &SETUP);
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "NO_PROXY"] {
            setup.env_remove(name);
        }
        setup.env("ALL_PROXY", proxy).env("HTTPS_PROXY", proxy).env("PIP_RETRIES", "1");
        setup.env("PIP_INDEX_URL", "https://index.invalid/simple");
        let ran = Ran::of(setup).code(8).says("the proxy in HTTPS_PROXY and ALL_PROXY cannot be used");
        ran.says("; try: env -u HTTPS_PROXY -u ALL_PROXY crossrun setup provisioned");
    }
    // pip takes the proxy of its file, whatever the variable says.
    let folder = place.path().join("home/.config/pip");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("pip.conf"), "[global]\nproxy = http://127.0.0.1:1\n").unwrap();
    let mut setup = command(&place, &SETUP);
    setup.env("HTTPS_PROXY", "http://127.0.0.1:2").env("PIP_RETRIES", "1");
    setup.env_remove("NO_PROXY").env_remove("no_proxy").env("PIP_INDEX_URL", "https://index.invalid/simple");
    let ran = Ran::of(setup).code(8).says("the proxy cannot be used");
    ran.says("; try: PIP_PROXY=http://HOST:PORT crossrun setup provisioned");
}

#[test]
fn a_remedy_is_never_the_command_that_has_just_failed() {
    let place = place("provisioned_runner");
    let mut setup = command(&place, &SETUP);
    let blocked = place.path().join("blocked");
    fs::write(&blocked, "").unwrap();
    fs::create_dir_all(place.data()).unwrap();
    symlink(&blocked, place.data().join("environments")).unwrap();
    setup.env("PIP_NO_INDEX", "1");
    let ran = Ran::of(setup).code(8);
    assert!(!ran.stderr().contains("try: crossrun setup provisioned\n"), "{}", ran.explain());
}
