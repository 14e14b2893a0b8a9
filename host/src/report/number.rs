//! The number format of reports: three significant digits, and a unit that fits.

use crate::stats::MARGIN;

/// A duration: `412 ns`, `1.25 µs`, `33.0 ms`, `2.41 s`.
pub(crate) fn duration(seconds: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s")];
    in_units(seconds, &UNITS)
}

/// A number without a unit: `41.5`, `1.20 M`.
pub(super) fn quantity(number: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")];
    in_units(number, &UNITS).trim_end().to_owned()
}

/// An amount of memory: `27.0 MiB`.
pub(super) fn memory(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    const UNITS: [(f64, &str); 4] = [(1.0, "B"), (KIB, "KiB"), (KIB * KIB, "MiB"), (KIB * KIB * KIB, "GiB")];
    in_units(bytes, &UNITS)
}

/// The bounds of a range, with their unit once if it is the same: `10.8–11.7 ms`, `980 ms–1.06 s`.
pub(super) fn range(low: &str, high: &str) -> String {
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number}–{high}"),
        _ => format!("{low}–{high}"),
    }
}

/// A formatted number as the label of a tick, without trailing zeros: `1.50 k` becomes `1.5 k`.
pub(super) fn tick(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{unit}")
}

/// `12 500 items`.
pub(super) fn items(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "item" } else { "items" })
}

/// A count with its digits in groups of three: `12 500`. The space does not break a line.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A ratio of speeds: `0.52×`, `1.00×`, `14.2×`.
pub(super) fn ratio(ratio: f64) -> String {
    format!("{}×", factor(ratio))
}

/// The bounds of a ratio: `0.50–0.55`.
pub(super) fn interval(low: f64, high: f64) -> String {
    interval_beside(MARGIN, low, high)
}

/// The bounds of a ratio that is judged by a margin of its own.
pub(super) fn interval_beside(margin: f64, low: f64, high: f64) -> String {
    format!("{}–{}", bound(low, margin), bound(high, margin))
}

/// A bound with as many decimals as tell it from the margin, because the verdict depends on which side of it the bound is.
fn bound(ratio: f64, margin: f64) -> String {
    let margin = if ratio < 1.0 { 1.0 / margin } else { margin };
    let written = |value: f64, decimals: usize| format!("{value:.decimals$}");
    match (2..=8).find(|decimals| written(ratio, *decimals) != written(margin, *decimals)) {
        Some(decimals @ 3..) => written(ratio, decimals),
        _ => factor(ratio),
    }
}

/// A share in percent: `12.5 %`.
pub(crate) fn percent(part: f64) -> String {
    let percent = part * 100.0;
    // Below a half one decimal would be wrong by more than a tenth of the share. What is far below that is of rounding.
    let is_plain = percent.abs() < 1e-6 || (0.5..LONG).contains(&percent.abs());
    if is_plain { format!("{percent:.1} %") } else { format!("{} %", digits(percent)) }
}

/// A share that somebody has chosen, in percent and with all of its digits: `5.0 %`, `0.05 %`.
pub(crate) fn chosen_percent(part: f64) -> String {
    let percent = part * 100.0;
    let written = |decimals: usize| format!("{percent:.decimals$}");
    // A part such as 0.07 is not exactly its percentage.
    let is_near = |read: f64| (read - percent).abs() <= percent * 1e-9;
    let is_whole = |text: &String| text.parse().is_ok_and(is_near);
    let text = (1..12).map(written).find(is_whole).unwrap_or_else(|| written(12));
    format!("{text} %")
}

/// Two decimals near 1, where ratios are compared with the margin, and three significant digits elsewhere: below a half, two decimals
/// are wrong by more than 1 %.
fn factor(ratio: f64) -> String {
    if (0.4995..9.995).contains(&ratio) { format!("{ratio:.2}") } else { digits(ratio) }
}

/// The value in the largest unit that it reaches, with three significant digits.
fn in_units(value: f64, units: &[(f64, &str)]) -> String {
    if value == 0.0 || !value.is_finite() {
        let unit = units.iter().find(|unit| unit.0 == 1.0).map_or("", |unit| unit.1);
        return format!("{value} {unit}");
    }
    // 999.6 of one unit rounds to 1000, which is 1.00 of the next.
    let reaches = |unit: &&(f64, &str)| value.abs() >= unit.0 * 0.9995;
    let (size, unit) = units.iter().rev().find(reaches).unwrap_or(&units[0]);
    format!("{} {unit}", digits(value / size))
}

/// From here on a number has an exponent: the record of another program may have a duration of 300 digits, which no table has room
/// for.
const LONG: f64 = 1e7;

/// And below this, where the digits would come after ten zeros.
const TINY: f64 = 1e-10;

