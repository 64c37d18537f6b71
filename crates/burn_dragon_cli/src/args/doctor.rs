//! Arguments of `dragon doctor`.

use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `dragon doctor`.
#[derive(Debug, ClapArgs)]
pub struct DoctorArgs {
    /// Folder in which runs would be made
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
