//! What a table `[model.quant]` means, and what has no meaning.

use super::config::{
    ActFormat, ActGrouping, InferenceMode, Protocol, QuantConfig, SavedMode, Target, TrainingMode,
    WeightFormat, WeightGrouping,
};

/// What a trunk quantises, and how: a table with all that its protocol gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowBit {
    /// Format of `decoder_x`; [`Fp16`](WeightFormat::Fp16) if it is not quantised, as of the others.
    pub decoder_x: WeightFormat,
    /// Format of `decoder_y`.
    pub decoder_y: WeightFormat,
    /// Format of `encoder`.
    pub encoder: WeightFormat,
    /// Weights that share a scale.
    pub weight_grouping: WeightGrouping,
    /// Format of v; [`Fp16`](ActFormat::Fp16) if it is not quantised.
    pub v: ActFormat,
    /// Format of a, the normed read.
    pub a: ActFormat,
    /// Number of positive levels of y; `None` if it is not quantised.
    pub y: Option<u32>,
    /// Numbers of an activity that share a scale.
    pub act_grouping: ActGrouping,
    /// Whether v and a are turned by a Hadamard matrix before they are quantised.
    pub is_turned: bool,
    /// Whether the matrices are quantised already.
    pub is_packed: bool,
    /// Whether a decoder computes in whole numbers, where it can.
    pub decodes_packed: bool,
}

impl LowBit {
    /// What a table asks for, in a trunk of this width.
    ///
    /// # Errors
    /// The first key that has no meaning beside the others.
    pub(super) fn of(config: &QuantConfig, width: usize) -> Result<Self, QuantError> {
        let (protocol, targets) = (config.protocol, &config.target_modules);
        let (Some(&weights), Some(&acts)) = (protocol.weights().first(), protocol.activities().first())
        else {
            return Err(QuantError::ProtocolRequired);
        };
        if config.strict_bitnet_reference && targets.is_empty() {
            return Err(QuantError::StrictWithoutTargets);
        }
        if config.saved_activations.mode != SavedMode::Disabled
            && config.training_mode != TrainingMode::TrainKernelExp
        {
            return Err(QuantError::SavedWithoutKernel);
        }
        check_formats(config)?;
        let acts = config.act_format.unwrap_or(acts);
        if acts == ActFormat::Uint8PosExp && targets.iter().any(|target| *target != Target::Encoder) {
            return Err(QuantError::PositiveForEncoderAlone);
        }
        let weights = config.weight_format.unwrap_or(weights);
        let of = |target, format: Option<WeightFormat>| match targets.contains(&target) {
            true => format.unwrap_or(weights),
            false => WeightFormat::Fp16,
        };
        let with = |target| match targets.contains(&target) {
            true => acts,
            false => ActFormat::Fp16,
        };
        let low_bit = Self {
            decoder_x: of(Target::DecoderX, config.decoder_x_mode),
            decoder_y: of(Target::DecoderY, None),
            encoder: of(Target::Encoder, config.encoder_mode),
            weight_grouping: config.weight_grouping,
            v: with(Target::DecoderX),
            a: with(Target::DecoderY),
            y: targets
                .contains(&Target::Encoder)
                .then(|| protocol.levels(acts))
                .flatten(),
            act_grouping: config.act_grouping,
            is_turned: protocol == Protocol::BitnetV2Exp,
            is_packed: config.packed,
            decodes_packed: config.inference_mode == InferenceMode::OfflinePack,
        };
        low_bit.check(width)?;
        if config.strict_bitnet_reference {
            check_strict(config)?;
        }
        Ok(low_bit)
    }

    /// Whether v, a or y are quantised, so that a level has another function than that of its weights.
    pub fn has_activities(&self) -> bool {
        self.y.is_some() || [self.v, self.a].iter().any(|format| *format != ActFormat::Fp16)
    }

    /// Whether neurons of a head have scales of their own, which no kernel rounds with.
    pub(crate) fn has_y_in_groups(&self) -> bool {
        self.y.is_some() && self.act_grouping == ActGrouping::PerGroup
    }

    fn check(&self, width: usize) -> Result<(), QuantError> {
        let weights = [self.decoder_x, self.decoder_y, self.encoder];
        if weights.iter().all(|format| *format == WeightFormat::Fp16) && !self.has_activities() {
            return Err(QuantError::Nothing);
        }
        let turns = [self.v, self.a].iter().any(|format| *format != ActFormat::Fp16);
        match self.is_turned {
            true if !turns => Err(QuantError::TurnsNothing),
            true if !width.is_power_of_two() => Err(QuantError::HadamardWidth { width }),
            _ => Ok(()),
        }
    }
}

/// Refuses formats that are not the protocol's.
fn check_formats(config: &QuantConfig) -> Result<(), QuantError> {
    let protocol = config.protocol;
    let refused = |key, given, possible: Vec<&str>| QuantError::NotOfProtocol {
        key,
        given,
        protocol: protocol.name(),
        possible: possible.join("\", \""),
    };
    for (key, format) in [
        ("weight_format", config.weight_format),
        ("decoder_x_mode", config.decoder_x_mode),
        ("encoder_mode", config.encoder_mode),
    ] {
        let formats = protocol.weights();
        if let Some(format) = format.filter(|format| !formats.contains(format)) {
            let possible = formats.iter().map(|format| format.name()).collect();
            return Err(refused(key, format.name(), possible));
        }
    }
    let formats = protocol.activities();
    match config.act_format.filter(|format| !formats.contains(format)) {
        None => Ok(()),
        Some(format) => {
            let possible = formats.iter().map(|format| format.name()).collect();
            Err(refused("act_format", format.name(), possible))
        }
    }
}

