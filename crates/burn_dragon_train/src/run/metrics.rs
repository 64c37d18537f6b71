//! File `metrics.jsonl`: one JSON object per line, appended during the run.
//!
//! There are two conventions. A line of a step has the step under [`STEP`], so that a resumed run can drop the lines
//! after its checkpoint. Everything that depends on the clock (seconds, tokens per second, utilisation) is in one
//! object under [`TIME`], so that two runs of one seed have equal lines [`without_time`].
//!
//! ```json
//! {"step":20,"loss":2.31,"gradient_norm":0.8,"time":{"seconds":3.1,"tokens_per_second":13200.0}}
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn_dragon_checkpoint::api::expert::plain;
use serde::Serialize;
use serde_json::{Map, Value};

use super::write_atomic;
use crate::error::TrainError;

/// Key of the step in a line.
pub(crate) const STEP: &str = "step";
/// Key of everything that differs between two runs of one seed.
pub(super) const TIME: &str = "time";

/// Line that was read from the file.
pub type Line = Map<String, Value>;

/// Metrics file, open for appending.
#[derive(Debug)]
pub struct MetricsLog {
    file: File,
    path: PathBuf,
}

impl MetricsLog {
    /// Creates the file of a new run.
    ///
    /// # Errors
    ///
    /// If the file exists. Only [`resume`](Self::resume) changes existing lines.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, TrainError> {
        let path = path.as_ref();
        Self::open(path, OpenOptions::new().append(true).create_new(true))
    }

    /// Opens the file of a run that resumes from the checkpoint of `step`. Lines of later steps are dropped, since they
    /// will be written again. A last line that was cut off is dropped too.
    ///
    /// # Errors
    ///
    /// [`TrainError::Record`] if a line other than the last is not a JSON object. The file is then unchanged.
    pub fn resume(path: impl AsRef<Path>, step: u64) -> Result<Self, TrainError> {
        let path = path.as_ref();
        if path.exists() {
            let bytes = fs::read(path).map_err(TrainError::file("read", path))?;
            let mut kept = Vec::with_capacity(bytes.len());
            for (text, line) in lines(path, &bytes)? {
                if line.get(STEP).and_then(Value::as_u64).is_none_or(|at| at <= step) {
                    // The original bytes: parsing and writing a float could change it.
                    kept.extend_from_slice(text);
                    kept.push(b'\n');
                }
            }
            write_atomic(path, &kept)?;
        }
        Self::open(path, OpenOptions::new().append(true).create(true))
    }

    /// Appends a line from a struct or a map. Numbers that are not finite become null, since JSON cannot represent
    /// them.
    pub fn append(&mut self, line: &impl Serialize) -> Result<(), TrainError> {
        let mut text = serde_json::to_vec(line).map_err(TrainError::Json)?;
        text.push(b'\n');
        // One unbuffered write, so that a reader that follows the file sees whole lines.
        self.file
            .write_all(&text)
            .map_err(TrainError::file("write", &self.path))
    }

    /// Lines of a file. A last line that was cut off is left out.
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<Line>, TrainError> {
        Self::read_within(path.as_ref(), u64::MAX)
    }

    /// Lines of a file of at most `most` bytes.
    pub(crate) fn read_within(path: &Path, most: u64) -> Result<Vec<Line>, TrainError> {
        let bytes = plain::read(path, most).map_err(TrainError::file("read", path))?;
        Ok(lines(path, &bytes)?.into_iter().map(|(_, line)| line).collect())
    }

    fn open(path: &Path, options: &OpenOptions) -> Result<Self, TrainError> {
        let file = options.open(path).map_err(TrainError::file("create", path))?;
        Ok(Self {
            file,
            path: path.into(),
        })
    }
}

