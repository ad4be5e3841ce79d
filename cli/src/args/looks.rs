//! The commands that only look.

use std::ffi::OsString;
use std::time::Duration;

use crate::duration;

/// List the locks that somebody holds or waits for.
///
/// One line a lock: how it is held, by whom, for how long, and how many wait for it. Locks of any
/// etcd client are listed, too; what their keys don't tell is shown as `?`.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "list",
    after_help = "\
Examples:
  latchctl ls
  latchctl ls reports/
  latchctl ls -o json | jq -r '.[] | select(.waiting | length > 0) | .name'"
)]
pub struct LsArgs {
    /// Only names that begin with this.
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub prefix: OsString,
}

/// Show one lock: its holders, its queue, their ages and labels.
///
/// Exits with 1 if nobody holds or awaits it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  latchctl show reports/nightly
  latchctl show deploy -o json | jq '.holders[].token'")]
pub struct ShowArgs {
    /// The lock's name.
    #[arg(value_name = "NAME")]
    pub name: OsString,
}

/// Watch locks being queued for, acquired, released and lost, until Ctrl-C.
///
/// Begins with what is held and awaited now. A latchd tells how a hold ended: released, expired or
/// taken away by force; on etcd the keys only tell that it has ended.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With -o json each line is one object; its \"event\" is snapshot, queued, acquired, released,
expired, forced, left, ended or deadlock.

Examples:
  latchctl watch
  latchctl watch reports/ -o json | jq -c 'select(.event == \"acquired\")'")]
pub struct WatchArgs {
    /// Only names that begin with this.
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub prefix: OsString,
    /// Don't begin with what there is; only tell changes.
    #[arg(long)]
    pub only_changes: bool,
}

/// Tell who held what: the last holds that have ended, the newest first.
///
/// From the memory of this latchd, which is empty after a restart. An etcd has none.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  latchctl history
  latchctl history reports/ --limit 10")]
pub struct HistoryArgs {
    /// Only names that begin with this.
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub prefix: OsString,
    /// At most so many holds.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// Show waits that wait for one another.
///
/// latchd ends a deadlock by refusing the youngest wait of its own kind in it; listed here are those
/// of which every wait is an etcd client's, so that people have to resolve them, for instance with
/// `latchctl release --force`. Exits with 1 if there is one. An etcd knows of none.
#[derive(Debug, clap::Args)]
pub struct DeadlocksArgs {}

/// Look at the sessions that hold locks.
#[derive(Debug, clap::Subcommand)]
pub enum SessionCommand {
    /// List the sessions of latchd's own clients: how long they live, and whether they are
    /// connected.
    #[command(visible_alias = "list")]
    Ls,
}

/// Watch locks live in the terminal: by waiters, wait time or hand-offs, with the selected lock's
/// queue.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Keys:
  up, down, page up, page down, home, end   select a lock; also j and k
  s, r      sort by the next column; the other way round
  /         show only names that contain a text; Enter keeps it, Esc drops it
  space     stop and go on
  ?         these keys
  q, Esc    leave; also Ctrl-C")]
pub struct TopArgs {
    /// Only names that begin with this.
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub prefix: OsString,
    /// How often to look.
    #[arg(long, short = 'd', value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub interval: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        short if short < Duration::from_millis(50) => Err("it must be at least 50ms".into()),
        interval => Ok(interval),
    }
}
