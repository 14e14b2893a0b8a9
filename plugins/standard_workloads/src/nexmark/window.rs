//! Windows of event time. A window has the name of its end, and has all times before its end from its start on.

use plugin_api::{Parameter, Parameters, WorkloadError};

const DAY: u64 = 86_400_000;

/// In so many windows a time may be at most: a bid is sent once for each.
const MOST_WINDOWS: u64 = 10_000;

pub(super) fn window_parameter() -> Parameter {
    Parameter::integer("window_ms", "how long a window is, in milliseconds of event time", 10_000, 1, DAY)
}

pub(super) fn slide_parameter() -> Parameter {
    let description = "how long after a window the next one starts, in milliseconds of event time; divides window_ms, into 10000 parts \
                       at most";
    Parameter::integer("slide_ms", description, 5000, 1, DAY)
}

pub(super) fn gap_parameter() -> Parameter {
    let description = "how long a person must not bid for a session to end, in milliseconds of event time";
    Parameter::integer("gap_ms", description, 10_000, 1, DAY)
}

/// Windows of one length, each so long after the one before.
#[derive(Clone, Copy)]
pub(super) struct Windows {
    pub(super) slide: u64,
    /// How many windows a time is in.
    pub(super) overlap: u64,
}

impl Windows {
    /// Windows that follow each other.
    pub(super) fn tumbling(parameters: &Parameters) -> Self {
        Self { slide: parameters.integer("window_ms"), overlap: 1 }
    }

    /// Windows that overlap.
    ///
    /// # Errors
    /// [`WorkloadError::Spec`] where a window is no multiple of its slide, or too large a one.
    pub(super) fn sliding(parameters: &Parameters) -> Result<Self, WorkloadError> {
        let (window, slide) = (parameters.integer("window_ms"), parameters.integer("slide_ms"));
        let overlap = window / slide;
        let problem = if !window.is_multiple_of(slide) {
            format!("must be a multiple of extra.slide_ms, which is {slide}")
        } else if overlap > MOST_WINDOWS {
            format!("may be at most {MOST_WINDOWS} times extra.slide_ms, which is {slide}")
        } else {
            return Ok(Self { slide, overlap });
        };
        let better = dividing(window, slide);
        Err(WorkloadError::Spec(format!(
            "extra.window_ms is {window}, but {problem}; try: --extra slide_ms={better}"
        )))
    }

    /// The ends of the windows that `time` is in.
    pub(super) fn ends(self, time: u64) -> impl Iterator<Item = u64> {
        let first = time / self.slide;
        (1..=self.overlap).map(move |step| first.wrapping_add(step).wrapping_mul(self.slide))
    }

    /// The first of these.
    pub(super) fn end(self, time: u64) -> u64 {
        (time / self.slide).wrapping_add(1).wrapping_mul(self.slide)
    }
}

/// The shortest slide from `slide` on that divides a window, into [`MOST_WINDOWS`] parts at most; the window itself, if no other does.
fn dividing(window: u64, slide: u64) -> u64 {
    (2..=MOST_WINDOWS.min(window / slide))
        .rev()
        .find(|count| window.is_multiple_of(*count))
        .map_or(window, |count| window / count)
}
