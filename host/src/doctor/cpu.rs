//! The processor: how fast it is, and whose it is.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::State;
use crate::control_group::{self, Quota, text};
use crate::sandbox::core_list::listed;
use crate::slowdown::CpuTicks;

const CPU: &str = "sys/devices/system/cpu";

/// So much of the time may be stolen, as the machine check has it.
const STEAL: f64 = 0.02;

/// So many processes for each core may wait to run before anything is measured.
const LOAD: f64 = 0.5;

/// The clocks that are read without a system call.
const FAST_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

pub(super) fn governor(root: &Path) -> Option<State> {
    let of = |core: usize| text(&root.join(format!("{CPU}/cpu{core}/cpufreq/scaling_governor")));
    let governors: BTreeSet<String> = own_cores(root).into_iter().filter_map(of).collect();
    if governors.is_empty() {
        return None;
    }
    let others: Vec<_> = governors.iter().filter(|governor| *governor != "performance").collect();
    if others.is_empty() {
        return Some(State::good("the clock rate is kept high (performance)"));
    }
    let others: Vec<_> = others.iter().map(|governor| format!("{governor:?}")).collect();
    let found = format!("the clock rate is set by {}", others.join(" and "));
    let effect = "the clock rate follows the load, so that short runs are slower than long ones";
    Some(State::bad(found, effect, "sudo cpupower frequency-set -g performance"))
}

/// The cores that this process may use, of which some may be offline; core 0 where the system does not say.
fn own_cores(root: &Path) -> Vec<usize> {
    let status = text(&root.join("proc/self/status")).unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("0");
    listed(list).collect()
}

pub(super) fn turbo(root: &Path) -> Option<State> {
    let intel = format!("{CPU}/intel_pstate/no_turbo");
    let other = format!("{CPU}/cpufreq/boost");
    let on = |command: String| {
        let found = "the clock rate rises beyond its base while the machine is cool";
        let effect = "a cool machine is faster than a warm one, so the backend that runs first gains";
        Some(State::doubtful(found, effect, command))
    };
    match (text(&root.join(&intel)).as_deref(), text(&root.join(&other)).as_deref()) {
        (Some("0"), _) => on(format!("echo 1 | sudo tee /{intel}")),
        (_, Some("1")) => on(format!("echo 0 | sudo tee /{other}")),
        (None, None) => None,
        _ => Some(State::good("the clock rate does not rise beyond its base")),
    }
}

pub(super) fn threads(root: &Path) -> Option<State> {
    if text(&root.join(format!("{CPU}/smt/active")))? == "0" {
        return Some(State::good("each core runs one thread"));
    }
    let effect = "two threads share a core: twice the parallelism is not twice the speed";
    let command = format!("echo off | sudo tee /{CPU}/smt/control");
    Some(State::doubtful("cores run two threads each", effect, command))
}

/// How many cores the control groups leave.
pub(super) fn quota(root: &Path) -> Option<State> {
    let cores = match control_group::cpu_quota(root)? {
        Quota::Unlimited => return Some(State::good("no control group limits the processor")),
        Quota::Cores(cores) => cores,
    };
    let found = format!("a control group leaves {cores} cores' time");
    let effect = "once the time of a period is used up, all processes wait for the next period";
    Some(State::bad(
        found,
        effect,
        "run outside of the container, or start it without a limit of the processor",
    ))
}

