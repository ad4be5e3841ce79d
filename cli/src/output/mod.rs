//! How answers are written: `table` for people, `json` for programs.

pub mod json;
pub mod table;

use std::io::{IsTerminal, Write, stdout};

use serde::Serialize;

use crate::args::{Format, OutputSettings};
use crate::bytes;
use crate::exit::Failure;

/// Writes answers to stdout.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub format: Format,
    hex: bool,
    colours: bool,
}

impl Output {
    /// As asked for; with colours on a terminal, unless `NO_COLOR` is set.
    pub fn new(settings: OutputSettings) -> Output {
        Output {
            format: settings.format,
            hex: settings.hex,
            colours: colours_wanted(),
        }
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub fn is_hex(&self) -> bool {
        self.hex
    }

    pub fn has_colours(&self) -> bool {
        self.colours
    }

    /// A name, key or value for people.
    pub fn bytes(&self, bytes: &[u8]) -> String {
        if self.hex {
            bytes::hex(bytes)
        } else {
            bytes::show(bytes)
        }
    }

    /// Writes a line, or several.
    pub fn line(&self, text: impl std::fmt::Display) -> Result<(), Failure> {
        writeln!(stdout().lock(), "{text}").map_err(Failure::Output)
    }

    /// Writes one value in one line.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value);
        self.line(text.map_err(|error| Failure::Output(error.into()))?)
    }

    /// Writes what there is once, with line breaks that people can follow, too.
    pub fn pretty_json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value);
        self.line(text.map_err(|error| Failure::Output(error.into()))?)
    }
}

/// Colours are for terminals, and for those who did not ask to do without: <https://no-color.org>.
pub fn colours_wanted() -> bool {
    let unwanted = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stdout().is_terminal() && !unwanted("NO_COLOR") && !is_dumb
}
