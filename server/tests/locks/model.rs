//! Random histories of many sessions on one name, against a pure model of the queue: "never an
//! illegal set of holders, order kept, tokens rising".

use std::collections::BTreeMap;

use latchd_proto::latchd::v1::{AcquireRequest, Hold};

use crate::common::{keys_under, soon, until_count};
use crate::support::{Dice, Service, Waiter, exclusive, for_ever, permit, shared};

/// How many steps a history has.
const STEPS: usize = 1500;
/// How many may contend at a time.
const MOST: usize = 8;

/// How a model's contender contends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Exclusive,
    Shared,
    Permit,
}

/// The semaphore's size.
const PERMITS: u32 = 3;

impl Mode {
    fn request(self, name: &str, lease: i64) -> AcquireRequest {
        match self {
            Mode::Exclusive => exclusive(name, lease),
            Mode::Shared => shared(name, lease),
            Mode::Permit => permit(name, PERMITS, lease),
        }
    }
}

/// The rules, word by word, over a queue in its order.
fn holders(queue: &[Contender]) -> Vec<i64> {
    let is_granted = |at: usize| {
        let older = &queue[..at];
        match queue[at].mode {
            Mode::Exclusive => older.is_empty(),
            Mode::Shared => older.iter().all(|other| other.mode == Mode::Shared),
            Mode::Permit => {
                older.iter().all(|other| other.mode == Mode::Permit)
                    && older.len() < PERMITS as usize
            }
        }
    };
    let granted = (0..queue.len()).filter(|at| is_granted(*at));
    granted.map(|at| queue[at].lease).collect()
}

struct Contender {
    lease: i64,
    mode: Mode,
    state: State,
}

enum State {
    Waits(Waiter),
    Holds(Hold),
}

struct History {
    service: Service,
    dice: Dice,
    modes: &'static [Mode],
    queue: Vec<Contender>,
    last_exclusive: i64,
}

impl History {
    async fn play(seed: u64, modes: &'static [Mode]) {
        let mut history = History {
            service: Service::without_sync().await,
            dice: Dice::new(seed),
            modes,
            queue: Vec::new(),
            last_exclusive: 0,
        };
        for _ in 0..STEPS {
            history.step().await;
            history.check().await;
        }
        while !history.queue.is_empty() {
            history.go(0).await;
            history.check().await;
        }
        assert!(keys_under(&mut history.service.etcd, "n/").await.is_empty());
    }

    async fn step(&mut self) {
        if self.queue.is_empty() || (self.queue.len() < MOST && self.dice.below(2) == 0) {
            return self.come().await;
        }
        let at = self.dice.below(self.queue.len());
        self.go(at).await;
    }

    async fn come(&mut self) {
        let lease = self.service.lease().await;
        let mode = self.modes[self.dice.below(self.modes.len())];
        let request = mode.request("n", lease);
        let waiter = if self.dice.below(4) == 0 {
            match self.service.acquire(request).await {
                // It was granted, so the model must say so as well.
                Ok(granted) => {
                    let hold = granted.holds.into_iter().next().unwrap();
                    let state = State::Holds(hold);
                    return self.joined(lease, mode, state);
                }
                Err(_) => {
                    let mut trial: Vec<Mode> = self.queue.iter().map(|c| c.mode).collect();
                    trial.push(mode);
                    assert!(!self.would_hold(&trial), "refused though it was free");
                    return;
                }
            }
        } else {
            let count = self.queue.len() + 1;
            self.service.queue(for_ever(request), count).await
        };
        self.joined(lease, mode, State::Waits(waiter));
    }

    /// Whether the last of these modes would hold.
    fn would_hold(&self, modes: &[Mode]) -> bool {
        let (own, older) = modes.split_last().unwrap();
        match own {
            Mode::Exclusive => older.is_empty(),
            Mode::Shared => older.iter().all(|mode| *mode == Mode::Shared),
            Mode::Permit => {
                older.iter().all(|mode| *mode == Mode::Permit) && older.len() < PERMITS as usize
            }
        }
    }

    fn joined(&mut self, lease: i64, mode: Mode, state: State) {
        self.queue.push(Contender { lease, mode, state });
    }

    /// One of them goes, in one of the ways that there are.
    async fn go(&mut self, at: usize) {
        let Contender { lease, state, .. } = self.queue.remove(at);
        let expires = self.dice.below(3) == 0;
        match state {
            _ if expires => {
                self.service.etcd.lease_revoke(lease).await.unwrap();
            }
            State::Holds(hold) => {
                let released = self.service.release(lease, &hold).await.unwrap();
                assert_eq!(released.released.len(), 1);
            }
            State::Waits(waiter) => waiter.abort(),
        }
        until_count(&mut self.service.etcd, "n/", self.queue.len()).await;
    }

    /// The holders are the model's: those are granted, and nobody else is.
    async fn check(&mut self) {
        let expected = holders(&self.queue);
        for contender in &mut self.queue {
            let holds = expected.contains(&contender.lease);
            if let State::Waits(waiter) = &mut contender.state {
                if !holds {
                    assert!(!waiter.is_finished(), "granted too early");
                    continue;
                }
                let granted = soon(waiter).await.unwrap().unwrap();
                let hold = granted.holds.into_iter().next().unwrap();
                if contender.mode == Mode::Exclusive {
                    assert!(hold.token > self.last_exclusive, "tokens rise");
                    self.last_exclusive = hold.token;
                }
                contender.state = State::Holds(hold);
            } else {
                assert!(holds, "what is granted stays so");
            }
        }
        self.check_tokens(&expected).await;
    }

    /// The server says the same of every token, and the queue's order is that of the tokens.
    async fn check_tokens(&mut self, expected: &[i64]) {
        let locks = match self.dice.below(8) {
            0 => self.service.list().await,
            _ => return,
        };
        let shown: BTreeMap<i64, i64> = locks
            .iter()
            .flat_map(|lock| lock.holders.iter().chain(&lock.waiting))
            .map(|contender| (contender.token, contender.session))
            .collect();
        let order: Vec<i64> = shown.values().copied().collect();
        let model: Vec<i64> = self.queue.iter().map(|c| c.lease).collect();
        assert_eq!(
            order, model,
            "the order of tokens is the order of the queue"
        );
        for (token, lease) in shown {
            let held = self.service.is_held("n", token).await;
            assert_eq!(held, expected.contains(&lease));
        }
        let listed: Vec<i64> = locks
            .iter()
            .flat_map(|lock| &lock.holders)
            .map(|holder| holder.session)
            .collect();
        assert_eq!(listed, expected, "the book agrees");
    }
}

#[tokio::test]
async fn exclusive_holders_against_the_model() {
    History::play(0x9e37_79b9_7f4a_7c15, &[Mode::Exclusive]).await;
}

#[tokio::test]
async fn readers_and_writers_against_the_model() {
    History::play(
        0xbf58_476d_1ce4_e5b9,
        &[Mode::Exclusive, Mode::Shared, Mode::Shared],
    )
    .await;
}

#[tokio::test]
async fn permits_against_the_model() {
    History::play(0x94d0_49bb_1331_11eb, &[Mode::Permit]).await;
}

#[tokio::test]
async fn all_modes_against_the_model() {
    const ALL: [Mode; 5] = [
        Mode::Exclusive,
        Mode::Shared,
        Mode::Shared,
        Mode::Permit,
        Mode::Permit,
    ];
    History::play(0x2545_f491_4f6c_dd1d, &ALL).await;
}
