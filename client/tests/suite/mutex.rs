//! One at a time. What a test waits for, it is told: by an answer, or by a watch on the keys.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use etcd_client::LockOptions;
use futures::poll;
use latchd_client::{Error, Loss, Mutex};

use crate::support::{Stage, joined, soon};

on_both!(
    eight_sessions_exclude_one_another,
    eight_tasks_of_one_session_exclude_one_another,
    turns_are_first_come_first_served,
    try_lock_takes_a_free_lock_and_leaves_no_key_when_busy,
    try_lock_is_busy_for_a_task_of_the_same_session,
    lock_timeout_answers_when_its_key_is_gone,
    a_dropped_future_leaves_no_key,
    a_future_dropped_before_its_answer_came_leaves_no_key,
    cancel_against_grant_leaves_nothing,
    a_dropped_guard_frees_the_lock,
    a_guard_may_be_dropped_outside_the_runtime,
    a_stale_release_frees_nothing,
    a_guard_says_when_its_key_is_deleted,
    a_waiter_whose_key_was_deleted_is_not_granted,
    the_lock_service_and_a_mutex_exclude_one_another,
    a_name_and_those_below_it_are_apart,
    what_makes_no_sense_is_refused,
    a_token_is_verified,
    run_does_the_work_and_releases,
    run_drops_the_work_when_the_lock_is_lost,
);

/// A counter that loses counts as soon as two use it at once.
#[derive(Default)]
struct Unprotected {
    count: AtomicU32,
    in_use: AtomicBool,
}

impl Unprotected {
    async fn count_up(&self) {
        assert!(!self.in_use.swap(true, SeqCst), "two holders at once");
        let seen = self.count.load(SeqCst);
        tokio::task::yield_now().await;
        self.count.store(seen + 1, SeqCst);
        self.in_use.store(false, SeqCst);
    }
}

/// Takes `turns` turns, and checks that the tokens rise.
async fn take_turns(mutex: Mutex, counter: Arc<Unprotected>, turns: u32) {
    let mut last = None;
    for _ in 0..turns {
        let guard = soon(mutex.lock()).await.expect("the lock");
        counter.count_up().await;
        assert!(last < Some(guard.fencing_token()), "tokens rise");
        last = Some(guard.fencing_token());
        guard.unlock().await.expect("released");
    }
}

async fn eight_sessions_exclude_one_another(stage: Stage) {
    let counter = Arc::new(Unprotected::default());
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let mutex = stage.session().await.mutex(stage.name("counter"));
        tasks.push(tokio::spawn(take_turns(mutex, counter.clone(), 10)));
    }
    for task in tasks {
        joined(task).await;
    }
    assert_eq!(counter.count.load(SeqCst), 8 * 10);
    assert!(stage.keys("counter").await.is_empty());
}

async fn eight_tasks_of_one_session_exclude_one_another(stage: Stage) {
    let session = stage.session().await;
    let counter = Arc::new(Unprotected::default());
    let mutex = session.mutex(stage.name("counter"));
    let task = |_| tokio::spawn(take_turns(mutex.clone(), counter.clone(), 10));
    for task in (0..8).map(task).collect::<Vec<_>>() {
        joined(task).await;
    }
    assert_eq!(counter.count.load(SeqCst), 8 * 10);
    assert!(stage.keys("counter").await.is_empty());
}

/// Every call has a place of its own, whichever session it is on.
async fn turns_are_first_come_first_served(stage: Stage) {
    let holder = stage.lock("queue").await;
    let mut changes = stage.changes("queue").await;
    let (granted, mut grants) = tokio::sync::mpsc::unbounded_channel();
    let shared = stage.session().await;
    for n in 0..6 {
        let session = if n % 2 == 0 {
            stage.session().await
        } else {
            shared.clone()
        };
        let (mutex, granted) = (session.mutex(stage.name("queue")), granted.clone());
        tokio::spawn(async move {
            let guard = mutex.lock().await.expect("the lock");
            granted.send(n).expect("the test listens");
            guard.unlock().await.expect("released");
        });
        changes.put().await;
    }
    holder.unlock().await.expect("released");
    for n in 0..6 {
        assert_eq!(soon(grants.recv()).await, Some(n));
    }
}

async fn try_lock_takes_a_free_lock_and_leaves_no_key_when_busy(stage: Stage) {
    let (one, two) = (stage.session().await, stage.session().await);
    let name = stage.name("job");
    let guard = one.mutex(&name).try_lock().await.expect("it is free");
    assert!(
        guard
            .key()
            .starts_with(&format!("{name}/~x.{}.", one.lease()))
    );
    assert_eq!((guard.name(), guard.keys().len()), (name.as_str(), 1));

    let mut changes = stage.changes("job").await;
    assert_refused!(two.mutex(&name).try_lock().await, Error::Busy { .. });
    assert_eq!(stage.keys("job").await, [guard.key()]);
    // Nor was there one for a moment: the next change is the holder's own.
    let key = guard.key().to_owned();
    guard.unlock().await.expect("released");
    changes.deleted(&key).await;
    drop(two.mutex(&name).try_lock().await.expect("it is free again"));
}

