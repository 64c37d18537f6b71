//! The model that most tests look at: so small that all of it can be compared, its norms far from their epsilon.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{ParameterPath, Rng, load, norm, snapshot};
use burn_dragon_core::api::{Decoder, Dragon, DragonConfig, DragonState, Pass, Resets, Trunk, TrunkConfig};
use std::collections::BTreeMap;

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

/// A pass over a part of a stream whose first lane is emptied at `resets`.
pub(crate) fn pass(resets: &[usize], first: usize, size: usize, lanes: usize) -> Pass<'static> {
    let within = |at: &usize| (first..first + size).contains(at).then(|| at - first);
    let mut lists = vec![vec![]; lanes];
    lists[0] = resets.iter().filter_map(within).collect();
    Pass {
        resets: Resets::new(lists),
        ..Pass::default()
    }
}

/// Output for a stream in parts of these sizes, with the memory carried between them, and the state after it.
pub(crate) fn in_parts(
    trunk: &Trunk,
    v: &Tensor<4>,
    sizes: &[usize],
    resets: &[usize],
) -> (Tensor<4>, DragonState) {
    let lanes = v.dims()[0];
    let (mut state, mut first, mut parts) = (trunk.empty_state(lanes), 0, Vec::new());
    for &size in sizes {
        let part = v.clone().narrow(2, first, size);
        let (output, next) = trunk
            .forward_with_state(part, state, pass(resets, first, size, lanes))
            .unwrap();
        (state, first) = (next, first + size);
        parts.push(output);
    }
    (Tensor::cat(parts, 2), state)
}

/// Checks that a decoder gives the logits of a window, token by token, and goes on from its state.
#[track_caller]
pub(crate) fn decodes_as_a_window(config: &DragonConfig) {
    let dragon = Dragon::new(config, 9, &Device::flex()).unwrap();
    let tokens: Vec<u32> = (0..TOKENS as u32).map(|t| t * 7 % 32).collect();
    let ids: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, TOKENS]), &Device::flex());
    let window = values(dragon.forward(ids).into_data());
    let mut decoder = Decoder::new(&dragon, 1);
    for (&token, expected) in tokens.iter().zip(window.chunks(32)) {
        let logits = decoder.step(&[token]).unwrap();
        let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        same(&logits, expected, 1e-4);
    }
    let mut other = Decoder::from_state(&dragon, decoder.state()).unwrap();
    assert_eq!(other.step(&[3]).unwrap(), decoder.step(&[3]).unwrap());
}

/// Gradients of a sum of the outputs for `tokens` tokens, each output with a weight of its own, by parameter. Some entries of
/// each are compared with the slope by finite differences.
///
/// `trunk` has the weights, f64, without autodiff.
#[track_caller]
pub(crate) fn slopes(what: &str, trunk: &Trunk, tokens: usize) -> BTreeMap<String, Vec<f64>> {
    let (config, numbers_of) = (trunk.config(), snapshot(trunk));
    let with = |changed: Option<(&str, usize, f64)>, device: &Device| {
        load(Trunk::new(config, 9, device).unwrap(), |name, shape| {
            let mut numbers = values(numbers_of[name].clone());
            if let Some((parameter, index, by)) = changed
                && parameter == name
            {
                numbers[index] += by;
            }
            Some(TensorData::new(numbers, shape.to_vec()))
        })
    };
    let v = stream(config, 1, 4).narrow(2, 0, tokens);
    let weights = stream(config, 1, 8).narrow(2, 0, tokens);
    let loss =
        |trunk: &Trunk, v: Tensor<4>, weights: Tensor<4>| (trunk.forward(v, Pass::default()) * weights).sum();
    let tracked = with(None, &Device::flex().autodiff());
    let gradients = loss(&tracked, v.clone().autodiff(), weights.clone().autodiff()).backward();
    let gradients = gradients_of(&tracked, &gradients);
    for (parameter, gradient) in &gradients {
        for index in (0..gradient.len()).step_by((gradient.len() / 8).max(1)) {
            let at = |by| {
                let trunk = with(Some((parameter, index, by)), &Device::flex());
                loss(&trunk, v.clone(), weights.clone()).into_scalar::<f64>()
            };
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            let error = (slope - gradient[index]).abs();
            assert!(
                error < 2e-6 * slope.abs().max(1.0),
                "{what} {parameter}[{index}]: {slope} {}",
                gradient[index]
            );
        }
    }
    gradients
}

/// Checks that training on a carried memory, which has no autodiff, gives the outputs of inference, gradients of all weights, and
/// a memory that has none.
#[track_caller]
pub(crate) fn carried_is_constant(config: &TrunkConfig) {
    let trunk = trunk(config);
    let v = stream(config, 1, 3);
    let (first, rest) = (v.clone().narrow(2, 0, 9), v.narrow(2, 9, 11));
    let (_, state) = trunk
        .forward_with_state(first, trunk.empty_state(1), Pass::default())
        .unwrap();
    let read = |trunk: &Trunk, v, state| trunk.forward_with_state(v, state, Pass::default()).unwrap();
    let (expected, after) = read(&trunk, rest.clone(), state.clone());
    let mut numbers = snapshot(&trunk);
    let tracked = load(
        Trunk::new(config, 9, &Device::flex().autodiff()).unwrap(),
        |name, _| numbers.remove(name),
    );
    let (output, carried) = read(&tracked, rest.autodiff(), state);
    same(&of(output.clone()), &of(expected), 1e-10);
    for (carried, after) in carried.rho().iter().zip(after.rho()) {
        assert!(!carried.is_autodiff());
        same(&of(carried.clone()), &of(after.clone()), 1e-10);
    }
    let gradients = gradients_of(&tracked, &output.square().sum().backward());
    assert_eq!(gradients.len(), config.tensors().len());
}

/// Gradients of the parameters that have one.
fn gradients_of(trunk: &Trunk, gradients: &Gradients) -> BTreeMap<String, Vec<f64>> {
    struct Visit<'a> {
        path: ParameterPath,
        gradients: &'a Gradients,
        found: BTreeMap<String, Vec<f64>>,
    }
    impl ModuleVisitor for Visit<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.enter(name);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<R>>) {
            if let Some(gradient) = param.val().grad(self.gradients) {
                self.found.insert(self.path.name(), values(gradient.into_data()));
            }
        }
    }
    let mut visit = Visit {
        path: ParameterPath::default(),
        gradients,
        found: BTreeMap::new(),
    };
    trunk.visit(&mut visit);
    visit.found
}
