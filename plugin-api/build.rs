//! Tells the crate how it is being built, for the metadata of every plugin that links it.

use std::process::Command;

fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| "unknown".into());
    let rustc = Command::new(variable("RUSTC")).arg("--version").output();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    println!("cargo::rustc-env=CROSSRUN_RUSTC={}", rustc.unwrap_or_else(|_| "unknown".into()));
    for (name, source) in
        [("TARGET", "TARGET"), ("OPT_LEVEL", "OPT_LEVEL"), ("TARGET_FEATURES", "CARGO_CFG_TARGET_FEATURE")]
    {
        println!("cargo::rustc-env=CROSSRUN_{name}={}", variable(source));
    }
    println!("cargo::rerun-if-changed=build.rs");
}
