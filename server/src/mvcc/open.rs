//! Opening a data directory: ours and sound, or a clear error with nothing changed.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::thread;

use latchd_proto::etcdserverpb::Member;
use prost::Message;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableError,
};
use thiserror::Error as ThisError;

use super::by_create::CreateIndex;
use super::codec::{decode_lease, decode_record};
use super::schema::{
    ALARMS, FORMAT, HISTORY, KEYS, LEASES, MEMBER, MEMBER_PEERS, META, META_ASKED, META_CLUSTER,
    META_COMPACTED, META_FORMAT, META_MEMBER, META_TERM,
};
use super::staging::StagedFile;
use super::state::{Lease, State};
use super::store::{Identity, Store};
use crate::error::{Error, Result};
use crate::types::{LeaseId, Revision};

/// The data file's name in the data directory.
pub const DATA_FILE: &str = "latchd.redb";
/// Its name while it is being made, so that a crash never leaves half of one.
const NEW_FILE: &str = "latchd.redb.new";
const OPEN_THREAD: &str = "latchd-open";
/// redb's page cache, in bytes.
const CACHE: usize = 256 << 20;

/// Why a data directory cannot be used.
#[derive(Debug, ThisError)]
pub enum OpenError {
    /// The path leads to something that is not a directory.
    #[error("data directory {0}: it is a file, not a directory; give another --data-dir")]
    NotADirectory(PathBuf),
    /// Somebody else's directory.
    #[error(
        "data directory {0}: it holds {1} and no {DATA_FILE}, so it is not latchd's; \
         give an empty or new directory as --data-dir"
    )]
    Foreign(PathBuf, String),
    /// Another process has it.
    #[error(
        "data directory {0}: another process is using it; stop that one, or give another --data-dir"
    )]
    InUse(PathBuf),
    /// A file from the future.
    #[error(
        "data file {path}: its format is {found}, and this version reads up to {FORMAT}; \
         run the newer version of latchd that wrote it"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format that it says it has.
        found: u64,
    },
    /// Not a file that latchd wrote, or one that lost some of its bytes.
    #[error(
        "data file {0}: it is damaged or not latchd's ({1}); nothing was changed: \
         restore it from a copy, or give another --data-dir"
    )]
    Damaged(PathBuf, String),
    /// The operating system said no.
    #[error("data directory {0}: {1}")]
    Io(PathBuf, io::Error),
}

/// An open store with the writer's state, and the directory's lock.
pub struct Opened {
    /// The store.
    pub store: Store,
    /// The writer's state.
    pub state: State,
    /// Held for as long as the store is open.
    pub lock: DirectoryLock,
}

/// Keeps a second copy out of the data directory.
#[derive(Debug)]
pub struct DirectoryLock(#[allow(dead_code, reason = "held for its lock")] File);

/// Opens the store in `dir`, or makes one there.
pub fn open(dir: &Path) -> std::result::Result<Opened, OpenError> {
    open_synced(dir, true)
}

/// Opens the store in `dir`, or makes one there, whose commits don't wait for the disk: they
/// outlive the process, but not a loss of power (`--unsafe-no-fsync`).
pub fn open_unsynced(dir: &Path) -> std::result::Result<Opened, OpenError> {
    open_synced(dir, false)
}

fn open_synced(dir: &Path, synced: bool) -> std::result::Result<Opened, OpenError> {
    check_directory(dir)?;
    make_directory(dir).map_err(|error| OpenError::Io(dir.into(), error))?;
    let lock = lock_directory(dir)?;
    let path = dir.join(DATA_FILE);
    let existing = fs::exists(&path).map_err(|error| OpenError::Io(dir.into(), error))?;
    let file = if existing {
        path.clone()
    } else {
        dir.join(NEW_FILE)
    };
    let (store, state) = open_on_a_thread(&file, existing, synced)?;
    if !existing {
        put_in_place(dir, &file, &path).map_err(|error| OpenError::Io(dir.into(), error))?;
    }
    Ok(Opened { store, state, lock })
}

fn check_directory(dir: &Path) -> std::result::Result<(), OpenError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(OpenError::NotADirectory(dir.into()));
        }
        Err(error) => return Err(OpenError::Io(dir.into(), error)),
    };
    let names: BTreeSet<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name != NEW_FILE && name != "lost+found")
        .collect();
    if names.contains(DATA_FILE) {
        return Ok(());
    }
    match names.first() {
        None => Ok(()),
        Some(_) if names.contains("member") => Err(OpenError::Foreign(
            dir.into(),
            "the data of an etcd (member/)".into(),
        )),
        Some(name) => Err(OpenError::Foreign(
            dir.into(),
            format!("other files ({name})"),
        )),
    }
}

