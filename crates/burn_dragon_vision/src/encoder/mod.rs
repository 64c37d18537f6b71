//! Encoder: a picture in, a state of its patches out, step after step.
//!
//! ```text
//! v = norm(stem(pixels) + positions)          [B, 1, T, D]
//! L steps of the backbone, with the same weights
//! summary = mean of the patches, or another readout
//! ```
//!
//! | what | where |
//! |---|---|
//! | sizes and kinds | `config.rs` |
//! | pixels to patches, positions | `stem.rs`, `positions.rs` |
//! | what backbones have in common: a state, and steps of it | `step.rs` |
//! | use of memories, and the order of writes and reads | `memory_use.rs` |
//! | modes of a step | `modes.rs` |
//! | neighbours of a patch | `near.rs` |
//! | dense backbone | `dense.rs` |
//! | cellular backbone | `cellular/` |
//! | pyramid backbone | `pyramid/` |
//! | residual convolutions, as control and as teacher | `convolution.rs` |
//! | clips: frames one after another, or as one stream | `clip.rs` |

mod cellular;
mod clip;
mod config;
mod convolution;
mod dense;
mod memory_use;
mod modes;
mod near;
mod positions;
mod pyramid;
mod stem;
mod step;
#[cfg(test)]
pub(crate) mod testing;

pub use cellular::{Cellular, CellularConfig, CellularSteps, Gains};
pub use clip::{FrameByFrame, Watched};
pub use config::{BackboneKind, DenseRead, GridPositions, ModelConfig, StemKind, Summary};
pub use convolution::{ConvolutionSteps, Convolutions};
pub use dense::DenseSteps;
pub use memory_use::{MemoryUse, Order};
pub use modes::Modes;
pub use near::{AtBorder, NearConfig, NearShape};
pub use pyramid::{
    BankDecay, BankLink, HubGates, ModeLinks, PyramidBackbone, PyramidConfig, PyramidSteps, Readout,
    Schedule, Substep,
};
pub use stem::Stem;
pub use step::{Backbone, State, StepPass};

pub(crate) use config::{is_default, of_variance, refuse};
pub(crate) use positions::{of_clip, sine_cosine};
pub(crate) use stem::{patchify, product};

use crate::error::VisionError;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{ParameterBuilder, norm};
use burn_dragon_core::api::structured::StepMode;
use burn_dragon_core::api::{FreeMemory, Need, Precision, Trunk};
use burn_dragon_kernel::api::Rotation;

/// Name of a cellular backbone's own tensors in files.
const CELLULAR: &str = "cellular";

/// Name of a pyramid's tensors in files.
const PYRAMID: &str = "pyramid";

/// Encoder of pictures.
#[derive(Module, Debug)]
pub struct VisionEncoder {
    /// Stem: pixels to patches.
    pub stem: Stem,
    /// Vectors of the rows of the grid, `[rows, D]`, if positions are learnt.
    pub rows: Option<Param<Tensor<2>>>,
    /// Vectors of the columns of the grid, `[columns, D]`, if positions are learnt.
    pub columns: Option<Param<Tensor<2>>>,
    /// Token before the patches, `[1, D]`, if there is one.
    pub cls: Option<Param<Tensor<2>>>,
    /// Matrices of the levels of a dense or cellular backbone.
    pub trunk: Option<Trunk>,
    /// What a cellular backbone has beside them.
    pub cellular: Option<Cellular>,
    /// Pyramid backbone.
    pub pyramid: Option<PyramidBackbone>,
    /// Residual convolutions.
    pub convolutions: Option<Convolutions>,
    #[module(skip)]
    config: ModelConfig,
}

/// Options of a pass. The default runs the levels of the configuration, without dropout.
#[derive(Clone, Copy, Debug, Default)]
pub struct VisionPass {
    /// Number of levels to run. If absent, that of the configuration.
    pub levels: Option<usize>,
    /// Seed of the dropout masks. If absent, there is no dropout.
    pub dropout_seed: Option<u64>,
    /// Precision of the factors in the products of the levels, on the processor.
    pub precision: Precision,
    /// Use of the memories that are carried from level to level.
    pub memory: MemoryUse,
}

