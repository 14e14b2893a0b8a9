use super::*;
use crate::report::examples;

fn page(comparison: &Comparison) -> String {
    let command = Some("crossrun compare --backends alpha,beta,gamma");
    html(&Page { comparison, generated_at: "2026-02-21 05:00:00 UTC", command }).unwrap()
}

#[test]
fn the_page_is_the_same_byte_for_byte() {
    insta::assert_binary_snapshot!(".html", page(&examples::several_workloads()).into_bytes());
}
