//! The model.

use crate::config::{ConfigError, DragonConfig};
use crate::decay::DecayConfig;
use crate::density::{DensityProbe, Watch};
use crate::free_memory::{FreeMemory, Need};
use crate::level::{Level, Watched};
use crate::rotations::Rotations;
use crate::seed::{Rng, derive};
use crate::state::{DragonState, StateError};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_kernel::api::{
    Credit, DropoutMask, LevelWeights, Precision, Resets, Retention, Rotation, norm,
};

/// A Dragon Hatchling model: five matrices, one set for all levels, and the slopes of its decay where it learns them.
#[derive(Module, Debug)]
pub struct Dragon {
    /// Token embedding, `[V, D]`.
    pub embed: Param<Tensor<2>>,
    /// Model width to neurons, drives x, `[H, D, N]`.
    pub decoder_x: Param<Tensor<3>>,
    /// What was read to neurons, drives y, `[H, D, N]`.
    pub decoder_y: Param<Tensor<3>>,
    /// Neurons to model width, rows head by head, `[H*N, D]`.
    pub encoder: Param<Tensor<2>>,
    /// Readout, `[D, V]`.
    pub lm_head: Param<Tensor<2>>,
    /// Logarithms of the slopes at which memory fades, `[H]`; only where they are learnt.
    pub decay: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: DragonConfig,
    #[module(skip)]
    rotations: Rotations,
}

/// What a pass does beside computing logits. The default does nothing.
#[derive(Default)]
pub struct Pass<'a> {
    /// Seed of the dropout masks; without one nothing is dropped.
    pub dropout_seed: Option<u64>,
    /// How factors enter the products of the levels, where these run on the processor.
    pub precision: Precision,
    /// Tokens before which a lane's memory is emptied: where its documents begin.
    pub resets: Resets,
    /// How gradients go back: through keys and values too, or through queries alone.
    pub credit: Credit,
    /// Counts active neurons; for a model without autodiff.
    pub density: Option<&'a mut DensityProbe>,
    /// Looks at the activations of each level, which have to be laid out for it: slow, and for a model's students.
    pub watch: Option<&'a mut dyn Watch>,
}

impl Dragon {
    /// A model with weights drawn from N(0, `init_std`), a function of `seed` alone.
    ///
    /// # Errors
    /// If the configuration is not one a model can have, or the machine has no memory for it.
    pub fn new(config: &DragonConfig, seed: u64, device: &Device) -> Result<Self, ConfigError> {
        config.validate()?;
        let need = Need::of("a model of this shape").with("weights", config.cost().weight_bytes());
        FreeMemory::room_for(&need, || "use a smaller d_model, n_neurons or vocabulary".into())?;
        Self::from_weights(config, device, |name, shape| match (name, &config.decay) {
            ("decay", Some(decay)) => {
                let logarithms: Vec<f64> = decay.slopes(shape[0]).into_iter().map(f64::ln).collect();
                TensorData::new(logarithms, shape).convert::<f32>()
            }
            _ => drawn(config.init_std, derive(seed, name, 0, 0), shape),
        })
    }

    /// A model with these weights: `weight` is asked for each by name and shape, f32.
    ///
    /// # Errors
    /// If the configuration is not one a model can have.
    ///
    /// # Panics
    /// If a weight has another shape than was asked for.
    pub fn from_weights(
        config: &DragonConfig,
        device: &Device,
        mut weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let (d, h, n) = (config.d_model, config.n_heads, config.neurons_per_head());
        let learns_decay = config.decay.as_ref().is_some_and(DecayConfig::learnable);
        Ok(Self {
            embed: parameter("embed", [config.vocab_size, d], device, &mut weight),
            decoder_x: parameter("decoder_x", [h, d, n], device, &mut weight),
            decoder_y: parameter("decoder_y", [h, d, n], device, &mut weight),
            encoder: parameter("encoder", [h * n, d], device, &mut weight),
            lm_head: parameter("lm_head", [d, config.vocab_size], device, &mut weight),
            decay: learns_decay.then(|| parameter("decay", [h], device, &mut weight)),
            config: config.clone(),
            rotations: Rotations::default(),
        })
    }

    /// The model's shape.
    pub fn config(&self) -> &DragonConfig {
        &self.config
    }

    /// The device its weights are on.
    pub fn device(&self) -> Device {
        self.embed.val().device()
    }

    /// An empty memory for `lanes` streams, on the model's device and of its precision.
    pub fn empty_state(&self, lanes: usize) -> DragonState {
        let dtype = self.embed.val().dtype();
        let (rho, positions) = DragonState::new(&self.config, lanes, &self.device().inner()).into_parts();
        DragonState::from_parts(rho.into_iter().map(|rho| rho.cast(dtype)).collect(), positions)
    }

