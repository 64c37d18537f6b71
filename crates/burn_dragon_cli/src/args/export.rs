//! Arguments of `dragon export` and `export_burnpack`.

use super::PlaceArgs;
use burn_dragon::api::checkpoint::StoredPrecision;
use burn_dragon::api::core::low_bit::Packing;
use burn_dragon::api::exchange::{ModelPath, Which};
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// Settings of the written files.
#[derive(Debug, ClapArgs)]
pub struct BundleArgs {
    /// File to write, NAME.bpk or just NAME (default: deploy/model.bpk in the run)
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Stored precision; f16 and bf16 halve the file and round the weights
    #[arg(long, value_name = "f32|f16|bf16", default_value = "f32")]
    pub precision: StoredPrecision,
    /// Pack the low-bit matrices of a model that was trained with [model.quant]: two_bits, or base_three of 1.69 bits
    #[arg(long, value_name = "two_bits|base_three", num_args = 0..=1, require_equals = true, default_missing_value = "two_bits")]
    pub low_bit: Option<Trits>,
    /// Also write the model in parts of N MiB of tensors each, with the index that a web page reads first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub parts_mib: Option<u64>,
    /// Replace an earlier export and its parts
    #[arg(long, visible_alias = "force")]
    pub overwrite_parts: bool,
    /// Licence of the weights, for their users
    #[arg(long, value_name = "TEXT")]
    pub license: Option<String>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// Packing of numbers that are -1, 0 or 1. Signs always have one bit, and whole numbers of 8 bits a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Trits {
    /// Two bits each
    TwoBits,
    /// 1.6875 bits each
    BaseThree,
}

impl Trits {
    /// The packing.
    pub fn packing(self) -> Packing {
        match self {
            Self::TwoBits => Packing::TwoBits,
            Self::BaseThree => Packing::BaseThree,
        }
    }
}

/// `dragon export`.
#[derive(Debug, ClapArgs)]
pub struct ExportArgs {
    /// The model
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Settings of the written files
    #[command(flatten)]
    pub bundle: BundleArgs,
}

/// A checkpoint, and the configuration that it should be of.
#[derive(Clone, Debug, ClapArgs)]
pub struct TrainedArgs {
    /// A run, its checkpoint/ folder, or one checkpoint
    #[arg(long, value_name = "MODEL", default_value = "runs/latest")]
    pub checkpoint: PathBuf,
    /// Checkpoint of this step (default: the newest)
    #[arg(long, value_name = "N")]
    pub epoch: Option<u64>,
    /// Configuration of the training, to compare with the model; may be repeated, later files win
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
}

/// `export_burnpack`.
#[derive(Debug, ClapArgs)]
pub struct ExportBurnpackArgs {
    /// Family of the model
    #[arg(long, value_enum, default_value = "language")]
    pub family: ExportFamily,
    /// The model
    #[command(flatten)]
    pub trained: TrainedArgs,
    /// Settings of the written files
    #[command(flatten)]
    pub bundle: BundleArgs,
}

/// `export_bitnet_artifact`.
#[derive(Debug, ClapArgs)]
pub struct ExportBitnetArgs {
    /// The model
    #[command(flatten)]
    pub trained: TrainedArgs,
    /// File to write, NAME.bpk or just NAME (default: deploy/model.bpk in the run)
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Backend of the training; the file does not depend on it
    #[arg(long, value_name = "NAME")]
    pub backend_name: Option<String>,
    /// Replace an earlier file
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

impl From<&ExportBitnetArgs> for ExportBurnpackArgs {
    fn from(args: &ExportBitnetArgs) -> Self {
        Self {
            family: ExportFamily::Language,
            trained: args.trained.clone(),
            bundle: BundleArgs {
                output: args.output.clone(),
                precision: StoredPrecision::F32,
                low_bit: Some(Trits::TwoBits),
                parts_mib: None,
                overwrite_parts: args.force,
                license: None,
                json: args.json,
            },
        }
    }
}

/// Families that `export_burnpack` accepts by name. This version may not have all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFamily {
    /// Text
    #[value(alias = "dragon")]
    Language,
    /// Nodes and edges
    Graph,
    /// Images to features
    VisionEncoder,
    /// Images and text, trained to predict one from the other
    MultimodalVlJepa,
    /// Puzzles of 81 cells
    Sudoku,
}

impl ExportFamily {
    /// Name of the family, as typed and as stored in model files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Language => "language",
            Self::Graph => "graph",
            Self::VisionEncoder => "vision-encoder",
            Self::MultimodalVlJepa => "multimodal-vl-jepa",
            Self::Sudoku => "sudoku",
        }
    }
}

impl ExportBurnpackArgs {
    /// Path of the model.
    pub fn path(&self) -> ModelPath {
        ModelPath {
            path: self.trained.checkpoint.clone(),
            which: self.trained.epoch.map_or(Which::Last, Which::Step),
            official_config: None,
        }
    }
}
