//! The model that most tests look at: so small that all of it can be compared, its norms far from their epsilon.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, load, norm, snapshot};
use burn_dragon_core::api::{Dragon, DragonConfig, Trunk, TrunkConfig};

/// Tokens of a stream.
pub(crate) const TOKENS: usize = 20;

pub(crate) fn config() -> DragonConfig {
    DragonConfig {
        vocab_size: 32,
        d_model: 16,
        n_heads: 2,
        n_neurons: 64,
        n_levels: 3,
        dropout: 0.0,
        init_std: 0.3,
        ..DragonConfig::tiny()
    }
}

/// A model whose weights have this precision.
pub(crate) fn dragon(config: &DragonConfig, dtype: DType, device: &Device) -> Dragon {
    let dragon = Dragon::new(config, 9, device).unwrap();
    let mut values = snapshot(&dragon);
    load(dragon, |name, _| {
        values.remove(name).map(|data| data.convert_dtype(dtype))
    })
}

pub(crate) fn values(data: TensorData) -> Vec<f64> {
    data.convert::<f64>().try_into_vec().unwrap()
}

/// A stream as one that enters a trunk.
pub(crate) fn stream(config: &TrunkConfig, lanes: usize, seed: u64) -> Tensor<4> {
    let mut rng = Rng::new(seed);
    let shape = [lanes, 1, TOKENS, config.d_model];
    let numbers: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    let v = Tensor::from_data(TensorData::new(numbers, shape), (&Device::flex(), DType::F64));
    norm(v, config.norm_eps)
}

/// A trunk in f64.
pub(crate) fn trunk(config: &TrunkConfig) -> Trunk {
    let trunk = Trunk::new(config, 9, &Device::flex()).unwrap();
    let mut values = snapshot(&trunk);
    load(trunk, |name, _| {
        values.remove(name).map(|data| data.convert_dtype(DType::F64))
    })
}

pub(crate) fn of(tensor: Tensor<4>) -> Vec<f64> {
    values(tensor.into_data())
}

pub(crate) fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[track_caller]
pub(crate) fn same(a: &[f64], b: &[f64], tolerance: f64) {
    let apart = apart(a, b);
    assert!(apart <= tolerance, "differ by {apart:e}, tolerance {tolerance:e}");
}
