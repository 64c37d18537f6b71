//! Free memory of the machine, checked before memory is allocated.
//!
//! A failed allocation ends a program in the middle of its work. So the memory of a piece of work is first computed as
//! a [`Need`], with the formulas of [`Cost`](crate::cost::Cost), and compared with [`FreeMemory`] before any of it is
//! allocated. The error gives three facts: the memory needed, the memory available, and a size that would fit.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that count as free if the system does not tell: more than a processor can address.
const ADDRESSABLE: u64 = 1 << 47;

/// Bytes up to which a need is not checked.
const NEGLIGIBLE: u64 = 16 << 20;

/// Memory available to this process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeMemory {
    free: u64,
    held: u64,
    most_held: u64,
}

impl FreeMemory {
    /// Memory available now according to the system: memory that is free or can be freed, within the limits of the
    /// process and of its control groups, and the memory that the process holds already. If the system does not tell,
    /// 2^47 bytes count as free.
    pub fn of_this_machine() -> Self {
        Self::told_by(Path::new("/"))
    }

    /// `bytes` free bytes, with none held yet.
    pub fn of(bytes: u64) -> Self {
        Self {
            free: bytes,
            held: 0,
            most_held: 0,
        }
    }

    /// Memory available according to the files of a Linux system, below `root`.
    fn told_by(root: &Path) -> Self {
        let system = System { root };
        let free = [
            system.available(),
            system.within_control_groups(),
            system.within_addresses(),
        ];
        Self {
            free: free.into_iter().flatten().min().unwrap_or(ADDRESSABLE),
            held: system.field("proc/self/status", "VmRSS:").unwrap_or(0),
            most_held: system.field("proc/self/status", "VmHWM:").unwrap_or(0),
        }
    }

    /// Checks that this machine has free memory for a need in addition to all that the process holds. A need of at most
    /// 16 MiB always passes.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn room_for(need: &Need, way_out: impl FnOnce() -> String) -> Result<(), MemoryError> {
        match need.bytes() {
            0..=NEGLIGIBLE => Ok(()),
            _ => Self::of_this_machine().check_more(need, way_out),
        }
    }

    /// Bytes that the process can have in all: free bytes, and those that it holds already.
    pub fn whole(self) -> u64 {
        self.free.saturating_add(self.held)
    }

    /// Bytes that the process can have in addition to those that it holds.
    pub fn free(self) -> u64 {
        self.free
    }

    /// Bytes that the process holds: its resident memory; 0 if the system does not tell.
    pub fn held(self) -> u64 {
        self.held
    }

    /// Most bytes that the process has held so far: the peak of its resident memory; 0 if the system does not tell.
    pub fn most_held(self) -> u64 {
        self.most_held
    }

    /// Checks a need that includes all that the process holds already, against all that it can have.
    /// `way_out` returns the advice of the error: what would fit.
    ///
    /// # Errors
    /// The need and the bytes available, if the need is larger.
    pub fn check(self, need: &Need, way_out: impl FnOnce() -> String) -> Result<(), MemoryError> {
        refuse_beyond(self.whole(), need, way_out)
    }

    /// Checks a need in addition to all that the process holds already, against the free bytes.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_more(self, need: &Need, way_out: impl FnOnce() -> String) -> Result<(), MemoryError> {
        refuse_beyond(self.free, need, way_out)
    }

    /// Largest size from 1 to `most` whose `needed` bytes fit into all that the process can have; `None` if none fits.
    /// `needed` must not decrease with the size.
    pub fn largest(self, most: u64, needed: impl Fn(u64) -> u64) -> Option<u64> {
        let (mut fits, mut beyond) = (0, most.saturating_add(1));
        while beyond - fits > 1 {
            let middle = fits + (beyond - fits) / 2;
            if needed(middle) <= self.whole() {
                fits = middle;
            } else {
                beyond = middle;
            }
        }
        (fits > 0).then_some(fits)
    }
}

fn refuse_beyond(available: u64, need: &Need, way_out: impl FnOnce() -> String) -> Result<(), MemoryError> {
    if need.bytes() <= available {
        return Ok(());
    }
    Err(MemoryError {
        need: need.clone(),
        available,
        way_out: way_out(),
    })
}

/// Memory that a piece of work needs at once, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    work: String,
    parts: Vec<(String, u64)>,
}

impl Need {
    /// The need of a piece of work, such as `a training step`.
    pub fn of(work: impl Into<String>) -> Self {
        Self {
            work: work.into(),
            parts: Vec::new(),
        }
    }

    /// The same need with one more part: its name, such as `weights`, and its bytes.
    #[must_use]
    pub fn with(mut self, part: impl Into<String>, bytes: u64) -> Self {
        self.parts.push((part.into(), bytes));
        self
    }

