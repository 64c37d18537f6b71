//! Level: one pass through the shared block.
//!
//! ```text
//! x = relu(v decoder_x);  q = rotate(x)       queries and keys: positions/keys.rs
//! a = norm(read of q)                         the read: read.rs
//! y = relu(a decoder_y) * x
//! u = dropout(y) encoder                      added to the stream: connector/
//! ```

use crate::positions::Keys;
use crate::read::{Operands, Read};
use burn::tensor::Tensor;
use burn_dragon_kernel::api::expert::level_reference;
use burn_dragon_kernel::api::{
    Activity, Credit, DropoutMask, LevelInput, LevelOutput, LevelWeights, Precision, Reach, Retention,
    Rotation, SpeakInput, level, perceive, speak,
};

/// Level of a pass: the weights and settings that all its levels share.
#[derive(Clone, Debug)]
pub struct Level {
    /// The shared weights.
    pub weights: LevelWeights,
    /// Angles of the window's positions.
    pub rotation: Rotation,
    /// How queries and keys are made.
    pub keys: Keys,
    /// Kind of read.
    pub read: Read,
    /// Decay and resets of memory.
    pub retention: Retention,
    /// Epsilon that the norms add to the variance.
    pub eps: f64,
    /// Precision of the factors in matrix products, on the processor.
    pub precision: Precision,
    /// Paths of the gradients through the read.
    pub credit: Credit,
}

/// Data of a level that probes need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Nothing.
    #[default]
    Nothing,
    /// Shares of active neurons.
    Shares,
    /// All activities. The level then runs by its definition in plain tensor operations, which makes them as tensors.
    Activities,
}

/// Data of a level for probes.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time is alive")]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// Shares of active neurons.
    Shares {
        /// Number of entries of x, and of y.
        entries: f64,
        /// Shares of the entries above zero, of x and of y, in `[0, 1]`.
        active: [f64; 2],
    },
    /// All activities.
    Activities {
        /// Neuron activity driven by the stream, `[B, H, T, N]`.
        x: Tensor<4>,
        /// Neuron activity driven by memory and gated by x, before dropout, `[B, H, T, N]`.
        y: Tensor<4>,
    },
}

/// Output of a level.
#[derive(Clone, Debug)]
pub struct Contribution {
    /// Tensor to add to the stream, `[B, 1, T, D]`.
    pub u: Tensor<4>,
    /// Memory after the window, `[B, H, K, D]`, if one was given.
    pub rho: Option<Tensor<4>>,
    /// Data for probes.
    pub seen: Seen,
}

impl Level {
    /// Output of the level for a window: from an empty memory, or from `rho`, to which the window is added.
    ///
    /// # Shapes
    /// - `v`: `[B, 1, T, D]`
    /// - `rho`: `[B, H, K, D]`
    ///
    /// # Panics
    /// If the shapes do not fit together, or there are resets and the read has no order.
    pub fn run(
        &self,
        v: Tensor<4>,
        rho: Option<Tensor<4>>,
        dropout: Option<DropoutMask>,
        view: View,
    ) -> Contribution {
        let reach = self.read.mixer().reach().filter(|_| self.keys.are_pairs());
        match (view, reach) {
            (View::Activities, _) => self.defined(v, rho, dropout),
            (_, Some(reach)) => seen(level(self.input(v, rho, dropout, view, reach))),
            (_, None) => self.by_halves(v, rho, dropout, view),
        }
    }

    /// Output of the level by its definition.
    fn defined(&self, v: Tensor<4>, rho: Option<Tensor<4>>, dropout: Option<DropoutMask>) -> Contribution {
        let x = level_reference::perceive(v.clone(), &self.weights); // [B, H, T, N]
        let (read, rho) = self.read_between(x.clone(), v, rho);
        let (u, y) = level_reference::speak(read, x.clone(), &self.weights, self.eps, dropout.as_ref());
        Contribution {
            u,
            rho,
            seen: Seen::Activities { x, y },
        }
    }

