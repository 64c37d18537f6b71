//! Event files of TensorBoard: what `metrics.jsonl` holds, for its viewer.
//!
//! A file is a sequence of records ([`record`]), each a protobuf message ([`message`]). It lies in the folder of the run, so
//! `tensorboard --logdir runs` finds all runs. A resumed run begins another file, whose first event tells the viewer to
//! drop the steps after its checkpoint.

mod message;
mod record;
#[cfg(test)]
mod tests;

use crate::error::TrainError;
use crate::run::RunFolder;
use message::Value;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Event file of one session of a run, open for appending.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// A new file in the folder of a run, which begins or resumes after step `resumed`.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn create(run: &RunFolder, resumed: Option<u64>) -> Result<Self, TrainError> {
        let (file, path) = fresh(run)?;
        let mut events = Self { file, path };
        events.append(&message::version(now()))?;
        if let Some(step) = resumed {
            events.append(&message::restart(now(), step + 1))?;
        }
        Ok(events)
    }

    /// Appends numbers of a step: `loss/train`, with the kind of the line behind the name.
    pub(crate) fn numbers<'a>(
        &mut self,
        step: u64,
        kind: &str,
        values: impl Iterator<Item = (&'a str, f64)>,
    ) -> Result<(), TrainError> {
        let values: Vec<Value> = values
            .map(|(key, value)| Value::Number(format!("{key}/{kind}"), value))
            .collect();
        self.append(&message::summary(now(), step, &values))
    }

    /// Appends the text of a sample.
    pub(crate) fn text(&mut self, step: u64, text: &str) -> Result<(), TrainError> {
        // The viewer reads Markdown: indented by four spaces, a text is shown as it is.
        let verbatim: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
        let value = Value::Text("sample".into(), verbatim.join("\n"));
        self.append(&message::summary(now(), step, &[value]))
    }

    fn append(&mut self, event: &[u8]) -> Result<(), TrainError> {
        // One write, so that a reader that follows the file sees whole records.
        let written = self.file.write_all(&record::framed(event));
        written.map_err(TrainError::file("write", &self.path))
    }
}

/// Creates the file. The viewer reads files of a folder in the order of their names, and knows them by `tfevents`.
fn fresh(run: &RunFolder) -> Result<(File, PathBuf), TrainError> {
    let seconds = now() as u64;
    let mut number = 0;
    loop {
        let path = run.path().join(format!(
            "events.out.tfevents.{seconds:010}.{number:03}.burn_dragon"
        ));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 999 => number += 1,
            made => return Ok((made.map_err(TrainError::file("create", &path))?, path)),
        }
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
