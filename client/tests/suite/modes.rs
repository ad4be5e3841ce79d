//! Readers, permits, and several names at once.

use std::time::Duration;

use latchd_client::{Error, Mode};

use crate::support::{Stage, joined, soon};

on_both!(
    readers_share_and_exclude_writers,
    readers_behind_a_writer_wait_behind_it,
    readers_and_permits_of_one_session_hold_side_by_side,
    a_permit_freed_out_of_order_lets_the_next_in,
    another_number_of_permits_is_refused,
    several_names_are_taken_together_or_not_at_all,
    several_names_wait_together,
    of_several_names_one_is_taken_away,
    a_time_out_of_the_middle_waiter_lets_the_next_one_in,
    etcds_clients_and_readers_exclude_one_another,
);

async fn readers_share_and_exclude_writers(stage: Stage) {
    let (one, two) = (stage.session().await, stage.session().await);
    let (one, two) = (
        one.rw_lock(stage.name("data")),
        two.rw_lock(stage.name("data")),
    );
    let first = one.read().await.expect("the lock");
    let second = two.try_read().await.expect("the lock");
    assert_eq!(second.mode(), Mode::Shared);
    assert_refused!(two.try_write().await, Error::Busy { .. });
    let limit = Duration::from_millis(20);
    assert_refused!(soon(two.write_timeout(limit)).await, Error::Timeout { .. });
    first.unlock().await.expect("released");
    second.unlock().await.expect("released");
    let writer = two.try_write().await.expect("the lock");
    assert_refused!(one.try_read().await, Error::Busy { .. });
    assert_refused!(soon(one.read_timeout(limit)).await, Error::Timeout { .. });
    writer.unlock().await.expect("released");
    assert!(stage.keys("data").await.is_empty());
}

/// Fairness: first come, first served across modes.
async fn readers_behind_a_writer_wait_behind_it(stage: Stage) {
    let name = stage.name("data");
    let reader = stage.session().await.rw_lock(&name);
    let first = reader.read().await.expect("the lock");
    let mut changes = stage.changes("data").await;
    let writer = stage.session().await.rw_lock(&name);
    let writing = tokio::spawn(async move { writer.write().await });
    changes.put().await;
    assert_refused!(reader.try_read().await, Error::Busy { .. });
    let late = stage.session().await.rw_lock(&name);
    let reading = tokio::spawn(async move { late.read().await });
    changes.put().await;
    first.unlock().await.expect("released");
    let writer = joined(writing).await.expect("the lock");
    assert!(!reading.is_finished());
    writer.unlock().await.expect("released");
    drop(joined(reading).await.expect("the lock"));
}

async fn readers_and_permits_of_one_session_hold_side_by_side(stage: Stage) {
    let session = stage.session().await;
    let data = session.rw_lock(stage.name("data"));
    let readers = [
        soon(data.read()).await,
        soon(data.read()).await,
        data.try_read().await,
    ];
    assert!(readers.iter().all(Result::is_ok), "{readers:?}");
    let gpus = session.semaphore(stage.name("gpus"), 3);
    let permits = [
        soon(gpus.acquire()).await,
        gpus.try_acquire().await,
        soon(gpus.acquire()).await,
    ];
    assert!(permits.iter().all(Result::is_ok), "{permits:?}");
    assert_refused!(gpus.try_acquire().await, Error::Busy { .. });
    assert_eq!(stage.keys("gpus").await.len(), 3);
}

async fn a_permit_freed_out_of_order_lets_the_next_in(stage: Stage) {
    let semaphore = |session: latchd_client::Session| session.semaphore(stage.name("gpus"), 2);
    let first = semaphore(stage.session().await)
        .acquire()
        .await
        .expect("a permit");
    let second = semaphore(stage.session().await)
        .acquire()
        .await
        .expect("a permit");
    let mut changes = stage.changes("gpus").await;
    let third = semaphore(stage.session().await);
    let waiting = tokio::spawn(async move { third.acquire().await });
    changes.put().await;
    second.unlock().await.expect("released");
    let third = joined(waiting).await.expect("a permit");
    assert_eq!(third.mode(), Mode::Permit { of: 2 });
    let late = semaphore(stage.session().await);
    let limit = Duration::from_millis(20);
    assert_refused!(
        soon(late.acquire_timeout(limit)).await,
        Error::Timeout { .. }
    );
    drop((first, third));
}

async fn another_number_of_permits_is_refused(stage: Stage) {
    let name = stage.name("gpus");
    let session = stage.session().await;
    let _permit = session
        .semaphore(&name, 2)
        .acquire()
        .await
        .expect("a permit");
    let other = stage.session().await.semaphore(&name, 3);
    assert_refused!(soon(other.acquire()).await, Error::OtherPermits { .. });
    assert_refused!(other.try_acquire().await, Error::OtherPermits { .. });
    let mutex = stage.session().await.mutex(&name);
    assert_refused!(mutex.try_lock().await, Error::Busy { .. });
    assert_eq!(stage.keys("gpus").await.len(), 1);
}

