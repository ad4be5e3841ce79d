//! The server's command line and life: version, refusals, signals, names.
#![allow(missing_docs)]

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use etcd_client::{Client, WatchOptions};
use latchd_conformance::{
    files::contents,
    locks,
    process::{self, Exit},
    server::{Server, Spec, refused},
    target::{Kind, skip_on_etcd},
    wait::SOON,
};
use tokio::task::JoinSet;

/// Why most of this file is not for etcd.
const OWN: &str = "latchd's own promise";

async fn run(arguments: &[&str]) -> Result<Exit> {
    let mut command = process::command(&Kind::from_env()?.binary()?);
    command.args(arguments);
    refused(command).await
}

/// A refusal: a failure whose last line on stderr names `what`, and no panic.
fn must_refuse(exit: &Exit, what: &str) -> Result<()> {
    ensure!(!exit.status.success(), "it succeeded: {exit:#?}");
    let last = exit.stderr.trim_end().lines().last().unwrap_or_default();
    ensure!(
        last.contains(what),
        "no `{what}` in the last line: {exit:#?}"
    );
    must_not_panic(exit)
}

fn must_not_panic(exit: &Exit) -> Result<()> {
    let panicked = ["panicked at", "RUST_BACKTRACE", "stack backtrace"];
    let found = panicked.iter().any(|text| exit.stderr.contains(text));
    ensure!(!found, "it panicked: {exit:#?}");
    Ok(())
}

#[tokio::test]
async fn version_is_the_etcd_version_that_it_speaks() -> Result<()> {
    let printed = run(&["--version"]).await?.ok()?;
    ensure!(
        printed.lines().any(|line| line == "etcd Version: 3.7.1"),
        "{printed}"
    );
    Ok(())
}

