//! Arguments of `dragon pull` and `dragon push`.

use super::PlaceArgs;
use burn_dragon::api::checkpoint::StoredPrecision;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `dragon pull`.
#[derive(Debug, ClapArgs)]
pub struct PullArgs {
    /// Id of a repository on the hub (OWNER/NAME), or an address (https://...)
    #[arg(value_name = "ID")]
    pub id: String,
    /// Branch, tag or commit (default: main)
    #[arg(long, value_name = "R")]
    pub revision: Option<String>,
    /// Use only the cache, without network access
    #[arg(long)]
    pub offline: bool,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon push`.
#[derive(Debug, ClapArgs)]
pub struct PushArgs {
    /// The model
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Repository on the hub; it is created if it does not exist
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: String,
    /// Create the repository as private, if it does not exist
    #[arg(long)]
    pub private: bool,
    /// Message of the commit
    #[arg(long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Write the files into DIR instead of uploading them
    #[arg(long, value_name = "DIR")]
    pub dry_run: Option<PathBuf>,
    /// Stored precision of the .bpk; f16 and bf16 halve the file and round the weights
    #[arg(long, value_name = "f32|f16|bf16", default_value = "f32")]
    pub precision: StoredPrecision,
    /// Licence of the weights, as the hub names it (mit, apache-2.0, cc-by-4.0, ...)
    #[arg(long, value_name = "L")]
    pub license: Option<String>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
