//! Model file of a checkpoint, for families whose models are only their parameters.

use crate::error::TrainError;
use burn::module::Module;
use burn_dragon_checkpoint::api::{CheckpointError, Content, ModelFile, ModelInfo, ModelKind, StoredConfig};
use burn_dragon_core::api::expert::{load, snapshot};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// File name of the model.
const FILE: &str = "model.bpk";

/// Model file for a checkpoint, as [`Task::snapshot`](crate::task::Task::snapshot) returns it. `config` is the family's
/// description of the model.
///
/// # Errors
/// If the configuration is not a JSON object, or a parameter is not of a float type.
pub fn save_model<M: Module>(
    kind: &dyn ModelKind,
    config: &impl Serialize,
    model: &M,
    (step, units): (u64, u64),
) -> Result<BTreeMap<String, Content>, TrainError> {
    let info = ModelInfo {
        step,
        units,
        version: env!("CARGO_PKG_VERSION").into(),
        ..ModelInfo::default()
    };
    let file = ModelFile::new(kind.family(), config, info, snapshot(model)).map_err(TrainError::BadInput)?;
    Ok(BTreeMap::from([(
        FILE.into(),
        Content::Tensors(file.into_tensor_file()),
    )]))
}

/// The model with the parameters from a checkpoint folder, for [`Task::restore`](crate::task::Task::restore).
///
/// # Errors
/// If the file is damaged, or of another family, or has another configuration.
pub fn read_model<M: Module>(
    kind: &dyn ModelKind,
    config: &impl Serialize,
    model: M,
    folder: &Path,
) -> Result<M, TrainError> {
    let path = folder.join(FILE);
    let file = ModelFile::read(&path)?;
    let refuse = |reason: String| Err(CheckpointError::corrupt(&path, reason).into());
    if file.family != kind.family() {
        let (given, expected) = (&file.family, kind.family());
        return refuse(format!(
            "it is a model of the family `{given}`, not of `{expected}`"
        ));
    }
    let asked = StoredConfig::of(config).map_err(TrainError::BadInput)?;
    if file.config.value() != asked.value() {
        let (given, asked) = (file.config.text(), asked.text());
        return refuse(format!("it holds {given}, but the run expects {asked}"));
    }
    file.check(kind, &path)?;
    let mut parameters = file.into_floats();
    Ok(load(model, |name, _| parameters.remove(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Param;
    use burn::tensor::{Device, Tensor};
    use burn_dragon_checkpoint::api::{CardText, TensorSpec};
    use serde_json::{Value, json};

    #[derive(Module, Debug)]
    struct Point {
        place: Param<Tensor<1>>,
    }

    fn point(values: &[f32]) -> Point {
        let place = Param::from_tensor(Tensor::from_floats(values, &Device::flex()));
        Point { place }
    }

    struct PointKind(&'static str);

    impl ModelKind for PointKind {
        fn family(&self) -> &'static str {
            self.0
        }
        fn unit(&self) -> &'static str {
            "steps"
        }
        fn tensors(&self, config: &Value) -> Result<Vec<TensorSpec>, String> {
            let axes = config["axes"].as_u64().ok_or("no axes")?;
            Ok(vec![TensorSpec::float("place", [axes as usize])])
        }
        fn shape(&self, _: &Value) -> String {
            String::new()
        }
        fn probe(&self, _: ModelFile, _: &Path, _: &Device) -> Result<String, CheckpointError> {
            Ok(String::new())
        }
        fn card(&self, _: &ModelFile, _: &str) -> CardText {
            CardText::default()
        }
    }

    fn write(folder: &Path, kind: &PointKind, config: &Value, model: &Point) {
        for (name, content) in save_model(kind, config, model, (3, 30)).unwrap() {
            let mut file = std::fs::File::create(folder.join(name)).unwrap();
            content.write_to(&mut file).unwrap();
        }
    }

    #[test]
    fn a_model_comes_back_as_it_was_saved_with_its_steps() {
        let (folder, kind, config) = (
            tempfile::tempdir().unwrap(),
            PointKind("point"),
            json!({ "axes": 2 }),
        );
        write(folder.path(), &kind, &config, &point(&[1.5, -0.25]));
        let info = ModelFile::read(&folder.path().join(FILE)).unwrap().info;
        assert_eq!((info.step, info.units), (3, 30));
        let read = read_model(&kind, &config, point(&[0.0, 0.0]), folder.path()).unwrap();
        let values: Vec<f32> = read.place.val().into_data().try_to_vec().unwrap();
        assert_eq!(values, [1.5, -0.25]);
    }

    #[test]
    fn a_model_of_another_family_or_described_otherwise_is_refused() {
        let (folder, kind, config) = (
            tempfile::tempdir().unwrap(),
            PointKind("point"),
            json!({ "axes": 2 }),
        );
        write(folder.path(), &kind, &config, &point(&[1.0, 2.0]));
        let refused = |kind, config: Value| {
            let read = read_model(&PointKind(kind), &config, point(&[0.0, 0.0]), folder.path());
            read.unwrap_err().to_string()
        };
        let said = refused("line", config);
        assert!(said.contains("point") && said.contains("line"), "{said}");
        let said = refused("point", json!({ "axes": 3 }));
        assert!(
            said.contains("\"axes\":2") && said.contains("\"axes\":3"),
            "{said}"
        );
    }
}
