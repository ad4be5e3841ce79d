//! The files under a directory, to see that a server has not touched them.

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
