//! What each target calls: one way in, from bytes. The stable tests replay `corpus/` through the same functions.
//!
//! A refusal is a result; what would be found is a panic, memory without end, or a file that is taken and then does not
//! mean what it says. Hashes are not asked for where they would keep everything out.

use burn::tensor::Device;
use burn_dragon_checkpoint::api::expert::{Contents, Manifest, Reader, TensorFile};
use burn_dragon_checkpoint::api::{CheckpointError, Kinds, ModelFile, ModelKind, PartsManifest, StateFile};
use burn_dragon_core::api::DragonConfig;
use burn_dragon_exchange::api::OfficialConfig;
use burn_dragon_exchange::api::expert::ForeignFile;
use burn_dragon_language::api::{LANGUAGE, Language, LanguageState, TokenizerSpec, dragon};
use burn_dragon_train::api::{Layers, resolve};
use std::path::Path;

/// What opens bytes, or says why not.
pub type Door = fn(&[u8]) -> Result<(), String>;

/// Every target by its name.
pub const ALL: [(&str, Door); 9] = [
    ("burnpack", burnpack),
    ("model", model),
    ("state", state),
    ("safetensors", safetensors),
    ("pickle", pickle),
    ("manifest", manifest),
    ("parts", parts),
    ("config", config),
    ("tokenizer", tokenizer),
];

/// A container; one that is taken is written again as it was read, and read again as it was written.
pub fn burnpack(bytes: &[u8]) -> Result<(), String> {
    let _ = TensorFile::read_from(bytes, bytes.len() as u64);
    let file = unsealed(bytes)?;
    let mut again = Vec::new();
    if file.write_to(&mut again).is_ok() {
        let read = TensorFile::read_from(&again[..], again.len() as u64).map_err(|error| error.to_string());
        let read = read.expect("what was written is read");
        let mut texts = file.metadata;
        for hash in ["file_blake3", "file_sha256"] {
            texts.remove(hash); // it was that of another file
        }
        assert!(texts == read.metadata && same(&file.tensors, &read.tensors));
    }
    Ok(())
}

/// Bits, since a number that is none is not equal to itself.
fn same<T: Ord>(
    a: &std::collections::BTreeMap<T, burn::tensor::TensorData>,
    b: &std::collections::BTreeMap<T, burn::tensor::TensorData>,
) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((a_name, a), (b_name, b))| {
            a_name == b_name
                && a.shape() == b.shape()
                && a.dtype() == b.dtype()
                && a.as_bytes() == b.as_bytes()
        })
}

/// A container's contents, whatever its hash.
fn unsealed(bytes: &[u8]) -> Result<TensorFile, String> {
    let reader = Reader::open(bytes, bytes.len() as u64).map_err(|error| error.to_string())?;
    let Contents {
        tensors, metadata, ..
    } = reader.contents(None).map_err(|error| error.to_string())?;
    Ok(TensorFile { tensors, metadata })
}

/// A model's file.
pub fn model(bytes: &[u8]) -> Result<(), String> {
    let model = ModelFile::from_tensor_file(unsealed(bytes)?, here());
    let model = model.map_err(|error| error.to_string())?;
    let again = ModelFile::from_tensor_file(model.clone().into_tensor_file(), here());
    let again = again.expect("what was read can be written and read again");
    assert!(again.hash() == model.hash() && again.assets == model.assets);
    Kinds::new([&LANGUAGE as &dyn ModelKind])
        .check(&model, here())
        .map_err(|error| error.to_string())?;
    let config: DragonConfig = model.config.read().expect("a checked configuration is one");
    if config.n_neurons * config.n_levels < 1 << 12 {
        dragon(model, here(), &Device::flex()).expect("a checked model is one");
    }
    Ok(())
}

/// A memory's file.
pub fn state(bytes: &[u8]) -> Result<(), String> {
    let state = StateFile::from_tensor_file(unsealed(bytes)?, here());
    let state = state.map_err(|error| error.to_string())?;
    let state = LanguageState::of(state, here(), &Device::flex()).map_err(|error| error.to_string())?;
    state
        .state
        .check(&state.config, state.state.lanes())
        .expect("a checked memory is one");
    Ok(())
}

/// Official weights.
pub fn safetensors(bytes: &[u8]) -> Result<(), String> {
    foreign(ForeignFile::safetensors_bytes(bytes.to_vec(), here()))
}

/// Official weights in a pickle in a zip.
pub fn pickle(bytes: &[u8]) -> Result<(), String> {
    foreign(ForeignFile::torch_bytes(bytes.to_vec(), here()))
}

/// A foreign file as a model of some shape, and every one of its tensors.
fn foreign(file: Result<ForeignFile, CheckpointError>) -> Result<(), String> {
    let file = file.map_err(|error| error.to_string())?;
    let config = OfficialConfig::parse(here(), CONFIG).expect("it is a configuration");
    for name in file.tensors.keys() {
        let _ = file.read(name);
    }
    let imported = file.model(Some(&config)).map_err(|error| error.to_string())?;
    imported
        .model
        .check(&LANGUAGE, here())
        .expect("imported weights are a model");
    Ok(())
}

/// One level, width 4, one head, eight neurons, four tokens.
const CONFIG: &str = r#"{"n_layer":1,"n_embd":4,"n_head":1,"mlp_internal_dim_multiplier":2,"vocab_size":4,"rope_theta":65536}"#;

/// A checkpoint's manifest.
pub fn manifest(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    Manifest::parse(text, here())
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The manifest of a model in parts.
pub fn parts(bytes: &[u8]) -> Result<(), String> {
    let manifest = PartsManifest::parse(bytes, here()).map_err(|error| error.to_string())?;
    for part in &manifest.parts {
        assert!(!part.path.contains(['/', '\\', ':', '\0']) && !part.path.starts_with('.'));
    }
    Ok(())
}

/// A configuration; one that is taken is written out and taken again.
pub fn config(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let read = |name: &str, text: &str| {
        let layers = Layers::new()
            .embedded(name, text)
            .map_err(|error| error.to_string())?;
        resolve::<Language>(layers).map_err(|error| error.to_string())
    };
    let json = text.trim_start().starts_with('{'); // of TOML nothing begins so
    let config = read(if json { "fuzz.json" } else { "fuzz.toml" }, text)?;
    let _ = config.explain();
    read("fuzz.toml", config.to_toml()).expect("a configuration that was written is one");
    config
        .value
        .model
        .with_vocabulary(256)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A tokenizer; one that is taken undoes what it does.
pub fn tokenizer(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let spec = TokenizerSpec::from_json(text).map_err(|error| error.to_string())?;
    let tokenizer = spec.build().map_err(|error| error.to_string())?;
    assert!(tokenizer.spec() == spec);
    let ids: Vec<u32> = (0..tokenizer.vocab_size().min(100) as u32).collect();
    tokenizer
        .decode(&ids)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The place that is named in messages.
fn here() -> &'static Path {
    Path::new("fuzz")
}
