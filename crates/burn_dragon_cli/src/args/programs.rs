//! Arguments of the verbs about the program itself.

use clap::Args as ClapArgs;
use clap_complete::Shell;
use std::path::PathBuf;

/// `dragon completions`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  dragon completions bash > ~/.local/share/bash-completion/completions/dragon")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// `dragon man`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  dragon man | man -l -
  dragon man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Folder for a page of each verb; without it, the page of `dragon` is printed
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
