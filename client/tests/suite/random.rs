//! Random histories against a pure model of the queue, and many clients at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use latchd_client::{Error, Guard, Mode, Result, Revision, Session};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use crate::support::{Changes, Stage, joined, soon};

on_both!(
    mutexes_are_as_the_model_has_them,
    readers_and_writers_are_as_the_model_has_them,
    permits_are_as_the_model_has_them,
    all_modes_are_as_the_model_has_them,
    fifty_clients_with_overlapping_names_exclude_one_another,
);

const X: Mode = Mode::Exclusive;
const R: Mode = Mode::Shared;
const S: Mode = Mode::Permit { of: 3 };

async fn mutexes_are_as_the_model_has_them(stage: Stage) {
    play(&stage, &[X], 1).await;
}

async fn readers_and_writers_are_as_the_model_has_them(stage: Stage) {
    play(&stage, &[R, R, X], 2).await;
}

async fn permits_are_as_the_model_has_them(stage: Stage) {
    play(&stage, &[S], 3).await;
}

async fn all_modes_are_as_the_model_has_them(stage: Stage) {
    play(&stage, &[X, R, R, S, S], 4).await;
}

/// How many steps a history has.
const STEPS: usize = 120;
/// How many contend at a time.
const MOST: usize = 7;

/// Somebody in the line.
struct Contender {
    mode: Mode,
    session: Session,
    state: State,
}

enum State {
    Waits(JoinHandle<Result<Guard>>),
    Holds(Guard),
}

/// The line as it must be: its order is that of the puts, which the driver has seen.
struct Line {
    name: String,
    changes: Changes,
    /// By number, which rises with each.
    contenders: BTreeMap<usize, Contender>,
    next: usize,
    /// The last exclusive holder's token.
    last: Option<Revision>,
}

/// R0, word by word.
fn is_granted(older: &[Mode], own: Mode) -> bool {
    match own {
        Mode::Exclusive => older.is_empty(),
        Mode::Shared => older.iter().all(|mode| *mode == Mode::Shared),
        Mode::Permit { of } => {
            older.len() < of as usize
                && older.iter().all(|mode| matches!(mode, Mode::Permit { .. }))
        }
    }
}

async fn play(stage: &Stage, modes: &[Mode], seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut line = Line {
        name: stage.name("line"),
        changes: stage.changes("line").await,
        contenders: BTreeMap::new(),
        next: 0,
        last: None,
    };
    for _ in 0..STEPS {
        let mode = *modes.choose(&mut random).expect("a mode");
        match random.random_range(0..10) {
            0..4 if line.contenders.len() < MOST => line.ask(stage, mode).await,
            4 if line.contenders.len() < MOST => line.attempt(stage, mode).await,
            5 => line.expire(stage, &mut random).await,
            _ => line.let_go(&mut random).await,
        }
        line.check().await;
    }
    while !line.contenders.is_empty() {
        line.let_go(&mut random).await;
        line.check().await;
    }
    assert!(stage.keys("line").await.is_empty());
}

async fn lock(session: Session, name: String, mode: Mode) -> Result<Guard> {
    session.multi_lock([name]).with_mode(mode).lock().await
}

impl Line {
    fn modes(&self) -> Vec<Mode> {
        self.contenders.values().map(|each| each.mode).collect()
    }

    fn add(&mut self, mode: Mode, session: Session, state: State) {
        let contender = Contender {
            mode,
            session,
            state,
        };
        self.contenders.insert(self.next, contender);
        self.next += 1;
    }

    async fn ask(&mut self, stage: &Stage, mode: Mode) {
        let session = stage.session().await;
        let locking = tokio::spawn(lock(session.clone(), self.name.clone(), mode));
        self.changes.put().await;
        self.add(mode, session, State::Waits(locking));
    }

