//! Flags, variables and files together.

use super::*;

fn parse(args: &[&str], variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment = variables.iter().map(own).collect();
    Config::from_args(args.iter().map(OsString::from), &environment)
}

fn usage(args: &[&str]) -> String {
    match parse(args, &[]) {
        Err(ConfigError::Usage(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn invalid(args: &[&str], variables: &[(&str, &str)]) -> String {
    match parse(args, variables) {
        Err(ConfigError::Invalid(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_one_wins() {
    let config = parse(&["--name=a", "-name", "b"], &[]).unwrap();
    assert_eq!(config.name, "b");
    let args = ["--unsafe-no-fsync", "--unsafe-no-fsync=false"];
    assert!(!parse(&args, &[]).unwrap().unsafe_no_fsync);
    assert!(parse(&args[..1], &[]).unwrap().unsafe_no_fsync);
}

#[test]
fn a_flag_before_latchd_before_etcd() {
    let both = [("ETCD_NAME", "etcd"), ("LATCHD_NAME", "latchd")];
    assert_eq!(parse(&[], &both[..1]).unwrap().name, "etcd");
    assert_eq!(parse(&[], &both).unwrap().name, "latchd");
    assert_eq!(parse(&["--name=flag"], &both).unwrap().name, "flag");
    assert_eq!(parse(&[], &[("ETCD_NAME", "")]).unwrap().name, "default");
}

#[test]
fn etcds_sentences_for_wrong_values() {
    for (flag, said) in [
        (
            "--max-txn-ops=x",
            r#"invalid value "x" for flag -max-txn-ops: parse error"#,
        ),
        (
            "--quota-backend-bytes=1.5",
            r#"invalid value "1.5" for flag -quota-backend-bytes: parse error"#,
        ),
        (
            "--max-request-bytes=-5",
            r#"invalid value "-5" for flag -max-request-bytes: parse error"#,
        ),
        (
            "--max-concurrent-streams=-1",
            r#"invalid value "-1" for flag -max-concurrent-streams: strconv.ParseUint: parsing "-1": invalid syntax"#,
        ),
        (
            "--socket-reuse-port=maybe",
            r#"invalid boolean value "maybe" for -socket-reuse-port: parse error"#,
        ),
        (
            "--socket-reuse-port=",
            r#"invalid boolean value "" for -socket-reuse-port: parse error"#,
        ),
        (
            "--warning-unary-request-duration=5",
            r#"invalid value "5" for flag -warning-unary-request-duration: parse error"#,
        ),
        (
            "--snapshot-count=x",
            r#"invalid value "x" for flag -snapshot-count: parse error"#,
        ),
        (
            "--listen-client-urls=ftp://x",
            r#"invalid value "ftp://x" for flag -listen-client-urls: URL scheme must be http, https, unix, or unixs: ftp://x"#,
        ),
        ("--name", "flag needs an argument: -name"),
        ("---a", "bad flag syntax: ---a"),
    ] {
        assert_eq!(usage(&[flag]), said);
    }
}

#[test]
fn an_unknown_flag_has_a_hint() {
    let said = usage(&["--nam=x"]);
    assert!(
        said.starts_with("flag provided but not defined: -nam\n"),
        "{said}"
    );
    assert!(said.contains("--name"), "{said}");
    assert_eq!(usage(&["--zzz"]), "flag provided but not defined: -zzz");
}

#[test]
fn what_is_wrong_only_when_it_is_put_together() {
    assert_eq!(invalid(&["extra"], &[]), r#""extra" is not a valid flag"#);
    let said = invalid(&["--auto-compaction-mode=foo"], &[]);
    assert_eq!(said, r#"unknown auto-compaction-mode "foo""#);
    let said = invalid(&[], &[("ETCD_MAX_TXN_OPS", "x")]);
    assert_eq!(
        said,
        r#"invalid value "x" for ETCD_MAX_TXN_OPS: parse error"#
    );
    let said = invalid(&["--listen-client-urls=http://example.com:1"], &[]);
    assert!(said.starts_with("expected IP in URL for binding (http://example.com:1)"));
    let same = [
        "--listen-client-urls=http://127.0.0.1:1",
        "--listen-client-http-urls=http://127.0.0.1:1",
    ];
    assert!(invalid(&same, &[]).ends_with("on the same url http://127.0.0.1:1"));
    assert!(invalid(&["--enable-log-rotation"], &[]).contains("a single file path"));
    assert!(parse(&["--enable-log-rotation=0"], &[]).is_ok());
    // etcd reads it only when it is needed.
    assert!(parse(&["--log-rotation-config-json={"], &[]).is_ok());
    let rotated = ["--log-outputs=/a", "--enable-log-rotation"];
    let config = parse(&rotated, &[]).unwrap();
    assert_eq!(config.log.rotation, Rotation::parse("{}").ok());
    let broken = [&rotated[..], &["--log-rotation-config-json={"]].concat();
    assert!(invalid(&broken, &[]).starts_with("improperly formatted log rotation config: "));
    assert!(
        invalid(&["--cert-file=/a"], &[]).contains("--cert-file \"/a\" is not implemented yet")
    );
    assert!(parse(&["--cert-file=", "--client-cert-auth=false"], &[]).is_ok());
    // The line doors alone have it.
    let certificate = ["--cert-file=/a", "--key-file=/b"];
    assert!(invalid(&certificate, &[]).contains("latchd does not have TLS"));
    let doors = |more: &[&'static str]| [&certificate[..], more].concat();
    let config = parse(&doors(&["--door-tls"]), &[]).unwrap();
    assert_eq!(config.doors.tls.unwrap().key, std::path::Path::new("/b"));
    assert!(invalid(&doors(&["--door-tls=false"]), &[]).contains("latchd does not have TLS"));
    let more = doors(&["--door-tls", "--trusted-ca-file=/c"]);
    assert!(invalid(&more, &[]).contains("--trusted-ca-file"));
    let said = "--door-tls needs --cert-file and --key-file";
    assert_eq!(invalid(&["--door-tls", "--cert-file=/a"], &[]), said);
    let said = "unknown logger option \"x\"";
    assert_eq!(invalid(&["--logger=x"], &[]), said);
}

#[test]
fn limits_and_their_defaults() {
    let config = parse(&[], &[]).unwrap();
    let default = Limits::default();
    assert_eq!(config.limits.request_bytes, default.request_bytes);
    assert_eq!(config.limits.txn_ops, default.txn_ops);
    assert_eq!(config.limits.quota, default.quota);
    assert_eq!(config.connections.max_streams, None);
    assert_eq!(config.auto_compaction, AutoCompaction::Revision(10_000));
    let args = [
        "--quota-backend-bytes=-1",
        "--max-txn-ops=0x10",
        "--max-concurrent-streams=7",
        "--grpc-keepalive-interval=0",
        "--warning-unary-request-duration=0s",
        "--auto-compaction-retention=0",
    ];
    let config = parse(&args, &[]).unwrap();
    assert_eq!(config.limits.quota, None);
    assert_eq!(config.limits.txn_ops, 16);
    assert_eq!(config.connections.max_streams, Some(7));
    assert_eq!(config.connections.ping_interval, None);
    assert_eq!(config.slow_call, Duration::from_millis(300));
    assert_eq!(config.auto_compaction, AutoCompaction::Off);
}

#[test]
fn peers_are_told_and_the_rest_is_noted_once() {
    let args = [
        "--initial-cluster=a=http://b:1",
        "--initial-cluster=a=http://b:2",
        "--initial-advertise-peer-urls=http://b:1",
    ];
    let config = parse(&args, &[]).unwrap();
    assert_eq!(config.peer_urls, ["http://b:1"]);
    let [Note::WithoutEffect { flag, .. }] = &config.notes[..] else {
        panic!("{:?}", config.notes);
    };
    assert_eq!(flag, "--initial-cluster");
    let three = "--initial-cluster=a=http://a:1,b=http://b:1,c=http://c:1";
    let notes = parse(&[three], &[]).unwrap().notes;
    assert!(matches!(notes[1], Note::Alone { .. }));
}

#[test]
fn nothing_given_is_the_default() {
    let none = [
        "--listen-client-urls=",
        "--initial-advertise-peer-urls=",
        "--data-dir=",
        "--version=false",
    ];
    let config = parse(&none, &[]).unwrap();
    let default = parse(&[], &[]).unwrap();
    assert_eq!(config.listen_client_urls, default.listen_client_urls);
    assert_eq!(config.peer_urls, ["http://localhost:2380"]);
    assert_eq!(config.data_dir, default.data_dir);
    let Err(ConfigError::Usage(said)) = parse(&["--version=x"], &[]) else {
        panic!("a version");
    };
    assert_eq!(
        said,
        "invalid boolean value \"x\" for -version: parse error"
    );
}

#[test]
fn a_file_alone_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yaml");
    let text = "name: file\nmax-txn-ops: 3\nwarning-unary-request-duration: 1000000000\n\
                snapshot-count: 7\nodd: 1\nsocket-options:\n  reuse-port: true\n";
    std::fs::write(&path, text).unwrap();
    let flag = format!("--config-file={}", path.display());
    let config = parse(&[&flag, "--name=flag"], &[("ETCD_NAME", "variable")]).unwrap();
    assert_eq!(config.name, "file");
    assert_eq!(config.limits.txn_ops, 3);
    assert_eq!(config.slow_call, Duration::from_secs(1));
    assert!(config.connections.reuse_port);
    let has = |found: fn(&Note) -> bool| config.notes.iter().any(found);
    assert!(has(|note| matches!(note, Note::FileLoaded { .. })));
    assert!(has(|note| matches!(note, Note::FileKey { .. })));
    assert!(has(|note| matches!(note, Note::WithoutEffect { .. })));
    assert!(!has(|note| matches!(note, Note::VariableUsed { .. })));

    std::fs::write(&path, "log-level: x").unwrap();
    let said = invalid(&[&flag], &[]);
    assert!(
        said.starts_with(r#"invalid value "x" for log-level in "#),
        "{said}"
    );
    let directory = format!("--config-file={}", dir.path().display());
    let said = format!("read {}: is a directory", dir.path().display());
    assert_eq!(invalid(&[&directory], &[]), said);
    let said = invalid(&["--config-file=/nope"], &[]);
    assert_eq!(said, "open /nope: no such file or directory");
}

#[test]
fn every_flag_is_known_once_and_helped_with() {
    let names = names();
    let once: BTreeSet<&String> = names.iter().collect();
    assert_eq!(names.len(), once.len());
    let Err(ConfigError::Asked(help)) = parse(&["-help"], &[]) else {
        panic!("no help");
    };
    let help = help.to_string();
    for name in names {
        assert!(help.contains(&format!("--{name}")), "{name}");
    }
}

#[test]
fn every_flag_of_etcds_help() {
    let known: BTreeSet<String> = names().into_iter().collect();
    for flag in ETCDS.split_whitespace() {
        assert!(known.contains(flag), "{flag}");
    }
}

/// etcd 3.7.1 --help.
const ETCDS: &str = "
advertise-client-urls auth-token auth-token-ttl auto-compaction-mode auto-compaction-retention
auto-tls backend-batch-interval backend-batch-limit backend-bbolt-freelist-type bcrypt-cost
bootstrap-defrag-threshold-megabytes cert-file cipher-suites client-cert-allowed-hostname
client-cert-auth client-cert-file client-crl-file client-key-file compact-hash-check-time
compaction-batch-limit compaction-sleep-interval corrupt-check-time cors data-dir discovery
discovery-cacert discovery-cert discovery-dial-timeout discovery-endpoints discovery-fallback
discovery-insecure-skip-tls-verify discovery-insecure-transport discovery-keepalive-time
discovery-keepalive-timeout discovery-key discovery-password discovery-proxy
discovery-request-timeout discovery-srv discovery-srv-name discovery-token discovery-user
distributed-tracing-address distributed-tracing-instance-id distributed-tracing-sampling-rate
distributed-tracing-service-name downgrade-check-time election-timeout enable-distributed-tracing
enable-grpc-gateway enable-log-rotation enable-pprof feature-gates force-new-cluster
grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout heartbeat-interval
host-whitelist initial-advertise-peer-urls initial-cluster initial-cluster-state
initial-cluster-token initial-election-tick-advance key-file listen-client-http-urls
listen-client-urls listen-metrics-urls listen-peer-urls log-format log-level log-outputs
log-rotation-config-json logger max-concurrent-streams max-learners max-request-bytes
max-snapshots max-txn-ops max-wals memory-mlock metrics name peer-auto-tls peer-cert-allowed-cn
peer-cert-allowed-hostname peer-cert-file peer-client-cert-auth peer-client-cert-file
peer-client-key-file peer-crl-file peer-key-file peer-skip-client-san-verification
peer-trusted-ca-file pre-vote quota-backend-bytes raft-read-timeout raft-write-timeout
self-signed-cert-validity snapshot-catchup-entries snapshot-count socket-reuse-address
socket-reuse-port strict-reconfig-check tls-max-version tls-min-version trusted-ca-file
unsafe-no-fsync v2-deprecation wal-dir warning-apply-duration warning-unary-request-duration
watch-progress-notify-interval
";
