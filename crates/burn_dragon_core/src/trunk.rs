//! Trunk: the levels and their shared weights. A family puts its input before it and its head behind it.
//!
//! ```text
//! stream = enter(v)                               connector/
//! L times, with the same weights:
//!     u = level(stream.input, rho)                level.rs: positions/, read.rs, mixer/ within it; fanout.rs, auxiliary/ around it
//!     stream.join(u)                              connector/, norm/
//!     rho = what is carried of it                 low_bit/rho/
//! v = stream.output
//! ```
//!
//! One loop, `Trunk::run`, computes every pass: from an empty memory or from a carried one, with or without probes.

use crate::auxiliary::Auxiliary;
use crate::config::{ConfigError, DecayConfig, TrunkConfig};
use crate::connector::{ConnectorWeights, Setting};
use crate::free_memory::{FreeMemory, Need};
use crate::initial::{ParameterBuilder, initial};
use crate::level::{Contribution, Level};
use crate::low_bit::{Edge, Quantisers};
use crate::mixer::MixerWeights;
use crate::norm::{Norm, NormWeights};
use crate::pass::Pass;
use crate::positions::Keys;
use crate::read::Reader;
use crate::rotations::Rotations;
use crate::seed::derive;
use crate::shapes::MemoryShape;
use crate::state::{DragonState, StateError};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_kernel::api::{Decay, DropoutMask, LevelWeights, Resets, Retention, Rotation};

/// Trunk of a model: three matrices that all levels share, the slopes of the decay if they are learnt, and what the
/// sequence mixer, the connector and the norm learn.
///
/// In a model's field called `trunk`, its parameters have the plain names of the fields here, such as `decoder_x`; see
/// [`ParameterPath`](crate::parameters::ParameterPath).
#[derive(Module, Debug)]
pub struct Trunk {
    /// Matrix from model width to neurons that gives x, `[H, D, N]`.
    pub decoder_x: Param<Tensor<3>>,
    /// Matrix from the read to neurons that gives y, `[H, D, N]`.
    pub decoder_y: Param<Tensor<3>>,
    /// Matrix from neurons to model width, rows head by head, `[H*N, D]`.
    pub encoder: Param<Tensor<2>>,
    /// Logarithms of the slopes of the decay, `[H]`; `None` unless they are learnt.
    pub decay: Option<Param<Tensor<1>>>,
    /// Phases of polar keys, `[H, N]`, in radians; `None` for other positions.
    pub phase: Option<Param<Tensor<2>>>,
    /// What the sequence mixer learns; `None` for the linear read, which learns nothing.
    pub mixer: Option<MixerWeights>,
    /// What the connector learns; `None` for one that learns nothing.
    pub connector: Option<ConnectorWeights>,
    /// What the norm learns; `None` for one that learns nothing.
    pub norm: Option<NormWeights>,
    #[module(skip)]
    config: TrunkConfig,
    #[module(skip)]
    rotations: Rotations,
}

/// Memories that the levels of a pass carry, one for each level or none, and the positions of the lanes.
struct Memory {
    rho: Vec<Option<Tensor<4>>>, // one a level
    positions: Vec<u64>,
}

impl Memory {
    /// No memory, at position 0.
    fn none(levels: usize, lanes: usize) -> Self {
        Self {
            rho: vec![None; levels],
            positions: vec![0; lanes],
        }
    }
}

impl From<DragonState> for Memory {
    fn from(state: DragonState) -> Self {
        let (rho, positions) = state.into_parts();
        Self {
            rho: rho.into_iter().map(Some).collect(),
            positions,
        }
    }
}

impl From<Memory> for DragonState {
    fn from(memory: Memory) -> Self {
        Self::from_parts(memory.rho.into_iter().flatten().collect(), memory.positions)
    }
}

impl Trunk {
    /// A trunk with [initial weights](initial), a function of `seed` alone.
    ///
    /// # Errors
    /// If the configuration is not valid, or the machine has too little memory for the trunk.
    pub fn new(config: &TrunkConfig, seed: u64, device: &Device) -> Result<Self, ConfigError> {
        config.validate()?;
        let need = Need::of("a trunk of this shape").with("weights", config.cost().weight_bytes());
        FreeMemory::room_for(&need, || "use a smaller d_model or fewer neurons".into())?;
        Self::from_weights(config, device, initial(config, seed))
    }

