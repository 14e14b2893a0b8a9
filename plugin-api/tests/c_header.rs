//! `crossrun.h` and `ABI.md` say what the code does.

// The allow-in-tests settings cover functions with `#[test]` only.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod abi_document;

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use abi_document::{first_column, table};
use plugin_api::c_abi::{
    self, ABI_VERSION, BackendFunctions, FAILED, Host, NO_DEADLINE, NamedOption, OK, Reply, Run,
    Session as RawSession, Setup,
};
use plugin_api::workload::WorkloadFunctions;
use plugin_api::workload::capi::RawBuffer;
use plugin_api::{ErrorKind, StageKind};
use serde_json::json;

const HEADER: &str = include_str!("../include/crossrun.h");

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// What a program in C prints.
fn printed(compiler: &str, options: &[&str], extension: &str, source: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (file, program) = (folder.path().join(format!("program.{extension}")), folder.path().join("program"));
    std::fs::write(&file, source).unwrap();
    let mut command = Command::new(compiler);
    command.args(["-Wall", "-Wextra", "-pedantic", "-Werror"]).args(options).arg("-I").arg(include());
    let compiled = command.arg(&file).arg("-o").arg(&program).output().unwrap();
    assert!(
        compiled.status.success(),
        "{compiler} {options:?}: {}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let ran = Command::new(&program).output().unwrap();
    assert!(ran.status.success());
    String::from_utf8(ran.stdout).unwrap()
}

/// A program that prints its own metadata, which a backend has in a section.
const METADATA: &str = "#include <stdio.h>\n#include \"crossrun.h\"\n\
    CROSSRUN_BACKEND_METADATA(\"mine\", \"0.1.0\", \"About it\", \"MIT\");\n\
    int main(void) { fputs(crossrun_metadata, stdout); return 0; }\n";

#[test]
fn the_header_is_c99_and_cpp_and_its_metadata_have_every_key() {
    let from_c = printed("cc", &["-std=c99", "-O2"], "c", METADATA);
    for (compiler, standard, extension) in
        [("cc", "-std=c11", "c"), ("c++", "-std=c++98", "cpp"), ("c++", "-std=c++17", "cpp")]
    {
        let options: &[&str] =
            if standard == "-std=c++98" { &[standard, "-O2", "-Wno-long-long"] } else { &[standard, "-O2"] };
        assert_eq!(printed(compiler, options, extension, METADATA), from_c, "{standard}");
    }
    assert!(from_c.starts_with("crossrun-plugin 1\nkind=runner\nabi=c\nname=mine\n"), "{from_c}");
    assert!(from_c.ends_with("\nend\n"), "{from_c}");
    let of_c: BTreeMap<_, _> = from_c.lines().filter_map(|line| line.split_once('=')).collect();
    let mut expected = first_column("key | meaning");
    expected.retain(|key| !["workloads", "rustc"].contains(&key.as_str()));
    expected.extend(first_column("key of C | meaning"));
    expected.sort();
    assert_eq!(of_c.keys().copied().collect::<Vec<_>>(), expected);
    assert_eq!(of_c["api"], plugin_api::API_VERSION);
    assert_eq!((of_c["opt_level"], of_c["debug_assertions"]), ("1-3", "false"));
    if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        assert_eq!(of_c["target"], "x86_64-unknown-linux-gnu");
    }
}

#[test]
fn the_example_of_a_guarded_function_compiles_as_it_stands() {
    let (_, rest) = HEADER.split_once("are not of one type:\n *\n").unwrap();
    let (example, _) = rest.split_once("\n */").unwrap();
    let example: String =
        example.lines().map(|line| line.trim_start_matches(" *").to_owned() + "\n").collect();
    // With both kinds of returns.
    assert!(example.contains("return reply->fail(") && example.contains("return CROSSRUN_OK;"), "{example}");
    let source = format!(
        "#include <stdio.h>\n#include \"crossrun.h\"\n\
         struct Engine {{ void run(const crossrun_run &, crossrun_reply &) {{}} }};\n{example}\
         int main() {{ Engine engine; crossrun_run work{{}}; crossrun_reply reply{{}};\n\
         return run(&engine, &work, &reply) == CROSSRUN_OK && puts(\"guarded\") >= 0 ? 0 : 1; }}\n"
    );
    for standard in ["-std=c++11", "-std=c++17"] {
        assert_eq!(printed("c++", &[standard], "cpp", &source), "guarded\n", "{standard}");
    }
}

