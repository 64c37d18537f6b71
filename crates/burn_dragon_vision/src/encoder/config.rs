//! Table `[model]`: the backbone and the sizes of an encoder.

use super::cellular::{Cellular, CellularConfig};
use super::convolution;
use super::pyramid::PyramidConfig;
use super::stem;
use crate::error::VisionError;
use crate::picture::Colours;
use burn::tensor::TensorData;
use burn_dragon_core::api::expert::initial;
use burn_dragon_core::api::structured::Grid;
use burn_dragon_core::api::{Connector, InitConfig, NormConfig, Positions, Read, TensorShape, TrunkConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest number of levels in evaluation.
const MOST_LEVELS: usize = 1024;

/// Largest side of a picture in pixels.
const MOST_PIXELS: usize = 1024;

/// Base of the rotary frequencies of the trunk. Unused: rotations of a grid are made here.
const ROPE_THETA: f64 = 65536.0;

/// Table `[model]`: the backbone and the sizes of an encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Backbone: whose memories a patch reads.
    #[serde(rename = "backbone")]
    pub kind: BackboneKind,
    /// Side of a picture in pixels (S), 1 to 1024. Pictures of other sizes are fitted by `dataset.fit`.
    pub image_size: usize,
    /// Colours of a picture. Pictures of other colours are converted.
    pub colours: Colours,
    /// Side of a patch in pixels; it divides `image_size`.
    pub patch_size: usize,
    /// Stem: how the pixels of a patch become a vector.
    pub stem: StemKind,
    /// Positions of the patches.
    pub positions: GridPositions,
    /// Read of a dense backbone.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = "full"))]
    pub read: DenseRead,
    /// Summary of a picture, which a classifier reads and probes know.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = "mean"))]
    pub summary: Summary,
    /// Model width (D).
    pub d_model: usize,
    /// Number of heads (H).
    pub n_heads: usize,
    /// Number of neurons in all heads together (n); a multiple of `2 n_heads`.
    pub n_neurons: usize,
    /// Number of levels (L) in training: passes through the shared block, also called steps.
    pub n_levels: usize,
    /// Number of levels in evaluation and prediction, 1 to 1024. If absent, `n_levels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_levels: Option<usize>,
    /// Number of last levels that have gradients. If absent, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backprop_levels: Option<usize>,
    /// Dropout rate of y in training: 0, or 1.6e-5 to 0.99998.
    pub dropout: f64,
    /// Constant that the norms add to the variance, 1.2e-38 to 1.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights, N(0, `init_std`); 1.1e-19 to 1000. Matrices of a stem have `1 / sqrt(inputs)`.
    pub init_std: f64,
    /// Table `[model.cellular]`, with `type = "cellular"`: memories of the patches. If absent, its defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cellular: Option<CellularConfig>,
    /// Table `[model.pyramid]`, with `type = "pyramid"`: banks of memories. If absent, its defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pyramid: Option<PyramidConfig>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            kind: BackboneKind::Dense,
            image_size: 32,
            colours: Colours::Gray,
            patch_size: 4,
            stem: StemKind::Conv,
            positions: GridPositions::Learned2d,
            read: DenseRead::Full,
            summary: Summary::Mean,
            d_model: 64,
            n_heads: 4,
            n_neurons: 256,
            n_levels: 4,
            evaluation_levels: None,
            backprop_levels: None,
            dropout: 0.0,
            norm_eps: 1e-5,
            init_std: 0.05,
            cellular: None,
            pyramid: None,
        }
    }
}

/// Backbone: whose memories a patch reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackboneKind {
    /// Every patch reads every patch, anew at each level.
    #[default]
    Dense,
    /// A patch reads the memories of its neighbours, which all levels write: a column.
    Cellular,
    /// Patches, coarse cells and hubs have memories, and read each other's: a stack.
    Pyramid,
    /// Residual blocks of convolutions, one for each level, without memory: a control, and a teacher.
    Convolution,
}

