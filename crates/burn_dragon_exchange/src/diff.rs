//! What differs between two models.

use burn_dragon_checkpoint::api::{ModelFile};
use burn::tensor::TensorData;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What differs between two models, A and B.
#[derive(Clone, Debug, Serialize)]
pub struct ModelDiff {
    /// Whether configuration, tokenizer and every bit of every tensor are the same. Where they come from is told, and
    /// does not count.
    pub equal: bool,
    /// Keys of the configuration that differ.
    pub config: Vec<KeyDiff>,
    /// Keys of where they come from (steps, tokens, ...) that differ.
    pub info: Vec<KeyDiff>,
    /// Whether the tokenizers are the same, letter by letter; two that are absent are.
    pub same_tokenizer: bool,
    /// Every tensor of either.
    pub tensors: Vec<TensorDiff>,
}

/// A key with two values, each JSON; `null` where it is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyDiff {
    /// The key.
    pub key: String,
    /// In A.
    pub a: Value,
    /// In B.
    pub b: Value,
}

/// What differs between two tensors of one name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorDiff {
    /// Its name.
    pub name: String,
    /// How they differ.
    #[serde(flatten)]
    pub change: Change,
}

/// How two tensors differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Not at all: every bit is the same.
    Equal,
    /// Only A has it.
    OnlyInA,
    /// Only B has it.
    OnlyInB,
    /// Their shapes differ.
    Shape {
        /// In A.
        a: Vec<usize>,
        /// In B.
        b: Vec<usize>,
    },
    /// Their values differ.
    Values {
        /// Entries whose bits differ.
        differing: usize,
        /// Entries.
        entries: usize,
        /// The largest difference of two entries.
        max_abs: f64,
        /// The norm of the difference over the larger of the two norms.
        relative: f64,
    },
}

/// Compares two models.
pub fn diff(a: &ModelFile, b: &ModelFile) -> ModelDiff {
    let names: BTreeSet<&String> = a.tensors.keys().chain(b.tensors.keys()).collect();
    let tensors: Vec<TensorDiff> = names
        .into_iter()
        .map(|name| TensorDiff {
            name: name.clone(),
            change: change(a.tensors.get(name), b.tensors.get(name)),
        })
        .collect();
    let (config, info) = (keys(&a.config, &b.config), keys(&a.info, &b.info));
    let same_tokenizer = a.tokenizer == b.tokenizer;
    let same_tensors = tensors.iter().all(|tensor| tensor.change == Change::Equal);
    ModelDiff {
        equal: config.is_empty() && same_tokenizer && same_tensors,
        config,
        info,
        same_tokenizer,
        tensors,
    }
}

fn keys(a: &impl Serialize, b: &impl Serialize) -> Vec<KeyDiff> {
    let [a, b] = [serde_json::to_value(a), serde_json::to_value(b)].map(Result::unwrap_or_default);
    let names: BTreeSet<&String> = [&a, &b]
        .into_iter()
        .filter_map(Value::as_object)
        .flat_map(|object| object.keys())
        .collect();
    let pairs = names.into_iter().map(|key| KeyDiff {
        key: key.clone(),
        a: a.get(key).cloned().unwrap_or_default(),
        b: b.get(key).cloned().unwrap_or_default(),
    });
    pairs.filter(|pair| pair.a != pair.b).collect()
}

fn change(a: Option<&TensorData>, b: Option<&TensorData>) -> Change {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) => return Change::OnlyInA,
        _ => return Change::OnlyInB,
    };
    if a.shape() != b.shape() {
        return Change::Shape {
            a: a.shape().to_vec(),
            b: b.shape().to_vec(),
        };
    }
    if a.dtype() == b.dtype() && a.as_bytes() == b.as_bytes() {
        return Change::Equal;
    }
    let (mut differing, mut max_abs, mut apart, mut norm_a, mut norm_b) = (0, 0f64, 0f64, 0f64, 0f64);
    for (a, b) in a.iter::<f64>().zip(b.iter::<f64>()) {
        differing += usize::from(a.to_bits() != b.to_bits());
        max_abs = max_abs.max((a - b).abs());
        apart += (a - b).powi(2);
        norm_a += a * a;
        norm_b += b * b;
    }
    let size = norm_a.max(norm_b).sqrt();
    Change::Values {
        differing,
        entries: a.num_elements(),
        max_abs,
        relative: if size > 0.0 { apart.sqrt() / size } else { 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_dragon_checkpoint::api::{ModelInfo};
    use burn::tensor::Device;
    use burn_dragon_core::{Dragon, DragonConfig};

    fn model() -> ModelFile {
        let config = DragonConfig {
            n_neurons: 64,
            d_model: 16,
            ..DragonConfig::tiny()
        };
        let dragon = Dragon::new(&config, 1, &Device::flex()).unwrap();
        ModelFile::of(&dragon, ModelInfo::default(), None)
    }

    #[test]
    fn a_model_is_equal_to_itself_wherever_it_comes_from() {
        let mut other = model();
        other.info.step = 7;
        let diff = diff(&model(), &other);
        assert!(diff.equal && diff.tensors.len() == 5, "{diff:?}");
        assert_eq!(diff.info.len(), 1);
        assert_eq!(
            (diff.info[0].a.clone(), diff.info[0].b.clone()),
            (0.into(), 7.into())
        );
    }

    #[test]
    fn one_other_value_is_counted_and_measured() {
        let mut other = model();
        let encoder = other.tensors.get_mut("encoder").unwrap();
        encoder.as_mut_slice::<f32>().unwrap()[5] += 0.5;
        let diff = diff(&model(), &other);
        assert!(!diff.equal);
        let changed: Vec<_> = diff
            .tensors
            .iter()
            .filter(|tensor| tensor.change != Change::Equal)
            .collect();
        let [
            TensorDiff {
                name,
                change:
                    Change::Values {
                        differing,
                        entries,
                        max_abs,
                        relative,
                    },
            },
        ] = changed[..]
        else {
            panic!("{changed:?}");
        };
        assert_eq!((name.as_str(), *differing, *entries), ("encoder", 1, 1024));
        assert!(
            (max_abs - 0.5).abs() < 1e-6 && *relative > 0.1,
            "{max_abs} {relative}"
        );
    }

    #[test]
    fn other_keys_other_shapes_and_other_tokenizers_are_told() {
        let (mut a, mut b) = (model(), model());
        b.config.n_levels = 9;
        b.tokenizer = Some("{}".into());
        b.tensors
            .insert("embed".into(), TensorData::zeros::<f32, _>([1, 16]));
        a.tensors.insert("decay".into(), TensorData::zeros::<f32, _>([4]));
        b.tensors.remove("lm_head");
        let diff = diff(&a, &b);
        assert!(!diff.equal && !diff.same_tokenizer);
        assert_eq!(
            diff.config.iter().map(|key| key.key.as_str()).collect::<Vec<_>>(),
            ["n_levels"]
        );
        let change = |name: &str| {
            &diff
                .tensors
                .iter()
                .find(|tensor| tensor.name == name)
                .unwrap()
                .change
        };
        assert_eq!(
            (change("decay"), change("lm_head")),
            (&Change::OnlyInA, &Change::OnlyInA)
        );
        assert!(matches!(change("embed"), Change::Shape { .. }));
    }
}
