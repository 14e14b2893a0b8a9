//! `report`, `diff` and `show` on planted records: every figure that they print is pinned.

use serde_json::{Value, json};

use super::planted::{self, End, configure, folder, open_loop, point, trial};
use super::shapes::Shapes;
use super::text::{Wording, worded};
use super::{json_of, released, transcripts};
use crate::support::{Place, repository};

/// How far the figures of a block lie from those of the first.
fn spread(block: u32) -> f64 {
    1.0 + f64::from(block * 7 % 11) * 0.003
}

/// How far the figures of all backends but the baseline lie from its own: without noise of their own the blocks would be equal,
/// and equal blocks have no interval.
fn own_noise(block: u32) -> f64 {
    1.0 + f64::from(block * 3 % 7) * 0.0004
}

/// Seven blocks in which everything comes that a comparison can tell.
fn comparison() -> Vec<Value> {
    let mut trials = Vec::new();
    for block in 0..7 {
        let took = |seconds: f64| End::Verified(seconds * spread(block) * own_noise(block));
        trials.push(trial("native", "pipeline", block, End::Verified(spread(block))));
        trials.push(trial("faster", "pipeline", block, took(0.8)));
        trials.push(twin_of_native(block));
        trials.push(trial("slower", "pipeline", block, took(1.3)));
        trials.push(trial("same", "pipeline", block, End::Verified(1.01 * spread(block + 3))));
        trials.push(trial("unsteady", "pipeline", block, took(if block % 2 == 0 { 0.7 } else { 1.2 })));
        trials.push(trial("wrong", "pipeline", block, if block == 3 { End::Wrong } else { took(1.0) }));
        trials.push(trial("invalid", "pipeline", block, if block == 3 { End::Invalid } else { took(1.0) }));
        trials.push(trial("failed", "pipeline", block, End::Failed));
        trials.push(open_loop("native", block, 2.0 * spread(block)));
        trials.push(open_loop("faster", block, 1.0 * spread(block) * own_noise(block)));
        trials.push(trial("slower", "word_count", block, took(1.0)));
    }
    trials.extend((0..3).map(|block| trial("few", "pipeline", block, End::Verified(1.0))));
    trials
}

/// The baseline's plugin under another name: how far the two differ is the noise floor.
fn twin_of_native(block: u32) -> Value {
    let mut twin = trial("twin", "pipeline", block, End::Verified(1.004 * spread(block + 1)));
    twin["record"]["metadata"]["plugin"] =
        trial("native", "pipeline", block, End::Failed)["record"]["metadata"]["plugin"].clone();
    twin
}

/// One block of rows that cannot be compared, or of which there is something to warn.
fn odd() -> Vec<Value> {
    let odd = |backend: &str, change: fn(&mut Value)| {
        let mut trial = trial(backend, "pipeline", 0, End::Verified(1.0));
        change(&mut trial["record"]);
        trial
    };
    let mut doubled = odd("doubled", |_| ());
    doubled["record"]["timestamp"] = "2026-02-21T03:58:48.134641+00:00".into();
    let mut warm_up = odd("native", |_| ());
    warm_up["kind"] = "warmup".into();
    vec![
        warm_up,
        odd("native", |_| ()),
        odd("elsewhere", |it| it["metadata"]["system_profile"]["hostname"] = "elsewhere".into()),
        odd("debug", |it| {
            it["metadata"]["plugin"]["build"] = json!({"opt_level": "0", "debug_assertions": true})
        }),
        odd("library", |it| it["metadata"]["workload_library"]["sha256"] = "ef56".into()),
        odd("configured", |it| configure(it, |config| config["seed"] = 43.into())),
        odd("forged", |it| it["config_hash"] = "ab".repeat(32).into()),
        odd("unlocked", |it| it["metadata"]["locked"] = false.into()),
        odd("noted", |it| it["metadata"]["warnings"] = json!(["a note of the trial"])),
        odd("unpaired", |it| it["metadata"]["block"] = Value::Null),
        odd("locked", |it| it["metadata"]["plugin"]["locked_by"] = "plugins.lock".into()),
        doubled.clone(),
        doubled,
    ]
}

