//! When the events come: when they are asked for, or by a schedule, as in an open loop. The time that is in an event is another one.

use plugin_api::{Parameter, Parameters, WorkloadError, WorkloadSpec};

use crate::schedule::Schedule;

/// Events come when they are asked for.
const ON_DEMAND: &str = "on_demand";

/// The parameters that say when events come.
pub(super) fn parameters() -> Vec<Parameter> {
    let how = "when events come: on demand, or at moments that are independent of each other, in equal steps, in bursts, or \
               faster and faster; then latency is measured, from when a result was due";
    let options = [&[ON_DEMAND], Schedule::NAMES.as_slice()].concat();
    let rate = "how many events come in a second of the clock, in the mean, unless on demand";
    vec![
        Parameter::choice("arrivals", how, &options),
        Parameter::integer("arrival_rate", rate, 10_000, 1, 10_000_000),
    ]
}

/// The schedule that the parameters name, if they do.
pub(super) fn schedule(
    spec: &WorkloadSpec,
    parameters: &Parameters,
) -> Result<Option<Schedule>, WorkloadError> {
    let (name, rate) = (parameters.choice("arrivals"), parameters.integer("arrival_rate") as f64);
    if name == ON_DEMAND {
        return Ok(None);
    }
    Schedule::named(name, rate, spec.total_items, spec.seed).map(Some).map_err(|error| match error {
        // The schedule calls its parameter by another name.
        WorkloadError::Spec(why) => WorkloadError::Spec(why.replace("schedule=", "arrivals=")),
        other => other,
    })
}
