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
    let json = scratch.join("figures.json");
    let output = bench()
        .args([
            "--system=floor",
            "--rounds=1",
            "--seconds=0.1",
            "--clients=1,16",
        ])
        .args(["--connections=2", "--json"])
        .arg(&json)
        .arg("--data-dir")
        .arg(scratch.join("data"))
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(serde_json::from_str(&fs::read_to_string(json)?)?)
}

#[test]
fn every_scenario_runs_and_leaves_nothing() -> Result<()> {
    let scratch = scratch()?;
    let figures = run_on_floor(scratch.path())?;
    let cases = figures["cases"].as_array().context("no cases")?;
    assert_eq!(
        cases.len(),
        14,
        "eight scenarios, but one client does not contend"
    );
    for case in cases {
        let rate = &case["systems"]["floor"]["median"]["ops_per_second"];
        assert!(rate.as_f64() > Some(0.0), "{case:#}");
    }
    assert_eq!(fs::read_dir(scratch.path().join("data"))?.count(), 0);
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
