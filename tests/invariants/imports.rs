//! The imports between the files of a crate, and their cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::sources::{Import, Sources};

/// The names that each file imports from each other file.
pub(super) type Edges<T> = BTreeMap<T, BTreeMap<T, BTreeSet<String>>>;

/// How many re-exports are followed before the search for a name ends.
const DEPTH: usize = 32;

/// Where a name leads.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    /// An item in this file.
    File(usize),
}

/// The imports between the files of a crate. A re-exported item counts as of the file that defines it. A re-export that the module's
/// own code does not use is no import, nor is a module by itself. A method in another file than its type is not seen.
pub(super) fn edges(sources: &Sources) -> Edges<PathBuf> {
    let mut edges: Edges<PathBuf> = BTreeMap::new();
    let path = |file: usize| sources.files[file].path.clone();
    for (number, module) in sources.modules.iter().enumerate() {
        let targets = edges.entry(path(module.file)).or_default();
        let is_used = |import: &&Import| !import.is_re_export || module.words.contains(&import.name);
        let imported = module.imports.iter().filter(is_used).map(|import| (&import.path, import.name == "*"));
        for (words, everything) in imported.chain(module.paths.iter().map(|path| (path, false))) {
            let file = match resolve(sources, number, words, DEPTH) {
                Some(Target::File(file)) => file,
                Some(Target::Module(other)) if everything => sources.modules[other].file,
                _ => continue,
            };
            if file != module.file {
                targets.entry(path(file)).or_default().insert(words.join("::"));
            }
        }
    }
    edges
}

/// The target of a path in a module; `None` if it is in another crate.
fn resolve(sources: &Sources, module: usize, path: &[String], depth: usize) -> Option<Target> {
    let depth = depth.checked_sub(1)?;
    let (first, rest) = path.split_first()?;
    let parent = |module: usize| sources.modules[module].parent.map(Target::Module);
    let mut target = match first.as_str() {
        "crate" => Target::Module(0),
        "self" => Target::Module(module),
        "super" => parent(module)?,
        name => look_up(sources, module, name, rest.is_empty(), depth)?,
    };
    for (place, name) in rest.iter().enumerate() {
        let Target::Module(module) = target else { break };
        target = if name == "super" {
            parent(module)?
        } else {
            let last = place + 1 == rest.len();
            // A name that no item has is a macro, or was made by a macro of that file.
            let file = *sources.macros.get(name).unwrap_or(&sources.modules[module].file);
            look_up(sources, module, name, last, depth).unwrap_or(Target::File(file))
        };
    }
    Some(target)
}

/// The target of a name in a module. A name of both a module and another item is the module if more of the path follows.
fn look_up(sources: &Sources, module: usize, name: &str, last: bool, depth: usize) -> Option<Target> {
    let own = &sources.modules[module];
    let child = own.children.get(name).map(|child| Target::Module(*child));
    if let (Some(child), false) = (child, last) {
        return Some(child);
    }
    if own.names.contains(name) {
        return Some(Target::File(own.file));
    }
    let imported = own.imports.iter().filter(|import| import.name == name);
    let imported = imported.filter_map(|import| resolve(sources, module, &import.path, depth)).next();
    let everything = || {
        own.imports.iter().filter(|import| import.name == "*").find_map(|import| {
            match resolve(sources, module, &import.path, depth)? {
                Target::Module(other) if other != module => {
                    look_up(sources, other, name, last, depth.checked_sub(1)?)
                }
                _ => None,
            }
        })
    };
    imported.or(child).or_else(everything)
}

/// The imports between groups of files.
pub(super) fn grouped(edges: &Edges<PathBuf>, group: impl Fn(&Path) -> String) -> Edges<String> {
    let mut found: Edges<String> = BTreeMap::new();
    for (from, targets) in edges {
        let from = group(from);
        let own = found.entry(from.clone()).or_default();
        for (to, names) in targets.iter().filter(|(to, _)| group(to) != from) {
            own.entry(group(to)).or_default().extend(names.iter().cloned());
        }
    }
    found
}

/// The largest sets of files that import each other, directly or not.
pub(super) fn cycles<T: Ord + Clone>(edges: &Edges<T>) -> BTreeSet<BTreeSet<T>> {
    let reached: BTreeMap<&T, BTreeSet<&T>> =
        edges.keys().map(|start| (start, reach(edges, start))).collect();
    let cycle = |(start, from_here): (&&T, &BTreeSet<&T>)| {
        let back = from_here.iter().filter(|other| reached[**other].contains(*start));
        back.map(|other| (*other).clone()).collect::<BTreeSet<T>>()
    };
    reached.iter().map(cycle).filter(|cycle| cycle.len() > 1).collect()
}

