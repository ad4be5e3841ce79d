//! A server with all doors open.

use std::net::SocketAddr;

use latchd::Config;
use latchd_proto::latchd::v1;
use url::Url;

use crate::common::Fixture;

/// A server whose line doors are open, without waiting for the disk.
pub async fn open() -> Fixture {
    open_with(|_| ()).await
}

pub async fn open_with(change: impl FnOnce(&mut Config)) -> Fixture {
    Fixture::start_with(|config| {
        open_doors(config);
        change(config);
    })
    .await
}

pub fn open_doors(config: &mut Config) {
    config.unsafe_no_fsync = true;
    config.doors.elock = Url::parse("elock://127.0.0.1:0").ok();
    config.doors.dreadlock = Url::parse("dreadlock://127.0.0.1:0").ok();
}

pub fn dreadlock(fixture: &Fixture) -> SocketAddr {
    fixture.server().dreadlock_address().unwrap()
}

pub fn elock(fixture: &Fixture) -> SocketAddr {
    fixture.server().elock_address().unwrap()
}

/// Every lock there is, as `latchd.v1` lists them.
pub async fn list(fixture: &Fixture) -> Vec<v1::Lock> {
    let backend = fixture.server().backend().clone();
    let keeper = latchd::service::locks::Keeper::new(backend);
    let listed = keeper.list(v1::ListRequest::default()).await.unwrap();
    keeper.settled().await;
    listed.locks
}
