//! The files under a directory, to see that a server has not touched them,
//! or to put them back.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};

/// Every file and directory under `dir` by its path, with the bytes of files.
///
/// # Errors
/// When something cannot be read.
pub fn contents(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    collect(dir, &mut found).with_context(|| format!("reading {}", dir.display()))?;
    Ok(found)
}

/// Makes the files under `dir` again what they were when [`contents`] read them.
///
/// # Errors
/// When something cannot be written.
pub fn restore(dir: &Path, contents: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let now = self::contents(dir)?;
    let made = now.keys().filter(|name| !contents.contains_key(*name));
    for file in made.filter(|name| Path::new(name).is_file()) {
        fs::remove_file(file)?;
    }
    for (name, bytes) in contents {
        if !Path::new(name).is_dir() {
            fs::write(name, bytes).with_context(|| format!("writing {name}"))?;
        }
    }
    Ok(())
}

fn collect(dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.insert(name, Vec::new());
            collect(&path, found)?;
        } else {
            found.insert(name, fs::read(&path)?);
        }
    }
    Ok(())
}
