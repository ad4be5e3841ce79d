//! The same etcdctl commands on two servers, and what differs.
//!
//! | module | what it owns |
//! |---|---|
//! | [`script`] | the steps that both go through |
//! | [`side`] | a server, and a script on it |
//! | [`mask`] | what may differ: IDs, times, sizes |
//! | [`differences`] | where latchd differs for a reason |

use anyhow::{Result, ensure};

pub mod differences;
pub mod mask;
pub mod script;
pub mod side;

use crate::target::Kind;
use differences::{DIFFERENCES, Difference};
use script::Step;
use side::{Outcome, Side};

/// Runs a script on a fresh server of the tested kind and on a fresh etcd, both
/// started with `flags`.
///
/// # Errors
/// When they differ at a step without an entry in [`DIFFERENCES`], or when an
/// entry's difference is no longer there.
pub async fn compare(name: &str, script: &str, flags: &[&str]) -> Result<()> {
    let steps = script::parse(script)?;
    let tested = Kind::from_env()?;
    let listed: Vec<&Difference> = DIFFERENCES
        .iter()
        .filter(|entry| tested == Kind::Latchd && entry.script == name)
        .collect();
    let (ours, etcds) =
        tokio::try_join!(play(tested, flags, &steps), play(Kind::Etcd, flags, &steps))?;
    let mut complaints = stale(&steps, &ours, &etcds, &listed);
    for ((step, our), etcd) in steps.iter().zip(&ours).zip(&etcds) {
        let explained = listed
            .iter()
            .any(|entry| entry.is_about(&step.line) && says(our, entry.latchd_says));
        if !etcd.came {
            complaints.push(format!(
                "`{}`\n  etcd printed fewer lines, or more: {etcd:?}",
                step.line
            ));
        }
        if our != etcd && !explained {
            complaints.push(format!("`{}`\n{}", step.line, both(our, etcd)));
        }
    }
    ensure!(
        complaints.is_empty(),
        "{name}: {} of {} steps:\n\n{}",
        complaints.len(),
        steps.len(),
        complaints.join("\n\n")
    );
    Ok(())
}

async fn play(kind: Kind, flags: &[&str], steps: &[Step]) -> Result<Vec<Outcome>> {
    Side::start(kind, flags).await?.play(steps).await
}

/// A complaint for each entry that no step needs.
fn stale(
    steps: &[Step],
    ours: &[Outcome],
    etcds: &[Outcome],
    listed: &[&Difference],
) -> Vec<String> {
    let needed = |entry: &Difference| {
        let outcomes = ours.iter().zip(etcds);
        steps
            .iter()
            .zip(outcomes)
            .any(|(step, (our, etcd))| entry.is_about(&step.line) && our != etcd)
    };
    listed
        .iter()
        .filter(|entry| !needed(entry))
        .map(|entry| {
            let Difference { line, reason, .. } = entry;
            format!("`{line}` is listed ({reason}) and does not differ any more")
        })
        .collect()
}

fn says(outcome: &Outcome, text: &str) -> bool {
    outcome.stdout.contains(text) || outcome.stderr.contains(text)
}

/// The parts that differ, side by side.
fn both(our: &Outcome, etcd: &Outcome) -> String {
    let code = |outcome: &Outcome| format!("{:?}", outcome.code);
    let came = |outcome: &Outcome| outcome.came.to_string();
    let parts = [
        ("the lines came", came(our), came(etcd)),
        ("code", code(our), code(etcd)),
        ("stdout", our.stdout.clone(), etcd.stdout.clone()),
        ("stderr", our.stderr.clone(), etcd.stderr.clone()),
    ];
    parts
        .into_iter()
        .filter(|(_, our, etcd)| our != etcd)
        .map(|(part, our, etcd)| format!("  {part}:\n    ours: {our:?}\n    etcd: {etcd:?}"))
        .collect::<Vec<_>>()
        .join("\n")
}
