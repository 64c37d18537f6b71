//! How many neurons are active: the share of non-zero x and y, level by level.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Something that looks at the activations of each level during a pass.
pub trait Watch {
    /// Called once per level, in order; `x` and `y` are `[B, H, T, N]`, `y` before dropout.
    fn level(&mut self, level: usize, x: &Tensor<4>, y: &Tensor<4>);
}

/// Shares of active neurons, one entry per level, in `[0, 1]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// Share of non-zero x per level.
    #[serde(rename = "x_density")]
    pub x: Vec<f64>,
    /// Share of non-zero y per level.
    #[serde(rename = "y_density")]
    pub y: Vec<f64>,
}

impl Density {
    /// Mean share of active x over the levels.
    pub fn mean_x(&self) -> f64 {
        mean(&self.x)
    }

    /// Mean share of active y over the levels.
    pub fn mean_y(&self) -> f64 {
        mean(&self.y)
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

/// Counts active neurons over any number of passes.
#[derive(Clone, Debug, Default)]
pub struct DensityProbe {
    active: Vec<[f64; 2]>,
    total: Vec<f64>,
}

impl DensityProbe {
    /// The shares seen so far.
    pub fn density(&self) -> Density {
        let share = |which: usize| {
            self.active
                .iter()
                .zip(&self.total)
                .map(|(active, total)| active[which] / total)
                .collect()
        };
        Density {
            x: share(0),
            y: share(1),
        }
    }

    /// Adds a pass over a level: how many entries x and y have each, and the shares that are active.
    pub fn add(&mut self, level: usize, entries: f64, shares: [f64; 2]) {
        if level >= self.total.len() {
            self.total.resize(level + 1, 0.0);
            self.active.resize(level + 1, [0.0; 2]);
        }
        self.total[level] += entries;
        (0..2).for_each(|which| self.active[level][which] += shares[which] * entries);
    }
}

impl Watch for DensityProbe {
    fn level(&mut self, level: usize, x: &Tensor<4>, y: &Tensor<4>) {
        let entries = x.dims().iter().product::<usize>() as f64;
        self.add(level, entries, [share(x), share(y)]);
    }
}

fn share(activity: &Tensor<4>) -> f64 {
    activity
        .clone()
        .inner()
        .greater_scalar(0.0)
        .float()
        .mean()
        .into_scalar::<f64>()
}
