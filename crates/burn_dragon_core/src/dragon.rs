//! Language model: an embedding, a trunk and a readout.

use crate::config::{ConfigError, DragonConfig};
use crate::free_memory::{FreeMemory, Need};
use crate::initial::{ParameterBuilder, initial};
use crate::pass::Pass;
use crate::state::{DragonState, StateError};
use crate::trunk::Trunk;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Dragon Hatchling model of next tokens.
///
/// Its parameters are named `embed`, the names of the [`Trunk`]'s fields, and `lm_head`.
#[derive(Module, Debug)]
pub struct Dragon {
    /// Token embedding, `[V, D]`.
    pub embed: Param<Tensor<2>>,
    /// Trunk: the levels and their shared weights.
    pub trunk: Trunk,
    /// Readout, `[D, V]`.
    pub lm_head: Param<Tensor<2>>,
    #[module(skip)]
    config: DragonConfig,
}

impl Dragon {
    /// A model with [initial weights](initial), a function of `seed` alone.
    ///
    /// # Errors
    /// If the configuration is not valid, or the machine has too little memory for the model.
    pub fn new(config: &DragonConfig, seed: u64, device: &Device) -> Result<Self, ConfigError> {
        config.validate()?;
        let need = Need::of("a model of this shape").with("weights", config.cost().weight_bytes());
        FreeMemory::room_for(&need, || "use a smaller d_model, n_neurons or vocabulary".into())?;
        Self::from_weights(config, device, initial(&config.trunk(), seed))
    }

    /// A model with given weights: `weight` is called with the name and shape of each of the
    /// [tensors](DragonConfig::tensors) and returns its values, f32.
    ///
    /// # Errors
    /// If the configuration is not valid.
    ///
    /// # Panics
    /// If a returned weight has another shape.
    pub fn from_weights(
        config: &DragonConfig,
        device: &Device,
        mut weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let trunk = Trunk::from_weights(&config.trunk(), device, &mut weight)?;
        let mut build = ParameterBuilder::new(config.tensors(), device, weight);
        Ok(Self {
            embed: build.parameter("embed"),
            trunk,
            lm_head: build.parameter("lm_head"),
            config: config.clone(),
        })
    }

    /// The same model with more or fewer levels, see [`Trunk::with_levels`]. A state of another number of levels does not fit it.
    ///
    /// # Errors
    /// As [`Trunk::with_levels`].
    pub fn with_levels(mut self, levels: usize) -> Result<Self, ConfigError> {
        self.trunk = self.trunk.with_levels(levels)?;
        self.config.n_levels = levels;
        self.config.connector = self.trunk.config().connector.clone();
        Ok(self)
    }

    /// Configuration of the model.
    pub fn config(&self) -> &DragonConfig {
        &self.config
    }

    /// Device of the weights.
    pub fn device(&self) -> Device {
        self.embed.val().device()
    }

    /// Empty state for `lanes` lanes, on the model's device and in its precision.
    pub fn empty_state(&self, lanes: usize) -> DragonState {
        self.trunk.empty_state(lanes)
    }

    /// Logits of every position of a window that starts at position 0 with an empty memory: the parallel form.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each below `vocab_size`
    /// - output: `[B, T, V]`
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        self.forward_pass(tokens, Pass::default())
    }

    /// [`forward`](Self::forward) with the options of a [`Pass`]: dropout, packed documents, probes.
    pub fn forward_pass(&self, tokens: Tensor<2, Int>, pass: Pass<'_>) -> Tensor<3> {
        self.read_out(self.trunk.forward(self.embedded(tokens), pass))
    }

    /// Logits of `T` more tokens of each lane, and the state after them: the recurrent form.
    ///
    /// Any split of a stream into calls computes the same function as [`forward`](Self::forward) on the whole stream.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each below `vocab_size`
    /// - output: `[B, T, V]`
    ///
    /// # Errors
    /// If the state has another shape or another number of lanes.
    pub fn forward_with_state(
        &self,
        tokens: Tensor<2, Int>,
        state: DragonState,
    ) -> Result<(Tensor<3>, DragonState), StateError> {
        self.forward_pass_with_state(tokens, state, Pass::default())
    }

    /// [`forward_with_state`](Self::forward_with_state) with the options of a [`Pass`]: dropout, packed documents,
    /// probes.
    ///
    /// In training, if the given state is with autodiff ([`DragonState::autodiff`]), gradients flow through it and
    /// through the returned state. If it is without, both are constants: truncated backpropagation.
    ///
    /// # Errors
    /// If the state has another shape, another number of lanes, or another number of levels than the pass has.
    pub fn forward_pass_with_state(
        &self,
        tokens: Tensor<2, Int>,
        state: DragonState,
        pass: Pass<'_>,
    ) -> Result<(Tensor<3>, DragonState), StateError> {
        let v = self.embedded(tokens);
        let (v, state) = self.trunk.forward_with_state(v, state, pass)?;
        Ok((self.read_out(v), state))
    }

    /// Slopes of the decay of memory, head by head, in 1/tokens; empty if memory does not fade.
    pub fn slopes(&self) -> Vec<f64> {
        self.trunk.slopes()
    }

    fn embedded(&self, tokens: Tensor<2, Int>) -> Tensor<4> {
        let [lanes, length] = tokens.dims();
        let rows = self.embed.val().select(0, tokens.reshape([lanes * length])); // [B*T, D]
        let normed = self.trunk.norm().of(rows);
        normed.reshape([lanes, 1, length, self.config.d_model])
    }

    /// Logits of an output of the trunk, `[B, T, V]`.
    pub(crate) fn read_out(&self, v: Tensor<4>) -> Tensor<3> {
        let [lanes, _, length, width] = v.dims();
        // One product of two matrices: as a batch, the gradient of the readout would be a matrix for every lane.
        let logits = v.reshape([lanes * length, width]).matmul(self.lm_head.val()); // [B*T, V]
        logits.reshape([lanes, length, self.config.vocab_size])
    }
}
