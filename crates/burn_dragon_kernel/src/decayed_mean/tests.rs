//! The form of the processor against the definition, and values by hand.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::{DType, Device, TensorData};

#[derive(Clone, Copy, Debug)]
struct Case {
    lanes: usize,
    heads: usize,
    tokens: usize,
    neurons: usize,
    width: usize,
    /// Added to queries: 0 for half of them active, 0.5 for all, -0.4 for a tenth.
    shift: f64,
}

const CASES: [Case; 5] = [
    Case {
        lanes: 2,
        heads: 2,
        tokens: 9,
        neurons: 5,
        width: 3,
        shift: 0.0,
    },
    Case {
        lanes: 1,
        heads: 1,
        tokens: 1,
        neurons: 33,
        width: 16,
        shift: 0.5,
    },
    Case {
        lanes: 2,
        heads: 1,
        tokens: 70,
        neurons: 64,
        width: 64,
        shift: 0.5,
    },
    Case {
        lanes: 3,
        heads: 2,
        tokens: 40,
        neurons: 40,
        width: 20,
        shift: -0.4,
    },
    Case {
        lanes: 1,
        heads: 2,
        tokens: 33,
        neurons: 70,
        width: 128,
        shift: 0.0,
    },
];

impl Case {
    fn operands(&self, device: &Device) -> DecayedMean {
        let Self {
            lanes,
            heads,
            tokens,
            neurons,
            width,
            shift,
        } = *self;
        let rho = numbers([lanes, heads, neurons, width], 3, 1.0, device);
        let z = numbers([lanes, heads, neurons, 1], 4, 1.0, device) + 0.6;
        DecayedMean {
            q: numbers([lanes, heads, tokens, neurons], 1, 1.0, device) + shift,
            v: numbers([lanes, 1, tokens, width], 2, 1.0, device),
            log_decay: numbers([heads, neurons], 5, 0.6, device) - 0.3,
            memory: Tensor::cat(vec![rho, z], 3),
            resets: Resets::default(),
            credit: Credit::Full,
        }
    }

