//! The scripts of `docs/ci` measure, report and look at the history, as the action and the job beside them call them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::released::planted::{End, folder, trial};
use crate::support::{Place, Ran, executable, repository, with_environment_of};

fn scripts() -> PathBuf {
    repository().join("docs/ci")
}

/// A script with these variables, in `place`.
fn script(place: &Place, name: &str, variables: &[(&str, &str)]) -> Ran {
    // The variables of the place are those of its commands.
    let mut command = with_environment_of(&place.command(&[]), Command::new(scripts().join(name)));
    command.current_dir(place.path()).env_remove("GITHUB_STEP_SUMMARY").env("CROSSRUN", executable());
    command.env("CROSSRUN_PLUGIN_PATH", place.plugins()).env("CROSSRUN_RUN_ID", "1-abc");
    command.envs(variables.iter().copied());
    Ran::of(command)
}

#[test]
fn a_run_is_measured_reported_and_looked_at() {
    let place = Place::new();
    let measure = [
        ("CROSSRUN_BACKENDS", "native"),
        ("CROSSRUN_WORKLOADS", "null"),
        ("CROSSRUN_OPTIONS", "--items 200 --quick --no-lock"),
    ];
    script(&place, "set-up.sh", &[]).code(0);
    script(&place, "set-up.sh", &[("CROSSRUN_ENGINES", "nosuch,native")]).code(3).says("nosuch");
    script(&place, "measure.sh", &measure).code(0);
    let summary = place.path().join("job.md");
    script(&place, "report.sh", &[("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())]).code(0);
    let run = place.path().join("results/1-abc");
    let written = |name: &str| std::fs::read_to_string(run.join(name)).unwrap();
    assert!(written("junit.xml").contains("failures=\"0\""));
    assert!(written("github.json").contains("native/null"));
    assert_eq!(std::fs::read_to_string(&summary).unwrap(), written("summary.md"));
    let history = script(&place, "history.sh", &[]).code(0);
    assert!(history.stdout().contains("0 regressions"), "{}", history.explain());
}

#[test]
fn what_was_not_run_is_counted_once_with_its_reasons() {
    let place = Place::empty();
    let list = place.path().join("list");
    let counted = |text: &str| {
        std::fs::write(&list, text).unwrap();
        let mut command = Command::new(repository().join(".ci/not-run"));
        command.arg(&list);
        Ran::of(command).code(0).stdout()
    };
    assert_eq!(counted(""), "not run: 0 cases\n");
    assert_eq!(counted("a: no root\n"), "not run: 1 case\n  a: no root\n");
    assert_eq!(
        counted("b: no mount\na: no root\nb: no mount\n"),
        "not run: 2 cases\n  a: no root\n  b: no mount\n"
    );
    // `.ci/run` has the file that tests write to.
    let run = std::fs::read_to_string(repository().join(".ci/run")).unwrap();
    assert!(
        run.contains("export CROSSRUN_TEST_NOT_RUN=")
            && run.contains(".ci/not-run \"$CROSSRUN_TEST_NOT_RUN\"")
    );
}

#[test]
fn a_step_in_the_kept_runs_fails_the_job_unless_it_is_left_out() {
    let place = Place::empty();
    std::fs::create_dir(place.path().join("results")).unwrap();
    for day in 1..=14 {
        let of_block = |block: u32| {
            let seconds = if day < 9 { 1.0 } else { 1.2 };
            let mut trial =
                trial("native", "pipeline", block, End::Verified(seconds + f64::from(day % 3) * 0.01));
            trial["record"]["timestamp"] = format!("2026-03-{day:02}T04:00:0{block}.000000+00:00").into();
            trial["record"]["run_id"] = format!("{day}-abc/pipeline").into();
            trial
        };
        folder(&place, &format!("results/{day}-abc"), &(0..3).map(of_block).collect::<Vec<_>>());
    }
    let ran = script(&place, "history.sh", &[]).code(7);
    assert!(ran.stdout().contains("from run 9-abc on"), "{}", ran.explain());
    script(&place, "history.sh", &[("CROSSRUN_SINCE", "2026-03-09")]).code(0);
}

#[test]
fn the_inputs_of_the_action_are_values_and_never_commands() {
    let place = Place::empty();
    let hostile =
        [("RUNNER_TEMP", "/tmp/x"), ("INPUT_BACKENDS", "$(touch stolen);native"), ("INPUT_OPTIONS", "-x")];
    let printed = script(&place, "variables.sh", &hostile).code(0).stdout();
    assert!(printed.contains("CROSSRUN_BACKENDS=$(touch stolen);native\nCROSSRUN_WORKLOADS=\n"), "{printed}");
    assert!(printed.ends_with("CROSSRUN=crossrun\nCROSSRUN_DATA_DIR=/tmp/x/crossrun-data\n"), "{printed}");
    let two_lines = [("RUNNER_TEMP", "/tmp/x"), ("INPUT_SINCE", "2026-03-09\nPATH=/tmp")];
    script(&place, "variables.sh", &two_lines).code(1).says("SINCE has more than one line");
    script(
        &place,
        "measure.sh",
        &[
            ("CROSSRUN_BACKENDS", "$(touch stolen)"),
            ("CROSSRUN_WORKLOADS", "null"),
            ("CROSSRUN_OPTIONS", "`touch stolen`"),
        ],
    )
    .code(2);
    assert!(!place.path().join("stolen").exists());
}

#[test]
fn the_action_and_the_job_call_the_scripts_that_are_there_and_name_their_variables() {
    let text = |name: &str| std::fs::read_to_string(scripts().join(name)).unwrap();
    let (action, job) = (text("action.yml"), text("gitlab-ci.yml"));
    let is_script = |path: &Path| path.extension().is_some_and(|extension| extension == "sh");
    let files = std::fs::read_dir(scripts()).unwrap().map(|entry| entry.unwrap().path());
    for path in files.filter(|path| is_script(path)) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(action.contains(&format!("\"$GITHUB_ACTION_PATH/{name}\"")), "{name}");
        assert!(name == "variables.sh" || job.contains(&format!("ci/{name}")), "{name}");
    }
    for line in action.lines().filter(|line| line.trim_start().starts_with("run:")) {
        assert!(!line.contains("${{"), "an input in a command can be read as one: {line}");
    }
    // What the scripts read is what the two set, but for what has a default.
    let words = |text: &str| -> BTreeSet<String> {
        let parts = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        parts.filter(|word| word.starts_with("CROSSRUN_")).map(str::to_owned).collect()
    };
    let read: BTreeSet<_> = ["set-up.sh", "measure.sh", "report.sh", "history.sh"]
        .iter()
        .flat_map(|it| words(&text(it)))
        .collect();
    for variable in
        ["CROSSRUN_BACKENDS", "CROSSRUN_WORKLOADS", "CROSSRUN_ENGINES", "CROSSRUN_RUN_ID", "CROSSRUN_RESULTS"]
    {
        assert!(read.contains(variable) && words(&job).contains(variable), "{variable}");
        assert!(action.contains(&variable.replace("CROSSRUN_", "INPUT_")), "{variable}");
    }
    // The folder of a run has reports, which no other run may replace: a job that is run again has another id.
    assert!(job.contains("CROSSRUN_RUN_ID: $CI_JOB_ID-") && action.contains("${{ github.run_attempt }}-"));
}
