//! How answers are written.

use clap::ValueEnum;

use super::connection::truth;
use crate::variables::Variables;

/// As said on the command line.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// How answers are written [default: table]
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        ignore_case = true,
        short_alias = 'w',
        alias = "write-out"
    )]
    output: Option<Format>,

    /// Write names, keys and values as \x6a\x6f\x62, and read names so
    #[arg(
        long, global = true, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true
    )]
    hex: Option<bool>,
}

/// For whom answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    #[value(alias = "simple")]
    Table,
    /// For programs: one value, or one a line where there is no end.
    Json,
}

/// What holds in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputSettings {
    pub format: Format,
    pub hex: bool,
}

impl OutputArgs {
    /// What was said, else what the variables say: `LATCHD_OUTPUT`, else etcdctl's
    /// `ETCDCTL_WRITE_OUT`.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn settings(&self, variables: &Variables<'_>) -> Result<OutputSettings, String> {
        let format = match self.output {
            Some(said) => Some(said),
            None => match variables.read("output", format)? {
                Some(set) => Some(set),
                None => variables.read("write-out", format)?,
            },
        };
        let hex = match self.hex {
            Some(said) => Some(said),
            None => variables.read("hex", truth)?,
        };
        Ok(OutputSettings {
            format: format.unwrap_or_default(),
            hex: hex.unwrap_or_default(),
        })
    }
}

fn format(text: &str) -> Result<Format, String> {
    Format::from_str(text, true).map_err(|_| {
        format!("`{text}` is none of latchctl's formats; set LATCHD_OUTPUT to table or json")
    })
}
