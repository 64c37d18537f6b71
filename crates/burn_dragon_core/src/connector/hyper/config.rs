//! Keys of `[model.connector]` with `type = "mhc"`, the tensors and their initial values.

use crate::shapes::TensorShape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Manifold-constrained hyper-connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HyperConfig {
    /// Number of streams (n), 2 to 8; with `coefficients = "lite"` 2 to 4.
    pub streams: usize,
    /// How the mixtures are made.
    pub coefficients: HyperCoefficients,
}

/// How the mixtures of hyper-connections are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HyperCoefficients {
    /// The paper's: from each token's streams, 20 rounds of Sinkhorn.
    #[default]
    Paper,
    /// A weighted mean of all permutations: doubly stochastic without rounds (mHC-lite, arXiv:2601.05732).
    Lite,
    /// Those of DeepSeek's kernels (TileKernels): a softmax, 10 rounds that end with columns, the mixture transposed.
    Tilekernels,
    /// The public implementation's: one mixture for all tokens and levels.
    Static,
}

impl Default for HyperConfig {
    fn default() -> Self {
        Self {
            streams: 4,
            coefficients: HyperCoefficients::Paper,
        }
    }
}

/// Size of the logits by which one stream is read at the start and the others are not.
const READ: f32 = 2.0;

/// Logits of the diagonal of a mixture at the start: a stream keeps most of itself.
const KEPT: f32 = 4.0;

/// The same for the identity among permutations, of which there are more.
const KEPT_OF_PERMUTATIONS: f32 = 6.0;

/// Factor of what the streams say, at the start, as in the paper.
const SCALE: f32 = 0.01;

/// Logits of the public implementation at the start: of what is chosen, of what is not, and off the diagonal.
const CHOSEN: f32 = 2.0;
const UNCHOSEN: f32 = -8.0;

impl HyperConfig {
    /// Largest number of streams.
    pub(crate) fn most_streams(&self) -> usize {
        match self.coefficients {
            HyperCoefficients::Lite => 4, // 24 permutations
            _ => 8,
        }
    }

    /// Whether mixtures are made of each token's streams.
    pub(in crate::connector) fn knows_streams(&self) -> bool {
        self.coefficients != HyperCoefficients::Static
    }

    /// Number of logits of a mixture of the streams.
    pub(super) fn mixture(&self) -> usize {
        match self.coefficients {
            HyperCoefficients::Lite => (1..=self.streams).product(),
            _ => self.streams * self.streams,
        }
    }

    /// Number of logits of a level: before, after, and of the mixture.
    pub(in crate::connector) fn logits(&self) -> usize {
        2 * self.streams + self.mixture()
    }

    /// Tensors of a trunk of so many levels.
    pub(in crate::connector) fn tensors(&self, levels: usize, width: usize) -> Vec<TensorShape> {
        let logits = self.logits();
        match self.knows_streams() {
            false => vec![TensorShape::new("connector.bias", [1, logits])],
            true => vec![
                TensorShape::new("connector.projection", [levels, self.streams * width, logits]),
                TensorShape::new("connector.bias", [levels, logits]),
                TensorShape::new("connector.scale", [levels, 3]),
            ],
        }
    }

    /// Initial values of a tensor; `None` for those that are drawn. Streams begin alike: each level reads mostly one of
    /// them, and writes mostly to it, by which they part.
    pub(in crate::connector) fn initial(&self, field: &str, shape: &[usize]) -> Option<Vec<f32>> {
        match field {
            "bias" => Some((0..shape[0]).flat_map(|level| self.biases(level)).collect()),
            "scale" => Some(vec![SCALE; shape.iter().product()]),
            _ => None,
        }
    }

    fn biases(&self, level: usize) -> Vec<f32> {
        let n = self.streams;
        let of_stream = |chosen: f32, others: f32| {
            (0..n).map(move |stream| if stream == level % n { chosen } else { others })
        };
        let diagonal =
            |on: f32, off: f32| (0..n * n).map(move |entry| if entry / n == entry % n { on } else { off });
        match self.coefficients {
            HyperCoefficients::Static => of_stream(CHOSEN, UNCHOSEN)
                .chain(of_stream(CHOSEN, UNCHOSEN))
                .chain(diagonal(0.0, UNCHOSEN))
                .collect(),
            HyperCoefficients::Lite => {
                // The identity is the first permutation.
                let of_permutations =
                    (0..self.mixture()).map(|number| if number == 0 { KEPT_OF_PERMUTATIONS } else { 0.0 });
                of_stream(READ, -READ)
                    .chain(of_stream(READ / 2.0, -READ / 2.0))
                    .chain(of_permutations)
                    .collect()
            }
            HyperCoefficients::Paper | HyperCoefficients::Tilekernels => of_stream(READ, -READ)
                .chain(of_stream(READ / 2.0, -READ / 2.0))
                .chain(diagonal(KEPT, 0.0))
                .collect(),
        }
    }
}
