//! How the server is launched: flags, ports, socket files, the log, the end.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};

use common::{Fixture, soon};
use etcd_client::{Client, GetOptions, PutOptions, Txn, TxnOp, WatchOptions};
use latchd::Config;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use url::Url;

const ANY_PORT: &str = "http://127.0.0.1:0";

fn urls(all: &[&str]) -> Vec<Url> {
    all.iter().map(|url| url.parse().unwrap()).collect()
}

/// The answer to `GET path`, head and body.
async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A port that does not speak HTTP/1.1 may also reset the connection.
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get_at(address: SocketAddr, path: &str) -> String {
    get(TcpStream::connect(address).await.unwrap(), path).await
}

fn is_found(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200 ")
}

#[tokio::test]
async fn clients_come_through_a_socket_file() {
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("etcd.sock");
    let url = format!("unix://{}", path.display());
    let mut fixture = Fixture::start_with(|config| {
        config.listen_client_urls = urls(&[&url, ANY_PORT]);
    })
    .await;
    let stream = UnixStream::connect(&path).await.unwrap();
    assert!(is_found(&get(stream, "/version").await));
    // The port beside it is the same server.
    let mut client = Client::connect([fixture.endpoint()], None).await.unwrap();
    let members = client.member_list().await.unwrap();
    let told = members.members()[0].client_urls().to_vec();
    assert_eq!(told, [url, fixture.endpoint()]);
    client.put("a", "b", None).await.unwrap();
    fixture.stop().await;
    assert!(!path.exists(), "the socket file stays behind");
}

#[tokio::test]
async fn http_apart_from_grpc() {
    let fixture = Fixture::start_with(|config| {
        config.listen_client_http_urls = urls(&[ANY_PORT]);
    })
    .await;
    let server = fixture.server();
    assert!(is_found(
        &get_at(server.http_addresses()[0], "/version").await
    ));
    let answer = get_at(server.addresses()[0], "/version").await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    fixture.client().await.put("a", "b", None).await.unwrap();
    let over_http = format!("http://{}", server.http_addresses()[0]);
    let mut client = Client::connect([over_http], None).await.unwrap();
    assert!(client.put("a", "b", None).await.is_err());
}

#[tokio::test]
async fn monitors_have_a_port_of_their_own() {
    let fixture = Fixture::start_with(|config| {
        config.listen_metrics_urls = urls(&[ANY_PORT]);
    })
    .await;
    let monitor = fixture.server().metrics_addresses()[0];
    for path in ["/health", "/livez", "/readyz", "/livez/serializable_read"] {
        assert!(is_found(&get_at(monitor, path).await), "{path}");
    }
    for path in ["/version", "/v3/kv/range", "/healthy"] {
        let answer = get_at(monitor, path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    // They are on the client port, too.
    assert!(is_found(
        &get_at(fixture.server().addresses()[0], "/health").await
    ));
}

/// A server with what these flags say.
async fn with_flags(flags: &[&str]) -> Fixture {
    let none = latchd::config::Environment::new();
    let told = Config::from_args(flags.iter().map(Into::into), &none).unwrap();
    Fixture::start_with(|config| {
        *config = Config {
            data_dir: config.data_dir.clone(),
            listen_client_urls: config.listen_client_urls.clone(),
            ..told
        };
    })
    .await
}

#[tokio::test]
async fn limits_are_those_of_the_flags() {
    let fixture = with_flags(&["--max-txn-ops=2", "--max-request-bytes=1000"]).await;
    let mut client = fixture.client().await;
    let put = |key: &str| TxnOp::put(key, "v", None::<PutOptions>);
    let two = Txn::new().and_then([put("a"), put("b")]);
    client.txn(two).await.unwrap();
    let three = Txn::new().and_then([put("a"), put("b"), put("c")]);
    let error = client.txn(three).await.unwrap_err().to_string();
    assert!(
        error.contains("too many operations in txn request"),
        "{error}"
    );
    let error = client.put("a", vec![0; 1000], None).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("etcdserver: request is too large")
    );
}

#[tokio::test]
async fn a_quota_is_told_by_status() {
    let fixture = with_flags(&["--quota-backend-bytes=12345678"]).await;
    let status = fixture.client().await.status().await.unwrap();
    assert!(format!("{status:?}").contains("12345678"), "{status:?}");
}

#[tokio::test]
async fn streams_are_unlimited_unless_a_flag_says_so() {
    let fixture = with_flags(&["--max-concurrent-streams=7"]).await;
    let address = fixture.server().addresses()[0];
    assert_eq!(settings_of(address).await.get(&MAX_STREAMS), Some(&7));
    let fixture = with_flags(&[]).await;
    let address = fixture.server().addresses()[0];
    assert_eq!(settings_of(address).await.get(&MAX_STREAMS), None);
}

/// SETTINGS_MAX_CONCURRENT_STREAMS of HTTP/2.
const MAX_STREAMS: u16 = 3;

/// The first frame of an HTTP/2 server: its settings, by their numbers.
async fn settings_of(address: SocketAddr) -> HashMap<u16, u32> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let no_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(preface).await.unwrap();
    stream.write_all(&no_settings).await.unwrap();
    let mut head = [0; 9];
    soon(stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[3], 4, "not a SETTINGS frame");
    let mut settings = vec![0; usize::from(head[2])];
    soon(stream.read_exact(&mut settings)).await.unwrap();
    let each = settings.chunks_exact(6).map(|entry| {
        let (number, value) = entry.split_at(2);
        let number = u16::from_be_bytes(number.try_into().unwrap());
        (number, u32::from_be_bytes(value.try_into().unwrap()))
    });
    each.collect()
}

