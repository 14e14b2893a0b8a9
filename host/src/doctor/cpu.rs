//! The processor: how fast it is, and whose it is.

use std::time::Duration;

use super::{Finding, Level, System};
use crate::control_group::{self, Quota};
use crate::slowdown::CpuTicks;

const CPU: &str = "sys/devices/system/cpu";

/// So much of the time may be stolen, as the machine check has it.
const STEAL: f64 = 0.02;

/// So many processes for each core may wait to run before anything is measured.
const LOAD: f64 = 0.5;

pub(super) fn governor(system: &System) -> Finding {
    let id = "governor";
    match system.text(&format!("{CPU}/cpu0/cpufreq/scaling_governor")).as_deref() {
        None => Finding::unknown(id),
        Some("performance") => Finding::good(id, "the clock rate is kept high (performance)"),
        Some(other) => {
            let effect = "the clock rate follows the load, so that short runs are slower than long ones";
            Finding::harm(id, Level::Bad, format!("the clock rate is set by {other:?}"), effect)
                .mended_by("sudo cpupower frequency-set -g performance")
        }
    }
}

pub(super) fn turbo(system: &System) -> Finding {
    let id = "turbo";
    let intel = format!("{CPU}/intel_pstate/no_turbo");
    let other = format!("{CPU}/cpufreq/boost");
    let on = |command: String| {
        let effect = "a cool machine is faster than a warm one: whoever runs first gains";
        Finding::harm(
            id,
            Level::Doubtful,
            "the clock rate rises beyond its base while the machine is cool",
            effect,
        )
        .mended_by(command)
    };
    match (system.text(&intel).as_deref(), system.text(&other).as_deref()) {
        (Some("0"), _) => on(format!("echo 1 | sudo tee /{intel}")),
        (_, Some("1")) => on(format!("echo 0 | sudo tee /{other}")),
        (None, None) => Finding::unknown(id),
        _ => Finding::good(id, "the clock rate does not rise beyond its base"),
    }
}

pub(super) fn threads(system: &System) -> Finding {
    let id = "smt";
    match system.text(&format!("{CPU}/smt/active")).as_deref() {
        None => Finding::unknown(id),
        Some("0") => Finding::good(id, "each core runs one thread"),
        Some(_) => {
            let effect = "two threads share a core: twice the parallelism is not twice the speed";
            Finding::harm(id, Level::Doubtful, "cores run two threads each", effect)
                .mended_by(format!("echo off | sudo tee /{CPU}/smt/control"))
        }
    }
}

/// How many cores the control groups leave.
pub(super) fn quota(system: &System) -> Finding {
    let id = "quota";
    let cores = match control_group::cpu_quota(&system.root) {
        None => return Finding::unknown(id),
        Some(Quota::Unlimited) => return Finding::good(id, "no control group limits the processor"),
        Some(Quota::Cores(cores)) => cores,
    };
    let effect = "all processes stand still for the rest of a period once the time is used up";
    Finding::harm(id, Level::Bad, format!("a control group leaves {cores} cores' time"), effect)
        .mended_by("run outside of the container, or start it without a limit of the processor")
}

pub(super) fn steal(system: &System, watch: Duration) -> Finding {
    let id = "steal";
    let look = || system.text("proc/stat").as_deref().and_then(CpuTicks::of);
    let before = look();
    std::thread::sleep(watch);
    let part = before.zip(look()).and_then(|(before, after)| before.steal_share(after));
    match part {
        None => Finding::unknown(id),
        Some(part) if part <= STEAL => {
            Finding::good(id, format!("{:.1} % of the time went to other machines just now", part * 100.0))
        }
        Some(part) => {
            let effect = "the machine below takes time away at its will";
            let found = format!("{:.1} % of the time went to other virtual machines just now", part * 100.0);
            Finding::harm(id, Level::Bad, found, effect)
                .mended_by("measure on a machine with cores of its own")
        }
    }
}

pub(super) fn load(system: &System) -> Finding {
    let id = "load";
    let average = system.text("proc/loadavg");
    let average =
        average.as_deref().and_then(|text| text.split(' ').next()).and_then(|text| text.parse::<f64>().ok());
    let Some(average) = average else { return Finding::unknown(id) };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let found = format!("{average} processes wanted to run in the last minute, on {cores} cores");
    if average <= LOAD * cores as f64 {
        return Finding::good(id, found);
    }
    let effect = "whatever else runs takes time from what is measured";
    Finding::harm(id, Level::Bad, found, effect).mended_by("top, to see what runs; then end it or wait")
}

pub(super) fn clock_source(system: &System) -> Finding {
    let id = "clock_source";
    let path = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    match system.text(path) {
        None => Finding::unknown(id),
        Some(name) if ["tsc", "kvm-clock", "arch_sys_counter"].contains(&name.as_str()) => {
            Finding::good(id, format!("the clock is {name}, which is read without a system call"))
        }
        Some(name) => {
            let effect = "reading the clock takes a microsecond or more, which short runs and latencies show";
            Finding::harm(id, Level::Bad, format!("the clock is {name}"), effect)
                .mended_by(format!("echo tsc | sudo tee /{path}"))
        }
    }
}
