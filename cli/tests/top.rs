//! `latchctl top` in a terminal, as somebody would see it.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use std::io::{Read, Write};
use tokio::sync::watch;

use common::{Fixture, PATIENCE};

const SIZE: PtySize = PtySize {
    rows: 24,
    cols: 100,
    pixel_width: 0,
    pixel_height: 0,
};

/// A terminal with the program in it.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: watch::Receiver<String>,
}

impl Terminal {
    fn start(endpoint: &str, variables: &[(&str, &str)]) -> Terminal {
        let pair = native_pty_system().openpty(SIZE).expect("a terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_latchctl"));
        command.args(["top", "--endpoints", endpoint, "--interval", "100ms"]);
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("it starts");
        let reader = pair.master.try_clone_reader().expect("a reader");
        let keyboard = pair.master.take_writer().expect("a writer");
        let (draws, screen) = watch::channel(String::new());
        std::thread::spawn(move || draw(reader, &draws));
        Terminal {
            child,
            keyboard,
            screen,
        }
    }

    /// Waits until the screen is as `is_so` wants it.
    async fn shows(&mut self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let screen = &mut self.screen;
        let shown = tokio::time::timeout(PATIENCE, screen.wait_for(|screen| is_so(screen)));
        if let Ok(Ok(screen)) = shown.await {
            return screen.clone();
        }
        panic!("waited for {what}:\n{}", *self.screen.borrow())
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("pressed");
        self.keyboard.flush().expect("pressed");
    }

    async fn exit(mut self) -> u32 {
        let waiting = tokio::task::spawn_blocking(move || self.child.wait());
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.expect("it ends").unwrap().unwrap().exit_code()
    }
}

/// Keeps the screen as the terminal has it; what it was before `latchctl top` is the last.
fn draw(mut reader: Box<dyn Read + Send>, draws: &watch::Sender<String>) {
    let [rows, cols] = [SIZE.rows, SIZE.cols].map(|size| size.try_into().expect("some"));
    let mut terminal = vt100::Parser::new(rows, cols, 0);
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = reader.read(&mut chunk) {
        terminal.process(&chunk[..n]);
        let screen = terminal.screen();
        let state = format!(
            "alternate={}\n{}",
            screen.alternate_screen(),
            screen.contents()
        );
        draws.send_replace(state);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_seen_live_and_the_terminal_is_given_back() {
    let fixture = Fixture::start().await;
    let mut top = Terminal::start(&fixture.latchctl.endpoint, &[]);
    top.shows("nothing", |screen| {
        screen.contains("nobody holds or awaits")
    })
    .await;
    let _holder = fixture
        .latchctl
        .hold(&["reports/nightly", "--owner", "ann"])
        .await;
    let _waiter =
        fixture
            .latchctl
            .start(&["lock", "reports/nightly", "--owner", "bob", "--", "true"]);
    let screen = top
        .shows("the queue", |screen| {
            // It comes in pieces.
            let parts = ["ann", "bob", "1 locks  1 holders  1 waiting"];
            parts.iter().all(|part| screen.contains(part))
        })
        .await;
    assert!(screen.contains("reports/nightly"), "{screen}");
    top.press("/nothing-like-it");
    top.shows("the filter", |screen| {
        screen.contains("no lock's name contains")
    })
    .await;
    top.press("\x1b");
    top.shows("all", |screen| screen.contains("bob")).await;
    top.press("?");
    top.shows("the keys", |screen| screen.contains("Any key goes back"))
        .await;
    top.press("xq");
    let mut screen = top.screen.clone();
    assert_eq!(top.exit().await, 0);
    let last = screen.wait_for(|screen| screen.starts_with("alternate=false"));
    let last = tokio::time::timeout(PATIENCE, last).await;
    assert!(
        last.is_ok_and(|seen| seen.is_ok()),
        "the terminal is as it was"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_and_comes_is_told() {
    let mut fixture = Fixture::start().await;
    let mut top = Terminal::start(&fixture.latchctl.endpoint, &[("NO_COLOR", "1")]);
    top.shows("nothing", |screen| {
        screen.contains("nobody holds or awaits")
    })
    .await;
    fixture.stop().await;
    top.shows("the loss", |screen| screen.contains("does not answer"))
        .await;
    top.press("\x03");
    assert_eq!(top.exit().await, 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_on_the_plain_screen() {
    let mut fixture = Fixture::start().await;
    fixture.stop().await;
    let mut top = Terminal::start(
        &fixture.latchctl.endpoint,
        &[("LATCHD_COMMAND_TIMEOUT", "1s")],
    );
    let screen = top
        .shows("advice", |screen| screen.contains("--endpoints"))
        .await;
    assert!(screen.starts_with("alternate=false"), "{screen}");
    assert_eq!(top.exit().await, 123);
}
