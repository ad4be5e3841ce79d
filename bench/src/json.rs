//! The same as the tables, and every round, for programs.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::{
    bound::Bound,
    figures::{Figures, Metric},
    footprint,
    goals::{self, Goal},
    results::{COMPARISONS, Machine, Results, Run},
    soak::Soaked,
    sweep::Curve,
};

/// Whether figures can be written to `file`, which is better said before a run than after it.
///
/// # Errors
/// When its directory is not there.
pub fn check(file: Option<&Path>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let parent = file.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    ensure!(
        parent.is_dir(),
        "--json: there is no directory {}",
        parent.display()
    );
    Ok(())
}

/// Writes figures to `file`, if one was given.
///
/// # Errors
/// When it cannot be written.
pub fn write(file: Option<&Path>, figures: &Value) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let text = format!("{figures:#}\n");
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

/// The whole run. A figure that does not exist is null.
pub fn document(run: &Run) -> Value {
    json!({
        "machine": { "cpus": run.machine.cpus, "filesystem": run.machine.filesystem },
        "versions": versions(&run.machine),
        "rounds": run.rounds,
        "warm_up_seconds": run.timing.warm_up.as_secs_f64(),
        "window_seconds": run.timing.window.as_secs_f64(),
        "cases": run.results.iter().map(case).collect::<Vec<_>>(),
        "sweeps": curves(&run.curves),
        "footprint": footprint::report::pieces(&run.weighed),
        "soak": run.soaked.as_ref().map(Soaked::value),
        "goals": goals::of(run).iter().map(Goal::value).collect::<Vec<_>>(),
    })
}

/// By the name of each sweep, its points.
pub fn curves(curves: &[Curve]) -> Map<String, Value> {
    let curves = curves.iter().map(|curve| {
        let points: Vec<Value> = curve.points.iter().map(case).collect();
        (curve.sweep.name().to_owned(), points.into())
    });
    curves.collect()
}

/// What each binary says of itself.
pub fn versions(machine: &Machine) -> Map<String, Value> {
    let versions = machine.versions.iter();
    versions
        .map(|(system, text)| (system.name().to_owned(), json!(text)))
        .collect()
}

fn case(results: &Results) -> Value {
    let scenario = results.case.scenario;
    let metrics = [scenario.columns(), scenario.details()].concat();
    let systems = results.rounds.iter().map(|(system, rounds)| {
        let figures = system_figures(rounds, &metrics);
        (system.name().to_owned(), figures)
    });
    let mut case = json!({
        "scenario": scenario.name(),
        "connections": results.case.connections,
        "systems": systems.collect::<Map<_, _>>(),
        "ratios": ratios(results, &metrics),
    });
    case[scenario.unit().plural()] = json!(results.case.size);
    if let Some(median) = results.bound() {
        case["bound"] = json!({
            "median": bound(&median),
            "rounds": results.bounds.iter().map(bound).collect::<Vec<_>>(),
            "latchd/bound": results.of_bound(),
        });
    }
    case
}

fn bound(bound: &Bound) -> Value {
    json!({
        "rpc_us": bound.rpc,
        "fsync_us": bound.fsync,
        "ops_per_second": bound.per_second(),
    })
}

/// Null for a system that does not know the scenario.
fn system_figures(rounds: &[Figures], metrics: &[Metric]) -> Value {
    if rounds.is_empty() {
        return Value::Null;
    }
    let of = |round: &Figures| figures(round, metrics);
    json!({
        "median": of(&Figures::medians(rounds)),
        "rounds": rounds.iter().map(of).collect::<Vec<_>>(),
    })
}

fn ratios(results: &Results, metrics: &[Metric]) -> Map<String, Value> {
    let ratio = |(ours, theirs): (_, _)| Some((ours, theirs, results.ratio(ours, theirs)?));
    let all = COMPARISONS.into_iter().filter_map(ratio);
    all.map(|(ours, theirs, ratio)| {
        let name = format!("{}/{}", ours.name(), theirs.name());
        (name, figures(&ratio, metrics))
    })
    .collect()
}

fn figures(figures: &Figures, metrics: &[Metric]) -> Value {
    let pairs = metrics.iter().map(|metric| {
        let figure = json!(figures.get(*metric));
        (metric.key().to_owned(), figure)
    });
    pairs.collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    #[test]
    fn a_case_has_medians_rounds_and_ratios() {
        let document = document(&samples::run());
        let case = &document["cases"][0];
        assert_eq!(case["scenario"], "txn-lock");
        let latchd = &case["systems"]["latchd"];
        assert_eq!(latchd["median"]["ops_per_second"], 2000.0);
        assert_eq!(latchd["rounds"][2]["ops_per_second"], 1800.0);
        assert_eq!(case["ratios"]["latchd/etcd"]["ops_per_second"], 2.0);
        assert_eq!(case["ratios"]["latchd/floor"], Value::Null);
    }

    #[test]
    fn a_bound_is_told_with_its_parts() {
        let mut run = samples::run();
        assert_eq!(document(&run)["cases"][0]["bound"], Value::Null);
        run.results[0].bounds = samples::bounds();
        let bound = &document(&run)["cases"][0]["bound"];
        assert_eq!(bound["median"]["fsync_us"], 200.0);
        assert_eq!(bound["latchd/bound"], 0.5);
    }

    #[test]
    fn a_figure_that_does_not_exist_is_null() {
        let document = document(&samples::run());
        let median = &document["cases"][0]["systems"]["etcd"]["median"];
        assert_eq!(median["p99_us"], Value::Null);
    }

    #[test]
    fn a_system_that_does_not_know_a_scenario_is_null() {
        let mut run = samples::run();
        run.results = vec![samples::herd(10)];
        let case = &document(&run)["cases"][0];
        assert_eq!(case["waiters"], 10);
        assert_eq!(case["systems"]["floor"], Value::Null);
        assert_eq!(case["ratios"]["latchd/etcd"]["hand_off_us"], 0.25);
    }
}