async fn try_lock_is_busy_for_a_task_of_the_same_session(stage: Stage) {
    let mutex = stage.session().await.mutex(stage.name("job"));
    let guard = mutex.lock().await.expect("the lock");
    assert_refused!(mutex.try_lock().await, Error::Busy { .. });
    assert_eq!(stage.keys("job").await, [guard.key()]);
}

async fn lock_timeout_answers_when_its_key_is_gone(stage: Stage) {
    let guard = stage.lock("job").await;
    let late = stage.session().await.mutex(stage.name("job"));
    for limit in [Duration::ZERO, Duration::from_millis(30)] {
        assert_refused!(soon(late.lock_timeout(limit)).await, Error::Timeout { .. });
        assert_eq!(stage.keys("job").await, [guard.key()]);
    }
    guard.unlock().await.expect("released");
    // However little time is given, a free lock is taken.
    let taken = late.lock_timeout(Duration::ZERO).await;
    assert!(taken.is_ok(), "{taken:?}");
}

async fn a_dropped_future_leaves_no_key(stage: Stage) {
    let holder = stage.lock("job").await;
    let waiter = stage.session().await.mutex(stage.name("job"));
    let mut changes = stage.changes("job").await;
    let waiting = tokio::spawn(async move { waiter.lock().await });
    let key = changes.put().await;
    waiting.abort();
    changes.deleted(&key).await;
    assert_eq!(stage.keys("job").await, [holder.key()]);
}

/// lock-rules, "Asking": cancelling is valid also before the Acquire arrives.
async fn a_future_dropped_before_its_answer_came_leaves_no_key(stage: Stage) {
    let session = stage.session().await;
    for n in 0..20 {
        let mutex = session.mutex(stage.name(&format!("job{n}")));
        {
            let mut locking = pin!(mutex.lock());
            assert!(poll!(&mut locking).is_pending(), "it is on its way");
        }
        // Whether it ever arrived or not, the next one gets the lock.
        drop(soon(mutex.lock()).await.expect("the lock is free"));
    }
    soon(session.close()).await.expect("closed");
}

/// lock-rules, "Asking": a wait is given up at the moment when its turn comes.
async fn cancel_against_grant_leaves_nothing(stage: Stage) {
    let (one, two) = (stage.session().await, stage.session().await);
    let name = stage.name("job");
    for _ in 0..20 {
        let holder = soon(one.mutex(&name).lock()).await.expect("the lock");
        let mut changes = stage.changes("job").await;
        let mutex = two.mutex(&name);
        let waiting = tokio::spawn(async move { mutex.lock().await });
        changes.put().await;
        let (released, ()) = tokio::join!(holder.unlock(), async { waiting.abort() });
        released.expect("released");
        drop(waiting.await);
    }
    drop(
        soon(one.mutex(&name).lock())
            .await
            .expect("the lock is free"),
    );
}

async fn a_dropped_guard_frees_the_lock(stage: Stage) {
    let guard = stage.lock("job").await;
    let first = guard.fencing_token();
    let next = stage.session().await.mutex(stage.name("job"));
    let locking = tokio::spawn(async move { next.lock().await });
    drop(guard);
    let second = joined(locking).await.expect("the lock");
    assert!(second.fencing_token() > first);
}

async fn a_guard_may_be_dropped_outside_the_runtime(stage: Stage) {
    let guard = stage.lock("job").await;
    let dropping = std::thread::spawn(move || drop(guard));
    dropping.join().expect("no panic");
    drop(stage.lock("job").await);
}

/// lock-rules, "Letting go": a stale release frees nothing and says so.
async fn a_stale_release_frees_nothing(stage: Stage) {
    let session = stage.session().await;
    let name = stage.name("job");
    let stale = session.mutex(&name).lock().await.expect("the lock");
    stage.delete(stale.key()).await;
    // The same lease locks again by etcd's Lock service.
    let options = LockOptions::new().with_lease(session.lease().0);
    let mut service = stage.etcd.lock_client();
    let relocked = service.lock(name, Some(options)).await.expect("the lock");

    assert_refused!(stale.unlock().await, Error::NotHeld { .. });
    let key = relocked.key();
    assert_eq!(stage.keys("job").await, [String::from_utf8_lossy(key)]);
}

