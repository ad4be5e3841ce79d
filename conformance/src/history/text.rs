//! How recorded things read in a violation.

use std::fmt::{self, Display, Formatter};

use super::{
    record::{Hold, Moment, Op, Outcome},
    request::{Compare, Event, Kv, Look, Order, Request, Response, Span, Target},
};

/// `1.204 s` since the recording began.
impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        write!(f, "{seconds}.{:06} s", rest / 1000)
    }
}

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), self.end.as_str()) {
            (key, "") => write!(f, "{key}"),
            ("\0", "\0") => write!(f, "all keys"),
            (key, "\0") => write!(f, "[{key}…)"),
            (key, end) => write!(f, "[{key}, {end})"),
        }
    }
}

impl Display for Kv {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            value,
            create,
            modified,
            version,
            lease,
        } = self;
        write!(f, "{key} = {value:?} (create {create}, mod {modified}")?;
        write!(f, ", version {version}")?;
        if *lease != 0 {
            write!(f, ", lease {lease:x}")?;
        }
        write!(f, ")")
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.deleted {
            write!(f, "DELETE {} at {}", self.kv.key, self.kv.modified)
        } else {
            write!(f, "PUT {}", self.kv)
        }
    }
}

impl Display for Look {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "range {}", self.span)?;
        if self.revision != 0 {
            write!(f, " at revision {}", self.revision)?;
        }
        if self.max_create != 0 {
            write!(f, " created up to {}", self.max_create)?;
        }
        match self.order {
            Order::Key => {}
            Order::OldestFirst => write!(f, ", oldest first")?,
            Order::NewestFirst => write!(f, ", newest first")?,
        }
        if self.limit != 0 {
            write!(f, ", limit {}", self.limit)?;
        }
        if self.serializable {
            write!(f, ", serializable")?;
        }
        Ok(())
    }
}

impl Display for Compare {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.equals {
            Target::Create(create) => write!(f, "create({}) = {create}", self.key),
            Target::Modified(modified) => write!(f, "mod({}) = {modified}", self.key),
            Target::Value(value) => write!(f, "value({}) = {value:?}", self.key),
        }
    }
}

impl Display for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(look) => look.fmt(f),
            Self::Put {
                key, value, lease, ..
            } => {
                write!(f, "put {key} = {value:?}")?;
                match lease {
                    0 => Ok(()),
                    lease => write!(f, " with lease {lease:x}"),
                }
            }
            Self::Delete { span, .. } => write!(f, "delete {span}"),
            Self::Txn {
                compares,
                then,
                or_else,
            } => {
                let (compares, then) = (list(compares), list(then));
                write!(
                    f,
                    "txn if [{compares}] then [{then}] else [{}]",
                    list(or_else)
                )
            }
            Self::Grant { id, ttl } => write!(f, "grant lease {id:x} for {ttl} s"),
            Self::Revoke { id } => write!(f, "revoke lease {id:x}"),
            Self::KeepAlive { id } => write!(f, "keep lease {id:x} alive"),
            Self::TimeToLive { id } => write!(f, "ask what is left of lease {id:x}"),
            Self::Lock { name, lease } => write!(f, "lock {name} with lease {lease:x}"),
            Self::Unlock { key } => write!(f, "unlock {key}"),
        }
    }
}

impl Display for Response {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { kvs, count, more } => {
                write!(f, "[{}], count {count}", list(kvs))?;
                if *more {
                    write!(f, ", more")?;
                }
                Ok(())
            }
            Self::Put { prev } => match prev {
                Some(prev) => write!(f, "put, before: {prev}"),
                None => write!(f, "put"),
            },
            Self::Delete { deleted, prevs } if prevs.is_empty() => write!(f, "{deleted} deleted"),
            Self::Delete { deleted, prevs } => write!(f, "{deleted} deleted: [{}]", list(prevs)),
            Self::Txn {
                succeeded,
                responses,
            } => {
                let verdict = if *succeeded { "succeeded" } else { "failed" };
                write!(f, "{verdict} [{}]", list(responses))
            }
            Self::Granted { id, ttl } => write!(f, "lease {id:x} for {ttl} s"),
            Self::Revoked => write!(f, "revoked"),
            Self::KeptAlive { ttl } | Self::Left { ttl } => write!(f, "{ttl} s"),
            Self::Locked { key } => write!(f, "locked with {key}"),
            Self::Unlocked => write!(f, "unlocked"),
        }
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            invoked,
            request,
            outcome,
        } = self;
        write!(f, "client {client}: {request} (sent {invoked}, ")?;
        match outcome {
            Outcome::Answered {
                at,
                revision,
                response,
            } => write!(f, "answered {at} at revision {revision}: {response})"),
            Outcome::Refused { at, code, message } => {
                write!(f, "refused {at}: {code}, {message})")
            }
            Outcome::Unknown { error } => write!(f, "outcome unknown: {error})"),
        }
    }
}

impl Display for Hold {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            key,
            token,
            granted,
            revision,
            released,
            ..
        } = self;
        write!(
            f,
            "client {client} with {key}, token {token} (granted {granted}"
        )?;
        write!(f, " at revision {revision}, ")?;
        match released {
            Some(released) => write!(f, "given back {released})"),
            None => write!(f, "never given back)"),
        }
    }
}

/// The items with commas between.
pub fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    items.join(", ")
}
