//! Weights of the official PyTorch release: reading and writing of `.safetensors`, reading of `.pt`.
//!
//! | official | here | shape |
//! |---|---|---|
//! | `embed.weight` | `embed` | `[V, D]` |
//! | `encoder` | `decoder_x` | `[H, D, N]` |
//! | `encoder_v` | `decoder_y` | `[H, D, N]` |
//! | `decoder` | `encoder` | `[H*N, D]`, rows head by head |
//! | `lm_head` | `lm_head` | `[D, V]` |
//!
//! Nothing is transposed. `attn.freqs`, `[1, 1, 1, N]`, follows from theta: it is written, and if a file has it, it
//! must match the configuration. Levels, heads, theta and epsilon cannot be read from weights. They come from a
//! configuration beside the weights, or from the metadata of a file that [this software wrote](write_safetensors).
//!
//! | file | what |
//! |---|---|
//! | `foreign.rs` | place of each tensor in a foreign file, and its values |
//! | `safetensors.rs`, `export.rs` | reading and writing of `.safetensors` |
//! | `archive.rs`, `pickle.rs`, `torch.rs` | `.pt`: the zip, the pickle, the tensors that they describe |
//! | `config.rs` | configuration with the official keys, and the checks that refuse other models |
//! | `assemble.rs` | assembly of a model from foreign tensors and a configuration |

mod archive;
mod assemble;
mod config;
mod export;
mod foreign;
mod pickle;
mod safetensors;
mod torch;

pub use assemble::Imported;
pub use config::OfficialConfig;
pub use export::write_safetensors;
pub use foreign::{Element, ForeignFile, ForeignTensor};

use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::upgrade;
use burn_dragon_core::api::DragonConfig;
use std::path::Path;

/// Family of the models that the official release defines.
pub(crate) const FAMILY: &str = upgrade::LANGUAGE;

/// Name of the tokenizer among the assets of a model.
pub(crate) const TOKENIZER: &str = upgrade::TOKENIZER;

/// Pairs of the official name and ours.
pub const NAMES: [(&str, &str); 5] = [
    ("embed.weight", "embed"),
    ("encoder", "decoder_x"),
    ("encoder_v", "decoder_y"),
    ("decoder", "encoder"),
    ("lm_head", "lm_head"),
];

/// Official buffer of the rotary frequencies in turns per token. Each value occurs twice, once for each neuron of a
/// pair.
pub const FREQUENCIES: &str = "attn.freqs";

/// Parameter of an unpublished relative of the model, found in old files. It is not used.
pub const STRAY: &str = "lm_gate";

/// Metadata keys of the `.safetensors` files that this software writes.
pub mod keys {
    /// Configuration under our names, JSON.
    pub const CONFIG: &str = "burn_dragon.config";
    /// Origin of the model, JSON.
    pub const INFO: &str = "burn_dragon.info";
    /// Tokenizer, JSON as in `tokenizer.json`.
    pub const TOKENIZER: &str = "burn_dragon.tokenizer";
    /// SHA-256 of the whole file, computed with these 64 characters as zeros.
    pub const SHA256: &str = "burn_dragon.file_sha256";
    /// Configuration with the official keys, JSON, as `--model-config` takes it.
    pub const OFFICIAL: &str = "bdh.config";
}

/// Reads official weights, or an export in that form, as a model under our names.
///
/// # Errors
/// If the file is damaged, or the configuration is missing or does not fit the weights.
pub fn read_safetensors(path: &Path, config: Option<&OfficialConfig>) -> Result<Imported, CheckpointError> {
    ForeignFile::safetensors(path)?.model(config)
}

/// Reads a state dict that `torch.save` wrote, as a model under our names. The pickle in it is not executed: its reader
/// knows tensors and dictionaries, and refuses everything else.
///
/// # Errors
/// If the file is damaged, holds anything but a state dict, or the configuration does not fit the weights.
pub fn read_torch(path: &Path, config: Option<&OfficialConfig>) -> Result<Imported, CheckpointError> {
    ForeignFile::torch(path)?.model(config)
}

/// Whether a file was written by `torch.save`, by its name or its first bytes.
pub fn is_torch(path: &Path) -> bool {
    let named = path
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| ["pt", "pth", "ckpt"].contains(&extension));
    let mut start = [0; 4];
    let read = foreign::Source::open(path).is_ok_and(|source| source.read_at(0, &mut start).is_ok());
    named || (read && start == *b"PK\x03\x04")
}

/// Official frequency buffer of a configuration, `[N]`: `1 / theta^(2 floor(i / 2) / N) / (2 pi)`, with each operation
/// in f32, as in the official code.
pub(crate) fn frequencies(config: &DragonConfig) -> Vec<f32> {
    let neurons = config.neurons_per_head();
    let of = |neuron: usize| {
        let exponent = (neuron / 2 * 2) as f32 / neurons as f32;
        let power = config.rope_theta.powf(f64::from(exponent)) as f32;
        1.0 / power / std::f32::consts::TAU
    };
    (0..neurons).map(of).collect()
}