/// Three significant digits: `0.00123`, `1.23`, `12.3`, `123`, `1234`, `1.23e45`.
fn digits(value: f64) -> String {
    let size = value.abs();
    if size.is_finite() && size != 0.0 && !(TINY..LONG).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = if size >= 99.95 {
        0
    } else if size >= 9.995 {
        1
    } else if size >= 0.9995 || size == 0.0 {
        2
    } else {
        // The logarithm of a value below 1 is the number of zeros after its point.
        (2.0 - size.log10().floor()).clamp(2.0, 12.0) as usize
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_has_three_significant_digits_and_a_unit_that_fits() {
        let expected = [
            (0.0, "0 s"),
            (4.12e-7, "412 ns"),
            (1.25e-6, "1.25 µs"),
            (0.033, "33.0 ms"),
            (2.41, "2.41 s"),
            (12_345.0, "12345 s"),
            (2e-12, "0.00200 ns"),
        ];
        for (seconds, text) in expected {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn no_number_is_wider_than_a_column() {
        assert_eq!(duration(1e300), "1.00e300 s");
        assert_eq!(memory(f64::MAX), "1.67e299 GiB");
        assert_eq!((ratio(2e40), percent(1e200)), ("2.00e40×".into(), "1.00e202 %".into()));
        assert_eq!((duration(1e-300), ratio(3e-20)), ("1.00e-291 ns".into(), "3.00e-20×".into()));
        for exponent in -308..=308 {
            let value = 9.876_f64 * 10_f64.powi(exponent - 1);
            for text in [duration(value), quantity(value), memory(value), ratio(value), percent(value)] {
                assert!(text.chars().count() <= 24, "{text}");
            }
        }
    }

    #[test]
    fn a_value_that_rounds_up_to_a_unit_takes_that_unit() {
        assert_eq!(duration(0.000_999_6), "1.00 ms");
        assert_eq!(quantity(999.9), "1.00 k");
        assert_eq!((digits(9.996), digits(99.96)), ("10.0".into(), "100".into()));
    }

    #[test]
    fn quantities_memory_ticks_and_counts() {
        assert_eq!((quantity(41.4769), quantity(1_200_000.0)), ("41.5".into(), "1.20 M".into()));
        assert_eq!((memory(512.0), memory(28_311_552.0)), ("512 B".into(), "27.0 MiB".into()));
        assert_eq!(
            ["0", "250 ms", "1.50 k", "20.0 M", "1.00×"].map(tick),
            ["0", "250 ms", "1.5 k", "20 M", "1×"]
        );
        assert_eq!([7, 12_500, 1_000_000].map(count), ["7", "12\u{202f}500", "1\u{202f}000\u{202f}000"]);
    }

    #[test]
    fn a_range_has_its_unit_once() {
        assert_eq!(range("10.8 ms", "11.7 ms"), "10.8–11.7 ms");
        assert_eq!(range("980 ms", "1.06 s"), "980 ms–1.06 s");
        assert_eq!(range("1.84", "1.99"), "1.84–1.99");
    }

    #[test]
    fn a_ratio_near_one_keeps_two_decimals() {
        assert_eq!([0.523, 1.0, 14.23, 0.00123].map(ratio), ["0.52×", "1.00×", "14.2×", "0.00123×"]);
        assert_eq!(interval(0.5, 0.551), "0.50–0.55");
        assert_eq!([0.1049, 0.25, 0.4994, 0.4996].map(ratio), ["0.105×", "0.250×", "0.499×", "0.50×"]);
        assert_eq!(interval(0.0962, 0.1044), "0.0962–0.104");
        assert_eq!(percent(0.1251), "12.5 %");
        assert_eq!([0.000_144, 0.0, 1.7e-16].map(percent), ["0.0144 %", "0.0 %", "0.0 %"]);
        assert_eq!([0.000_51, 0.0049, 0.0051, 0.089].map(percent), ["0.0510 %", "0.490 %", "0.5 %", "8.9 %"]);
    }

    #[test]
    fn a_share_that_was_chosen_has_all_of_its_digits() {
        let shares = [0.0, 0.05, 0.0005, 0.075, 0.07, 3.0, 0.012_345, 1.0 / 3.0].map(chosen_percent);
        assert_eq!(
            shares,
            ["0.0 %", "5.0 %", "0.05 %", "7.5 %", "7.0 %", "300.0 %", "1.2345 %", "33.3333333 %"]
        );
    }

    #[test]
    fn an_end_of_an_interval_shows_on_which_side_of_the_margin_it_is() {
        // 1/1.05 is 0.95238.
        assert_eq!(
            [0.9515, 0.9530, 0.9461, 0.9579].map(|low| interval(low, 1.04)),
            ["0.9515–1.04", "0.953–1.04", "0.946–1.04", "0.96–1.04"]
        );
        assert_eq!(
            [1.0448, 1.0451, 1.0496, 1.0504, 1.0549, 1.0551].map(|high| interval(1.0, high)),
            ["1.00–1.04", "1.00–1.045", "1.00–1.0496", "1.00–1.0504", "1.00–1.055", "1.00–1.06"]
        );
        assert_eq!(interval_beside(1.1, 1.0496, 1.0996), "1.05–1.0996");
        // The margin itself, and the point estimate.
        assert_eq!((interval(1.0, 1.05), ratio(1.0496)), ("1.00–1.05".into(), "1.05×".into()));
    }

    proptest! {
        #[test]
        fn a_duration_reads_back_within_half_a_percent(seconds in 1e-9..1e6f64) {
            let text = duration(seconds);
            let (number, unit) = text.split_once(' ').unwrap();
            let step = [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)].iter().find(|s| s.0 == unit).unwrap().1;
            let read = number.parse::<f64>().unwrap() * step;
            prop_assert!((read - seconds).abs() <= seconds * 0.005 + 1e-15, "{seconds} became {text}");
        }
    }
}