/// Stem: how the pixels of a patch become a vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StemKind {
    /// One matrix for the pixels of a patch.
    Linear,
    /// Convolutions of 4 x 4 pixels with stride 2, as many as halvings of the patch; `patch_size` is a power of 2 then.
    #[default]
    Conv,
    /// The pixels themselves; `d_model` is their number then.
    Identity,
}

/// Positions of patches on their grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GridPositions {
    /// A learnt vector of the row plus one of the column.
    #[default]
    #[serde(rename = "learned_2d")]
    Learned2d,
    /// Sines and cosines of row and column; `d_model` is a multiple of 4 then.
    #[serde(rename = "sine_cosine_2d")]
    SineCosine2d,
    /// Rotation of queries, half of the pairs of neurons by the row, half by the column; for `type = "dense"`.
    #[serde(rename = "rope_2d")]
    Rope2d,
    /// A bias of the scores by the distance of raster indices, as in the public implementation; for `read = "softmax"` or
    /// `"row_l1"`.
    AlibiRaster,
    /// None: a permutation of the patches is one of the outputs.
    None,
}

/// Read of a dense backbone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DenseRead {
    /// One memory that all patches write and read: `q_t (sum over s of q_s (outer) v_s)`.
    #[default]
    Full,
    /// Softmax of the scores `q_t . q_s / sqrt(N)`, P x P.
    Softmax,
    /// Scores divided by the sum of their sizes. Without a bias this is the full read, up to the norm behind it.
    RowL1,
}

/// Summary of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Summary {
    /// Mean of the patches.
    #[default]
    Mean,
    /// A learnt token before the patches; for `type = "dense"`.
    Cls,
}

impl StemKind {
    /// Whether the vector of a patch depends on pixels of other patches.
    pub fn mixes_patches(self) -> bool {
        self == Self::Conv
    }
}

impl ModelConfig {
    /// Grid of the patches.
    pub fn grid(&self) -> Grid {
        let side = self.image_size / self.patch_size;
        Grid {
            height: side,
            width: side,
        }
    }

    /// Number of patches (P).
    pub fn patches(&self) -> usize {
        self.grid().places()
    }

    /// Number of tokens (T): the patches, behind a summary token if there is one.
    pub fn tokens(&self) -> usize {
        self.first_tokens() + self.patches()
    }

    /// Number of tokens before the patches.
    pub(crate) fn first_tokens(&self) -> usize {
        usize::from(self.summary == Summary::Cls)
    }

    /// Number of pixels of a patch, in all channels.
    pub fn patch_numbers(&self) -> usize {
        self.patch_size * self.patch_size * self.colours.channels()
    }

    /// Number of neurons per head (N).
    pub fn neurons_per_head(&self) -> usize {
        self.n_neurons / self.n_heads
    }

    /// Number of levels in evaluation and prediction.
    pub fn evaluated(&self) -> usize {
        self.evaluation_levels.unwrap_or(self.n_levels)
    }

    /// The trunk of a model of this shape.
    pub fn trunk(&self) -> TrunkConfig {
        TrunkConfig {
            d_model: self.d_model,
            n_heads: self.n_heads,
            n_neurons: self.n_neurons,
            n_levels: self.n_levels,
            dropout: self.dropout,
            rope_theta: ROPE_THETA,
            norm_eps: self.norm_eps,
            init_std: self.init_std,
            decay: None,
            positions: Positions::None,
            fanout: None,
            summary_memory: None,
            neuron_recurrence: None,
            connector: Connector::Plain {},
            norm: NormConfig::default(),
            init: InitConfig::default(),
            quant: None,
            rho: None,
            read: Read::Full,
        }
    }

    /// Settings of a cellular backbone; `None` of others.
    pub fn cellular(&self) -> Option<CellularConfig> {
        (self.kind == BackboneKind::Cellular).then(|| self.cellular.clone().unwrap_or_default())
    }

    /// Settings of a pyramid; `None` of others.
    pub fn pyramid(&self) -> Option<PyramidConfig> {
        (self.kind == BackboneKind::Pyramid).then(|| self.pyramid.clone().unwrap_or_default())
    }

