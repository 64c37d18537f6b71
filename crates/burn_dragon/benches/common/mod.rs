//! Shared parts of the benches: the backends present, models of a given density, tokens.

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon::api::core::{Backend, BackendError, Dragon, DragonConfig};
use burn_dragon::api::expert::core::{Rng, of_density};
use criterion::Criterion;
use std::time::Duration;

/// Densities of x: of random weights, of a model trained a little, and of one trained well.
pub(crate) const DENSITIES: [f64; 3] = [0.5, 0.2, 0.05];

/// Few samples, since the work is long and its time varies little.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args()
}

/// Every backend that is compiled in and present.
pub(crate) fn devices() -> Vec<(&'static str, Device)> {
    let mut devices = Vec::new();
    for backend in [Backend::Cpu, Backend::Wgpu, Backend::Cuda] {
        match backend.select() {
            Ok(selected) => devices.push((selected.name, selected.device)),
            Err(BackendError::NotCompiled { .. }) => {}
            Err(error) => eprintln!("left out: {error}"),
        }
    }
    devices
}

/// Whether the paper's size is measured too, which takes minutes and gigabytes.
pub(crate) fn large() -> bool {
    std::env::var_os("DRAGON_BENCH_LARGE").is_some()
}

/// A model whose share of active x is `density`.
pub(crate) fn dragon(config: &DragonConfig, density: f64, device: &Device) -> Dragon {
    of_density(config, density, 1, device).unwrap()
}

/// Random tokens, `[lanes, T]`.
pub(crate) fn tokens(lanes: usize, length: usize, device: &Device) -> Tensor<2, Int> {
    let mut rng = Rng::new(1);
    let ids: Vec<i64> = (0..lanes * length).map(|_| rng.below(256) as i64).collect();
    Tensor::from_data(TensorData::new(ids, [lanes, length]), device)
}

/// Returns when the device has done everything that it was given.
pub(crate) fn wait(device: &Device) {
    device.sync().unwrap();
}
