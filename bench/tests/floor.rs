//! The program from outside: every scenario on the floor, which needs nothing but this crate.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

fn bench() -> Command {
    Command::new(env!("CARGO_BIN_EXE_latchd-bench"))
}

/// A place on a disk.
fn scratch() -> Result<TempDir> {
    Ok(TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn run_on_floor(scratch: &Path) -> Result<Value> {
    let output = bench()
        .args([
            "--system=floor",
            "--rounds=1",
            "--seconds=0.5",
            "--clients=1,16",
            "--watchers=3",
            "--connections=2",
            "--out",
        ])
        .arg(scratch.join("out"))
        .arg("--data-dir")
        .arg(scratch.join("data"))
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let json = scratch.join("out/figures.json");
    Ok(serde_json::from_str(&fs::read_to_string(json)?)?)
}

#[test]
fn every_scenario_runs_and_leaves_nothing() -> Result<()> {
    let scratch = scratch()?;
    let figures = run_on_floor(scratch.path())?;
    let cases = figures["cases"].as_array().context("no cases")?;
    assert_eq!(
        cases.len(),
        15,
        "seven closed loops with 1 and 16 clients, and one fan-out"
    );
    for case in cases {
        let median = &case["systems"]["floor"]["median"];
        let rate = match case["scenario"].as_str() {
            Some("fan-out") => &median["events_per_second"],
            _ => &median["ops_per_second"],
        };
        assert!(rate.as_f64() > Some(0.0), "{case:#}");
    }
    assert_eq!(fs::read_dir(scratch.path().join("data"))?.count(), 0);
    Ok(())
}

#[test]
fn a_run_leaves_plots_and_goals() -> Result<()> {
    let scratch = scratch()?;
    run_on_floor(scratch.path())?;
    for name in ["throughput", "latency-lock", "latency-keepalive"] {
        let file = scratch.path().join(format!("out/{name}.svg"));
        let svg = fs::read_to_string(&file)?;
        assert!(svg.contains("floor") && svg.ends_with("</svg>\n"), "{svg}");
    }
    let goals = fs::read_to_string(scratch.path().join("out/goals.md"))?;
    assert!(goals.contains("| not measured |"), "{goals}");
    Ok(())
}

#[test]
fn a_server_that_does_not_start_is_told_with_its_reason() -> Result<()> {
    let scratch = scratch()?;
    let broken = scratch.path().join("latchd");
    fs::write(
        &broken,
        "#!/bin/sh\n[ \"$1\" = --version ] || { echo no luck >&2; exit 3; }\n",
    )?;
    fs::set_permissions(&broken, Permissions::from_mode(0o755))?;
    let output = bench()
        .args(["--system=latchd", "--latchd"])
        .arg(&broken)
        .arg("--out")
        .arg(scratch.path())
        .arg("--data-dir")
        .arg(scratch.path().join("data"))
        .output()?;
    let text = String::from_utf8(output.stderr)?;
    assert!(!output.status.success());
    assert!(
        text.starts_with("latchd-bench: lock, 1 client, 1 connection, latchd: "),
        "{text}"
    );
    assert!(
        text.contains("exit status: 3") && text.contains("no luck"),
        "{text}"
    );
    Ok(())
}
