//! The sources of a crate without its tests: its modules, what they import, and their text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

/// A crate. `modules[0]` is its root.
pub(super) struct Sources {
    pub(super) files: Vec<File>,
    pub(super) modules: Vec<Module>,
    /// The files of its macros. A macro can be named from the root, whatever file it is in.
    pub(super) macros: BTreeMap<String, usize>,
}

/// A file that is compiled.
pub(super) struct File {
    pub(super) path: PathBuf,
    /// Its text. The lines that are compiled for tests only are empty.
    pub(super) text: String,
}

/// A module, in a file of its own or not.
#[derive(Default)]
pub(super) struct Module {
    pub(super) file: usize,
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    /// The items that it defines, without modules.
    pub(super) names: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// The paths of more than one name in its code.
    pub(super) paths: Vec<Vec<String>>,
    /// Every word of its code, without those of its imports.
    pub(super) words: BTreeSet<String>,
}

/// One name of a `use`, or `*`.
pub(super) struct Import {
    /// `*` for everything of a module.
    pub(super) name: String,
    pub(super) path: Vec<String>,
    /// Whether it is re-exported.
    pub(super) is_re_export: bool,
}

impl Sources {
    /// Reads the crate with this root file.
    pub(super) fn of(root: &Path) -> Self {
        let mut sources =
            Self { files: Vec::new(), modules: vec![Module::default()], macros: BTreeMap::new() };
        sources.read(root.to_owned(), root.parent().unwrap().to_owned(), 0);
        sources
    }

    /// Reads the file of a module, whose children are in `folder`.
    fn read(&mut self, path: PathBuf, folder: PathBuf, module: usize) {
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut tests = Vec::new();
        let tokens = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let code = without_tests(tokens, &mut tests);
        let is_of_a_test = |line: usize| tests.iter().any(|(first, last)| (*first..=*last).contains(&line));
        let line = |(index, line)| if is_of_a_test(index + 1) { "" } else { line };
        let text = text.lines().enumerate().map(line).collect::<Vec<_>>().join("\n");
        self.files.push(File { path, text });
        self.modules[module].file = self.files.len() - 1;
        Scan { sources: self, module, folder }.items(code);
    }

    fn child(&mut self, parent: usize, name: &str) -> usize {
        self.modules.push(Module {
            file: self.modules[parent].file,
            parent: Some(parent),
            ..Module::default()
        });
        let child = self.modules.len() - 1;
        self.modules[parent].children.insert(name.to_owned(), child);
        child
    }
}

/// The tokens without the items that are compiled for tests only. The first and the last line of each such item is added to `tests`.
fn without_tests(tokens: TokenStream, tests: &mut Vec<(usize, usize)>) -> TokenStream {
    let mut kept = Vec::new();
    let mut trees = tokens.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Punct(hash)
                if hash.as_char() == '#' && trees.peek().is_some_and(is_condition_of_tests) =>
            {
                let ends = |tree: &TokenTree| is(tree, ';') || group(tree, Delimiter::Brace).is_some();
                let end = trees.find(ends).map_or_else(Span::call_site, |tree| tree.span());
                tests.push((hash.span().start().line, end.end().line));
            }
            TokenTree::Group(group) => {
                let inner = without_tests(group.stream(), tests);
                kept.push(Group::new(group.delimiter(), inner).into());
            }
            other => kept.push(other),
        }
    }
    kept.into_iter().collect()
}

/// Whether it is `[cfg(test)]`, or `[cfg(all(test, …))]`.
fn is_condition_of_tests(tree: &TokenTree) -> bool {
    let words: Vec<_> = group(tree, Delimiter::Bracket).into_iter().flatten().collect();
    let condition =
        || words.get(1).map(|condition| condition.to_string().replace(' ', "")).unwrap_or_default();
    ident(words.first()).is_some_and(|word| word == "cfg")
        && (condition() == "(test)" || condition().starts_with("(all(test,"))
}

fn is(tree: &TokenTree, mark: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn group(tree: &TokenTree, delimiter: Delimiter) -> Option<TokenStream> {
    match tree {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group.stream()),
        _ => None,
    }
}