/// Makes the directory for its owner alone, as etcd does: values may be secrets.
fn make_directory(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn lock_directory(dir: &Path) -> std::result::Result<DirectoryLock, OpenError> {
    let handle = File::open(dir).map_err(|error| OpenError::Io(dir.into(), error))?;
    match handle.try_lock() {
        Ok(()) => Ok(DirectoryLock(handle)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.into())),
        Err(TryLockError::Error(error)) => Err(OpenError::Io(dir.into(), error)),
    }
}

/// redb may panic on a damaged file, so it is opened where a panic can be told as an error.
fn open_on_a_thread(
    path: &Path,
    existing: bool,
    synced: bool,
) -> std::result::Result<(Store, State), OpenError> {
    quiet_panics();
    let file = path.to_owned();
    let thread = thread::Builder::new()
        .name(OPEN_THREAD.into())
        .spawn(move || open_file(&file, existing, synced))
        .map_err(|error| OpenError::Io(path.into(), error))?;
    thread
        .join()
        .unwrap_or_else(|panic| Err(OpenError::Damaged(path.into(), panic_text(&*panic))))
}

/// A panic while opening becomes an [`OpenError`]; it need not be printed as well.
fn quiet_panics() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let inner = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(OPEN_THREAD) {
                inner(info);
            }
        }));
    });
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it cannot be read").to_owned()
}

fn open_file(
    path: &Path,
    existing: bool,
    synced: bool,
) -> std::result::Result<(Store, State), OpenError> {
    let mut options = File::options();
    options
        .read(true)
        .write(true)
        .create(!existing)
        .truncate(!existing);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options
        .open(path)
        .map_err(|error| OpenError::Io(path.into(), error))?;
    let damaged = |reason: String| OpenError::Damaged(path.into(), reason);
    // redb would take an empty file for a new one, and every lock would silently be free.
    if existing && file.metadata().is_ok_and(|file| file.len() == 0) {
        return Err(damaged("it is empty".into()));
    }
    let (staged, promote) = StagedFile::new(file, synced).map_err(|error| explain(path, &error))?;
    let db = Builder::new()
        .set_cache_size(CACHE)
        .create_with_backend(staged)
        .map_err(|error| explain(path, &error))?;
    if existing {
        let found = format_of(&db).map_err(|error| damaged(error.to_string()))?;
        if found > FORMAT {
            return Err(OpenError::NewerFormat {
                path: path.into(),
                found,
            });
        }
    }
    let (state, index) = if existing {
        load(&db).map_err(|error| damaged(error.to_string()))?
    } else {
        (State::empty(), CreateIndex::default())
    };
    let length = promote.length();
    promote
        .promote()
        .map_err(|error| OpenError::Io(path.into(), error))?;
    let started =
        begin_term(&db, existing).and_then(|id| Store::new(db, &state, index, id, length));
    // What was read was sound, so it is the writing that failed: a full disk, say.
    let failed = |error: Error| OpenError::Io(path.into(), io::Error::other(error.to_string()));
    let store = started.map_err(failed)?;
    Ok((store, state))
}

fn explain(path: &Path, error: &DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(path.into()),
        DatabaseError::Storage(StorageError::Io(error)) if !is_damage(error.kind()) => {
            let error = io::Error::new(error.kind(), error.to_string());
            OpenError::Io(path.into(), error)
        }
        other => OpenError::Damaged(path.into(), other.to_string()),
    }
}

/// Whether an I/O error tells of the file's content rather than of the machine.
fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

fn format_of(db: &Database) -> Result<u64> {
    let meta = db.begin_read()?.open_table(META)?;
    let format = meta.get(META_FORMAT)?.map(|row| row.value());
    format.ok_or_else(|| Error::Storage("it has no format version".into()))
}

/// Rebuilds what is derived from the tables.
fn load(db: &Database) -> Result<(State, CreateIndex)> {
    let txn = db.begin_read()?;
    let mut state = State {
        leases: load_leases(&txn)?,
        alarms: load_alarms(&txn)?,
        peer_urls: load_peer_urls(&txn)?,
        ..State::empty()
    };
    if let Some((place, _)) = txn.open_table(HISTORY)?.last()? {
        state.revision = Revision(place.value().0);
    }
    let meta = txn.open_table(META)?;
    for (name, revision) in [
        (META_COMPACTED, &mut state.compacted),
        (META_ASKED, &mut state.asked),
    ] {
        if let Some(row) = meta.get(name)? {
            *revision = Revision(i64::try_from(row.value()).unwrap_or(i64::MAX));
        }
    }
    let mut index = CreateIndex::default();
    for row in txn.open_table(KEYS)?.iter()? {
        let (key, value) = row?;
        let record = decode_record(value.value())?;
        if !record.lease.is_none() && !state.leases.contains_key(&record.lease) {
            return Err(Error::Storage(
                "a key has a lease that does not exist".into(),
            ));
        }
        if record.modified > state.revision {
            return Err(Error::Storage("a key is newer than its history".into()));
        }
        let several = state.move_key(key.value(), LeaseId::NONE, record.lease);
        index.changed(key.value(), None, Some(&record));
        index.publish();
        if several {
            state.note_another(key.value(), record.lease, &index);
        }
    }
    Ok((state, index))
}

