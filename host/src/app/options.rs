//! Parsers for values of options: counts, sizes, durations, `KEY=VALUE`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::builder::{PathBufValueParser, TypedValueParser};
use plugin_api::metadata::is_name;
use serde_json::{Map, Value};

use super::option_value;
use super::plan_beside::planned_run;
use crate::plan::Variation;
use crate::record::config::MAX_DEPTH;
use crate::record::names::RESULTS;
use crate::run::backend::MAX_WAIT;
use crate::shell;
use crate::worker::is_deeper;

/// A count, as `1000`, `1_000` or `1e3`.
pub fn count(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    if let Ok(count) = digits.parse() {
        return Ok(count);
    }
    let not_a_count = || format!("{text:?} is not a count such as 1000 or 1e6");
    let (mantissa, exponent) = digits.split_once(['e', 'E']).ok_or_else(not_a_count)?;
    let mantissa: u64 = mantissa.parse().map_err(|_| not_a_count())?;
    let power = exponent.parse().ok().and_then(|exponent| 10_u64.checked_pow(exponent));
    power.and_then(|power| mantissa.checked_mul(power)).ok_or_else(not_a_count)
}

/// The highest parallelism: more than the largest clusters have cores. Backends start a thread for each.
const MAX_PARALLELISM: u32 = 16_384;

/// How many operator calls may be in flight.
pub fn parallelism(text: &str) -> Result<u32, String> {
    within(text, 1, MAX_PARALLELISM.into())
}

/// A number of things of which there is at least one: blocks, cores, machines, or the processes and threads of a trial.
pub(crate) fn number(text: &str) -> Result<u32, String> {
    within(text, 1, u32::MAX.into())
}

/// Any whole number, as that of a seed.
pub(crate) fn natural(text: &str) -> Result<u64, String> {
    within(text, 0, u64::MAX)
}

/// The number of a stage.
pub(crate) fn stage(text: &str) -> Result<usize, String> {
    within(text, 0, usize::MAX as u64)
}

/// The port of a server.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    within(text, 0, u16::MAX.into())
}

/// A whole number in the ways in which a count may be written.
fn within<N: TryFrom<u64>>(text: &str, least: u64, most: u64) -> Result<N, String> {
    let number = count(text).ok().filter(|number| (least..=most).contains(number));
    let number = number.and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| format!("{text:?} is not a whole number from {least} to {most}"))
}

/// A number of bytes, as `500MiB`, `2G` or `1048576`. Units are powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size such as 500MiB or 2GiB");
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// The size of a log. A smaller one has no room for a line and the note about what was left out.
pub(crate) fn log_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        ..1024 => Err(format!("{text:?} is less than 1KiB, the least size of a log")),
        bytes => Ok(bytes),
    }
}

/// `extra.max_wait_seconds`, by which the original project limits a run.
pub fn max_wait(extra: &Map<String, Value>) -> Result<Option<Duration>, String> {
    let Some(value) = extra.get(MAX_WAIT) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| *seconds > 0.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.map(Some).ok_or_else(|| format!("extra.{MAX_WAIT} is {value}, but must be a number above 0"))
}

/// An id for a run that starts at `now`. Ids sort by time, and no two runs have the same one.
pub(crate) fn new_run_id(now: SystemTime) -> String {
    let moment = jiff::Timestamp::try_from(now).unwrap_or_default();
    format!("{}-{}", moment.strftime("%Y%m%dT%H%M%S%.6fZ"), std::process::id())
}

/// A duration, as `10m`, `1h 30m` or `500ms`; a number without a unit is in seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 90s, 10m or 1h");
    let duration = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?,
        Err(_) => {
            let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
            Duration::try_from(signed).map_err(|_| wrong())?
        }
    };
    if duration.is_zero() { Err(wrong()) } else { Ok(duration) }
}

/// One `KEY=VALUE` of `--extra`: the value is JSON where it parses as JSON, else a string; a whole number may be written as 1e6.
pub fn extra(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), whole(option_value::of(key, value)?))),
        _ => Err(format!("{text:?} is not KEY=VALUE")),
    }
}

