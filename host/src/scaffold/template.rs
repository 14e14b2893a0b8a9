//! The templates of projects.

/// A kind of plugin in one language.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Template {
    pub(super) folder: &'static str,
    /// The suffix of the names of the crate and the library.
    pub(super) suffix: &'static str,
    /// More files of `templates` or of the embedded crates, with their destinations.
    pub(super) copied: &'static [(&'static str, &'static str)],
    /// The embedded crates that the project depends on.
    pub(super) crates: &'static [&'static str],
    /// The folder that the library is built in.
    pub(super) built: &'static str,
    /// The commands that an author runs first. `NAME` stands for the plugin's name.
    pub(super) commands: &'static [&'static str],
}

pub(super) const API: &str = "plugin-api";
/// The folder of the guides for authors.
pub(super) const GUIDES: &str = "docs";
const ENGINE: &str = "python_engine";

const RELEASE: &str = "target/release";
const SEARCH_RELEASE: &str =
    "export CROSSRUN_PLUGIN_PATH=\"$(realpath \"${CARGO_TARGET_DIR:-target}\")/release\"";
const RUN: &str = "crossrun run --backend NAME --workload word_count --items 100000 --extra batch_size=1000";
const COMPARE: &str = "crossrun compare --backends native,NAME --quick";
const SHOW: &str = "crossrun workloads NAME";
const COMPARE_WORKLOAD: &str =
    "crossrun compare --workloads NAME --items 100000 --extra batch_size=1000 --quick";

pub(crate) const RUST_BACKEND: Template = Template {
    folder: "backend_rust",
    suffix: "_runner",
    copied: &[("shared/sums.rs", "src/tests/sums.rs")],
    crates: &[API],
    built: RELEASE,
    commands: &["cargo test", "cargo build --release", SEARCH_RELEASE, RUN, COMPARE],
};

pub(crate) const PYTHON_BACKEND: Template = Template {
    folder: "backend_python",
    copied: &[("shared/sums.rs", "examples/sums.rs")],
    crates: &[API, ENGINE],
    ..RUST_BACKEND
};

pub(crate) const RUST_WORKLOADS: Template = Template {
    folder: "workloads_rust",
    suffix: "_workloads",
    copied: &[],
    crates: &[API],
    built: RELEASE,
    commands: &["cargo test", "cargo build --release", SEARCH_RELEASE, SHOW, COMPARE_WORKLOAD],
};

const MAKE: [&str; 2] = ["make test", "make"];
const SEARCH_BUILD: &str = "export CROSSRUN_PLUGIN_PATH=\"$PWD/build\"";

pub(crate) const C_BACKEND: Template = Template {
    folder: "backend_c",
    suffix: "_runner",
    copied: &[
        ("plugin-api/include/crossrun.h", "include/crossrun.h"),
        ("plugin-api/include/crossrun_remote_kit.h", "include/crossrun_remote_kit.h"),
        ("plugin-api/include/crossrun_workloads.h", "include/crossrun_workloads.h"),
        ("plugin-api/ABI.md", "ABI.md"),
        (GUIDES, GUIDES),
    ],
    crates: &[],
    built: "build",
    commands: &[MAKE[0], MAKE[1], SEARCH_BUILD, RUN, COMPARE],
};

pub(crate) const C_WORKLOADS: Template = Template {
    folder: "workloads_c",
    suffix: "_workloads",
    copied: &[
        ("plugin-api/include", "include"),
        ("plugin-api/kit", "kit"),
        ("plugin-api/ABI.md", "ABI.md"),
        (GUIDES, GUIDES),
    ],
    crates: &[],
    built: "build",
    commands: &[MAKE[0], MAKE[1], SEARCH_BUILD, SHOW, COMPARE_WORKLOAD],
};
