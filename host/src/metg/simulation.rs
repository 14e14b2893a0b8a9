//! Whether sweeps find a known overhead, with a simulated backend and clock.

use plugin_api::random::mix;
use proptest::prelude::*;

use super::*;
use crate::plan::Purpose;
use crate::stats::WarmUp;

/// A backend with an overhead for each task and a startup time for each run, in seconds.
struct Simulated {
    cores: u32,
    seconds_per_iteration: f64,
    overhead: f64,
    startup: f64,
    /// How many times as long everything takes, because other work is on the cores.
    slowdown: f64,
    /// The maximum relative error of a run, in either direction.
    noise: f64,
    /// How many more runs have a verified answer.
    runs_left: usize,
    random: u64,
    clock: f64,
    points: Vec<(Load, MeasuredLoad)>,
}

impl Simulated {
    fn new(overhead: f64) -> Self {
        Self {
            cores: 2,
            seconds_per_iteration: 1.5e-9,
            overhead,
            startup: 50e-6,
            slowdown: 1.0,
            noise: 0.0,
            runs_left: usize::MAX,
            random: 1,
            clock: 0.0,
            points: Vec::new(),
        }
    }

    fn noisy(noise: f64, seed: u64, overhead: f64) -> Self {
        Self { noise, random: mix(seed) | 1, ..Self::new(overhead) }
    }

