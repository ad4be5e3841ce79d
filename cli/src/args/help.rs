//! The texts of `latchctl --help`: commands in groups, and what holds for all of them.

use std::fmt::Write;

use crate::exit;

/// Which commands belong together. What they do is told by their own definitions.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Hold", &["lock", "elect"]),
    (
        "Look",
        &[
            "ls",
            "show",
            "watch",
            "top",
            "history",
            "deadlocks",
            "session",
        ],
    ),
    ("Check and let go", &["verify", "release"]),
    ("Tools", &["bench", "completions", "man", "version", "help"]),
];

const EXAMPLES: &str =
    "  latchctl lock reports/nightly -- ./report.sh       run it while nobody else does
  latchctl lock gpu --semaphore 4 -- ./train.sh      at most four at a time
  latchctl ls                                        who holds what, and who waits
  latchctl show reports/nightly -o json              for programs
  latchctl top                                       live";

const VARIABLES: &str =
    "  Every option of Connection and Output can be given as a variable: --command-timeout as
  LATCHD_COMMAND_TIMEOUT, or as etcdctl has it, ETCDCTL_COMMAND_TIMEOUT. An option wins over
  LATCHD_…, and that over ETCDCTL_…. --output is also ETCDCTL_WRITE_OUT. With NO_COLOR set there are
  no colours.";

const ENDING: &str =
    "Against a plain etcd, what needs latchd (history, session, deadlocks) says so; the rest works.
`latchctl COMMAND --help` has each command's options, exit codes and examples.";

/// Gives the definition its help.
pub fn dress(mut command: clap::Command) -> clap::Command {
    // So that `help` is among the subcommands.
    command.build();
    let groups = GROUPS.map(|(title, names)| (title, listed(&command, names)));
    let groups = sections(&command, groups);
    let around = [
        ("Examples", EXAMPLES),
        ("Variables", VARIABLES),
        (
            "Exit codes (`lock` and `elect` have more)",
            exit::OTHER_TABLE,
        ),
    ];
    let around = sections(
        &command,
        around.map(|(title, body)| (title, body.to_owned())),
    );
    let template =
        format!("{{about}}\n\n{{usage-heading}} {{usage}}\n{groups}\n{{options}}{{after-help}}\n");
    command
        .help_template(template)
        .after_help(format!("{}\n{ENDING}", around.trim_start_matches('\n')))
}

fn sections<const N: usize>(command: &clap::Command, sections: [(&str, String); N]) -> String {
    let header = command.get_styles().get_header();
    sections
        .into_iter()
        .fold(String::new(), |mut text, (title, body)| {
            // Writing to memory does not fail.
            let _ = write!(text, "\n{header}{title}:{header:#}\n{body}\n");
            text
        })
}

/// A line for each command.
fn listed(command: &clap::Command, names: &[&str]) -> String {
    let literal = command.get_styles().get_literal();
    let line = |name: &&str| {
        let about = command
            .find_subcommand(name)
            .and_then(|sub| sub.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        format!("  {literal}{name:<12}{literal:#} {about}")
    };
    names.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::args::Args;

    #[test]
    fn every_command_is_in_one_group_and_says_what_it_does() {
        let command = Args::described();
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let names: BTreeSet<&str> = shown.map(clap::Command::get_name).collect();
        let grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        assert_eq!(grouped.len(), names.len());
        assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), names);
        for line in listed(&command, &grouped).lines() {
            assert!(line.split_whitespace().count() > 3, "{line}");
        }
    }
}
