//! A model of one vector, for tests of the loop: what their tasks share.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use burn_dragon_checkpoint::api::Content;
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_core::api::expert::{load, snapshot};
use burn_dragon_train::api::{RunFolder, TrainError};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A vector that is learnt.
#[derive(Module, Debug)]
pub(crate) struct Point {
    pub(crate) place: Param<Tensor<1>>,
}

impl Point {
    /// A point at this place.
    pub(crate) fn at<const N: usize>(place: [f32; N]) -> Self {
        let place = Tensor::from_floats(place, &Device::flex().autodiff());
        Self {
            place: Param::from_tensor(place),
        }
    }

    /// The files of a checkpoint: the model, and a text of the task's.
    pub(crate) fn files(&self, name: &str, text: String) -> BTreeMap<String, Content> {
        let mut file = TensorFile::default();
        file.tensors.extend(snapshot(self));
        BTreeMap::from([
            ("model.bpk".to_string(), Content::Tensors(file)),
            (name.to_string(), Content::Text(text)),
        ])
    }

    /// The point of a checkpoint.
    pub(crate) fn of(self, folder: &Path) -> Result<Self, TrainError> {
        let mut file = TensorFile::read(&folder.join("model.bpk"))?;
        Ok(load(self, |name, _| file.tensors.remove(name)))
    }
}

/// A run in this folder, where there was none.
pub(crate) fn run_folder(run: &Path) -> RunFolder {
    fs::create_dir_all(run).unwrap();
    fs::write(run.join("config.toml"), "").unwrap();
    RunFolder::open(run).unwrap()
}
