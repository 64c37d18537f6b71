//! Assembly of a model from foreign tensors and a configuration.

use super::config::{OFFICIAL_THETA, OfficialConfig};
use super::foreign::{Element, ForeignFile};
use super::{FAMILY, FREQUENCIES, NAMES, STRAY, TOKENIZER, frequencies, keys};
use burn::tensor::TensorData;
use burn_dragon_checkpoint::api::expert::{described, listed, upgrade};
use burn_dragon_checkpoint::api::{CheckpointError, ModelFile, ModelInfo};
use burn_dragon_core::api::DragonConfig;
use std::collections::BTreeMap;

/// Official tensor name that identifies these weights: no other model has a tensor with this name.
const MARK: &str = "encoder_v";

/// Model from a foreign file.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The model.
    pub model: ModelFile,
    /// Notes for the user: data that was ignored, values that were assumed.
    pub notes: Vec<String>,
}

impl ForeignFile {
    /// The model in the file, under our names.
    ///
    /// # Errors
    /// If the configuration is missing or does not fit the weights, or a weight is not finite.
    pub fn model(&self, config: Option<&OfficialConfig>) -> Result<Imported, CheckpointError> {
        assemble(self, config)
    }

    /// Checks weights without a configuration.
    ///
    /// # Errors
    /// If an official name is missing or there is another name, the shapes do not fit together, or a weight is not
    /// finite.
    pub(crate) fn check_unconfigured(&self) -> Result<(), CheckpointError> {
        check_unconfigured(self)
    }
}

fn assemble(file: &ForeignFile, given: Option<&OfficialConfig>) -> Result<Imported, CheckpointError> {
    let path = file.path();
    let mut notes = file.notes.clone();
    let (named, wrapped) = named(file)?;
    check_names(file, &named)?; // before anything is asked for that other weights would not need
    if let Some(prefix) = wrapped {
        notes.push(format!("the names begin with `{prefix}`, which was removed"));
    }
    let own = own_config(file)?;
    let unsaid = own.is_none() && given.is_some_and(|given| given.rope_theta.is_none());
    let config = match (own, given) {
        (Some(own), Some(given)) => given.agreed(path, own)?,
        (Some(own), None) => own,
        (None, Some(given)) => given.to_dragon(),
        (None, None) => {
            let path = path.to_path_buf();
            return Err(CheckpointError::NeedsConfig { path });
        }
    };
    config
        .validate()
        .map_err(|error| CheckpointError::corrupt(path, error))?;
    check_shapes(file, &named, &config)?;
    if unsaid {
        notes.push(borne_out(file, &named)?);
    }
    if let Some(theirs) = named.get(FREQUENCIES) {
        check_frequencies(file, theirs, &config)?;
    }
    if let Some(theirs) = named.get(STRAY) {
        notes.push(format!("`{theirs}` is not read: no official model uses it"));
    }
    let tensors = weights(file, &named)?;
    let info = match file.metadata.get(keys::INFO) {
        Some(text) => described(path, keys::INFO, &upgrade::info(text, path)?)?,
        None => ModelInfo::imported(),
    };
    let mut model = ModelFile::new(FAMILY, &config, info, tensors)
        .map_err(|error| CheckpointError::corrupt(path, error))?;
    let tokenizer = file.metadata.get(keys::TOKENIZER).cloned();
    model.assets = tokenizer
        .map(|text| (TOKENIZER.to_string(), text))
        .into_iter()
        .collect();
    Ok(Imported { model, notes })
}

/// Checks that theta is that of the official code, if none is given: the frequencies beside the weights must match it.
fn borne_out(file: &ForeignFile, named: &BTreeMap<&str, &str>) -> Result<String, CheckpointError> {
    if !named.contains_key(FREQUENCIES) {
        return Err(CheckpointError::ConfigKeys {
            path: file.path().to_path_buf(),
            keys: vec!["rope_theta"],
        });
    }
    Ok(format!(
        "no `rope_theta` was given; `{FREQUENCIES}` matches that of the official code, {OFFICIAL_THETA}"
    ))
}

/// Name without the prefixes that PyTorch wrappers add.
fn unwrapped(theirs: &str) -> &str {
    let mut name = theirs;
    let wrappers = ["_orig_mod.", "module."];
    while let Some(rest) = wrappers.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name
}

