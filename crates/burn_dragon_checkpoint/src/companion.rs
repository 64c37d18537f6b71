//! A file beside a model in a checkpoint, as `verify` needs to know it.

use crate::kind::TensorSpec;
use crate::tensors::TensorFile;
use std::collections::BTreeMap;

/// A burnpack beside a model in a checkpoint: the optimiser's state, carried memory, an EMA teacher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// Its name in the checkpoint's folder.
    pub file: &'static str,
    /// What it means that it is not there, where that is odd.
    pub absent: Option<&'static str>,
    /// What it holds, by the format that it says it has.
    pub layouts: Vec<Layout>,
}

/// The tensors of one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The value of the metadata key `format`.
    pub format: &'static str,
    /// Its tensors.
    pub tensors: Vec<CompanionTensor>,
}

/// A tensor of a companion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanionTensor {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<Extent>,
    /// Whether the file may be without it.
    pub optional: bool,
}

/// One size of a companion's tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// This one.
    Of(usize),
    /// The number of lanes, which the configuration does not say and all tensors of the file share.
    Lanes,
}

impl CompanionTensor {
    /// A tensor of exactly this shape, which must be there.
    pub fn of(name: impl Into<String>, shape: &[usize]) -> Self {
        Self {
            name: name.into(),
            shape: shape.iter().copied().map(Extent::Of).collect(),
            optional: false,
        }
    }

    /// A value for each entry of a weight, in a row.
    pub fn row_of(spec: &TensorSpec, suffix: &str) -> Self {
        let entries = usize::try_from(spec.entries()).unwrap_or(usize::MAX);
        Self::of(format!("{}.{suffix}", spec.name), &[entries])
    }

    /// A tensor of this shape for each lane, which must be there.
    pub fn of_lanes(name: impl Into<String>, shape: &[usize]) -> Self {
        let mut tensor = Self::of(name, shape);
        tensor.shape.insert(0, Extent::Lanes);
        tensor
    }
}

impl Layout {
    /// The shapes that the tensors of a file must have, by name: those that it must hold, and of the optional ones those
    /// that it does.
    pub fn expected(&self, file: &TensorFile) -> BTreeMap<String, Vec<usize>> {
        let with_lanes = self.tensors.iter().find_map(|tensor| {
            let place = tensor.shape.iter().position(|extent| *extent == Extent::Lanes)?;
            file.tensors.get(&tensor.name)?.shape().get(place).copied()
        });
        let lanes = with_lanes.unwrap_or(1);
        let there = self
            .tensors
            .iter()
            .filter(|tensor| !tensor.optional || file.tensors.contains_key(&tensor.name));
        let size = |extent: &Extent| match extent {
            Extent::Of(size) => *size,
            Extent::Lanes => lanes,
        };
        there
            .map(|tensor| (tensor.name.clone(), tensor.shape.iter().map(size).collect()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn lanes_are_those_of_the_file_and_optional_tensors_are_expected_where_they_are() {
        let layout = Layout {
            format: "test/1",
            tensors: vec![
                CompanionTensor::row_of(&TensorSpec::float("w", [2, 3]), "first"),
                CompanionTensor::of_lanes("a", &[4]),
                CompanionTensor::of_lanes("b", &[5]),
                CompanionTensor {
                    optional: true,
                    ..CompanionTensor::of("c", &[1])
                },
            ],
        };
        let mut file = TensorFile::default();
        file.tensors
            .insert("b".into(), TensorData::zeros::<f32, _>([7, 5]));
        let expected = layout.expected(&file);
        let shapes: Vec<(&str, &[usize])> = expected
            .iter()
            .map(|(name, shape)| (name.as_str(), shape.as_slice()))
            .collect();
        assert_eq!(shapes, [("a", &[7, 4][..]), ("b", &[7, 5]), ("w.first", &[6])]);
        file.tensors.insert("c".into(), TensorData::zeros::<f32, _>([2]));
        assert_eq!(layout.expected(&file)["c"], [1]);
    }
}
