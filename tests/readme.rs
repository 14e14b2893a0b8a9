//! What the README and the pages of `docs` say is true.

use std::process::Command;

use crate::support::{Place, build_outside, plugin, repository};

fn page(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// The first block of a language on a page.
fn block(path: &str, language: &str) -> String {
    let page = page(path);
    let (_, rest) = page.split_once(&format!("\n```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0.to_owned() + "\n"
}

#[test]
fn the_page_on_workloads_has_one_that_builds_outside_the_tree_and_runs_everywhere() {
    let library = build_outside("tallies", &block("docs/workloads.md", "rust"));
    let place = Place::new();
    place.stage(&library);
    for backend in ["native", "timely", "python"] {
        place.stage(&plugin(&format!("{backend}_runner")));
        let run = ["run", "--json", "--workload", "tallies", "--items", "1000", "--backend", backend];
        let record = place.crossrun(&[&run, ["--extra", "batch_size=7"].as_slice()].concat()).verified();
        assert_eq!(record["metadata"]["results_count"], 10);
    }
    let checksum = |seed| {
        let run = ["run", "--json", "--workload", "tallies", "--items", "1000", "--backend", "native"];
        let record = place.crossrun(&[&run, ["--seed", seed].as_slice()].concat()).code(0).json();
        record["metadata"]["checksum"].clone()
    };
    assert_ne!(checksum("1"), checksum("2"), "other seeds are other data");
}

/// Links to files, and to headings of the same page.
fn links(text: &str) -> Vec<&str> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    links.filter(|link| !link.starts_with("http")).collect()
}

#[test]
fn the_smallest_backend_in_c_builds_and_is_available() {
    let place = Place::empty();
    let source = place.path().join("mine.c");
    std::fs::write(&source, block("docs/backends.md", "c")).unwrap();
    let output = Command::new("cc")
        .args(["-std=c99", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fPIC", "-shared", "-I"])
        .arg(repository().join("plugin-api/include"))
        .arg(&source)
        .arg("-o")
        .arg(place.plugins().join("libmine_runner.so"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = place.crossrun(&["backends", "--json"]).code(0).json();
    assert_eq!((&rows[0]["name"], &rows[0]["status"]), (&"mine".into(), &"available".into()), "{rows}");
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let told = format!("{} links to {link}", page.display());
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(path.exists(), "{told}");
            let to = std::fs::read_to_string(path).unwrap_or_default();
            assert!(heading.is_empty() || headings(&to).any(|of| of == heading), "{told}");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

/// As a link names them.
fn headings(page: &str) -> impl Iterator<Item = String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .collect::<String>()
            .replace(' ', "-")
    })
}

#[test]
fn the_ci_script_runs_its_test_command() {
    assert!(page("README.md").contains("<!-- test command -->\n```\ncargo test --workspace\n```"));
}

#[test]
fn the_page_for_contributors_says_how_many_tests_run_at_a_time() {
    let settings = page(".cargo/config.toml");
    let (_, rest) = settings.split_once("RUST_TEST_THREADS = \"").unwrap();
    let (number, _) = rest.split_once('"').unwrap();
    let said = format!("- {number} tests run at a time");
    assert!(page("CONTRIBUTING.md").contains(&said), "CONTRIBUTING.md does not have: {said}");
}

/// Every page of the repository. What else a user keeps in the clone, such as an environment of Python, is no part of it.
pub(crate) fn pages() -> Vec<std::path::PathBuf> {
    let at = |name: &str| repository().join(name);
    let mut pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(at).to_vec();
    let mut folders = FOLDERS.map(at).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() && name != "target" && !name.as_encoded_bytes().starts_with(b".") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// Whether a word is a place that a figure was to be put into, such as `@S4`.
fn is_placeholder(word: &str) -> bool {
    let rest = word.strip_prefix('@').unwrap_or_default();
    rest.starts_with(|c: char| c.is_ascii_uppercase()) && rest.ends_with(|c: char| c.is_ascii_digit())
}

#[test]
fn no_page_has_a_figure_that_was_never_filled_in() {
    assert!(is_placeholder("@S4") && !is_placeholder("@media") && !is_placeholder("S4"));
    let pages = pages();
    assert!(pages.iter().any(|page| page.ends_with("plugins/dask_runner/README.md")), "{pages:?}");
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let found: Vec<_> = text.split_whitespace().filter(|word| is_placeholder(word)).collect();
        assert!(found.is_empty(), "{}: {found:?}", page.display());
    }
}

#[test]
fn the_index_has_every_page() {
    let index = page("docs/README.md");
    let docs = repository().join("docs");
    for page in pages().iter().filter_map(|page| page.strip_prefix(&docs).ok()) {
        let link = format!("]({})", page.display());
        assert!(
            page.ends_with("README.md") || index.contains(&link),
            "docs/README.md has no link to {page:?}"
        );
    }
}

/// The code within the lines of a page, each with the text after it. Blocks of code are left out.
fn spans(text: &str) -> Vec<(String, String)> {
    let prose: String = text.split("\n```").step_by(2).collect();
    let parts: Vec<_> = prose.split('`').skip(1).collect();
    let span = |pair: &[&str]| (pair[0].replace('\n', " "), (*pair.get(1).unwrap_or(&"")).to_owned());
    parts.chunks(2).map(span).collect()
}

/// What a page says within a line as `crossrun …`.
fn commands_in_lines(text: &str) -> Vec<String> {
    let commands = spans(text).into_iter();
    commands.filter_map(|(span, _)| Some(span.strip_prefix("crossrun ")?.to_owned())).collect()
}

/// Folders of the repository: what a page names below them is there.
const FOLDERS: [&str; 7] = [".cargo", ".ci", "docs", "host", "plugin-api", "plugins", "tests"];

#[test]
fn every_file_of_the_repository_that_a_page_names_exists_or_is_said_to_have_moved() {
    let mut count = 0;
    for page in pages() {
        for (span, after) in spans(&std::fs::read_to_string(&page).unwrap()) {
            let is_path = !span.contains([' ', '*', '{', '…']);
            if !is_path || !span.split_once('/').is_some_and(|(top, _)| FOLDERS.contains(&top)) {
                continue;
            }
            let is_there =
                [repository(), page.parent().unwrap()].iter().any(|folder| folder.join(&span).exists());
            assert!(is_there || after.starts_with(" (now "), "{}: there is no {span}", page.display());
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn every_option_that_a_page_names_is_one_of_the_command() {
    let help = page("tests/released/options.snap");
    let help_of = |command: &str| {
        let (_, rest) = help.split_once(&format!("\n$ {command} --help\n"))?;
        rest.split("\n$ ").next()
    };
    let mut count = 0;
    for page in pages().iter().filter(|page| !page.ends_with("CHANGELOG.md")) {
        for command in commands_in_lines(&std::fs::read_to_string(page).unwrap()) {
            let words: Vec<_> = command.split(' ').collect();
            let two = words.get(..2).and_then(|words| help_of(&words.join(" ")));
            let Some(help) = two.or_else(|| help_of(words[0])) else { continue };
            for option in words.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
                let name = option.split('=').next().unwrap();
                let is_there = help.split([' ', '[', '\n']).any(|word| word == name);
                assert!(is_there, "{}: `crossrun {command}` has no {name}", page.display());
                count += 1;
            }
        }
    }
    assert!(count > 50, "{count}");
}
