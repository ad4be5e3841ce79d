//! The program from outside, on real servers: latchd, etcd, and Redis where it is installed. Not how
//! fast they are, but that everything runs and is written down.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// A place on a disk.
fn scratch() -> Result<TempDir> {
    Ok(TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// The latchd to start: `LATCHD_BIN`, or one that was built beside this test.
fn latchd() -> Result<PathBuf> {
    if let Some(path) = env::var_os("LATCHD_BIN") {
        return Ok(path.into());
    }
    let bench = Path::new(env!("CARGO_BIN_EXE_latchd-bench"));
    let target = bench.ancestors().nth(2).context("no target folder")?;
    let mut built = ["release/latchd", "debug/latchd"]
        .map(|path| target.join(path))
        .into_iter();
    let found = built.find(|path| path.is_file());
    found.context("no latchd: cargo build --release, or set LATCHD_BIN")
}

/// Runs the program with its data, plots and figures under `scratch`; what it printed, and the
/// figures.
fn run(scratch: &Path, arguments: &[&str]) -> Result<(String, Value)> {
    let json = scratch.join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_latchd-bench"))
        .args(arguments)
        .arg("--latchd")
        .arg(latchd()?)
        .arg("--json")
        .arg(&json)
        .arg("--data-dir")
        .arg(scratch.join("data"))
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(
        fs::read_dir(scratch.join("data"))?.count() == 0,
        "data are left"
    );
    let figures = serde_json::from_str(&fs::read_to_string(json)?)?;
    Ok((String::from_utf8(output.stdout)?, figures))
}

fn found<'a>(figures: &'a Value, scenario: &str) -> Result<&'a Value> {
    let cases = figures["cases"].as_array().context("no cases")?;
    let mut of_it = cases.iter().filter(|case| case["scenario"] == scenario);
    of_it.next().with_context(|| format!("no {scenario}"))
}

#[test]
fn a_run_compares_all_who_know_a_scenario() -> Result<()> {
    let scratch = scratch()?;
    let out = scratch.path().display().to_string();
    let (text, figures) = run(
        scratch.path(),
        &[
            "--scenario=lock,contended,fan-out,herd,expiry,start",
            "--clients=2",
            "--watchers=2",
            "--waiters=2",
            "--leases=2",
            "--keys=0,2",
            "--rounds=1",
            "--seconds=2",
            "--out",
            &out,
        ],
    )?;
    let measured = [
        ("lock", "ops_per_second"),
        ("contended", "p50_us"),
        ("fan-out", "last_told_ms"),
        ("herd", "hand_off_us"),
        ("expiry", "late_max_ms"),
        ("start", "start_ms"),
    ];
    for (scenario, figure) in measured {
        let case = found(&figures, scenario)?;
        for system in ["latchd", "etcd"] {
            let median = &case["systems"][system]["median"];
            assert!(median[figure].as_f64() > Some(0.0), "{case:#}");
        }
        assert!(
            case["ratios"]["latchd/etcd"][figure].is_number(),
            "{case:#}"
        );
    }
    let expired = &found(&figures, "expiry")?["systems"]["latchd"]["median"];
    assert_eq!(expired["early"], 0.0);
    assert!(found(&figures, "contended")?["bound"]["latchd/bound"].is_number());
    let has_redis = found(&figures, "lock")?["systems"]["redis"].is_object();
    assert_ne!(has_redis, text.contains("Redis takes no part"), "{text}");
    let goals = figures["goals"].as_array().context("no goals")?;
    assert!(goals.iter().any(|goal| goal["met"].is_boolean()));
    assert!(text.contains("measured goals reached"), "{text}");
    assert!(scratch.path().join("throughput.svg").is_file());
    Ok(())
}

#[test]
fn sweeps_show_how_cost_grows() -> Result<()> {
    let scratch = scratch()?;
    let out = scratch.path().display().to_string();
    let (text, figures) = run(
        scratch.path(),
        &[
            "sweep",
            "--waiters=1,3",
            "--keys=10,200",
            "--leases=1,2",
            "--watchers=1,120",
            "--seconds=0.1",
            "--out",
            &out,
        ],
    )?;
    assert_eq!(text.matches("last/first").count(), 5 * 2, "{text}");
    for sweep in ["waiters", "keys", "leases", "watchers", "fan-out"] {
        let points = figures["sweeps"][sweep].as_array().context("no points")?;
        assert_eq!(points.len(), 2, "{sweep}");
        let plot = scratch.path().join(format!("growth-{sweep}.svg"));
        assert!(fs::read_to_string(plot)?.contains("latchd"), "{sweep}");
    }
    Ok(())
}

#[test]
fn a_soak_is_a_series() -> Result<()> {
    let scratch = scratch()?;
    let (text, figures) = run(scratch.path(), &["soak", "--cycles=200", "--clients=2"])?;
    assert!(
        figures["looks"]
            .as_array()
            .is_some_and(|looks| looks.len() > 1),
        "{figures:#}"
    );
    assert_eq!(text.matches("serves again").count(), 2, "{text}");
    Ok(())
}

#[test]
fn pieces_are_weighed() -> Result<()> {
    let scratch = scratch()?;
    let arguments = [
        "footprint",
        "--system=latchd",
        "--piece=waiter",
        "--waiters=20",
    ];
    let (_, figures) = run(scratch.path(), &arguments)?;
    assert_eq!(figures["pieces"]["waiter"]["count"], 20);
    assert!(figures["before_bytes"]["latchd"].as_u64() > Some(0));
    Ok(())
}
