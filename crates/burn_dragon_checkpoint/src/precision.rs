//! Precision of the numbers in a file. In memory they are f32.

use burn::tensor::{DType, TensorData};
use serde::{Deserialize, Serialize};

/// Type of the numbers in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredPrecision {
    /// 32 bits: values are stored exactly.
    #[default]
    F32,
    /// 16 bits, 11 of them significant. Relative error at most 2^-11 for numbers of at least 2^-14; no number above
    /// 65504.
    F16,
    /// 16 bits, 8 of them significant. Relative error at most 2^-8, over the range of f32.
    Bf16,
}

impl StoredPrecision {
    /// All precisions.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// Name of the precision, as in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Precision with this type of numbers.
    pub fn of(dtype: DType) -> Option<Self> {
        Self::ALL.into_iter().find(|precision| precision.dtype() == dtype)
    }

    /// Type of the numbers.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Whether a tensor's numbers are of this type.
    pub(crate) fn holds(self, data: &TensorData) -> bool {
        data.dtype() == self.dtype()
    }

    /// Numbers rounded to this precision; unchanged if they already have it.
    pub(crate) fn round(self, data: TensorData) -> TensorData {
        as_type(data, self.dtype())
    }

    /// Numbers in f32, with exact values.
    pub fn widen(data: TensorData) -> TensorData {
        as_type(data, DType::F32)
    }
}

fn as_type(data: TensorData, dtype: DType) -> TensorData {
    if data.dtype() == dtype {
        data // without a copy
    } else {
        data.convert_dtype(dtype)
    }
}

impl std::fmt::Display for StoredPrecision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for StoredPrecision {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|precision| precision.name() == name);
        found.ok_or("expected f32, f16 or bf16")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_errors_are_within_what_is_promised() {
        for (precision, error) in StoredPrecision::ALL
            .into_iter()
            .zip([0.0, 2f32.powi(-11), 2f32.powi(-8)])
        {
            assert_eq!(precision.name().parse(), Ok(precision));
            let values: Vec<f32> = (0..1000).map(|number| (number as f32 - 499.3) * 0.037).collect();
            let stored = precision.round(TensorData::new(values.clone(), [1000]));
            assert_eq!(StoredPrecision::of(stored.dtype()), Some(precision));
            let again = StoredPrecision::widen(stored).try_into_vec::<f32>().unwrap();
            for (value, again) in values.iter().zip(again) {
                assert!(
                    (value - again).abs() <= error * value.abs(),
                    "{precision}: {value} {again}"
                );
            }
        }
        assert!("int8".parse::<StoredPrecision>().is_err());
    }
}