/// `KEY=VALUES` of `--vary`. Each value is JSON where it parses as JSON, else a string; a whole number may be written as 1e6.
pub(crate) fn variation(text: &str) -> Result<Variation, String> {
    let Some((key, list)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        return Err(format!("{text:?} is not KEY=VALUE,VALUE,…"));
    };
    // A comma inside of a list or of a text can be told apart only where all of it is JSON.
    let whole_list = format!("[{list}]");
    let values: Vec<_> = match serde_json::from_str(&whole_list) {
        Ok(Value::Array(values)) => {
            option_value::checked(key, &whole_list, Value::Null)?;
            values
        }
        _ => list.split(',').map(|value| option_value::of(key, value)).collect::<Result<_, _>>()?,
    };
    let values: Vec<_> = values.into_iter().map(whole).collect();
    if values.is_empty() || values.contains(&Value::from("")) {
        return Err(format!("{text:?} lacks a value; it must be {key}=VALUE,VALUE,…"));
    }
    match values.iter().any(|value| is_deeper(value, MAX_DEPTH)) {
        true => Err(format!("a value of {key} is nested deeper than {MAX_DEPTH} levels")),
        false => Ok(Variation { key: key.to_owned(), values }),
    }
}

/// The backends of a list that was divided at its commas. A path in `NAME=FILE` may have commas too: what begins with no name belongs
/// to the path before it.
pub(crate) fn backends(parts: &[String]) -> Vec<String> {
    let mut backends: Vec<String> = Vec::new();
    for part in parts {
        let begins_with_name = is_name(&part.split('=').next().unwrap_or_default().to_lowercase());
        match backends.last_mut().filter(|before| !begins_with_name && before.contains('=')) {
            Some(before) => *before = format!("{before},{part}"),
            None => backends.push(part.clone()),
        }
    }
    backends
}

/// A number such as 1e6 or 10.0 as the whole number that it is.
fn whole(value: Value) -> Value {
    let number = value.as_f64().filter(|it| value.as_u64().is_none() && *it >= 0.0 && it.fract() == 0.0);
    // Beyond 2^53 the text of the number says more than its value.
    number
        .filter(|number| *number < 9_007_199_254_740_992.0)
        .map_or(value, |number| Value::from(number as u64))
}

const NOT_REPLACED: &str = "~ is the home folder only where a shell replaces it, at the beginning of a word without quotation \
                            marks; ./~ is a folder of that name";

/// A parser for a path that is made with the folders that lead to it. In `--output-dir=~/results` no shell replaces the `~`, and a
/// folder of that name in the current one would get the results.
pub(crate) fn new_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path: PathBuf| match path.starts_with("~") {
        true => Err(NOT_REPLACED),
        false => Ok(path),
    })
}

/// The id of a run, which also names a folder: letters, digits, `.`, `_` and `-`.
pub fn run_id(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = (1..=128).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('.');
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a run id has 1 to 128 of: a-z, A-Z, digits, . _ -, and does not begin with a .".into())
    }
}