#[test]
fn the_headers_for_authors_are_c99_and_cpp() {
    let source = "#ifndef __cplusplus\n#define _POSIX_C_SOURCE 200809L\n#endif\n#include \"crossrun_remote_kit.h\"\n\
        #include \"crossrun_workload_kit.h\"\nint main(void) { return puts(\"compiled\") < 0; }\n";
    for (compiler, standard, extension) in [("cc", "-std=c99", "c"), ("c++", "-std=c++17", "cpp")] {
        assert_eq!(printed(compiler, &[standard, "-O2"], extension, source), "compiled\n", "{standard}");
    }
}

#[test]
fn what_the_header_for_remote_backends_needs_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("strict.c");
    std::fs::write(&source, "#include \"crossrun_remote_kit.h\"\n").unwrap();
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include");
    let output =
        Command::new("cc").args(["-std=c99", "-fsyntax-only", include]).arg(&source).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("define _POSIX_C_SOURCE as 200809L"), "{said}");
}

#[test]
fn how_it_was_built_is_what_the_preprocessor_tells() {
    for (options, level, assertions) in [
        (["-O0", "-g"].as_slice(), "0", "true"),
        (&["-O0", "-DNDEBUG"], "0", "false"),
        (&["-Os"], "s", "false"),
        // What the option for it defines: a library for it need not be there.
        (&["-O2", "-D__SANITIZE_ADDRESS__"], "1-3", "true"),
        (&["-O3", "-DCROSSRUN_OPT_LEVEL=\"3\""], "3", "false"),
    ] {
        let text = printed("cc", &[&["-std=c99"], options].concat(), "c", METADATA);
        let expected = format!("\nopt_level={level}\ndebug_assertions={assertions}\n");
        assert!(text.contains(&expected), "{options:?}: {text}");
    }
}

/// One line for each struct and each of its fields: name, offset, size.
struct Layout(Vec<String>, Vec<String>);

macro_rules! layout {
    ($($rust:ty, $c:literal, { $($field:ident),* $(,)? };)*) => {{
        let (mut ours, mut program) = (Vec::new(), Vec::new());
        $(
            ours.push(format!("{} {}", $c, size_of::<$rust>()));
            program.push(format!("printf(\"{0} %zu\\n\", sizeof({0}));", $c));
            $(
                let field = stringify!($field);
                ours.push(format!("{}.{field} {}", $c, offset_of!($rust, $field)));
                program.push(format!("printf(\"{0}.{field} %zu\\n\", offsetof({0}, {field}));", $c));
            )*
        )*
        Layout(ours, program)
    }};
}

fn layout() -> Layout {
    layout! {
        Host, "crossrun_host", {
            size, abi_version, log_level, reserved, data, log, progress, cancelled, clock_nanos
        };
        Reply, "crossrun_reply", { size, reserved, data, answer, sink, fail, workload_failed };
        NamedOption, "crossrun_option", { name, value };
        Setup, "crossrun_setup", { size, remove, python, data_dir, log_dir, request, context, host };
        RawSession, "crossrun_session", {
            size, parallelism, nodes, option_count, options, data_dir, log_dir, session, host
        };
        Run, "crossrun_run", {
            size, parallelism, total_items, batch_size, seed, remaining_nanos, fusion_off, open_loop, stage_count,
            option_count, stages, options, workload_name, scheduler_name, functions, workload, library_path,
            library_sha256, data_dir, log_dir, spec, context, host, start_nanos, graph_steps, graph_width,
            graph_output_bytes
        };
        BackendFunctions, "crossrun_backend_functions", {
            size, abi_version, create, destroy, describe, is_available, setup, open, run, close, prepare
        };
        RawBuffer, "crossrun_buffer", { data, length, capacity };
        WorkloadFunctions, "crossrun_workload_functions", {
            size, catalogue, open, share, close, plan, source, run_stages, split, state_new, state_fold, state_merge,
            state_encode, state_emit, state_free, outcome, expected, buffer_free, describe, start, graph_edges,
            graph_task, watermark, state_close, keys
        };
    }
}

