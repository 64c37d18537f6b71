//! Table `[model.quant]`: low-bit weights and activities.

use super::LowBit;
use super::rules::QuantError;
use crate::config::TrunkConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Low-bit weights and activities, `[model.quant]`. If absent, there are none.
///
/// The protocol gives every format that the table leaves out; a format that it gives must be one of the protocol's, see
/// [`Protocol`]. Names are those of the public implementation, whose scales were of whole tensors under all groupings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuantConfig {
    /// Switch; with `false` the table means nothing. If absent, it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// Protocol: the formats of weights and activities. It is required.
    pub protocol: Protocol,
    /// How the model is trained.
    pub training_mode: TrainingMode,
    /// What a generator computes with.
    pub inference_mode: InferenceMode,
    /// Format of the matrices that are targets. If absent, that of the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_format: Option<WeightFormat>,
    /// Format of the vectors that targets are multiplied with. If absent, that of the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act_format: Option<ActFormat>,
    /// What a training step keeps for its backward pass.
    #[serde(skip_serializing_if = "is_default")]
    pub saved_activations: SavedActivations,
    /// Matrices that are quantised, with what they are multiplied with; at least one.
    pub target_modules: Vec<Target>,
    /// Format of `decoder_x`, if it is a target. If absent, `weight_format`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder_x_mode: Option<WeightFormat>,
    /// Format of `encoder`, if it is a target. If absent, `weight_format`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_mode: Option<WeightFormat>,
    /// Numbers of an activity that share a scale.
    pub act_grouping: ActGrouping,
    /// Weights that share a scale.
    pub weight_grouping: WeightGrouping,
    /// Whether everything that departs from the published protocol is refused: other formats, groupings, or fewer targets.
    pub strict_bitnet_reference: bool,
    /// Whether the matrices are quantised already, as in a file of `dragon export --low-bit`, which sets it. Such a model is not
    /// trained.
    #[serde(skip_serializing_if = "is_default")]
    pub packed: bool,
}

impl Default for QuantConfig {
    fn default() -> Self {
        Self {
            enable: None,
            protocol: Protocol::None,
            training_mode: TrainingMode::QatSte,
            inference_mode: InferenceMode::OfflinePack,
            weight_format: None,
            act_format: None,
            saved_activations: SavedActivations::default(),
            target_modules: Vec::new(),
            decoder_x_mode: None,
            encoder_mode: None,
            act_grouping: ActGrouping::PerToken,
            weight_grouping: WeightGrouping::PerTensor,
            strict_bitnet_reference: false,
            packed: false,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Published protocol of low-bit training.
///
/// | protocol | weights | others allowed | v and a | others allowed | y |
/// |---|---|---|---|---|---|
/// | `bitnet_b1` (arXiv:2310.11453) | `sign1` | `int8`, `fp16` | `int8` | `fp16` | 127 levels |
/// | `bitnet_b158` (arXiv:2402.17764) | `ternary158` | `packed2`, `int8`, `fp16` | `int8` | `int4_exp`, `fp16` | 127 or 7 levels |
/// | `bitnet_a48_exp` (arXiv:2411.04965) | `ternary158` | `packed2`, `int8`, `fp16` | `int4_exp` | - | 255 levels |
/// | `bitnet_v2_exp` (arXiv:2504.18415) | `ternary158` | `packed2`, `int8`, `fp16` | `int8`, turned by a Hadamard matrix | `int4_exp` | 127 or 7 levels |
///
/// y is not negative, and sparse. It has the positive levels of `act_format`, from 0 to its largest number. With `fp16` it is not
/// quantised. `uint8_pos_exp` gives it 255 levels, where `encoder` is the only target; v2 has no place for that. Nor have the masks
/// that a4.8 puts on dense activities one here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// None: nothing is quantised.
    #[default]
    None,
    /// BitNet: signs of weights.
    BitnetB1,
    /// BitNet b1.58: weights of -1, 0 and 1.
    BitnetB158,
    /// BitNet a4.8: the same, with activities of 4 bits.
    BitnetA48Exp,
    /// BitNet v2: the same, with activities that are turned before they are quantised.
    BitnetV2Exp,
}

/// How a low-bit model is trained. Both compute one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrainingMode {
    /// Products of numbers that were rounded, with straight-through gradients.
    #[default]
    QatSte,
    /// Products of integers, where there is a kernel for them; elsewhere as `qat_ste`.
    TrainKernelExp,
}

/// What a generator of a low-bit model computes with. Both compute one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InferenceMode {
    /// Weights that are packed once, where there is a kernel for them; elsewhere as `runtime_fake_quant`.
    #[default]
    OfflinePack,
    /// Numbers that are rounded while it runs.
    RuntimeFakeQuant,
}

