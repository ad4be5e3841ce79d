//! Locks against a latchd in this process. What a test waits for, it is told: by an answer, or by
//! a watch on the keys.

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use etcd_client::LockOptions;
use futures::poll;
use latchd_client::{Error, Guard, Loss, Mutex};
use support::{Fixture, restart, soon};

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

async fn all(tasks: Vec<tokio::task::JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("the task succeeds");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_sessions_exclude_one_another() {
    let fixture = Fixture::start().await;
    let counter = Arc::new(Unprotected::default());
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let mutex = fixture.session().await.mutex("counter");
        tasks.push(tokio::spawn(take_turns(mutex, counter.clone(), 25)));
    }
    all(tasks).await;
    assert_eq!(counter.count.load(SeqCst), 8 * 25);
    assert!(fixture.keys("counter").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_tasks_of_one_session_exclude_one_another() {
    let fixture = Fixture::start().await;
    let session = fixture.session().await;
    let counter = Arc::new(Unprotected::default());
    let task = |_| tokio::spawn(take_turns(session.mutex("counter"), counter.clone(), 25));
    all((0..8).map(task).collect()).await;
    assert_eq!(counter.count.load(SeqCst), 8 * 25);
}

#[tokio::test]
async fn turns_are_first_come_first_served() {
    let fixture = Fixture::start().await;
    let holder = fixture.lock("queue").await;
    let mut changes = fixture.changes("queue").await;
    let (granted, mut grants) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..5 {
        let mutex = fixture.session().await.mutex("queue");
        let (key, granted) = (mutex.key(), granted.clone());
        tokio::spawn(async move {
            let guard = mutex.lock().await.expect("the lock");
            granted.send(n).expect("the test listens");
            guard.unlock().await.expect("released");
        });
        changes.expect_put(&key).await;
    }
    holder.unlock().await.expect("released");
    for n in 0..5 {
        assert_eq!(soon(grants.recv()).await, Some(n));
    }
}

#[tokio::test]
async fn try_lock_takes_a_free_lock_and_leaves_no_key_when_busy() {
    let fixture = Fixture::start().await;
    let (one, two) = (fixture.session().await, fixture.session().await);
    let guard = one.mutex("job").try_lock().await.expect("it is free");
    assert_eq!(guard.key(), format!("job/{}", one.lease()));
    assert_eq!(guard.granted_at(), guard.fencing_token());

    let mut changes = fixture.changes("job").await;
    let busy = two.mutex("job").try_lock().await;
    assert!(matches!(busy, Err(Error::Busy { .. })), "{busy:?}");
    assert_eq!(fixture.keys("job").await, [guard.key()]);
    // Nor was there one for a moment: the next change is the holder's own.
    let key = guard.key().to_owned();
    guard.unlock().await.expect("released");
    changes.expect_delete(&key).await;

    drop(two.mutex("job").try_lock().await.expect("it is free again"));
}

#[tokio::test]
async fn try_lock_is_busy_for_a_task_of_the_same_session() {
    let fixture = Fixture::start().await;
    let session = fixture.session().await;
    let guard = session.mutex("job").lock().await.expect("the lock");
    let busy = session.mutex("job").try_lock().await;
    assert!(matches!(busy, Err(Error::Busy { .. })), "{busy:?}");
    assert_eq!(fixture.keys("job").await, [guard.key()]);
}

#[tokio::test]
async fn lock_timeout_answers_when_its_key_is_gone() {
    let fixture = Fixture::start().await;
    let guard = fixture.lock("job").await;
    let late = fixture.session().await;
    for limit in [Duration::ZERO, Duration::from_millis(30)] {
        let timed_out = soon(late.mutex("job").lock_timeout(limit)).await;
        assert!(
            matches!(timed_out, Err(Error::Timeout { .. })),
            "{timed_out:?}"
        );
        assert_eq!(fixture.keys("job").await, [guard.key()]);
    }
    guard.unlock().await.expect("released");
    // However little time is given, a free lock is taken.
    let taken = late.mutex("job").lock_timeout(Duration::ZERO).await;
    assert!(taken.is_ok(), "{taken:?}");
}

#[tokio::test]
async fn lock_timeout_counts_the_wait_for_a_task_of_the_same_session() {
    let fixture = Fixture::start().await;
    let session = fixture.session().await;
    let _held = session.mutex("job").lock().await.expect("the lock");
    let timed_out = soon(session.mutex("job").lock_timeout(Duration::from_millis(10))).await;
    assert!(
        matches!(timed_out, Err(Error::Timeout { .. })),
        "{timed_out:?}"
    );
}

#[tokio::test]
async fn a_dropped_future_leaves_no_key() {
    let fixture = Fixture::start().await;
    let holder = fixture.lock("job").await;
    let waiter = fixture.session().await.mutex("job");
    let mut changes = fixture.changes("job").await;

    let key = waiter.key();
    let waiting = tokio::spawn(async move { waiter.lock().await });
    changes.expect_put(&key).await;
    waiting.abort();
    changes.expect_delete(&key).await;
    assert_eq!(fixture.keys("job").await, [holder.key()]);
}

#[tokio::test]
async fn a_future_dropped_before_its_answer_came_leaves_no_key() {
    let fixture = Fixture::start().await;
    let session = fixture.session().await;
    for n in 0..20 {
        let mutex = session.mutex(format!("job{n}"));
        let mut changes = fixture.changes(mutex.name()).await;
        {
            let mut locking = pin!(mutex.lock());
            assert!(
                poll!(&mut locking).is_pending(),
                "the first Txn is on its way"
            );
        }
        changes.expect_put(&mutex.key()).await;
        changes.expect_delete(&mutex.key()).await;
        drop(soon(mutex.lock()).await.expect("the lock is free"));
    }
}

#[tokio::test]
async fn a_dropped_guard_frees_the_lock() {
    let fixture = Fixture::start().await;
    let guard = fixture.lock("job").await;
    let first = guard.fencing_token();
    let next = fixture.session().await.mutex("job");
    let locking = tokio::spawn(async move { next.lock().await });
    drop(guard);
    let second = soon(locking).await.expect("no panic").expect("the lock");
    assert!(second.fencing_token() > first);
}

#[tokio::test]
async fn a_guard_may_be_dropped_outside_the_runtime() {
    let fixture = Fixture::start().await;
    let guard = fixture.lock("job").await;
    std::thread::spawn(move || drop(guard))
        .join()
        .expect("no panic");
    drop(
        soon(fixture.session().await.mutex("job").lock())
            .await
            .expect("the lock"),
    );
}

/// Deletes the guard's key behind its back.
async fn force(fixture: &Fixture, guard: &Guard) {
    fixture
        .etcd
        .kv_client()
        .delete(guard.key(), None)
        .await
        .expect("deleted");
}

/// lock-rules, "Letting go": a stale release frees nothing and says so.
#[tokio::test]
async fn a_stale_release_frees_nothing() {
    let fixture = Fixture::start().await;
    let session = fixture.session().await;
    let stale = session.mutex("job").lock().await.expect("the lock");
    force(&fixture, &stale).await;
    // The same lease locks again, as etcd's Lock service does: the same key, another token.
    let options = LockOptions::new().with_lease(session.lease().0);
    let relocked = fixture
        .etcd
        .lock_client()
        .lock("job", Some(options))
        .await
        .expect("the lock");
    assert_eq!(relocked.key(), stale.key().as_bytes());

    let released = stale.unlock().await;
    assert!(
        matches!(released, Err(Error::NotHeld { .. })),
        "{released:?}"
    );
    assert_eq!(fixture.keys("job").await.len(), 1, "the new hold stands");
}

#[tokio::test]
async fn a_guard_says_when_its_key_is_deleted() {
    let fixture = Fixture::start().await;
    let guard = fixture.lock("job").await;
    let (loss, ()) = soon(async { tokio::join!(guard.lost(), force(&fixture, &guard)) }).await;
    assert_eq!(loss, Loss::KeyDeleted);
    assert!(!guard.is_lost(), "the session lives on");
}

/// lock-rules, "Keys and the one predicate": a grant needs the own key, at the same revision.
#[tokio::test]
async fn a_waiter_whose_key_was_deleted_is_not_granted() {
    let fixture = Fixture::start().await;
    let holder = fixture.lock("job").await;
    let waiter = fixture.session().await.mutex("job");
    let mut changes = fixture.changes("job").await;
    let key = waiter.key();
    let waiting = tokio::spawn(async move { waiter.lock().await });
    changes.expect_put(&key).await;
    fixture
        .etcd
        .kv_client()
        .delete(key, None)
        .await
        .expect("deleted");
    holder.unlock().await.expect("released");
    let refused = soon(waiting).await.expect("no panic");
    assert!(
        matches!(refused, Err(Error::KeyDeleted { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_lock_service_and_a_mutex_exclude_one_another() {
    let fixture = Fixture::start().await;
    let guard = fixture.lock("job").await;
    let mut changes = fixture.changes("job").await;
    let lease = fixture.session().await;
    let key = format!("job/{}", lease.lease());
    let service = {
        let mut locks = fixture.etcd.lock_client();
        let options = LockOptions::new().with_lease(lease.lease().0);
        tokio::spawn(async move { locks.lock("job", Some(options)).await })
    };
    changes.expect_put(&key).await;
    assert!(!service.is_finished());
    guard.unlock().await.expect("released");
    let locked = soon(service).await.expect("no panic").expect("the lock");

    let mutex = fixture.session().await.mutex("job");
    assert!(matches!(mutex.try_lock().await, Err(Error::Busy { .. })));
    fixture
        .etcd
        .lock_client()
        .unlock(locked.key())
        .await
        .expect("released");
    drop(mutex.try_lock().await.expect("it is free"));
}

/// As in etcd: `a` waits for whoever holds `a/b`, and not the other way round.
#[tokio::test]
async fn a_lock_waits_for_those_below_it() {
    let fixture = Fixture::start().await;
    let session = fixture.session().await;
    let below = session.mutex("a/b").lock().await.expect("the lock");
    assert!(matches!(
        session.mutex("a").try_lock().await,
        Err(Error::Busy { .. })
    ));
    below.unlock().await.expect("released");
    let _above = session.mutex("a").lock().await.expect("the lock");
    assert!(session.mutex("a/b").try_lock().await.is_ok());
}

#[tokio::test]
async fn a_name_is_needed() {
    let fixture = Fixture::start().await;
    let mutex = fixture.session().await.mutex("");
    assert!(matches!(mutex.lock().await, Err(Error::EmptyName)));
    assert!(matches!(mutex.try_lock().await, Err(Error::EmptyName)));
}

#[tokio::test(flavor = "multi_thread")]
async fn holder_and_waiter_keep_their_places_across_a_restart() {
    let fixture = Fixture::start().await;
    let held = fixture.lock("job").await;
    let mut changes = fixture.changes("job").await;
    let waiter = fixture.session().await.mutex("job");
    let key = waiter.key();
    let waiting = tokio::spawn(async move { waiter.lock().await });
    changes.expect_put(&key).await;

    let Fixture {
        server,
        dir,
        client,
        ..
    } = fixture;
    let endpoint = support::endpoint(&server);
    server.stop().await;
    let server = restart(&dir, &endpoint).await;
    assert!(!waiting.is_finished());
    soon(held.unlock()).await.expect("released");
    let granted = soon(waiting).await.expect("no panic").expect("the lock");
    drop((granted, client, server));
}
