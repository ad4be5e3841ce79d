//! A data file that nothing changes until it has proved to be ours.
//!
//! redb repairs a file that was not closed properly as it opens it, and marks any file that it
//! opens. A file of a newer format, or one too damaged to open, must stay as it was. So until
//! [`Promote::promote`] the file is only read: what redb writes is kept in memory, and then goes
//! to the file with the same order of writes and syncs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;
use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

const BLOCK: u64 = 4096;
const BLOCK_LEN: usize = BLOCK as usize;

/// A redb backend that holds writes back until it is promoted.
#[derive(Debug)]
pub struct StagedFile(Arc<Shared>);

/// The switch that lets a [`StagedFile`] write.
#[derive(Debug)]
pub struct Promote(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: FileBackend,
    /// The file's length, for whoever asks often.
    length: Arc<AtomicU64>,
    /// Whether a sync waits for the disk.
    synced: bool,
    /// `None` once promoted.
    staged: RwLock<Option<Staged>>,
    /// Set for good once promoted, so that nobody takes the lock any more.
    promoted: AtomicBool,
}

#[derive(Debug)]
struct Staged {
    len: u64,
    /// Blocks that differ from the file's.
    blocks: HashMap<u64, Box<[u8; BLOCK_LEN]>>,
    /// What redb asked for, in order.
    log: Vec<Operation>,
}

#[derive(Debug)]
enum Operation {
    Write(u64, Box<[u8]>),
    SetLen(u64),
    Sync,
}

impl StagedFile {
    /// Stages `file`. Unless it is `synced`, what redb syncs gets as far as the operating system:
    /// it outlives the process, but not the machine.
    pub fn new(file: File, synced: bool) -> Result<(StagedFile, Promote), DatabaseError> {
        let file = FileBackend::new(file)?;
        let len = file.len()?;
        let staged = Staged {
            len,
            blocks: HashMap::new(),
            log: Vec::new(),
        };
        let shared = Arc::new(Shared {
            file,
            length: Arc::new(AtomicU64::new(len)),
            synced,
            staged: RwLock::new(Some(staged)),
            promoted: AtomicBool::new(false),
        });
        Ok((StagedFile(shared.clone()), Promote(shared)))
    }
}

impl Promote {
    /// The length of the file in bytes, kept up to date.
    #[must_use]
    pub fn length(&self) -> Arc<AtomicU64> {
        self.0.length.clone()
    }

    /// Writes what was held back, and holds nothing back from now on.
    pub fn promote(self) -> io::Result<()> {
        let mut staged = self.0.staged.write();
        let Some(held) = staged.take() else {
            return Ok(());
        };
        for operation in held.log {
            match operation {
                Operation::Write(offset, data) => self.0.file.write(offset, &data)?,
                Operation::SetLen(len) => self.0.file.set_len(len)?,
                Operation::Sync => self.0.sync()?,
            }
        }
        self.0.promoted.store(true, Ordering::Release);
        Ok(())
    }
}

impl Shared {
    fn is_promoted(&self) -> bool {
        self.promoted.load(Ordering::Acquire)
    }

    fn sync(&self) -> io::Result<()> {
        if self.synced {
            self.file.sync_data()
        } else {
            Ok(())
        }
    }

    /// A block of the file itself, zero past its end.
    fn file_block(&self, index: u64) -> io::Result<Box<[u8; BLOCK_LEN]>> {
        let mut block = Box::new([0; BLOCK_LEN]);
        let start = index * BLOCK;
        let present = self.file.len()?.saturating_sub(start).min(BLOCK);
        let present = usize::try_from(present).unwrap_or(BLOCK_LEN);
        if present > 0 {
            self.file.read(start, &mut block[..present])?;
        }
        Ok(block)
    }

    fn read_staged(&self, staged: &Staged, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset + out.len() as u64 > staged.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        each_block(offset, out.len(), |index, within, part| {
            let out = &mut out[part];
            match staged.blocks.get(&index) {
                Some(block) => out.copy_from_slice(&block[within]),
                None => out.copy_from_slice(&self.file_block(index)?[within]),
            }
            Ok(())
        })
    }

    fn write_staged(&self, staged: &mut Staged, offset: u64, data: &[u8]) -> io::Result<()> {
        each_block(offset, data.len(), |index, within, part| {
            let block = match staged.blocks.entry(index) {
                Entry::Occupied(present) => present.into_mut(),
                Entry::Vacant(absent) => absent.insert(self.file_block(index)?),
            };
            block[within].copy_from_slice(&data[part]);
            Ok(())
        })?;
        staged.log.push(Operation::Write(offset, data.into()));
        Ok(())
    }
}

/// Calls `visit` with each block that `[offset, offset + len)` touches: its index, the range
/// within it, and the range within the caller's buffer.
fn each_block(
    offset: u64,
    len: usize,
    mut visit: impl FnMut(u64, std::ops::Range<usize>, std::ops::Range<usize>) -> io::Result<()>,
) -> io::Result<()> {
    let mut done = 0;
    while done < len {
        let at = offset + done as u64;
        let within = usize::try_from(at % BLOCK).unwrap_or(0);
        let part = (BLOCK_LEN - within).min(len - done);
        visit(at / BLOCK, within..within + part, done..done + part)?;
        done += part;
    }
    Ok(())
}

impl StorageBackend for StagedFile {
    fn len(&self) -> io::Result<u64> {
        match &*self.0.staged.read() {
            Some(staged) => Ok(staged.len),
            None => self.0.file.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if !self.0.is_promoted()
            && let Some(staged) = &*self.0.staged.read()
        {
            return self.0.read_staged(staged, offset, out);
        }
        self.0.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.length.store(len, Ordering::Relaxed);
        if !self.0.is_promoted()
            && let Some(staged) = &mut *self.0.staged.write()
        {
            staged.len = len;
            staged.log.push(Operation::SetLen(len));
            return Ok(());
        }
        self.0.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if !self.0.is_promoted()
            && let Some(staged) = &mut *self.0.staged.write()
        {
            staged.log.push(Operation::Sync);
            return Ok(());
        }
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.0.is_promoted()
            && let Some(staged) = &mut *self.0.staged.write()
        {
            return self.0.write_staged(staged, offset, data);
        }
        self.0.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::{Builder, ReadableDatabase, TableDefinition};

    const TABLE: TableDefinition<u64, u64> = TableDefinition::new("t");

    fn open(path: &std::path::Path) -> (redb::Database, Promote) {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .unwrap();
        let (staged, promote) = StagedFile::new(file, true).unwrap();
        (Builder::new().create_with_backend(staged).unwrap(), promote)
    }

    #[test]
    fn nothing_reaches_the_file_before_it_is_promoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let (db, promote) = open(&path);
        let txn = db.begin_write().unwrap();
        txn.open_table(TABLE).unwrap().insert(1, 2).unwrap();
        txn.commit().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        promote.promote().unwrap();
        drop(db);

        let before = std::fs::read(&path).unwrap();
        let (db, promote) = open(&path);
        let read = db.begin_read().unwrap().open_table(TABLE).unwrap();
        assert_eq!(read.get(1).unwrap().unwrap().value(), 2);
        drop((read, db, promote));
        assert_eq!(std::fs::read(&path).unwrap(), before, "only looked at");
    }
}