/// Format of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightFormat {
    /// Not quantised.
    Fp16,
    /// -127 to 127, with `max |W| / 127` as the step.
    Int8,
    /// `sign(W - mean W)` with 0 to -1, times `mean |W|`.
    Sign1,
    /// `round(W / gamma)` clipped to -1, 0 and 1, times `gamma = mean |W|`.
    Ternary158,
    /// The same function as `ternary158`.
    Packed2,
}

/// Format of the vectors that a matrix is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActFormat {
    /// Not quantised.
    Fp16,
    /// -128 to 127, with `max |x| / 127` as the step.
    Int8,
    /// -8 to 7, with `mean |x| / sqrt 7` as the step.
    Int4Exp,
    /// 0 to 255, with `max x / 255` as the step: for y alone, where `encoder` is the only target.
    Uint8PosExp,
}

/// What a training step keeps for its backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SavedActivations {
    /// Whether activities are kept quantised.
    pub mode: SavedMode,
    /// Format in which they are kept.
    pub format: SavedFormat,
}

/// Whether activities are kept quantised for the backward pass; for `train_kernel_exp` alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SavedMode {
    /// They are not.
    #[default]
    Disabled,
    /// All are.
    QuantizedCacheExp,
    /// Those as wide as the model are; those as wide as the neurons are computed again.
    QuantizedCacheRecomputeExp,
}

/// Format of activities that are kept for the backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SavedFormat {
    /// Not quantised.
    Fp16,
    /// 8 bits.
    #[default]
    Int8,
    /// 4 bits.
    Int4,
}

/// Matrix that may be quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// From neurons to the width, which y is multiplied with.
    Encoder,
    /// From the width to neurons, which v is multiplied with.
    DecoderX,
    /// From the width to neurons, which the normed read a is multiplied with.
    DecoderY,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DecoderX, Self::DecoderY, Self::Encoder];
}

/// Numbers of an activity that share a scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActGrouping {
    /// Of v and a, the width of a token (a has a row for each head); of y, all neurons of a token.
    #[default]
    PerToken,
    /// 64 dimensions of v and a; 64 neurons of a head of y.
    PerGroup,
    /// Of v and a, as `per_token`; of y, the neurons of a head.
    PerHeadGroup,
}

/// Weights that share a scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightGrouping {
    /// All of a matrix.
    #[default]
    PerTensor,
    /// Those of 64 neurons of a head.
    PerGroup,
    /// Those of a head.
    PerHeadGroup,
}

impl QuantConfig {
    /// Whether the table is in force.
    pub fn is_in_force(&self) -> bool {
        self.enable != Some(false)
    }

    /// What is quantised, and how; `None` if the table is switched off.
    ///
    /// # Errors
    /// The first key that has no meaning beside the others.
    pub fn low_bit(&self, trunk: &TrunkConfig) -> Result<Option<LowBit>, QuantError> {
        match self.is_in_force() {
            true => LowBit::of(self, trunk.d_model).map(Some),
            false => Ok(None),
        }
    }
}
