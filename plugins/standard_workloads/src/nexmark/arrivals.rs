//! When the events come: when they are asked for, or by a schedule, as in an open loop. The time that is in an event is another one.

use plugin_api::{Parameter, Parameters, WorkloadError, WorkloadSpec};

use crate::schedule::Schedule;

/// Events come when they are asked for.
const ON_DEMAND: &str = "on_demand";

/// The parameters that say when events come. No result of a query that never ends is due, so there is no schedule for it.
pub(super) fn parameters(never_ends: bool) -> Vec<Parameter> {
    let (how, schedules) = if never_ends {
        (
            "when events come: on demand alone, as this query never ends, and has no results that are due",
            &[][..],
        )
    } else {
        let how = "when events come: on demand, or at moments that are independent of each other, in equal steps, in bursts, or \
                   faster and faster; then latency is measured, from when a result was due";
        (how, Schedule::NAMES.as_slice())
    };
    let options = [&[ON_DEMAND], schedules].concat();
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