/// Bytes and object of each line.
fn lines<'a>(path: &Path, bytes: &'a [u8]) -> Result<Vec<(&'a [u8], Line)>, TrainError> {
    let mut found = Vec::new();
    for (number, text) in (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n')) {
        let whole = text.strip_suffix(b"\n");
        let text = whole.unwrap_or(text);
        match serde_json::from_slice(text) {
            Ok(line) => found.push((text, line)),
            // Only the last line can be incomplete; a cut object is not valid JSON.
            Err(_) if whole.is_none() => {}
            Err(error) => {
                let problem = format!("not a JSON object ({error}); remove the line to continue");
                return Err(TrainError::Record {
                    path: path.into(),
                    line: number,
                    problem,
                });
            }
        }
    }
    Ok(found)
}

/// Seconds of training up to a line.
pub(crate) fn seconds(line: &Line) -> Option<f64> {
    line.get(TIME)?.get("seconds")?.as_f64()
}

/// Line without the values that depend on the clock: equal in two runs of one seed.
pub fn without_time(mut line: Line) -> Line {
    line.remove(TIME);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn lines_come_back_as_they_were_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = MetricsLog::create(&path).unwrap();
        let appended = [json!({"step": 1, "loss": 0.1}), json!({"note": "two\nlines"})];
        for line in &appended {
            log.append(line).unwrap();
            assert_eq!(fs::read(&path).unwrap().last(), Some(&b'\n'));
        }
        let read: Vec<Value> = MetricsLog::read(&path)
            .unwrap()
            .into_iter()
            .map(Value::Object)
            .collect();
        assert_eq!(read, appended);
    }

    #[test]
    fn resuming_drops_later_lines_and_the_torn_one_and_keeps_bytes() {
        // 0.30000000000000004 is what a careless reading and writing would change.
        let kept = "{\"step\":1,\"loss\":0.30000000000000004}\n{ \"start\" : true }\n{\"step\":2}\n";
        let (_folder, path) = file(format!("{kept}{{\"step\":3}}\n{{\"step\":2,\"lo").as_bytes());
        let mut log = MetricsLog::resume(&path, 2).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), kept);
        log.append(&json!({"step": 3})).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{kept}{{\"step\":3}}\n")
        );
    }

    #[test]
    fn resuming_without_a_file_starts_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        MetricsLog::resume(&path, 9)
            .unwrap()
            .append(&json!({"step": 10}))
            .unwrap();
        assert_eq!(MetricsLog::read(&path).unwrap().len(), 1);
    }

    #[test]
    fn a_last_line_that_only_lacks_its_end_is_kept() {
        let (_folder, path) = file(b"{\"step\":1}\n{\"step\":2}");
        MetricsLog::resume(&path, 2).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{\"step\":1}\n{\"step\":2}\n");
    }

    #[test]
    fn a_torn_line_may_end_inside_a_character() {
        let (_folder, path) = file(b"{\"step\":1}\n{\"text\":\"\xc3");
        assert_eq!(MetricsLog::read(&path).unwrap().len(), 1);
    }

    #[test]
    fn a_broken_line_before_the_end_is_named_and_left_alone() {
        let text = b"{\"step\":1}\n{\"st\n{\"step\":3}\n";
        let (_folder, path) = file(text);
        let error = MetricsLog::resume(&path, 1).unwrap_err();
        assert!(matches!(error, TrainError::Record { line: 2, .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), text);
    }

    #[test]
    fn a_new_log_never_touches_an_old_one() {
        let (_folder, path) = file(b"{}\n");
        assert!(matches!(MetricsLog::create(&path), Err(TrainError::File { .. })));
    }

    #[test]
    fn lines_of_one_seed_are_equal_without_time() {
        let line = |seconds: f64| {
            json!({"step": 1, "loss": 2.5, "time": {"seconds": seconds}})
                .as_object()
                .unwrap()
                .clone()
        };
        assert_ne!(line(1.0), line(2.0));
        assert_eq!(without_time(line(1.0)), without_time(line(2.0)));
        assert_eq!(without_time(line(1.0))["loss"], 2.5);
    }
}