    /// A trunk with given weights: `weight` is called with the name and shape of each of the
    /// [tensors](TrunkConfig::tensors) and returns its values, f32.
    ///
    /// # Errors
    /// If the configuration is not valid.
    ///
    /// # Panics
    /// If a returned weight has another shape.
    pub fn from_weights(
        config: &TrunkConfig,
        device: &Device,
        weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut build = ParameterBuilder::new(config.tensors(), device, weight);
        Ok(Self {
            decoder_x: build.parameter("decoder_x"),
            decoder_y: build.parameter("decoder_y"),
            encoder: build.parameter("encoder"),
            decay: build.optional("decay"),
            phase: build.optional("phase"),
            mixer: MixerWeights::build(config.read.mixer().is_some(), &mut build),
            connector: ConnectorWeights::build(&config.connector, &mut build),
            norm: NormWeights::build(config.norm, &mut build),
            config: config.clone(),
            rotations: Rotations::default(),
        })
    }

    /// The same trunk with more or fewer levels, which all have its weights: at a level beyond those that it was made with, a
    /// connector does as at the last of these.
    ///
    /// # Errors
    /// If the number is 0 or too large, or the levels have different numbers of neurons.
    pub fn with_levels(mut self, levels: usize) -> Result<Self, ConfigError> {
        if self.config.fanout.is_some() && levels != self.config.n_levels {
            return Err(ConfigError::LevelsOfFanout { levels });
        }
        let connector = self.config.connector.of_levels(levels);
        self.config = TrunkConfig {
            n_levels: levels,
            connector,
            ..self.config
        };
        self.config.validate()?;
        Ok(self)
    }

    /// Configuration of the trunk.
    pub fn config(&self) -> &TrunkConfig {
        &self.config
    }

    /// Device of the weights.
    pub fn device(&self) -> Device {
        self.decoder_x.val().device()
    }

    /// Empty state for `lanes` lanes, on the trunk's device and in its precision.
    pub fn empty_state(&self, lanes: usize) -> DragonState {
        let dtype = self.decoder_x.val().dtype();
        DragonState::new(&self.config, lanes, &self.device().inner()).cast(dtype)
    }

    /// Output of the trunk for a window that starts at position 0 with an empty memory.
    ///
    /// # Shapes
    /// - `v`, output: `[B, 1, T, D]`
    ///
    /// # Panics
    /// If `v` has another width than the trunk, or the pass has resets and the read has no order.
    pub fn forward(&self, v: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let memory = Memory::none(self.levels(&pass), v.dims()[0]);
        self.run(v, memory, pass).0
    }

