//! What the tests of the backbones share.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, load, snapshot};
use burn_dragon_core::api::{Connector, InitConfig, NormConfig, Positions, Read, Trunk, TrunkConfig};
use burn_dragon_train::api::expert::GradientSet;
use std::collections::BTreeMap;

/// A small trunk: full reads, no positions.
pub(super) fn trunk_config() -> TrunkConfig {
    TrunkConfig {
        d_model: 8,
        n_heads: 2,
        n_neurons: 12,
        n_levels: 3,
        dropout: 0.0,
        rope_theta: 65536.0,
        norm_eps: 1e-5,
        init_std: 0.5,
        decay: None,
        positions: Positions::None,
        fanout: None,
        summary_memory: None,
        neuron_recurrence: None,
        connector: Connector::Plain {},
        norm: NormConfig::default(),
        init: InitConfig::default(),
        quant: None,
        rho: None,
        read: Read::Full,
    }
}

pub(super) fn trunk(device: &Device) -> Trunk {
    Trunk::new(&trunk_config(), 3, device).unwrap()
}

/// Patches of pictures, `[B, 1, P, D]`.
pub(super) fn patches(lanes: usize, places: usize, width: usize, seed: u64, device: &Device) -> Tensor<4> {
    let mut rng = Rng::new(seed);
    let numbers: Vec<f32> = (0..lanes * places * width).map(|_| rng.normal() as f32).collect();
    Tensor::from_data(TensorData::new(numbers, [lanes, 1, places, width]), device)
}

pub(crate) fn numbers<const R: usize>(tensor: &Tensor<R>) -> Vec<f32> {
    let data = tensor.clone().into_data().convert::<f32>();
    data.iter::<f32>().collect()
}

#[track_caller]
pub(super) fn close(what: &str, given: &[f32], expected: &[f32], within: f32) {
    assert_eq!(given.len(), expected.len(), "{what}");
    let size = expected.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
    let worst = given
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(
        worst <= within * size,
        "{what}: differs by {worst}, numbers up to {size}"
    );
}

/// Whether two lists of numbers differ by more than rounding.
pub(super) fn differ(one: &[f32], other: &[f32]) -> bool {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).any(|(a, b)| (a - b).abs() > 1e-3)
}

/// Checks the gradients of every parameter of a module against central differences: of the entries of each parameter, some
/// that are spread over it. `found` gives the gradients of a loss by name, and `loss` the loss of changed parameters.
pub(crate) fn check_gradients<M: Module>(
    module: &M,
    found: &BTreeMap<String, Vec<f32>>,
    loss: impl Fn(M) -> f64,
) {
    const STEP: f32 = 1e-3;
    for (name, values) in snapshot(module) {
        let values: Vec<f32> = values.iter::<f32>().collect();
        let gradient = &found[&name];
        assert_eq!(gradient.len(), values.len(), "{name}");
        let most = gradient.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(most > 0.0, "{name}: all gradients are 0");
        for entry in (0..values.len()).step_by(values.len().div_ceil(7)) {
            let at = |offset: f32| {
                let changed = load(module.clone(), |other, shape| {
                    let mut values = values.clone();
                    values[entry] += offset;
                    (other == name).then(|| TensorData::new(values, shape))
                });
                loss(changed)
            };
            let difference = ((at(STEP) - at(-STEP)) / f64::from(2.0 * STEP)) as f32;
            let off = (difference - gradient[entry]).abs();
            assert!(
                off < 0.02 * most.max(1.0),
                "{name}[{entry}]: gradient {}, difference {difference}",
                gradient[entry]
            );
        }
    }
}

/// The gradient of a parameter as numbers.
pub(super) fn gradient<const R: usize>(
    parameter: &Param<Tensor<R>>,
    found: &burn::tensor::Gradients,
) -> Vec<f32> {
    numbers(&parameter.val().grad(found).unwrap())
}

/// Gradients of all parameters of a module as numbers, by name.
pub(crate) fn gradients<M: Module>(module: &M, found: burn::tensor::Gradients) -> BTreeMap<String, Vec<f32>> {
    let mut set = GradientSet::default();
    set.add(found, module);
    let of = |(name, _): (String, TensorData)| {
        let gradient = set.get(&name);
        let numbers = gradient.map_or_else(Vec::new, |gradient| numbers(&gradient));
        (name, numbers)
    };
    snapshot(module).into_iter().map(of).collect()
}

/// Checks the gradients of every parameter of a module against central differences, along two directions of each: that of the
/// gradient found, and a random one. Many entries move at once, so that kinks average out, and of three steps the best one counts:
/// norms of small vectors are steep. A path too many or too few changes a gradient more than a seventh of its length. Of
/// gradients that are too small to be measured there may be five: those of the hubs and cells of a small pyramid, whose own tests
/// check them.
pub(crate) fn check_directions<M: Module>(
    module: &M,
    found: &BTreeMap<String, Vec<f32>>,
    loss: impl Fn(M) -> f64,
) {
    const STEPS: [f64; 3] = [2e-3, 5e-4, 1e-4];
    let length = |x: &[f32]| x.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
    let (mut rng, mut small) = (Rng::new(1), Vec::new());
    for (name, values) in snapshot(module) {
        let gradient = &found[&name];
        let (values, size) = (values.iter::<f32>().collect::<Vec<f32>>(), length(gradient));
        assert_eq!(gradient.len(), values.len(), "{name}");
        assert!(size > 0.0, "{name}: all gradients are 0");
        if size < 0.05 {
            small.push(name);
            continue;
        }
        let random: Vec<f32> = values.iter().map(|_| rng.normal() as f32).collect();
        for direction in [gradient, &random] {
            let unit: Vec<f32> = direction.iter().map(|x| x / length(direction) as f32).collect();
            let at = |offset: f64| {
                let changed = load(module.clone(), |other, shape| {
                    let pairs = values.iter().zip(&unit);
                    let moved = pairs.map(|(value, unit)| value + offset as f32 * unit);
                    (other == name).then(|| TensorData::new(moved.collect::<Vec<f32>>(), shape))
                });
                loss(changed)
            };
            let expected: f64 = unit.iter().zip(gradient).map(|(a, b)| f64::from(a * b)).sum();
            let differences = STEPS.map(|step| (at(step) - at(-step)) / (2.0 * step));
            assert!(
                differences
                    .iter()
                    .any(|difference| (difference - expected).abs() < 0.15 * size),
                "{name}: along a direction {expected} by the gradient, whose length is {size}, and {differences:?} by differences"
            );
        }
    }
    assert!(small.len() <= 5, "gradients too small to be checked: {small:?}");
}
