//! Muon (Jordan, 2024): the momentum of a matrix, orthogonalised by Newton-Schulz iterations.
//!
//! ```text
//! m = momentum m + (1 - momentum) g
//! u = momentum m + (1 - momentum) g       with nesterov; u = m without
//! w = w (1 - rate decay) - rate scale NewtonSchulz(u)
//! scale = sqrt(max(1, C / R))             keller, of a matrix [R, C] that maps R to C
//!         0.2 sqrt(max(R, C))             moonshot
//! ```
//!
//! | parameter | is |
//! |---|---|
//! | `[H, D, N]` | H matrices: each head is orthogonalised by itself |
//! | `[R, C]` | one matrix |
//! | vectors, tables of them, and what [`others`](Muon::others) names | left to AdamW |
//!
//! Both scales are published. Keller's is written for weights `[out, in]`; ours are `[in, out]`, so the ratio of sizes
//! is inverted here. Moonshot's (Liu et al., 2025) gives updates of the same size as AdamW's, so its learning rates can
//! be used.

use super::names::means;
use super::{AdamW, Optimizer, Parameter, Rates, ScaledGradient, Slots, StepAt, exactly, within};
use crate::error::TrainError;
use crate::settings::at_least_one;
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::Range;
use burn_dragon_kernel::api::newton_schulz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Matrices that AdamW updates by default: embeddings and readouts are tables of vectors, not linear maps.
const OTHERS: [&str; 2] = ["embed", "lm_head"];

/// Settings of `method = "muon"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// Learning rate of matrices before the schedule's factor; 0.02 is usual with the scale `keller`.
    pub learning_rate: f64,
    /// Decay rate of the momentum.
    pub momentum: f64,
    /// Whether to use Nesterov's look-ahead along the momentum.
    pub nesterov: bool,
    /// Number of Newton-Schulz iterations.
    pub iterations: u32,
    /// Scale of the update of a matrix.
    pub scale: MuonScale,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Names or patterns of matrices that AdamW updates; by default `embed` and `lm_head`, if the model has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<Vec<String>>,
    /// Table `[optimizer.adamw]`: AdamW for the other parameters, with its own learning rate.
    pub adamw: AdamW,
}

/// Scale of the update of a matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MuonScale {
    /// `sqrt(max(1, out / in))`.
    Keller,
    /// `0.2 sqrt(max(out, in))`: root mean square of entries about 0.2, as with AdamW.
    #[default]
    Moonshot,
}

impl MuonScale {
    /// Factor on the orthogonalised momentum of a matrix `[R, C]` that maps R to C.
    pub fn factor(self, [rows, columns]: [usize; 2]) -> f64 {
        match self {
            Self::Keller => (columns as f64 / rows as f64).max(1.0).sqrt(),
            Self::Moonshot => 0.2 * (rows.max(columns) as f64).sqrt(),
        }
    }
}

impl Default for Muon {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            momentum: 0.95,
            nesterov: true,
            iterations: 5,
            scale: MuonScale::Moonshot,
            weight_decay: 0.1,
            others: None,
            adamw: AdamW::default(),
        }
    }
}

impl Muon {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        within("learning_rate", self.learning_rate, Range::POSITIVE)?;
        within("momentum", self.momentum, Range::BELOW_ONE)?;
        at_least_one("optimizer.iterations", u64::from(self.iterations))?;
        within("weight_decay", self.weight_decay, Range::FROM_ZERO)?;
        self.adamw.validate("adamw.")
    }

    /// Shape `[M, R, C]` of a parameter as matrices; `None` if AdamW updates it.
    fn matrices(&self, parameter: Parameter<'_>) -> Option<[usize; 3]> {
        let last = parameter.name.rsplit('.').next().unwrap_or_default();
        let other = match &self.others {
            Some(others) => others.iter().any(|other| means(other, parameter.name)),
            None => OTHERS.contains(&last),
        };
        match *parameter.shape {
            _ if other || !parameter.is_map() => None,
            [rows, columns] => Some([1, rows, columns]),
            [count, rows, columns] => Some([count, rows, columns]),
            _ => None,
        }
    }
}

impl Optimizer for Muon {
    fn rates(&self, parameter: Parameter<'_>) -> Rates {
        match self.matrices(parameter) {
            Some(_) => Rates {
                learning: self.learning_rate,
                decay: self.weight_decay,
            },
            None => self.adamw.usual(),
        }
    }

    fn slots(&self, parameter: Parameter<'_>) -> &'static [&'static str] {
        match self.matrices(parameter) {
            Some(_) => &["momentum"],
            None => AdamW::SLOTS,
        }
    }

    fn step(
        &self,
        parameter: Parameter<'_>,
        value: Tensor<1>,
        gradient: ScaledGradient,
        state: Slots,
        at: StepAt,
    ) -> (Tensor<1>, Slots) {
        let Some([count, rows, columns]) = self.matrices(parameter) else {
            return self.adamw.step(parameter, value, gradient, state, at);
        };
        let Rates { learning, decay } = at.rates;
        let ([momentum], size) = (exactly(state), value.dims());
        let taken = gradient.value() * (1.0 - self.momentum);
        let momentum = momentum * self.momentum + taken.clone();
        let direction = match self.nesterov {
            true => momentum.clone() * self.momentum + taken,
            false => momentum.clone(),
        };
        let matrices = direction.reshape([count, rows, columns]);
        let update = newton_schulz(matrices, self.iterations as usize).reshape(size);
        let rate = learning * self.scale.factor([rows, columns]);
        (value * (1.0 - learning * decay) - update * rate, vec![momentum])
    }
}