    /// Bytes of all parts; [`u64::MAX`] if the sum overflows.
    pub fn bytes(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs about {} of memory", self.work, Size(self.bytes()))?;
        if self.parts.len() > 1 {
            let parts = self
                .parts
                .iter()
                .map(|(part, bytes)| format!("{part} {}", Size(*bytes)));
            write!(f, " ({})", parts.collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}

/// Error of a need that is larger than the memory available.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{need}, but {} are available; {way_out}", Size(*available))]
pub struct MemoryError {
    /// The memory needed.
    pub need: Need,
    /// Bytes available.
    pub available: u64,
    /// Advice: what would fit.
    pub way_out: String,
}

/// Number of bytes, displayed with a unit.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GIB: u64 = 1 << 30;
        match self.0 {
            u64::MAX => f.write_str("more than 16 EiB"),
            bytes if bytes < GIB / 10 => write!(f, "{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
            bytes => write!(f, "{:.1} GiB", bytes as f64 / GIB as f64),
        }
    }
}

/// Files in which a Linux system reports its memory.
struct System<'a> {
    root: &'a Path,
}

impl System<'_> {
    /// Bytes that the kernel reports as available without swapping.
    fn available(&self) -> Option<u64> {
        self.field("proc/meminfo", "MemAvailable:")
    }

    /// Free bytes of the address space that the process may have (`ulimit -v`).
    fn within_addresses(&self) -> Option<u64> {
        let limits = self.text(Path::new("proc/self/limits"))?;
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max address space"))?;
        let limit: u64 = line.split_whitespace().next()?.parse().ok()?; // or `unlimited`
        let taken = self.field("proc/self/status", "VmSize:")?;
        Some(
            limit
                .saturating_sub(taken)
                .saturating_sub(self.addresses_of_threads()),
        )
    }

    /// Address space of the threads that have not started yet: a stack, and the area that the allocator reserves for
    /// each, used or not.
    fn addresses_of_threads(&self) -> u64 {
        const EACH: u64 = 72 << 20;
        const BESIDE: u64 = 3; // who writes checkpoints, hears signals, shows progress
        let workers = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let started = self.entry(Path::new("proc/self/status"), "Threads:");
        started.map_or(0, |started| (workers + BESIDE).saturating_sub(started) * EACH)
    }

    /// Smallest number of free bytes of the process's control groups and their parents.
    fn within_control_groups(&self) -> Option<u64> {
        let groups = self.text(Path::new("proc/self/cgroup"))?;
        groups.lines().filter_map(|line| self.within(line)).min()
    }

    /// The same of one hierarchy: `0::/path`, or of the older kind `4:memory:/path`.
    fn within(&self, line: &str) -> Option<u64> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (mount, files) = match controllers {
            "" => ("sys/fs/cgroup", &UNIFIED),
            _ if controllers.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", &OLD),
            _ => return None,
        };
        // Inside a container the path is that of the host; folders that do not exist are skipped.
        let own = Path::new(path.trim_start_matches('/'));
        let folders = own.ancestors().map(|group| Path::new(mount).join(group));
        folders.filter_map(|folder| self.left(&folder, files)).min()
    }

    /// Free bytes of one control group: its limit minus the bytes that are used and cannot be freed.
    fn left(&self, folder: &Path, files: &GroupFiles) -> Option<u64> {
        let number = |name: &str| self.text(&folder.join(name))?.trim().parse::<u64>().ok();
        let (limit, used) = (number(files.limit)?, number(files.used)?);
        let cached = self.entry(&folder.join("memory.stat"), files.cached).unwrap_or(0);
        Some(limit.saturating_sub(used.saturating_sub(cached)))
    }

    /// A field in kB, in bytes.
    fn field(&self, file: &str, name: &str) -> Option<u64> {
        self.entry(Path::new(file), name)?.checked_mul(1024)
    }

    /// The number behind the name that a line begins with.
    fn entry(&self, file: &Path, name: &str) -> Option<u64> {
        let text = self.text(file)?;
        let mut lines = text.lines().map(str::split_whitespace);
        lines.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
    }

    fn text(&self, file: &Path) -> Option<String> {
        let path: PathBuf = self.root.join(file);
        fs::read_to_string(path).ok()
    }
}

/// Names of the files of a control group.
struct GroupFiles {
    limit: &'static str,
    used: &'static str,
    /// The entry of `memory.stat` that can be freed.
    cached: &'static str,
}

const UNIFIED: GroupFiles = GroupFiles {
    limit: "memory.max",
    used: "memory.current",
    cached: "inactive_file",
};

const OLD: GroupFiles = GroupFiles {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cached: "total_inactive_file",
};

#[cfg(test)]
mod tests {
    use super::*;

