//! Density of active neurons: the share of non-zero x and y, level by level.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Probe of the activations of each level during a pass.
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
    /// Shares counted so far.
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

    /// Adds a pass over a level: the number of entries of x, and of y, and the shares of x and y that are active.
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

/// Shares of neurons that a token touches, in `[0, 1]`, over all levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Share of neurons with active x.
    #[serde(rename = "x_density")]
    pub x: f64,
    /// Share of neurons whose pair has an active x: the rotation spreads x over both, so their rows of memory are
    /// touched.
    #[serde(rename = "pair_density")]
    pub pairs: f64,
    /// Share of neurons with active y.
    #[serde(rename = "y_density")]
    pub y: f64,
}

impl Activity {
    /// Activity of all neurons.
    pub const FULL: Self = Self {
        x: 1.0,
        pairs: 1.0,
        y: 1.0,
    };
}

/// Probe of the [`Activity`] of the last tokens of a window, which have a context.
#[derive(Clone, Debug)]
pub struct ActivityProbe {
    last: usize,
    sums: [f64; 3],
    levels: f64,
}

impl ActivityProbe {
    /// A probe of the last `tokens` tokens.
    pub fn last(tokens: usize) -> Self {
        Self {
            last: tokens,
            sums: [0.0; 3],
            levels: 0.0,
        }
    }

    /// Mean over the levels counted so far; zero if there are none.
    pub fn activity(&self) -> Activity {
        let [x, pairs, y] = self.sums.map(|sum| sum / self.levels.max(1.0));
        Activity { x, pairs, y }
    }
}

impl Watch for ActivityProbe {
    fn level(&mut self, _level: usize, x: &Tensor<4>, y: &Tensor<4>) {
        let tokens = x.dims()[2];
        let last = self.last.min(tokens);
        let end = |activity: &Tensor<4>| activity.clone().inner().narrow(2, tokens - last, last);
        let (x, y) = (end(x), end(y));
        let [lanes, heads, _, neurons] = x.dims();
        let paired: Tensor<5> = x.clone().reshape([lanes, heads, last, neurons / 2, 2]);
        let pairs: Tensor<4> = paired.sum_dim(4).squeeze_dim(4); // x is never negative
        for (sum, activity) in self.sums.iter_mut().zip([&x, &pairs, &y]) {
            *sum += share(activity);
        }
        self.levels += 1.0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_density_of_several_windows_is_that_of_all_their_entries() {
        let mut probe = DensityProbe::default();
        probe.add(1, 100.0, [0.5, 0.25]);
        probe.add(1, 300.0, [0.1, 0.05]);
        probe.add(0, 10.0, [1.0, 0.0]);
        let density = probe.density();
        assert_eq!(density.x[0], 1.0);
        assert!(
            (density.x[1] - 0.2).abs() < 1e-12 && (density.y[1] - 0.1).abs() < 1e-12,
            "{density:?}"
        );
        assert!((density.mean_x() - 0.6).abs() < 1e-12 && (density.mean_y() - 0.05).abs() < 1e-12);
    }

    #[test]
    fn a_pair_is_touched_where_either_of_its_neurons_is_active() {
        // Two tokens of one head of four neurons; only the second is looked at.
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[1.0, 1.0, 1.0, 1.0], [0.0, 2.0, 0.0, 0.0]]]], &device);
        let y = Tensor::<4>::from_data([[[[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]]], &device);
        let mut probe = ActivityProbe::last(1);
        probe.level(0, &x, &y);
        let expected = Activity {
            x: 0.25,
            pairs: 0.5,
            y: 0.0,
        };
        assert_eq!(probe.activity(), expected);
        probe.level(1, &x.clone().narrow(2, 0, 1), &y.narrow(2, 0, 1));
        assert_eq!(probe.activity().pairs, 0.75);
    }
}
