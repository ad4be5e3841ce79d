//! A log file that makes room for a new one when it is full, as etcd's does (lumberjack).
//!
//! `name.log` becomes `name-2006-01-02T15-04-05.000.log`. Old files are removed and compressed by
//! a thread of its own, so that no writer of a line waits for it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::config::Rotation;

const TIME: &str = "%Y-%m-%dT%H-%M-%S%.3f";
const COMPRESSED: &str = ".gz";

/// The file that lines go to, and its older ones.
pub struct RotatedFile {
    current: Mutex<Current>,
    family: Arc<Family>,
}

struct Current {
    file: File,
    bytes: u64,
}

/// The names of the files, and what becomes of the old ones.
struct Family {
    path: PathBuf,
    rotation: Rotation,
    zone: TimeZone,
    /// Held by who tidies up.
    tidying: Mutex<()>,
}

/// A file that was full once.
struct Old {
    path: PathBuf,
    /// Its name without `.gz`.
    name: String,
    since: Timestamp,
}

impl RotatedFile {
    /// Opens the file, and makes its directory if it is not there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path, rotation: Rotation) -> io::Result<RotatedFile> {
        let path = std::path::absolute(path)?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let file = appended(&path)?;
        let bytes = file.metadata()?.len();
        let zone = match rotation.local_time {
            true => TimeZone::system(),
            false => TimeZone::UTC,
        };
        let family = Family {
            path,
            rotation,
            zone,
            tidying: Mutex::new(()),
        };
        let opened = RotatedFile {
            current: Mutex::new(Current { file, bytes }),
            family: Arc::new(family),
        };
        opened.family.tidy_aside();
        Ok(opened)
    }

    /// Appends a line, which is never split between two files.
    ///
    /// # Errors
    /// What the operating system says to writing it. A file that cannot be rotated is written on.
    pub fn write_all(&self, line: &[u8]) -> io::Result<()> {
        let mut current = self.current.lock();
        let bytes = line.len() as u64;
        let full = current.bytes + bytes > self.family.rotation.max_bytes;
        if full
            && current.bytes > 0
            && let Ok(fresh) = self.family.rotate()
        {
            *current = fresh;
            self.family.tidy_aside();
        }
        current.file.write_all(line)?;
        current.bytes += bytes;
        Ok(())
    }
}

fn appended(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

impl Family {
    /// Renames the file and begins a new one, with the same permissions.
    fn rotate(&self) -> io::Result<Current> {
        match self.path.metadata() {
            Ok(old) => {
                fs::rename(&self.path, self.backup_at(Timestamp::now()))?;
                let file = appended(&self.path)?;
                file.set_permissions(old.permissions())?;
                Ok(Current { file, bytes: 0 })
            }
            // Somebody took it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = appended(&self.path)?;
                Ok(Current { file, bytes: 0 })
            }
            Err(error) => Err(error),
        }
    }

    fn backup_at(&self, now: Timestamp) -> PathBuf {
        let (stem, extension) = self.name();
        let time = now.to_zoned(self.zone.clone()).strftime(TIME);
        self.path
            .with_file_name(format!("{stem}-{time}{extension}"))
    }

    /// The file's name before its last dot, and the rest.
    fn name(&self) -> (String, String) {
        let name = self.path.file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        match name.rfind('.') {
            Some(dot) => (name[..dot].to_owned(), name[dot..].to_owned()),
            None => (name.into_owned(), String::new()),
        }
    }

    /// Tidies up in a thread of its own.
    fn tidy_aside(self: &Arc<Self>) {
        let family = self.clone();
        let tidy = move || {
            let _one = family.tidying.lock();
            // There is no log to say it in; the next rotation tries again.
            let _ = family.tidy(Timestamp::now());
        };
        let _ = thread::Builder::new()
            .name("log-rotation".into())
            .spawn(tidy);
    }

    /// Removes what is too old or too many, and compresses the rest if that is wanted.
    fn tidy(&self, now: Timestamp) -> io::Result<()> {
        let rotation = &self.rotation;
        let oldest = rotation.max_age.and_then(|age| {
            let age = SignedDuration::try_from(age).ok()?;
            now.checked_sub(age).ok()
        });
        let mut names: Vec<String> = Vec::new();
        for old in self.olds()? {
            if names.last() != Some(&old.name) {
                names.push(old.name.clone());
            }
            let too_many = rotation.max_backups.is_some_and(|most| names.len() > most);
            let too_old = oldest.is_some_and(|oldest| old.since < oldest);
            if too_many || too_old {
                fs::remove_file(&old.path)?;
            } else if rotation.compress && !old.is_compressed() {
                compress(&old.path)?;
            }
        }
        Ok(())
    }

    /// The old files, the newest first.
    fn olds(&self) -> io::Result<Vec<Old>> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let mut olds = Vec::new();
        for entry in fs::read_dir(directory)? {
            olds.extend(self.old(entry?.path()));
        }
        olds.sort_by_key(|old| std::cmp::Reverse(old.since));
        Ok(olds)
    }

    /// `path` as an old file; `None` if its name does not say that it is one.
    fn old(&self, path: PathBuf) -> Option<Old> {
        let (stem, extension) = self.name();
        let name = path.file_name()?.to_str()?;
        let name = name.strip_suffix(COMPRESSED).unwrap_or(name);
        let time = name.strip_prefix(&stem)?.strip_prefix('-')?;
        let time = time.strip_suffix(&extension)?;
        let time = DateTime::strptime(TIME, time).ok()?;
        let since = time.to_zoned(self.zone.clone()).ok()?.timestamp();
        let name = name.to_owned();
        path.is_file().then_some(Old { path, name, since })
    }
}

