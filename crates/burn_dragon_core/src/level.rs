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
    Credit, DropoutMask, LevelInput, LevelWeights, Precision, Retention, Rotation, level,
    level_with_activity, level_with_memory, projection,
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
    /// How many neurons are active; of tensors without autodiff.
    Shares,
    /// All activities, through the definition, which lays them out.
    Activities,
}

/// What was seen of a level.
#[derive(Clone, Debug)]
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
        let input = self.input(v, dropout);
        match (view, rho) {
            (View::Nothing, None) if self.read == Read::Causal => Contribution {
                u: level(input),
                rho: None,
                seen: Seen::Nothing,
            },
            (View::Nothing, Some(rho)) if self.read == Read::Causal => {
                let (u, rho) = level_with_memory(input, rho);
                Contribution {
                    u,
                    rho: Some(rho),
                    seen: Seen::Nothing,
                }
            }
            (View::Shares, None) if self.read == Read::Causal => {
                let entries = entries(&input);
                let output = level_with_activity(input);
                Contribution {
                    u: output.u,
                    rho: None,
                    seen: Seen::Shares {
                        entries,
                        active: [output.x_density, output.y_density],
                    },
                }
            }
            (_, rho) => self.defined(&input, rho),
        }
    }

    /// A level by its definition.
    fn defined(&self, input: &LevelInput, rho: Option<Tensor<4>>) -> Contribution {
        let x = projection(input.v.clone(), input.weights.decoder_x().clone()); // [B, H, T, N]
        let (read, rho) = self.read.mixer().read(Operands {
            q: input.rotation.rotate(x.clone()),
            v: input.v.clone(),
            rho,
            retention: &input.retention,
            credit: input.credit,
        });
        let level_reference::Level { u, x, y } = level_reference::after_read(input, x, read);
        Contribution {
            u,
            rho,
            seen: Seen::Activities { x, y },
        }
    }

    fn input(&self, v: Tensor<4>, dropout: Option<DropoutMask>) -> LevelInput {
        LevelInput {
            v,
            weights: self.weights.clone(),
            rotation: self.rotation.clone(),
            retention: self.retention.clone(),
            eps: self.eps,
            dropout,
            precision: self.precision,
            credit: self.credit,
        }
    }
}

/// Entries that x and y have each.
fn entries(input: &LevelInput) -> f64 {
    let [lanes, _, tokens, _] = input.v.dims();
    let [heads, _, neurons] = input.weights.decoder_x().dims();
    (lanes * heads * tokens * neurons) as f64
}
