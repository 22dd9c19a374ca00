//! The comparison runs to its end.

use std::fs;
use std::process::Command;

#[test]
fn a_brief_run_measures_everything_and_draws() {
    let svg = concat!(env!("CARGO_TARGET_TMPDIR"), "/brief.svg");
    let run = Command::new(env!("CARGO_BIN_EXE_compare")).args(["--brief", svg]).output().unwrap();
    let tables = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{tables}\n{}", String::from_utf8_lossy(&run.stderr));
    for title in [
        "The box alone",
        "Sending",
        "Receiving",
        "Round trip",
        "Connecting",
        "Idle tick",
        "Memory",
        "Bulk",
        "The messenger",
    ] {
        assert!(tables.lines().any(|line| line.starts_with(title)), "no {title} in\n{tables}");
    }
    let drawn = fs::read_to_string(svg).unwrap();
    assert!(drawn.ends_with("</svg>\n") && !drawn.contains("NaN"), "{drawn}");
}
