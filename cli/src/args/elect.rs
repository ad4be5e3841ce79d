//! `latchctl elect`.

use std::ffi::OsString;

use clap::error::ErrorKind;

use super::hold::HoldArgs;
use super::mistake;
use crate::exit;

/// Campaign in an election and lead, or observe who leads.
///
/// With a VALUE: waits until it is elected, prints the leader's key and value, and leads until
/// latchctl gets a signal (Ctrl-C) or, with CMD, until CMD ends; then resigns. With --listen:
/// prints the leader, and each one after it. Elections are etcd's: `etcdctl elect` and every
/// program with an etcd election takes part in the same.
///
/// If the leadership is lost while CMD runs, CMD is ended as `latchctl lock` does it.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "latchctl elect [OPTIONS] NAME VALUE [-- CMD [ARGS]...]
       latchctl elect --listen NAME",
    after_help = after_help()
)]
pub struct ElectArgs {
    /// The election's name.
    #[arg(value_name = "NAME")]
    pub name: OsString,

    /// What the observers are told: usually how to reach the leader.
    #[arg(value_name = "VALUE")]
    pub value: Option<OsString>,

    /// Observe: print the leader, and each one after it.
    #[arg(long, short, conflicts_with_all = ["value", "command"])]
    pub listen: bool,

    #[command(flatten)]
    pub hold: HoldArgs,

    /// What to run while it leads.
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

impl ElectArgs {
    pub(super) fn check(&self) -> Result<(), clap::Error> {
        let wrong = if self.name.is_empty() {
            "the name of the election is empty"
        } else if self.value.is_none() && !self.listen {
            "give a VALUE to campaign with, or --listen to observe"
        } else {
            return self.hold.check("elect");
        };
        Err(mistake("elect", ErrorKind::MissingRequiredArgument, wrong))
    }
}

fn after_help() -> String {
    format!(
        "{}

CMD finds LATCHD_ELECTION_NAME, LATCHD_ELECTION_KEY and LATCHD_FENCING_TOKEN in its environment.

Examples:
  latchctl elect scheduler node-7:8080                  # leads until Ctrl-C
  latchctl elect scheduler node-7:8080 -- ./scheduler   # runs it only while it leads
  latchctl elect --listen scheduler                     # who leads, and who comes after",
        exit::ELECT_TABLE
    )
}
