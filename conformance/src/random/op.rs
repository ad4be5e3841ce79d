//! The operations of a program. They are stored and printed as JSON, without what is default.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{rev::Rev, text::Text};

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Op {
    Range(Range),
    RangeStream(Range),
    Put(Put),
    Delete(Delete),
    Txn(Txn),
    Compact(Compact),
    Grant(Grant),
    Revoke(Lease),
    KeepAlive(Lease),
    TimeToLive(TimeToLive),
    Leases,
    Lock(Contend),
    Unlock(Unlock),
    Campaign(Contend),
    /// Cancels the Lock or Campaign of that label, if it still waits.
    GiveUp(Label),
    Proclaim(Lead),
    Resign(Lead),
    Leader(Name),
    Watch(Watch),
    /// Cancels the watch of that label, if it is open.
    Cancel(Label),
}

/// Declares a plain struct of an operation.
macro_rules! operands {
    ($($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[allow(missing_docs)]
        pub struct $name { $($(#[$note])* pub $field: $type,)* }
    )*};
}

operands! {
    /// As on the wire; orders and targets as numbers, so that there are unknown ones as well.
    Range {
        key: Text,
        end: Text,
        limit: i64,
        revision: Rev,
        order: i32,
        target: i32,
        serializable: bool,
        keys_only: bool,
        count_only: bool,
        min_mod: Rev,
        max_mod: Rev,
        min_create: Rev,
        max_create: Rev,
    }
    /// As on the wire.
    Put {
        key: Text,
        value: Text,
        lease: i64,
        prev_kv: bool,
        ignore_value: bool,
        ignore_lease: bool,
    }
    /// As on the wire.
    Delete {
        key: Text,
        end: Text,
        prev_kv: bool,
    }
    /// As on the wire.
    Txn {
        compare: Vec<Compare>,
        success: Vec<Step>,
        failure: Vec<Step>,
        /// So many Ranges more at the end of `success`.
        padding: u16,
    }
    /// As on the wire; what is compared with is in the member of its kind.
    Compare {
        key: Text,
        end: Text,
        target: i32,
        result: i32,
        with: With,
    }
    /// As on the wire.
    Compact {
        at: Rev,
        physical: bool,
    }
    /// As on the wire.
    Grant {
        lease: i64,
        ttl: i64,
    }
    /// A lease.
    Lease {
        lease: i64,
    }
    /// As on the wire.
    TimeToLive {
        lease: i64,
        keys: bool,
    }
    /// A call that may have to wait, and how to speak of it.
    Contend {
        label: u32,
        name: Text,
        lease: i64,
        value: Text,
    }
    /// As on the wire.
    Unlock {
        key: Text,
    }
    /// A watch or a waiting call.
    Label {
        label: u32,
    }
    /// Somebody's leadership: the key of a lease, with its present create revision.
    Lead {
        name: Text,
        lease: i64,
        value: Text,
        /// With another revision than that.
        stale: bool,
        /// Without saying whose.
        nobody: bool,
    }
    /// An election.
    Name {
        name: Text,
    }
    /// A watch to open; several on one stream.
    Watch {
        label: u32,
        stream: u8,
        id: i64,
        key: Text,
        end: Text,
        start: Rev,
        prev_kv: bool,
        no_put: bool,
        no_delete: bool,
        progress_notify: bool,
        fragment: bool,
    }
}

/// An operation of a Txn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Step {
    Range(Range),
    Put(Put),
    Delete(Delete),
    Txn(Txn),
    /// None of them.
    Nothing,
}

/// What a compare names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum With {
    #[default]
    Nothing,
    Version(i64),
    Created(Rev),
    Modified(Rev),
    Value(Text),
    Lease(i64),
}

impl Op {
    /// What it is called in tables.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Range(_) => "range",
            Self::RangeStream(_) => "range_stream",
            Self::Put(_) => "put",
            Self::Delete(_) => "delete",
            Self::Txn(_) => "txn",
            Self::Compact(_) => "compact",
            Self::Grant(_) => "grant",
            Self::Revoke(_) => "revoke",
            Self::KeepAlive(_) => "keep_alive",
            Self::TimeToLive(_) => "time_to_live",
            Self::Leases => "leases",
            Self::Lock(_) => "lock",
            Self::Unlock(_) => "unlock",
            Self::Campaign(_) => "campaign",
            Self::GiveUp(_) => "give_up",
            Self::Proclaim(_) => "proclaim",
            Self::Resign(_) => "resign",
            Self::Leader(_) => "leader",
            Self::Watch(_) => "watch",
            Self::Cancel(_) => "cancel",
        }
    }

    /// It as JSON, without what is default.
    ///
    /// # Errors
    /// Never, but for the library's signature.
    pub fn to_json(&self) -> Result<Value> {
        let mut json = serde_json::to_value(self)?;
        prune(&mut json);
        Ok(json)
    }

    /// All that is one step simpler than it: a part left out, or a revision nearer to the present.
    #[must_use]
    pub fn simpler(&self) -> Vec<Self> {
        let Ok(json) = self.to_json() else {
            return Vec::new();
        };
        let parse = |json| serde_json::from_value::<Self>(json).ok();
        let simpler = simpler_json(&json).into_iter().filter_map(parse);
        simpler.filter(|op| op != self).collect()
    }
}

