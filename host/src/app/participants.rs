//! The backends and workloads of a measurement.

use std::collections::BTreeMap;

use plugin_api::Parameter;
use plugin_api::workload::CatalogueEntry;
use serde_json::{Map, Value};

use super::availability::{NotReady, SetUp, make_available, of_file};
use super::context::Context;
use super::parameters;
use super::reproduce::backend_argument;
use super::ui::Ui;
use super::{Exit, Problem};
use crate::plan::common_size::CommonSize;
use crate::plan::defaults::BASELINE;
use crate::plan::{BackendChoice, Plan, Variation, WorkloadChoice};
use crate::plugin::PluginRef;
use crate::plugin::inventory::Row;
use crate::run::backend::{read_in_trials, without_effect};
use crate::run::participants::{Participant, Participants};
use crate::run::session::{CallError, Fault};
use crate::shell;
use crate::text::nearest;
use crate::worker::protocol::Folders;

/// The backends and workloads that were selected, in their order on the command line.
pub(crate) struct Selection {
    /// The backends, by the names under which they take part.
    backends: Vec<(String, Participant)>,
    workloads: Vec<(String, PluginRef)>,
    /// The options that each backend reads, by the name under which it takes part.
    options: Vec<(String, Vec<Parameter>)>,
}

impl Selection {
    /// The backends that were named, or else all that are available; the others are reported with a remedy.
    pub(crate) fn new(
        context: &Context,
        backends: &[String],
        workloads: &[String],
        setup: bool,
        ui: &mut Ui,
    ) -> Result<Self, Problem> {
        let workloads = workloads.iter().map(|name| library(context, name)).collect::<Result<_, _>>()?;
        context.look_at_shared_files();
        let backends = if backends.is_empty() {
            all_available(context, setup, ui)?
        } else {
            backends
                .iter()
                .map(|name| available_backend(context, name, setup, ui))
                .collect::<Result<_, _>>()?
        };
        if backends.is_empty() {
            return Err(none_available(context));
        }
        let declared = |((name, participant), options): Ready| ((name.clone(), participant), (name, options));
        let (backends, options) = backends.into_iter().map(declared).unzip();
        Ok(Self { backends, workloads, options })
    }

    /// Backends that need not be able to start, so that it can be told before a wait or a set-up what else is wrong with the command line.
    /// If none is named, it is one of those that were found.
    pub(crate) fn unprobed(
        context: &Context,
        backends: &[String],
        workloads: &[String],
    ) -> Result<Self, Problem> {
        let workloads = workloads.iter().map(|name| library(context, name)).collect::<Result<_, _>>()?;
        let backends = if backends.is_empty() {
            let found = context.inventory.runners.names();
            // What keeps one from taking part is told when all are probed.
            let usable = found.iter().find_map(|name| participant(context, name).ok());
            vec![usable.ok_or_else(|| none_available(context))?]
        } else {
            backends.iter().map(|name| participant(context, name)).collect::<Result<_, _>>()?
        };
        Ok(Self { backends, workloads, options: Vec::new() })
    }

