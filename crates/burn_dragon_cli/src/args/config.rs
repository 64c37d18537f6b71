//! Arguments of `dragon config` and `dragon new`.

use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// `dragon config`.
#[derive(Debug, ClapArgs)]
pub struct ConfigArgs {
    /// The operation.
    #[command(subcommand)]
    pub what: ConfigVerb,
}

/// Operations of a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Show every value of a configuration with its origin
    Show(ConfigShowArgs),
    /// Check keys, types and values without reading data or making a model; exit code 2 if anything is wrong
    Check(ConfigCheckArgs),
    /// Show the keys in which two configurations differ; exit code 1 if they do
    Diff(ConfigDiffArgs),
    /// Print the reference of all keys as Markdown, or the schema as JSON
    Doc(ConfigDocArgs),
    /// List the presets: sizes of model and published experiments
    Presets(ConfigPresetsArgs),
}

/// `dragon config show`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  dragon config show                                    the default run
  dragon config show small model.n_levels=6             a preset with one other value
  dragon config show mine.toml
  dragon config show runs/latest")]
pub struct ConfigShowArgs {
    /// A family, a preset, a file or a run (default: the default run of the language family), and settings as KEY=VALUE
    #[arg(value_name = "FAMILY|PRESET|FILE|RUN|KEY=VALUE")]
    pub words: Vec<String>,
    /// Configuration file on top; may be repeated, later files win
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon config check`.
#[derive(Debug, ClapArgs)]
pub struct ConfigCheckArgs {
    /// Files; also presets, families and runs
    #[arg(value_name = "FILES", required = true)]
    pub files: Vec<String>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon config diff`.
#[derive(Debug, ClapArgs)]
pub struct ConfigDiffArgs {
    /// A file, a run, a preset or a family
    #[arg(value_name = "A")]
    pub a: String,
    /// Another one
    #[arg(value_name = "B")]
    pub b: String,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon config doc`.
#[derive(Debug, ClapArgs)]
pub struct ConfigDocArgs {
    /// The family; without it, all of them
    #[arg(value_name = "FAMILY")]
    pub family: Option<String>,
    /// Print the JSON Schema (draft 2020-12) of each family as one JSON object instead
    #[arg(long)]
    pub json: bool,
}

/// `dragon config presets`.
#[derive(Debug, ClapArgs)]
pub struct ConfigPresetsArgs {
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon new`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  dragon new novels
  dragon new novels --preset small")]
pub struct NewArgs {
    /// Folder to create
    #[arg(value_name = "NAME")]
    pub folder: PathBuf,
    /// The family
    #[arg(long, value_name = "FAMILY", default_value = "language")]
    pub family: String,
    /// Preset to start from; `dragon config presets` lists them [default: the smallest]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
}