    /// The parallel form: logits of every position of a window that starts at position 0 with an empty memory.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each below `vocab_size`
    /// - output: `[B, T, V]`
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        self.forward_pass(tokens, Pass::default())
    }

    /// [`forward`](Self::forward) with dropout, documents packed into the window, or watched.
    pub fn forward_pass(&self, tokens: Tensor<2, Int>, mut pass: Pass<'_>) -> Tensor<3> {
        let mut v = self.embedded(tokens); // [B, 1, T, D]
        let device = v.device().inner();
        let rotation = self
            .rotations
            .of_window(&self.config, v.dims()[2], v.dtype(), device);
        let level = self.level(rotation, &mut pass);
        for l in 0..self.config.n_levels {
            let dropout = self.dropout(pass.dropout_seed, l);
            v = if let Some(watch) = &mut pass.watch {
                let Watched { v, x, y } = level.forward_watched(v, dropout);
                watch.level(l, &x, &y);
                v
            } else if let Some(density) = &mut pass.density {
                let entries = (v.dims()[0] * v.dims()[2] * self.config.n_neurons) as f64;
                let (v, shares) = level.forward_counted(v, dropout);
                density.add(l, entries, shares);
                v
            } else {
                level.forward(v, dropout)
            };
        }
        self.read_out(v)
    }

    /// The recurrent form: logits of `T` more tokens of each lane, and the state after them.
    ///
    /// Any split of a stream into calls computes the same function as [`forward`](Self::forward) on the whole.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each below `vocab_size`
    /// - output: `[B, T, V]`
    ///
    /// # Errors
    /// If the state was made for another shape or another number of lanes.
    pub fn forward_with_state(
        &self,
        tokens: Tensor<2, Int>,
        state: DragonState,
    ) -> Result<(Tensor<3>, DragonState), StateError> {
        self.forward_pass_with_state(tokens, state, Pass::default())
    }

    /// [`forward_with_state`](Self::forward_with_state) with dropout or documents packed into the window. Activations
    /// are neither counted nor watched.
    ///
    /// In training, gradients go through the state given and the state returned where it is with autodiff
    /// ([`DragonState::autodiff`]); one without is a constant, and so is the one returned: truncated backpropagation.
    ///
    /// # Errors
    /// If the state was made for another shape or another number of lanes.
    pub fn forward_pass_with_state(
        &self,
        tokens: Tensor<2, Int>,
        state: DragonState,
        mut pass: Pass<'_>,
    ) -> Result<(Tensor<3>, DragonState), StateError> {
        let [lanes, length] = tokens.dims();
        state.check(&self.config, lanes)?;
        let mut v = self.embedded(tokens);
        let rotation =
            self.config
                .frequencies()
                .rotation(state.positions(), length, v.dtype(), &v.device().inner());
        let level = self.level(rotation, &mut pass);
        let (memories, positions) = state.into_parts();
        let mut next = Vec::with_capacity(memories.len());
        for (l, rho) in memories.into_iter().enumerate() {
            let (stream, rho) = level.forward_with_memory(v, rho, self.dropout(pass.dropout_seed, l));
            v = stream;
            next.push(rho);
        }
        let positions = positions
            .into_iter()
            .map(|position| position + length as u64)
            .collect();
        Ok((self.read_out(v), DragonState::from_parts(next, positions)))
    }

    /// The slopes at which memory fades, head by head, in 1/tokens; none where it does not.
    pub fn slopes(&self) -> Vec<f64> {
        match (&self.decay, &self.config.decay) {
            (Some(logarithms), _) => {
                let logarithms = logarithms.val().into_data().convert::<f64>();
                logarithms.iter::<f64>().map(f64::exp).collect()
            }
            (None, Some(decay)) => decay.slopes(self.config.n_heads),
            (None, None) => Vec::new(),
        }
    }

    /// What is left of memory from token to token.
    fn retention(&self, resets: Resets) -> Retention {
        let decay = match (&self.decay, &self.config.decay) {
            (Some(logarithms), _) => Some(logarithms.val().exp()),
            (None, Some(decay)) => {
                let slopes = decay.slopes(self.config.n_heads);
                let (device, dtype) = (self.device().inner(), self.embed.val().dtype());
                let data = TensorData::new(slopes, [self.config.n_heads]).convert_dtype(dtype);
                Some(Tensor::from_data(data, (&device, dtype)))
            }
            (None, None) => None,
        };
        Retention { decay, resets }
    }

    fn embedded(&self, tokens: Tensor<2, Int>) -> Tensor<4> {
        let [lanes, length] = tokens.dims();
        let rows = self.embed.val().select(0, tokens.reshape([lanes * length])); // [B*T, D]
        norm(rows, self.config.norm_eps).reshape([lanes, 1, length, self.config.d_model])
    }

    /// What all levels of a pass share; takes the pass's resets.
    fn level(&self, rotation: Rotation, pass: &mut Pass<'_>) -> Level {
        Level {
            weights: LevelWeights::new(self.decoder_x.val(), self.decoder_y.val(), self.encoder.val()),
            rotation,
            retention: self.retention(std::mem::take(&mut pass.resets)),
            eps: self.config.norm_eps,
            precision: pass.precision,
            credit: pass.credit,
        }
    }

    fn dropout(&self, seed: Option<u64>, level: usize) -> Option<DropoutMask> {
        let seed = seed.filter(|_| self.config.dropout > 0.0)?;
        Some(DropoutMask::new(
            derive(seed, "level", 0, level as u64),
            self.config.dropout,
        ))
    }

    fn read_out(&self, v: Tensor<4>) -> Tensor<3> {
        let [lanes, _, length, width] = v.dims();
        // One product of two matrices: as a batch, the gradient of the readout would be a matrix for every lane.
        let logits = v.reshape([lanes * length, width]).matmul(self.lm_head.val()); // [B*T, V]
        logits.reshape([lanes, length, self.config.vocab_size])
    }
}

/// Initial weights.
fn drawn(std: f64, seed: u64, shape: &[usize]) -> TensorData {
    let mut rng = Rng::new(seed);
    let size = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..size).map(|_| (rng.normal() * std) as f32).collect();
    TensorData::new(values, shape)
}

/// The parameter that is called so.
fn parameter<const R: usize>(
    name: &str,
    shape: [usize; R],
    device: &Device,
    weight: &mut impl FnMut(&str, &[usize]) -> TensorData,
) -> Param<Tensor<R>> {
    let data = weight(name, &shape);
    assert_eq!(
        **data.shape(),
        shape,
        "the weight `{name}` has another shape than was asked for"
    );
    Param::from_data(data, device)
}