#[test]
fn structs_are_laid_out_as_the_header_has_them() {
    let Layout(ours, program) = layout();
    let source = format!(
        "#include <stdio.h>\n#include \"crossrun.h\"\nint main(void) {{\n{}\nreturn 0; }}\n",
        program.join("\n")
    );
    let theirs = printed("cc", &["-std=c99"], "c", &source);
    assert_eq!(theirs.lines().collect::<Vec<_>>(), ours);
}

/// The fields of a struct of the header, by its text: those that are pointers to functions, and the others.
fn fields(name: &str) -> (Vec<String>, Vec<String>) {
    let start = [format!("\nstruct {name} {{\n"), format!("\ntypedef struct {name} {{\n")];
    let (_, rest) = start.iter().find_map(|start| HEADER.split_once(start.as_str())).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let mut code = String::new();
    for part in body.split("/*") {
        code.push_str(part.split_once("*/").map_or(part, |(_, code)| code));
    }
    let (mut functions, mut values) = (Vec::new(), Vec::new());
    for statement in code.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        match statement.split_once("(*") {
            Some((_, rest)) => functions.push(rest.split_once(')').unwrap().0.to_owned()),
            None => {
                let name = statement.split_whitespace().next_back().unwrap().trim_start_matches('*');
                values.push(name.to_owned());
            }
        }
    }
    (functions, values)
}

#[test]
fn the_document_lists_the_functions_and_fields_of_the_header_in_their_order() {
    let backend = first_column("function of a backend | without it | given | answers with");
    assert_eq!(backend, fields("crossrun_backend_functions").0);
    assert_eq!(first_column("function of the host | meaning"), fields("crossrun_host").0);
    assert_eq!(first_column("function of the reply | meaning"), fields("crossrun_reply").0);
    let (functions, _) = fields("crossrun_workload_functions");
    assert_eq!(first_column("function | does")[1..], functions);
    let run: Vec<_> = first_column("field of the run | meaning").iter().flat_map(|row| names(row)).collect();
    assert_eq!(run, fields("crossrun_run").1);
}

/// The names in a cell.
fn names(cell: &str) -> Vec<String> {
    cell.split(", ").map(str::to_owned).collect()
}

#[test]
fn numbers_are_the_same_in_the_document_the_header_and_the_code() {
    let versions = table("what | now | stands in | changes when | a reader");
    let row = versions.iter().find(|row| row[0] == "backend C ABI").unwrap();
    assert_eq!(row[1], format!("{ABI_VERSION:#010x}"));
    let mut names: Vec<(String, i64)> = vec![
        ("CROSSRUN_BACKEND_ABI_VERSION".into(), ABI_VERSION.into()),
        ("CROSSRUN_FAILED".into(), FAILED.into()),
        ("CROSSRUN_OK".into(), OK.into()),
    ];
    for kind in 0..=8 {
        let word = json!(c_abi::error_kind(kind)).as_str().unwrap().to_uppercase();
        names.push((format!("CROSSRUN_ERROR_{word}"), kind.into()));
    }
    assert_eq!(c_abi::error_kind(9), ErrorKind::Internal);
    use StageKind::{Filter, FlatMap, KeyedReduce, Map, Sink, Source};
    for kind in [Source, Map, Filter, FlatMap, KeyedReduce, Sink] {
        let word = json!(kind).as_str().unwrap().to_uppercase();
        names.push((format!("CROSSRUN_STAGE_{word}"), c_abi::stage_kind(kind).into()));
    }
    for level in log::Level::iter() {
        names.push((format!("CROSSRUN_LOG_{level}"), level as i64));
    }
    let lines: Vec<_> =
        names.iter().map(|(name, _)| format!("printf(\"%lld\\n\", (long long){name});")).collect();
    let source = format!(
        "#include <stdio.h>\n#include \"crossrun.h\"\nint main(void) {{\n{}\nputs(CROSSRUN_API_VERSION);\n\
         return CROSSRUN_NO_DEADLINE == {NO_DEADLINE}u ? 0 : 1; }}\n",
        lines.join("\n")
    );
    let theirs = printed("cc", &["-std=c99"], "c", &source);
    let ours: Vec<_> = names.iter().map(|(_, number)| number.to_string()).collect();
    assert_eq!(theirs.lines().collect::<Vec<_>>(), [&ours[..], &[plugin_api::API_VERSION.into()]].concat());
    assert_eq!(first_column("kind | meaning").len(), 9);
}
