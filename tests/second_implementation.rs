//! The second implementation of the standard workloads, in Python, and the SQL of `docs/nexmark.md` in DuckDB have the answers
//! that the library is tested for.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{executable, repository};

const FOLDER: &str = "plugins/standard_workloads";
const PACKAGES: [&str; 2] = ["duckdb==2.0.1", "xxhash==4.1.0"];

/// Python with DuckDB, in an environment that is kept between test runs.
pub(crate) fn python_with_duckdb() -> Command {
    let environment = executable().ancestors().nth(2).unwrap().join("second_implementation");
    // Another test may make the same one, also in another process.
    let lock = fs::File::create(environment.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    python(&environment)
}

fn python(environment: &Path) -> Command {
    let python = environment.join("bin/python");
    // Written last: an installation that was interrupted is made anew.
    let installed = environment.join(PACKAGES.join(" "));
    if !installed.exists() {
        let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment).status();
        assert!(made.unwrap().success());
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        let packages = Command::new(&python).args(pip).args(PACKAGES).status();
        assert!(packages.unwrap().success());
        fs::write(installed, "").unwrap();
    }
    Command::new(python)
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs DuckDB: CROSSRUN_TEST_ENGINES=all")]
fn every_answer_is_that_of_the_second_implementation() {
    let ran = python_with_duckdb().arg(repository().join(FOLDER).join("golden.py")).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let tested = fs::read_to_string(repository().join(FOLDER).join("src/conformance.rs")).unwrap();
    // A long row has more than one line there.
    let without_blanks = |text: &str| text.split_whitespace().collect::<String>().replace(",)", ")");
    let (tested, rows) = (without_blanks(&tested), String::from_utf8(ran.stdout).unwrap());
    assert!(rows.lines().count() > 20, "{rows}");
    for row in rows.lines() {
        assert!(tested.contains(&without_blanks(row)), "{FOLDER}/src/conformance.rs has no row {row}");
    }
}