    /// Initial weights of an encoder, each a function of `seed` and its name alone.
    pub(crate) fn initial(&self, seed: u64) -> impl FnMut(&str, &[usize]) -> TensorData + use<> {
        let (sizes, std) = (self.trunk(), self.init_std);
        let (mut drawn, mut of_cellular) = (initial(&sizes, seed), Cellular::initial(&sizes, seed));
        move |name, shape| match name.strip_prefix("cellular.") {
            Some(own) => of_cellular(own, shape),
            None if name.starts_with("stem.") || name.starts_with("convolutions.") => {
                of_variance(&drawn(name, shape), std)
            }
            None => drawn(name, shape),
        }
    }

    /// Tensors of an encoder, in the order of its fields.
    pub fn tensors(&self) -> Vec<TensorShape> {
        let (d, Grid { height, width }) = (self.d_model, self.grid());
        let mut tensors = stem::tensors(self);
        if self.positions == GridPositions::Learned2d {
            tensors.push(TensorShape::new("rows", [height, d]));
            tensors.push(TensorShape::new("columns", [width, d]));
        }
        if self.summary == Summary::Cls {
            tensors.push(TensorShape::new("cls", [1, d]));
        }
        let sizes = self.trunk();
        let named = |prefix: &str, tensors: Vec<TensorShape>| {
            let renamed =
                |tensor: TensorShape| TensorShape::new(format!("{prefix}.{}", tensor.name), tensor.shape);
            tensors.into_iter().map(renamed).collect::<Vec<_>>()
        };
        if matches!(self.kind, BackboneKind::Dense | BackboneKind::Cellular) {
            tensors.extend(sizes.tensors());
        }
        tensors.extend(
            self.cellular()
                .map_or_else(Vec::new, |own| named("cellular", own.tensors(&sizes))),
        );
        tensors.extend(
            self.pyramid()
                .map_or_else(Vec::new, |own| named("pyramid", own.tensors(d))),
        );
        if self.kind == BackboneKind::Convolution {
            tensors.extend(convolution::tensors(self));
        }
        tensors
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        let numbers = self.tensors().into_iter().map(|tensor| tensor.numbers().0);
        numbers.fold(0, u64::saturating_add)
    }

    /// Sizes in words.
    pub fn in_words(&self) -> String {
        let Grid { height, width } = self.grid();
        let kind = match self.kind {
            BackboneKind::Dense => "dense",
            BackboneKind::Cellular => "cellular",
            BackboneKind::Pyramid => "pyramid",
            BackboneKind::Convolution => "convolutions",
        };
        let sizes = match self.kind {
            BackboneKind::Dense | BackboneKind::Cellular => {
                format!(", {} heads, {} neurons", self.n_heads, self.n_neurons)
            }
            BackboneKind::Pyramid | BackboneKind::Convolution => String::new(),
        };
        format!(
            "{kind}, {height} x {width} patches of {} pixels, {} levels, width {}{sizes}",
            self.patch_size, self.n_levels, self.d_model
        )
    }