/// A program, an operation a line.
#[must_use]
pub fn listing(program: &[Op]) -> String {
    let line = |op: &Op| {
        op.to_json()
            .map_or_else(|e| e.to_string(), |json| json.to_string())
    };
    program.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn is_default(json: &Value) -> bool {
    match json {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty() || text == "nothing",
        Value::Array(list) => list.is_empty(),
        Value::Object(_) => false,
    }
}

/// Takes members of objects away that have their default. (Elements of lists stay: there
/// `nothing` is a step.)
fn prune(json: &mut Value) {
    match json {
        Value::Object(members) => {
            // An enum of one member needs it, whatever it is.
            let is_operand = members.len() > 1;
            members.retain(|_, value| !(is_operand && is_default(value)));
            members.values_mut().for_each(prune);
        }
        Value::Array(list) => list.iter_mut().for_each(prune),
        _ => {}
    }
}

/// The JSON with one member or element, at any depth, left out or nearer to nothing.
fn simpler_json(json: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match json {
        Value::Object(members) => {
            for (name, member) in members {
                let mut without = members.clone();
                without.remove(name);
                all.push(Value::Object(without));
                for part in simpler_json(member) {
                    let mut with = members.clone();
                    with.insert(name.clone(), part);
                    all.push(Value::Object(with));
                }
            }
        }
        Value::Array(list) => {
            for (at, element) in list.iter().enumerate() {
                let mut without = list.clone();
                without.remove(at);
                all.push(Value::Array(without));
                for part in simpler_json(element) {
                    let mut with = list.clone();
                    with[at] = part;
                    all.push(Value::Array(with));
                }
            }
        }
        Value::String(text) => {
            let nearer = Rev::parse(text).map_or_else(|_| Vec::new(), Rev::nearer);
            all.extend(nearer.iter().map(|rev| Value::from(rev.to_string())));
        }
        _ => {}
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn txn() -> Op {
        Op::Txn(Txn {
            compare: vec![Compare {
                key: Text::of(b"a"),
                target: 1,
                with: With::Created(Rev::Now(-1)),
                ..Compare::default()
            }],
            success: vec![
                Step::Nothing,
                Step::Put(Put {
                    key: Text::of(b"\xff"),
                    ..Put::default()
                }),
            ],
            ..Txn::default()
        })
    }

    #[test]
    fn json_comes_back_and_has_no_defaults() {
        let json = txn().to_json().unwrap();
        assert_eq!(
            json.to_string(),
            r#"{"txn":{"compare":[{"key":"a","target":1,"with":{"created":"now-1"}}],"success":["nothing",{"put":{"key":"\\xff"}}]}}"#
        );
        assert_eq!(serde_json::from_value::<Op>(json).unwrap(), txn());
        for op in [Op::Leases, Op::Cancel(Label { label: 0 })] {
            let json = op.to_json().unwrap();
            assert_eq!(serde_json::from_value::<Op>(json).unwrap(), op);
        }
    }

    #[test]
    fn simpler_ones_lack_one_part() {
        let simpler = txn().simpler();
        let without_put = Op::Txn(match txn() {
            Op::Txn(txn) => Txn {
                success: vec![Step::Nothing],
                ..txn
            },
            _ => unreachable!(),
        });
        assert!(simpler.contains(&without_put));
        assert!(!simpler.contains(&txn()));
        assert!(Op::Leases.simpler().is_empty());
    }

    #[test]
    fn simpler_revisions_are_nearer() {
        let read_at = |rev| {
            Op::Range(Range {
                key: Text::of(b"a"),
                revision: rev,
                ..Range::default()
            })
        };
        let simpler = read_at(Rev::Now(-5)).simpler();
        for rev in [Rev::default(), Rev::Now(0), Rev::Now(-2), Rev::Now(-4)] {
            assert!(simpler.contains(&read_at(rev)), "{rev} in {simpler:?}");
        }
    }

    #[test]
    fn an_unknown_member_is_an_error() {
        assert!(serde_json::from_str::<Op>(r#"{"put":{"kee":"a"}}"#).is_err());
    }
}
