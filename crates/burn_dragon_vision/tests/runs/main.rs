//! Runs through the trainer: they go on from a checkpoint as if nothing had happened, and their models are used.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod clips;
mod pictures;

use burn_dragon_train::api::{RunRequest, run};
use burn_dragon_vision::api::Vision;
use serde_json::Value;
use std::path::Path;

/// The last line of a run with some settings.
fn train(out: &Path, settings: &[&str]) -> Value {
    let ran = run::<Vision>(&RunRequest {
        assignments: settings.iter().map(ToString::to_string).collect(),
        out: Some(out.into()),
        json: true,
        ..RunRequest::default()
    });
    let json = ran.unwrap().json.unwrap();
    serde_json::from_str(&json.to_string()).unwrap()
}

/// Copies a run as it would be, had it been killed behind its checkpoint of this step.
fn killed_after(step: u64, from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let (path, target) = (entry.path(), to.join(&name));
        let number = name.strip_prefix("step-").map(|number| number.parse::<u64>());
        if number.is_some_and(|number| number.unwrap() > step) || name == "lock" {
            continue;
        }
        if path.is_dir() {
            killed_after(step, &path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

fn file(run: &Path, step: u64, name: &str) -> Vec<u8> {
    std::fs::read(run.join(format!("checkpoint/step-{step:06}/{name}"))).unwrap()
}