    /// Checks that an encoder of this shape can exist.
    ///
    /// # Errors
    /// [`VisionError::Config`] or [`VisionError::Model`], with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        self.trunk().validate()?;
        self.check_grid()?;
        self.check_stem()?;
        self.check_kinds()?;
        self.check_backbone()?;
        for (key, levels) in [
            ("model.evaluation_levels", self.evaluation_levels),
            ("model.backprop_levels", self.backprop_levels),
        ] {
            if let Some(levels) = levels.filter(|levels| !(1..=MOST_LEVELS).contains(levels)) {
                return refuse(
                    key,
                    format!("is {levels}; expected a number from 1 to {MOST_LEVELS}"),
                );
            }
        }
        Ok(())
    }

    fn check_backbone(&self) -> Result<(), VisionError> {
        for (key, given, kind) in [
            ("model.cellular", self.cellular.is_some(), BackboneKind::Cellular),
            ("model.pyramid", self.pyramid.is_some(), BackboneKind::Pyramid),
        ] {
            if given && self.kind != kind {
                return refuse(
                    key,
                    "is given, which is for another model.backbone; leave it out".into(),
                );
            }
        }
        if let Some(cellular) = self.cellular() {
            cellular.validate(&self.trunk())?;
        }
        if let Some(pyramid) = self.pyramid() {
            pyramid.validate()?;
        }
        if self.kind == BackboneKind::Dense {
            return Ok(());
        }
        let only_dense = "which is for model.backbone = \"dense\"";
        if self.summary == Summary::Cls {
            return refuse(
                "model.summary",
                format!("is \"cls\", {only_dense}; expected \"mean\""),
            );
        }
        if matches!(self.positions, GridPositions::Rope2d | GridPositions::AlibiRaster) {
            let reason = format!(
                "are of a dense read, {only_dense}; expected \"learned_2d\", \"sine_cosine_2d\" or \"none\""
            );
            return refuse("model.positions", reason);
        }
        if self.read != DenseRead::Full {
            return refuse("model.read", format!("is given, {only_dense}; leave it out"));
        }
        Ok(())
    }

    fn check_grid(&self) -> Result<(), VisionError> {
        let Self {
            image_size,
            patch_size,
            ..
        } = *self;
        if !(1..=MOST_PIXELS).contains(&image_size) {
            let reason = format!("is {image_size}; expected a number of pixels from 1 to {MOST_PIXELS}");
            return refuse("model.image_size", reason);
        }
        if patch_size == 0 || !image_size.is_multiple_of(patch_size) {
            let reason = format!("is {patch_size}; expected a divisor of model.image_size = {image_size}");
            return refuse("model.patch_size", reason);
        }
        Ok(())
    }

    fn check_stem(&self) -> Result<(), VisionError> {
        let (patch, d) = (self.patch_size, self.d_model);
        let is_power = patch >= 2 && patch.is_power_of_two() && stem::stages(patch) <= stem::MOST_STAGES;
        match self.stem {
            StemKind::Conv if !is_power => {
                let reason = format!(
                    "is {patch}, which is for other stems; expected 2, 4, 8, 16, 32 or 64 with model.stem = \"conv\""
                );
                refuse("model.patch_size", reason)
            }
            StemKind::Identity if d != self.patch_numbers() => {
                let reason = format!(
                    "is {d}; expected {}, the numbers of a patch, with model.stem = \"identity\"",
                    self.patch_numbers()
                );
                refuse("model.d_model", reason)
            }
            _ => Ok(()),
        }
    }

    fn check_kinds(&self) -> Result<(), VisionError> {
        let scores = self.read != DenseRead::Full;
        match self.positions {
            GridPositions::SineCosine2d if !self.d_model.is_multiple_of(4) => {
                let reason = format!(
                    "is {}; expected a multiple of 4 with model.positions = \"sine_cosine_2d\"",
                    self.d_model
                );
                refuse("model.d_model", reason)
            }
            GridPositions::Rope2d if !self.neurons_per_head().is_multiple_of(4) => {
                let reason = format!(
                    "is {}; expected a multiple of 4 n_heads with model.positions = \"rope_2d\"",
                    self.n_neurons
                );
                refuse("model.n_neurons", reason)
            }
            GridPositions::AlibiRaster if !scores => {
                let reason =
                    "is \"alibi_raster\", a bias of scores; set model.read to \"softmax\" or \"row_l1\"";
                refuse("model.positions", reason.into())
            }
            _ => Ok(()),
        }
    }
}

/// Weights of standard deviation `std`, scaled to `1 / sqrt(inputs)`, so that outputs have the variance of inputs.
pub(crate) fn of_variance(data: &TensorData, std: f64) -> TensorData {
    let shape = data.shape().clone();
    let factor = 1.0 / ((shape[0] as f64).sqrt() * std);
    let values: Vec<f32> = data
        .iter::<f32>()
        .map(|value| (f64::from(value) * factor) as f32)
        .collect();
    TensorData::new(values, shape)
}

pub(crate) fn refuse(key: &'static str, reason: String) -> Result<(), VisionError> {
    Err(VisionError::Config { key, reason })
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
