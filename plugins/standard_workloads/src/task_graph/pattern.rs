//! The patterns of Task Bench: which points of one row are connected with which of the next.

use std::hash::Hasher;

use plugin_api::Parameters;

/// A pattern with its parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    pub(super) shape: Shape,
    pub(super) radix: u64,
    pub(super) fraction_connected: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Trivial,
    NoComm,
    Stencil,
    StencilPeriodic,
    Dom,
    Tree,
    Fft,
    AllToAll,
    Nearest,
    Spread,
    RandomNearest,
}

/// Spread and random_nearest connect other points in each of so many steps, and then the same again: Task Bench's default.
const PERIOD: u64 = 3;

impl Pattern {
    pub(super) fn of(parameters: &Parameters) -> Self {
        Self {
            shape: Shape::named(parameters.choice("pattern")),
            radix: parameters.integer("radix"),
            fraction_connected: parameters.number("fraction_connected"),
        }
    }

    /// After how many steps the same points are connected again.
    pub(super) fn period(&self, width: u64) -> u64 {
        match self.shape {
            // The distances 1, 2, 4 and so on. With one point there is none, and Task Bench divides by zero.
            Shape::Fft => u64::from(width.next_power_of_two().ilog2()).max(1),
            Shape::Spread | Shape::RandomNearest => PERIOD,
            _ => 1,
        }
    }

    /// Passes the points of the row before that `point` needs to `to`, for the edges of number `set` in the period; with
    /// repetitions where there is more than one edge. Both rows are as wide as rows can be.
    pub(super) fn for_each_input(&self, width: u64, set: u64, point: u64, mut to: impl FnMut(u64)) {
        let (last, radix) = (width - 1, self.radix);
        match self.shape {
            Shape::Dom => (point.saturating_sub(1)..=point).for_each(to),
            Shape::Tree => to(point / 2),
            Shape::Nearest => near(point, radix / 2, radix, last).for_each(to),
            Shape::RandomNearest => near(point, radix / 2, radix, last)
                .filter(|from| self.is_connected(set, *from, point))
                .for_each(to),
            Shape::Spread => spread(radix, width, set).for_each(|distance| to((point + distance) % width)),
            symmetric => symmetric.for_each_neighbour(last, set, point, to),
        }
    }

    /// Passes the points of the next row that need `point` to `to`: the edges of [`Pattern::for_each_input`] in the other direction.
    pub(super) fn for_each_output(&self, width: u64, set: u64, point: u64, mut to: impl FnMut(u64)) {
        let (last, radix) = (width - 1, self.radix);
        match self.shape {
            Shape::Dom => (point..=(point + 1).min(last)).for_each(to),
            Shape::Tree => (2 * point..=(2 * point + 1).min(last)).for_each(to),
            Shape::Nearest => near(point, radix.saturating_sub(1) / 2, radix, last).for_each(to),
            Shape::RandomNearest => near(point, radix.saturating_sub(1) / 2, radix, last)
                .filter(|target| self.is_connected(set, point, *target))
                .for_each(to),
            Shape::Spread => {
                spread(radix, width, set).for_each(|distance| to((point + width - distance % width) % width));
            }
            symmetric => symmetric.for_each_neighbour(last, set, point, to),
        }
    }

    /// Whether random_nearest connects two points that are near each other. It is Task Bench's own drawing, so it does not depend
    /// on the seed of the data.
    fn is_connected(&self, set: u64, from: u64, target: u64) -> bool {
        const GRAPH: u64 = 0;
        let hash = sip_hash([GRAPH, self.radix, set, from, target]);
        from == target || (hash as f64) * (-64.0_f64).exp2() < self.fraction_connected
    }
}

impl Shape {
    /// As Task Bench calls them. Its random_spread has no edges.
    const NAMED: [(&str, Self); 11] = [
        ("stencil_1d", Self::Stencil),
        ("stencil_1d_periodic", Self::StencilPeriodic),
        ("trivial", Self::Trivial),
        ("no_comm", Self::NoComm),
        ("dom", Self::Dom),
        ("tree", Self::Tree),
        ("fft", Self::Fft),
        ("all_to_all", Self::AllToAll),
        ("nearest", Self::Nearest),
        ("spread", Self::Spread),
        ("random_nearest", Self::RandomNearest),
    ];

    pub(super) fn names() -> [&'static str; 11] {
        Self::NAMED.map(|(name, _)| name)
    }

    /// The shape of this name; the first one if there is none.
    pub(super) fn named(name: &str) -> Self {
        Self::NAMED.iter().find(|(known, _)| *known == name).map_or(Self::Stencil, |(_, shape)| *shape)
    }

    /// The patterns in which a point needs those that need it.
    fn for_each_neighbour(self, last: u64, set: u64, point: u64, mut to: impl FnMut(u64)) {
        match self {
            Self::NoComm => to(point),
            Self::Stencil | Self::StencilPeriodic => {
                (point.saturating_sub(1)..=(point + 1).min(last)).for_each(&mut to);
                if self == Self::StencilPeriodic && point == 0 {
                    to(last);
                }
                if self == Self::StencilPeriodic && point == last {
                    to(0);
                }
            }
            Self::Fft => {
                let distance = 1 << set;
                let before = point.checked_sub(distance);
                let after = Some(point + distance).filter(|after| *after <= last);
                [before, Some(point), after].into_iter().flatten().for_each(to);
            }
            Self::AllToAll => (0..=last).for_each(to),
            // The others are not symmetric, and trivial has no edges.
            _ => {}
        }
    }
}

/// `radix` points of which `before` are before `point`, and of these those that there are.
fn near(point: u64, before: u64, radix: u64, last: u64) -> impl Iterator<Item = u64> {
    let end = (point + radix).saturating_sub(before).min(last + 1);
    point.saturating_sub(before)..end
}

/// The distances from a point to those that it needs.
fn spread(radix: u64, width: u64, set: u64) -> impl Iterator<Item = u64> {
    (0..radix).map(move |number| number * width / radix + if number > 0 { set } else { 0 })
}

/// SipHash-2-4 with the key of Task Bench: the bytes 1 to 15, and a zero.
fn sip_hash(words: [u64; 5]) -> u64 {
    const KEY: (u64, u64) = (0x0807_0605_0403_0201, 0x000f_0e0d_0c0b_0a09);
    #[expect(
        deprecated,
        reason = "it is the only SipHash-2-4 of the standard library, and its results are fixed"
    )]
    let mut hasher = std::hash::SipHasher::new_with_keys(KEY.0, KEY.1);
    words.iter().for_each(|word| hasher.write(&word.to_le_bytes()));
    hasher.finish()
}
