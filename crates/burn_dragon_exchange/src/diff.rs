//! Difference of two models.

use burn::tensor::TensorData;
use burn_dragon_checkpoint::api::{ModelFile, StoredTensor};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Difference of two models, A and B.
#[derive(Clone, Debug, Serialize)]
pub struct ModelDiff {
    /// Whether family, configuration, assets and every bit of every tensor are the same. The origin may differ.
    pub equal: bool,
    /// Families of A and B, if they differ.
    pub family: Option<KeyDiff>,
    /// Keys of the configuration that differ.
    pub config: Vec<KeyDiff>,
    /// Keys of the origin (steps, units, ...) that differ.
    pub info: Vec<KeyDiff>,
    /// All assets of A and of B: tokenizer, labels.
    pub assets: Vec<AssetDiff>,
    /// All tensors of A and of B.
    pub tensors: Vec<TensorDiff>,
}

/// Comparison of two assets with the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AssetDiff {
    /// Name of the asset.
    pub name: String,
    /// Whether both models have it, with the same text.
    pub same: bool,
}

/// Key with two JSON values; `null` where a key is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyDiff {
    /// Name of the key.
    pub key: String,
    /// Value in A.
    pub a: Value,
    /// Value in B.
    pub b: Value,
}

/// Comparison of two tensors with the same name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorDiff {
    /// Name of the tensor.
    pub name: String,
    /// Result of the comparison.
    #[serde(flatten)]
    pub change: Change,
}

/// Result of the comparison of two tensors.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Every bit is the same.
    Equal,
    /// Only A has the tensor.
    OnlyInA,
    /// Only B has the tensor.
    OnlyInB,
    /// The shapes differ.
    Shape {
        /// Shape in A.
        a: Vec<usize>,
        /// Shape in B.
        b: Vec<usize>,
    },
    /// The storage differs: numbers in one and codes in the other, or codes with other bits or other scales.
    Stored {
        /// Storage in A.
        a: String,
        /// Storage in B.
        b: String,
    },
    /// The values differ.
    Values {
        /// Number of entries whose bits differ.
        differing: usize,
        /// Number of all entries.
        entries: usize,
        /// Largest absolute difference of two entries.
        max_abs: f64,
        /// Norm of the difference, divided by the larger of the two norms.
        relative: f64,
    },
}

/// Compares two models, of any families.
pub fn diff(a: &ModelFile, b: &ModelFile) -> ModelDiff {
    let names: BTreeSet<&String> = a.tensors.keys().chain(b.tensors.keys()).collect();
    let tensors: Vec<TensorDiff> = names
        .into_iter()
        .map(|name| TensorDiff {
            name: name.clone(),
            change: change(a.tensors.get(name), b.tensors.get(name)),
        })
        .collect();
    let names: BTreeSet<&String> = a.assets.keys().chain(b.assets.keys()).collect();
    let assets: Vec<AssetDiff> = names
        .into_iter()
        .map(|name| AssetDiff {
            name: name.clone(),
            same: a.assets.get(name) == b.assets.get(name),
        })
        .collect();
    let family = (a.family != b.family).then(|| KeyDiff {
        key: "family".into(),
        a: a.family.clone().into(),
        b: b.family.clone().into(),
    });
    let config = keys(a.config.value(), b.config.value());
    let same_tensors = tensors.iter().all(|tensor| tensor.change == Change::Equal);
    ModelDiff {
        equal: family.is_none() && config.is_empty() && assets.iter().all(|asset| asset.same) && same_tensors,
        family,
        config,
        info: keys(&a.info, &b.info),
        assets,
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

/// Numbers are compared by value, whatever their precisions. Codes of as many bits are compared code by
/// code, whole numbers by value.
fn change(a: Option<&StoredTensor>, b: Option<&StoredTensor>) -> Change {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) => return Change::OnlyInA,
        _ => return Change::OnlyInB,
    };
    if a.shape() != b.shape() {
        return Change::Shape {
            a: a.shape(),
            b: b.shape(),
        };
    }
    if a == b {
        return Change::Equal;
    }
    match (a, b) {
        (StoredTensor::Float(a), StoredTensor::Float(b)) => values(a, b),
        (StoredTensor::Codes(a), StoredTensor::Codes(b)) if a.is_coded_as(b) && a.scales() == b.scales() => {
            values(&a.values(), &b.values())
        }
        _ => Change::Stored {
            a: a.stored().to_string(),
            b: b.stored().to_string(),
        },
    }
}