async fn a_guard_says_when_its_key_is_deleted(stage: Stage) {
    let guard = stage.lock("job").await;
    let (loss, ()) = soon(async { tokio::join!(guard.lost(), stage.delete(guard.key())) }).await;
    assert!(matches!(loss, Loss::KeyDeleted | Loss::Forced), "{loss:?}");
    assert!(!guard.session().is_lost(), "the session lives on");
}

/// lock-rules, "Keys and the one predicate": a grant needs the own key, at the same revision.
async fn a_waiter_whose_key_was_deleted_is_not_granted(stage: Stage) {
    let holder = stage.lock("job").await;
    let waiter = stage.session().await.mutex(stage.name("job"));
    let mut changes = stage.changes("job").await;
    let waiting = tokio::spawn(async move { waiter.lock().await });
    stage.delete(&changes.put().await).await;
    // It need not wait for its turn to know.
    assert_refused!(joined(waiting).await, Error::KeyDeleted { .. });
    holder.unlock().await.expect("released");
}

async fn the_lock_service_and_a_mutex_exclude_one_another(stage: Stage) {
    let guard = stage.lock("job").await;
    let mut changes = stage.changes("job").await;
    let name = stage.name("job");
    let session = stage.session().await;
    let service = {
        let (mut locks, name) = (stage.etcd.lock_client(), name.clone());
        let options = LockOptions::new().with_lease(session.lease().0);
        tokio::spawn(async move { locks.lock(name, Some(options)).await })
    };
    assert_eq!(changes.put().await, format!("{name}/{}", session.lease()));
    assert!(!service.is_finished());
    guard.unlock().await.expect("released");
    let locked = joined(service).await.expect("the lock");

    let mutex = stage.session().await.mutex(&name);
    assert_refused!(mutex.try_lock().await, Error::Busy { .. });
    let waiting = tokio::spawn(async move { mutex.lock().await });
    let unlocked = stage.etcd.lock_client().unlock(locked.key()).await;
    unlocked.expect("released");
    drop(joined(waiting).await.expect("it is free"));
}

/// lock-rules: "`latchd.v1` and the doors look at direct children only."
async fn a_name_and_those_below_it_are_apart(stage: Stage) {
    let session = stage.session().await;
    let (above, below) = (stage.name("a"), stage.name("a/b"));
    let _below = session.mutex(&below).lock().await.expect("the lock");
    let tried = session.mutex(&above).try_lock().await.expect("the lock");
    tried.unlock().await.expect("released");
    let _above = soon(session.mutex(&above).lock()).await.expect("the lock");
    assert_refused!(session.mutex(&below).try_lock().await, Error::Busy { .. });
}

async fn what_makes_no_sense_is_refused(stage: Stage) {
    let session = stage.session().await;
    for name in [String::new(), "x".repeat(1025)] {
        let mutex = session.mutex(name);
        assert_refused!(mutex.lock().await, Error::Invalid { .. });
        assert_refused!(mutex.try_lock().await, Error::Invalid { .. });
    }
    for permits in [0, 1_000_001] {
        let semaphore = session.semaphore("s", permits);
        assert_refused!(semaphore.acquire().await, Error::Invalid { .. });
    }
    let heavy = session.mutex("a").with_label("k", "x".repeat(4096));
    assert_refused!(heavy.lock().await, Error::Invalid { .. });
    let multi = session.multi_lock(["a", "a/b"]);
    assert_refused!(multi.lock().await, Error::Invalid { .. });
}

async fn a_token_is_verified(stage: Stage) {
    let guard = stage.lock("job").await;
    assert!(guard.verify().await.expect("an answer"));
    let (name, token) = (stage.name("job"), guard.fencing_token());
    let mut changes = stage.changes("job").await;
    let waiter = stage.session().await.mutex(&name);
    let waiting = tokio::spawn(async move { waiter.lock().await });
    changes.put().await;
    guard.unlock().await.expect("released");
    assert!(!stage.client.verify(&name, token).await.expect("an answer"));
    let next = joined(waiting).await.expect("the lock");
    assert!(next.verify().await.expect("an answer"));
}

async fn run_does_the_work_and_releases(stage: Stage) {
    let session = stage.session().await;
    let name = stage.name("job");
    let done = soon(session.run_exclusive(&name, async { 42 })).await;
    assert_eq!(done.expect("done"), 42);
    assert!(stage.keys("job").await.is_empty());
}

/// Sets its flag when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

async fn run_drops_the_work_when_the_lock_is_lost(stage: Stage) {
    let guard = stage.lock("job").await;
    let key = guard.key().to_owned();
    let dropped = Arc::new(AtomicBool::new(false));
    let work = {
        let dropped = Dropped(dropped.clone());
        async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
        }
    };
    let running = tokio::spawn(guard.run(work));
    stage.delete(&key).await;
    assert_refused!(joined(running).await, Error::LockLost { .. });
    assert!(dropped.load(SeqCst));
}
