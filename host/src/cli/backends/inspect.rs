//! `crossrun backends inspect`: describes a file without running any of it.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::app::command_line::CommandLine;
use crate::app::context::{Context, may_be_name};
use crate::app::resolve::rejected_file;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::plugin::inspect::description::{Description, Format};
use crate::plugin::trust::{Refusal, Trust};
use crate::text::{single_line, with_remedy};

/// How many symbols of the C library are named.
const SYMBOLS: usize = 3;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The file, or the name of a plugin that is found.
    file: PathBuf,
    /// Compute the hash of a file over 64 MiB too, which reads the whole file.
    #[arg(long)]
    hash: bool,
}

/// Describes any file. The exit code is that of a rejected file if it is not a plugin for this host.
pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let file = match may_be_name(&arguments.file) {
        Some(_) => file_of_name(&Context::new(global, ui)?, arguments)?,
        None => arguments.file.clone(),
    };
    let description =
        Description::of(&file, arguments.hash).map_err(|rejection| rejected_file(&file, rejection))?;
    let trust = match Trust::of_this_process(global.allow_untrusted).file(&file) {
        Err(Refusal::Distrust(distrust)) => Err(distrust),
        Err(Refusal::Unreadable(error)) => return Err(rejected_file(&file, error.into())),
        Ok(_) => Ok(()),
    };
    if ui.json() {
        let mut object = serde_json::to_value(&description).unwrap_or(Value::Null);
        object["trusted"] = json!(trust.is_ok());
        object["distrust"] = json!(trust.as_ref().err());
        ui.result(&object.to_string());
    } else {
        let distrust = trust.as_ref().err();
        let distrust = distrust.map(|why| with_remedy(&format!("no: {why}"), why.remedy.as_deref()));
        ui.result(&text(&description, distrust.as_deref().unwrap_or("yes")));
    }
    Ok(if description.reason.is_none() && trust.is_ok() { Exit::Done } else { Exit::Unavailable })
}

/// The file of the plugin that is named.
fn file_of_name(context: &Context, arguments: &Arguments) -> Result<PathBuf, Problem> {
    let again = |name: &str| {
        let mut command = CommandLine::new(&["backends", "inspect", name]);
        context.in_folders(command.flag("hash", arguments.hash).to_string())
    };
    context.file_of(&arguments.file).map_err(|problem| problem.with_name("--backend", again))
}

fn text(description: &Description, trusted: &str) -> String {
    let mut text = single_line(&description.path.display().to_string()) + "\n";
    for (label, value) in facts(description).into_iter().chain([("trusted", Some(trusted.to_owned()))]) {
        if let Some(value) = value {
            text.push_str(&format!("  {label:<11} {}\n", single_line(&value)));
        }
    }
    text
}

/// The facts that are known, each with its label.
fn facts(description: &Description) -> Vec<(&'static str, Option<String>)> {
    let Description { size, sha256, abi, needed, glibc, exports, .. } = description;
    let unhashed = || "not computed for a large file; --hash computes it".to_owned();
    let is_object = description.object.is_some();
    let or_none = |text: Option<&String>| text.map_or("none", String::as_str).to_owned();
    vec![
        ("status", Some(status(description))),
        ("plugin", plugin(description)),
        ("about", description.description.clone()),
        ("license", description.license.clone()),
        ("workloads", Some(description.workloads.join(", ")).filter(|names| !names.is_empty())),
        (
            "plugin-api",
            abi.plugin_api.as_ref().map(|api| format!("{api} (this host: {})", abi.host_plugin_api)),
        ),
        ("header", abi.runner_header.as_ref().map(|version| format!("abi_stable {version}"))),
        ("ABI", abi.backend_abi.as_ref().map(|version| format!("backend C ABI {version}"))),
        ("ABI", abi.workload_abi.as_ref().map(|major| format!("workload C ABI {major}.x"))),
        ("format", description.object.as_ref().map(format)),
        ("needs", is_object.then(|| needed.join(", "))),
        (
            "glibc",
            is_object.then(|| {
                format!(
                    "needs {}{}, this machine has {}",
                    or_none(glibc.required.as_ref()),
                    for_symbols(&glibc.symbols),
                    or_none(glibc.present.as_ref())
                )
            }),
        ),
        (
            "exports",
            is_object.then(|| format!("{} of the plugin API, {} others", exports.ours.len(), exports.others)),
        ),
        ("build", build(description)),
        ("size", Some(format!("{size} bytes"))),
        ("sha256", Some(sha256.clone().unwrap_or_else(unhashed))),
    ]
}

/// What the newest version of the C library is needed for.
fn for_symbols(symbols: &[String]) -> String {
    let (named, others) = symbols.split_at(symbols.len().min(SYMBOLS));
    match (named.join(", "), others.len()) {
        (named, _) if named.is_empty() => named,
        (named, 0) => format!(" for {named}"),
        (named, others) => format!(" for {named} and {others} more"),
    }
}

fn status(description: &Description) -> String {
    let Some(reason) = &description.reason else { return "a plugin for this host".to_owned() };
    with_remedy(&format!("rejected: {reason}"), description.remedy.as_deref())
}

fn plugin(description: &Description) -> Option<String> {
    let (kind, name, version) =
        (description.kind?, description.name.as_ref()?, description.version.as_ref()?);
    Some(format!("{kind} {name} {version}"))
}

fn format(object: &Format) -> String {
    let Format { format, architecture, bits, endianness, what, of_this_machine } = object;
    let whose = if *of_this_machine { "for this machine" } else { "for another machine" };
    format!("{format}, {architecture}, {bits} bits, {endianness} endian, {what}, {whose}")
}

fn build(description: &Description) -> Option<String> {
    let said = |key: &str| description.build.get(key).and_then(Value::as_str);
    let compiler = said("rustc").or_else(|| said("compiler"))?;
    let (target, level, profile) = (said("target")?, said("opt_level")?, said("profile")?);
    let asserts = description.build.get("debug_assertions") == Some(&Value::Bool(true));
    let assertions = if asserts { "with" } else { "without" };
    let features = said("target_features").unwrap_or_default();
    Some(format!(
        "{profile}: {compiler}, {target}, opt-level {level}, {assertions} debug assertions, features {features}"
    ))
}