/// Comparison of the numbers of two tensors of the same shape.
fn values(a: &TensorData, b: &TensorData) -> Change {
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
    if differing == 0 {
        return Change::Equal; // the same numbers in another precision
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
    use burn_dragon_checkpoint::api::Codes;
    use burn_dragon_checkpoint::api::{ModelInfo, StoredConfig, StoredPrecision};
    use serde_json::json;
    use std::path::Path;

    fn model() -> ModelFile {
        let tensor = |name: &str| {
            let values: Vec<f32> = (0..1024).map(|value| (value as f32).sin()).collect();
            (name.to_string(), TensorData::new(values, [64, 16]))
        };
        let tensors = ["encoder", "embed", "lm_head"].map(tensor);
        let config = json!({"n_levels": 4});
        ModelFile::new("language", &config, ModelInfo::default(), tensors.into()).unwrap()
    }

    fn change_of(diff: &ModelDiff, name: &str) -> Change {
        let tensor = diff.tensors.iter().find(|tensor| tensor.name == name);
        tensor.unwrap().change.clone()
    }

    #[test]
    fn a_model_is_equal_to_itself_wherever_it_comes_from() {
        let mut other = model();
        other.info.step = 7;
        let diff = diff(&model(), &other);
        assert!(diff.equal && diff.tensors.len() == 3, "{diff:?}");
        let expected = KeyDiff {
            key: "step".into(),
            a: 0.into(),
            b: 7.into(),
        };
        assert_eq!(diff.info, [expected]);
    }

    #[test]
    fn a_precision_that_holds_the_same_numbers_is_no_difference() {
        let half = model().rounded(StoredPrecision::F16, Path::new("a")).unwrap();
        let whole = half
            .clone()
            .rounded(StoredPrecision::F32, Path::new("a"))
            .unwrap();
        assert!(diff(&half, &whole).equal);
        assert_eq!(half.hash(), whole.hash());
        assert!(!diff(&half, &model()).equal);
    }

    #[test]
    fn one_other_value_is_counted_and_measured() {
        let mut other = model();
        let StoredTensor::Float(encoder) = other.tensors.get_mut("encoder").unwrap() else {
            panic!("it is of floats");
        };
        encoder.as_mut_slice::<f32>().unwrap()[5] += 0.5;
        let diff = diff(&model(), &other);
        assert!(!diff.equal && change_of(&diff, "embed") == Change::Equal);
        let Change::Values {
            differing,
            entries,
            max_abs,
            relative,
        } = change_of(&diff, "encoder")
        else {
            panic!("{diff:?}");
        };
        assert_eq!((differing, entries), (1, 1024));
        let norm: f64 = (0..1024)
            .map(|value| f64::from(value).sin().powi(2))
            .sum::<f64>()
            .sqrt();
        assert!((max_abs - 0.5).abs() < 1e-6, "{max_abs}");
        assert!((relative - 0.5 / norm).abs() < 1e-3, "{relative}");
    }

    #[test]
    fn codes_are_compared_code_by_code() {
        let with = |codes: &[u8], bits: u8| {
            let mut model = model();
            let codes = Codes::pack(codes, bits, &[4], "embed").unwrap();
            model.tensors.insert("codes".into(), StoredTensor::Codes(codes));
            model
        };
        let a = with(&[0, 1, 2, 3], 2);
        assert!(diff(&a, &with(&[0, 1, 2, 3], 2)).equal);
        let changed = change_of(&diff(&a, &with(&[0, 3, 2, 3], 2)), "codes");
        assert!(
            matches!(
                changed,
                Change::Values {
                    differing: 1,
                    max_abs: 2.0,
                    ..
                }
            ),
            "{changed:?}"
        );
        let other = change_of(&diff(&a, &with(&[0, 1, 2, 3], 4)), "codes");
        assert!(matches!(other, Change::Stored { .. }), "{other:?}");
    }

    #[test]
    fn other_families_keys_shapes_and_assets_are_told() {
        let (mut a, mut b) = (model(), model());
        b.family = "sudoku".into();
        b.config = StoredConfig::of(&json!({"n_levels": 9})).unwrap();
        (a, b) = (a.with_asset("x.txt", "1"), b.with_asset("tokenizer.json", "{}"));
        (a, b) = (a.with_asset("same.txt", "1"), b.with_asset("same.txt", "1"));
        let zeros = |shape: [usize; 2]| StoredTensor::Float(TensorData::zeros::<f32, _>(shape));
        b.tensors.insert("embed".into(), zeros([1, 16]));
        a.tensors.insert("decay".into(), zeros([1, 4]));
        b.tensors.remove("lm_head");
        let other = ModelFile {
            family: "sudoku".into(),
            ..model()
        };
        assert!(!super::diff(&model(), &other).equal);
        let diff = diff(&a, &b);
        assert!(!diff.equal && diff.family.is_some());
        assert_eq!(diff.config.len(), 1);
        assert_eq!(diff.config[0].key, "n_levels");
        let same: Vec<(&str, bool)> = diff
            .assets
            .iter()
            .map(|asset| (asset.name.as_str(), asset.same))
            .collect();
        assert_eq!(
            same,
            [("same.txt", true), ("tokenizer.json", false), ("x.txt", false)]
        );
        assert_eq!(change_of(&diff, "decay"), Change::OnlyInA);
        assert_eq!(change_of(&diff, "lm_head"), Change::OnlyInA);
        assert!(matches!(change_of(&diff, "embed"), Change::Shape { .. }));
    }
}
