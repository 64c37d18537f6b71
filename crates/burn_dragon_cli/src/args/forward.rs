//! Arguments of `dragon forward`.

use super::ModelArgs;
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// Form of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The whole window at once
    Parallel,
    /// In chunks of --chunk tokens, with carried state
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
    /// File with the tensor `tokens`, i32 [B, T]
    #[arg(value_name = "TOKENS.safetensors")]
    pub tokens: PathBuf,
    /// Form of the model that computes the logits
    #[arg(long, value_enum, default_value = "parallel")]
    pub form: Form,
    /// Number of tokens in a chunk of the chunked form (default: 64)
    #[arg(long, value_name = "N")]
    pub chunk: Option<usize>,
    /// File to write, with the tensor `logits`, f32 [B, T, V]
    #[arg(long, value_name = "LOGITS.safetensors")]
    pub out: PathBuf,
}
