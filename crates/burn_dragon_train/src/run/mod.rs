//! Run on disk: its folder, its description, and its metrics.
//!
//! ```text
//! runs/<label>-<UTC date-time>/  config.toml     the resolved configuration, complete
//!                                run.json        RunInfo: version, commit, machine, seed, command line, outcome
//!                                metrics.jsonl   MetricsLog: one JSON object a line
//!                                tokenizer.json  (language)
//!                                samples/step-000200/
//!                                checkpoint/step-000200/
//! runs/latest                    names the run that last saved a useful checkpoint
//! ```

mod folder;
mod info;
mod lock;
pub(crate) mod metrics;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use burn_dragon_checkpoint::api::expert::disk;

pub use folder::RunFolder;
pub(crate) use folder::plain_name;
pub use info::{RunInfo, RunOutcome, RunState};
pub(crate) use lock::RunLock;
pub(crate) use metrics::STEP;
pub use metrics::{Line, MetricsLog, without_time};

use crate::error::TrainError;

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
    use std::fs;
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