    async fn attempt(&mut self, stage: &Stage, mode: Mode) {
        let session = stage.session().await;
        let lock = session.multi_lock([&self.name]).with_mode(mode);
        let tried = soon(lock.try_lock()).await;
        match is_granted(&self.modes(), mode) {
            true => {
                let guard = tried.expect("it is to be had");
                self.changes.put().await;
                self.note(&guard);
                self.add(mode, session, State::Holds(guard));
            }
            false => {
                assert_refused!(tried, Error::Busy { .. });
            }
        }
    }

    /// A holder releases, or a waiter gives up.
    async fn let_go(&mut self, random: &mut StdRng) {
        let Some(contender) = self.take(random) else {
            return;
        };
        match contender.state {
            State::Holds(guard) => soon(guard.unlock()).await.expect("released"),
            State::Waits(task) => task.abort(),
        }
        self.changes.deleted_any().await;
    }

    async fn expire(&mut self, stage: &Stage, random: &mut StdRng) {
        let Some(contender) = self.take(random) else {
            return;
        };
        stage.revoke(&contender.session).await;
        self.changes.deleted_any().await;
        match contender.state {
            State::Holds(guard) => {
                soon(guard.lost()).await;
            }
            State::Waits(task) => {
                assert_refused!(joined(task).await, Error::SessionLost { .. });
            }
        }
    }

    fn take(&mut self, random: &mut StdRng) -> Option<Contender> {
        let numbers: Vec<usize> = self.contenders.keys().copied().collect();
        let number = numbers.choose(random)?;
        self.contenders.remove(number)
    }

    /// Who must hold does, and nobody else.
    async fn check(&mut self) {
        let mut older = Vec::new();
        let mut granted = Vec::new();
        for (number, contender) in &self.contenders {
            let must_hold = is_granted(&older, contender.mode);
            older.push(contender.mode);
            match &contender.state {
                State::Waits(_) if must_hold => granted.push(*number),
                State::Waits(task) => assert!(!task.is_finished(), "it holds too early"),
                State::Holds(_) => assert!(must_hold, "nothing comes before a holder"),
            }
        }
        for number in granted {
            let Some(Contender {
                mode,
                session,
                state: State::Waits(task),
            }) = self.contenders.remove(&number)
            else {
                panic!("it waits");
            };
            let guard = joined(task).await.expect("the lock");
            self.note(&guard);
            let state = State::Holds(guard);
            let contender = Contender {
                mode,
                session,
                state,
            };
            self.contenders.insert(number, contender);
        }
    }

    fn note(&mut self, guard: &Guard) {
        let token = guard.fencing_token();
        assert!(self.last < Some(token), "tokens rise");
        if guard.mode() == X {
            self.last = Some(token);
        }
    }
}

async fn fifty_clients_with_overlapping_names_exclude_one_another(stage: Stage) {
    let names: Vec<String> = (0..8).map(|n| stage.name(&format!("n{n}"))).collect();
    let in_use: Arc<Vec<AtomicBool>> = Arc::new(names.iter().map(|_| false.into()).collect());
    let mut tasks = Vec::new();
    for seed in 0..50 {
        let (session, names, in_use) = (stage.session().await, names.clone(), in_use.clone());
        tasks.push(tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            for _ in 0..3 {
                let count = random.random_range(1..=4);
                let mut numbers: Vec<usize> = (0..names.len()).collect();
                for at in 0..count {
                    let other = random.random_range(at..numbers.len());
                    numbers.swap(at, other);
                }
                numbers.truncate(count);
                let wanted = numbers.iter().map(|n| names[*n].clone());
                let guard = session.multi_lock(wanted).lock().await.expect("the locks");
                for n in &numbers {
                    assert!(!in_use[*n].swap(true, SeqCst), "two holders at once");
                }
                tokio::task::yield_now().await;
                for n in &numbers {
                    in_use[*n].store(false, SeqCst);
                }
                guard.unlock().await.expect("released");
            }
        }));
    }
    for task in tasks {
        joined(task).await;
    }
}
