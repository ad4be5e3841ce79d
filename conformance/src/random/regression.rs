//! Programs that failed once, as files: what was wrong, and the operations.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::op::Op;

/// A saved program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// What it is about, or what was seen.
    pub about: Vec<String>,
    /// The operations.
    pub program: Vec<Op>,
}

impl Regression {
    /// Reads one.
    ///
    /// # Errors
    /// When the file cannot be read, or is not of this form.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Reads all of a directory, by name.
    ///
    /// # Errors
    /// When the directory or a file cannot be read.
    pub fn load_all(directory: &Path) -> Result<Vec<(PathBuf, Self)>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                paths.push(path);
            }
        }
        paths.sort();
        let load = |path: PathBuf| Self::load(&path).map(|found| (path, found));
        paths.into_iter().map(load).collect()
    }

    /// Writes it into a directory, which is made if need be; returns the file's path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, directory: &Path, name: &str) -> Result<PathBuf> {
        fs::create_dir_all(directory)?;
        let path = directory.join(format!("{name}.json"));
        fs::write(&path, self.text()?).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// An operation a line, so that a diff of two is readable.
    fn text(&self) -> Result<String> {
        let about = lines(self.about.iter().map(|line| Ok(Value::from(line.as_str()))))?;
        let program = lines(self.program.iter().map(Op::to_json))?;
        Ok(format!(
            "{{\n\"about\": [\n{about}\n],\n\"program\": [\n{program}\n]\n}}\n"
        ))
    }
}

fn lines(values: impl Iterator<Item = Result<Value>>) -> Result<String> {
    let lines: Vec<String> = values
        .map(|value| Ok(format!("  {}", value?)))
        .collect::<Result<_>>()?;
    Ok(lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::random::generate;

    #[test]
    fn every_program_comes_back_from_its_file() {
        let directory = tempfile::tempdir().unwrap();
        for seed in 0..50 {
            let saved = Regression {
                about: vec!["a \"word\"".to_owned(), String::new()],
                program: generate::program(seed, 100),
            };
            let path = saved.save(directory.path(), "one").unwrap();
            assert_eq!(Regression::load(&path).unwrap(), saved);
        }
        assert_eq!(Regression::load_all(directory.path()).unwrap().len(), 1);
    }
}
