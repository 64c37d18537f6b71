//! Companion files: burnpacks beside a model in a checkpoint, described for `verify`.

use crate::kind::TensorSpec;
use crate::tensors::TensorFile;
use std::collections::BTreeMap;

/// Burnpack beside a model in a checkpoint: optimiser state, carried memory, or an EMA teacher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// Name of the file in the checkpoint folder.
    pub file: &'static str,
    /// Meaning of a missing file, for the report of `verify`. `None` if the file may be missing without a remark.
    pub absent: Option<&'static str>,
    /// Layouts of the file, one for each format.
    pub layouts: Vec<Layout>,
}

/// Tensors of one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Value of the metadata key `format`.
    pub format: &'static str,
    /// Tensors of the file.
    pub tensors: Vec<CompanionTensor>,
}

/// Description of a tensor in a companion file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanionTensor {
    /// Name of the tensor.
    pub name: String,
    /// Shape of the tensor.
    pub shape: Vec<Extent>,
    /// Whether the file may lack the tensor.
    pub optional: bool,
}

/// Size of one axis of a tensor in a companion file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Fixed size.
    Of(usize),
    /// Number of lanes: not in the configuration, and the same for all tensors of the file.
    Lanes,
}

impl CompanionTensor {
    /// A required tensor of exactly this shape.
    pub fn of(name: impl Into<String>, shape: &[usize]) -> Self {
        Self {
            name: name.into(),
            shape: shape.iter().copied().map(Extent::Of).collect(),
            optional: false,
        }
    }

    /// A required tensor of one axis, with one value for each entry of a weight.
    pub fn row_of(spec: &TensorSpec, suffix: &str) -> Self {
        let entries = usize::try_from(spec.entries()).unwrap_or(usize::MAX);
        Self::of(format!("{}.{suffix}", spec.name), &[entries])
    }

    /// A required tensor with this shape for each lane.
    pub fn of_lanes(name: impl Into<String>, shape: &[usize]) -> Self {
        let mut tensor = Self::of(name, shape);
        tensor.shape.insert(0, Extent::Lanes);
        tensor
    }
}

impl Layout {
    /// Expected shapes of the tensors of a file, by name: all required tensors, and the optional ones that the file
    /// has.
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
