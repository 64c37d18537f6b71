//! What was typed after `dragon export` and `export_burnpack`.

use super::PlaceArgs;
use burn_dragon::api::checkpoint::StoredPrecision;
use burn_dragon::api::exchange::{ModelPath, Which};
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// How a model is written.
#[derive(Debug, ClapArgs)]
pub struct BundleArgs {
    /// The file to write, NAME.bpk or NAME alone; else deploy/model.bpk in the run
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How numbers are stored; f16 and bf16 halve the file and round them
    #[arg(long, value_name = "f32|f16|bf16", default_value = "f32")]
    pub precision: StoredPrecision,
    /// Write the model in parts too, of so many MiB of tensors each, and the index that a web page reads first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub parts_mib: Option<u64>,
    /// Take the place of an earlier export and its parts
    #[arg(long, visible_alias = "force")]
    pub overwrite_parts: bool,
    /// The licence of the weights, for those who get them
    #[arg(long, value_name = "TEXT")]
    pub license: Option<String>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon export`.
#[derive(Debug, ClapArgs)]
pub struct ExportArgs {
    /// The model
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How it is written
    #[command(flatten)]
    pub bundle: BundleArgs,
}

/// `export_burnpack`.
#[derive(Debug, ClapArgs)]
pub struct ExportBurnpackArgs {
    /// The family of the model
    #[arg(long, value_enum, default_value = "language")]
    pub family: ExportFamily,
    /// A run, its checkpoint/ folder, or one checkpoint
    #[arg(long, value_name = "MODEL", default_value = "runs/latest")]
    pub checkpoint: PathBuf,
    /// The checkpoint of this step; else the newest
    #[arg(long, value_name = "N")]
    pub epoch: Option<u64>,
    /// The configuration that the model was trained with, to be held against it; may repeat, later ones win
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// How it is written
    #[command(flatten)]
    pub bundle: BundleArgs,
}

/// Families that `export_burnpack` names. A name here is no promise that this version has the family.
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
    /// The name, as it is typed and as it stands in a model's file.
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
    /// The model's place.
    pub fn path(&self) -> ModelPath {
        ModelPath {
            path: self.checkpoint.clone(),
            which: self.epoch.map_or(Which::Last, Which::Step),
            official_config: None,
        }
    }
}
