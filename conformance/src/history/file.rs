//! Histories as files: one line of JSON for each thing recorded.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    record::{History, Hold, Op, Restart, Snapshot, Stream, Watcher},
    request::Revision,
};

/// One line of the file. A watcher's streams follow it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Start(Snapshot),
    Op(Op),
    Watcher(Watcher),
    Stream(Stream),
    Hold(Hold),
    Restart(Restart),
    End(Revision),
}

impl History {
    /// Writes it to a file, whose directory is made if need be.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        let mut file = BufWriter::new(file);
        for line in self.lines() {
            serde_json::to_writer(&mut file, &line)?;
            file.write_all(b"\n")?;
        }
        Ok(file.flush()?)
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// When it cannot be read or is something else.
    pub fn load(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let mut history = Self::default();
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let place = || format!("{}:{}", path.display(), number + 1);
            let line = serde_json::from_str(&line?).with_context(place)?;
            history.add(line).with_context(place)?;
        }
        Ok(history)
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        let watchers = self.watchers.iter().flat_map(|watcher| {
            let bare = Watcher {
                streams: Vec::new(),
                ..watcher.clone()
            };
            let streams = watcher.streams.iter().cloned().map(Line::Stream);
            std::iter::once(Line::Watcher(bare)).chain(streams)
        });
        std::iter::once(Line::Start(self.start.clone()))
            .chain(self.ops.iter().cloned().map(Line::Op))
            .chain(watchers)
            .chain(self.holds.iter().cloned().map(Line::Hold))
            .chain(self.restarts.iter().copied().map(Line::Restart))
            .chain([Line::End(self.end)])
    }

    fn add(&mut self, line: Line) -> Result<()> {
        match line {
            Line::Start(start) => self.start = start,
            Line::Op(op) => self.ops.push(op),
            Line::Watcher(watcher) => self.watchers.push(watcher),
            Line::Stream(stream) => {
                let watcher = self.watchers.last_mut();
                let watcher = watcher.context("a stream before its watcher")?;
                watcher.streams.push(stream);
            }
            Line::Hold(hold) => self.holds.push(hold),
            Line::Restart(restart) => self.restarts.push(restart),
            Line::End(end) => self.end = end,
        }
        Ok(())
    }
}