/// The id of a run that is resumed: not its folder, which other commands take.
pub(crate) fn resumed_id(text: &str) -> Result<String, String> {
    let path = Path::new(text);
    let named = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    // The folder may have another name than its run.
    let named = planned_run(path).or(named);
    match named.filter(|name| text.contains('/') && run_id(name).is_ok()) {
        None => run_id(text),
        Some(id) if path == Path::new(RESULTS).join(&id) => Err(format!("give the id alone: --resume {id}")),
        Some(id) => {
            let folder = shell::quote(shell::path(path));
            Err(format!("give the id, and the folder by itself: --resume {id} --output-dir {folder}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused<T>(parse: fn(&str) -> Result<T, String>, texts: &[&str]) {
        for text in texts {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn counts_may_be_written_short() {
        assert_eq!(count("1000"), Ok(1000));
        assert_eq!(count("1_000_000"), Ok(1_000_000));
        assert_eq!(count("5e3"), Ok(5000));
        refused(count, &["", "-1", "1.5", "1e", "1e30", "x", "e3"]);
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        assert_eq!(size("500MiB"), Ok(500 << 20));
        assert_eq!(size("2g"), Ok(2 << 30));
        assert_eq!(size("1 KB"), Ok(1024));
        assert_eq!(size("4096"), Ok(4096));
        refused(size, &["", "0", "-1", "1.5G", "MiB", "5x", "99999999999T"]);
        assert_eq!(log_size("1k"), Ok(1024));
        refused(log_size, &["0", "1023", "1x"]);
    }

    #[test]
    fn durations_have_units_or_are_seconds() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2.5"), Ok(Duration::from_millis(2500)));
        refused(duration, &["", "0", "0s", "-5s", "-1", "inf", "nan", "ten"]);
    }

    #[test]
    fn a_new_run_id_is_valid() {
        let id = new_run_id(SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_001));
        assert!(id.starts_with("20231114T221320.000001Z-"), "{id}");
        assert_eq!(run_id(&id), Ok(id));
    }

    #[test]
    fn the_original_limit_is_a_number_of_seconds() {
        let extra = |value: Value| Map::from_iter([("max_wait_seconds".to_owned(), value)]);
        assert_eq!(max_wait(&Map::new()), Ok(None));
        assert_eq!(max_wait(&extra(2.5.into())), Ok(Some(Duration::from_millis(2500))));
        for bad in [Value::from(0), (-1).into(), "x".into(), 1e300.into()] {
            assert!(max_wait(&extra(bad)).is_err());
        }
    }

    #[test]
    fn a_parallelism_of_zero_is_refused() {
        assert_eq!(parallelism("4"), Ok(4));
        refused(parallelism, &["0", "-1", "5e9", "x"]);
    }

    #[test]
    fn seeds_and_ports_are_whole_numbers_and_may_be_written_short() {
        assert_eq!((natural("0"), natural("1e3")), (Ok(0), Ok(1000)));
        assert_eq!(natural(&u64::MAX.to_string()), Ok(u64::MAX));
        refused(natural, &["", "-1", "1.5", "18446744073709551616", "x"]);
        assert_eq!((port("0"), port("65535")), (Ok(0), Ok(u16::MAX)));
        refused(port, &["-1", "65536", "http"]);
    }

    #[test]
    fn varied_values_are_json_where_they_parse() {
        let values = |text: &str| variation(text).map(|variation| variation.values);
        assert_eq!(values("keys=10,1e3,0.5"), Ok(vec![10.into(), 1000.into(), 0.5.into()]));
        assert_eq!(values("pattern=fft,tree,3"), Ok(vec!["fft".into(), "tree".into(), 3.into()]));
        assert_eq!(values(r#"text="a,b","c""#), Ok(vec!["a,b".into(), "c".into()]));
        assert_eq!(values("list=[1,2],[3]"), Ok(vec![serde_json::json!([1, 2]), serde_json::json!([3])]));
        refused(variation, &["nothing", "=1", "a=", "a=1,,2", "a=x,", "a=,x"]);
        let deep = format!("list=1,{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        assert!(values(&deep).unwrap_err().contains("deeper than 64"));
    }

    #[test]
    fn extras_are_json_where_they_parse() {
        assert_eq!(extra("batch_size=64"), Ok(("batch_size".into(), 64.into())));
        assert_eq!(extra("batch_size=1e3"), Ok(("batch_size".into(), 1000.into())));
        assert_eq!(extra("share=0.5"), Ok(("share".into(), 0.5.into())));
        assert_eq!(extra("fusion=off"), Ok(("fusion".into(), "off".into())));
        assert_eq!(extra("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(extra("list=[1]"), Ok(("list".into(), serde_json::json!([1]))));
        let nested = |depth: usize| format!("a={}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(extra(&nested(MAX_DEPTH)).is_ok());
        assert!(extra(&nested(MAX_DEPTH + 1)).unwrap_err().contains("deeper than 64"));
        refused(extra, &["nothing", "=1"]);
    }

    #[test]
    fn a_path_of_a_backend_may_have_commas() {
        let of = |list: &str| backends(&list.split(',').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of("native,Old"), ["native", "Old"]);
        assert_eq!(of("old=/a,b/c.so,new=/d.so"), ["old=/a,b/c.so", "new=/d.so"]);
        assert_eq!(of("old=/a/b,c.so,native"), ["old=/a/b,c.so", "native"]);
        assert_eq!(of("native,/a.so"), ["native", "/a.so"]);
    }

    #[test]
    fn a_run_is_resumed_by_its_id_and_not_by_its_folder() {
        assert_eq!(resumed_id("look"), Ok("look".into()));
        for (folder, told) in [
            ("results/look", "give the id alone: --resume look"),
            ("results/look/", "give the id alone: --resume look"),
            (
                "/my runs/look",
                "give the id, and the folder by itself: --resume look --output-dir '/my runs/look'",
            ),
        ] {
            assert_eq!(resumed_id(folder), Err(told.into()));
        }
        refused(resumed_id, &["", "..", "a/..", ".hidden"]);
    }

    #[test]
    fn a_run_id_cannot_leave_its_folder() {
        assert!(run_id("laptop-default-20260221").is_ok());
        refused(run_id, &["", "..", ".hidden", "a/b", "a\nb", "é"]);
    }

    proptest! {
        #[test]
        fn no_input_panics(text: String) {
            let _ = (count(&text), size(&text), duration(&text), extra(&text), variation(&text), run_id(&text));
        }
    }
}