/// Six blocks of sweeps that end in every way.
fn sweeps() -> Vec<Value> {
    let mut points = Vec::new();
    for block in 0..6 {
        for iterations in [64, 256, 1024, 4096, 16_384] {
            let kernel = f64::from(iterations);
            let against = |overhead: f64| kernel / (kernel + overhead * spread(block));
            points.push(point("value", block, iterations, against(500.0)));
            points.push(point("slow", block, iterations, against(90_000.0)));
            points.push(point("below", block, iterations, against(2.0)));
            points.push(point("invalid", block, iterations, 1.5));
            points.push(point("failed", block, iterations, if iterations == 64 { 0.0 } else { 0.5 }));
        }
    }
    points
}

#[test]
fn reports() {
    let place = Place::empty();
    let original = repository().join("tests/fixtures/original");
    std::fs::create_dir(place.path().join("original")).unwrap();
    std::fs::copy(
        original.join("unified_results.jsonl"),
        place.path().join("original/unified_results.jsonl"),
    )
    .unwrap();
    let mut shapes = Shapes::of_planted();
    let mut said = String::new();
    for (name, trials) in [("comparison", comparison()), ("odd", odd()), ("sweeps", sweeps())] {
        folder(&place, name, &trials);
    }
    for name in ["comparison", "odd", "sweeps", "original"] {
        said +=
            &transcripts(&place, &format!("report {name} --md {name}.md --html {name}.html"), Wording::Exact);
        let markdown = std::fs::read_to_string(place.path().join(format!("{name}.md"))).unwrap();
        said += &format!("{name}.md\n{}\n", worded(&place, &markdown, Wording::Exact));
        let page = std::fs::read_to_string(place.path().join(format!("{name}.html"))).unwrap();
        said += &format!("{name}.html\n{}\n", headings(&page));
        shapes.add(name, &json_of(&place, &format!("report {name} --json")));
    }
    shapes.add("published", &json_of(&place, "report comparison --publish --json"));
    said += &transcripts(
        &place,
        "report comparison --csv comparison.csv --publish --baseline slower
         report sweeps comparison --baseline native
         report comparison --baseline nosuch
         report odd --insist
         report sweeps --csv sweeps.csv",
        Wording::Exact,
    );
    let table = std::fs::read_to_string(place.path().join("comparison.csv")).unwrap();
    said += &format!("comparison.csv\n{}", rounded(&table));
    released("report", said);
    released("report_json", shapes.render());
}

/// Figures to nine decimals: what is behind them may differ between systems.
fn rounded(table: &str) -> String {
    let cell = |cell: &str| match cell.parse::<f64>() {
        Ok(figure) if cell.contains('.') => format!("{figure:.9}"),
        _ => cell.to_owned(),
    };
    let line = |line: &str| line.split(',').map(cell).collect::<Vec<_>>().join(",") + "\n";
    table.lines().map(line).collect()
}

