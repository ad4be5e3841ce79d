//! The commands about one hold.

use std::ffi::OsString;

/// Ask whether a fencing token still stands for a hold.
///
/// Exits with 0 if it does, and with 1 if not. The answer may be out of date when it arrives: what
/// a lock protects should itself refuse a token that is lower than one it has seen.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  latchctl verify deploy 4711 && ./next-step.sh
  latchctl lock deploy -- sh -c './first-step.sh; latchctl verify deploy && ./next-step.sh'")]
pub struct VerifyArgs {
    /// The lock's name.
    #[arg(value_name = "NAME")]
    pub name: OsString,
    /// The token, as `latchctl show` tells it [default: $LATCHD_FENCING_TOKEN, which a command of
    /// `latchctl lock` has]
    #[arg(value_name = "TOKEN", value_parser = token)]
    pub token: Option<i64>,
}

/// Release a lock before the command that runs under it ends, or take one away.
///
/// In a command of `latchctl lock`, this lets the next one in early. With --force it takes the lock
/// from whoever holds it, or a waiter its place in the queue: a session of latchd is told, and its
/// command ended; an etcd client is not told, and goes on as if it held the lock.
///
/// Exits with 1 if nobody holds or awaits NAME with that token.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  latchctl lock deploy -- sh -c './deploy.sh; latchctl release deploy; ./notify.sh'
  latchctl show deploy                           # who has it, with which token
  latchctl release deploy --force --token 4711")]
pub struct ReleaseArgs {
    /// The lock's name.
    #[arg(value_name = "NAME")]
    pub name: OsString,
    /// The token of the hold, as `latchctl show` tells it [default without --force:
    /// $LATCHD_FENCING_TOKEN, which a command of `latchctl lock` has]
    #[arg(long, value_name = "TOKEN", value_parser = token, required_if_eq("force", "true"))]
    pub token: Option<i64>,
    /// Take it away from whoever has it.
    #[arg(long)]
    pub force: bool,
}

/// Reads a token.
pub fn token(text: &str) -> Result<i64, String> {
    let token = text.parse().ok().filter(|&token| token > 0);
    token.ok_or_else(|| format!("`{text}` is no token; `latchctl show NAME` has a column of them"))
}
