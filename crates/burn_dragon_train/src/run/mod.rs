//! Run on disk: its folder, its description, and its metrics.
//!
//! ```text
//! runs/<label>-<UTC date-time>/  config.toml     the resolved configuration, complete
//!                                run.json        RunInfo: version, machine, seed, command line
//!                                metrics.jsonl   MetricsLog: one JSON object a line
//!                                tokenizer.json  (language)
//!                                checkpoint/step-000200/
//! runs/latest                    names the newest run
//! ```

mod folder;
mod lock;
mod metrics;

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use burn_dragon_checkpoint::api::expert::{disk, unmarked};
use serde::{Deserialize, Serialize};

pub use folder::RunFolder;
pub(crate) use lock::RunLock;
pub(crate) use metrics::STEP;
pub use metrics::{Line, MetricsLog, without_time};

use crate::config::FIRST_FAMILY;
use crate::error::TrainError;

/// Content of `run.json`: description of a run, sufficient to repeat it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Family of the model. A file without it is from the time when there was only one family.
    #[serde(default = "first_family")]
    pub family: String,
    /// Version of burn_dragon that started the run.
    pub version: String,
    /// Name of the backend: `cpu`, `wgpu`, `cuda`.
    pub backend: String,
    /// Description of the device by its backend.
    pub device: String,
    /// Name of the processor, if the system provides it.
    pub cpu: Option<String>,
    /// Number of threads that the process may use.
    pub threads: usize,
    /// Seed of all random numbers of the run.
    pub seed: u64,
    /// Program and its arguments.
    pub command_line: Vec<String>,
    /// Start time, RFC 3339 in UTC.
    pub started: String,
    /// Resumptions of the run.
    #[serde(default)]
    pub resumed_at: Vec<Resumed>,
}

/// Resumption of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Step of the checkpoint from which the run resumed.
    pub step: u64,
    /// Time of the resumption, RFC 3339 in UTC.
    pub time: String,
    /// Parts of the data whose change was accepted: `training`, `validation`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_data: Vec<String>,
}

impl RunInfo {
    /// Description of a run that starts now, in this process.
    pub fn now(family: &str, backend: &str, device: &str, seed: u64) -> Self {
        Self {
            family: family.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            backend: backend.into(),
            device: device.into(),
            cpu: fs::read_to_string("/proc/cpuinfo")
                .ok()
                .as_deref()
                .and_then(cpu_model),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            seed,
            // Not `args`, which panics on arguments that are not UTF-8.
            command_line: std::env::args_os()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            started: rfc3339(SystemTime::now()),
            resumed_at: Vec::new(),
        }
    }

    /// Records a resumption from the checkpoint of `step`, with these changed parts of the data.
    pub fn resumed(&mut self, step: u64, changed_data: &[&str]) {
        self.resumed_at.push(Resumed {
            step,
            time: rfc3339(SystemTime::now()),
            changed_data: changed_data.iter().map(ToString::to_string).collect(),
        });
    }

    /// Writes the file [`RunFolder::run_json`].
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let mut text = serde_json::to_string_pretty(self).map_err(TrainError::Json)?;
        text.push('\n');
        write_atomic(path, text.as_bytes())
    }

    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let text = fs::read_to_string(path).map_err(TrainError::file("read", path))?;
        serde_json::from_slice(unmarked(text.as_bytes())).map_err(|error| TrainError::Record {
            path: path.into(),
            line: error.line(),
            problem: error.to_string(),
        })
    }
}

fn first_family() -> String {
    FIRST_FAMILY.into()
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let (_, name) = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")?;
    Some(name.trim().into())
}

/// Replaces a file atomically, like [`disk::write_atomic`].
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    disk::write_atomic(&disk::Os, path, |sink| sink.write_all(bytes)).map_err(TrainError::on_file)
}

/// Time as RFC 3339 in UTC: `2026-11-20T23:18:46Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let [year, month, day, hour, minute, second] = civil(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Time in the name of a run: `20261120-231846`, UTC.
fn stamp(time: SystemTime) -> String {
    let [year, month, day, hour, minute, second] = civil(time);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// Year, month, day, hour, minute and second in UTC. A time before 1970 counts as the beginning of 1970.
///
/// Days become a date as in Howard Hinnant's `civil_from_days`: years start in March, so that the leap day
/// is the last of its year, and 400 years (an era) always have 146,097 days.
fn civil(time: SystemTime) -> [u64; 6] {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, clock) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = if months_from_march < 10 {
        months_from_march + 3
    } else {
        months_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    [year, month, day, clock / 3_600, clock / 60 % 60, clock % 60]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Seconds from `date -u -d DATE +%s`.
    const DATES: [(u64, &str); 7] = [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (951_868_800, "2000-03-01T00:00:00Z"),
        (1_795_216_726, "2026-11-20T23:18:46Z"),
        (4_107_542_399, "2100-02-28T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ];

    #[test]
    fn civil_dates_know_leap_years_and_centuries() {
        for (seconds, date) in DATES {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), date);
        }
        assert_eq!(
            rfc3339(UNIX_EPOCH - Duration::from_secs(9)),
            "1970-01-01T00:00:00Z"
        );
        assert_eq!(
            stamp(UNIX_EPOCH + Duration::from_secs(1_795_216_726)),
            "20261120-231846"
        );
    }

    #[test]
    fn run_info_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let mut info = RunInfo::now("toy", "cpu", "Flex", u64::MAX);
        info.resumed(200, &[]);
        info.save(&path).unwrap();
        assert_eq!(RunInfo::load(&path).unwrap(), info);
    }

    #[test]
    fn a_file_of_the_time_when_there_was_one_family_is_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        RunInfo::now("toy", "cpu", "Flex", 1).save(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("  \"family\": \"toy\",\n", "")).unwrap();
        assert_eq!(RunInfo::load(&path).unwrap().family, "language");
    }

    #[test]
    fn a_broken_run_json_names_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        fs::write(&path, "{\n  \"version\": \n}").unwrap();
        let error = RunInfo::load(&path).unwrap_err();
        assert!(matches!(error, TrainError::Record { line: 3, .. }), "{error}");
    }

    #[test]
    fn the_cpu_model_is_found_where_the_system_tells_it() {
        let intel = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: A CPU @ 2.00GHz\n";
        assert_eq!(cpu_model(intel).unwrap(), "A CPU @ 2.00GHz");
        assert_eq!(cpu_model("processor : 0\nCPU part : 0xd0c\n"), None);
    }

    #[test]
    fn a_failed_atomic_write_names_the_file_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = write_atomic(&path, b"x").unwrap_err();
        assert!(
            error.to_string().starts_with(&path.display().to_string()),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
