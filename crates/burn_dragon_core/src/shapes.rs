//! Shapes of a model's tensors and of the memories that it carries.

use std::num::Saturating;

/// Name and shape of a tensor of a model. Files, the optimiser's state and errors use the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorShape {
    /// Name; [`ParameterPath`](crate::parameters::ParameterPath) makes it from the field.
    pub name: String,
    /// Sizes of the axes.
    pub shape: Vec<usize>,
}

impl TensorShape {
    /// The name and shape of a tensor.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
        }
    }

    /// Number of values; [`u64::MAX`] if it overflows.
    pub fn numbers(&self) -> Saturating<u64> {
        self.shape
            .iter()
            .fold(Saturating(1), |product, &axis| product * Saturating(axis as u64))
    }
}

/// Shape of the memories that are carried from token to token: one `[B, H, K, D]` for each level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryShape {
    /// Number of levels (L).
    pub levels: usize,
    /// Number of heads (H).
    pub heads: usize,
    /// Number of rows of a head's memory (K): the width of a key, which is the number of neurons of a head unless the
    /// positions make wider keys.
    pub keys: usize,
    /// Number of columns (D).
    pub width: usize,
}

impl MemoryShape {
    /// Shape of a level's memory for `lanes` lanes.
    pub fn of(&self, lanes: usize) -> [usize; 4] {
        [lanes, self.heads, self.keys, self.width]
    }

    /// Number of values of a lane in all levels together; [`u64::MAX`] if it overflows.
    pub fn numbers(&self) -> Saturating<u64> {
        let level = TensorShape::new("rho", self.of(1));
        Saturating(self.levels as u64) * level.numbers()
    }
}