    /// Output of the trunk for `T` more tokens of each lane, and the state after them.
    ///
    /// With a causal read, any split of a stream into calls computes the same function as [`forward`](Self::forward) on
    /// the whole stream.
    ///
    /// In training, if the given state is with autodiff ([`DragonState::autodiff`]), gradients flow through it and
    /// through the returned state. If it is without, both are constants: truncated backpropagation.
    ///
    /// # Shapes
    /// - `v`, output: `[B, 1, T, D]`
    ///
    /// # Errors
    /// If the state has another shape, another number of lanes, or another number of levels than the pass has.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with_state(
        &self,
        v: Tensor<4>,
        state: DragonState,
        pass: Pass<'_>,
    ) -> Result<(Tensor<4>, DragonState), StateError> {
        let shape = MemoryShape {
            levels: self.levels(&pass),
            ..self.config.memory()
        };
        state.check(shape, v.dims()[0])?;
        let by_tokens = self.config.rho.is_some_and(|rho| rho.is_of_tokens());
        let (v, memory) = match by_tokens && v.dims()[2] > 1 {
            true => self.run_by_tokens(&v, state.into(), pass),
            false => self.run(v, state.into(), pass),
        };
        Ok((v, memory.into()))
    }

    /// [`run`](Self::run) token by token.
    fn run_by_tokens(&self, v: &Tensor<4>, mut memory: Memory, mut pass: Pass<'_>) -> (Tensor<4>, Memory) {
        let (mut outputs, mut streams) = (Vec::new(), Vec::<Vec<Tensor<4>>>::new());
        for t in 0..v.dims()[2] {
            let mut of_token = Vec::new();
            let part = pass.of_token(t, &mut of_token);
            let output;
            (output, memory) = self.run(v.clone().narrow(2, t, 1), memory, part);
            outputs.push(output);
            streams.push(of_token);
        }
        if let Some(all) = &mut pass.streams {
            let levels = streams.iter().map(Vec::len).min().unwrap_or(0); // a pass may end early
            for level in 0..levels {
                let of_tokens = streams.iter().map(|token| token[level].clone());
                all.push(Tensor::cat(of_tokens.collect(), 2));
            }
        }
        (Tensor::cat(outputs, 2), memory)
    }

    /// Loop over the levels, the only one.
    fn run(&self, v: Tensor<4>, memory: Memory, mut pass: Pass<'_>) -> (Tensor<4>, Memory) {
        let tokens = v.dims()[2];
        let edge = Edge::of(&self.config, v.is_autodiff());
        let rotation = self.rotations.of_window(&self.config, &memory.positions, &v);
        let (level, view) = (self.level(rotation, &mut pass), pass.view());
        let resets = level.retention.resets.clone();
        let auxiliary = Auxiliary::new(&self.config, &memory.positions, &resets, &v);
        let setting = Setting {
            weights: self.connector.as_ref(),
            norm: &level.norm,
        };
        let mut stream = self.config.connector.enter(v, setting);
        let mut next = Vec::with_capacity(memory.rho.len());
        let mut memories = memory.rho.into_iter();
        for (l, rho) in memories.by_ref().enumerate() {
            let dropout = |first| self.dropout(pass.dropout_seed, l, first);
            let level = (&level, self.config.neurons_at(l));
            let before = rho
                .clone()
                .filter(|_| edge.is_some_and(|edge| edge.needs_before()));
            let Contribution { u, rho, seen } = auxiliary.run(level, stream.input(), rho, &dropout, view);
            stream.join(u);
            pass.see(l, &seen, || stream.output());
            next.push(match (&edge, rho) {
                (Some(edge), Some(after)) => Some(edge.pass(before, after, pass.memory.as_deref_mut())),
                (_, rho) => rho,
            });
            if pass.ends(l, || stream.output()) {
                break;
            }
        }
        next.extend(memories);
        let positions = memory.positions.into_iter();
        let memory = Memory {
            rho: next,
            positions: positions.map(|position| position + tokens as u64).collect(),
        };
        (stream.output(), memory)
    }

    /// Slopes of the decay of memory, head by head, in 1/tokens; empty if memory does not fade.
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

    /// Decay and resets of memory.
    fn retention(&self, resets: Resets) -> Retention {
        let learnt = self.decay.as_ref().map(|logarithms| logarithms.val().exp());
        let given = |decay: &DecayConfig| {
            let slopes = decay.slopes(self.config.n_heads);
            let (device, dtype) = (self.device().inner(), self.decoder_x.val().dtype());
            let data = TensorData::new(slopes, [self.config.n_heads]).convert_dtype(dtype);
            Tensor::from_data(data, (&device, dtype))
        };
        Retention {
            decay: learnt
                .or_else(|| self.config.decay.as_ref().map(given))
                .map(Decay::new),
            resets,
        }
    }

    /// Norm of the trunk, with which a family norms the trunk's input too.
    pub fn norm(&self) -> Norm {
        Norm::new(self.config.norm, self.config.norm_eps, self.norm.as_ref())
    }

    /// Weights of all levels, for levels that a family runs by itself.
    ///
    /// Low-bit ones are quantised here.
    pub fn weights(&self) -> LevelWeights {
        let (decoder_x, decoder_y) = (self.decoder_x.val(), self.decoder_y.val());
        match self.config.low_bit() {
            None => LevelWeights::new(decoder_x, decoder_y, self.encoder.val()),
            Some(low_bit) => low_bit.weights(decoder_x, decoder_y, self.encoder.val()),
        }
    }

    /// Level of a pass, which all its levels share; takes the resets out of the pass.
    fn level(&self, rotation: Rotation, pass: &mut Pass<'_>) -> Level {
        assert!(
            self.config.read.is_ordered() || pass.resets.is_empty(),
            "Trunk: a read without order cannot empty memory within a window; use Read::Causal with resets"
        );
        Level {
            weights: self.weights(),
            rotation,
            keys: self.keys(),
            read: self.reader(),
            retention: self.retention(std::mem::take(&mut pass.resets)),
            norm: self.norm(),
            thresholds: self.config.thresholds(),
            quantisers: self.quantisers(),
            precision: pass.precision,
            credit: pass.credit,
        }
    }

    /// How queries and keys are made.
    pub(crate) fn keys(&self) -> Keys {
        Keys::new(self.config.positions, self.phase.as_ref().map(Param::val))
    }

    fn quantisers(&self) -> Quantisers {
        let (width, dtype) = (self.config.d_model, self.decoder_x.val().dtype());
        Quantisers::new(self.config.low_bit(), width, dtype, &self.device().inner())
    }

    fn reader(&self) -> Reader {
        let config = &self.config;
        Reader::new(&config.read, self.mixer.as_ref(), config.sizes(), config.norm_eps)
    }

    fn levels(&self, pass: &Pass<'_>) -> usize {
        pass.levels.unwrap_or(self.config.n_levels)
    }

    /// Mask of a level for the tokens from `first` on.
    fn dropout(&self, seed: Option<u64>, level: usize, first: usize) -> Option<DropoutMask> {
        let seed = seed.filter(|_| self.config.dropout > 0.0)?;
        Some(DropoutMask::new(
            derive(seed, "level", first as u64, level as u64),
            self.config.dropout,
        ))
    }
}
