//! A damaged data file: refused with one clear line, and not changed.
//!
//! The server never gets to repair what it does not understand: a copy of the
//! file must still be there for whoever wants to save the data.
#![allow(missing_docs)]

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};
use etcd_client::Client;
use latchd_conformance::{
    files::contents,
    locks,
    server::{Server, Spec},
    target::skip_on_etcd,
};

/// How a file is damaged.
type Damage = fn(&mut Vec<u8>);

const DAMAGES: [(&str, Damage); 6] = [
    ("cut to half", |file| file.truncate(file.len() / 2)),
    ("cut within its header", |file| file.truncate(100)),
    ("cut to nothing", Vec::clear),
    ("header zeroed", |file| file[..512].fill(0)),
    ("zeroed behind the header", |file| file[4096..].fill(0)),
    ("bytes flipped throughout", |file| {
        for byte in file.iter_mut().skip(4096).step_by(512) {
            *byte ^= 0xff;
        }
    }),
];

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_alone() -> Result<()> {
    if skip_on_etcd("the file is latchd's")? {
        return Ok(());
    }
    let mut server = with_data().await?;
    server.stop("TERM").await?.ok()?;
    refuses_every_damage(server.spec()).await
}

#[tokio::test]
async fn so_is_one_that_was_damaged_after_a_kill_9() -> Result<()> {
    if skip_on_etcd("the file is latchd's")? {
        return Ok(());
    }
    let mut server = with_data().await?;
    server.kill().await?;
    refuses_every_damage(server.spec()).await
}

/// A server that has a few keys, a lease and a held lock.
async fn with_data() -> Result<Server> {
    let server = Server::start().await?;
    let client = server.client().await?;
    let lease = locks::lease(&client, 600, 0).await?;
    locks::take(&client, "job", lease).await?;
    for number in 0..200 {
        put(&client, number).await?;
    }
    Ok(server)
}

async fn put(client: &Client, number: usize) -> Result<()> {
    let mut kv = client.kv_client();
    kv.put(format!("key/{number}"), [7; 100], None).await?;
    Ok(())
}

/// Tells of all that it did not refuse as it should, not only of the first.
async fn refuses_every_damage(spec: &Spec) -> Result<()> {
    let file = data_file(spec);
    let sound = fs::read(&file)?;
    let mut wrong = Vec::new();
    for (what, damage) in DAMAGES {
        let mut bytes = sound.clone();
        damage(&mut bytes);
        fs::write(&file, bytes)?;
        if let Err(error) = refuses(spec).await {
            wrong.push(format!("{what}: {error:#}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // It was the damage that it refused.
    fs::write(&file, sound)?;
    let mut server = spec.start().await?;
    ensure!(locks::count(&server.client().await?, "job").await? == 1);
    server.must_be_well()
}

fn data_file(spec: &Spec) -> PathBuf {
    spec.data_dir().join("latchd.redb")
}

async fn refuses(spec: &Spec) -> Result<()> {
    let before = contents(spec.data_dir())?;
    let exit = spec.refused().await?;
    ensure!(!exit.status.success(), "it ended well: {exit:#?}");
    let last = exit.stderr.trim_end().lines().last().unwrap_or_default();
    let path = data_file(spec).display().to_string();
    ensure!(last.contains(&path), "no {path} at the end of: {exit:#?}");
    ensure!(!exit.stderr.contains("panicked at"), "a panic: {exit:#?}");
    ensure!(
        contents(spec.data_dir())? == before,
        "files changed: {exit:#?}"
    );
    Ok(())
}