impl Old {
    fn is_compressed(&self) -> bool {
        self.path.extension().is_some_and(|last| last == "gz")
    }
}

/// Replaces a file by its gzipped self. What a crash leaves half-done is done again.
fn compress(path: &Path) -> io::Result<()> {
    let mut source = File::open(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(COMPRESSED);
    let target = File::create(&name)?;
    target.set_permissions(source.metadata()?.permissions())?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    io::copy(&mut source, &mut encoder)?;
    encoder.finish()?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use flate2::read::GzDecoder;
    use tempfile::TempDir;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn small(rotation: Rotation) -> Rotation {
        Rotation {
            max_bytes: 10,
            ..rotation
        }
    }

    fn family(dir: &TempDir, rotation: Rotation) -> Family {
        Family {
            path: dir.path().join("a.log"),
            rotation,
            zone: TimeZone::UTC,
            tidying: Mutex::new(()),
        }
    }

    fn names(dir: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_full_file_is_renamed_and_no_line_is_split_or_lost() {
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("deeper/a.log");
        let file = RotatedFile::open(&log, small(Rotation::default())).unwrap();
        file.write_all(b"12345\n").unwrap();
        file.write_all(b"678\n").unwrap();
        assert_eq!(
            fs::read_to_string(&log).unwrap(),
            "12345\n678\n",
            "full to the brim"
        );
        file.write_all(b"9\n").unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "9\n");
        let olds = file.family.olds().unwrap();
        assert_eq!(olds.len(), 1);
        assert_eq!(fs::read_to_string(&olds[0].path).unwrap(), "12345\n678\n");
    }

    #[test]
    fn a_line_that_is_larger_than_a_file_is_written_all_the_same() {
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("a.log");
        let file = RotatedFile::open(&log, small(Rotation::default())).unwrap();
        file.write_all(b"12345678901234567890\n").unwrap();
        assert_eq!(fs::read(&log).unwrap().len(), 21);
    }

    #[test]
    fn what_was_there_before_counts() {
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("a.log");
        fs::write(&log, "before\n").unwrap();
        let file = RotatedFile::open(&log, small(Rotation::default())).unwrap();
        file.write_all(b"after\n").unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "after\n");
        assert_eq!(names(&dir).len(), 2);
    }

    #[test]
    fn a_file_that_was_taken_away_is_begun_anew() {
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("a.log");
        let file = RotatedFile::open(&log, small(Rotation::default())).unwrap();
        file.write_all(b"123456789\n").unwrap();
        fs::remove_file(&log).unwrap();
        file.write_all(b"next\n").unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "next\n");
    }

    #[test]
    fn old_files_have_the_time_in_their_names() {
        let dir = TempDir::new().unwrap();
        let family = family(&dir, Rotation::default());
        let name = "a-2026-03-04T05-06-07.089.log";
        assert_eq!(
            family.backup_at(at("2026-03-04T05:06:07.089Z")),
            dir.path().join(name)
        );
        fs::write(dir.path().join(name), "").unwrap();
        for stranger in [
            "a.log",
            "a-b.log",
            "b-2026-03-04T05-06-07.089.log",
            "a-2026-03-04.log",
        ] {
            fs::write(dir.path().join(stranger), "").unwrap();
        }
        let olds = family.olds().unwrap();
        assert_eq!(olds.len(), 1);
        assert_eq!(olds[0].since, at("2026-03-04T05:06:07.089Z"));
    }

    /// Leaves files of four days, the first one compressed, and tidies up on the fifth.
    fn tidied(rotation: Rotation) -> (TempDir, Vec<String>) {
        let dir = TempDir::new().unwrap();
        for name in [
            "01T00-00-00.000.log.gz",
            "02T00-00-00.000.log",
            "03T00-00-00.000.log",
        ] {
            fs::write(dir.path().join(format!("a-2026-01-{name}")), "line\n").unwrap();
        }
        let family = family(&dir, rotation);
        family.tidy(at("2026-01-04T12:00:00Z")).unwrap();
        let names = names(&dir);
        (dir, names)
    }

    #[test]
    fn without_limits_all_stay() {
        assert_eq!(tidied(Rotation::default()).1.len(), 3);
    }

    #[test]
    fn the_oldest_are_too_many() {
        let rotation = Rotation {
            max_backups: Some(2),
            ..Rotation::default()
        };
        let names = tidied(rotation).1;
        assert_eq!(
            names,
            [
                "a-2026-01-02T00-00-00.000.log",
                "a-2026-01-03T00-00-00.000.log"
            ]
        );
    }

    #[test]
    fn what_is_too_old_goes() {
        let rotation = Rotation {
            max_age: Some(2 * DAY),
            ..Rotation::default()
        };
        assert_eq!(tidied(rotation).1, ["a-2026-01-03T00-00-00.000.log"]);
    }

    #[test]
    fn what_stays_is_compressed() {
        let rotation = Rotation {
            max_backups: Some(1),
            compress: true,
            ..Rotation::default()
        };
        let (dir, names) = tidied(rotation);
        assert_eq!(names, ["a-2026-01-03T00-00-00.000.log.gz"]);
        let file = File::open(dir.path().join(&names[0])).unwrap();
        let mut text = String::new();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "line\n");
    }
}
