//! The model that most tests look at: so small that all of it can be compared, its norms far from their epsilon.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::{DType, Device, TensorData};
use burn_dragon_core::api::expert::{load, snapshot};
use burn_dragon_core::api::{Dragon, DragonConfig};

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
