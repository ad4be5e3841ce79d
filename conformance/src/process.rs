//! A child process: its output as it comes, its signals, its exit.

use std::{path::Path, process::ExitStatus, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    sync::watch,
};

use crate::wait::within;

/// A running child. Dropping it kills it, and nothing but it, and waits until it is gone: whoever
/// comes next may take its port and its files.
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: watch::Receiver<String>,
    stderr: watch::Receiver<String>,
}

/// What a child left behind.
#[derive(Debug)]
pub struct Exit {
    /// How it ended.
    pub status: ExitStatus,
    /// All that it wrote to stdout.
    pub stdout: String,
    /// All that it wrote to stderr.
    pub stderr: String,
}

/// A command for `program` without the variables that choose the test's target
/// or that configure a server or client behind the test's back.
#[must_use]
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let own = ["ETCD_", "ETCDCTL_", "LATCHD_"];
        if own.iter().any(|p| name.to_string_lossy().starts_with(p)) {
            command.env_remove(name);
        }
    }
    command
}

impl Process {
    /// Starts `command` with both outputs captured and no input.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: Command) -> Result<Self> {
        Self::with_stdin(command, Stdio::null())
    }

    /// Starts `command` and writes `input` to it, then end of file.
    ///
    /// # Errors
    /// When it cannot be started, or does not take its input.
    pub async fn start_with_input(command: Command, input: &str) -> Result<Self> {
        let mut process = Self::start_dialogue(command)?;
        process.say(input).await?;
        process.stdin = None;
        Ok(process)
    }

    /// Starts `command`, to be spoken to by [`Self::say`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_dialogue(command: Command) -> Result<Self> {
        Self::with_stdin(command, Stdio::piped())
    }

    /// Writes to its stdin.
    ///
    /// # Errors
    /// When that is closed.
    pub async fn say(&mut self, input: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("it has no stdin")?;
        Ok(stdin.write_all(input.as_bytes()).await?)
    }

    fn with_stdin(mut command: Command, stdin: Stdio) -> Result<Self> {
        let name = format!("{:?}", command.as_std());
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            stdin: child.stdin.take(),
            stdout: capture(child.stdout.take()),
            stderr: capture(child.stderr.take()),
            name,
            child,
        })
    }

    /// What it has written to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.borrow().clone()
    }

    /// What it has written to stdout so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.borrow().clone()
    }

    /// Waits until its stdout fulfils `ready`; returns all of it.
    ///
    /// # Errors
    /// When it closes its stdout, or the deadline passes, before that.
    pub async fn stdout_until(
        &mut self,
        limit: Duration,
        ready: impl FnMut(&String) -> bool,
    ) -> Result<String> {
        output_until(&mut self.stdout, limit, ready)
            .await
            .with_context(|| self.story("stdout"))
    }

    /// As [`Self::stdout_until`], for stderr.
    ///
    /// # Errors
    /// As [`Self::stdout_until`].
    pub async fn stderr_until(
        &mut self,
        limit: Duration,
        ready: impl FnMut(&String) -> bool,
    ) -> Result<String> {
        output_until(&mut self.stderr, limit, ready)
            .await
            .with_context(|| self.story("stderr"))
    }

    fn story(&self, awaited: &str) -> String {
        let (stdout, stderr) = (self.stdout.borrow(), self.stderr.borrow());
        format!(
            "on {awaited} of {}\nstdout: {}\nstderr: {}",
            self.name, *stdout, *stderr
        )
    }

    /// Sends a signal, named as for kill(1): `INT`, `TERM`.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn signal(&self, signal: &str) -> Result<()> {
        let Some(pid) = self.child.id() else {
            bail!("{} has ended before SIG{signal}", self.name);
        };
        // The shell's own kill: std has none, and a bare system has no /bin/kill.
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{signal} {pid}"))
            .status()
            .await?;
        if !sent.success() {
            bail!("kill -{signal} {pid} ({}) failed", self.name);
        }
        Ok(())
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        let pid = self.child.id().context("it has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = rss.and_then(|rss| rss.trim().strip_suffix(" kB"));
        let kib: u64 = kib.context("no VmRSS")?.trim().parse()?;
        Ok(kib << 10)
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be signalled or waited for.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("kill -9")
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When the deadline passes before that.
    pub async fn exit(&mut self, limit: Duration) -> Result<Exit> {
        let ended = within(limit, "its end", async { Ok(self.child.wait().await?) }).await;
        let status = ended.with_context(|| self.story("the exit"))?;
        Ok(Exit {
            status,
            stdout: rest(&mut self.stdout).await,
            stderr: rest(&mut self.stderr).await,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            return;
        };
        // It has ended already where this fails.
        let _ = self.child.start_kill();
        // Tokio still wants to know how it ended.
        let leave = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = waitid(WaitId::Pid(pid), leave);
    }
}

impl Exit {
    /// The exit code; −1 when a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Its stdout, if it ended with success.
    ///
    /// # Errors
    /// Otherwise, with all that it said.
    pub fn ok(self) -> Result<String> {
        if !self.status.success() {
            bail!("it failed: {self:#?}");
        }
        Ok(self.stdout)
    }
}

/// Collects an output; the channel closes at its end.
fn capture(pipe: Option<impl AsyncRead + Send + Unpin + 'static>) -> watch::Receiver<String> {
    let (all, seen) = watch::channel(String::new());
    tokio::spawn(async move {
        let Some(mut pipe) = pipe else { return };
        let mut chunk = vec![0; 8192];
        while let Ok(n @ 1..) = pipe.read(&mut chunk).await {
            let text = String::from_utf8_lossy(&chunk[..n]);
            all.send_modify(|all| all.push_str(&text));
        }
    });
    seen
}

async fn output_until(
    output: &mut watch::Receiver<String>,
    limit: Duration,
    ready: impl FnMut(&String) -> bool,
) -> Result<String> {
    within(limit, "output", async {
        let seen = output.wait_for(ready).await.context("it was closed")?;
        Ok(seen.clone())
    })
    .await
}

/// How long an output may stay open after its process has ended, on a busy machine.
const REST: Duration = Duration::from_secs(5);

/// All of an output whose process has ended. A grandchild may still hold it
/// open: then what there is after a moment.
async fn rest(output: &mut watch::Receiver<String>) -> String {
    let closed = output.wait_for(|_| false);
    // Either way it holds what was written.
    let _ = tokio::time::timeout(REST, closed).await;
    output.borrow().clone()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::wait::SOON;

    fn shell(script: &str) -> Command {
        let mut shell = command(Path::new("sh"));
        shell.arg("-c").arg(script);
        shell
    }

    #[tokio::test]
    async fn code_and_outputs_come_through() {
        let mut process = Process::start(shell("echo out; echo err >&2; exit 7")).unwrap();
        let exit = process.exit(SOON).await.unwrap();
        assert_eq!((exit.code(), exit.stdout.as_str()), (7, "out\n"));
        assert_eq!(exit.stderr, "err\n");
    }

    #[tokio::test]
    async fn a_signal_arrives_once_it_is_ready_for_it() {
        let script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done";
        let mut process = Process::start(shell(script)).unwrap();
        process
            .stdout_until(SOON, |out| out.contains("ready"))
            .await
            .unwrap();
        process.signal("TERM").await.unwrap();
        assert_eq!(process.exit(SOON).await.unwrap().code(), 3);
    }

    #[tokio::test]
    async fn input_is_given_and_ended() {
        let mut process = Process::start_with_input(shell("cat"), "a\nb\n")
            .await
            .unwrap();
        assert_eq!(process.exit(SOON).await.unwrap().ok().unwrap(), "a\nb\n");
    }

    /// Its port among it: a listener that nobody else can have before.
    #[tokio::test]
    async fn a_dropped_one_is_gone() {
        let process = Process::start(shell("exec sleep 1000")).unwrap();
        let place = format!("/proc/{}/fd", process.child.id().unwrap());
        assert!(std::fs::read_dir(&place).unwrap().count() > 0);
        drop(process);
        let open = std::fs::read_dir(&place).map_or(0, Iterator::count);
        assert_eq!(open, 0, "it has files open");
    }

    #[tokio::test]
    async fn a_closed_output_ends_the_wait_for_it() {
        let mut process = Process::start(shell("exit 0")).unwrap();
        assert!(process.stdout_until(SOON, |_| false).await.is_err());
    }
}