async fn several_names_are_taken_together_or_not_at_all(stage: Stage) {
    let names = ["a", "b", "c"].map(|name| stage.name(name));
    let session = stage.session().await;
    let all = session
        .multi_lock(&names)
        .try_lock()
        .await
        .expect("they are free");
    assert_eq!((all.names(), all.keys().len()), (&names[..], 3));
    let other = stage
        .session()
        .await
        .multi_lock([stage.name("c"), stage.name("d")]);
    assert_refused!(other.try_lock().await, Error::Busy { .. });
    let limit = Duration::from_millis(20);
    assert_refused!(soon(other.lock_timeout(limit)).await, Error::Timeout { .. });
    assert!(stage.keys("d").await.is_empty());
    assert!(all.verify().await.expect("an answer"));
    all.unlock().await.expect("released");
    let taken = other
        .with_mode(Mode::Shared)
        .try_lock()
        .await
        .expect("they are free");
    assert_eq!(taken.mode(), Mode::Shared);
}

async fn several_names_wait_together(stage: Stage) {
    let (a, b) = (stage.lock("a").await, stage.lock("b").await);
    let mut changes = stage.changes("a").await;
    let both = stage
        .session()
        .await
        .multi_lock([stage.name("a"), stage.name("b")]);
    let waiting = tokio::spawn(async move { both.lock().await });
    changes.put().await;
    a.unlock().await.expect("released");
    let behind = stage.session().await.mutex(stage.name("a"));
    assert_refused!(behind.try_lock().await, Error::Busy { .. });
    assert!(!waiting.is_finished());
    b.unlock().await.expect("released");
    let both = joined(waiting).await.expect("the locks");
    let token = both.fencing_token();
    both.unlock().await.expect("released");
    let next = behind.try_lock().await.expect("it is free");
    assert!(next.fencing_token() > token);
}

async fn of_several_names_one_is_taken_away(stage: Stage) {
    let names = ["a", "b", "c"].map(|name| stage.name(name));
    let session = stage.session().await;
    let all = session.multi_lock(&names).lock().await.expect("the locks");
    let (loss, ()) = soon(async { tokio::join!(all.lost(), stage.delete(&all.keys()[1])) }).await;
    assert!(!session.is_lost(), "{loss}");
    assert!(!all.verify().await.expect("an answer"));
    // It says so, and the others are free.
    assert_refused!(all.unlock().await, Error::NotHeld { .. });
    for name in ["a", "b", "c"] {
        assert!(stage.keys(name).await.is_empty(), "{name}");
    }
    drop(
        session
            .multi_lock(&names)
            .try_lock()
            .await
            .expect("they are free"),
    );
}

async fn a_time_out_of_the_middle_waiter_lets_the_next_one_in(stage: Stage) {
    let name = stage.name("data");
    let reader = stage.session().await.rw_lock(&name);
    let _first = reader.read().await.expect("the lock");
    let mut changes = stage.changes("data").await;
    let writer = stage.session().await.rw_lock(&name);
    let late = stage.session().await.rw_lock(&name);
    // Long enough for a machine that stands still for a moment before the next one has come.
    let limit = Duration::from_secs(5);
    let writing = tokio::spawn(async move { writer.write_timeout(limit).await });
    changes.put().await;
    let reading = tokio::spawn(async move { late.read().await });
    changes.put().await;
    assert_refused!(joined(writing).await, Error::Timeout { .. });
    drop(joined(reading).await.expect("the lock"));
}

/// An etcd client's key is exclusive, whatever is beside it.
async fn etcds_clients_and_readers_exclude_one_another(stage: Stage) {
    let name = stage.name("data");
    let mut changes = stage.changes("data").await;
    let locking = {
        let (mut service, name) = (stage.etcd.lock_client(), name.clone());
        tokio::spawn(async move { service.lock(name, None).await })
    };
    let locked = joined(locking).await.expect("the lock");
    changes.put().await;
    let rw = stage.session().await.rw_lock(&name);
    assert_refused!(rw.try_read().await, Error::Busy { .. });
    let reading = tokio::spawn(async move { rw.read().await });
    changes.put().await;
    let mut service = stage.etcd.lock_client();
    service.unlock(locked.key()).await.expect("released");
    let reader = joined(reading).await.expect("the lock");
    let locking = tokio::spawn(async move { service.lock(name, None).await });
    changes
        .deleted(&String::from_utf8_lossy(locked.key()))
        .await;
    changes.put().await;
    assert!(!locking.is_finished());
    reader.unlock().await.expect("released");
    joined(locking).await.expect("the lock");
}
