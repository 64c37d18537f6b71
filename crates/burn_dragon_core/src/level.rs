//! One pass through the shared block: what a level adds to the stream.
//!
//! ```text
//! x = relu(v decoder_x);  q = rotate(x)
//! a = norm(what q reads)                      the read is read.rs's
//! y = relu(a decoder_y) * x
//! u = dropout(y) encoder                      how u enters the stream is connector.rs's
//! ```

use crate::read::{Operands, Read};
use burn::tensor::Tensor;
use burn_dragon_kernel::api::expert::level_reference;
use burn_dragon_kernel::api::{
    Activity, Credit, DropoutMask, LevelInput, LevelOutput, LevelWeights, Precision, Reach, Retention,
    Rotation, SpeakInput, level, perceive, speak,
};

/// What all levels of a pass share.
#[derive(Clone, Debug)]
pub struct Level {
    /// The shared weights.
    pub weights: LevelWeights,
    /// Angles of the window's positions.
    pub rotation: Rotation,
    /// Which tokens a token reads.
    pub read: Read,
    /// What is left of memory from token to token.
    pub retention: Retention,
    /// What the norms add to the variance.
    pub eps: f64,
    /// How factors enter the products, on the processor.
    pub precision: Precision,
    /// How gradients go back.
    pub credit: Credit,
}

/// What is to be seen of a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Nothing.
    #[default]
    Nothing,
    /// How many neurons are active.
    Shares,
    /// All activities, through the definition, which lays them out.
    Activities,
}

/// What was seen of a level.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time is alive")]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// How many neurons are active.
    Shares {
        /// Entries that x and y have each.
        entries: f64,
        /// Shares of these that are above zero, of x and of y, in `[0, 1]`.
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

/// What a level adds.
#[derive(Clone, Debug)]
pub struct Contribution {
    /// What is added to the stream, `[B, 1, T, D]`.
    pub u: Tensor<4>,
    /// The memory after the window, `[B, H, K, D]`, where one was given.
    pub rho: Option<Tensor<4>>,
    /// What was seen.
    pub seen: Seen,
}

impl Level {
    /// One pass over a window: from an empty memory, or from `rho`, which it extends.
    ///
    /// # Shapes
    /// - `v`: `[B, 1, T, D]`
    /// - `rho`: `[B, H, K, D]`
    ///
    /// # Panics
    /// If the shapes do not fit together, or memory is emptied within a window whose read has no order.
    pub fn run(
        &self,
        v: Tensor<4>,
        rho: Option<Tensor<4>>,
        dropout: Option<DropoutMask>,
        view: View,
    ) -> Contribution {
        let mixer = self.read.mixer();
        match (view, mixer.reach()) {
            (View::Activities, _) => self.defined(v, rho, dropout),
            (_, Some(reach)) => seen(level(self.input(v, rho, dropout, view, reach))),
            (_, None) => self.by_halves(v, rho, dropout, view),
        }
    }

    /// A level by its definition.
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

    /// A level whose read is no kernel's: what is before and after the read are operations of their own, which keep nothing
    /// neuron-wide.
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

    /// What is read, `[B, H, T, D]`, by the read's own definition, and the memory after it.
    fn read_between(
        &self,
        x: Tensor<4>,
        v: Tensor<4>,
        rho: Option<Tensor<4>>,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        self.read.mixer().read(Operands {
            q: self.rotation.rotate(x),
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

/// What the kernel's operations gave, and counted.
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