fn load_leases(txn: &redb::ReadTransaction) -> Result<HashMap<LeaseId, Lease>> {
    let mut leases = HashMap::new();
    for row in txn.open_table(LEASES)?.iter()? {
        let (id, value) = row?;
        let (ttl, kind) = decode_lease(value.value())?;
        let keys = BTreeSet::new();
        leases.insert(LeaseId(id.value()), Lease { ttl, kind, keys });
    }
    Ok(leases)
}

fn load_alarms(txn: &redb::ReadTransaction) -> Result<BTreeSet<(i32, u64)>> {
    let mut alarms = BTreeSet::new();
    for row in txn.open_table(ALARMS)?.iter()? {
        alarms.insert(row?.0.value());
    }
    Ok(alarms)
}

fn load_peer_urls(txn: &redb::ReadTransaction) -> Result<Option<Arc<[String]>>> {
    let table = match txn.open_table(MEMBER) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(row) = table.get(MEMBER_PEERS)? else {
        return Ok(None);
    };
    let member = Member::decode(row.value())
        .map_err(|error| Error::Storage(format!("its peer URLs are not readable: {error}")))?;
    Ok(Some(member.peer_ur_ls.into()))
}

/// Makes the tables of a new file, and counts the start in any.
fn begin_term(db: &Database, existing: bool) -> Result<Identity> {
    let txn = db.begin_write()?;
    let identity = {
        let mut meta = txn.open_table(META)?;
        if !existing {
            txn.open_table(KEYS)?;
            txn.open_table(HISTORY)?;
            txn.open_table(LEASES)?;
            txn.open_table(ALARMS)?;
            meta.insert(META_FORMAT, FORMAT)?;
            meta.insert(META_CLUSTER, rand::random_range(1..=u64::MAX))?;
            meta.insert(META_MEMBER, rand::random_range(1..=u64::MAX))?;
        }
        let number = |name: &str| -> Result<u64> {
            let row = meta.get(name)?.map(|row| row.value());
            row.ok_or_else(|| Error::Storage(format!("it has no {name}")))
        };
        let cluster_id = number(META_CLUSTER)?;
        let member_id = number(META_MEMBER)?;
        // etcd's first term is 2 (1 is the bootstrap), so ours is too.
        let term = if existing { number(META_TERM)? + 1 } else { 2 };
        meta.insert(META_TERM, term)?;
        Identity {
            cluster_id,
            member_id,
            term,
        }
    };
    txn.commit()?;
    Ok(identity)
}

fn put_in_place(dir: &Path, from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    File::open(dir)?.sync_all()?;
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    match File::open(parent) {
        Ok(parent) => parent.sync_all(),
        // Not ours to read, so the directory was made by somebody else, before.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_then_the_same_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let first = open(&path).unwrap();
        assert_eq!(first.state.revision, Revision::INITIAL);
        assert!(matches!(open(&path), Err(OpenError::InUse(_))));
        let identity = first.store.identity;
        drop(first);
        let second = open(&path).unwrap().store.identity;
        assert_eq!(second.cluster_id, identity.cluster_id);
        assert_eq!((identity.term, second.term), (2, 3));
    }

    #[test]
    fn a_newer_format_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        let path = dir.path().join(DATA_FILE);
        let db = Database::open(&path).unwrap();
        let txn = db.begin_write().unwrap();
        txn.open_table(META)
            .unwrap()
            .insert(META_FORMAT, FORMAT + 1)
            .unwrap();
        txn.commit().unwrap();
        drop(db);
        let before = fs::read(&path).unwrap();
        assert!(matches!(
            open(dir.path()),
            Err(OpenError::NewerFormat { found: 2, .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn directories_and_files_of_another_kind() {
        let dir = tempfile::tempdir().unwrap();
        let etcd = dir.path().join("etcd");
        fs::create_dir_all(etcd.join("member")).unwrap();
        assert!(open(&etcd).err().unwrap().to_string().contains("etcd"));
        let file = dir.path().join("file");
        fs::write(&file, "text").unwrap();
        assert!(matches!(open(&file), Err(OpenError::NotADirectory(_))));
        let other = dir.path().join("other");
        fs::create_dir_all(&other).unwrap();
        fs::write(
            other.join(DATA_FILE),
            "not a database, but long enough to look like one",
        )
        .unwrap();
        assert!(matches!(open(&other), Err(OpenError::Damaged(..))));
    }

    #[test]
    fn a_truncated_file_is_an_error_at_any_length() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        let path = dir.path().join(DATA_FILE);
        let whole = fs::read(&path).unwrap();
        for length in [0, 1, 511, 4096, whole.len() / 2, whole.len() - 4096] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(
                matches!(open(dir.path()), Err(OpenError::Damaged(..))),
                "{length} bytes"
            );
            assert_eq!(fs::read(&path).unwrap(), &whole[..length]);
        }
    }
}