impl VisionPass {
    /// Options of a step.
    fn of_step(self) -> StepPass {
        StepPass {
            dropout_seed: self.dropout_seed,
            precision: self.precision,
            memory: self.memory,
        }
    }
}

/// What an encoder knows of pictures after a level.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Stream, `[B, 1, T, D]`.
    pub stream: Tensor<4>,
    /// Summaries, `[B, D]`.
    pub summary: Tensor<2>,
}

/// What of a picture is hidden from an encoder.
#[derive(Clone, Debug, Default)]
#[expect(clippy::large_enum_variant, reason = "one at a time is alive")]
pub enum Hidden {
    /// Nothing.
    #[default]
    Nothing,
    /// All patches but these, `[B, K]`: the stream has only their tokens. For a dense backbone.
    AllBut(Tensor<2, Int>),
    /// Patches in whose place stands a token: the mask, 1 for a hidden patch, `[B, P, 1]`, and the token, `[1, D]`.
    Behind(Tensor<3>, Tensor<2>),
}

impl VisionEncoder {
    /// Creates an encoder with weights drawn from N(0, `init_std`), a function of `seed` alone.
    ///
    /// # Errors
    /// If the configuration is invalid, or the machine has too little memory.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Result<Self, VisionError> {
        config.validate()?;
        let need = Need::of("a model of this shape").with("weights", config.parameters().saturating_mul(4));
        FreeMemory::room_for(&need, || "use a smaller d_model or n_neurons".into())?;
        Self::from_weights(config, device, config.initial(seed))
    }

    /// Creates an encoder from given weights: `weight` returns each one, f32, by name and shape.
    ///
    /// # Errors
    /// If the configuration is invalid.
    ///
    /// # Panics
    /// If a weight has not the requested shape.
    pub fn from_weights(
        config: &ModelConfig,
        device: &Device,
        mut weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Result<Self, VisionError> {
        config.validate()?;
        let mut build = ParameterBuilder::new(config.tensors(), device, &mut weight);
        let stem = Stem::build(config, &mut build);
        let [rows, columns, cls] = ["rows", "columns", "cls"].map(|name| build.optional(name));
        let sizes = config.trunk();
        let of = |prefix: &'static str| move |name: &str| format!("{prefix}.{name}");
        let trunk = match config.kind {
            BackboneKind::Dense | BackboneKind::Cellular => {
                Some(Trunk::from_weights(&sizes, device, &mut weight)?)
            }
            BackboneKind::Pyramid | BackboneKind::Convolution => None,
        };
        let cellular = match config.cellular() {
            Some(own) => {
                let name = of(CELLULAR);
                Some(Cellular::from_weights(&own, &sizes, device, |field, shape| {
                    weight(&name(field), shape)
                })?)
            }
            None => None,
        };
        let pyramid = match config.pyramid() {
            Some(own) => {
                let name = of(PYRAMID);
                Some(PyramidBackbone::from_weights(
                    &own,
                    &sizes,
                    device,
                    |field, shape| weight(&name(field), shape),
                )?)
            }
            None => None,
        };
        let convolutions = (config.kind == BackboneKind::Convolution).then(|| {
            Convolutions::build(
                config,
                &mut ParameterBuilder::new(config.tensors(), device, &mut weight),
            )
        });
        Ok(Self {
            stem,
            rows,
            columns,
            cls,
            trunk,
            cellular,
            pyramid,
            convolutions,
            config: config.clone(),
        })
    }

    /// Configuration of the encoder.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Device of the weights.
    pub fn device(&self) -> Device {
        self.like().device()
    }

    /// A weight, for its device and its kind of numbers.
    fn like(&self) -> Tensor<2> {
        let of_stem = self.stem.stages.first().map(Param::val);
        let of_trunk = || self.trunk.as_ref().map(|trunk| trunk.encoder.val());
        let of_pyramid = || self.pyramid.as_ref().map(|pyramid| pyramid.value.val());
        match of_stem.or_else(of_trunk).or_else(of_pyramid) {
            Some(weight) => weight,
            None => unreachable!("every encoder has a stem with weights, or a backbone with weights"),
        }
    }

    /// Stream before the first level.
    ///
    /// # Shapes
    /// - `pixels`: `[B, S, S, C]`, 0 to 1
    /// - output: `[B, 1, T, D]`
    pub fn embed(&self, pixels: Tensor<4>, hidden: &Hidden) -> Tensor<4> {
        self.placed(self.stemmed(pixels), self.places(), hidden)
    }

    /// Patches of pictures from the stem, `[B, P, D]`.
    fn stemmed(&self, pixels: Tensor<4>) -> Tensor<3> {
        let centred = (pixels - 0.5) * 4.0; // about the variance of 1 of what the stem's norms give
        self.stem.patches(centred, &self.config)
    }

    /// Stream of patches, `[B, P, D]`, at their places, `[P, D]`.
    fn placed(&self, mut patches: Tensor<3>, places: Option<Tensor<2>>, hidden: &Hidden) -> Tensor<4> {
        let [lanes, _, d] = patches.dims();
        if let Hidden::Behind(mask, token) = hidden {
            let token = token.clone().reshape([1, 1, d]);
            patches = patches * (1.0 - mask.clone()) + mask.clone() * token;
        }
        if let Some(places) = places {
            patches = patches + places.unsqueeze_dim::<3>(0);
        }
        if let Hidden::AllBut(kept) = hidden {
            let count = kept.dims()[1];
            let index = kept.clone().reshape([lanes, count, 1]).expand([lanes, count, d]);
            patches = patches.gather(1, index);
        }
        if let Some(cls) = &self.cls {
            let cls = cls.val().reshape([1, 1, d]).expand([lanes, 1, d]);
            patches = Tensor::cat(vec![cls, patches], 1);
        }
        let tokens = patches.dims()[1];
        norm(patches.reshape([lanes, 1, tokens, d]), self.config.norm_eps)
    }

    /// Vectors of the places that are added to the patches, `[P, D]`.
    fn places(&self) -> Option<Tensor<2>> {
        let (d, grid) = (self.config.d_model, self.config.grid());
        match (&self.rows, &self.columns) {
            (Some(rows), Some(columns)) => {
                let rows = rows.val().reshape([grid.height, 1, d]);
                let columns = columns.val().reshape([1, grid.width, d]);
                Some((rows + columns).reshape([grid.places(), d]))
            }
            _ if self.config.positions == GridPositions::SineCosine2d => Some(self.constant(
                positions::sine_cosine(&self.config, &self.like().device().inner()),
            )),
            _ => None,
        }
    }

    /// A table beside the weights: their kind of numbers, without a gradient.
    fn constant(&self, table: Tensor<2>) -> Tensor<2> {
        let like = self.like();
        let table = table.cast(like.dtype());
        if like.is_autodiff() {
            table.autodiff()
        } else {
            table
        }
    }

    /// The backbone with the weights of a pass, for streams like `v`.
    ///
    /// # Errors
    /// If patches are left out, and the backbone needs them all.
    pub fn backbone(&self, v: &Tensor<4>, hidden: &Hidden) -> Result<Box<dyn Backbone + '_>, VisionError> {
        let grid = self.config.grid();
        if let (Hidden::AllBut(_), true) = (hidden, self.config.kind != BackboneKind::Dense) {
            return Err(VisionError::Config {
                key: "model.backbone",
                reason: "is not \"dense\": the backbone needs all patches of the grid; put a token in place of hidden ones".into(),
            });
        }
        Ok(
            match (&self.trunk, &self.cellular, &self.pyramid, &self.convolutions) {
                (Some(trunk), Some(cellular), ..) => Box::new(cellular.steps(trunk, grid)),
                (Some(trunk), ..) => {
                    let rotation = self.rotation(v, hidden, 1);
                    Box::new(DenseSteps::new(&self.config, trunk, v, rotation))
                }
                (_, _, Some(pyramid), _) => Box::new(pyramid.steps(grid)?),
                (.., Some(convolutions)) => Box::new(convolutions.steps(&self.config)),
                _ => unreachable!("an encoder has a backbone"),
            },
        )
    }

    /// What the encoder knows of pictures after each level. Levels without gradients, with
    /// [`ModelConfig::backprop_levels`], are constants.
    ///
    /// # Errors
    /// As [`backbone`](Self::backbone).
    pub fn look(
        &self,
        pixels: Tensor<4>,
        hidden: &Hidden,
        pass: VisionPass,
    ) -> Result<Vec<Seen>, VisionError> {
        let v = self.embed(pixels, hidden);
        let backbone = self.backbone(&v, hidden)?;
        let levels = pass.levels.unwrap_or(self.config.n_levels);
        let free = self.free(levels, &v);
        let options = pass.of_step();
        let mut state = backbone.start(v);
        let mut seen = Vec::with_capacity(levels);
        for level in 0..levels {
            let mode = if level == 0 {
                StepMode::Observe
            } else {
                StepMode::Refine
            };
            backbone.step(&mut state, mode, options)?;
            if level < free {
                state = state.detach();
            }
            seen.push(Seen {
                stream: state.stream(),
                summary: backbone.summary(&state)?,
            });
        }
        Ok(seen)
    }

    /// What the encoder knows of pictures after the last level.
    ///
    /// # Errors
    /// As [`look`](Self::look), or if the pass has no level.
    pub fn look_last(
        &self,
        pixels: Tensor<4>,
        hidden: &Hidden,
        pass: VisionPass,
    ) -> Result<Seen, VisionError> {
        let seen = self.look(pixels, hidden, pass)?;
        seen.into_iter()
            .last()
            .ok_or(VisionError::NoHead { head: "level" })
    }

    /// Number of first levels without gradients.
    fn free(&self, levels: usize, v: &Tensor<4>) -> usize {
        match self.config.backprop_levels {
            Some(learnt) if v.is_autodiff() => levels.saturating_sub(learnt),
            _ => 0,
        }
    }

    /// Rotation of the tokens of a stream of so many frames, if positions are rotations.
    fn rotation(&self, v: &Tensor<4>, hidden: &Hidden, frames: usize) -> Option<Rotation> {
        if self.config.positions != GridPositions::Rope2d {
            return None;
        }
        let (first, device) = (self.config.first_tokens(), v.device().inner());
        let mut whole = positions::rotation(&self.config, first, v.dtype(), &device);
        if frames > 1 {
            let repeated = |table: Tensor<4>| table.repeat_dim(2, frames);
            (whole.cos, whole.sin) = (repeated(whole.cos), repeated(whole.sin));
        }
        let Hidden::AllBut(kept) = hidden else {
            return Some(whole);
        };
        Some(Rotation {
            cos: of_kept(&whole.cos, kept, first),
            sin: of_kept(&whole.sin, kept, first),
        })
    }

    /// Tokens of the patches, `[B, P, D]`, from a stream.
    pub fn patches(&self, stream: &Tensor<4>) -> Tensor<3> {
        let [lanes, _, tokens, d] = stream.dims();
        let first = self.config.first_tokens();
        stream
            .clone()
            .reshape([lanes, tokens, d])
            .narrow(1, first, tokens - first)
    }
}

/// Rows of a table `[1, 1, T, N/2]` for the first tokens and the kept patches of each lane, `[B, 1, T', N/2]`.
fn of_kept(table: &Tensor<4>, kept: &Tensor<2, Int>, first: usize) -> Tensor<4> {
    let ([.., tokens, pairs], [lanes, count]) = (table.dims(), kept.dims());
    let kept = if kept.is_autodiff() {
        kept.clone().inner()
    } else {
        kept.clone()
    };
    let of_lane = |part: Tensor<4>| part.expand([lanes, 1, first, pairs]);
    let index = (kept.reshape([lanes * count])) + first as i32;
    let rows = table
        .clone()
        .reshape([tokens, pairs])
        .select(0, index)
        .reshape([lanes, 1, count, pairs]);
    match first {
        0 => rows,
        _ => Tensor::cat(vec![of_lane(table.clone().narrow(2, 0, first)), rows], 2),
    }
}

#[cfg(test)]
mod tests;
