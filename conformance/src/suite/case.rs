//! What a case is, how families are made of cases, and how either is named.

use std::rc::Rc;

use anyhow::Result;
use futures::future::LocalBoxFuture;

use super::session::Session;

type Run = Rc<dyn for<'a> Fn(&'a mut Session) -> LocalBoxFuture<'a, Result<()>>>;

/// Something to do with a server, the same on both. What the server answers is
/// written down by the [`Session`]; the case itself judges nothing.
#[derive(Clone)]
pub struct Case {
    /// Unique in its family.
    pub name: String,
    /// Flags of the servers that it wants for itself; none: it shares them.
    pub own_servers: Option<Vec<String>>,
    run: Run,
}

impl Case {
    /// A case of this name that does `run`, usually `async |s: &mut Session| …`.
    pub fn new(
        name: impl Into<String>,
        run: impl AsyncFn(&mut Session) -> Result<()> + 'static,
    ) -> Self {
        let run = Rc::new(run);
        Self {
            name: name.into(),
            own_servers: None,
            run: Rc::new(move |session| {
                let run = run.clone();
                Box::pin(async move { run(session).await })
            }),
        }
    }

    /// On fresh servers, started with these flags and used for nothing else: for
    /// what cannot be undone, and for what flags change.
    #[must_use]
    pub fn on_own_servers(mut self, flags: &[&str]) -> Self {
        self.own_servers = Some(flags.iter().map(|&flag| flag.to_owned()).collect());
        self
    }

    /// Does it.
    ///
    /// # Errors
    /// When it cannot go on, for instance because a step that it builds upon failed.
    pub async fn run(&self, session: &mut Session) -> Result<()> {
        (self.run)(session).await
    }
}

/// Cases about one part of the API.
pub struct Family {
    /// As `--only` names it.
    pub name: &'static str,
    /// What it is about, in a few words.
    pub about: &'static str,
    /// Its cases; empty when latchd does not have that part yet.
    pub cases: Vec<Case>,
}

impl Family {
    /// True for a part of the API that latchd still owes.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.cases.is_empty()
    }
}

/// Which cases are wanted: families by name, or patterns of `family/case` in which
/// `*` stands for anything. No pattern at all wants everything.
#[derive(Clone, Debug, Default)]
pub struct Selection(Vec<String>);

impl Selection {
    /// By the words of `--only`.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        Self(patterns.to_vec())
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this case is wanted.
    #[must_use]
    pub fn wants(&self, family: &str, case: &str) -> bool {
        let full = format!("{family}/{case}");
        let fits = |pattern: &String| pattern == family || matches(pattern, &full);
        self.is_all() || self.0.iter().any(fits)
    }

    /// Whether this family, which has no cases yet, is wanted.
    #[must_use]
    pub fn wants_family(&self, family: &str) -> bool {
        self.is_all() || self.0.iter().any(|pattern| matches(pattern, family))
    }
}

/// Whether `text` is of this pattern, in which `*` stands for anything.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.into_iter().any(|at| matches(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in [("kv/*", "kv/a"), ("*", ""), ("a*c*", "abcd"), ("x", "x")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("kv/*", "txn/a"), ("a*c", "abcd"), ("x", "xy"), ("", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_family_or_a_pattern_selects() {
        let only = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            Selection::new(&words)
        };
        assert!(only(&[]).wants("kv", "a"));
        assert!(only(&["kv"]).wants("kv", "a"));
        assert!(!only(&["kv"]).wants("kv2", "a"));
        assert!(only(&["txn", "kv/a*"]).wants("kv", "ab"));
        assert!(!only(&["txn", "kv/a*"]).wants("kv", "b"));
    }
}
