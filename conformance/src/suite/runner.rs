//! All chosen cases on pairs of servers, and the verdict on each.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use futures::future::try_join_all;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    case::{Case, Family, Selection},
    compare::{self, Difference},
    differences::{EXPLAINED, Explained, explanation},
    mask::Mask,
    pair::{Pair, Side, Source},
    transcript::Transcript,
};
use crate::{target::Kind, wait::within};

/// How long one case may take; its single steps have limits of their own.
const CASE_LIMIT: Duration = Duration::from_secs(90);

/// What is run, and where.
pub struct Plan {
    /// The server that is judged.
    pub tested: Source,
    /// The one that is right.
    pub reference: Source,
    /// How many pairs of servers; given servers are one.
    pub jobs: usize,
    /// Which cases.
    pub selection: Selection,
    /// What may differ.
    pub explained: &'static [Explained],
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict", content = "why")]
pub enum Verdict {
    /// The servers answered the same.
    Equal,
    /// They differ only where there is a reason.
    Explained,
    /// They differ.
    Different,
    /// The case itself did not work out: on the reference, or not at all.
    Broken(String),
    /// It needs servers of its own, and one is given.
    Skipped(String),
}

/// A case, its verdict and what it is based on.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// The family.
    pub family: String,
    /// The case.
    pub case: String,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Where the servers differ, explained or not.
    pub differences: Vec<Difference>,
    /// The reasons, for what is explained.
    pub reasons: BTreeSet<&'static str>,
    /// How long it took.
    pub seconds: f64,
    /// Which entries of the explanations it needed.
    #[serde(skip)]
    needed: BTreeSet<usize>,
}

impl Judged {
    /// A case that came out so, for no particular place or reason.
    #[must_use]
    pub fn new(family: &str, case: &str, verdict: Verdict) -> Self {
        Self {
            family: family.to_owned(),
            case: case.to_owned(),
            verdict,
            differences: Vec::new(),
            reasons: BTreeSet::new(),
            seconds: 0.0,
            needed: BTreeSet::new(),
        }
    }
}

/// All verdicts.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// In the order of the families.
    pub cases: Vec<Judged>,
    /// Families that latchd owes, with what they are about.
    pub pending: Vec<(&'static str, &'static str)>,
    /// Reasons that no case needs any more.
    pub stale: Vec<&'static str>,
}

impl Outcome {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let bad =
            |judged: &Judged| matches!(judged.verdict, Verdict::Different | Verdict::Broken(_));
        self.stale.is_empty() && !self.cases.iter().any(bad)
    }
}

impl Plan {
    /// The cases of `families` that it wants, with their families' names.
    #[must_use]
    pub fn chosen(&self, families: &[Family]) -> Vec<(&'static str, Case)> {
        let all = families.iter().flat_map(|family| {
            let name = family.name;
            family.cases.iter().map(move |case| (name, case.clone()))
        });
        all.filter(|(family, case)| self.selection.wants(family, &case.name))
            .collect()
    }

    /// Runs the chosen cases of these families; `judged` hears of each.
    ///
    /// # Errors
    /// When a server does not start, or ends.
    pub async fn run(&self, families: &[Family], judged: impl Fn(&Judged)) -> Result<Outcome> {
        let chosen = self.chosen(families);
        let workers = self.jobs.min(chosen.len());
        let queue = RefCell::new(chosen.into_iter().enumerate().collect::<VecDeque<_>>());
        let results = RefCell::new(Vec::new());
        let worker = || async {
            let mut pair = Pair::open(&self.tested, &self.reference, &[]).await?;
            loop {
                // Not in the loop's head, where the queue would stay borrowed.
                let next = queue.borrow_mut().pop_front();
                let Some((at, (family, case))) = next else {
                    return pair.must_be_well();
                };
                let result = self.judge(&pair, family, &case).await?;
                pair.must_be_well()
                    .with_context(|| format!("in or before {family}/{}", case.name))?;
                judged(&result);
                results.borrow_mut().push((at, result));
            }
        };
        try_join_all((0..workers).map(|_| worker())).await?;
        let mut results = results.into_inner();
        results.sort_by_key(|(at, _)| *at);
        let cases = results.into_iter().map(|(_, result)| result).collect();
        Ok(self.outcome(cases, families))
    }

    fn outcome(&self, cases: Vec<Judged>, families: &[Family]) -> Outcome {
        let needed: BTreeSet<usize> = cases.iter().flat_map(|case| case.needed.clone()).collect();
        let all = self.selection.is_all() && matches!(self.tested, Source::Start(Kind::Latchd));
        let stale = self.explained.iter().enumerate();
        let stale = stale.filter(|(at, _)| all && !needed.contains(at));
        let pending = families.iter().filter(|family| family.is_pending());
        Outcome {
            cases,
            stale: stale.map(|(_, entry)| entry.reason).collect(),
            pending: pending
                .filter(|family| self.selection.wants_family(family.name))
                .map(|family| (family.name, family.about))
                .collect(),
        }
    }