    /// Output of a level whose read has no fused level in the kernel. The parts before and after the read are separate
    /// operations, which keep no neuron-wide tensor.
    fn by_halves(
        &self,
        v: Tensor<4>,
        rho: Option<Tensor<4>>,
        dropout: Option<DropoutMask>,
        view: View,
    ) -> Contribution {
        let x = perceive(v.clone(), &self.weights, self.precision); // [B, H, T, N]
        let (read, rho) = self.read_between(x, v.clone(), rho);
        let output = speak(SpeakInput {
            read,
            v,
            weights: self.weights.clone(),
            eps: self.eps,
            dropout,
            precision: self.precision,
            count: view == View::Shares,
        });
        Contribution { rho, ..seen(output) }
    }

    /// Result of the read, `[B, H, T, D]`, by its own definition, and the memory after it.
    fn read_between(
        &self,
        x: Tensor<4>,
        v: Tensor<4>,
        rho: Option<Tensor<4>>,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        let is_whole = rho.is_none() && self.read == Read::Causal && self.credit == Credit::Full;
        if is_whole && let Some(read) = self.keys.read(&x, &v, &self.rotation, &self.retention) {
            return (read, None);
        }
        let (q, keys) = self.keys.of(x, &self.rotation);
        self.read.mixer().read(Operands {
            q,
            keys,
            v,
            rho,
            retention: &self.retention,
            credit: self.credit,
        })
    }

    fn input(
        &self,
        v: Tensor<4>,
        memory: Option<Tensor<4>>,
        dropout: Option<DropoutMask>,
        view: View,
        reach: Reach,
    ) -> LevelInput {
        LevelInput {
            v,
            weights: self.weights.clone(),
            rotation: self.rotation.clone(),
            retention: self.retention.clone(),
            eps: self.eps,
            dropout,
            precision: self.precision,
            credit: self.credit,
            reach,
            memory,
            chunk: None,
            count: view == View::Shares,
        }
    }
}

/// Output of a level from the output of the kernel's operation.
fn seen(output: LevelOutput) -> Contribution {
    let shares = |activity: Activity| Seen::Shares {
        entries: activity.entries as f64,
        active: activity.shares(),
    };
    Contribution {
        u: output.u,
        rho: output.memory,
        seen: output.activity.map_or(Seen::Nothing, shares),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Distribution};
    use burn_dragon_kernel::api::Frequencies;

    /// A read that is no kernel's goes by halves: here the kernel's own do, to be compared.
    #[test]
    fn by_halves_a_level_is_the_fused_one() {
        let device = Device::flex();
        device.seed(7);
        let drawn = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Normal(0.0, 0.3), &device);
        let (heads, width, neurons, tokens) = (2, 16, 24, 9);
        for read in [Read::Causal, Read::Full] {
            let level = Level {
                weights: LevelWeights::new(
                    drawn([heads, width, neurons]),
                    drawn([heads, width, neurons]),
                    drawn([1, heads * neurons, width]).squeeze_dim::<2>(0),
                ),
                rotation: Frequencies::new(100.0, neurons).rotation(&[5], tokens, DType::F32, &device),
                keys: Keys::Pairs,
                read,
                retention: Retention::default(),
                eps: 1e-5,
                precision: Precision::F32,
                credit: Credit::Full,
            };
            let v = drawn([2, tokens, width]).unsqueeze_dim::<4>(1);
            let rho = drawn([2 * heads, neurons, width]).reshape([2, heads, neurons, width]);
            for rho in [None, Some(rho)] {
                let fused = level.run(v.clone(), rho.clone(), None, View::Shares);
                let halves = level.by_halves(v.clone(), rho.clone(), None, View::Shares);
                let watched = level.run(v.clone(), rho, None, View::Activities);
                let near = |a: Tensor<4>, b: Tensor<4>| {
                    let off = (a - b.clone()).abs().max().into_scalar::<f64>();
                    assert!(off < 1e-4 * (1.0 + b.abs().max().into_scalar::<f64>()), "{off}");
                };
                near(halves.u, fused.u.clone());
                near(watched.u, fused.u);
                if let (Some(halves), Some(fused)) = (halves.rho, fused.rho) {
                    near(halves, fused);
                }
                let (Seen::Shares { active: a, .. }, Seen::Shares { active: b, .. }) =
                    (halves.seen, fused.seen)
                else {
                    panic!("what was to be counted is");
                };
                assert!((a[0] - b[0]).abs() < 1e-6 && (a[1] - b[1]).abs() < 5e-3);
            }
        }
    }
}
