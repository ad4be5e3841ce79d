//! Scripts of etcdctl commands: the files in `tests/scripts/`.
//!
//! | line | meaning |
//! |---|---|
//! | `get a --rev 2` | runs `etcdctl get a --rev 2`; words are quoted with `'` |
//! | `L = lease grant 100` | also remembers the lease that it prints, as `$L` |
//! | `6 lines: watch a` | ends it with SIGINT once it has printed six lines |
//! | `start w: watch a` | leaves it running |
//! | `await w 3` | waits until it has printed three lines |
//! | `end w` | SIGINT, and its end |
//! | <code>&vert; put b 9</code> | a line of input for the command above it |
//! | `# why` | a comment |
//!
//! `$MEMBER` is the member's ID in hexadecimal, `$ADDRESS` the server's `host:port`,
//! `$FILE` a path where nothing is yet.

use anyhow::{Context, Result, bail};

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line as it is written, which names the step.
    pub line: String,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Runs a command to its end.
    Run(Call),
    /// Runs a command and remembers the lease that it prints.
    Grant(String, Call),
    /// Runs a command until it has printed so many lines.
    Lines(usize, Call),
    /// Starts a command under a name.
    Start(String, Call),
    /// Waits until a started one has printed so many lines.
    Await(String, usize),
    /// Interrupts a started one.
    End(String),
}

/// The arguments of an etcdctl, and what it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its standard input.
    pub input: String,
}

/// Reads a script.
///
/// # Errors
/// For a line without a meaning.
pub fn parse(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(input) = line.strip_prefix('|') {
            let call = steps.last_mut().and_then(|step| step.action.call());
            let call = call.with_context(|| format!("input without a command: {line}"))?;
            call.input.push_str(input.trim_start());
            call.input.push('\n');
            continue;
        }
        steps.push(step(line).with_context(|| format!("in `{line}`"))?);
    }
    Ok(steps)
}

impl Action {
    fn call(&mut self) -> Option<&mut Call> {
        match self {
            Self::Run(call)
            | Self::Grant(_, call)
            | Self::Lines(_, call)
            | Self::Start(_, call) => Some(call),
            Self::Await(..) | Self::End(_) => None,
        }
    }
}

fn step(line: &str) -> Result<Step> {
    let action = match words(line)?.as_slice() {
        [name, equals, rest @ ..] if equals == "=" => Action::Grant(name.clone(), call(rest)),
        [count, lines, rest @ ..] if lines == "lines:" => Action::Lines(count.parse()?, call(rest)),
        [start, name, rest @ ..] if start == "start" => {
            let name = name.strip_suffix(':').context("no colon")?;
            Action::Start(name.to_owned(), call(rest))
        }
        [wait, name, count] if wait == "await" => Action::Await(name.clone(), count.parse()?),
        [end, name] if end == "end" => Action::End(name.clone()),
        all => Action::Run(call(all)),
    };
    Ok(Step {
        line: line.to_owned(),
        action,
    })
}

fn call(arguments: &[String]) -> Call {
    Call {
        arguments: arguments.to_vec(),
        input: String::new(),
    }
}

/// Splits at spaces outside of single quotes.
fn words(line: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    if quoted {
        bail!("a quote without an end");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn run(arguments: &[&str], input: &str) -> Action {
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        let input = input.to_owned();
        Action::Run(Call { arguments, input })
    }

    fn actions(text: &str) -> Vec<Action> {
        let steps = parse(text).unwrap();
        steps.into_iter().map(|step| step.action).collect()
    }

    #[test]
    fn words_are_split_and_quotes_taken_off() {
        assert_eq!(
            actions("# x\n\nput 'a b' ''"),
            [run(&["put", "a b", ""], "")]
        );
        assert!(parse("put 'a").is_err());
    }

    #[test]
    fn input_belongs_to_the_command_above() {
        assert_eq!(
            actions("txn\n  | a\n  |\n  | b\n"),
            [run(&["txn"], "a\n\nb\n")]
        );
        assert!(parse("| a").is_err());
        assert!(parse("end w\n| a").is_err());
    }

    #[test]
    fn the_other_steps_are_known() {
        let text = "L = lease grant 9\n6 lines: watch a\nstart w: watch a\nawait w 3\nend w";
        let found = actions(text);
        assert!(matches!(&found[0], Action::Grant(name, _) if name == "L"));
        assert!(matches!(&found[1], Action::Lines(6, call) if call.arguments == ["watch", "a"]));
        assert!(matches!(&found[2], Action::Start(name, _) if name == "w"));
        assert_eq!(found[3], Action::Await("w".to_owned(), 3));
        assert_eq!(found[4], Action::End("w".to_owned()));
    }
}
