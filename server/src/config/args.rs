//! The command line as Go's `flag` package takes it apart: one dash or two, `--a=b` or `--a b`,
//! booleans alone or with `=`, everything up to `--`.

use std::ffi::OsString;

/// Why a command line is refused; the sentences are Go's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not a form that a flag has.
    Syntax(String),
    /// No such flag.
    Unknown(String),
    /// The flag ends the line, and needs a value.
    NoValue(String),
    /// A word that belongs to no flag.
    Extra(String),
}

/// What the splitter has to know of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It may stand alone, for `true`.
    Bool,
    /// A value follows.
    Valued,
    /// It asks for text, and the rest of the line is not looked at.
    Ask,
}

/// Names and values, in order.
pub fn split(
    args: impl IntoIterator<Item = OsString>,
    form: impl Fn(&str) -> Option<Form>,
) -> Result<Vec<(String, String)>, Fault> {
    let mut args = args
        .into_iter()
        .map(|argument| argument.to_string_lossy().into_owned());
    let mut given = Vec::new();
    while let Some(argument) = args.next() {
        let Some(flag) = flag_of(&argument)? else {
            let extra = if argument == "--" {
                args.next()
            } else {
                Some(argument)
            };
            return extra.map_or(Ok(given), |extra| Err(Fault::Extra(extra)));
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (flag.to_owned(), None),
        };
        let value = match (form(&name), value) {
            (None, _) => return Err(Fault::Unknown(name)),
            (Some(Form::Ask), _) => {
                given.push((name, String::new()));
                return Ok(given);
            }
            (Some(Form::Bool), None) => "true".to_owned(),
            (Some(Form::Valued), None) => {
                args.next().ok_or_else(|| Fault::NoValue(name.clone()))?
            }
            (Some(_), Some(value)) => value,
        };
        given.push((name, value));
    }
    Ok(given)
}

/// What follows the dashes; `None` for a word that is not a flag.
fn flag_of(argument: &str) -> Result<Option<&str>, Fault> {
    if argument == "--" {
        return Ok(None);
    }
    let Some(flag) = argument.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
        return Ok(None);
    };
    let flag = flag.strip_prefix('-').unwrap_or(flag);
    if flag.is_empty() || flag.starts_with(['-', '=']) {
        return Err(Fault::Syntax(argument.to_owned()));
    }
    Ok(Some(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Vec<(String, String)>, Fault> {
        split(args.iter().map(OsString::from), |name| match name {
            "name" => Some(Form::Valued),
            "on" => Some(Form::Bool),
            "help" => Some(Form::Ask),
            _ => None,
        })
    }

    #[test]
    fn every_form() {
        let name = |value: &str| Ok(vec![("name".to_owned(), value.to_owned())]);
        for form in [
            &["--name=a"][..],
            &["-name=a"],
            &["--name", "a"],
            &["-name", "a"],
        ] {
            assert_eq!(read(form), name("a"));
        }
        assert_eq!(read(&["--name="]), name(""));
        assert_eq!(read(&["--name", "-on"]), name("-on"));
        assert_eq!(read(&["--name=a=b"]), name("a=b"));
        let on = |value: &str| Ok(vec![("on".to_owned(), value.to_owned())]);
        assert_eq!(read(&["--on"]), on("true"));
        assert_eq!(read(&["-on=false"]), on("false"));
        assert_eq!(read(&["--on", "--"]), on("true"));
        assert_eq!(read(&["--help", "--nope"]).unwrap()[0].0, "help");
    }

    #[test]
    fn every_fault() {
        assert_eq!(read(&["--nope=1"]), Err(Fault::Unknown("nope".into())));
        assert_eq!(read(&["--name"]), Err(Fault::NoValue("name".into())));
        // A boolean takes no word after it, as in Go.
        assert_eq!(read(&["--on", "false"]), Err(Fault::Extra("false".into())));
        assert_eq!(read(&["--", "x"]), Err(Fault::Extra("x".into())));
        for bad in ["--=x", "---a", "-=x"] {
            assert_eq!(read(&[bad]), Err(Fault::Syntax(bad.into())));
        }
        assert_eq!(read(&["-"]), Err(Fault::Extra("-".into())));
    }
}
