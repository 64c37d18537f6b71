//! Structured states as state files: banks of memories by name, the time of each lane as its position, and the age of
//! its prediction among the details.

use crate::error::CheckpointError;
use crate::state::StateFile;
use burn::tensor::Device;
use burn_dragon_core::api::structured::{BankShape, StoredBanks, StructuredState};
use std::path::Path;

/// The key of the ages among the details.
const AGES: &str = "ages";

impl StateFile {
    /// The file with a structured state in place of its own positions and tensors. Family, configuration and origin stay.
    pub fn with_structured(mut self, state: &StructuredState) -> Self {
        let StoredBanks { tensors, times, ages } = state.store();
        self.info.details.insert(AGES.into(), ages.into());
        Self {
            positions: times,
            tensors,
            ..self
        }
    }

    /// The structured state of the file, with banks of these shapes. `path` is the file, for the error.
    ///
    /// # Errors
    /// If the file has no ages, or its tensors are not those of the banks.
    pub fn structured(
        self,
        shapes: &[BankShape],
        device: &Device,
        path: &Path,
    ) -> Result<StructuredState, CheckpointError> {
        let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
        let ages = self.info.details.get(AGES).cloned();
        let ages = ages.ok_or_else(|| corrupt(format!("no `{AGES}` of predictions among its details")))?;
        let stored = StoredBanks {
            tensors: self.tensors,
            times: self.positions,
            ages: serde_json::from_value(ages).map_err(|error| corrupt(format!("{AGES}: {error}")))?,
        };
        StructuredState::restore(shapes, stored, device).map_err(|error| corrupt(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StoredConfig;
    use crate::state::StateInfo;
    use burn::tensor::Tensor;
    use burn_dragon_core::api::structured::{Grid, Places, StepMode};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn shapes() -> Vec<BankShape> {
        let shape = |name: &str, places, stream| BankShape {
            name: name.into(),
            places,
            heads: 2,
            neurons: 3,
            width: 4,
            stream,
        };
        vec![
            shape("patch", Places::Grid(Grid::new(2, 3)), Some(5)),
            shape("hub", Places::Unordered(1), None),
        ]
    }

    fn state() -> StructuredState {
        let device = Device::flex();
        let mut state = StructuredState::new(&shapes(), 2, &device);
        state
            .set_memory("patch", Tensor::full([2, 2, 6, 3, 4], 0.25, &device))
            .unwrap();
        state
            .set_stream("patch", Tensor::full([2, 1, 6, 5], -3.0, &device))
            .unwrap();
        for mode in [StepMode::Predict, StepMode::Observe, StepMode::Predict] {
            state.advance(mode);
        }
        state
    }

    fn file() -> StateFile {
        let empty = StateFile {
            family: "toy".into(),
            config: StoredConfig::of(&json!({})).unwrap(),
            info: StateInfo::default(),
            positions: Vec::new(),
            tensors: BTreeMap::new(),
        };
        empty.with_structured(&state())
    }

    #[test]
    fn a_structured_state_comes_back_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.state");
        file().write(&path).unwrap();
        let read = StateFile::read(&path).unwrap();
        let same = read.structured(&shapes(), &Device::flex(), &path).unwrap();
        assert_eq!((same.times(), same.ages()), (&[2, 2][..], &[1, 1][..]));
        assert_eq!(same.store(), state().store());
    }

    #[test]
    fn a_file_of_other_banks_or_without_ages_is_refused() {
        let refused = |file: StateFile, shapes: &[BankShape], reason: &str| {
            let error = file
                .structured(shapes, &Device::flex(), Path::new("a.state"))
                .unwrap_err();
            assert!(
                error.is_bad_input() && error.to_string().contains(reason),
                "{error}"
            );
        };
        refused(
            file(),
            &shapes()[..1],
            "the stored tensor `rho.hub` belongs to no bank",
        );
        let mut without = file();
        without.info.details.clear();
        refused(without, &shapes(), "no `ages` of predictions");
        let mut fewer = file();
        fewer.info.details.insert(AGES.into(), json!([1]));
        refused(fewer, &shapes(), "1 lanes, expected 2");
    }
}
