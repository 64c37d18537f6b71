//! Checks of checkpoints, and of a run with all of them.

use super::files::shapes_of;
use super::{Verdict, Verifier};
use burn_dragon_checkpoint::api::expert::{TensorFile, plain, sha256};
use burn_dragon_checkpoint::api::{
    CheckpointError, CheckpointFolder, Checkpoints, Companion, ModelFile, Pointer,
};
use serde_json::Value;
use std::path::Path;

/// Limit on the size of a text file of a run in bytes.
const LONGEST_TEXT: u64 = 1 << 24;

impl Verifier<'_> {
    pub(super) fn folder(&mut self, path: &Path) -> Result<(), CheckpointError> {
        if let Ok(folder) = CheckpointFolder::open(path) {
            self.checkpoint(&folder);
            return Ok(());
        }
        let inner = path.join("checkpoint");
        let (root, run) = match inner.is_dir() {
            true => (inner, Some(path)),
            false => (path.to_path_buf(), None),
        };
        let checkpoints = Checkpoints::new(&root);
        let all = checkpoints.all()?;
        if all.is_empty() && run.is_none() {
            let (path, reason) = (
                path.to_path_buf(),
                "the folder is neither a run nor a checkpoint".into(),
            );
            return Err(CheckpointError::NoModel { path, reason });
        }
        let found = match all.len() {
            0 => Err("there is none yet"),
            count => Ok(format!("{count}")),
        };
        self.note(&root, "checkpoints", found);
        for folder in &all {
            self.checkpoint(folder);
        }
        self.pointers(&checkpoints);
        self.leftovers(&root);
        if let (Some(run), Some(newest)) = (run, all.last()) {
            self.configuration(run, newest);
        }
        Ok(())
    }

    fn checkpoint(&mut self, folder: &CheckpointFolder) {
        let manifest = folder.manifest();
        let found = folder.verify().and_then(|()| {
            let files = folder.manifest()?.files.len();
            Ok(format!(
                "{files} files, each with the size and the hash that it lists, and no others"
            ))
        });
        self.note(folder.path(), "manifest", found);
        let Ok(manifest) = manifest else { return };
        let path = |name: &str| folder.path().join(name);
        let has = |name: &str| manifest.files.contains_key(name);
        let model = match has("model.bpk") {
            true => self.model_of(&path("model.bpk")),
            false => {
                let words = "the checkpoint has no model";
                self.say(&path("model.bpk"), "container", Verdict::Failed, words);
                None
            }
        };
        if let Some(model) = &model {
            self.is_of_step(folder, "model.bpk", Ok(model.info.step));
        }
        let companions = self.companions(model.as_ref());
        for companion in &companions {
            let path = path(companion.file);
            match (has(companion.file), companion.absent) {
                (true, _) => self.companion(&path, companion),
                (false, Some(words)) => self.say(&path, "container", Verdict::Warning, words),
                (false, None) => {}
            }
        }
        let known =
            |name: &str| name == "model.bpk" || companions.iter().any(|companion| companion.file == name);
        for name in manifest
            .files
            .keys()
            .filter(|name| name.ends_with(".bpk") && !known(name))
        {
            self.pack(&path(name));
        }
        if has("trainer.json") {
            let text = plain::read_text_inside(&path("trainer.json"), LONGEST_TEXT)
                .map_err(|error| error.to_string());
            let value =
                text.and_then(|text| serde_json::from_str::<Value>(&text).map_err(|error| error.to_string()));
            let step = value.and_then(|value| value["step"].as_u64().ok_or("it has no `step`".into()));
            self.is_of_step(folder, "trainer.json", step);
        }
    }

    fn is_of_step(&mut self, folder: &CheckpointFolder, name: &str, step: Result<u64, String>) {
        let found = step.and_then(|step| match step == folder.step() {
            true => Ok(format!("{step}, as the folder says")),
            false => Err(format!(
                "it is of step {step}, the folder of step {}",
                folder.step()
            )),
        });
        self.note(&folder.path().join(name), "step", found);
    }

    fn model_of(&mut self, path: &Path) -> Option<ModelFile> {
        let model = self.pack(path);
        if model.is_none() {
            let words = "the model of the checkpoint cannot be read";
            self.say(path, "model", Verdict::Failed, words);
        }
        model
    }

    /// Companion files that may lie beside a model, by its family.
    fn companions(&self, model: Option<&ModelFile>) -> Vec<Companion> {
        let kind = model.and_then(|model| Some((self.kinds.get(&model.family)?, model)));
        kind.map_or_else(Vec::new, |(kind, model)| kind.companions(model.config.value()))
    }

    /// Checks a file whose tensors have shapes that follow from the model beside it: the moments of each weight, the
    /// memories of each level.
    fn companion(&mut self, path: &Path, companion: &Companion) {
        self.pack(path);
        let Ok(file) = TensorFile::read(path) else { return };
        let format = file.metadata.get("format").map_or("", String::as_str);
        match companion.layouts.iter().find(|layout| layout.format == format) {
            Some(layout) => {
                self.shapes(path, &layout.expected(&file), &shapes_of(&file.tensors));
            }
            None => {
                let known: Vec<&str> = companion.layouts.iter().map(|layout| layout.format).collect();
                let words = format!(
                    "its format is none of those that may lie beside this model ({}); its tensors were not checked",
                    known.join(", ")
                );
                self.say(path, "tensors", Verdict::Warning, words);
            }
        }
    }

    fn pointers(&mut self, checkpoints: &Checkpoints) {
        for (pointer, name) in [(Pointer::Last, "last"), (Pointer::Best, "best")] {
            let path = checkpoints.root().join(name);
            match checkpoints.pointed(pointer) {
                Ok(Some(folder)) => {
                    self.say(&path, "pointer", Verdict::Ok, format!("step {}", folder.step()));
                }
                Err(error) => self.say(&path, "pointer", Verdict::Failed, error.to_string()),
                Ok(None) if pointer == Pointer::Last => {
                    self.say(
                        &path,
                        "pointer",
                        Verdict::Warning,
                        "none: the newest checkpoint is used",
                    );
                }
                Ok(None) => {}
            }
        }
    }

    /// Reports files that a killed process left.
    fn leftovers(&mut self, root: &Path) {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let text = name.to_string_lossy();
            if text.ends_with(".tmp") || text.ends_with(".aside") {
                let words = "left by a process that was killed during a save; the next --resume removes it";
                self.say(&root.join(&name), "leftover", Verdict::Warning, words);
            }
        }
    }

    /// Compares the configuration of the newest checkpoint with that of the run.
    fn configuration(&mut self, run: &Path, newest: &CheckpointFolder) {
        let path = run.join("config.toml");
        let Some(expected) = newest.manifest().ok().and_then(|manifest| manifest.config_sha256) else {
            return;
        };
        match plain::read(&path, LONGEST_TEXT) {
            Ok(bytes) if sha256(&bytes) == expected => {
                self.say(
                    &path,
                    "configuration",
                    Verdict::Ok,
                    "the one that the newest checkpoint was trained with",
                );
            }
            Ok(_) => {
                let words = "it is not the one that the newest checkpoint was trained with";
                self.say(&path, "configuration", Verdict::Warning, words);
            }
            Err(error) => self.say(&path, "configuration", Verdict::Warning, error.to_string()),
        }
    }
}
