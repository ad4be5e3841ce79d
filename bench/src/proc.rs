//! What /proc says: the CPU time and memory of a process, and the kind of a file system.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

/// One tick of `utime` and `stime`, in ms: Linux tells user space 100 ticks a second on every
/// architecture that latchd is built for.
const TICK_MS: u64 = 10;

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time of all its threads, in user space and in the kernel; in steps of 10 ms.
    pub cpu: Duration,
    /// Resident memory now, in KiB.
    pub rss_kib: u64,
}

impl Usage {
    /// The usage of the process `pid`.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> Result<Self> {
        let directory = PathBuf::from(format!("/proc/{pid}"));
        Ok(Self {
            cpu: read(&directory.join("stat"), cpu_time)?,
            rss_kib: read(&directory.join("status"), rss_kib)?,
        })
    }
}

impl Usage {
    /// Resident memory in MiB.
    pub fn rss_mib(&self) -> f64 {
        self.rss_kib as f64 / 1024.0
    }
}

/// How long the files under `directory` are together, in bytes.
///
/// # Errors
/// When it cannot be read.
pub fn disk_bytes(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        bytes += match entry.metadata()? {
            found if found.is_dir() => disk_bytes(&entry.path())?,
            found => found.len(),
        };
    }
    Ok(bytes)
}

fn read<T>(file: &Path, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    parse(&text).with_context(|| format!("{} is not understood: {text}", file.display()))
}

/// `utime` + `stime` of /proc/PID/stat, fields 14 and 15. The second field is the program's name
/// in parentheses, and may itself contain blanks and parentheses.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * TICK_MS))
}

/// `VmRSS` of /proc/PID/status, in KiB.
fn rss_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// The kind of the file system that `path` lies on, such as `ext4`.
///
/// # Errors
/// When `path` does not exist.
pub fn filesystem(path: &Path) -> Result<String> {
    let path = path
        .canonicalize()
        .with_context(|| path.display().to_string())?;
    read(Path::new("/proc/self/mounts"), |mounts| {
        filesystem_of(mounts, &path)
    })
}

/// The deepest mount above `path`; of two on the same place, the later one hides the earlier.
fn filesystem_of(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        Some((PathBuf::from(fields.next()?), fields.next()?.to_owned()))
    };
    let above = mounts
        .lines()
        .filter_map(mount)
        .filter(|(point, _)| path.starts_with(point));
    let (_, kind) = above.max_by_key(|(point, _)| point.components().count())?;
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_name_with_blanks_and_parentheses() {
        let stat = "4242 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 3 0 12345 6789";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1750)));
    }

    #[test]
    fn a_stat_cut_short_is_not_understood() {
        assert_eq!(cpu_time("4242 (etcd) S 1 2 3"), None);
        assert_eq!(cpu_time(""), None);
    }

    #[test]
    fn resident_memory_is_read_from_its_own_line() {
        let status = "Name:\tlatchd\nVmHWM:\t  999 kB\nVmRSS:\t   12345 kB\nThreads:\t4\n";
        assert_eq!(rss_kib(status), Some(12345));
        assert_eq!(rss_kib("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn the_deepest_and_latest_mount_counts() {
        let mounts = "/dev/vda / ext4 rw 0 0\n\
                      proc /proc proc rw 0 0\n\
                      /dev/vdb /data xfs rw 0 0\n\
                      tmpfs /data tmpfs rw 0 0\n";
        let kind = |path| filesystem_of(mounts, Path::new(path));
        assert_eq!(kind("/home/me").as_deref(), Some("ext4"));
        assert_eq!(kind("/data/x").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/database").as_deref(), Some("ext4"));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(Usage::of(std::process::id()).unwrap().rss_kib > 0);
    }

    #[test]
    fn a_missing_process_is_an_error() {
        assert!(Usage::of(u32::MAX).is_err());
    }
}
