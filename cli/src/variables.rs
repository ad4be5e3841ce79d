//! Environment variables that stand for flags: `LATCHD_X_Y`, else etcdctl's `ETCDCTL_X_Y`, for
//! `--x-y`. One that is empty counts as unset.

const PREFIXES: [&str; 2] = ["LATCHD_", "ETCDCTL_"];

/// The environment, or a test's.
pub struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'static> {
    /// Those of this process.
    pub fn of_process() -> Variables<'static> {
        Variables(&|name| std::env::var(name).ok())
    }
}

impl<'a> Variables<'a> {
    #[cfg(test)]
    pub fn of(look: &'a dyn Fn(&str) -> Option<String>) -> Variables<'a> {
        Variables(look)
    }

    /// What stands for `--flag`.
    pub fn text(&self, flag: &str) -> Option<String> {
        self.find(flag).map(|(_, value)| value)
    }

    /// The same, read by `parse`.
    ///
    /// # Errors
    /// Those of `parse`, with the variable's name.
    pub fn read<T>(
        &self,
        flag: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let Some((name, value)) = self.find(flag) else {
            return Ok(None);
        };
        let read = parse(&value).map_err(|wrong| format!("the variable {name}: {wrong}"))?;
        Ok(Some(read))
    }

    fn find(&self, flag: &str) -> Option<(String, String)> {
        let flag = flag.to_uppercase().replace('-', "_");
        let names = PREFIXES.map(|prefix| format!("{prefix}{flag}"));
        let set = names.into_iter().filter_map(|name| {
            let value = (self.0)(&name)?;
            Some((name, value))
        });
        set.into_iter().find(|(_, value)| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latchds_own_come_first_and_empty_ones_do_not_count() {
        let look = |name: &str| match name {
            "LATCHD_DIAL_TIMEOUT" => Some("1s".to_owned()),
            "ETCDCTL_DIAL_TIMEOUT" | "ETCDCTL_USER" => Some("etcd".to_owned()),
            "LATCHD_USER" => Some(String::new()),
            _ => None,
        };
        let variables = Variables::of(&look);
        assert_eq!(variables.text("dial-timeout").as_deref(), Some("1s"));
        assert_eq!(variables.text("user").as_deref(), Some("etcd"));
        assert_eq!(variables.text("key"), None);
    }

    #[test]
    fn what_is_wrong_names_the_variable() {
        let look = |name: &str| (name == "ETCDCTL_HEX").then(|| "maybe".to_owned());
        let parse = |text: &str| Err::<bool, _>(format!("`{text}` is odd"));
        let wrong = Variables::of(&look).read("hex", parse);
        assert_eq!(
            wrong,
            Err("the variable ETCDCTL_HEX: `maybe` is odd".into())
        );
    }
}
