//! Level: one pass through the shared block.
//!
//! ```text
//! x = relu(v decoder_x);  q = rotate(x)       queries and keys: positions/keys.rs
//! a = norm(read of q)                         the read: read.rs; its norm: norm/
//! y = relu(a decoder_y) * x
//! u = dropout(y) encoder                      added to the stream: connector/
//! ```
//!
//! | level | runs |
//! |---|---|
//! | a read of the kernel's, keys of pairs, a layer norm that learns nothing | as one operation of the kernel |
//! | another read, keys or norm | by halves: the kernel's, with the read and its norm in tensor operations between them |
//! | quantised activities ([low bits](crate::low_bit)) | the same; the second half rounds y |
//! | thresholds of neurons, or activities to be seen | by its definition in tensor operations |

use crate::initial::Thresholds;
use crate::low_bit::Quantisers;
use crate::norm::Norm;
use crate::positions::Keys;
use crate::read::{Operands, Reader};
use burn::tensor::Tensor;
use burn_dragon_kernel::api::expert::level_reference;
use burn_dragon_kernel::api::{
    Activity, Credit, DropoutMask, LevelInput, LevelOutput, LevelWeights, Precision, Reach, Retention,
    Rotation, SpeakInput, gated_projection, level, perceive, speak,
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
    /// How a token reads others.
    pub read: Reader,
    /// Decay and resets of memory.
    pub retention: Retention,
    /// Norm of the read.
    pub norm: Norm,
    /// Thresholds of the neurons; `None` for 0.
    pub thresholds: Option<Thresholds>,
    /// Quantisers of what the weights are multiplied with.
    pub quantisers: Quantisers,
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
        let is_fused = self.keys.are_pairs() && self.norm.is_plain() && self.quantisers.are_none();
        let reach = self.read.rule().reach().filter(|_| is_fused);
        match reach {
            _ if view == View::Activities || self.thresholds.is_some() => self.defined(v, rho, dropout, view),
            Some(reach) => seen(level(self.input(v, rho, dropout, view, reach))),
            None => self.by_halves(v, rho, dropout, view),
        }
    }

    /// Output of the level by its definition.
    fn defined(
        &self,
        v: Tensor<4>,
        rho: Option<Tensor<4>>,
        dropout: Option<DropoutMask>,
        view: View,
    ) -> Contribution {
        let x = self.perceived(v.clone());
        let (read, rho) = self.read_between(&|| x.clone(), v, rho);
        let (u, y) = self.spoken(read, x.clone(), dropout.as_ref());
        Contribution {
            u,
            rho,
            seen: match view {
                View::Nothing => Seen::Nothing,
                View::Shares | View::Activities => Seen::Activities { x, y },
            },
        }
    }

    /// x by its definition, `[B, H, T, N]`.
    pub(crate) fn perceived(&self, v: Tensor<4>) -> Tensor<4> {
        let v = self.quantisers.v(v);
        match self.thresholds {
            None => level_reference::perceive(v, &self.weights),
            Some(thresholds) => thresholds.perceive(v, &self.weights),
        }
    }

    /// u, `[B, 1, T, D]`, and y before it is quantised and dropout, `[B, H, T, N]`, by their definition.
    pub(crate) fn spoken(
        &self,
        read: Tensor<4>,
        x: Tensor<4>,
        dropout: Option<&DropoutMask>,
    ) -> (Tensor<4>, Tensor<4>) {
        let a = self.quantisers.a(self.norm.of(read));
        let y = match self.thresholds {
            None => gated_projection(a, self.weights.decoder_y().clone(), x),
            Some(thresholds) => thresholds.gated(a, x, &self.weights),
        };
        let spoken = self.quantisers.y(y.clone());
        (level_reference::contribution(spoken, &self.weights, dropout), y)
    }

    /// Output of a level whose read or norm has no fused level in the kernel. The parts before and after the read are separate
    /// operations, which keep no neuron-wide tensor.
    fn by_halves(
        &self,
        v: Tensor<4>,
        rho: Option<Tensor<4>>,
        dropout: Option<DropoutMask>,
        view: View,
    ) -> Contribution {
        let seen_v = self.quantisers.v(v.clone());
        let x = || perceive(seen_v.clone(), &self.weights, self.precision); // [B, H, T, N]
        let (read, rho) = self.read_between(&x, v, rho);
        let (read, norm) = match self.norm.is_plain() && self.quantisers.are_none() {
            true => (read, Some(self.norm.eps())),
            false => (self.quantisers.a(self.norm.of(read)), None),
        };
        let output = speak(SpeakInput {
            read,
            v: seen_v,
            weights: self.weights.clone(),
            norm,
            levels: self.quantisers.levels(),
            dropout,
            precision: self.precision,
            count: view == View::Shares,
        });
        Contribution { rho, ..seen(output) }
    }

    /// Result of the read, `[B, H, T, D]`, by its own definition, and the memory after it.
    pub(crate) fn read_between(
        &self,
        x: &dyn Fn() -> Tensor<4>,
        v: Tensor<4>,
        rho: Option<Tensor<4>>,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        let is_whole = rho.is_none() && self.credit == Credit::Full;
        if is_whole
            && self.read.rule().reach() == Some(Reach::Causal)
            && let Some(read) = self.keys.read(x, &v, &self.rotation, &self.retention)
        {
            return (read, None);
        }
        self.read.rule().read(Operands {
            queries: &|| self.keys.of(x(), &self.rotation),
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
            eps: self.norm.eps(),
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
        for read in [Reader::causal(), Reader::full()] {
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
                norm: Norm::layer(1e-5),
                thresholds: None,
                quantisers: Quantisers::default(),
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