/// Prefix that a script added to all names, such as `model.`: the text before the only `encoder_v`.
///
/// # Errors
/// If there is more than one prefix, or a tensor without it.
fn prefix(file: &ForeignFile) -> Result<&str, CheckpointError> {
    let names = || file.tensors.keys().map(|theirs| unwrapped(theirs));
    let before = |name: &'static str| names().filter_map(move |theirs| theirs.strip_suffix(name));
    if names().any(|name| name == MARK) {
        return Ok("");
    }
    let found: Vec<&str> = before(MARK).filter(|prefix| prefix.ends_with('.')).collect();
    match found[..] {
        [] => Ok(""),
        [prefix] => {
            let others = names().filter(|name| !name.starts_with(prefix)).map(String::from);
            let names: Vec<String> = others.collect();
            match names.is_empty() {
                true => Ok(prefix),
                false => Err(CheckpointError::UnknownTensors {
                    path: file.path().to_path_buf(),
                    names,
                }),
            }
        }
        _ => {
            let prefixes: Vec<String> = found.iter().map(|prefix| format!("`{prefix}`")).collect();
            let reason = format!(
                "it holds more than one model, with names that begin with {}; save the wanted one in a file of its own",
                listed(&prefixes)
            );
            Err(CheckpointError::corrupt(file.path(), reason))
        }
    }
}

/// Names in the file by official name, and the prefix that wrappers and scripts added.
fn named(file: &ForeignFile) -> Result<(BTreeMap<&str, &str>, Option<String>), CheckpointError> {
    let (mut named, prefix) = (BTreeMap::new(), prefix(file)?);
    let mut wrapped = None;
    for theirs in file.tensors.keys() {
        let name = unwrapped(theirs);
        let name = name.strip_prefix(prefix).unwrap_or(name);
        if name.len() < theirs.len() {
            wrapped = Some(theirs[..theirs.len() - name.len()].to_string());
        }
        if let Some(other) = named.insert(name, theirs.as_str()) {
            let reason = format!("it holds `{name}` twice, as `{other}` and as `{theirs}`");
            return Err(CheckpointError::corrupt(file.path(), reason));
        }
    }
    Ok((named, wrapped))
}

fn check_names(file: &ForeignFile, named: &BTreeMap<&str, &str>) -> Result<(), CheckpointError> {
    let known =
        |name: &str| NAMES.iter().any(|(theirs, _)| *theirs == name) || [FREQUENCIES, STRAY].contains(&name);
    let unknown = named.iter().filter(|(name, _)| !known(name));
    let names: Vec<String> = unknown.map(|(_, theirs)| (*theirs).to_string()).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(CheckpointError::UnknownTensors {
        path: file.path().to_path_buf(),
        names,
    })
}

/// Configuration in the metadata of a file that this software wrote.
fn own_config(file: &ForeignFile) -> Result<Option<DragonConfig>, CheckpointError> {
    let Some(text) = file.metadata.get(keys::CONFIG) else {
        return Ok(None);
    };
    described(file.path(), keys::CONFIG, text).map(Some)
}

/// Checks the frequencies. Another theta or another layout means another model.
fn check_frequencies(file: &ForeignFile, theirs: &str, config: &DragonConfig) -> Result<(), CheckpointError> {
    let (path, name) = (file.path().to_path_buf(), theirs.to_string());
    let (tensor, expected) = (&file.tensors[theirs], vec![1, 1, 1, config.neurons_per_head()]);
    // Old files lack the dimensions of size 1.
    let longer = |shape: &[usize]| {
        shape
            .iter()
            .copied()
            .filter(|size| *size != 1)
            .collect::<Vec<_>>()
    };
    if longer(&tensor.shape) != longer(&expected) {
        return Err(CheckpointError::Shape {
            path,
            name,
            given: tensor.shape.clone(),
            expected,
        });
    }
    // Tolerance for a rounding in the file.
    let (relative, absolute) = match tensor.element {
        Element::Bf16 => (1.0 / 128.0, 0.0),
        Element::F16 => (1.0 / 1024.0, 6e-8),
        _ => (1e-5, 0.0),
    };
    let values = file.read(theirs)?;
    for (neuron, (given, expected)) in values.iter::<f64>().zip(frequencies(config)).enumerate() {
        let expected = f64::from(expected);
        let near = (given - expected).abs() <= relative * expected + absolute;
        if near {
            continue;
        }
        return Err(CheckpointError::Frequencies {
            path,
            name,
            neuron,
            given,
            expected,
            theta: config.rope_theta,
        });
    }
    Ok(())
}

