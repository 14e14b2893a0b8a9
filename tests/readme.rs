//! What the README shows is true.

use crate::support::{Place, build_outside, plugin, repository};

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).unwrap()
}

/// The text of the first code block of `language`.
fn block(language: &str) -> String {
    let readme = readme();
    let (_, rest) = readme.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0.to_owned()
}

#[test]
fn its_backend_builds_outside_the_tree_and_is_verified() {
    let library = build_outside("mine", &block("rust"));
    let place = Place::empty();
    place.stage(&library);
    place.stage(&plugin("standard_workloads"));
    let run = ["run", "--json", "--backend", "mine", "--workload", "pipeline", "--items", "100"];
    assert_eq!(place.crossrun(&run).code(0).json()["metadata"]["verified"], true);
}

#[test]
fn its_links_lead_to_files() {
    let readme = readme();
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let links: Vec<_> = links.filter(|link| !link.starts_with("http") && !link.starts_with('#')).collect();
    assert!(links.len() > 5);
    for link in links {
        assert!(repository().join(link).exists(), "README.md links to {link}");
    }
}

#[test]
fn the_ci_script_runs_its_test_command() {
    assert!(readme().contains("<!-- test command -->\n```\ncargo test --workspace\n```"));
}
