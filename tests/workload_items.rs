//! `crossrun workloads show`: what a source makes, what a stage makes of it, and what must come out.

use serde_json::{Value, json};

use crate::support::{Place, Ran, hostile};

fn show(place: &Place, words: &str) -> Ran {
    let words: Vec<_> = ["workloads", "show"].into_iter().chain(words.split(' ')).collect();
    place.crossrun(&words)
}

fn items(place: &Place, words: &str) -> Vec<Value> {
    let shown = show(place, &format!("{words} --json")).code(0).json();
    shown["items"].as_array().unwrap().clone()
}

#[test]
fn items_are_shown_as_they_leave_each_stage() {
    let place = Place::new();
    let made = items(&place, "null --items 3");
    assert_eq!(made, [json!({"index": 0}), json!({"index": 1}), json!({"index": 2})]);
    // A filter that keeps even indexes, after three maps.
    assert_eq!(items(&place, "pipeline --items 5 --stage 3 --extra iters=2").len(), 5);
    let kept = items(&place, "pipeline --items 5 --stage 4 --extra iters=2");
    let indexes: Vec<_> = kept.iter().map(|item| item["index"].clone()).collect();
    assert_eq!(indexes, [json!(0), json!(2), json!(4)]);
    assert_eq!(kept, items(&place, "pipeline --items 5 --expected --extra iters=2"));
}

#[test]
fn expected_items_of_a_reduction_are_the_sums_of_what_the_source_made() {
    let place = Place::new();
    let (mut count, mut sum) = (0, 0);
    for item in items(&place, "word_count --items 200 --extra keys=5 --expected") {
        count += item["count"].as_u64().unwrap();
        sum += item["sum"].as_u64().unwrap();
    }
    let records = items(&place, "word_count --items 200 --extra keys=5");
    let values = records.iter().map(|item| item["value"].as_u64().unwrap());
    assert_eq!((count, sum), (200, values.sum::<u64>()));
}

#[test]
fn an_open_loop_shows_when_its_items_are_due_and_waits_for_none() {
    let place = Place::new();
    let loops = "open_loop --items 90 --stage 1 --extra rate=1 --extra schedule=constant --json";
    let words: Vec<_> = ["workloads", "show"].into_iter().chain(loops.split(' ')).collect();
    let mut command = place.command(&words);
    // Much more than it takes, and less than until the last item is due.
    command.env("CROSSRUN_DEADLINES", "expect=30s");
    let shown = Ran::of(command).code(0).json();
    for (number, item) in (0..90_u64).zip(shown["items"].as_array().unwrap()) {
        assert_eq!(item["due_nanos"], number * 1_000_000_000, "{item}");
        assert!(item["index"] == number && item["value"].is_u64(), "{item}");
        // Here it was made by no run.
        assert!(item.get("made_nanos").is_none(), "{item}");
    }
    assert_eq!(shown["items"].as_array().unwrap().len(), 90);
}

#[test]
fn items_of_an_open_loop_that_are_not_described_are_those_of_the_closed_one_with_when_they_are_due() {
    let place = Place::new();
    let matches = "nexmark_q7 --items 60 --stage 1";
    let scheduled = || items(&place, &format!("{matches} --extra arrivals=constant"));
    let (closed, open) = (items(&place, matches), scheduled());
    assert!(closed.len() == open.len() && closed.len() > 40, "{open:?}");
    let mut last = 0;
    for (closed, open) in closed.iter().zip(&open) {
        let due = open["due_nanos"].as_u64().unwrap();
        // 10 000 events come in a second.
        assert!((last..6_000_000).contains(&due), "{open}");
        assert_eq!(*open, json!({"hex": closed["hex"], "due_nanos": due}));
        last = due;
    }
    assert_eq!(scheduled(), open);
}

#[test]
fn csv_has_a_column_for_each_key_and_text_a_line_for_each_item() {
    let place = Place::new();
    let csv = show(&place, "null --items 2 --csv").code(0).stdout();
    assert_eq!(csv.trim_end(), "index\n0\n1");
    let text = show(&place, "scheduler_comparison --items 2").code(0).stdout();
    assert_eq!(text.trim_end(), "{\"text\":\"item_0\"}\n{\"text\":\"item_1\"}");
    show(&place, "null --csv --json").code(2).says("two formats");
}

#[test]
fn without_an_item_nothing_is_printed_but_the_empty_list_of_json() {
    let place = Place::new();
    assert_eq!(show(&place, "null --items 0").code(0).stdout(), "");
    assert_eq!(show(&place, "null --items 0 --csv").code(0).stdout(), "");
    assert_eq!(items(&place, "null --items 0"), [Value::Null; 0]);
}

#[test]
fn a_parameter_that_the_workload_does_not_have_leads_to_a_warning() {
    let ran = show(&Place::new(), "null --items 1 --extra kyes=5").code(0);
    let ran = ran.says("extra.kyes has no effect: the workload reads");
    assert_eq!(ran.stdout(), "{\"index\":0}\n");
}

#[test]
fn a_name_that_is_nearly_one_leads_to_this_command_with_the_right_one() {
    show(&Place::new(), "nul").code(3).says("try: crossrun workloads show null");
}

#[test]
fn a_stage_that_no_item_leaves_is_refused_with_the_last_one() {
    show(&Place::new(), "null --stage 2").code(2).says("--stage 1");
}