    /// A system of which these files say what there is.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn told(files: &[(&str, &str)]) -> FreeMemory {
        FreeMemory::told_by(system(files).path())
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:  4000 kB\n",
    );
    const STATUS: (&str, &str) = (
        "proc/self/status",
        "Name:\tdragon\nVmSize:\t  700 kB\nVmHWM:\t  250 kB\nVmRSS:\t  100 kB\n",
    );

    #[test]
    fn the_system_says_what_is_free_and_what_is_held() {
        let memory = told(&[MEMINFO, STATUS]);
        assert_eq!((memory.free(), memory.whole()), (4000 << 10, 4100 << 10));
        assert_eq!((memory.held(), memory.most_held()), (100 << 10, 250 << 10));
        let unknown = told(&[]);
        assert_eq!((unknown.free(), unknown.whole()), (ADDRESSABLE, ADDRESSABLE));
    }

    #[test]
    fn a_control_group_and_those_above_it_leave_less() {
        let group = |limit: &str| {
            let limit = limit.to_string();
            let files = [
                MEMINFO,
                ("proc/self/cgroup", "0::/user/dragon\n"),
                ("sys/fs/cgroup/user/dragon/memory.max", limit.as_str()),
                ("sys/fs/cgroup/user/dragon/memory.current", "600000\n"),
                (
                    "sys/fs/cgroup/user/dragon/memory.stat",
                    "anon 5\ninactive_file 200000\n",
                ),
                ("sys/fs/cgroup/user/memory.max", "3000000\n"),
                ("sys/fs/cgroup/user/memory.current", "1000000\n"),
            ];
            told(&files).free()
        };
        assert_eq!(group("1000000\n"), 1_000_000 - 400_000);
        assert_eq!(group("max\n"), 2_000_000, "the one above has a limit");
        assert_eq!(group("300000\n"), 0, "a group over its limit leaves nothing");
    }

    #[test]
    fn in_a_container_the_group_is_the_root_and_old_hierarchies_count_too() {
        let memory = told(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/docker/f00\n"),
            ("sys/fs/cgroup/memory.max", "1000000"),
            ("sys/fs/cgroup/memory.current", "10"),
        ]);
        assert_eq!(memory.free(), 999_990);
        let memory = told(&[
            MEMINFO,
            (
                "proc/self/cgroup",
                "5:cpu,cpuacct:/x\n4:memory:/docker/f00\n0::/\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "900000"),
            (
                "sys/fs/cgroup/memory/memory.stat",
                "inactive_file 1\ntotal_inactive_file 100000\n",
            ),
        ]);
        assert_eq!(memory.free(), 2_000_000 - 800_000);
    }

    #[test]
    fn a_limit_of_addresses_leaves_what_is_not_taken_of_it() {
        let limits = |limit: &str| {
            let line = format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax address space         {limit}            unlimited            bytes\n"
            );
            told(&[MEMINFO, STATUS, ("proc/self/limits", line.as_str())]).free()
        };
        assert_eq!(limits("1000000"), 1_000_000 - (700 << 10));
        assert_eq!(limits("unlimited"), 4000 << 10);
    }

    #[test]
    fn a_refusal_says_what_it_takes_what_there_is_and_what_fits() {
        let need = Need::of("a training step")
            .with("weights", 3 << 30)
            .with("a batch", 1 << 30);
        assert_eq!(need.bytes(), 4 << 30);
        FreeMemory::of(4 << 30)
            .check(&need, || unreachable!("it fits"))
            .unwrap();
        let error = FreeMemory::of((4 << 30) - 1)
            .check(&need, || "use less".into())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "a training step needs about 4.0 GiB of memory (weights 3.0 GiB, a batch 1.0 GiB), but 4.0 GiB are \
             available; use less"
        );
    }

    #[test]
    fn what_is_held_counts_for_the_whole_and_not_for_more() {
        let memory = FreeMemory {
            held: 5,
            ..FreeMemory::of(10)
        };
        let need = Need::of("it").with("all", 12);
        memory.check(&need, String::new).unwrap();
        memory.check_more(&need, String::new).unwrap_err();
    }

    #[test]
    fn what_cannot_be_counted_is_too_much() {
        let need = Need::of("it").with("a", u64::MAX).with("b", 5);
        assert_eq!(need.bytes(), u64::MAX);
        let error = FreeMemory::of_this_machine()
            .check(&need, String::new)
            .unwrap_err();
        assert!(error.to_string().contains("more than 16 EiB"), "{error}");
    }

    #[test]
    fn the_largest_that_fits_is_found_exactly() {
        let memory = FreeMemory::of(1000);
        assert_eq!(memory.largest(u64::MAX, |size| size.saturating_mul(7)), Some(142));
        assert_eq!(memory.largest(100, |size| size * 7), Some(100));
        assert_eq!(memory.largest(u64::MAX, |_| 1001), None);
    }

    #[test]
    fn sizes_are_read_as_a_person_reads_them() {
        assert_eq!(Size(1 << 20).to_string(), "1.0 MiB");
        assert_eq!(Size(5 << 29).to_string(), "2.5 GiB");
    }
}