fn ident(tree: Option<&TokenTree>) -> Option<String> {
    match tree {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

fn is_word(tree: &TokenTree, word: &str) -> bool {
    matches!(tree, TokenTree::Ident(ident) if ident == word)
}

/// Whether these tokens end with `::`, so that the next name continues a path.
fn continues(before: &[TokenTree]) -> bool {
    matches!(before, [.., first, second] if is(first, ':') && is(second, ':'))
}

/// Whether these tokens end with `pub` or `pub(…)`.
fn is_re_export(before: &[TokenTree]) -> bool {
    match before {
        [.., last] if is_word(last, "pub") => true,
        [.., word, scope] => is_word(word, "pub") && group(scope, Delimiter::Parenthesis).is_some(),
        _ => false,
    }
}

/// The keywords before the name of an item.
const KINDS: [&str; 9] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static", "macro_rules"];

/// Reads the code of one module.
struct Scan<'a> {
    sources: &'a mut Sources,
    module: usize,
    folder: PathBuf,
}

impl Scan<'_> {
    fn own(&mut self) -> &mut Module {
        &mut self.sources.modules[self.module]
    }

    /// Reads the items of a module: first their names, then their code.
    fn items(&mut self, tokens: TokenStream) {
        let trees: Vec<_> = tokens.into_iter().collect();
        for (at, tree) in trees.iter().enumerate() {
            if ident(Some(tree)).is_some_and(|kind| KINDS.contains(&kind.as_str())) {
                let name = trees[at + 1..].iter().take(2).find_map(|tree| ident(Some(tree)));
                if is_word(tree, "macro_rules") {
                    let file = self.own().file;
                    self.sources.macros.extend(name.clone().map(|name| (name, file)));
                }
                self.own().names.extend(name);
            }
        }
        self.code(&trees);
    }

    fn code(&mut self, trees: &[TokenTree]) {
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            let rest = &trees[at..];
            at += match tree {
                TokenTree::Ident(word) if word == "use" => self.import(rest, is_re_export(&trees[..at])),
                TokenTree::Ident(word) if word == "mod" => self.module(rest),
                TokenTree::Ident(word) => self.path(word, rest, continues(&trees[..at])),
                TokenTree::Group(group) => {
                    self.code(&group.stream().into_iter().collect::<Vec<_>>());
                    1
                }
                _ => 1,
            };
        }
    }

    /// Reads `use a::{b, c};` and returns the number of tokens.
    fn import(&mut self, trees: &[TokenTree], is_re_export: bool) -> usize {
        // `use<…>` lists what a returned type captures.
        if trees.get(1).is_some_and(|tree| is(tree, '<')) {
            return 1;
        }
        let end = trees.iter().position(|tree| is(tree, ';')).unwrap_or(trees.len());
        imports(&trees[1..end], &[], is_re_export, &mut self.own().imports);
        end
    }

    /// Reads `mod a;` or `mod a { … }` and returns the number of tokens.
    fn module(&mut self, trees: &[TokenTree]) -> usize {
        let (Some(name), Some(body)) = (ident(trees.get(1)), trees.get(2)) else { return 1 };
        let child = self.sources.child(self.module, &name);
        let folder = self.folder.join(&name);
        if let Some(code) = group(body, Delimiter::Brace) {
            Scan { sources: self.sources, module: child, folder }.items(code);
        } else {
            let beside = self.folder.join(format!("{name}.rs"));
            let file = if beside.exists() { beside } else { folder.join("mod.rs") };
            self.sources.read(file, folder, child);
        }
        3
    }

    /// Reads a path such as `a::b::c` and returns the number of tokens.
    fn path(&mut self, first: &Ident, trees: &[TokenTree], continues: bool) -> usize {
        let mut path = vec![first.to_string()];
        while trees.get(path.len() * 3 - 2).is_some_and(|tree| is(tree, ':'))
            && trees.get(path.len() * 3 - 1).is_some_and(|tree| is(tree, ':'))
            && let Some(name) = ident(trees.get(path.len() * 3))
        {
            path.push(name);
        }
        let read = path.len() * 3 - 2;
        self.own().words.extend(path.iter().cloned());
        // A path after `::` is of another crate, or continues a path that was read.
        if path.len() > 1 && !continues {
            self.own().paths.push(path);
        }
        read
    }
}

/// The imports of one tree of a `use`, below the path `before`.
fn imports(trees: &[TokenTree], before: &[String], is_re_export: bool, found: &mut Vec<Import>) {
    let mut path = before.to_vec();
    let mut name = None;
    for tree in trees {
        match tree {
            TokenTree::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let parts = inner.split(|tree| is(tree, ',')).filter(|part| !part.is_empty());
                return parts.for_each(|part| imports(part, &path, is_re_export, found));
            }
            TokenTree::Ident(word) if word == "as" => name = Some(String::new()),
            TokenTree::Ident(word) if name.is_some() => name = Some(word.to_string()),
            TokenTree::Ident(word) => path.push(word.to_string()),
            tree if is(tree, '*') => name = Some("*".into()),
            _ => {}
        }
    }
    // `a::{self}` is `a`.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let last = path.last().cloned().unwrap_or_default();
    found.push(Import { name: name.unwrap_or(last), path, is_re_export });
}