#[tokio::test]
async fn progress_is_told_as_often_as_asked() {
    let fixture = with_flags(&["--watch-progress-notify-interval=100ms"]).await;
    let mut client = fixture.client().await;
    let options = WatchOptions::new().with_progress_notify();
    let mut watch = client.watch("a", Some(options)).await.unwrap();
    let created = soon(watch.message()).await.unwrap().unwrap();
    assert!(created.created());
    let told = soon(watch.message()).await.unwrap().unwrap();
    assert!(told.events().is_empty() && !told.created());
}

#[tokio::test]
async fn without_fsync_a_stop_still_keeps_all() {
    let mut fixture = Fixture::start_with(|config| config.unsafe_no_fsync = true).await;
    fixture.client().await.put("a", "b", None).await.unwrap();
    fixture.restart().await;
    let kept = fixture
        .client()
        .await
        .get("a", Some(GetOptions::new()))
        .await
        .unwrap();
    assert_eq!(kept.kvs().len(), 1);
}

/// The binary, with nothing of this process's environment.
fn latchd(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchd"));
    command.args(flags).env_clear().kill_on_drop(true);
    command
}

async fn refused(mut command: Command) -> (i32, String) {
    let Output { status, stderr, .. } = soon(command.output()).await.unwrap();
    let text = String::from_utf8(stderr).unwrap();
    (status.code().unwrap(), text)
}

#[tokio::test]
async fn exit_statuses_are_etcds() {
    let (status, said) = refused(latchd(&["--max-txn-ops=x"])).await;
    assert_eq!(status, 2);
    let sentence = "invalid value \"x\" for flag -max-txn-ops: parse error\n";
    assert!(said.starts_with(sentence), "{said}");

    let (status, said) = refused(latchd(&["--nam=x"])).await;
    assert_eq!(status, 2);
    assert!(
        said.starts_with("flag provided but not defined: -nam\n"),
        "{said}"
    );

    let mut command = latchd(&[]);
    command.env("ETCD_MAX_TXN_OPS", "x");
    let (status, said) = refused(command).await;
    assert_eq!(status, 1);
    let line: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(line["msg"], "failed to verify flags");
    let error = "invalid value \"x\" for ETCD_MAX_TXN_OPS: parse error";
    assert_eq!(line["error"], error);

    let (status, said) = refused(latchd(&["--client-cert-auth"])).await;
    assert_eq!(status, 1);
    assert!(said.contains("not implemented yet"), "{said}");
    assert_eq!(refused(latchd(&["--version"])).await.0, 0);
    assert_eq!(refused(latchd(&["-h"])).await.0, 0);
}

/// Starts the binary and reads its log up to the ready line.
async fn until_ready(mut command: Command) -> (Child, Vec<Value>) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut log = Vec::new();
    loop {
        let line = soon(lines.next_line())
            .await
            .unwrap()
            .expect("no ready line");
        let line: Value = serde_json::from_str(&line).unwrap();
        let is_ready = line["msg"] == "ready to serve client requests";
        log.push(line);
        if is_ready {
            child.stderr = Some(lines.into_inner().into_inner());
            return (child, log);
        }
    }
}

async fn stop(child: Child) -> Output {
    let id = child.id().unwrap().to_string();
    let killed = Command::new("kill").args(["-TERM", &id]).status().await;
    assert!(killed.unwrap().success());
    soon(child.wait_with_output()).await.unwrap()
}