    pub(crate) fn first(&self) -> String {
        self.backends.first().map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// The backend that the others are compared with.
    pub(crate) fn baseline(
        &self,
        asked_for: Option<&str>,
        are_named: bool,
        context: &Context,
    ) -> Result<String, Problem> {
        let takes_part = |name: &str| self.backends.iter().any(|(participant, _)| participant == name);
        match asked_for.map(str::to_lowercase) {
            Some(name) if takes_part(&name) => Ok(name),
            Some(name) => {
                let names: Vec<_> = self.backends.iter().map(|(name, _)| name.clone()).collect();
                let otherwise = if are_named && context.inventory.runners.names().contains(&name) {
                    format!("--backends with {name} among its names")
                } else {
                    // Where none is named, all that can start take part: the list says why this one cannot.
                    context.in_folders("crossrun backends".to_owned())
                };
                Err(no_baseline(&name, &names, otherwise))
            }
            None if takes_part(BASELINE) => Ok(BASELINE.into()),
            None => Ok(self.first()),
        }
    }

    pub(crate) fn backends(&self) -> Vec<BackendChoice> {
        let choice = |(name, participant): &(String, Participant)| BackendChoice {
            name: name.clone(),
            runs: participant.plugin.name().to_owned(),
        };
        self.backends.iter().map(choice).collect()
    }

    /// The workloads with `items` each, or the least default number of their points, which is smaller if `quick`. Default parameters
    /// that `options` sets are left out.
    pub(crate) fn workloads(
        &self,
        items: &[u64],
        options: &Map<String, Value>,
        vary: &[Variation],
        quick: bool,
    ) -> Vec<WorkloadChoice> {
        let choice = |(name, _): &(String, PluginRef)| {
            let (default_items, mut extra) = CommonSize::of(name, options, vary, quick).least();
            let items = if items.is_empty() { vec![default_items] } else { items.to_vec() };
            extra.retain(|key, _| !options.contains_key(key));
            WorkloadChoice { name: name.clone(), items, extra, ..WorkloadChoice::default() }
        };
        self.workloads.iter().map(choice).collect()
    }

    /// A warning for each of `options` that no backend reads, and no workload, whose `entries` these are. The keys in `set` have values
    /// of this command, and no option can give others. Of a library that cannot list its workloads it is not known what they read.
    pub(crate) fn without_effect(
        &self,
        options: &Map<String, Value>,
        entries: &[Option<CatalogueEntry>],
        set: &[&str],
    ) -> Vec<String> {
        if entries.is_empty() || entries.iter().any(Option::is_none) {
            return Vec::new();
        }
        let own = entries.iter().flatten().flat_map(|entry| &entry.parameters);
        let of_backends = self.options.iter().flat_map(|(_, options)| options);
        let known = read_in_trials(own.chain(of_backends)).filter(|key| !set.contains(key));
        without_effect(options, known, "the workloads and the backends read")
    }

    /// Refuses a value of `extra` or of `vary` that an option of one of the backends cannot have. An option is of those that declare it.
    /// The `baseline` is the one that was asked for.
    pub(crate) fn check_options(
        &self,
        extra: &Map<String, Value>,
        vary: &[Variation],
        baseline: Option<&str>,
    ) -> Result<(), Problem> {
        let given = parameters::given(extra, vary);
        given.iter().try_for_each(|(variation, option)| self.check_option(variation, option, baseline))
    }

    /// The same of one option of the command line. Where others take the values, they can be measured alone, with the baseline among them.
    fn check_option(
        &self,
        variation: &Variation,
        option: &str,
        baseline: Option<&str>,
    ) -> Result<(), Problem> {
        let checked = self.options.iter().map(|(backend, options)| {
            (backend.as_str(), parameters::check_declared(variation, backend, options, option))
        });
        let Some((problem, others)) = parameters::refused(checked) else { return Ok(()) };
        let lacks = |baseline: &str| !others.contains(&baseline.to_lowercase().as_str());
        if others.is_empty() || baseline.is_some_and(lacks) {
            return Err(problem);
        }
        let others: Vec<_> = others.into_iter().map(|name| self.argument(name)).collect();
        let alone = format!("the others alone, with --backends {}", shell::quote(others.join(",")));
        let remedy = problem.remedy.as_ref().map_or_else(|| alone.clone(), |it| format!("{it}, or {alone}"));
        Err(problem.with_remedy(remedy))
    }

    /// The backend `name` as `--backends` names it.
    fn argument(&self, name: &str) -> String {
        let found = self.backends.iter().find(|(known, _)| known == name);
        let from_file = found.filter(|(_, participant)| participant.from_file);
        backend_argument(name, from_file.map(|(_, participant)| participant.plugin.path.as_path()))
    }

    /// The participants of `plan`. The second name of an A/A comparison stands for the same plugin as the first.
    pub(crate) fn participants(&self, plan: &Plan) -> Participants {
        let sessions = plan.blocks.iter().flat_map(|block| &block.sessions);
        let backends = sessions.map(|session| &session.backend).filter_map(|choice| {
            let named = |(name, _): &&(String, Participant)| *name == choice.name;
            let again = |(_, participant): &&(String, Participant)| participant.plugin.name() == choice.runs;
            let found = self.backends.iter().find(named).or_else(|| self.backends.iter().find(again));
            Some((choice.name.clone(), found?.1.clone()))
        });
        let backends: BTreeMap<_, _> = backends.collect();
        Participants { backends, libraries: self.workloads.iter().cloned().collect() }
    }

    /// Refuses debug builds beside release builds, whose comparison would show what the compiler does.
    pub(crate) fn check_builds(&self, insist: bool) -> Result<(), Problem> {
        let is_debug = |participant: &Participant| participant.plugin.metadata.is_debug_build();
        let names = |wanted: bool| {
            let built = self.backends.iter().filter(|(_, participant)| is_debug(participant) == wanted);
            built.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (debug, release) = (names(true), names(false));
        if insist || debug.is_empty() || release.is_empty() {
            return Ok(());
        }
        let message =
            format!("{debug} is a debug build, but {release} is a release build: they cannot be compared");
        // In the terms of the language that each was written in.
        let is_of = |rust: bool| {
            let participants = self.backends.iter().map(|(_, participant)| participant);
            participants.filter(|it| is_debug(it)).any(|it| it.plugin.metadata.is_of_rust() == rust)
        };
        let build = match (is_of(true), is_of(false)) {
            (true, true) => "build each of them with optimisation",
            (true, false) => "cargo build --release",
            (false, _) => "compile with -O2 and -DNDEBUG, without a sanitizer",
        };
        Err(Problem::new(Exit::Invalid, message).with_remedy(format!("{build}, or --insist")))
    }
}

/// Refuses a baseline that is the name of no backend that was found: it cannot take part, whichever of them can start.
pub(crate) fn check_baseline_is_found(context: &Context, baseline: &str) -> Result<(), Problem> {
    let (name, found) = (baseline.to_lowercase(), context.inventory.runners.names());
    if found.is_empty() || found.contains(&name) {
        return Ok(());
    }
    Err(no_baseline(&name, &found, context.in_folders("crossrun backends".to_owned())))
}

/// The baseline is none of these `names`, of which one that is spelled alike may be meant. Else the remedy is `otherwise`.
fn no_baseline(name: &str, names: &[String], otherwise: String) -> Problem {
    // The second name in an A/A comparison is of the backend that runs twice.
    let twin = || nearest(name.strip_suffix("-again")?, names);
    let near = nearest(name, names).or_else(twin);
    let remedy = near.map_or(otherwise, |near| format!("--baseline {near}"));
    Problem::usage(format!("--baseline {name} does not take part")).with_remedy(remedy)
}

fn none_available(context: &Context) -> Problem {
    let listing = context.in_folders("crossrun backends".to_owned());
    Problem::new(Exit::Unavailable, "no backend is available").with_remedy(listing)
}

/// The workload that `name` leads to, and its library.
fn library(context: &Context, name: &str) -> Result<(String, PluginRef), Problem> {
    let found = context.workload(name);
    found.map_err(|problem| problem.with_name("--workload", |name| format!("{name} in --workloads")))
}

/// The backend that `name` leads to.
fn participant(context: &Context, name: &str) -> Result<(String, Participant), Problem> {
    let found = context.participant(name);
    found.map_err(|problem| problem.with_name("--backend", |name| format!("{name} in --backends")))
}

/// A backend that can start, by the name under which it takes part, and the options that it reads.
type Ready = ((String, Participant), Vec<Parameter>);

fn all_available(context: &Context, setup: bool, ui: &mut Ui) -> Result<Vec<Ready>, Problem> {
    let mut available = Vec::new();
    for name in context.inventory.runners.names() {
        match available_backend(context, &name, setup, ui) {
            Ok(participant) => available.push(participant),
            Err(problem) if problem.exit == Exit::Interrupted => return Err(problem),
            // The other backends can be compared without this one.
            Err(problem) => ui.note(&format!("left out: {}", problem.line())),
        }
    }
    for Row { path, reason, .. } in context.inventory.rows.iter().filter(|row| row.name.is_none()) {
        ui.note(&format!("left out: {}: {}", path.display(), reason.as_deref().unwrap_or_default()));
    }
    Ok(available)
}

/// The backend that `name` leads to, if it can start. It is set up before if `setup` says so.
fn available_backend(context: &Context, name: &str, setup: bool, ui: &mut Ui) -> Result<Ready, Problem> {
    let (name, participant) = participant(context, name)?;
    let folders = context.folders("compare")?;
    let options = check_available(context, &participant, setup, &folders, ui);
    context.tidy(&folders);
    Ok(((name, participant), options?))
}

/// Checks several backends as [`check_available`] does, each file once: the two names of an A/A comparison have one.
pub(crate) fn check_all_available<'p>(
    context: &Context,
    participants: impl Iterator<Item = &'p Participant>,
    setup: bool,
    folders: &Folders,
    ui: &mut Ui,
) -> Result<(), Problem> {
    let by_file: BTreeMap<_, _> = participants.map(|it| (&it.plugin.path, it)).collect();
    by_file
        .into_values()
        .try_for_each(|participant| check_available(context, participant, setup, folders, ui).map(drop))
}

/// The problem of one backend among several, whose call failed: what a worker was ended for does not say of which it is.
fn of_call(participant: &Participant, error: CallError) -> Problem {
    if matches!(error.fault, Fault::Host | Fault::Interrupted) {
        return error.into();
    }
    // Two files may have one name of their own.
    let which = if participant.from_file {
        participant.plugin.path.display().to_string()
    } else {
        format!("backend {:?}", participant.plugin.name())
    };
    let problem = Problem::from(error);
    Problem { message: format!("{which}: {}", problem.message), ..problem }
}

/// Probes a backend, which is set up before if `setup` says so, and returns the options that it reads.
///
/// # Errors
/// When it cannot start.
fn check_available(
    context: &Context,
    participant: &Participant,
    setup: bool,
    folders: &Folders,
    ui: &mut Ui,
) -> Result<Vec<Parameter>, Problem> {
    let mut backend =
        context.load(&participant.plugin, folders).map_err(|error| of_call(participant, error))?;
    let options = std::mem::take(&mut backend.loaded.options);
    let setup = if setup { SetUp::Always } else { SetUp::Never };
    let ready = make_available(context, &mut backend, setup, folders, ui);
    ui.clear_status();
    backend.end();
    ready.map_err(|not_ready| match not_ready {
        NotReady::Call(error) => of_call(participant, error),
        NotReady::Problem(problem) if participant.from_file => of_file(problem),
        NotReady::Problem(problem) => problem,
    })?;
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_some_backends_take_is_for_these_alone() {
        let batch = |most| Parameter::integer("batch", "how many at once", 8, 1, most);
        let declared = [("mine", vec![batch(64)]), ("wide", vec![batch(128)]), ("plain", Vec::new())];
        let told_with = |baseline: Option<&str>, names: &[&str], extra: i64, vary: i64| {
            let taking_part = declared.iter().filter(|(name, _)| names.contains(name));
            let options = taking_part.map(|(name, options)| ((*name).to_owned(), options.clone()));
            let selection =
                Selection { backends: Vec::new(), workloads: Vec::new(), options: options.collect() };
            let extra = Map::from_iter([("batch".to_owned(), extra.into())]);
            let vary = Variation { key: "batch".into(), values: vec![1.into(), vary.into()] };
            let checked = selection.check_options(&extra, &[vary], baseline);
            checked.map_err(|problem| problem.remedy.unwrap_or_default())
        };
        let told = |names: &[&str], extra: i64, vary: i64| told_with(None, names, extra, vary);
        let all = ["mine", "wide", "plain"];
        assert_eq!(told(&all, 64, 64), Ok(()));
        let alone = "or the others alone, with --backends wide,plain";
        assert_eq!(told(&all, 65, 1), Err(format!("--extra batch=8, {alone}")));
        assert_eq!(told(&all, 1, 65), Err(format!("--vary batch=1,8, {alone}")));
        // Those that do not read the option are measured without it.
        assert_eq!(told(&["mine", "plain"], 65, 1), Err("--extra batch=8".to_owned()));
        assert_eq!(told(&all, 129, 1), Err("--extra batch=8".to_owned()));
        // A baseline has to take part.
        assert_eq!(told_with(Some("mine"), &all, 65, 1), Err("--extra batch=8".to_owned()));
        assert_eq!(told_with(Some("Wide"), &all, 65, 1), Err(format!("--extra batch=8, {alone}")));
    }
}