/// Refuses everything that departs from the published protocol.
fn check_strict(config: &QuantConfig) -> Result<(), QuantError> {
    let departs = |key| Err(QuantError::NotStrict { key });
    let protocol = config.protocol;
    let is_published = |format: WeightFormat| {
        format == protocol.weights()[0]
            || (format == WeightFormat::Packed2 && protocol.weights()[0] == WeightFormat::Ternary158)
    };
    for (key, format) in [
        ("weight_format", config.weight_format),
        ("decoder_x_mode", config.decoder_x_mode),
        ("encoder_mode", config.encoder_mode),
    ] {
        if format.is_some_and(|format| !is_published(format)) {
            return departs(key);
        }
    }
    if config
        .act_format
        .is_some_and(|format| format != protocol.activities()[0])
    {
        return departs("act_format");
    }
    if config.act_grouping != ActGrouping::PerToken {
        return departs("act_grouping");
    }
    if config.weight_grouping != WeightGrouping::PerTensor {
        return departs("weight_grouping");
    }
    match Target::ALL
        .iter()
        .all(|target| config.target_modules.contains(target))
    {
        true => Ok(()),
        false => departs("target_modules"),
    }
}

impl Protocol {
    /// Formats that weights may have; the first is its own.
    fn weights(self) -> &'static [WeightFormat] {
        use WeightFormat::{Fp16, Int8, Packed2, Sign1, Ternary158};
        match self {
            Self::None => &[],
            Self::BitnetB1 => &[Sign1, Int8, Fp16],
            Self::BitnetB158 | Self::BitnetA48Exp | Self::BitnetV2Exp => &[Ternary158, Packed2, Int8, Fp16],
        }
    }

    /// Formats that activities may have; the first is its own.
    fn activities(self) -> &'static [ActFormat] {
        use ActFormat::{Fp16, Int4Exp, Int8, Uint8PosExp};
        match self {
            Self::None => &[],
            Self::BitnetB1 => &[Int8, Fp16, Uint8PosExp],
            Self::BitnetB158 => &[Int8, Int4Exp, Fp16, Uint8PosExp],
            Self::BitnetA48Exp => &[Int4Exp, Uint8PosExp],
            Self::BitnetV2Exp => &[Int8, Int4Exp],
        }
    }

    /// Number of positive levels of y, where other activities have this format.
    fn levels(self, activities: ActFormat) -> Option<u32> {
        match (self, activities) {
            (Self::BitnetA48Exp, _) | (_, ActFormat::Uint8PosExp) => Some(255),
            (_, ActFormat::Int8) => Some(127),
            (_, ActFormat::Int4Exp) => Some(7),
            (_, ActFormat::Fp16) => None,
        }
    }
}

/// Error of a table `[model.quant]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantError {
    /// There is no protocol.
    #[error(
        "model.quant.protocol is required where a model is quantised; use \"bitnet_b1\", \"bitnet_b158\", \
         \"bitnet_a48_exp\" or \"bitnet_v2_exp\", or leave model.quant out"
    )]
    ProtocolRequired,
    /// The published protocol is asked for without targets.
    #[error(
        "model.quant.strict_bitnet_reference needs model.quant.target_modules; use [\"decoder_x\", \"decoder_y\", \"encoder\"]"
    )]
    StrictWithoutTargets,
    /// A key departs from the published protocol, which is asked for.
    #[error(
        "model.quant.{key} departs from the published protocol, which model.quant.strict_bitnet_reference asks for; leave one \
         of them out (all three matrices are its targets)"
    )]
    NotStrict {
        /// The key.
        key: &'static str,
    },
    /// A model whose matrices are quantised already is to be trained.
    #[error(
        "model.quant.packed is what `dragon export --low-bit` writes into the file of a packed model, which is not trained; leave \
         it out"
    )]
    PackedInTraining,
    /// Nothing is quantised.
    #[error(
        "model.quant quantises nothing; name \"decoder_x\", \"decoder_y\" or \"encoder\" in model.quant.target_modules, with a \
         format other than \"fp16\", or leave model.quant out"
    )]
    Nothing,
    /// A format is not one of the protocol's.
    #[error(
        "model.quant.{key} = \"{given}\" is no format of model.quant.protocol = \"{protocol}\"; use \"{possible}\", or leave \
         the key out"
    )]
    NotOfProtocol {
        /// The key.
        key: &'static str,
        /// The format given.
        given: &'static str,
        /// The protocol.
        protocol: &'static str,
        /// The formats of the protocol.
        possible: String,
    },
    /// A format without negative numbers is given for vectors that have some.
    #[error(
        "model.quant.act_format = \"uint8_pos_exp\" has no negative numbers, which only the input of the encoder does \
         without; use model.quant.target_modules = [\"encoder\"], or another format"
    )]
    PositiveForEncoderAlone,
    /// Activities are to be kept quantised without the training kernel.
    #[error(
        "model.quant.saved_activations.mode is of the training kernel; use model.quant.training_mode = \"train_kernel_exp\", \
         or leave model.quant.saved_activations out"
    )]
    SavedWithoutKernel,
    /// A Hadamard matrix of another size than a power of two.
    #[error(
        "model.quant.protocol = \"bitnet_v2_exp\" turns vectors by a Hadamard matrix, but model.d_model = {width} is no power \
         of 2; use another protocol, or a power of 2"
    )]
    HadamardWidth {
        /// The width.
        width: usize,
    },
    /// A Hadamard matrix turns nothing.
    #[error(
        "model.quant.protocol = \"bitnet_v2_exp\" turns v and a, but neither \"decoder_x\" nor \"decoder_y\" is in \
         model.quant.target_modules; name one of them, or use another protocol"
    )]
    TurnsNothing,
}
