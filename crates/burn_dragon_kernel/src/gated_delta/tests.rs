//! The faster forms against the definition, and values that are known.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::{DType, Device, TensorData};

#[derive(Clone, Copy, Debug)]
struct Case {
    shape: [usize; 5], // lanes, heads, tokens, width of keys, width
    decays: bool,
    other_keys: bool,
}

const SHAPES: [[usize; 5]; 4] = [
    [2, 2, 1, 5, 3],
    [2, 1, 9, 4, 16],
    [1, 2, 64, 24, 8],
    [2, 2, 150, 40, 20],
];

fn cases() -> impl Iterator<Item = Case> {
    SHAPES.into_iter().flat_map(|shape| {
        [(false, false), (true, false), (true, true)].map(|(decays, other_keys)| Case {
            shape,
            decays,
            other_keys,
        })
    })
}

impl Case {
    /// Numbers of this type, on a device.
    fn operands(&self, dtype: DType, device: &Device) -> GatedDelta {
        let [lanes, heads, tokens, keys, width] = self.shape;
        let of = |shape, seed, scale| numbers::<4>(shape, seed, scale, device).cast(dtype);
        let gate = |seed, scale| of([lanes, heads, tokens, 1], seed, scale).squeeze_dim::<3>(3);
        GatedDelta {
            // Mostly of one sign, so that keys are alike.
            q: of([lanes, heads, tokens, keys], 1, 1.0) + 0.3,
            keys: self
                .other_keys
                .then(|| of([lanes, heads, tokens, keys], 2, 1.0) + 0.3),
            v: of([lanes, 1, tokens, width], 3, 2.0),
            beta: gate(4, 0.9) + 0.5,
            log_decay: self.decays.then(|| gate(5, 0.4) - 0.2),
            memory: of([lanes, heads, keys, width], 6, 1.0),
            resets: Resets::default(),
        }
    }

    fn resets(&self) -> Resets {
        let [lanes, _, tokens, ..] = self.shape;
        let all = [vec![0, 5, 64, 70], vec![3, 100]];
        let of_lane = |lane: usize| all[lane].iter().copied().filter(|&at| at < tokens).collect();
        Resets::new((0..lanes).map(of_lane).collect())
    }

    /// Reads, memory, and gradients of all operands.
    fn all(
        &self,
        form: fn(GatedDelta) -> (Tensor<4>, Tensor<4>),
        resets: &Resets,
        dtype: DType,
    ) -> Vec<(&'static str, Tensor<1>)> {
        let device = Device::flex().autodiff();
        let given = self.operands(dtype, &device);
        let given = GatedDelta {
            q: given.q.require_grad(),
            keys: given.keys.map(Tensor::require_grad),
            v: given.v.require_grad(),
            beta: given.beta.require_grad(),
            log_decay: given.log_decay.map(Tensor::require_grad),
            memory: given.memory.require_grad(),
            resets: resets.clone(),
        };
        let (read, memory) = form(given.clone());
        let weights = |like: &Tensor<4>, seed| numbers(like.dims(), seed, 1.0, &device).cast(dtype);
        let loss = (read.clone() * weights(&read, 7)).sum() + (memory.clone() * weights(&memory, 8)).sum();
        let found = loss.backward();
        let flat = |tensor: Tensor<4>| tensor.reshape([-1]);
        let of = |leaf: &Tensor<4>| flat(leaf.grad(&found).unwrap());
        let gate = |leaf: &Tensor<3>| leaf.grad(&found).unwrap().reshape([-1]);
        let mut all = vec![("read", flat(read.inner())), ("memory", flat(memory.inner()))];
        all.extend([
            ("dq", of(&given.q)),
            ("dv", of(&given.v)),
            ("dbeta", gate(&given.beta)),
        ]);
        all.extend(given.keys.as_ref().map(|keys| ("dkeys", of(keys))));
        all.extend(given.log_decay.as_ref().map(|decay| ("decay", gate(decay))));
        all.push(("dmemory", of(&given.memory)));
        all
    }
}

#[test]
fn chunks_are_the_definition_in_f64() {
    for case in cases() {
        for resets in [Resets::default(), case.resets()] {
            let chunks = case.all(gated_delta, &resets, DType::F64);
            let defined = case.all(reference::gated_delta, &resets, DType::F64);
            for ((what, chunks), (_, defined)) in chunks.into_iter().zip(defined) {
                let off = (chunks - defined.clone()).abs().max().into_scalar::<f64>();
                let size = defined.abs().max().into_scalar::<f64>();
                assert!(
                    off <= 1e-10 * size.max(1.0),
                    "{what} {case:?}: {off:e} of {size:e}"
                );
            }
        }
    }
}

#[test]
fn in_f32_too() {
    for case in cases() {
        for resets in [Resets::default(), case.resets()] {
            let fast = case.all(gated_delta, &resets, DType::F32);
            let defined = case.all(reference::gated_delta, &resets, DType::F32);
            for ((what, fast), (_, defined)) in fast.into_iter().zip(defined) {
                let (fast, defined) = (values(fast), values(defined));
                // Both are rounded: they agree to a few of their last digits.
                let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
                let off = norm(&mut fast.iter().zip(&defined).map(|(a, b)| a - b));
                let size = norm(&mut defined.iter().copied());
                assert!(
                    off <= 1e-5 * size.max(1e-3),
                    "{what} {case:?}: {off:e} of {size:e}"
                );
            }
        }
    }
}

