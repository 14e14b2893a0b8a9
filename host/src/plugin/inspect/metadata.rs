//! The text in a plugin's metadata section; `ABI.md` of plugin-api lists its keys.

use std::collections::BTreeMap;

use plugin_api::metadata::is_name;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::rejection::Rejection;

/// The first line; the number is the version of the format.
const FIRST_LINE: &str = "crossrun-plugin 1";
/// The last line, without which the section was cut off.
const LAST_LINE: &str = "end";
/// The longest section that is read, in bytes.
pub(super) const MAX_LENGTH: u64 = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Runner,
    Workloads(Vec<String>),
}

impl Kind {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Runner => "runner",
            Self::Workloads(_) => "workloads",
        }
    }
}

/// The ABI through which a backend is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunnerAbi {
    /// The ABI of plugin-api, between Rust and Rust.
    Rust,
    /// The ABI of `crossrun.h`.
    C,
}

/// What a plugin says about itself, and how it was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub kind: Kind,
    /// The backend's or library's name.
    pub name: String,
    pub version: String,
    pub description: String,
    pub license: String,
    /// The ABI of a backend. A workload library has only one, and its value here means nothing.
    pub abi: RunnerAbi,
    /// The version of plugin-api that it was built against.
    pub api: String,
    /// The key in the section, `rustc` or `compiler` for any other compiler, and the compiler by its own name.
    pub compiler: (&'static str, String),
    pub target: String,
    /// The optimisation level: `0` to `3`, `s` or `z`; `1-3` where the compiler does not tell them apart.
    pub opt_level: String,
    pub debug_assertions: bool,
    /// The processor features that the compiler was allowed to use, comma separated.
    pub target_features: String,
}

impl Metadata {
    /// Reads the text of a section.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejection> {
        // Linkers may pad a section with zeros.
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let text = std::str::from_utf8(&bytes[..end]).map_err(|_| damaged("it is not UTF-8"))?;
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if first != FIRST_LINE {
            return Err(unknown_format(first));
        }
        let mut values = Values::default();
        for line in lines.by_ref() {
            if line == LAST_LINE {
                return values.metadata();
            }
            values.insert(line)?;
        }
        Err(damaged("its end is missing"))
    }

    /// Whether the options of the compiler make it a debug build.
    pub fn is_debug_build(&self) -> bool {
        self.debug_assertions || self.opt_level == "0"
    }

    /// Whether it was built with Rust. A backend in Python has its driver in a library of Rust.
    pub fn is_of_rust(&self) -> bool {
        self.compiler.0 == "rustc"
    }

    /// How it was built, under the keys of records.
    pub fn build(&self) -> Map<String, Value> {
        let Self { compiler, target, opt_level, debug_assertions, target_features, api, .. } = self;
        let mut build = Map::from_iter([
            (compiler.0.to_owned(), json!(compiler.1)),
            ("target".to_owned(), json!(target)),
            ("opt_level".to_owned(), json!(opt_level)),
            ("debug_assertions".to_owned(), json!(debug_assertions)),
            ("target_features".to_owned(), json!(target_features)),
            ("plugin_api".to_owned(), json!(api)),
        ]);
        if self.kind == Kind::Runner {
            build.insert("abi".to_owned(), json!(self.abi));
        }
        build
    }
}

fn damaged(why: &str) -> Rejection {
    Rejection::new(format!("its metadata is damaged: {why}"))
}

fn unknown_format(first: &str) -> Rejection {
    match first.strip_prefix("crossrun-plugin ").map(str::parse::<u32>) {
        Some(Ok(version)) => {
            Rejection::update(format!("its metadata has format {version}, which this host does not know"))
        }
        _ => damaged("it does not start as metadata does"),
    }
}