/// Whether the system spreads threads over the cores that this process may use: over isolated ones it does not. One core alone has all
/// threads anyway.
pub(super) fn isolated(root: &Path) -> Option<State> {
    let list: Vec<_> = listed(&text(&root.join(format!("{CPU}/isolated")))?).collect();
    let (isolated, others): (Vec<usize>, Vec<usize>) =
        own_cores(root).into_iter().partition(|core| list.contains(core));
    if isolated.is_empty() || isolated.len() + others.len() < 2 {
        return Some(State::good("the system spreads threads over the cores that crossrun may use"));
    }
    let found =
        "some of the cores are isolated (isolcpus), and the system does not spread threads over these";
    let effect =
        "threads are not moved to an isolated core or away from one: several share a core while others idle";
    let others: Vec<_> = others.iter().map(usize::to_string).collect();
    let remedy = match others.as_slice() {
        [] => "taskset -c CORES crossrun …, with cores that are not isolated".to_owned(),
        cores => format!("taskset -c {} crossrun …", cores.join(",")),
    };
    Some(State::bad(found, effect, remedy))
}

/// Whether this process runs in real time (`chrt -f`), as all that it starts does then.
pub(super) fn real_time(root: &Path) -> Option<State> {
    /// The numbers of the policies `SCHED_FIFO` and `SCHED_RR`.
    const REAL_TIME: [&str; 2] = ["1", "2"];
    let stat = text(&root.join("proc/self/stat"))?;
    // Before these words is the name of the program in brackets, which may have blanks.
    let policy = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(38)?;
    if !REAL_TIME.contains(&policy) {
        return Some(State::good("crossrun shares the cores with other programs"));
    }
    let effect =
        "what waits without sleep keeps all others off its core until the system halts it, in each second";
    Some(State::bad("crossrun and all that it starts run in real time", effect, "chrt --other 0 crossrun …"))
}

pub(super) fn steal(root: &Path, watch: Duration) -> Option<State> {
    let look = || CpuTicks::of(&text(&root.join("proc/stat"))?);
    let before = look();
    std::thread::sleep(watch);
    let part = before?.steal_share(look()?)?;
    let percent = part * 100.0;
    if part <= STEAL {
        return Some(State::good(format!("{percent:.1} % of the time went to other machines just now")));
    }
    let found = format!("{percent:.1} % of the time went to other virtual machines just now");
    let effect = "the hypervisor may take processor time for other machines at any moment";
    Some(State::bad(found, effect, "measure on a machine with cores of its own"))
}

pub(super) fn load(root: &Path) -> Option<State> {
    let average: f64 = text(&root.join("proc/loadavg"))?.split(' ').next()?.parse().ok()?;
    // The load is that of the whole machine, of whose cores this process may have a part.
    let own = || std::thread::available_parallelism().map_or(1, usize::from);
    let cores = machine_cores(root).unwrap_or_else(own);
    let found = format!("{average} processes wanted to run in the last minute, on {cores} cores");
    if average <= LOAD * cores as f64 {
        return Some(State::good(found));
    }
    let effect = "whatever else runs takes time from what is measured";
    Some(State::bad(found, effect, "top, to see what runs; then end it or wait"))
}

/// The cores of the machine, of which the system counts the time.
fn machine_cores(root: &Path) -> Option<usize> {
    let stat = text(&root.join("proc/stat"))?;
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    Some(stat.lines().filter(is_core).count()).filter(|cores| *cores > 0)
}

pub(super) fn clock_source(root: &Path) -> Option<State> {
    let folder = "sys/devices/system/clocksource/clocksource0";
    let path = format!("{folder}/current_clocksource");
    let name = text(&root.join(&path))?;
    if FAST_CLOCKS.contains(&name.as_str()) {
        return Some(State::good(format!("the clock is {name}, which is read without a system call")));
    }
    let effect = "reading the clock takes a microsecond or more, which short runs and latencies show";
    // The system refuses a clock that it does not offer.
    let offered = text(&root.join(format!("{folder}/available_clocksource"))).unwrap_or_default();
    let faster = FAST_CLOCKS.into_iter().find(|clock| offered.split(' ').any(|name| name == *clock));
    let remedy = faster.map_or_else(
        || "measure on another machine: this one offers no faster clock".to_owned(),
        |clock| format!("echo {clock} | sudo tee /{path}"),
    );
    Some(State::bad(format!("the clock is {name}"), effect, remedy))
}