    async fn judge(&self, pair: &Pair, family: &str, case: &Case) -> Result<Judged> {
        let start = Instant::now();
        let name = format!("{family}/{}", case.name);
        let (verdict, found) = match &case.own_servers {
            None => verdict(pair, case).await,
            Some(_) if self.one_is_given() => {
                let why = "it needs fresh servers with flags of its own".to_owned();
                (Verdict::Skipped(why), Vec::new())
            }
            Some(flags) => {
                let mut own = Pair::open(&self.tested, &self.reference, flags).await?;
                let judged = verdict(&own, case).await;
                own.must_be_well().with_context(|| format!("in {name}"))?;
                judged
            }
        };
        let reasons = found
            .iter()
            .map(|it| explanation(self.explained, &name, it));
        let reasons: Vec<Option<usize>> = reasons.collect();
        let needed: BTreeSet<usize> = reasons.iter().flatten().copied().collect();
        let verdict = match verdict {
            Verdict::Different if reasons.iter().all(Option::is_some) => Verdict::Explained,
            verdict => verdict,
        };
        Ok(Judged {
            differences: found,
            reasons: needed.iter().map(|at| self.explained[*at].reason).collect(),
            seconds: start.elapsed().as_secs_f64(),
            needed,
            ..Judged::new(family, &case.name, verdict)
        })
    }

    fn one_is_given(&self) -> bool {
        [&self.tested, &self.reference]
            .iter()
            .any(|source| matches!(source, Source::Given(_)))
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            tested: Source::Start(Kind::Latchd),
            reference: Source::Start(Kind::Etcd),
            jobs: 3,
            selection: Selection::default(),
            explained: EXPLAINED,
        }
    }
}

/// The case on both, compared; before any explanation.
async fn verdict(pair: &Pair, case: &Case) -> (Verdict, Vec<Difference>) {
    let (tested, reference) = tokio::join!(play(&pair.tested, case), play(&pair.reference, case));
    let reference = match reference {
        Ok((steps, None)) if steps.is_empty() => {
            return broken(anyhow!("it writes nothing down"));
        }
        Ok((steps, None)) => steps,
        Ok((_, Some(failure))) => return broken(failure.context("on the reference")),
        Err(error) => return broken(error.context("on the reference")),
    };
    let (tested, failure) = match tested {
        Ok(played) => played,
        Err(error) => return broken(error.context("on the tested server")),
    };
    let found = compare::compare(&tested, &reference);
    match (found.is_empty(), failure) {
        (true, None) => (Verdict::Equal, found),
        (true, Some(failure)) => broken(failure.context("on the tested server only")),
        (false, _) => (Verdict::Different, found),
    }
}

fn broken(error: anyhow::Error) -> (Verdict, Vec<Difference>) {
    (Verdict::Broken(format!("{error:#}")), Vec::new())
}

/// The masked transcript of a case on one server, and why the case stopped, if it
/// did before its end.
async fn play(side: &Side, case: &Case) -> Result<(Transcript, Option<anyhow::Error>)> {
    let (mut session, first) = side.session().await.context("before the case")?;
    let stopped = within(CASE_LIMIT, "the case", case.run(&mut session))
        .await
        .err();
    let (steps, failure) = session.into_steps();
    let failure = failure.map(|failure| anyhow!("no answer: {failure}"));
    Ok((
        Mask::new(first, side.own()).transcript(steps),
        stopped.or(failure),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[Explained] = &[Explained {
        cases: "kv/*",
        what: "*",
        path: "*",
        tested: &["*"],
        reason: "it was so once",
    }];

    fn plan(tested: Source, only: &[&str]) -> Plan {
        let only: Vec<String> = only.iter().map(|&word| word.to_owned()).collect();
        Plan {
            tested,
            selection: Selection::new(&only),
            explained: LIST,
            ..Plan::default()
        }
    }

    fn equal() -> Vec<Judged> {
        vec![Judged::new("kv", "a", Verdict::Equal)]
    }

    #[test]
    fn a_reason_that_a_full_run_does_not_need_is_stale() {
        let outcome = plan(Source::Start(Kind::Latchd), &[]).outcome(equal(), &[]);
        assert_eq!(outcome.stale, ["it was so once"]);
        assert!(!outcome.is_good());
        let mut needed = equal();
        needed[0].needed.insert(0);
        let outcome = plan(Source::Start(Kind::Latchd), &[]).outcome(needed, &[]);
        assert!(outcome.stale.is_empty() && outcome.is_good());
    }

    #[test]
    fn a_part_or_another_server_may_not_need_a_reason() {
        let given = Source::Given("http://127.0.0.1:2379".to_owned());
        let latchd = Source::Start(Kind::Latchd);
        for plan in [
            plan(latchd, &["kv"]),
            plan(given, &[]),
            plan(Source::Start(Kind::Etcd), &[]),
        ] {
            assert!(plan.outcome(equal(), &[]).is_good());
        }
    }

    #[test]
    fn what_latchd_owes_is_pending_and_not_a_case() {
        let owed = Family {
            name: "auth",
            about: "users",
            cases: Vec::new(),
        };
        let plan = plan(Source::Start(Kind::Etcd), &[]);
        let outcome = plan.outcome(Vec::new(), &[owed]);
        assert_eq!(outcome.pending, [("auth", "users")]);
        assert!(outcome.cases.is_empty());
    }
}