#[derive(Default)]
struct Values<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Values<'a> {
    fn insert(&mut self, line: &'a str) -> Result<(), Rejection> {
        let (key, value) = line.split_once('=').ok_or_else(|| damaged("a line is not KEY=VALUE"))?;
        if value.chars().any(char::is_control) {
            return Err(damaged("a value has a control character in it"));
        }
        match self.0.insert(key, value) {
            None => Ok(()),
            Some(_) => Err(damaged("a key comes twice")),
        }
    }

    fn text(&self, key: &str) -> Result<String, Rejection> {
        self.0.get(key).map(ToString::to_string).ok_or_else(|| damaged(&format!("{key} is missing")))
    }

    fn name(&self) -> Result<String, Rejection> {
        let name = self.text("name")?;
        if is_name(&name) { Ok(name) } else { Err(damaged("its name is not valid")) }
    }

    fn kind(&self) -> Result<Kind, Rejection> {
        match self.text("kind")?.as_str() {
            "runner" => Ok(Kind::Runner),
            "workloads" => {
                let names: Vec<String> = self.text("workloads")?.split(',').map(str::to_owned).collect();
                let fit = names.iter().all(|name| is_name(name));
                if fit { Ok(Kind::Workloads(names)) } else { Err(damaged("a workload's name is not valid")) }
            }
            _ => Err(Rejection::update("a plugin of a kind that this host does not know")),
        }
    }

    /// A plugin without the key uses the Rust ABI: the first plugins were built before the key existed.
    fn abi(&self) -> Result<RunnerAbi, Rejection> {
        match self.0.get("abi").copied() {
            None | Some("rust") => Ok(RunnerAbi::Rust),
            Some("c") => Ok(RunnerAbi::C),
            Some(_) => Err(Rejection::update("a plugin with an ABI that this host does not know")),
        }
    }

    fn compiler(&self) -> Result<(&'static str, String), Rejection> {
        let key = if self.0.contains_key("compiler") { "compiler" } else { "rustc" };
        Ok((key, self.text(key)?))
    }

    fn metadata(&self) -> Result<Metadata, Rejection> {
        Ok(Metadata {
            kind: self.kind()?,
            name: self.name()?,
            version: self.text("version")?,
            description: self.text("description")?,
            license: self.text("license")?,
            abi: self.abi()?,
            api: self.text("api")?,
            compiler: self.compiler()?,
            target: self.text("target")?,
            opt_level: self.text("opt_level")?,
            debug_assertions: self.text("debug_assertions")? == "true",
            target_features: self.text("target_features")?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "crossrun-plugin 1\nkind=workloads\nname=mine\nworkloads=a,b\nversion=1.2.3\ndescription=x=y\n\
        license=MIT\napi=1.0.0\nrustc=rustc 1.95\ntarget=x86_64-unknown-linux-gnu\nopt_level=3\n\
        debug_assertions=false\ntarget_features=sse,sse2\nof_a_later_version=1\nend\n";

    pub(crate) fn example() -> Metadata {
        Metadata::parse(TEXT.as_bytes()).unwrap()
    }

    fn reason(text: &str) -> String {
        Metadata::parse(text.as_bytes()).unwrap_err().reason
    }

    #[test]
    fn the_text_of_the_export_macros_is_read() {
        let metadata = example();
        assert_eq!(metadata.kind, Kind::Workloads(vec!["a".into(), "b".into()]));
        assert_eq!((metadata.name.as_str(), metadata.description.as_str()), ("mine", "x=y"));
        assert!(!metadata.debug_assertions);
        assert_eq!(Metadata::parse(format!("{TEXT}\0\0").as_bytes()).unwrap(), metadata);
    }

    #[test]
    fn a_backend_in_c_names_its_abi_and_its_compiler() {
        let text = TEXT
            .replace("kind=workloads", "kind=runner\nabi=c")
            .replace("rustc=rustc 1.95", "compiler=gcc 12");
        let metadata = Metadata::parse(text.as_bytes()).unwrap();
        assert_eq!((metadata.abi, metadata.compiler.1.as_str()), (RunnerAbi::C, "gcc 12"));
        assert_eq!(
            (&metadata.build()["abi"], &metadata.build()["compiler"]),
            (&json!("c"), &json!("gcc 12"))
        );
        assert_eq!(example().abi, RunnerAbi::Rust);
        assert_eq!(example().build().get("abi"), None);
    }

    #[test]
    fn missing_and_forged_values_are_rejected() {
        for (from, to, words) in [
            ("version=1.2.3\n", "", "version is missing"),
            ("name=mine", "name=Mine", "name"),
            ("name=mine", "name=", "name"),
            ("name=mine", "name=mine\nname=other", "twice"),
            ("workloads=a,b", "workloads=a,,b", "workload's name"),
            ("license=MIT", "license=\u{1b}[2J", "control"),
            ("license=MIT", "license", "KEY=VALUE"),
            ("end\n", "", "end is missing"),
            ("crossrun-plugin 1", "crossrun-plugin 2", "format 2"),
            ("crossrun-plugin 1", "rubbish", "start"),
            ("kind=workloads", "kind=other", "kind"),
            ("api=1.0.0", "api=1.0.0\nabi=fortran", "ABI that this host does not know"),
            ("rustc=rustc 1.95\n", "", "rustc is missing"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert!(reason(&text).contains(words), "{from} to {to}: {}", reason(&text));
        }
    }

    proptest! {
        #[test]
        fn a_section_without_its_end_is_rejected(length in 0..TEXT.len() - 1) {
            prop_assert!(Metadata::parse(&TEXT.as_bytes()[..length]).is_err());
        }
    }
}
