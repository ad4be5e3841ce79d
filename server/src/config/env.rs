//! Flags from the environment: `--a-b` is `LATCHD_A_B`, else `ETCD_A_B`.

use std::collections::{BTreeMap, BTreeSet};

use super::notes::Note;

/// Every variable of the process.
pub type Environment = BTreeMap<String, String>;

/// latchd's own variables come before etcd's.
const PREFIXES: [&str; 2] = ["LATCHD_", "ETCD_"];
/// The flag `--version` asks for text.
const SPECIAL: &str = "ETCD_VERSION";

/// A flag's value and the variable that it came from.
#[derive(Debug, PartialEq, Eq)]
pub struct FromVariable {
    pub flag: String,
    pub variable: String,
    pub value: String,
}

/// The values of the flags `names`. An empty variable is as good as none (as in etcd), and a flag
/// on the command line is stronger.
pub fn read<'a>(
    environment: &Environment,
    names: impl Iterator<Item = &'a str>,
    on_command_line: &BTreeSet<String>,
    notes: &mut Vec<Note>,
) -> Vec<FromVariable> {
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for flag in names {
        let mut shadow = on_command_line.contains(flag).then(|| format!("--{flag}"));
        for variable in PREFIXES.map(|prefix| name_of(prefix, flag)) {
            let value = environment.get(&variable);
            let Some(value) = value.filter(|value| !value.is_empty()).cloned() else {
                continue;
            };
            used.insert(variable.clone());
            if let Some(by) = shadow.clone() {
                let name = variable;
                notes.push(Note::VariableShadowed { name, by });
                continue;
            }
            shadow = Some(variable.clone());
            notes.push(Note::VariableUsed {
                name: variable.clone(),
                value: value.clone(),
            });
            let flag = flag.to_owned();
            found.push(FromVariable {
                flag,
                variable,
                value,
            });
        }
    }
    notes.extend(unknown(environment, &used));
    found
}

fn name_of(prefix: &str, flag: &str) -> String {
    format!("{prefix}{}", flag.to_uppercase().replace('-', "_"))
}

fn unknown<'a>(
    environment: &'a Environment,
    used: &'a BTreeSet<String>,
) -> impl Iterator<Item = Note> + 'a {
    let ours = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    environment
        .iter()
        .filter(move |(name, _)| ours(name) && !used.contains(*name))
        .map(|(name, value)| {
            let (name, value) = (name.clone(), value.clone());
            if name == SPECIAL {
                return Note::VariableSpecial { name, value };
            }
            let variable = format!("{name}={value}");
            Note::VariableUnknown { variable }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes_of(variables: &[(&str, &str)], given: &[&str]) -> (Vec<FromVariable>, Vec<Note>) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = variables.iter().map(own).collect();
        let given = given.iter().map(|name| (*name).to_owned()).collect();
        let mut notes = Vec::new();
        let names = ["name", "max-txn-ops"].into_iter();
        let found = read(&environment, names, &given, &mut notes);
        (found, notes)
    }

    #[test]
    fn latchds_before_etcds() {
        let both = [("ETCD_MAX_TXN_OPS", "1"), ("LATCHD_MAX_TXN_OPS", "2")];
        let (found, notes) = notes_of(&both, &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].value, "2");
        assert!(matches!(notes[1], Note::VariableShadowed { .. }));
        let (found, _) = notes_of(&both, &["max-txn-ops"]);
        assert_eq!(found, []);
    }

    #[test]
    fn what_is_nobodys_is_noted() {
        let (found, notes) = notes_of(&[("ETCD_FOO", "1"), ("PATH", "x"), ("ETCD_NAME", "")], &[]);
        assert_eq!(found, []);
        let variable = "ETCD_FOO=1".to_owned();
        assert!(notes.contains(&Note::VariableUnknown { variable }));
        assert!(!format!("{notes:?}").contains("PATH"));
        let (_, notes) = notes_of(&[("ETCD_VERSION", "3")], &[]);
        assert!(matches!(notes[0], Note::VariableSpecial { .. }));
    }
}