    /// Between -1 and 1.
    fn chance(&mut self) -> f64 {
        self.random = mix(self.random);
        (self.random >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn sweep(&self) -> Sweep {
        Sweep {
            cores: self.cores,
            seconds_per_iteration: self.seconds_per_iteration,
            other_seconds: 0.0,
            tasks: None,
            range: Range { point_seconds: 0.4, finest_seconds: 0.0, coarsest_seconds: 2.0 },
            warm_up: WarmUp::default(),
        }
    }

    fn points(&self) -> Vec<MeasuredLoad> {
        self.points.iter().map(|(_, point)| *point).collect()
    }

    /// After its sweep.
    fn swept(mut self) -> Self {
        self.sweep().run(&mut self).unwrap();
        self
    }

    fn metg(self) -> f64 {
        match block_value(&self.swept().points()).unwrap().unwrap() {
            Value::At { seconds } => seconds,
            bound => panic!("{bound:?}"),
        }
    }
}

impl LoadRunner for Simulated {
    type Error = std::convert::Infallible;

    fn run(&mut self, load: Load, purpose: Purpose) -> Result<Option<f64>, Self::Error> {
        if self.runs_left == 0 {
            return Ok(None);
        }
        self.runs_left -= 1;
        let kernel_seconds = load.iterations as f64 * self.seconds_per_iteration;
        let rounds = load.tasks.div_ceil(self.cores.into()) as f64;
        let factor = self.slowdown * (1.0 + self.noise * self.chance());
        let seconds = (self.startup + rounds * (kernel_seconds + self.overhead)) * factor;
        self.clock += seconds;
        if purpose == Purpose::Measured {
            let (tasks, cores) = (load.tasks, self.cores);
            self.points.push((load, MeasuredLoad { kernel_seconds, tasks, seconds, cores }));
        }
        Ok(Some(seconds))
    }
}

/// A backend of which each run is seen, and changed, before it begins.
struct Observed<F>(Simulated, F);

impl<F: FnMut(&mut Simulated, Load, Purpose)> LoadRunner for Observed<F> {
    type Error = std::convert::Infallible;

    fn run(&mut self, load: Load, purpose: Purpose) -> Result<Option<f64>, Self::Error> {
        (self.1)(&mut self.0, load, purpose);
        self.0.run(load, purpose)
    }
}

#[test]
fn an_overhead_that_is_added_to_each_item_is_found() {
    for base in [0.4e-6, 30e-6] {
        for added in [10e-6, 20e-6, 50e-6, 100e-6, 300e-6, 1e-3, 3e-3, 10e-3] {
            for seed in 0..20 {
                let metg = |overhead| {
                    let values: Vec<_> = (0..7)
                        .map(|block| Simulated::noisy(0.02, seed * 100 + block, overhead).metg())
                        .map(|seconds| Value::At { seconds })
                        .collect();
                    match over_blocks(&values).unwrap().value {
                        Value::At { seconds } => seconds,
                        bound => panic!("{bound:?}"),
                    }
                };
                let found = metg(base + added) - metg(base);
                assert!((found / added - 1.0).abs() < 0.1, "{found} for {added} above {base}");
            }
        }
    }
}

#[test]
fn metg_is_the_granularity_of_a_task_whose_kernel_takes_half_of_it() {
    for overhead in [0.4e-6, 30e-6, 3e-3] {
        let new = || Simulated { startup: 0.0, ..Simulated::new(overhead) };
        let kernel = new().metg();
        let metg = Value::At { seconds: kernel }.granularity().seconds();
        assert!((metg / (2.0 * overhead) - 1.0).abs() < 0.02, "{metg} for {overhead}");
        // A run with this kernel takes so long: elapsed · cores / tasks.
        let mut backend = new();
        let load = Load {
            iterations: (kernel / backend.seconds_per_iteration).round() as u64,
            tasks: 1000,
            is_longest: false,
            is_shortest: false,
        };
        let elapsed = backend.run(load, Purpose::Measured).unwrap().unwrap();
        let granularity = elapsed * f64::from(backend.cores) / load.tasks as f64;
        assert!((metg / granularity - 1.0).abs() < 0.02, "{metg} for {granularity}");
    }
}

#[test]
fn a_block_of_a_busy_machine_has_no_value() {
    for slowdown in [1.2, 2.0, 4.0, 20.0] {
        for overhead in [0.4e-6, 30e-6, 3e-3] {
            let backend = Simulated { slowdown, ..Simulated::noisy(0.02, 7, overhead) }.swept();
            let value = block_value(&backend.points());
            assert!(matches!(value, Err(NoValue::NeverEfficient { .. })), "{value:?} at {slowdown}");
        }
    }
}

#[test]
fn the_floor_is_the_overhead_of_a_task() {
    for overhead in [0.3e-6, 10e-6, 5e-3, 80e-3] {
        let backend = Simulated::noisy(0.01, 3, overhead).swept();
        let found = floor(&backend.points()).unwrap();
        assert!((found / overhead - 1.0).abs() < 0.05, "{found} for {overhead}");
    }
}

#[test]
fn a_sweep_halves_the_kernel_over_the_whole_range_and_measures_each_kernel_once() {
    for overhead in [0.3e-6, 10e-6, 5e-3, 80e-3] {
        let backend = Simulated::noisy(0.02, 5, overhead).swept();
        let mut kernels: Vec<_> = backend.points.iter().map(|(load, _)| load.iterations).collect();
        kernels.sort_unstable();
        assert!(kernels.windows(2).all(|pair| pair[1] == 2 * pair[0]), "{kernels:?}");
        let efficiencies: Vec<_> = backend.points().iter().map(MeasuredLoad::efficiency).collect();
        assert!(
            efficiencies.iter().any(|it| *it >= FIRST_EFFICIENCY)
                && efficiencies.iter().any(|it| *it <= LAST_EFFICIENCY)
        );
        assert!(backend.points.iter().all(|(load, _)| load.tasks >= 16 && load.tasks.is_multiple_of(2)));
    }
}

#[test]
fn a_point_takes_about_the_requested_time() {
    for overhead in [0.3e-6, 10e-6, 5e-3] {
        let backend = Simulated::new(overhead).swept();
        for (load, point) in &backend.points {
            let enough = load.tasks == 16 || (0.15..0.8).contains(&point.seconds);
            assert!(enough, "{load:?} took {} s", point.seconds);
        }
    }
    // A whole sweep takes some seconds of the simulated clock.
    let backend = Simulated::new(0.5e-6).swept();
    assert!(backend.clock < 12.0, "{}", backend.clock);
}

#[test]
fn the_kernel_is_doubled_if_the_warm_up_underestimated_the_overhead() {
    // The overhead is larger for longer kernels.
    let mut backend = Observed(Simulated::new(10e-6), |it: &mut Simulated, load: Load, _: Purpose| {
        it.overhead = if load.iterations > 1 { 40e-6 } else { 10e-6 };
    });
    backend.0.sweep().run(&mut backend).unwrap();
    let Some(Value::At { seconds }) = block_value(&backend.0.points()).unwrap() else { panic!("a bound") };
    assert!((seconds / 40e-6 - 1.0).abs() < 0.1, "{seconds}");
    assert!(backend.0.points().iter().any(|point| point.efficiency() >= FIRST_EFFICIENCY));
}

#[test]
fn a_value_beyond_the_range_of_kernels_is_a_bound_or_none() {
    let value = |overhead, finest_seconds, coarsest_seconds| {
        let mut backend = Simulated::new(overhead);
        let range = Range { point_seconds: 0.4, finest_seconds, coarsest_seconds };
        let sweep = Sweep { range, ..backend.sweep() };
        sweep.run(&mut backend).unwrap();
        let longest = backend.points().iter().map(|point| point.kernel_seconds).fold(0.0, f64::max);
        assert!(longest <= coarsest_seconds);
        block_value(&backend.points())
    };
    let Err(NoValue::NeverEfficient { kernel_seconds, .. }) = value(1e-3, 0.0, 100e-6) else {
        panic!("a value")
    };
    assert!((50e-6..=100e-6).contains(&kernel_seconds), "{kernel_seconds}");
    let Ok(Some(Value::Below { seconds })) = value(1e-6, 100e-6, 2.0) else { panic!("no bound") };
    assert!((100e-6..=200e-6).contains(&seconds), "{seconds}");
}

#[test]
fn with_a_fixed_number_of_tasks_the_value_is_the_same_and_what_a_task_does_beside_its_kernel_counts_as_work()
{
    let mut backend = Simulated { startup: 0.0, ..Simulated::new(20e-6) };
    let sweep = Sweep { tasks: Some(64), ..backend.sweep() };
    sweep.run(&mut backend).unwrap();
    assert!(backend.points.iter().all(|(load, _)| load.tasks == 64));
    let Ok(Some(Value::At { seconds })) = block_value(&backend.points()) else { panic!("a bound") };
    assert!((seconds / 20e-6 - 1.0).abs() < 0.1, "{seconds}");

    // Each task takes 30 µs of which 10 µs are work that the reference has too: 20 µs are overhead, as before.
    let mut backend = Simulated { startup: 0.0, ..Simulated::new(30e-6) };
    let sweep = Sweep { tasks: Some(64), other_seconds: 10e-6, ..backend.sweep() };
    sweep.run(&mut backend).unwrap();
    let points = backend.points.iter().map(|(load, point)| MeasuredLoad {
        kernel_seconds: 10e-6 + load.iterations as f64 * sweep.seconds_per_iteration,
        ..*point
    });
    let Ok(Some(Value::At { seconds })) = block_value(&points.collect::<Vec<_>>()) else { panic!("a bound") };
    assert!((seconds / 20e-6 - 1.0).abs() < 0.1, "{seconds}");
}

#[test]
fn a_bound_of_the_kernel_bounds_the_time_of_a_saturating_engine_and_changes_no_value() {
    // The engine's own processes take a share of the cores, whatever the kernel.
    let swept = |left_for_tasks: f64, coarsest_seconds: f64| {
        let slowdown = 1.0 / left_for_tasks;
        let mut backend = Simulated { startup: 0.0, slowdown, ..Simulated::new(1.5e-3) };
        let range = Range { point_seconds: 0.1, finest_seconds: 0.0, coarsest_seconds };
        let sweep = Sweep { tasks: Some(256), range, ..backend.sweep() };
        sweep.run(&mut backend).unwrap();
        (block_value(&backend.points()), backend.clock)
    };
    // On two cores, 256 kernels of 125 ms take 16 s.
    let (bounded, long) = (0.125, 2.0);
    for left_for_tasks in [0.88, 0.91, 0.92] {
        let (_, clock) = swept(left_for_tasks, bounded);
        assert!(clock < 45.0, "{clock} with {left_for_tasks}");
    }
    let (value, _) = swept(0.92, bounded);
    assert_eq!(value, swept(0.92, long).0);
    let Ok(Some(Value::At { seconds })) = value else { panic!("{value:?}") };
    // 0.92 · kernel / (kernel + 1.5 ms) is 0.5 there.
    assert!((seconds / (0.5 * 1.5e-3 / 0.42) - 1.0).abs() < 0.05, "{seconds}");
    // Longer kernels are needed, or none is long enough.
    for (left_for_tasks, has_value) in [(0.91, true), (0.88, false)] {
        let (value, _) = swept(left_for_tasks, bounded);
        assert!(matches!(value, Err(NoValue::NeverEfficient { .. })), "{value:?} with {left_for_tasks}");
        let (value, _) = swept(left_for_tasks, long);
        assert_eq!(value.is_ok(), has_value, "{value:?} with {left_for_tasks}");
    }
}

#[test]
fn a_warm_up_has_the_shortest_kernel_which_is_the_longest_too_if_it_is_the_only_one() {
    for (finest_seconds, is_only) in [(0.0, false), (100e-6, true)] {
        let mut runs = Vec::new();
        let list = |_: &mut Simulated, load: Load, purpose: Purpose| runs.push((load, purpose));
        let mut backend = Observed(Simulated::new(10e-6), list);
        let range = Range { point_seconds: 0.4, finest_seconds, coarsest_seconds: 100e-6 };
        Sweep { range, ..backend.0.sweep() }.run(&mut backend).unwrap();
        let warm_ups = runs.iter().filter(|(_, purpose)| *purpose != Purpose::Measured);
        let warm_ups: Vec<_> = warm_ups.map(|(load, _)| (load.is_shortest, load.is_longest)).collect();
        assert!(!warm_ups.is_empty() && warm_ups.iter().all(|it| *it == (true, is_only)), "{warm_ups:?}");
    }
}

#[test]
fn long_warm_ups_that_do_not_settle_are_the_fewest() {
    for (startup, warm_ups) in [(10e-3, 20), (10.0, 5)] {
        let mut counted = 0;
        // Each run starts faster than the one before.
        let fall = |it: &mut Simulated, _: Load, purpose: Purpose| {
            counted += u32::from(purpose != Purpose::Measured);
            it.startup *= 0.9;
        };
        let mut falling = Observed(Simulated { startup, ..Simulated::new(1e-6) }, fall);
        let sweep = Sweep { tasks: Some(16), ..falling.0.sweep() };
        sweep.run(&mut falling).unwrap();
        assert_eq!(counted, warm_ups, "with {startup} s");
    }
}

#[test]
fn a_run_without_a_verified_answer_ends_the_sweep() {
    for runs_left in [0, 1, 4] {
        let backend = Simulated { runs_left, ..Simulated::new(1e-6) }.swept();
        assert!(backend.points.len() < 4);
    }
}

#[test]
fn an_engine_that_uses_too_many_cores_is_an_error() {
    let mut backend = Simulated::new(1e-6);
    // The sweep assumes half of the cores.
    let sweep = Sweep { cores: 1, ..backend.sweep() };
    sweep.run(&mut backend).unwrap();
    let points: Vec<_> = backend.points().iter().map(|point| MeasuredLoad { cores: 1, ..*point }).collect();
    let value = block_value(&points);
    assert!(matches!(value, Err(NoValue::TooEfficient { efficiency, .. }) if efficiency > MAX_EFFICIENCY));
}

proptest! {
    #[test]
    fn the_value_scales_with_the_speed_of_the_machine(overhead in 1e-6..1e-3_f64, scale in 1.0..20.0_f64) {
        let base = Simulated { startup: 0.0, ..Simulated::new(overhead) };
        let slower = Simulated {
            startup: 0.0,
            seconds_per_iteration: base.seconds_per_iteration * scale,
            ..Simulated::new(overhead * scale)
        };
        let relative = slower.metg() / base.metg() / scale;
        prop_assert!((relative - 1.0).abs() < 0.02, "{}", relative);
    }

    #[test]
    fn any_engine_ends_in_bounded_time(overhead in 1e-8..1.0_f64, noise in 0.0..0.5_f64, seed: u64) {
        let backend = Simulated::noisy(noise, seed, overhead).swept();
        prop_assert!(backend.points.len() <= 40);
        prop_assert!(backend.clock < 400.0, "{}", backend.clock);
    }
}
