//! Sample of a model, for the user to look at.

use crate::error::TrainError;
use crate::run::{RunFolder, write_atomic};
use burn_dragon_checkpoint::api::expert::{Os, create_dirs};
use std::path::{Component, Path, PathBuf};

/// Sample of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Text, shown line by line.
    pub text: Option<String>,
    /// Files, written into the folder `samples` of the run.
    pub files: Vec<SampleFile>,
}

/// Name of the file with the text of a sample.
pub(crate) const TEXT_FILE: &str = "sample.txt";

/// File of a sample: an image or a sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleFile {
    /// Plain file name, unique in the sample: `digits.png`.
    pub name: String,
    /// Content of the file.
    pub bytes: Vec<u8>,
}

impl Sample {
    /// A sample of text only.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            files: Vec::new(),
        }
    }

    /// Writes the text, as [`TEXT_FILE`], and the files into `RUN/samples/step-000200`. Returns the paths of the files.
    ///
    /// # Errors
    /// If a name is not a plain file name, or the disk refuses.
    pub(crate) fn save(&self, run: &RunFolder, step: u64) -> Result<Vec<PathBuf>, TrainError> {
        if *self == Self::default() {
            return Ok(Vec::new());
        }
        let folder = run.samples().join(format!("step-{step:06}"));
        create_dirs(&Os, &folder).map_err(TrainError::on_file)?;
        if let Some(text) = &self.text {
            write_atomic(&folder.join(TEXT_FILE), text.as_bytes())?;
        }
        let written = self.files.iter().map(|file| {
            if !is_plain(&file.name) {
                let name = file.name.clone();
                return Err(TrainError::SampleName { name });
            }
            let path = folder.join(&file.name);
            write_atomic(&path, &file.bytes)?;
            Ok(path)
        });
        written.collect()
    }
}

/// Whether a name is that of a file directly in its folder, on every system.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    one && !name.contains(['/', '\\', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Sample {
        let bytes = vec![1, 2];
        let name = name.into();
        Sample {
            text: None,
            files: vec![SampleFile { name, bytes }],
        }
    }

    #[test]
    fn files_lie_in_a_folder_of_their_step() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(Some(&folder.path().join("run")), folder.path(), "toy").unwrap();
        assert!(Sample::default().save(&run, 7).unwrap().is_empty());
        assert!(!run.samples().exists());
        assert!(Sample::text("x\n").save(&run, 7).unwrap().is_empty());
        let text = run.path().join("samples/step-000007/sample.txt");
        assert_eq!(std::fs::read_to_string(text).unwrap(), "x\n");
        let written = named("a.png").save(&run, 7).unwrap();
        assert_eq!(written, [run.path().join("samples/step-000007/a.png")]);
        assert_eq!(std::fs::read(&written[0]).unwrap(), [1, 2]);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(Some(&folder.path().join("run")), folder.path(), "toy").unwrap();
        for name in ["", ".", "..", "../a", "a/b", "/a", "a\\b", "C:a", "a/"] {
            let error = named(name).save(&run, 1).unwrap_err();
            assert!(matches!(error, TrainError::SampleName { .. }), "{name}: {error}");
        }
    }
}
