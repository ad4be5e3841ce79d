//! What others see of locks.

use latchd_client::{Error, EventKind, LockWatch, Mode, Revision, WatchItem};

use crate::support::{Stage, joined, soon};

on_both!(
    a_list_has_holders_and_the_queue,
    a_watch_tells_what_a_list_would,
    a_lock_is_taken_away_by_force,
    etcds_own_locks_are_seen,
);

async fn a_list_has_holders_and_the_queue(stage: Stage) {
    let (data, job) = (stage.name("data"), stage.name("job"));
    let reader = stage.session().await.rw_lock(&data).with_owner("reader 1");
    let first = reader
        .with_label("host", "h1")
        .read()
        .await
        .expect("the lock");
    let second = stage
        .session()
        .await
        .rw_lock(&data)
        .read()
        .await
        .expect("the lock");
    let mut changes = stage.changes("data").await;
    let writer = stage.session().await.rw_lock(&data).with_owner("writer");
    let writing = tokio::spawn(async move { writer.write().await });
    changes.put().await;
    let other = stage.lock("job").await;

    let locks = stage.client.list(stage.name("")).await.expect("a list");
    let names: Vec<&[u8]> = locks.iter().map(|lock| lock.name.as_slice()).collect();
    assert_eq!(names, [data.as_bytes(), job.as_bytes()]);
    let lock = stage
        .client
        .show(&data)
        .await
        .expect("an answer")
        .expect("a lock");
    // What is counted in milliseconds may have moved on.
    assert_eq!(tokens(&lock.holders), tokens(&locks[0].holders));
    assert_eq!(
        tokens(&lock.holders),
        [first.fencing_token(), second.fencing_token()]
    );
    let holder = &lock.holders[0];
    assert_eq!(holder.owner.as_deref(), Some("reader 1"));
    assert_eq!(holder.labels.get("host").map(String::as_str), Some("h1"));
    assert_eq!((holder.mode, holder.session), (Mode::Shared, first.lease()));
    assert_eq!(holder.key, first.key().as_bytes());
    assert!(holder.since.is_some() && holder.request_id.is_some());
    let door = if stage.client.is_latchd() {
        "latchd.v1"
    } else {
        "latchd-client"
    };
    assert_eq!(holder.door.as_deref(), Some(door));
    let [waiting] = lock.waiting.as_slice() else {
        panic!("one waits: {lock:?}");
    };
    assert_eq!(
        (waiting.owner.as_deref(), waiting.mode),
        (Some("writer"), Mode::Exclusive)
    );

    assert_eq!(
        stage
            .client
            .show(stage.name("none"))
            .await
            .expect("an answer"),
        None
    );
    drop((first, second, other));
    drop(joined(writing).await.expect("the lock"));
}

fn tokens(contenders: &[latchd_client::Contender]) -> Vec<Revision> {
    contenders.iter().map(|contender| contender.token).collect()
}

async fn event(watch: &mut LockWatch) -> (EventKind, Revision) {
    loop {
        match soon(watch.next()).await.expect("an item") {
            WatchItem::Event(event) => return (event.kind, event.contender.token),
            WatchItem::Snapshot(locks) => assert!(locks.is_empty(), "{locks:?}"),
            other => panic!("{other:?}"),
        }
    }
}

async fn a_watch_tells_what_a_list_would(stage: Stage) {
    let mut watch = stage
        .client
        .watch(stage.name("job"))
        .await
        .expect("a watch");
    let first = stage.lock("job").await;
    assert_eq!(
        event(&mut watch).await,
        (EventKind::Acquired, first.fencing_token())
    );
    let next = stage.session().await.mutex(stage.name("job"));
    let waiting = tokio::spawn(async move { next.lock().await });
    let (kind, token) = event(&mut watch).await;
    assert_eq!(kind, EventKind::Queued);
    first.unlock().await.expect("released");
    let ended = if stage.client.is_latchd() {
        EventKind::Released
    } else {
        EventKind::Ended
    };
    assert_eq!(event(&mut watch).await.0, ended);
    assert_eq!(event(&mut watch).await, (EventKind::Acquired, token));
    let second = joined(waiting).await.expect("the lock");
    let gone = stage.session().await.mutex(stage.name("job"));
    let waiting = tokio::spawn(async move { gone.lock().await });
    assert_eq!(event(&mut watch).await.0, EventKind::Queued);
    waiting.abort();
    assert_eq!(event(&mut watch).await.0, EventKind::Left);

    let mut late = stage.client.watch(stage.name("")).await.expect("a watch");
    let WatchItem::Snapshot(locks) = soon(late.next()).await.expect("an item") else {
        panic!("a snapshot is first");
    };
    assert_eq!(tokens(&locks[0].holders), [second.fencing_token()]);
}

async fn a_lock_is_taken_away_by_force(stage: Stage) {
    let guard = stage.lock("job").await;
    let (name, token) = (stage.name("job"), guard.fencing_token());
    let other = Revision(token.0 + 1);
    assert_refused!(
        stage.client.force_release(&name, other).await,
        Error::NotHeld { .. }
    );
    let (loss, forced) =
        soon(async { tokio::join!(guard.lost(), stage.client.force_release(&name, token)) }).await;
    let forced = forced.expect("it was held");
    assert_eq!((forced.token, forced.session), (token, guard.lease()));
    assert!(!guard.session().is_lost(), "{loss}");
    assert_refused!(guard.unlock().await, Error::NotHeld { .. });
    assert_refused!(
        stage.client.force_release(&name, token).await,
        Error::NotHeld { .. }
    );
}

async fn etcds_own_locks_are_seen(stage: Stage) {
    let name = stage.name("job");
    let session = stage.session().await;
    let options = etcd_client::LockOptions::new().with_lease(session.lease().0);
    let mut service = stage.etcd.lock_client();
    let locked = service
        .lock(name.as_str(), Some(options))
        .await
        .expect("the lock");
    let lock = stage
        .client
        .show(&name)
        .await
        .expect("an answer")
        .expect("a lock");
    let holder = &lock.holders[0];
    assert_eq!(
        (holder.key.as_slice(), holder.mode),
        (locked.key(), Mode::Exclusive)
    );
    assert_eq!(
        (holder.door.as_deref(), &holder.request_id),
        (Some("etcd"), &None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_says_what_it_does_not_know() {
    let stage = Stage::etcd().await;
    assert_refused!(
        stage.client.history("", 10).await,
        Error::NeedsLatchd { .. }
    );
    assert_refused!(stage.client.sessions().await, Error::NeedsLatchd { .. });
    assert_refused!(stage.client.deadlocks().await, Error::NeedsLatchd { .. });
    assert!(stage.client.locks().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latchd_remembers() {
    let stage = Stage::latchd().await;
    let guard = stage.lock("job").await;
    let (token, session) = (guard.fencing_token(), guard.session().lease());
    let sessions = stage.client.sessions().await.expect("a list");
    let own = sessions.iter().find(|each| each.session == session);
    let own = own.expect("the session");
    assert!(own.connected && !own.bound && own.holding == 1, "{own:?}");
    guard.unlock().await.expect("released");
    let history = stage
        .client
        .history(stage.name("job"), 10)
        .await
        .expect("an answer");
    let [past] = history.holds.as_slice() else {
        panic!("one hold has ended: {history:?}");
    };
    assert_eq!(
        (past.how, past.contender.token),
        (EventKind::Released, token)
    );
    assert!(past.held.is_some() && past.ended >= history.since);
    assert!(stage.client.deadlocks().await.expect("a list").is_empty());
}
