//! What was typed after `dragon forward`.

use super::ModelArgs;
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// A form of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The whole window at once
    Parallel,
    /// In pieces of --chunk tokens, with carried state
    Chunked,
    /// Token by token, with carried state
    Recurrent,
}

/// `dragon forward`.
#[derive(Debug, ClapArgs)]
pub struct ForwardArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// A file with `tokens`, i32 [B, T]
    #[arg(value_name = "TOKENS.safetensors")]
    pub tokens: PathBuf,
    /// Which form computes the logits
    #[arg(long, value_enum, default_value = "parallel")]
    pub form: Form,
    /// Tokens in a piece of the chunked form; else 64
    #[arg(long, value_name = "N")]
    pub chunk: Option<usize>,
    /// The file to write `logits`, f32 [B, T, V], into
    #[arg(long, value_name = "LOGITS.safetensors")]
    pub out: PathBuf,
}