#[test]
fn a_decay_to_nothing_has_finite_gradients() {
    let case = Case {
        shape: [1, 1, 70, 8, 4],
        decays: true,
        other_keys: false,
    };
    let device = Device::flex().autodiff();
    let given = case.operands(DType::F32, &device);
    let log_decay = given.log_decay.map(|decay| (decay * 1000.0).require_grad());
    let (read, _) = gated_delta(GatedDelta {
        log_decay: log_decay.clone(),
        ..given
    });
    let found = read.clone().sum().backward();
    let gradient = values(log_decay.unwrap().grad(&found).unwrap());
    assert!(
        gradient
            .into_iter()
            .chain(values(read.inner()))
            .all(f32::is_finite)
    );
}

/// Reference values (methods_lm.md h.5), read after the write: `k_t rho_t`.
#[test]
fn values_of_the_delta_rule() {
    let (tokens, keys, width) = (5, 4, 2);
    let tensor = |numbers: Vec<f64>, shape: [usize; 4]| {
        Tensor::<4>::from_data(TensorData::new(numbers, shape), (&Device::flex(), DType::F64))
    };
    let entries = |columns: usize, entry: fn(usize, usize) -> f64| -> Vec<f64> {
        (0..tokens * columns)
            .map(|index| entry(index / columns, index % columns))
            .collect()
    };
    let k = tensor(
        entries(keys, |i, j| ((3 * i + 2 * j) % 5) as f64 / 4.0),
        [1, 1, tokens, keys],
    );
    let v = tensor(
        entries(width, |i, j| ((((i + 1) * (j + 2)) % 7) as f64 - 3.0) / 2.0),
        [1, 1, tokens, width],
    );
    let beta = tensor(vec![0.5, 1.0, 0.25, 0.5, 1.0], [1, 1, tokens, 1]);
    let mut memory = tensor(vec![0.0; keys * width], [1, 1, keys, width]);
    let mut inclusive = Vec::new();
    for t in 0..tokens {
        let (_, after) = gated_delta(GatedDelta {
            q: k.clone().narrow(2, t, 1),
            keys: None,
            v: v.clone().narrow(2, t, 1),
            beta: beta.clone().narrow(2, t, 1).squeeze_dim(3),
            log_decay: None,
            memory,
            resets: Resets::default(),
        });
        let read = unit(k.clone().narrow(2, t, 1)).matmul(after.clone());
        inclusive.extend(read.into_data().try_to_vec::<f64>().unwrap());
        memory = after;
    }
    let expected = [
        -0.25,
        0.0,
        0.5,
        1.5,
        0.542_012_7,
        0.489_160_9,
        -0.312_587_3,
        0.931_153_9,
        0.0,
        -1.0,
    ];
    for (found, expected) in inclusive.iter().zip(expected) {
        assert!((found - expected).abs() < 4e-6, "{found} {expected}");
    }
}

#[test]
fn windows_are_one_stream() {
    let case = Case {
        shape: [1, 2, 150, 12, 8],
        decays: true,
        other_keys: false,
    };
    let given = case.operands(DType::F32, &Device::flex());
    let (whole, end) = gated_delta(given.clone());
    let (mut memory, mut parts, mut first) = (given.memory.clone(), Vec::new(), 0);
    for size in [1, 70, 79] {
        let part = |whole: &Tensor<4>| whole.clone().narrow(2, first, size);
        let gate = |whole: &Tensor<3>| whole.clone().narrow(2, first, size);
        let (read, after) = gated_delta(GatedDelta {
            q: part(&given.q),
            keys: None,
            v: part(&given.v),
            beta: gate(&given.beta),
            log_decay: given.log_decay.as_ref().map(gate),
            memory,
            resets: Resets::default(),
        });
        (memory, first) = (after, first + size);
        parts.push(read);
    }
    close("reads", &values(Tensor::cat(parts, 2)), &values(whole));
    close("memory", &values(memory), &values(end));
}

/// Time of a window, forward and with backward: `cargo test --release -- --ignored what_gated_deltas_take`.
#[test]
#[ignore = "a measurement"]
fn what_gated_deltas_take() {
    let case = Case {
        shape: [8, 4, 256, 1024, 128],
        decays: true,
        other_keys: false,
    };
    type Form = fn(GatedDelta) -> (Tensor<4>, Tensor<4>);
    let forms = [
        ("as dispatched", gated_delta as Form),
        ("in chunks of tensors", chunked::gated_delta),
    ];
    for (what, form) in forms {
        let mut least = [f64::INFINITY; 2];
        for _ in 0..5 {
            let given = case.operands(DType::F32, &Device::flex().autodiff());
            let q = given.q.clone().require_grad();
            let started = std::time::Instant::now();
            let (read, _) = form(GatedDelta {
                q: q.clone(),
                ..given
            });
            let forward = started.elapsed().as_secs_f64() * 1e3;
            let found = read.sum().backward();
            let both = started.elapsed().as_secs_f64() * 1e3;
            values(q.grad(&found).unwrap());
            least = [least[0].min(forward), least[1].min(both)];
        }
        println!("{what}: {:.1} ms, with gradients {:.1} ms", least[0], least[1]);
    }
}