/// Checks that the five matrices exist, with the shapes of the configuration and numbers that f32 holds. This is
/// checked here and not in the model, so that a message can use the tensor names of the file: their `encoder` is not
/// ours.
fn check_shapes(
    file: &ForeignFile,
    named: &BTreeMap<&str, &str>,
    config: &DragonConfig,
) -> Result<(), CheckpointError> {
    let shapes: BTreeMap<String, Vec<usize>> = config
        .tensors()
        .into_iter()
        .map(|tensor| (tensor.name, tensor.shape))
        .collect();
    for (official, ours) in NAMES {
        let (path, expected) = (file.path().to_path_buf(), shapes[ours].clone());
        let Some(theirs) = named.get(official) else {
            let name = official.to_string();
            return Err(CheckpointError::MissingTensor { path, name, expected });
        };
        let tensor = &file.tensors[*theirs];
        if tensor.shape != expected {
            return Err(CheckpointError::Shape {
                path,
                name: (*theirs).to_string(),
                given: tensor.shape.clone(),
                expected,
            });
        }
        if matches!(tensor.element, Element::F64 | Element::Other { .. }) {
            let reason = format!(
                "tensor `{theirs}` is {}; expected f32, f16 or bf16",
                tensor.element.name()
            );
            return Err(CheckpointError::corrupt(&path, reason));
        }
    }
    Ok(())
}

/// Checks weights without a configuration: each official name exists and no other, the shapes fit together, and all
/// values are finite.
fn check_unconfigured(file: &ForeignFile) -> Result<(), CheckpointError> {
    let corrupt = |reason: String| CheckpointError::corrupt(file.path(), reason);
    let (named, _) = named(file)?;
    check_names(file, &named)?;
    let absent = NAMES.iter().find(|(official, _)| !named.contains_key(official));
    if let Some((official, _)) = absent {
        return Err(corrupt(format!(
            "it is not a model: there is no tensor `{official}`"
        )));
    }
    // Levels, theta and epsilon are not in any shape; all other sizes are.
    let shape = |official: &str| file.tensors[named[official]].shape.as_slice();
    let (&[vocab_size, d_model], &[n_heads @ 1..=usize::MAX, _, neurons]) =
        (shape("embed.weight"), shape("encoder"))
    else {
        let (embed, encoder) = (shape("embed.weight"), shape("encoder"));
        return Err(corrupt(format!(
            "`embed.weight` is {embed:?} and `encoder` {encoder:?}, expected [V, D] and [H, D, N]"
        )));
    };
    let config = DragonConfig {
        vocab_size,
        d_model,
        n_heads,
        n_neurons: n_heads.saturating_mul(neurons),
        ..DragonConfig::tiny()
    };
    check_shapes(file, &named, &config).map_err(|error| match error {
        CheckpointError::Shape {
            name,
            given,
            expected,
            ..
        } => corrupt(format!(
            "`{name}` is {given:?}, `embed.weight` and `encoder` ask for {expected:?}"
        )),
        error => error,
    })?;
    NAMES
        .into_iter()
        .try_for_each(|(official, _)| finite(file, named[official]).map(drop))
}

/// The five matrices under our names, all finite.
fn weights(
    file: &ForeignFile,
    named: &BTreeMap<&str, &str>,
) -> Result<BTreeMap<String, TensorData>, CheckpointError> {
    let read = |(official, ours): (&str, &str)| {
        let data = finite(file, named[official])?;
        Ok((ours.to_string(), data))
    };
    NAMES.into_iter().map(read).collect()
}

/// Values of a tensor, all finite.
fn finite(file: &ForeignFile, theirs: &str) -> Result<TensorData, CheckpointError> {
    let data = file.read(theirs)?;
    if data.iter::<f32>().all(f32::is_finite) {
        return Ok(data);
    }
    let reason = format!("tensor `{theirs}` holds values that are not finite");
    Err(CheckpointError::corrupt(file.path(), reason))
}
