//! `crossrun workloads new`: a project for workloads of one's own.

use crate::app::context::Context;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::cli::author::{PlaceArguments, free_name, make};
use crate::run::session::Isolation;
use crate::scaffold::{C_WORKLOADS, RUST_WORKLOADS};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// What `--workload` is to take: 1 to 64 of a-z, 0-9, _ and -.
    name: String,
    /// The language that it is written in; every backend runs it, in whatever language that is.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Language {
    /// A library in Rust.
    Rust,
    /// A library in C.
    C,
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let context = Context::new(global, Isolation::Process, ui)?;
    let mut taken = context.inventory.workloads.names();
    // `crossrun workloads new` is this command, and shows no workload.
    taken.extend(context.inventory.libraries.names().into_iter().chain(["new".to_owned()]));
    let name = free_name(&arguments.name, "workload", &taken)?;
    let template = match arguments.lang {
        Language::Rust => RUST_WORKLOADS,
        Language::C => C_WORKLOADS,
    };
    make(template, name, &arguments.place, ui)
}
