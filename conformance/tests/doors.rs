//! The doors of older lock servers beside unmodified clients of etcd: one lock, one unprotected
//! counter in a file.
#![allow(missing_docs)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use etcd_client::{Client, LockOptions};
use futures::{SinkExt, StreamExt};
use latchd_conformance::{etcdctl::Etcdctl, ports, server::Spec, target::Kind, wait::within};
use latchd_proto::latchd::v1::{AcquireRequest, ReleaseRequest, locks_client::LocksClient};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinSet,
};
use tokio_tungstenite::{client_async, tungstenite::Message};

/// Clients of each kind.
const CLIENTS: u64 = 5;
/// How often each takes the lock.
const TURNS: u64 = 6;
/// Sixty processes of etcdctl take their time on a small machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where everybody is.
struct Place {
    address: String,
    elock: u16,
    dreadlock: u16,
    counter: PathBuf,
}

impl Place {
    /// Reads the counter, lets others run, and writes it.
    async fn raise(&self) -> Result<()> {
        let read: u64 = read(&self.counter)?;
        tokio::task::yield_now().await;
        Ok(std::fs::write(&self.counter, format!("{}\n", read + 1))?)
    }
}

fn read(path: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(path)?;
    text.trim().parse().with_context(|| format!("{text:?}"))
}

/// Two lines and their answers, turn after turn.
async fn by_lines(place: Arc<Place>, port: u16, turn: [[&str; 2]; 2]) -> Result<()> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut stream = BufReader::new(stream);
    let mut ask = async |[line, answer]: [&str; 2]| {
        stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        let mut heard = String::new();
        stream.read_line(&mut heard).await?;
        ensure!(heard == format!("{answer}\r\n"), "{line}: {heard:?}");
        Ok(())
    };
    for _ in 0..TURNS {
        ask(turn[0]).await?;
        place.raise().await?;
        ask(turn[1]).await?;
    }
    Ok(())
}

async fn by_elock(place: Arc<Place>) -> Result<()> {
    let turn = [
        ["lock all 300", "200 Acquired"],
        ["unlock all", "200 Unlocked"],
    ];
    by_lines(place.clone(), place.elock, turn).await
}

async fn by_dreadlock(place: Arc<Place>) -> Result<()> {
    let turn = [
        ["lock all 300000", "l locked"],
        ["unlock all", "u unlocked"],
    ];
    by_lines(place.clone(), place.dreadlock, turn).await
}

async fn by_distlock(place: Arc<Place>, session: String) -> Result<()> {
    let stream = TcpStream::connect(&place.address).await?;
    let url = format!("ws://{}/distlock/lock", place.address);
    let (mut socket, _) = client_async(url, stream).await?;
    let mut ask = async |request: Option<Value>| {
        if let Some(request) = request {
            socket.send(Message::text(request.to_string())).await?;
        }
        let said = socket.next().await.context("the server has closed")??;
        let said: Value = serde_json::from_str(said.to_text()?)?;
        let status = said["status"].as_str().unwrap_or_default().to_owned();
        anyhow::Ok(status)
    };
    let opened = ask(Some(json!({"action": "connect", "param": session}))).await?;
    ensure!(opened == "OK", "{opened}");
    for _ in 0..TURNS {
        loop {
            match ask(Some(json!({"action": "lock", "param": "all"})))
                .await?
                .as_str()
            {
                "OK" => break,
                "WAIT" => ensure!(ask(None).await? == "RETRY", "not told to try again"),
                other => bail!("{other}"),
            }
        }
        place.raise().await?;
        let freed = ask(Some(json!({"action": "unlock", "param": "all"}))).await?;
        ensure!(freed == "OK", "{freed}");
    }
    Ok(())
}

async fn by_the_lock_service(place: Arc<Place>) -> Result<()> {
    let mut client = Client::connect([&place.address], None).await?;
    let lease = client.lease_grant(300, None).await?.id();
    for _ in 0..TURNS {
        let options = LockOptions::new().with_lease(lease);
        let locked = client.lock("all", Some(options)).await?;
        place.raise().await?;
        client.unlock(locked.key()).await?;
    }
    Ok(())
}

async fn by_latchd(place: Arc<Place>) -> Result<()> {
    let mut client = Client::connect([&place.address], None).await?;
    let session = client.lease_grant(300, None).await?.id();
    let mut locks = LocksClient::connect(format!("http://{}", place.address)).await?;
    for _ in 0..TURNS {
        let request = AcquireRequest {
            names: vec!["all".into()],
            session,
            wait_ms: -1,
            ..Default::default()
        };
        let granted = locks.acquire(request).await?.into_inner();
        place.raise().await?;
        let request = ReleaseRequest {
            session,
            holds: granted.holds,
            ..Default::default()
        };
        locks.release(request).await?;
    }
    Ok(())
}

/// Each turn is a process that takes the lock and runs a shell under it.
async fn by_etcdctl(place: Arc<Place>) -> Result<()> {
    let etcdctl = Etcdctl::new(place.address.clone())?;
    let file = place.counter.to_str().context("the path is no text")?;
    let raise = format!("read n < '{file}'; echo $((n + 1)) > '{file}'");
    for _ in 0..TURNS {
        let mut turn = etcdctl.start(&["lock", "all", "--", "sh", "-c", &raise])?;
        turn.exit(PATIENCE).await?.ok()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_excludes_every_other() -> Result<()> {
    let (elock, dreadlock) = (ports::free()?, ports::free()?);
    let spec = Spec::of(Kind::Latchd)?
        .flag(format!("--listen-elock=127.0.0.1:{elock}"))
        .flag(format!("--listen-dreadlock=127.0.0.1:{dreadlock}"));
    let _server = spec.start().await?;
    let home = tempfile::tempdir()?;
    let counter = home.path().join("counter");
    std::fs::write(&counter, "0\n")?;
    let place = Arc::new(Place {
        address: spec.address(),
        elock,
        dreadlock,
        counter: counter.clone(),
    });
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        clients.spawn(by_elock(place.clone()));
        clients.spawn(by_dreadlock(place.clone()));
        clients.spawn(by_distlock(place.clone(), format!("session {n}")));
        clients.spawn(by_the_lock_service(place.clone()));
        clients.spawn(by_latchd(place.clone()));
        clients.spawn(by_etcdctl(place.clone()));
    }
    let turns = clients.len() as u64 * TURNS;
    within(PATIENCE, "everybody's turns", async {
        while let Some(done) = clients.join_next().await {
            done??;
        }
        Ok(())
    })
    .await?;
    assert_eq!(read(&counter)?, turns);
    Ok(())
}