#[test]
fn more_items_than_anybody_reads_are_refused_with_how_many_are_shown() {
    let ran = show(&Place::new(), "null --items 1000000000000000000").code(2);
    ran.says("at most 1000000 items are shown; try: --items 1000000");
}

#[test]
fn a_workload_that_crashes_leads_to_a_command_that_checks_its_library() {
    let place = Place::empty();
    place.stage(&hostile("misbehaving_workloads"));
    let ran = show(&place, "lost_oracle --expected");
    let ran = ran.says("SIGSEGV").says("try: crossrun backends check ");
    assert!(!ran.stderr().contains("--isolation"), "{}", ran.explain());
}

#[test]
fn descriptions_that_are_too_large_are_refused_before_they_are_read() {
    let place = Place::empty();
    place.stage(&hostile("misbehaving_workloads"));
    for (items, said) in [("1", "an answer may have 64 MiB of JSON"), ("2", "fewer --items")] {
        show(&place, &format!("verbose --items {items}")).code(4).says(said);
    }
}

#[test]
fn the_answer_of_a_join_follows_from_the_events_that_are_shown() {
    let place = Place::new();
    let events = items(&place, "nexmark_q3 --items 5000");
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    assert_eq!((of("person").len(), of("auction").len(), of("bid").len()), (100, 300, 4600));
    let mut joined = Vec::new();
    for auction in of("auction").into_iter().filter(|auction| auction["category"] == 10) {
        let is_seller = |person: &&Value| {
            person["id"] == auction["seller"]
                && ["OR", "ID", "CA"].iter().any(|state| person["state"] == *state)
        };
        joined.extend(of("person").into_iter().find(is_seller).map(|person| {
            json!({"auction": auction["id"], "name": person["name"], "city": person["city"], "state": person["state"]})
        }));
    }
    let mut expected = items(&place, "nexmark_q3 --items 5000 --expected");
    let by_auction = |item: &Value| item["auction"].as_u64();
    expected.sort_by_key(by_auction);
    joined.sort_by_key(by_auction);
    assert!(!joined.is_empty());
    assert_eq!(joined, expected);
}

#[test]
fn every_standard_workload_shows_its_answer() {
    let place = Place::new();
    let listed = place.crossrun(&["workloads", "--json"]).code(0).json();
    for workload in listed.as_array().unwrap() {
        let name = workload["name"].as_str().unwrap();
        let quick = if name == "memory" { " --extra span_mib=1" } else { "" };
        let quick = if name == "scheduler_comparison" { " --extra sleep_us=1" } else { quick };
        let answer = items(&place, &format!("{name} --items 6000 --expected{quick}"));
        assert!(!answer.is_empty(), "{name}");
    }
}

#[test]
fn a_task_graph_is_drawn_as_it_is_run() {
    let place = Place::new();
    let drawn = |words: &str| show(&place, &format!("task_graph --svg - {words}")).code(0).stdout();
    let parts = |svg: &str| (svg.matches("<circle ").count(), svg.matches("<line ").count());
    let stencil = drawn("--items 12 --extra width=4");
    // Two rows of edges, of which the first and the last point have two each, and the others three.
    assert_eq!(parts(&stencil), (12, 20));
    assert!(
        stencil.contains("step 1, point 0 to step 2, point 1<") && stencil.ends_with("</svg>\n"),
        "{stencil}"
    );
    assert_eq!(parts(&drawn("--items 12 --extra width=4 --extra pattern=trivial")), (12, 0));
    assert_eq!(parts(&drawn("--items 16 --extra width=4 --extra pattern=tree")), (1 + 2 + 4 + 4, 2 + 4 + 4));
    let twice = drawn("--items 4 --extra width=2 --extra pattern=spread --extra radix=4");
    assert!(twice.contains("stroke-width=\"3\"") && twice.contains(", 3 times<"), "{twice}");
    // By its edges, so that the form is no matter, and there may be more steps than in stages.
    assert_eq!(drawn("--items 12 --extra width=4 --extra form=stages"), stencil);
    let long = drawn("--items 300 --extra width=2");
    assert_eq!(parts(&long), (300, 149 * 4));
    assert!(long.contains("step 148, point 1 to step 149, point 0<"), "{long}");
    show(&place, "task_graph --items 12 --extra width=4 --svg graph.svg").code(0);
    assert_eq!(std::fs::read_to_string(place.path().join("graph.svg")).unwrap(), stencil);
    for (words, message) in [
        ("word_count --svg x.svg", "word_count has no graph"),
        ("task_graph --items 8192 --extra width=4096 --svg x.svg", "too many to be drawn"),
        (
            "task_graph --items 512 --extra width=256 --extra pattern=all_to_all --svg x.svg",
            "too many to be drawn",
        ),
        ("task_graph --svg x.svg --json", "two formats"),
        ("task_graph --svg x.svg --expected", "--expected"),
    ] {
        show(&place, words).code(2).says(message);
        assert!(!place.path().join("x.svg").exists(), "{words}");
    }
    let sent = items(&place, "task_graph --items 6 --extra width=3 --stage 3");
    assert!(sent.iter().all(|item| item["to"].is_u64() && item["step"] == 0), "{sent:?}");
    assert_eq!(items(&place, "task_graph --items 6 --extra width=3 --expected").len(), 3);
}
