//! Teacher that is a moving average of the model, and its file in a checkpoint, bit for bit.
//!
//! ```text
//! teacher = decay teacher + (1 - decay) model            after each update, in f32
//! ```

use crate::model::VisionModel;
use burn::module::Module;
use burn::tensor::TensorData;
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_checkpoint::api::{CheckpointError, Companion, CompanionTensor, Layout, TensorSpec};
use burn_dragon_core::api::expert::{load, snapshot};
use std::path::Path;

/// Name of the file.
const FILE: &str = "teacher.bpk";

/// The value of its metadata key `format`.
const FORMAT: &str = "burn_dragon.vision_teacher/1";

/// Name of the metadata key with the number of updates.
const UPDATES: &str = "updates";

/// Moving average of a model, without autodiff. The optimiser does not know it.
#[derive(Clone, Debug)]
pub struct Teacher {
    model: VisionModel,
    updates: u64,
}

/// Description of the file beside a model with these tensors, for `verify`. Objectives without such a teacher have none.
pub(crate) fn companion(tensors: &[TensorSpec]) -> Companion {
    let tensors = tensors
        .iter()
        .map(|spec| CompanionTensor::of(spec.name.as_str(), &spec.shape));
    Companion {
        file: FILE,
        absent: None,
        layouts: vec![Layout {
            format: FORMAT,
            tensors: tensors.collect(),
        }],
    }
}

impl Teacher {
    /// A teacher that equals a model.
    pub(crate) fn new(model: &VisionModel) -> Self {
        Self {
            model: model.valid(),
            updates: 0,
        }
    }

    /// The averaged model.
    pub(crate) fn model(&self) -> &VisionModel {
        &self.model
    }

    /// Number of updates.
    pub(crate) fn updates(&self) -> u64 {
        self.updates
    }

    /// Takes in the weights of a model.
    pub(crate) fn update(&mut self, model: &VisionModel, decay: f64) {
        let (old, new) = (snapshot(&self.model), snapshot(model));
        self.model = load(self.model.clone(), |name, shape| {
            let pairs = old.get(name)?.iter::<f32>().zip(new.get(name)?.iter::<f32>());
            let mean =
                pairs.map(|(old, new)| (f64::from(old) * decay + f64::from(new) * (1.0 - decay)) as f32);
            Some(TensorData::new(mean.collect::<Vec<f32>>(), shape))
        });
        self.updates += 1;
    }

    /// Name and content of the file.
    pub(crate) fn snapshot(&self) -> (String, TensorFile) {
        let mut file = TensorFile::default();
        file.metadata.insert("format".into(), FORMAT.into());
        file.metadata.insert(UPDATES.into(), self.updates.to_string());
        file.tensors.extend(snapshot(&self.model));
        (FILE.to_string(), file)
    }

    /// Restores the teacher of a checkpoint folder.
    ///
    /// # Errors
    /// If the file is missing or damaged, or is that of another model. Nothing has changed then.
    pub(crate) fn restore(&mut self, folder: &Path) -> Result<(), CheckpointError> {
        let path = folder.join(FILE);
        let refuse = |reason: String| CheckpointError::corrupt(&path, reason);
        let mut file = TensorFile::read(&path)?;
        match file.metadata.get("format").map(String::as_str) {
            Some(FORMAT) => {}
            other => return Err(refuse(format!("its format is {other:?}, expected `{FORMAT}`"))),
        }
        let text = file.metadata.get(UPDATES).map_or("", String::as_str);
        let updates = text.parse::<u64>();
        let updates = updates.map_err(|error| refuse(format!("{UPDATES} is `{text}`: {error}")))?;
        for (name, own) in snapshot(&self.model) {
            let given = file.tensors.get(&name);
            let given = given.ok_or_else(|| refuse(format!("no tensor `{name}`")))?;
            if (given.shape(), given.dtype()) != (own.shape(), own.dtype()) {
                let (shape, expected) = (given.shape(), own.shape());
                return Err(refuse(format!(
                    "`{name}` is {} {shape:?}, expected {} {expected:?}",
                    given.dtype().name(),
                    own.dtype().name()
                )));
            }
            if !given.iter::<f32>().all(f32::is_finite) {
                return Err(refuse(format!("`{name}` holds values that are not finite")));
            }
        }
        self.model = load(self.model.clone(), |name, _| file.tensors.remove(name));
        self.updates = updates;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::ModelConfig;
    use crate::model::VisionModelConfig;
    use burn::tensor::Device;

    fn model(seed: u64) -> VisionModel {
        let config = VisionModelConfig {
            encoder: ModelConfig {
                image_size: 8,
                d_model: 8,
                n_heads: 2,
                n_neurons: 16,
                ..ModelConfig::default()
            },
            ..VisionModelConfig::default()
        };
        VisionModel::new(&config, seed, &Device::flex().autodiff()).unwrap()
    }

    fn first(model: &VisionModel) -> Vec<f32> {
        snapshot(model)["encoder.encoder"].iter::<f32>().take(5).collect()
    }

    #[test]
    fn an_update_is_the_weighted_mean_of_teacher_and_model() {
        let (one, other) = (model(1), model(2));
        let mut teacher = Teacher::new(&one);
        assert_eq!(first(teacher.model()), first(&one));
        teacher.update(&other, 0.75);
        teacher.update(&other, 0.75);
        let kept = 0.75f32 * 0.75;
        for ((given, a), b) in first(teacher.model()).iter().zip(first(&one)).zip(first(&other)) {
            let expected = kept * a + (1.0 - kept) * b;
            assert!((given - expected).abs() < 1e-6, "{given} {expected}");
        }
        assert_eq!(teacher.updates(), 2);
        let mut without = Teacher::new(&one);
        without.update(&other, 0.0);
        assert_eq!(first(without.model()), first(&other));
    }

    #[test]
    fn a_teacher_comes_back_from_its_file_bit_for_bit_and_a_damaged_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut teacher = Teacher::new(&model(1));
        teacher.update(&model(2), 0.3);
        let (name, file) = teacher.snapshot();
        file.write(&folder.path().join(&name)).unwrap();
        let mut other = Teacher::new(&model(3));
        other.restore(folder.path()).unwrap();
        assert_eq!(snapshot(other.model()), snapshot(teacher.model()));
        assert_eq!(other.updates(), 1);

        let mut damaged = teacher.snapshot().1;
        damaged.tensors.remove("encoder.encoder");
        damaged.write(&folder.path().join(&name)).unwrap();
        let error = other.restore(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no tensor `encoder.encoder`"), "{error}");
        let mut damaged = teacher.snapshot().1;
        damaged.metadata.remove(UPDATES);
        damaged.write(&folder.path().join(&name)).unwrap();
        assert!(
            other
                .restore(folder.path())
                .unwrap_err()
                .to_string()
                .contains("updates")
        );
        assert_eq!(snapshot(other.model()), snapshot(teacher.model()));
    }
}
