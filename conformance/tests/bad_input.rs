//! What comes in from the network and makes no sense: a clear error, and it
//! costs nobody else anything.
#![allow(missing_docs)]

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, Compare, CompareOp, Error, PutOptions, Txn, TxnOp};
use latchd_conformance::{
    locks,
    server::Server,
    wait::{SOON, within},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinHandle};

/// Things that are no request, each sent on a connection of its own that stays
/// open afterwards.
fn garbage() -> Vec<Vec<u8>> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    vec![
        noise(64 * 1024),
        b"GET /version HT".to_vec(),
        b"POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{\"key".to_vec(),
        tls_hello(),
        preface[..10].to_vec(),
        [&preface[..], &noise(4096)].concat(),
        // A frame that claims 16 MiB.
        [&preface[..], b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"].concat(),
        Vec::new(),
        b"\0".repeat(1000),
        b"\r\n".repeat(1000),
    ]
}

/// Bytes without a pattern, the same in each run (xorshift).
fn noise(n: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..n).map(|_| next()).collect()
}

/// The beginning of a TLS 1.2 handshake, as a client with the wrong scheme sends it.
fn tls_hello() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 1, 0, 0x2f, 1, 0, 0, 0x2b, 3, 3];
    hello.extend(noise(32));
    hello.extend([0, 0, 4, 0x13, 1, 0, 0xff, 1, 0]);
    hello
}

/// Sends `bytes`. The server may hang up at any time.
async fn send(address: &str, bytes: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let _ = stream.write_all(bytes).await;
    Ok(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_port_costs_nobody_else_anything() -> Result<()> {
    let mut server = Server::start().await?;
    let client = server.client().await?;
    let other = tokio::spawn(lock_and_unlock(client.clone(), 200));
    let mut open = Vec::new();
    for _ in 0..5 {
        for bytes in garbage() {
            open.push(send(&server.spec().address(), &bytes).await?);
        }
    }
    finish(other).await?;
    // Also while all of them are still open, and for who comes later.
    finish(tokio::spawn(lock_and_unlock(server.client().await?, 20))).await?;
    drop(open);
    finish(tokio::spawn(lock_and_unlock(client, 20))).await?;
    server.must_be_well()
}

async fn finish(task: JoinHandle<Result<()>>) -> Result<()> {
    within(SOON, "the other client", async { task.await? }).await
}

async fn lock_and_unlock(client: Client, times: usize) -> Result<()> {
    let lease = locks::lease(&client, 600, 0).await?;
    for _ in 0..times {
        let key = locks::take(&client, "job", lease).await?;
        client.lock_client().unlock(key).await?;
    }
    Ok(())
}

/// The gRPC code and text of a refusal.
fn refusal<T>(answer: Result<T, Error>) -> Result<(i32, String)> {
    match answer.err().context("it was accepted")? {
        Error::GRpcStatus(status) => Ok((status.code() as i32, status.message().to_owned())),
        other => Err(other.into()),
    }
}

fn expect<T>(answer: Result<T, Error>, code: i32, text: &str) -> Result<()> {
    let found = refusal(answer)?;
    ensure!(
        found == (code, text.to_owned()),
        "{found:?}, not {code} {text}"
    );
    Ok(())
}

const UNKNOWN: i32 = 2;
const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const OUT_OF_RANGE: i32 = 11;

#[tokio::test]
async fn requests_without_sense_get_etcds_errors() -> Result<()> {
    let mut server = Server::start().await?;
    let mut client = server.client().await?;
    let empty = "etcdserver: key is not provided";
    expect(client.put("", "", None).await, INVALID_ARGUMENT, empty)?;
    expect(client.get("", None).await, INVALID_ARGUMENT, empty)?;
    expect(client.delete("", None).await, INVALID_ARGUMENT, empty)?;
    expect(client.unlock("").await, UNKNOWN, empty)?;

    let leased = PutOptions::new().with_lease(404);
    let lost = "etcdserver: requested lease not found";
    expect(client.put("a", "", Some(leased)).await, NOT_FOUND, lost)?;
    expect(client.lease_revoke(404).await, NOT_FOUND, lost)?;
    let too_long = client.lease_grant(9_000_000_001, None).await;
    expect(too_long, OUT_OF_RANGE, "etcdserver: too large lease TTL")?;

    let same = [TxnOp::put("a", "1", None), TxnOp::put("a", "2", None)];
    let twice = client.txn(Txn::new().and_then(same)).await;
    expect(
        twice,
        INVALID_ARGUMENT,
        "etcdserver: duplicate key given in txn request",
    )?;
    let many: Vec<TxnOp> = (0..129)
        .map(|n| TxnOp::put(format!("{n}"), "", None))
        .collect();
    let many = client.txn(Txn::new().and_then(many)).await;
    expect(
        many,
        INVALID_ARGUMENT,
        "etcdserver: too many operations in txn request",
    )?;
    let compare = Compare::version("", CompareOp::Equal, 0);
    let keyless = client.txn(Txn::new().when([compare])).await;
    expect(keyless, INVALID_ARGUMENT, empty)?;

    let future = client.compact(1000, None).await;
    let text = "etcdserver: mvcc: required revision is a future revision";
    expect(future, OUT_OF_RANGE, text)?;
    ensure!(
        locks::revision(client.get("a", None).await?.header())? == 1,
        "something was written"
    );
    server.must_be_well()
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_and_one_below_is_not() -> Result<()> {
    let mut server = Server::start().await?;
    let mut client = server.client().await?;
    let limit = 1024 * 1024 * 3 / 2;
    let too_large = "etcdserver: request is too large";
    let over = client.put("a", vec![7; limit + 1], None).await;
    expect(over, INVALID_ARGUMENT, too_large)?;
    let over = client.put(vec![b'k'; limit + 1], "", None).await;
    expect(over, INVALID_ARGUMENT, too_large)?;
    // So far over that the transport itself refuses.
    refusal(client.put("a", vec![7; limit * 2], None).await)?;
    refusal(client.put("a", vec![7; limit * 8], None).await)?;

    let below = vec![7; limit - 100];
    client.put("a", below.clone(), None).await?;
    let found = client.get("a", None).await?;
    ensure!(found.kvs()[0].value() == below);
    let long_key = vec![b'k'; 1024 * 1024];
    client.put(long_key.clone(), "v", None).await?;
    ensure!(client.get(long_key, None).await?.kvs()[0].value() == b"v");
    server.must_be_well()
}