    /// Reads, memory, and gradients of q, v, the decay and the memory.
    fn all(
        &self,
        form: impl Fn(DecayedMean) -> (Tensor<4>, Tensor<4>),
        resets: &Resets,
        credit: Credit,
    ) -> [Vec<f32>; 6] {
        let device = Device::flex().autodiff();
        let given = self.operands(&device);
        let [q, v, memory] = [given.q, given.v, given.memory].map(Tensor::require_grad);
        let log_decay = given.log_decay.require_grad();
        let (read, after) = form(DecayedMean {
            q: q.clone(),
            v: v.clone(),
            log_decay: log_decay.clone(),
            memory: memory.clone(),
            resets: resets.clone(),
            credit,
        });
        let loss = (read.clone() * numbers(read.dims(), 6, 1.0, &device)).sum()
            + (after.clone() * numbers(after.dims(), 7, 1.0, &device)).sum();
        let found = loss.backward();
        let [dq, dv, dmemory] = [q, v, memory].map(|leaf| values(leaf.grad(&found).unwrap()));
        let decay = values(log_decay.grad(&found).unwrap());
        [
            values(read.inner()),
            values(after.inner()),
            dq,
            dv,
            decay,
            dmemory,
        ]
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    for case in CASES {
        let some = (0..case.lanes).map(|lane| {
            if lane == 0 {
                vec![0, case.tokens / 2]
            } else {
                vec![case.tokens / 3]
            }
        });
        let some = some.map(|list| list.into_iter().filter(|&at| at < case.tokens).collect());
        let mut some: Vec<Vec<usize>> = some.collect();
        some.iter_mut().for_each(Vec::dedup);
        for resets in [Resets::default(), Resets::new(some)] {
            for credit in [Credit::Full, Credit::Queries] {
                let fast = case.all(decayed_mean, &resets, credit);
                let defined = case.all(reference::decayed_mean, &resets, credit);
                let names = ["read", "memory", "dq", "dv", "decay", "dmemory"];
                for (name, (fast, defined)) in names.into_iter().zip(fast.iter().zip(&defined)) {
                    if defined.iter().all(|x| *x == 0.0) {
                        assert!(
                            fast.iter().all(|x| x.abs() < 1e-6),
                            "{name} {case:?}: rounding at most"
                        );
                    } else {
                        close(&format!("{name} {case:?} {credit:?}"), fast, defined);
                    }
                }
            }
        }
    }
}

#[test]
fn a_window_is_its_halves_and_gradients_pass_the_memory_between_them() {
    let case = CASES[2];
    let halves = |given: DecayedMean| {
        let (first, second) = (30, case.tokens - 30);
        let part = |memory, from, size| {
            decayed_mean(DecayedMean {
                q: given.q.clone().narrow(2, from, size),
                v: given.v.clone().narrow(2, from, size),
                memory,
                ..given.clone()
            })
        };
        let (a, memory) = part(given.memory.clone(), 0, first);
        let (b, memory) = part(memory, first, second);
        (Tensor::cat(vec![a, b], 2), memory)
    };
    let whole = case.all(decayed_mean, &Resets::default(), Credit::Full);
    let cut = case.all(halves, &Resets::default(), Credit::Full);
    for (whole, cut) in whole.iter().zip(&cut) {
        close("halves", cut, whole);
    }
}

#[test]
fn values_by_hand() {
    // One neuron keeps half of what it saw: means of 2 and 6 with weights 1/2 * 1 and 2; the other sees one value.
    let tensor = |numbers: Vec<f64>, shape: [usize; 4]| {
        Tensor::<4>::from_data(TensorData::new(numbers, shape), (&Device::flex(), DType::F64))
    };
    let (read, memory) = decayed_mean(DecayedMean {
        q: tensor(vec![1.0, 0.0, 2.0, 1.0, 3.0, 1.0], [1, 1, 3, 2]),
        v: tensor(vec![2.0, 6.0, 0.0], [1, 1, 3, 1]),
        log_decay: Tensor::from_data(
            TensorData::new(vec![0.5f64.ln(), 0.0], [1, 2]),
            (&Device::flex(), DType::F64),
        ),
        memory: tensor(vec![0.0; 4], [1, 1, 2, 2]),
        resets: Resets::default(),
        credit: Credit::Full,
    });
    let near = |found: Tensor<4>, expected: &[f64]| {
        let found: Vec<f64> = found.into_data().try_to_vec().unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 2e-5, "{found} {expected}");
        }
    };
    let second = 2.0 / 3.0 * 2.0;
    let third = 0.75 * (13.0 / 2.5) + 0.25 * 6.0;
    near(read, &[0.0, second, third]);
    near(memory, &[6.5, 4.25, 6.0, 2.0]);
}

/// Time of a window, forward and with backward: `cargo test --release -- --ignored what_decayed_means_take`.
#[test]
#[ignore = "a measurement"]
fn what_decayed_means_take() {
    for shift in [0.5, 0.0, -0.4] {
        let case = Case {
            lanes: 8,
            heads: 4,
            tokens: 256,
            neurons: 1024,
            width: 128,
            shift,
        };
        let mut least = [f64::INFINITY; 2];
        for _ in 0..7 {
            let given = case.operands(&Device::flex().autodiff());
            let q = given.q.clone().require_grad();
            let started = std::time::Instant::now();
            let (read, _) = decayed_mean(DecayedMean {
                q: q.clone(),
                ..given
            });
            let forward = started.elapsed().as_secs_f64() * 1e3;
            let found = read.sum().backward();
            let both = started.elapsed().as_secs_f64() * 1e3;
            values(q.grad(&found).unwrap());
            least = [least[0].min(forward), least[1].min(both)];
        }
        println!(
            "queries of mean {shift}: {:.1} ms, with gradients {:.1} ms",
            least[0], least[1]
        );
    }
}
