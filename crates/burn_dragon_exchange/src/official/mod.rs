//! Weights of the official PyTorch release: `.safetensors` in and out, `.pt` in.
//!
//! | official | here | shape |
//! |---|---|---|
//! | `embed.weight` | `embed` | `[V, D]` |
//! | `encoder` | `decoder_x` | `[H, D, N]` |
//! | `encoder_v` | `decoder_y` | `[H, D, N]` |
//! | `decoder` | `encoder` | `[H*N, D]`, rows head by head |
//! | `lm_head` | `lm_head` | `[D, V]` |
//!
//! Nothing is transposed. `attn.freqs`, `[1, 1, 1, N]`, follows from theta: it is written, and where a file has it, it
//! must be that of the configuration. Levels, heads, theta and epsilon cannot be trusted to weights: they come from a
//! configuration beside them, or from the metadata of a file that was [written here](write_safetensors).
//!
//! | file | what |
//! |---|---|
//! | `foreign.rs` | where each tensor of a foreign file lies, and its values |
//! | `safetensors.rs`, `export.rs` | `.safetensors`, in and out |
//! | `archive.rs`, `pickle.rs`, `torch.rs` | `.pt`: the zip, the pickle, the tensors they describe |
//! | `config.rs` | a configuration by the official names, and which others are refused |
//! | `assemble.rs` | foreign tensors and a configuration to a model |

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

/// The family of the models that the official release defines.
pub(crate) const FAMILY: &str = upgrade::LANGUAGE;

/// The name of the tokenizer among a model's assets.
pub(crate) const TOKENIZER: &str = upgrade::TOKENIZER;

/// Official names and ours.
pub const NAMES: [(&str, &str); 5] = [
    ("embed.weight", "embed"),
    ("encoder", "decoder_x"),
    ("encoder_v", "decoder_y"),
    ("decoder", "encoder"),
    ("lm_head", "lm_head"),
];

/// The official buffer of rotary frequencies, in turns per token, each of them twice: once for either neuron of a pair.
pub const FREQUENCIES: &str = "attn.freqs";

/// A parameter of an unpublished relative of the model, left over in old files; nothing reads it.
pub const STRAY: &str = "lm_gate";

/// Metadata keys of the `.safetensors` files that are written here.
pub mod keys {
    /// The configuration by our names, JSON.
    pub const CONFIG: &str = "burn_dragon.config";
    /// Where the model came from, JSON.
    pub const INFO: &str = "burn_dragon.info";
    /// The tokenizer, JSON as in `tokenizer.json`.
    pub const TOKENIZER: &str = "burn_dragon.tokenizer";
    /// SHA-256 of the whole file, with these 64 characters read as zeros.
    pub const SHA256: &str = "burn_dragon.file_sha256";
    /// The configuration by the official names, JSON: what `--model-config` takes.
    pub const OFFICIAL: &str = "bdh.config";
}

/// Reads official weights, or what was exported as such, under our names.
///
/// # Errors
/// If the file is damaged, no configuration says what weights cannot, or it does not fit them.
pub fn read_safetensors(path: &Path, config: Option<&OfficialConfig>) -> Result<Imported, CheckpointError> {
    ForeignFile::safetensors(path)?.model(config)
}

/// Reads a state dict that `torch.save` wrote, under our names. The pickle in it is not run: it is read by a machine
/// that knows tensors and dictionaries and refuses everything else by name.
///
/// # Errors
/// If the file is damaged, holds anything but a state dict, or the configuration does not fit it.
pub fn read_torch(path: &Path, config: Option<&OfficialConfig>) -> Result<Imported, CheckpointError> {
    ForeignFile::torch(path)?.model(config)
}

/// Whether a file is one that `torch.save` writes, by its name or its first bytes.
pub fn is_torch(path: &Path) -> bool {
    let named = path
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| ["pt", "pth", "ckpt"].contains(&extension));
    let mut start = [0; 4];
    let read = foreign::Source::open(path).is_ok_and(|source| source.read_at(0, &mut start).is_ok());
    named || (read && start == *b"PK\x03\x04")
}

/// The official buffer of a configuration, `[N]`: `1 / theta^(2 floor(i / 2) / N) / (2 pi)`, each operation in f32, as
/// the official code has it.
pub(crate) fn frequencies(config: &DragonConfig) -> Vec<f32> {
    let neurons = config.neurons_per_head();
    let of = |neuron: usize| {
        let exponent = (neuron / 2 * 2) as f32 / neurons as f32;
        let power = config.rope_theta.powf(f64::from(exponent)) as f32;
        1.0 / power / std::f32::consts::TAU
    };
    (0..neurons).map(of).collect()
}
