//! The reference pages for authors have every name of what they describe, and no other.

use std::collections::BTreeSet;

use crate::support::repository;

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words of a text, as a programming language has them.
fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic())).map(str::to_owned).collect()
}

/// The words that a page has as code.
fn code(page: &str) -> BTreeSet<String> {
    page.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).flat_map(words).collect()
}

const HEADERS: [&str; 4] =
    ["crossrun.h", "crossrun_workloads.h", "crossrun_workload_kit.h", "crossrun_remote_kit.h"];

/// A header without its comments.
fn header(name: &str) -> String {
    let text = read(&format!("plugin-api/include/{name}"));
    let mut parts = text.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| whole + part.split_once("*/").map_or("", |(_, rest)| rest))
}

/// The names of the fields of all structs: of pointers to functions as of any others.
fn fields(header: &str) -> BTreeSet<String> {
    let bodies = header.split("\n}").filter_map(|text| text.rsplit_once(" {\n")).filter(|(before, _)| {
        let declaration = before.lines().last().unwrap_or_default();
        declaration.starts_with("typedef struct") || declaration.starts_with("struct")
    });
    let names = |(_, body): (&str, &str)| body.split(';').flat_map(declared).collect::<Vec<_>>();
    bodies.flat_map(names).collect()
}

/// The names that one declaration of a field declares.
fn declared(declaration: &str) -> Vec<String> {
    let pointer = declaration.split_once("(*").and_then(|(_, rest)| rest.split_once(')'));
    if let Some((name, _)) = pointer {
        return vec![name.to_owned()];
    }
    let last = |part: &str| {
        let words: Vec<_> = part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        words.into_iter().rfind(|word| !word.is_empty()).map(str::to_owned)
    };
    declaration.split(',').filter_map(last).collect()
}

/// What the headers have of the plugin's interface: types, functions, macros, constants.
fn interface(header: &str) -> BTreeSet<String> {
    let ours = |word: &String| word.starts_with("CROSSRUN_") || word.starts_with("crossrun_");
    // Guards of the headers, the section's variable, the functions of a library, which the page has without
    // their prefix, and parts of the kit for processes elsewhere.
    let is_internal = |word: &String| {
        let parts = ["CROSSRUN_FIND", "CROSSRUN_FUNCTIONS", "crossrun_rotated", "crossrun_sha256_block"];
        word.ends_with("_H")
            || word == "crossrun_metadata"
            || word.starts_with("crossrun_workload_")
            || parts.contains(&word.as_str())
    };
    words(header).into_iter().filter(|word| ours(word) && !is_internal(word)).collect()
}

/// The functions of a library, without their prefix.
fn functions(header: &str) -> BTreeSet<String> {
    let name = |word: &String| word.strip_prefix("crossrun_workload_").map(str::to_owned);
    words(header)
        .iter()
        .filter_map(name)
        .filter(|name| !["", "functions", "kit", "workload"].contains(&name.as_str()))
        .collect()
}

#[test]
fn the_page_for_c_has_every_name_of_the_headers() {
    let headers = HEADERS.map(header).concat();
    let page = read("docs/c.md");
    let documented = code(&page);
    let fields = fields(&headers);
    for known in ["fusion_off", "log", "state_emit", "max", "remaining_nanos"] {
        assert!(fields.contains(known), "{known} is not found in {fields:?}");
    }
    let all: BTreeSet<_> = [interface(&headers), fields, functions(&headers)].into_iter().flatten().collect();
    let missing: Vec<_> = all.difference(&documented).collect();
    assert_eq!(missing, [""; 0], "docs/c.md lacks");
    let known = words(&headers);
    let is_ours = |word: &&String| word.starts_with("CROSSRUN_") || word.starts_with("crossrun_");
    let files = ["crossrun_workload_", "CROSSRUN_STAGE_", "crossrun_workload_kit"];
    let unknown: Vec<_> = documented
        .iter()
        .filter(is_ours)
        .filter(|word| !known.contains(*word) && !files.contains(&word.as_str()))
        .filter(|word| !HEADERS.iter().any(|header| header.starts_with(word.as_str())))
        .collect();
    assert_eq!(unknown, [""; 0], "the headers lack");
}

