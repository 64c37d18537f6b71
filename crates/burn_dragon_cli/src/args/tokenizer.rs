//! Arguments of `dragon tokenizer`.

use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// `dragon tokenizer`.
#[derive(Debug, ClapArgs)]
pub struct TokenizerArgs {
    /// The operation.
    #[command(subcommand)]
    pub what: TokenizerVerb,
}

/// Operations of a tokenizer.
#[derive(Debug, Subcommand)]
pub enum TokenizerVerb {
    /// Train a byte pair encoding on text files; the same text gives the same file
    Train(TokenizerTrainArgs),
    /// Encode a text as token ids, or files as a file of ids
    Encode(TokenizerEncodeArgs),
    /// Decode token ids to text
    Decode(TokenizerDecodeArgs),
    /// Show the size, special tokens and hash of a tokenizer, and how well it compresses a text
    Info(TokenizerInfoArgs),
}

/// `dragon tokenizer train`.
#[derive(Debug, ClapArgs)]
pub struct TokenizerTrainArgs {
    /// Text files, folders and patterns
    #[arg(value_name = "FILES", required = true)]
    pub files: Vec<String>,
    /// Number of tokens: 256 bytes, pairs, and <|endoftext|>
    #[arg(long, value_name = "N")]
    pub vocab_size: usize,
    /// File to write, in the format of tokenizer.json
    #[arg(long, short, value_name = "FILE.json")]
    pub output: PathBuf,
    /// Least number of times that a pair must occur to become a token
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub min_frequency: u64,
    /// Overwrite the file if it exists
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon tokenizer encode`.
#[derive(Debug, ClapArgs)]
pub struct TokenizerEncodeArgs {
    /// A tokenizer.json, or a run
    #[arg(value_name = "TOKENIZER")]
    pub tokenizer: PathBuf,
    /// Text files, folders and patterns; without any, standard input
    #[arg(value_name = "FILES", conflicts_with = "text")]
    pub files: Vec<String>,
    /// Text to encode
    #[arg(long)]
    pub text: Option<String>,
    /// Text between the documents of a file; without it, a file is a document
    #[arg(long, value_name = "TEXT", requires = "files")]
    pub document_separator: Option<String>,
    /// File of ids to write, .u16 or .u32: numbers of 16 or 32 bits, little-endian, with the end-of-text token after
    /// each document; without it, ids are printed
    #[arg(long, short, value_name = "FILE.u16")]
    pub output: Option<PathBuf>,
    /// Overwrite the file if it exists
    #[arg(long)]
    pub force: bool,
}

/// `dragon tokenizer decode`.
#[derive(Debug, ClapArgs)]
pub struct TokenizerDecodeArgs {
    /// A tokenizer.json, or a run
    #[arg(value_name = "TOKENIZER")]
    pub tokenizer: PathBuf,
    /// Token ids; without any, those on standard input
    #[arg(value_name = "ID", conflicts_with = "file", value_delimiter = ',')]
    pub ids: Vec<u32>,
    /// File of ids, .u16 or .u32
    #[arg(long, value_name = "FILE.u16")]
    pub file: Option<PathBuf>,
}

/// `dragon tokenizer info`.
#[derive(Debug, ClapArgs)]
pub struct TokenizerInfoArgs {
    /// A tokenizer.json, or a run
    #[arg(value_name = "TOKENIZER")]
    pub tokenizer: PathBuf,
    /// Text files, folders and patterns to measure bytes per token on
    #[arg(value_name = "FILES")]
    pub files: Vec<String>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
