//! What was typed after `dragon pull` and `dragon push`.

use super::PlaceArgs;
use burn_dragon::api::checkpoint::StoredPrecision;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `dragon pull`.
#[derive(Debug, ClapArgs)]
pub struct PullArgs {
    /// The id of a hub's repository (OWNER/NAME), or an address (https://...)
    #[arg(value_name = "ID")]
    pub id: String,
    /// A branch, a tag or a commit; else main
    #[arg(long, value_name = "R")]
    pub revision: Option<String>,
    /// Use what is in the cache, and ask nobody
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
    /// The repository on the hub; it is made if it is not there
    #[arg(long, value_name = "OWNER/NAME")]
    pub repo: String,
    /// Make the repository private, if it is made
    #[arg(long)]
    pub private: bool,
    /// The message of the commit
    #[arg(long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Write what would be uploaded into DIR, and upload nothing
    #[arg(long, value_name = "DIR")]
    pub dry_run: Option<PathBuf>,
    /// How numbers are stored in the .bpk; f16 and bf16 halve the file and round them
    #[arg(long, value_name = "f32|f16|bf16", default_value = "f32")]
    pub precision: StoredPrecision,
    /// The licence of the weights, as the hub calls it (mit, apache-2.0, cc-by-4.0, ...)
    #[arg(long, value_name = "L")]
    pub license: Option<String>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