/// The declarations of a header: each type, and each function that an author calls.
fn declarations(header: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = header.lines().map(str::trim_end).filter(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        let begins = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
        let (mut text, mut end) = (vec![line.trim()], line);
        if begins(&["typedef struct", "struct ", "enum "]) {
            while !(end.starts_with('}') || (text.len() == 1 && end.ends_with(';'))) {
                end = lines.next().unwrap();
                text.push(end.trim());
            }
        } else if begins(&["static inline "]) {
            while !end.ends_with('{') {
                end = lines.next().unwrap();
                text.push(end.trim());
            }
        } else if !begins(&["void crossrun_push", "void crossrun_append", "void crossrun_add_input"]) {
            continue;
        }
        let text = text.join(" ");
        let text = text.strip_prefix("static inline ").map_or(text.clone(), |text| text.replace(" {", ";"));
        found.push(text.replace("( ", "("));
    }
    let internal = ["crossrun_rotated", "crossrun_sha256_block"];
    found.retain(|text| !internal.iter().any(|name| text.contains(name)));
    found
}

#[test]
fn the_page_for_c_has_the_types_of_the_headers_and_a_whole_backend() {
    let page = read("docs/c.md");
    let (text, types) = page.split_once("\n## Declarations\n").unwrap();
    let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(");
    let mut types = spaced(types);
    for name in HEADERS {
        for declaration in declarations(&header(name)) {
            assert!(types.contains(&declaration), "docs/c.md lacks, of {name}: {declaration}");
            types = types.replacen(&declaration, "", 1);
        }
    }
    let others = words(&types).into_iter().filter(|word| word.to_lowercase().starts_with("crossrun_"));
    let known = ["crossrun_workload_abi_version", "crossrun_workload_functions"];
    let others: Vec<_> = others.filter(|word| !known.contains(&word.as_str())).collect();
    let names = HEADERS.map(|name| name.trim_end_matches(".h"));
    let others: Vec<_> = others.iter().filter(|word| !names.contains(&word.as_str())).collect();
    assert_eq!(others, [""; 0], "the headers have no such declarations: {types}");
    let example = read("plugin-api/examples/c/minimal_backend.c");
    let (_, code) = example.split_once("*/\n").unwrap();
    assert!(text.contains(code), "docs/c.md does not have examples/c/minimal_backend.c");
}

#[test]
fn the_page_for_python_has_every_name_of_the_package() {
    let package = "plugins/python_engine/python/crossrun_engine";
    let exported = read(&format!("{package}/__init__.py"));
    let exported = words(exported.split_once("__all__ = [").unwrap().1);
    let documented = code(&read("docs/python.md"));
    let missing: Vec<_> = exported.difference(&documented).collect();
    assert_eq!(missing, [""; 0], "docs/python.md lacks");
    // What a driver calls, of the classes that every driver gets.
    for (module, classes) in [
        ("driver", &["Driver", "RunContext"][..]),
        ("spec", &["Spec", "Session", "Result"]),
        ("kernel", &["Workload", "State", "Stage"]),
        ("window", &["Window", "Waiter"]),
        ("phase", &["Phase", "Terminal"]),
        ("job", &["Job", "ShippedJob"]),
    ] {
        let text = read(&format!("{package}/{module}.py"));
        for class in classes {
            let missing: Vec<_> = members(&text, class).difference(&documented).cloned().collect();
            assert_eq!(missing, [""; 0], "docs/python.md lacks members of {class}");
        }
    }
}

/// The methods and the fields of a class in Python that do not begin with an underscore.
fn members(module: &str, class: &str) -> BTreeSet<String> {
    let lines = module.lines().skip_while(|line| !is_class(line, class)).skip(1);
    let body = lines.take_while(|line| line.is_empty() || line.starts_with([' ', ')']));
    let member = |line: &str| {
        let line = line.strip_prefix("    ").filter(|line| !line.starts_with(' '))?;
        let name = match line.strip_prefix("def ") {
            Some(method) => method.split_once('(')?.0,
            None => line.split_once(':').map(|(name, _)| name).filter(|name| words(name).contains(*name))?,
        };
        (!name.starts_with('_')).then(|| name.to_owned())
    };
    body.filter_map(member).collect()
}

fn is_class(line: &str, class: &str) -> bool {
    line.strip_prefix("class ")
        .and_then(|rest| rest.strip_prefix(class))
        .is_some_and(|rest| rest.starts_with(['(', ':']))
}
