//! Where a run leaves what it has found: JSON, goals, plots.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{goals, json, plots, results::Run, sweep::Curve, system};

/// The files.
pub struct Output {
    directory: PathBuf,
    json: PathBuf,
}

impl Output {
    /// Into `directory` (target/bench), with the figures in `json` (`name` in the directory).
    ///
    /// # Errors
    /// When they cannot be written there, which is better said before a run than after it.
    pub fn new(directory: Option<PathBuf>, json: Option<PathBuf>, name: &str) -> Result<Self> {
        let directory = match directory {
            Some(directory) => directory,
            None => system::target_dir()?.join("bench"),
        };
        let making = || format!("making {}", directory.display());
        fs::create_dir_all(&directory).with_context(making)?;
        json::check(json.as_deref())?;
        let json = json.unwrap_or_else(|| directory.join(name));
        Ok(Self { directory, json })
    }

    /// The plots.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes all that a run has found so far.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn run(&self, run: &Run) -> Result<()> {
        self.document(&json::document(run))?;
        let goals = self.directory.join("goals.md");
        let writing = || format!("writing {}", goals.display());
        fs::write(&goals, goals::markdown(&goals::of(run))).with_context(writing)?;
        plots::throughput(&self.directory, &run.results)?;
        plots::latencies(&self.directory, &run.results)?;
        if let Some(soaked) = &run.soaked {
            plots::soak(&self.directory, soaked)?;
        }
        self.curves(&run.curves)
    }

    /// Draws how cost grows.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn curves(&self, curves: &[Curve]) -> Result<()> {
        curves
            .iter()
            .try_for_each(|curve| plots::growth(&self.directory, curve))
    }

    /// Writes the figures.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn document(&self, figures: &Value) -> Result<()> {
        json::write(Some(&self.json), figures)
    }
}