fn lines_of(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn the_log_of_a_plain_start_and_stop() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut command = latchd(&["-listen-client-urls", ANY_PORT, "--snapshot-count", "5"]);
    command.current_dir(&dir);
    command.arg(format!("--log-outputs=stderr,{}", log.display()));
    command.env("ETCD_DATA_DIR", dir.path().join("data"));
    command.env("ETCD_ODD", "1");
    let (child, seen) = until_ready(command).await;
    assert!(stop(child).await.status.success());

    let lines = lines_of(&log);
    assert_eq!(lines[..seen.len()], seen);
    for line in &lines {
        assert_ne!(line["level"], "error", "{line}");
        for field in ["level", "ts", "caller", "msg"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
    let says = |field: &str, value: &str| lines.iter().any(|line| line[field] == value);
    assert!(says("flag", "--snapshot-count"));
    assert!(says("variable-name", "ETCD_DATA_DIR"));
    assert!(says("environment-variable", "ETCD_ODD=1"));
}

#[tokio::test]
async fn a_full_log_file_makes_room_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("etcd.log");
    let before = "x".repeat((1 << 20) - 1) + "\n";
    std::fs::write(&log, &before).unwrap();
    let mut command = latchd(&["--listen-client-urls", ANY_PORT, "--enable-log-rotation"]);
    command.arg(r#"--log-rotation-config-json={"maxsize": 1}"#);
    command.arg(format!("--log-outputs=stderr,{}", log.display()));
    command.current_dir(&dir);
    let (child, seen) = until_ready(command).await;
    assert!(stop(child).await.status.success());
    assert_eq!(lines_of(&log)[..seen.len()], seen);
    let entries = std::fs::read_dir(&dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let old: Vec<String> = names.filter(|name| name.starts_with("etcd-2")).collect();
    assert_eq!(old.len(), 1, "{old:?}");
    let kept = std::fs::read_to_string(dir.path().join(&old[0])).unwrap();
    assert!(kept == before && old[0].ends_with(".log"), "{old:?}");
}

#[tokio::test]
async fn without_a_journal_it_does_not_start() {
    let (status, said) = refused(latchd(&["--log-outputs=systemd/journal,/a"])).await;
    assert_eq!(status, 1);
    assert!(
        said.contains("running with systemd/journal but other"),
        "{said}"
    );
    if Path::new("/run/systemd/journal/socket").exists() {
        return;
    }
    let (status, said) = refused(latchd(&["--log-outputs=systemd/journal"])).await;
    assert_eq!(status, 1);
    let line: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        line["error"],
        "can't find journal (dial unixgram /run/systemd/journal/socket: connect: \
         no such file or directory)"
    );
}

#[tokio::test]
async fn a_file_instead_of_flags() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("etcd.yaml");
    // As etcd has it, a relative socket file, named like an address.
    let text = "name: varna\ndata-dir: data\nlisten-client-urls: unix://localhost:2379\n";
    std::fs::write(&file, text).unwrap();
    let mut command = latchd(&["--name=sofia", "--config-file", "etcd.yaml"]);
    command.current_dir(&dir);
    let (child, log) = until_ready(command).await;
    assert_eq!(log.last().unwrap()["name"], "varna");
    assert!(log.iter().any(|line| line["path"] == "etcd.yaml"));
    let socket = dir.path().join("localhost:2379");
    let stream = UnixStream::connect(&socket).await.unwrap();
    assert!(is_found(&get(stream, "/health").await));
    assert!(stop(child).await.status.success());
    assert!(!socket.exists());
}

#[tokio::test]
async fn metrics_count_what_was_done_under_etcds_names() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    client.put("k", "v", None).await.unwrap();
    client.lease_revoke(99).await.unwrap_err();
    client.defragment().await.unwrap();
    let text = get_at(fixture.server().addresses()[0], "/metrics").await;
    let sample = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.and_then(|value| value.parse::<f64>().ok())
    };
    for name in [
        "etcd_server_has_leader",
        "etcd_mvcc_put_total",
        "etcd_server_proposals_applied_total",
        "etcd_disk_backend_commit_duration_seconds_count",
        "etcd_mvcc_db_total_size_in_bytes",
        "process_resident_memory_bytes",
        "etcd_disk_backend_defrag_duration_seconds_count",
        "etcd_network_client_grpc_received_bytes_total",
        "etcd_network_client_grpc_sent_bytes_total",
    ] {
        assert!(sample(name).is_some_and(|value| value >= 1.0), "{name}");
    }
    for name in [
        "etcd_server_heartbeat_send_failures_total",
        "etcd_disk_defrag_inflight",
    ] {
        assert_eq!(sample(name), Some(0.0), "{name}");
    }
    // As in etcd, these two are gauges.
    assert!(text.contains("# TYPE etcd_server_proposals_applied_total gauge"));
    assert!(text.contains("# TYPE etcd_server_proposals_committed_total gauge"));
    let refused = "grpc_server_handled_total{grpc_code=\"NotFound\",grpc_method=\"LeaseRevoke\"";
    assert!(sample(refused).is_some_and(|value| value >= 1.0), "{text}");
}
