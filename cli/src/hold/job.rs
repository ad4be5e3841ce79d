//! The command that runs under the lock, in a process group of its own.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::{interval, timeout};

use super::terminal;
use crate::args::CHILD;

/// How often to look whether a process group is empty: nothing tells.
const GROUP_POLL: Duration = Duration::from_millis(10);

/// A command that runs. Dropping it takes the terminal back, if that was lent.
pub struct Job {
    child: Child,
    group: Pid,
    has_terminal: bool,
    /// Tells that the command was stopped, among other things.
    changes: unix::Signal,
}

impl Job {
    /// Starts `command` with `variables` added to the environment, by way of [`super::child`].
    pub fn start(command: &[OsString], variables: &[(&str, String)]) -> io::Result<Job> {
        let changes = signal(SignalKind::child())?;
        let has_terminal = terminal::is_ours();
        let child = Command::new(own_program()?)
            .args([CHILD, "--parent"])
            .arg(std::process::id().to_string())
            .args(has_terminal.then_some("--terminal"))
            .arg("--")
            .args(command)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or_else(|| io::Error::other("the process has no ID"))?;
        Ok(Job {
            child,
            group: Pid::from_raw(id),
            has_terminal,
            changes,
        })
    }

    /// Waits for the command's end; may be asked again after it.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = self.child.wait() => return status,
                _ = self.changes.recv() => if was_suspended(self.group) {
                    eprintln!("latchctl: a command that holds a lock is not suspended");
                    self.signal(Signal::SIGCONT);
                },
            }
        }
    }

    /// Sends `signal` to the whole group, as a terminal does.
    pub fn signal(&self, signal: Signal) {
        // The group may have ended in between, which is what signals are mostly for.
        let _ = killpg(self.group, signal);
    }

    /// Ends the whole group: asks, waits up to `grace`, then kills.
    pub async fn end(&mut self, grace: Duration) -> io::Result<()> {
        self.signal(Signal::SIGTERM);
        // One that is stopped would not hear of it.
        self.signal(Signal::SIGCONT);
        if timeout(grace, self.ended()).await.is_err() {
            self.signal(Signal::SIGKILL);
        }
        self.child.wait().await.map(drop)
    }

    /// Resolves when nobody of the group is left.
    async fn ended(&mut self) -> io::Result<()> {
        self.child.wait().await?;
        let mut looks = interval(GROUP_POLL);
        while killpg(self.group, None) != Err(Errno::ESRCH) {
            looks.tick().await;
        }
        Ok(())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.has_terminal {
            terminal::take();
        }
    }
}

/// Whether the command was stopped from its terminal (Ctrl-Z) since last asked. Nobody could
/// continue it: the terminal is its own, and latchctl has to go on.
#[cfg(target_os = "linux")]
fn was_suspended(command: Pid) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

    let stops = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG;
    matches!(
        waitid(Id::Pid(command), stops),
        Ok(WaitStatus::Stopped(_, Signal::SIGTSTP))
    )
}

#[cfg(not(target_os = "linux"))]
fn was_suspended(_command: Pid) -> bool {
    false
}

/// This program, also when its file was replaced since it was started.
fn own_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        Ok("/proc/self/exe".into())
    } else {
        std::env::current_exe()
    }
}