/// Everything that is reachable from `start` in one step or more.
fn reach<'a, T: Ord>(edges: &'a Edges<T>, start: &'a T) -> BTreeSet<&'a T> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
    while let Some(at) = next.pop() {
        next.extend(edges[at].keys().filter(|target| seen.insert(*target)));
    }
    seen
}

/// A description of the cycles, with the imports of each.
pub(super) fn describe<T: Ord + std::fmt::Debug>(edges: &Edges<T>, cycles: &BTreeSet<BTreeSet<T>>) -> String {
    let mut lines = Vec::new();
    for cycle in cycles {
        lines.push(format!("{} in a cycle:", cycle.len()));
        for from in cycle {
            for (to, names) in edges[from].iter().filter(|(to, _)| cycle.contains(*to)) {
                let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                lines.push(format!("  {from:?} -> {to:?}: {names}"));
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cycles of a crate with these files.
    fn cycles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let edges = edges(&Sources::of(&folder.path().join("lib.rs")));
        let name = |path: &Path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
        cycles(&grouped(&edges, name)).into_iter().map(|cycle| cycle.into_iter().collect()).collect()
    }

    const ROOT: (&str, &str) = ("lib.rs", "mod a; mod b; pub use a::A;");

    #[test]
    fn two_files_that_import_each_other_are_a_cycle_however_it_is_written() {
        let b = ("b.rs", "pub struct B; impl B { fn a(&self) -> super::a::A { todo!() } }");
        for a in [
            "pub struct A; use crate::b::B;",
            "pub struct A; use super::{b::{B as Other}};",
            "pub struct A; use crate::*; fn f() -> b::B { b::B }",
            "pub struct A { b: crate::b::B }",
            "pub struct A; fn f() { println!(\"{}\", crate::b::B) }",
            "pub struct A; fn f() { use crate::b; b::B; }",
            "pub struct A; mod inner { fn f() { super::super::b::B } }",
            "pub struct A; #[cfg(unix)] pub(crate) use crate::b::B; fn f(_: B) {}",
        ] {
            assert_eq!(cycles_of(&[ROOT, ("a.rs", a), b]), [["a.rs", "b.rs"]], "{a}");
        }
    }

    #[test]
    fn code_without_imports_makes_no_cycle() {
        let b = ("b.rs", "pub struct B; use crate::A;");
        for a in [
            "pub struct A;",
            "pub struct A; #[cfg(test)] use crate::b::B;",
            "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
            "pub struct A; #[cfg(test)]\nfn f() { crate::b::B }",
            "pub struct A; #[cfg(test)] mod not_written_yet;",
            "pub struct A; /// [`crate::b::B`]\nfn f() { \"crate::b::B\" }",
            "pub struct A; pub(in crate::b) fn f() {}",
            "pub struct A; pub(crate) use crate::b::B;",
            "pub struct A; use crate::b; use std::b::B; fn f() { other::b::B; ::b::B }",
        ] {
            assert!(cycles_of(&[ROOT, ("a.rs", a), b]).is_empty(), "{a}");
        }
    }

    #[test]
    fn a_re_export_counts_as_of_the_file_that_defines_it() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "mod one; mod two; pub use one::One; pub use self::two::*;"),
            ("a/one.rs", "pub struct One; use crate::b::B;"),
            ("a/two.rs", "pub struct Two; use super::One;"),
            ("b.rs", "pub struct B; use crate::a::Two as Other;"),
        ];
        assert_eq!(cycles_of(&files), [["a/one.rs", "a/two.rs", "b.rs"]]);
    }

    #[test]
    fn a_parent_and_a_child_that_use_each_other_are_a_cycle() {
        let child = ("a.rs", "pub struct A; use super::Error;");
        let other = ("b.rs", "");
        let uses = ("lib.rs", "mod a; mod b; pub struct Error; pub use a::A; fn f() -> A { A }");
        assert_eq!(cycles_of(&[uses, child, other]), [["a.rs", "lib.rs"]]);
        assert!(
            cycles_of(&[("lib.rs", "mod a; mod b; pub struct Error; pub use a::A;"), child, other])
                .is_empty()
        );
    }

    #[test]
    fn only_the_lines_of_tests_are_left_out_of_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lib.rs");
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nuse d;\nfn e() {}";
        std::fs::write(&root, text).unwrap();
        let sources = Sources::of(&root);
        let lines: Vec<_> = sources.files[0].text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, ["fn a() {}", "fn c() {}", "fn e() {}"]);
    }
}
