//! What latchctl says of itself, and of mistakes.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use std::process::Output;

use common::{Fixture, bare, soon, stderr, stdout};

const COMMANDS: [&str; 14] = [
    "lock",
    "elect",
    "ls",
    "show",
    "watch",
    "top",
    "history",
    "deadlocks",
    "session",
    "verify",
    "release",
    "bench",
    "completions",
    "man",
];

async fn said(arguments: &[&str]) -> Output {
    soon(bare(arguments).output()).await.expect("latchctl runs")
}

#[tokio::test]
async fn version() {
    let expected = format!("latchctl version: {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(stdout(&said(&["version"]).await), expected);
    let short = format!("latchctl {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(stdout(&said(&["--version"]).await), short);
}

#[tokio::test]
async fn help_names_every_command_and_each_has_its_own() {
    let help = stdout(&said(&["--help"]).await);
    for command in COMMANDS {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command}: {help}"
        );
        let own = said(&[command, "--help"]).await;
        assert!(own.status.success(), "{command}");
        let own = stdout(&own);
        assert!(own.contains("Usage: latchctl"), "{command}: {own}");
        if command != "session" && command != "deadlocks" && command != "completions" {
            assert!(
                own.contains("Examples:") || own.contains("Keys:"),
                "{command}: {own}"
            );
        }
    }
    for text in [
        "--endpoints",
        "--cacert",
        "LATCHD_",
        "ETCDCTL_",
        "NO_COLOR",
        "Exit codes",
    ] {
        assert!(help.contains(text), "{text}: {help}");
    }
    let lock = stdout(&said(&["lock", "--help"]).await);
    for text in [
        "--try",
        "--kill-after",
        "120",
        "121",
        "123",
        "124",
        "LATCHD_FENCING_TOKEN",
    ] {
        assert!(lock.contains(text), "{text}");
    }
}

#[tokio::test]
async fn mistakes_are_told_with_what_to_do() {
    let cases: [(&[&str], &str); 6] = [
        (&["lock"], "NAME"),
        (
            &["lock", "job", "--ttl", "4", "--kill-after", "3", "--", "x"],
            "longer --ttl",
        ),
        (&["ls", "--cert", "/c"], "--key"),
        (&["ls", "--user", "ann"], "LATCHD_PASSWORD"),
        (&["top"], "needs a terminal"),
        (&["lsx"], "--help"),
    ];
    for (arguments, advice) in cases {
        let output = said(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(
            stderr(&output).contains(advice),
            "{arguments:?}: {output:?}"
        );
    }
    let file = said(&["ls", "--cacert", "/no/such/file"]).await;
    assert_eq!(file.status.code(), Some(125), "{file:?}");
    assert!(stderr(&file).contains("/no/such/file"), "{file:?}");
}

#[tokio::test]
async fn variables_stand_for_options() {
    let mut command = bare(&["ls"]);
    command.env("ETCDCTL_WRITE_OUT", "fields");
    let output = soon(command.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("LATCHD_OUTPUT"), "{output:?}");
    let fixture = Fixture::start().await;
    let mut command = bare(&["ls"]);
    command.env("LATCHD_OUTPUT", "json");
    command.env("ETCDCTL_ENDPOINTS", &fixture.latchctl.endpoint);
    let output = soon(command.output()).await.unwrap();
    assert_eq!(stdout(&output).trim(), "[]", "{output:?}");
}

#[tokio::test]
async fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&said(&["completions", shell]).await);
        assert!(
            script.contains("latchctl") && script.contains("semaphore"),
            "{shell}"
        );
        assert!(
            !script.contains("child"),
            "the hidden command is nobody's business: {shell}"
        );
    }
    if let Ok(mut bash) = tokio::process::Command::new("bash")
        .arg("-n")
        .stdin(std::process::Stdio::piped())
        .spawn()
    {
        use tokio::io::AsyncWriteExt;
        let script = said(&["completions", "bash"]).await.stdout;
        let mut stdin = bash.stdin.take().unwrap();
        stdin.write_all(&script).await.unwrap();
        drop(stdin);
        assert!(soon(bash.wait()).await.unwrap().success());
    }
}

#[tokio::test]
async fn manual_pages() {
    let page = stdout(&said(&["man"]).await);
    assert!(page.contains(".TH latchctl 1"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    assert!(said(&["man", "--dir", path]).await.status.success());
    for name in ["latchctl.1", "latchctl-lock.1", "latchctl-session-ls.1"] {
        let page = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(
            page.starts_with(".ie") && page.contains(".SH NAME"),
            "{name}: {page}"
        );
    }
    assert!(!dir.path().join("latchctl-child.1").exists());
    let nowhere = said(&["man", "--dir", "/no/such/dir"]).await;
    assert_eq!(nowhere.status.code(), Some(125), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_enough_is_no_failure() {
    let fixture = Fixture::start().await;
    let _held = fixture.latchctl.hold(&["job"]).await;
    let line = format!(
        "{} ls --endpoints {} | head -n 0; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_latchctl"),
        fixture.latchctl.endpoint
    );
    let mut bash = tokio::process::Command::new("bash");
    let output = soon(bash.args(["-c", &line]).output()).await.expect("bash");
    assert_eq!(stderr(&output), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_bench() {
    let fixture = Fixture::start().await;
    let arguments = [
        "bench",
        "--clients",
        "3",
        "--locks",
        "1",
        "--duration",
        "300ms",
    ];
    let report = fixture.latchctl.json(&arguments).await;
    assert!(report["cycles"].as_u64().unwrap() > 0, "{report}");
    assert!(report["lock_us"]["p99"].as_u64().unwrap() > 0, "{report}");
    let text = fixture.latchctl.ok(&arguments).await;
    assert!(text.contains("lock cycles/s"), "{text}");
    fixture.wait_for_keys("latchctl-bench", 0).await;
}