/// The parts of a page and what their tables tell, each once.
fn headings(page: &str) -> String {
    let tags = ["section", "h1", "h2", "h3", "th"];
    let mut headings = Vec::new();
    for part in page.split('<') {
        let tag: String = part.chars().take_while(char::is_ascii_alphanumeric).collect();
        let heading = part.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
        if tags.contains(&tag.as_str()) && !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    headings.concat()
}

#[test]
fn differences() {
    let place = Place::empty();
    let run = |factor: fn(&str) -> f64| -> Vec<Value> {
        let backends = ["same", "faster", "slower", "unsteady"];
        let cells = (0..7).flat_map(|block| backends.map(|backend| (block, backend)));
        let took = |(block, backend): (u32, &'static str)| {
            let noise = if backend == "unsteady" { f64::from(block % 3) } else { 0.0 };
            trial(backend, "pipeline", block, End::Verified(factor(backend) * (spread(block) + noise)))
        };
        cells.map(took).collect()
    };
    let mut old = run(|_| 1.0);
    let mut new = run(|backend| match backend {
        "faster" => 0.8,
        "slower" => 1.2,
        _ => 1.0,
    });
    for block in 0..7 {
        old.push(trial("fails", "pipeline", block, End::Verified(spread(block))));
        new.push(trial(
            "fails",
            "pipeline",
            block,
            if block == 0 { End::Failed } else { End::Verified(spread(block)) },
        ));
    }
    for trials in [&mut old, &mut new] {
        trials.extend((0..2).map(|block| trial("few", "pipeline", block, End::Verified(1.0))));
    }
    old.push(trial("gone", "pipeline", 0, End::Verified(1.0)));
    let mut came = trial("came", "pipeline", 0, End::Verified(1.0));
    new.push(came.clone());
    came["record"]["metadata"]["system_profile"]["hostname"] = "elsewhere".into();
    let alone = [trial("alone", "pipeline", 0, End::Verified(1.0))];
    for trial in new.iter_mut().filter(|trial| trial["record"]["backend"] == "faster") {
        trial["record"]["metadata"]["plugin"]["sha256"] = "ef56".into();
    }
    for (name, trials) in [("old", old.as_slice()), ("new", &new), ("elsewhere", &[came]), ("alone", &alone)]
    {
        folder(&place, name, trials);
    }
    let said = transcripts(
        &place,
        "diff old new
         diff old new --threshold 30%
         diff old old
         diff old elsewhere
         diff old alone",
        Wording::Exact,
    );
    let mut shapes = Shapes::of_planted();
    shapes.add("diff", &json_of(&place, "diff old new --json"));
    released("diff", said + &shapes.render());
}

#[test]
fn trends() {
    let place = Place::empty();
    // Eight runs of a second and six that take longer, with another version of the engine: each has six blocks.
    for day in 1..=14_u32 {
        let of_block = |block: u32| {
            let slower = if day > 8 { 1.3 } else { 1.0 };
            let jitter = 1.0 + f64::from((block * 7 + day * 3) % 11) * 0.002;
            let mut trial = trial("native", "pipeline", block, End::Verified(slower * jitter));
            let record = &mut trial["record"];
            record["timestamp"] = format!("2026-03-{day:02}T04:00:0{block}.000000+00:00").into();
            record["run_id"] = format!("commit-{day}/pipeline").into();
            record["metadata"]["versions"]["engine"] = if day > 8 { "9.2" } else { "9.1" }.into();
            trial
        };
        folder(&place, &format!("runs-{day}"), &(0..6).map(of_block).collect::<Vec<_>>());
    }
    let said = transcripts(&place, "history . --since 2026-03-01", Wording::Exact);
    let mut shapes = Shapes::of_planted();
    shapes.add("history", &json_of(&place, "history . --json"));
    released("history", said + &shapes.render());
}

#[test]
fn shown() {
    let place = Place::empty();
    let trials: Vec<_> = [End::Verified(1.0), End::Wrong, End::Invalid, End::Failed]
        .into_iter()
        .zip(0..)
        .map(|(end, block)| trial("native", "pipeline", block, end))
        .chain([planted::open_loop("native", 4, 1.0), point("native", 0, 64, 0.5)])
        .collect();
    let path = folder(&place, "planted", &trials).join("trials.jsonl");
    // A line that a crash cut off is reported and left out.
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}{}", &text[..40])).unwrap();
    let said = transcripts(
        &place,
        "show planted
         show planted 2
         show planted block=3
         show planted pipeline
         show planted nosuch
         report planted --quiet",
        Wording::Exact,
    );
    let whole = json_of(&place, "show planted --json");
    assert_eq!(whole.as_array().unwrap().len(), trials.len());
    assert_eq!(whole[1], json_of(&place, "show planted 2 --json"));
    let mut shapes = Shapes::of_planted();
    shapes.add("show", &whole);
    released("show", said + &shapes.render());
}
