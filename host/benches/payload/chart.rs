//! The chart: bytes a second over bytes of an item, a line for each name. Both axes are logarithmic.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{MEMCPY, rate_text, size_text};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// The plot in the picture. Right of it are the names.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 660.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 360.0;
/// The least distance of two names.
const LINE: f64 = 16.0;

/// Colours that people who cannot tell all colours can tell apart (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00"];
const INK: &str = "#767676";

pub(crate) fn svg(curves: &[(String, BTreeMap<usize, f64>)]) -> String {
    let sizes: Vec<usize> = distinct(curves.iter().flat_map(|(_, curve)| curve.keys().copied()));
    let rates = || curves.iter().flat_map(|(_, curve)| curve.values().copied());
    let (low, high) =
        (rates().fold(f64::INFINITY, f64::min).log10().floor(), rates().fold(0.0, f64::max).log10().ceil());
    let (first, last) = (sizes[0] as f64, sizes[sizes.len() - 1] as f64);
    let x = |size: usize| LEFT + (RIGHT - LEFT) * (size as f64 / first).log2() / (last / first).log2();
    let y = |rate: f64| BOTTOM - (BOTTOM - TOP) * (rate.log10() - low) / (high - low);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" \
         fill=\"{INK}\">\n<title>Bytes a second over bytes of an item</title>\n"
    );
    for decade in low as i32..=high as i32 {
        let (rate, y) = (10_f64.powi(decade), y(10_f64.powi(decade)));
        line(&mut out, [LEFT, y, RIGHT, y], "stroke=\"#76767640\"");
        text(&mut out, [LEFT - 6.0, y + 4.0], "end", &rate_text(rate).replace(".00", ""));
    }
    for size in sizes {
        text(&mut out, [x(size), BOTTOM + 18.0], "middle", &size_text(size));
    }
    text(&mut out, [(LEFT + RIGHT) / 2.0, BOTTOM + 42.0], "middle", "bytes of an item");
    let mut colours = COLOURS.iter().cycle();
    // The names stand at the ends of their lines, the highest first, and none over another.
    let mut ends: Vec<_> =
        curves.iter().filter_map(|curve| Some((y(*curve.1.last_key_value()?.1), curve))).collect();
    ends.sort_by(|(one, _), (two, _)| one.total_cmp(two));
    let mut free = TOP - LINE;
    for (end, (name, curve)) in ends {
        let (colour, dashes) = match name.as_str() {
            MEMCPY => (INK, " stroke-dasharray=\"6 4\""),
            _ => (*colours.next().unwrap_or(&INK), ""),
        };
        let points: Vec<_> =
            curve.iter().map(|(size, rate)| format!("{:.1},{:.1}", x(*size), y(*rate))).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
            points.join(" ")
        );
        for (size, rate) in curve {
            let _ = writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"><title>{name}: {} with {}</title></circle>",
                x(*size),
                y(*rate),
                rate_text(*rate),
                size_text(*size)
            );
        }
        free = (free + LINE).max(end);
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
            RIGHT + 10.0,
            free + 4.0
        );
    }
    out + "</svg>\n"
}

fn distinct(values: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn line(out: &mut String, [x1, y1, x2, y2]: [f64; 4], style: &str) {
    let _ = writeln!(out, "<line x1=\"{x1}\" y1=\"{y1:.1}\" x2=\"{x2}\" y2=\"{y2:.1}\" {style}/>");
}

fn text(out: &mut String, [x, y]: [f64; 2], anchor: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}
