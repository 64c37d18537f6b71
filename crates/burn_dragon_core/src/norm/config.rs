//! Table `[model.norm]`: the kind, the tensors that it learns, their initial values.

use crate::shapes::TensorShape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Norm of a trunk, `[model.norm]`: one for all sites, which share what it learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NormConfig {
    /// Kind of norm.
    #[serde(rename = "type")]
    pub kind: NormKind,
    /// Whether a gain and a bias of each dimension are learnt, `norm.gain` and `norm.bias`.
    pub affine: bool,
}

/// Kind of norm, over the width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// The paper's: `(z - mean) / sqrt(variance + norm_eps)`.
    #[default]
    Layer,
    /// `z / sqrt(mean of z^2 + norm_eps)`.
    Rms,
    /// `tanh(alpha z)` with a learnt number `norm.alpha`, 0.5 at the start.
    DynamicTanh,
    /// `erf(alpha z + shift)` with learnt numbers `norm.alpha`, 0.886227 at the start, and `norm.shift`.
    Derf,
}

/// `sqrt(pi) / 2`, by which the slope of `derf` at 0 is 1.
const DERF_ALPHA: f32 = 0.886_227;

impl NormKind {
    /// Name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Rms => "rms",
            Self::DynamicTanh => "dynamic_tanh",
            Self::Derf => "derf",
        }
    }

    /// `alpha` at the start; `None` for norms that divide by a size of their own.
    fn alpha(self) -> Option<f32> {
        match self {
            Self::Layer | Self::Rms => None,
            Self::DynamicTanh => Some(0.5),
            Self::Derf => Some(DERF_ALPHA),
        }
    }

    /// Whether rows have the mean square 1 after it.
    pub(crate) fn is_of_size_one(self) -> bool {
        self.alpha().is_none()
    }
}

impl NormConfig {
    /// Kind, and what is learnt, in words.
    pub fn in_words(self) -> String {
        let affine = if self.affine { " with gain and bias" } else { "" };
        format!("{}{affine}", self.kind.name())
    }

    /// Whether kernels compute it within a level and a join: a layer norm that learns nothing.
    pub fn is_plain(self) -> bool {
        self == Self::default()
    }

    /// Tensors that are learnt, of a trunk of this width.
    pub(crate) fn tensors(self, width: usize) -> Vec<TensorShape> {
        let affine = [("norm.gain", width), ("norm.bias", width)];
        let (affine, scaled) = (self.affine.then_some(affine), self.kind.alpha().is_some());
        let shifted = self.kind == NormKind::Derf;
        affine
            .into_iter()
            .flatten()
            .chain(scaled.then_some(("norm.alpha", 1)))
            .chain(shifted.then_some(("norm.shift", 1)))
            .map(|(name, size)| TensorShape::new(name, [size]))
            .collect()
    }

    /// Initial value of the numbers of a tensor, named without `norm.`.
    pub(crate) fn initial(self, field: &str) -> f32 {
        match field {
            "gain" => 1.0,
            "alpha" => self.kind.alpha().unwrap_or(1.0),
            _ => 0.0,
        }
    }
}
