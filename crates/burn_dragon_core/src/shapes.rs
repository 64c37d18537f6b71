//! What a model is made of and what it carries, by shape.

use std::num::Saturating;

/// A tensor that a model has: its name in files, in the optimiser's state and in errors, and its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorShape {
    /// The name; see [`ParameterPath`](crate::parameters::ParameterPath) for how a field's place gives it.
    pub name: String,
    /// The axes.
    pub shape: Vec<usize>,
}

impl TensorShape {
    /// A tensor of that name and shape.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
        }
    }

    /// How many numbers it has; [`u64::MAX`] where they cannot be counted.
    pub fn numbers(&self) -> Saturating<u64> {
        self.shape
            .iter()
            .fold(Saturating(1), |product, &axis| product * Saturating(axis as u64))
    }
}

/// The memories that are carried from token to token: one `[B, H, K, D]` a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryShape {
    /// Levels (L).
    pub levels: usize,
    /// Heads (H).
    pub heads: usize,
    /// Rows of a head's memory (K): the neurons of a head, or as many numbers as positions make keys of.
    pub keys: usize,
    /// Columns (D).
    pub width: usize,
}

impl MemoryShape {
    /// The shape of a level's memory for so many lanes.
    pub fn of(&self, lanes: usize) -> [usize; 4] {
        [lanes, self.heads, self.keys, self.width]
    }

    /// Numbers of a lane, all levels together; [`u64::MAX`] where they cannot be counted.
    pub fn numbers(&self) -> Saturating<u64> {
        let level = TensorShape::new("rho", self.of(1));
        Saturating(self.levels as u64) * level.numbers()
    }
}