#[tokio::test]
async fn help_names_the_flags() -> Result<()> {
    let exit = run(&["--help"]).await?;
    ensure!(exit.status.success(), "{exit:#?}");
    let printed = exit.stdout + &exit.stderr;
    for flag in [
        "--data-dir",
        "--listen-client-urls",
        "--advertise-client-urls",
        "--name",
    ] {
        ensure!(printed.contains(flag), "{flag} is missing: {printed}");
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_flag_is_an_error_that_names_it() -> Result<()> {
    for flag in ["--no-such-flag", "--no-such-flag=1"] {
        let exit = run(&[flag]).await?;
        ensure!(!exit.status.success(), "{exit:#?}");
        ensure!(exit.stderr.contains("no-such-flag"), "{exit:#?}");
        must_not_panic(&exit)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_url_is_an_error_that_names_the_flag() -> Result<()> {
    for url in [
        "127.0.0.1",
        "http//x:1",
        "ftp://127.0.0.1:1",
        "http://127.0.0.1:port",
    ] {
        for name in ["listen-client-urls", "advertise-client-urls"] {
            names_the_flag(name, url).await?;
        }
    }
    names_the_flag("listen-client-urls", "http://127.0.0.1:99999").await
}

/// The flag comes a second time, where the last one wins.
async fn names_the_flag(name: &str, url: &str) -> Result<()> {
    let spec = Spec::new()?.flag(format!("--{name}={url}"));
    let exit = spec.refused().await?;
    ensure!(!exit.status.success(), "{name}={url}: {exit:#?}");
    ensure!(exit.stderr.contains(name), "{name}={url}: {exit:#?}");
    must_not_panic(&exit)
}

#[tokio::test]
async fn a_second_copy_on_the_same_data_is_refused() -> Result<()> {
    if skip_on_etcd("etcd waits for the other one")? {
        return Ok(());
    }
    let mut first = Server::start().await?;
    let before = names(first.spec().data_dir())?;
    let second = Spec::new()?.on_data_of(first.spec());
    must_refuse(&second.refused().await?, &path(second.data_dir()))?;
    ensure!(
        names(first.spec().data_dir())? == before,
        "files came or went"
    );
    must_serve(&mut first).await
}

#[tokio::test]
async fn a_second_copy_on_the_same_port_is_refused() -> Result<()> {
    let mut first = Server::start().await?;
    let second = Spec::new()?.on_port_of(first.spec());
    let exit = second.refused().await?;
    ensure!(!exit.status.success(), "{exit:#?}");
    ensure!(exit.stderr.contains(&first.spec().address()), "{exit:#?}");
    must_not_panic(&exit)?;
    must_serve(&mut first).await
}

fn path(of: &Path) -> String {
    of.display().to_string()
}

fn names(dir: &Path) -> Result<Vec<String>> {
    Ok(contents(dir)?.into_keys().collect())
}

async fn must_serve(server: &mut Server) -> Result<()> {
    let mut client = server.client().await?;
    client.put("still", "here", None).await?;
    server.must_be_well()
}

/// Refused, naming its data directory, and every byte in it is as before.
async fn must_refuse_untouched(spec: &Spec) -> Result<()> {
    let before = contents(spec.data_dir())?;
    must_refuse(&spec.refused().await?, &path(spec.data_dir()))?;
    ensure!(
        contents(spec.data_dir())? == before,
        "its files have changed"
    );
    Ok(())
}

#[tokio::test]
async fn a_directory_of_another_kind_is_refused_and_left_alone() -> Result<()> {
    if skip_on_etcd(OWN)? {
        return Ok(());
    }
    let etcds = Spec::new()?;
    fs::create_dir_all(etcds.data_dir().join("member/snap"))?;
    fs::create_dir_all(etcds.data_dir().join("member/wal"))?;
    fs::write(etcds.data_dir().join("member/snap/db"), [7; 4096])?;
    must_refuse_untouched(&etcds).await?;

    let somebodys = Spec::new()?;
    fs::create_dir_all(somebodys.data_dir())?;
    fs::write(somebodys.data_dir().join("letter.txt"), "Dear Sir,\n")?;
    must_refuse_untouched(&somebodys).await?;

    let file = Spec::new()?;
    fs::write(file.data_dir(), "not a directory\n")?;
    must_refuse(&file.refused().await?, &path(file.data_dir()))?;
    ensure!(fs::read(file.data_dir())? == b"not a directory\n");
    Ok(())
}

#[tokio::test]
async fn an_empty_directory_is_taken() -> Result<()> {
    let spec = Spec::new()?;
    fs::create_dir_all(spec.data_dir())?;
    must_serve(&mut spec.start().await?).await
}

#[tokio::test]
async fn sigterm_and_sigint_end_it_with_0_whatever_waits() -> Result<()> {
    if skip_on_etcd("etcd ends by the signal itself")? {
        return Ok(());
    }
    for signal in ["TERM", "INT"] {
        let mut server = Server::start().await?;
        let _open = keep_busy(&server.client().await?).await?;
        let exit = server.stop(signal).await?;
        ensure!(exit.code() == 0, "SIG{signal}: {exit:#?}");
        must_not_panic(&exit)?;
        // A clean end can be begun again.
        server.start_again().await?;
        must_serve(&mut server).await?;
    }
    Ok(())
}

/// Open watches, waiting locks and a keepalive stream.
async fn keep_busy(client: &Client) -> Result<JoinSet<()>> {
    let mut open = JoinSet::new();
    let holder = locks::lease(client, 600, 0).await?;
    locks::take(client, "job", holder).await?;
    let (mut keeper, stream) = client.lease_client().keep_alive(holder).await?;
    keeper.keep_alive().await?;
    let options = WatchOptions::new().with_prefix();
    let mut watch = client.watch_client().watch("job/", Some(options)).await?;
    open.spawn(async move {
        let _held = (keeper, stream);
        while let Ok(Some(_)) = watch.message().await {}
    });
    for _ in 0..10 {
        let client = client.clone();
        let lease = locks::lease(&client, 600, 0).await?;
        open.spawn(async move {
            // Ends with an error, when the server does.
            let _ = locks::stays_held(&client, "job", lease, SOON).await;
        });
    }
    locks::await_count(client, "job", 11).await?;
    Ok(open)
}

#[tokio::test]
async fn the_name_comes_from_etcds_variable() -> Result<()> {
    let spec = Spec::new()?.member("sofia").variable("ETCD_NAME", "sofia");
    member_is(&spec.start().await?, "sofia").await
}

#[tokio::test]
async fn latchds_variable_wins_over_etcds_and_a_flag_over_both() -> Result<()> {
    if skip_on_etcd(OWN)? {
        return Ok(());
    }
    let spec = Spec::new()?
        .member("varna")
        .variable("ETCD_NAME", "sofia")
        .variable("LATCHD_NAME", "varna");
    let mut first = spec.start().await?;
    member_is(&first, "varna").await?;
    // The second one takes the same port.
    first.kill().await?;
    let spec = spec.flag("--name=plovdiv").member("plovdiv");
    member_is(&spec.start().await?, "plovdiv").await
}

#[tokio::test]
async fn flags_come_in_etcds_spellings() -> Result<()> {
    // One dash, a separate value, and twice: the last wins.
    let spec = Spec::new()?.member("second").flag("-name=first");
    let spec = spec.flag("--name").flag("second");
    member_is(&spec.start().await?, "second").await
}

async fn member_is(server: &Server, name: &str) -> Result<()> {
    let client = server.client().await?;
    let members = client.cluster_client().member_list().await?;
    let names: Vec<&str> = members
        .members()
        .iter()
        .map(etcd_client::Member::name)
        .collect();
    ensure!(names == [name], "{names:?}");
    Ok(())
}
