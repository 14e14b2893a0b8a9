//! `crossrun backends new`: a project for a backend of one's own.

use crate::app::context::Context;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::cli::author::{PlaceArguments, free_name, make};
use crate::plan::defaults::DEFAULT_BACKEND;
use crate::run::session::Isolation;
use crate::scaffold::{C_BACKEND, PYTHON_BACKEND, RUST_BACKEND, Template};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// What `--backend` is to take: 1 to 64 of a-z, 0-9, _ and -.
    name: String,
    /// The language that it is written in.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Language {
    /// For an engine that can be called from Rust.
    Rust,
    /// For an engine in Python: a driver, in a process of its own.
    Python,
    /// For an engine in C, or in C++, Zig or Go by the same header: no library of ours.
    C,
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let context = Context::new(global, Isolation::Process, ui)?;
    let mut taken = context.inventory.runners.names();
    taken.push(DEFAULT_BACKEND.to_owned());
    let name = free_name(&arguments.name, "backend", &taken)?;
    make(arguments.lang.template(), name, &arguments.place, ui)
}

impl Language {
    fn template(self) -> Template {
        match self {
            Self::Rust => RUST_BACKEND,
            Self::Python => PYTHON_BACKEND,
            Self::C => C_BACKEND,
        }
    }
}
