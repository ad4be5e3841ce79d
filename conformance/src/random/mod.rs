//! Random programs, in lockstep on the server under test, on a real etcd and on the model.
//!
//! A program comes from a seed. Each operation goes to both servers and to the model, and the three
//! answers must be the same, whole; so must be all that open watches are told, and when calls that
//! wait are answered. Where they are not, the program is made as short and as simple as it can be,
//! and saved.
//!
//! | module | what it owns |
//! |---|---|
//! | [`op`], [`text`], [`rev`] | operations, as they are stored and printed |
//! | [`generate`] | programs from a seed |
//! | [`concrete`] | operations as requests |
//! | [`side`], [`streams`] | one server: calls, calls that wait, watch streams |
//! | [`mask`] | what may differ |
//! | [`session`], [`watching`] | a program in lockstep |
//! | [`shrink`] | short failing programs |
//! | [`regression`] | saved ones |
//! | [`servers`] | starting the servers |
//! | [`options`] | the command line |
//! | [`tally`] | what programs were made of |

mod concrete;
pub mod generate;
mod mask;
pub mod op;
pub mod options;
pub mod regression;
pub mod rev;
pub mod servers;
pub mod session;
pub mod shrink;
pub mod side;
mod streams;
pub mod tally;
pub mod text;
mod watching;

use std::{
    fmt,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::time::Instant;

use op::{Op, listing};
use regression::Regression;
use servers::Lane;
use session::{Mismatch, play};
use side::Side;
use tally::Tally;

/// How long a server may take to answer, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take while a program is made shorter, where many attempts end in silence.
const LESS_PATIENCE: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the programs come from.
    pub seed: u64,
    /// How many operations, in all.
    pub ops: usize,
    /// How many operations a program has.
    pub program: usize,
    /// Where to save a program that failed; `None` for nowhere.
    pub save_in: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            ops: 50_000,
            program: 400,
            save_in: None,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What was played.
    pub tally: Tally,
    /// How long that took.
    pub took: Duration,
    /// The first failure that was found.
    pub failure: Option<Failed>,
}

/// A program that failed.
#[derive(Debug)]
pub struct Failed {
    /// The seed of the whole program.
    pub seed: u64,
    /// It, made short.
    pub program: Vec<Op>,
    /// What is wrong with it.
    pub mismatch: Mismatch,
    /// Where it was saved.
    pub saved: Option<PathBuf>,
}

/// Plays programs on servers, as many at a time as there are lanes, until all are played or one
/// fails, which is then made short. Calls `played` with the number of operations of each program
/// that is done.
///
/// # Errors
/// When a server does not run, or a file cannot be written; a failed program is an outcome.
pub async fn run(plan: &Plan, lanes: &mut [Lane], played: impl Fn(usize)) -> Result<Outcome> {
    let began = Instant::now();
    let turns = Turns {
        plan,
        played,
        next: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
    };
    let lanes = lanes.iter_mut().map(|lane| turns.take(lane));
    let mut outcome = Outcome {
        tally: Tally::default(),
        took: Duration::ZERO,
        failure: None,
    };
    for (tally, failure) in try_join_all(lanes).await? {
        outcome.tally.add(tally);
        outcome.failure = outcome.failure.or(failure);
    }
    outcome.took = began.elapsed();
    Ok(outcome)
}

/// Plays one program.
///
/// # Errors
/// When a server does not run; a mismatch is none.
pub async fn replay(program: &[Op], lane: &mut Lane) -> Result<Option<Mismatch>> {
    let mismatch = play(&mut lane.sides, program, &mut Tally::default()).await?;
    lane.must_be_well()?;
    Ok(mismatch)
}

/// Hands programs out to lanes.
struct Turns<'a, F> {
    plan: &'a Plan,
    played: F,
    next: AtomicUsize,
    stopped: AtomicBool,
}

impl<F: Fn(usize)> Turns<'_, F> {
    async fn take(&self, lane: &mut Lane) -> Result<(Tally, Option<Failed>)> {
        let mut tally = Tally::default();
        while let Some((seed, length)) = self.next() {
            let program = generate::program(seed, length);
            let Some(mismatch) = play(&mut lane.sides, &program, &mut tally).await? else {
                tally.programs += 1;
                (self.played)(length);
                lane.must_be_well()?;
                continue;
            };
            self.stopped.store(true, Ordering::Relaxed);
            let failed = self.shorten(seed, program, mismatch, lane).await?;
            return Ok((tally, Some(failed)));
        }
        // Nothing stays on servers that were given.
        try_join_all(lane.sides.iter_mut().map(Side::clean)).await?;
        Ok((tally, None))
    }

    /// The seed and the length of the next program. Seeds follow one another, so that a failure's
    /// program can be had alone.
    fn next(&self) -> Option<(u64, usize)> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let begun = at.checked_mul(self.plan.program)?;
        let left = self.plan.ops.checked_sub(begun).filter(|left| *left > 0)?;
        let seed = self.plan.seed.wrapping_add(at as u64);
        Some((seed, left.min(self.plan.program)))
    }

    async fn shorten(
        &self,
        seed: u64,
        mut program: Vec<Op>,
        mismatch: Mismatch,
        lane: &mut Lane,
    ) -> Result<Failed> {
        eprintln!(
            "the program of seed {seed} fails at operation {}: {}",
            mismatch.at, mismatch.what
        );
        program.truncate(mismatch.at + 1);
        let (program, found) = shortest(program, &mut lane.sides).await?;
        // One that does not fail again is told as it was.
        let mismatch = found.unwrap_or(mismatch);
        let mut failed = Failed {
            seed,
            program,
            mismatch,
            saved: None,
        };
        if let Some(directory) = &self.plan.save_in {
            let about = failed.mismatch.what.lines().map(str::to_owned).collect();
            let program = failed.program.clone();
            let regression = Regression { about, program };
            failed.saved = Some(regression.save(directory, &format!("seed-{seed}"))?);
        }
        Ok(failed)
    }
}

/// The shortest program that still fails, and how; if it does not fail again at all, it as it is.
async fn shortest(program: Vec<Op>, sides: &mut [Side]) -> Result<(Vec<Op>, Option<Mismatch>)> {
    sides
        .iter_mut()
        .for_each(|side| side.set_patience(LESS_PATIENCE));
    let mut fails = async |program: &[Op]| {
        let played = play(sides, program, &mut Tally::default()).await?;
        anyhow::Ok(played.is_some())
    };
    let short = match fails(&program).await? {
        true => shrink::shrink(program, Op::simpler, &mut fails).await,
        false => Ok(program),
    };
    sides
        .iter_mut()
        .for_each(|side| side.set_patience(PATIENCE));
    let short = short.context("while making the program shorter")?;
    let mismatch = play(sides, &short, &mut Tally::default()).await?;
    Ok((short, mismatch))
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            program,
            mismatch,
            saved,
        } = self;
        let operations = program.len();
        writeln!(
            f,
            "the program of seed {seed}, in {operations} operations:\n"
        )?;
        writeln!(f, "{}\n", listing(program))?;
        writeln!(f, "at operation {}: {}", mismatch.at, mismatch.what)?;
        if let Some(path) = saved {
            writeln!(f, "saved as {}", path.display())?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let speed = self.tally.compared() as f64 / seconds.max(0.001);
        write!(
            f,
            "{}, {seconds:.1} s, {speed:.0} operations a second",
            self.tally
        )?;
        match &self.failure {
            Some(failure) => write!(f, "\n\n{failure}"),
            None => Ok(()),
        }
    }
}
