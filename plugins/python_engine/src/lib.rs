//! What every backend on a Python engine shares, so that one is a description of the engine and a `driver.py`.
//!
//! An [`Engine`] describes what is to be installed and how it is driven; [`PythonRunner`] makes a backend of it. `setup`
//! makes the engine's own environment (`install`) under the user's data folder (`environment`); `open` starts the
//! driver, a Python process (`process`) to which messages go as lines of JSON (`message`); `run` hands it a spec and the path of
//! the workload's library, which it calls itself. The Python side is the package `crossrun_engine`, which is written to
//! disk from here (`package`).
//!
//! ```ignore
//! plugin_api::export_runner!(name = "mine", runner = PythonRunner::new(&MINE));
//!
//! static MINE: Engine = Engine {
//!     name: "mine",
//!     requirements: include_str!("../requirements.txt"),
//!     build_requirements: "",
//!     python: PythonRange::new((3, 9), (3, 13)),
//!     driver: include_str!("../driver.py"),
//!     files: &[],
//!     options: Vec::new,
//!     import_check: "mine",
//!     variables: &[],
//! };
//! ```

mod answer;
mod engine;
mod environment;
#[cfg(test)]
mod fixture;
mod group;
mod install;
mod interpreter;
mod message;
mod output;
mod package;
mod pip_settings;
mod process;
mod runner;
mod shell;
mod sources;
mod surroundings;

pub use answer::answer;
pub use engine::Engine;
pub use install::sudo;
pub use interpreter::PythonRange;
pub use runner::PythonRunner;
pub use surroundings::{Variables, restrict};
