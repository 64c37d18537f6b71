//! The level against its definition, against sums in f64, and by finite differences.

use super::*;
use crate::testing::{close, numbers, values};
use burn::tensor::Device;

/// Sizes of a level, and its partitions.
#[derive(Clone, Debug)]
pub(super) struct Case {
    lanes: usize,
    heads: usize,
    width: usize,
    pub(super) neurons: usize,
    partitions: Arc<[Partition]>,
}

/// Inputs of a case.
struct Input {
    v: Tensor<4>,
    decoder_x: Tensor<3>,
    decoder_y: Tensor<3>,
    encoder: Tensor<2>,
}

const EPS: f64 = 1e-3;

impl Case {
    /// A case whose partitions are `i -> i * step mod tokens`, in parts of the given sizes.
    fn new([lanes, each, width, neurons]: [usize; 4], tokens: usize, parts: &[(usize, usize)]) -> Self {
        let partition = |&(step, size): &(usize, usize)| {
            let order = (0..tokens).map(|i| (i * step % tokens) as u32);
            Partition::new(order.collect(), size)
        };
        Self {
            lanes,
            heads: each * parts.len(),
            width,
            neurons,
            partitions: parts.iter().map(partition).collect(),
        }
    }

    fn tokens(&self) -> usize {
        self.partitions[0].token_count()
    }

    fn input(&self, device: &Device) -> Input {
        let (heads, d, n) = (self.heads, self.width, self.neurons);
        Input {
            v: numbers([self.lanes, 1, self.tokens(), d], 1, 2.0, device),
            decoder_x: numbers([heads, d, n], 2, 1.0, device),
            decoder_y: numbers([heads, d, n], 3, 1.0, device),
            encoder: numbers([heads * n, d], 4, 1.0, device),
        }
    }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new([2, 1, 16, 16], 36, &[(1, 9), (5, 9), (7, 4)]),
        Case::new([3, 2, 5, 3], 12, &[(1, 4), (5, 2)]),
        Case::new([1, 1, 17, 33], 10, &[(3, 10)]),
        Case::new([2, 3, 32, 20], 6, &[(1, 1)]),
        Case::new([4, 1, 1, 1], 4, &[(1, 2), (3, 2)]),
        Case::new([1, 1, 8, 48], 1, &[(1, 1)]),
    ]
}

/// Form of a level.
pub(super) type Form = fn(Tensor<4>, &LevelWeights, &Arc<[Partition]>, f64) -> Tensor<4>;

/// What is computed, and the gradients of a weighted sum of it.
fn outcome(case: &Case, form: Form) -> Vec<(&'static str, Vec<f32>)> {
    outcome_on(case, form, &Device::flex().autodiff())
}

/// The same on a device with autodiff.
pub(super) fn outcome_on(case: &Case, form: Form, device: &Device) -> Vec<(&'static str, Vec<f32>)> {
    let input = case.input(device);
    let v = input.v.require_grad();
    let weights = LevelWeights::new(
        input.decoder_x.require_grad(),
        input.decoder_y.require_grad(),
        input.encoder.require_grad(),
    );
    let u = form(v.clone(), &weights, &case.partitions, EPS);
    // Without a sum, for which a GPU would try out many kernels.
    let found = (u.clone() * numbers(u.dims(), 5, 2.0, device)).backward();
    vec![
        ("u", values(u)),
        ("dv", values(v.grad(&found).unwrap())),
        ("d decoder_x", values(weights.decoder_x().grad(&found).unwrap())),
        ("d decoder_y", values(weights.decoder_y().grad(&found).unwrap())),
        ("d encoder", values(weights.encoder().grad(&found).unwrap())),
    ]
}

pub(super) fn by_definition(
    v: Tensor<4>,
    weights: &LevelWeights,
    partitions: &Arc<[Partition]>,
    eps: f64,
) -> Tensor<4> {
    reference::partition_level(v, weights, partitions, eps)
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    for case in cases() {
        let (fast, slow) = (outcome(&case, partition_level), outcome(&case, by_definition));
        for ((what, fast), (_, slow)) in fast.iter().zip(&slow) {
            close(&format!("{what} of {case:?}"), fast, slow);
        }
    }
}

#[test]
fn without_autodiff_the_bits_are_the_same() {
    for case in cases() {
        let input = case.input(&Device::flex());
        let weights = LevelWeights::new(input.decoder_x, input.decoder_y, input.encoder);
        let u = values(partition_level(input.v, &weights, &case.partitions, EPS));
        assert_eq!(u, outcome(&case, partition_level)[0].1);
    }
}

#[test]
fn what_has_no_autodiff_is_a_constant() {
    let case = &cases()[1];
    let (plain, tracked) = (
        case.input(&Device::flex()),
        case.input(&Device::flex().autodiff()),
    );
    let weights = LevelWeights::new(plain.decoder_x, plain.decoder_y, plain.encoder);
    let v = tracked.v.require_grad();
    let u = partition_level(v.clone(), &weights, &case.partitions, EPS);
    let factors = numbers(u.dims(), 5, 2.0, &Device::flex().autodiff());
    let found = (u * factors).sum().backward();
    assert_eq!(
        values(v.grad(&found).unwrap()),
        outcome(case, partition_level)[1].1
    );
}

/// A level in f64 from sums alone, over inputs `[v, decoder_x, decoder_y, encoder]`.
fn plain(case: &Case, [v, decoder_x, decoder_y, encoder]: &[Vec<f64>; 4]) -> Vec<f64> {
    let (d, n, tokens) = (case.width, case.neurons, case.tokens());
    let mut u = vec![0.0; v.len()];
    let each = case.heads / case.partitions.len();
    for lane in 0..case.lanes {
        for head in 0..case.heads {
            let at = |token: u32, i: usize| v[(lane * tokens + token as usize) * d + i];
            let weight = |matrix: &[f64], i: usize, j: usize| matrix[(head * d + i) * n + j];
            for part in case.partitions[head / each].parts() {
                let x_of = |token: u32, j: usize| {
                    let sum: f64 = (0..d).map(|i| at(token, i) * weight(decoder_x, i, j)).sum();
                    sum.max(0.0)
                };
                let x: Vec<Vec<f64>> = part
                    .iter()
                    .map(|&token| (0..n).map(|j| x_of(token, j)).collect())
                    .collect();
                for (reader, &token) in part.iter().enumerate() {
                    let score = |s: usize| -> f64 { (0..n).map(|j| x[reader][j] * x[s][j]).sum() };
                    let scores: Vec<f64> = (0..part.len()).map(score).collect();
                    let read =
                        |i: usize| -> f64 { (0..part.len()).map(|s| scores[s] * at(part[s], i)).sum() };
                    let read: Vec<f64> = (0..d).map(read).collect();
                    let mean = read.iter().sum::<f64>() / d as f64;
                    let variance = read.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / d as f64;
                    let a: Vec<f64> = read
                        .iter()
                        .map(|r| (r - mean) / (variance + EPS).sqrt())
                        .collect();
                    for j in 0..n {
                        let gate: f64 = (0..d).map(|i| a[i] * weight(decoder_y, i, j)).sum();
                        let y = gate.max(0.0) * x[reader][j];
                        for i in 0..d {
                            let row = (lane * tokens + token as usize) * d;
                            u[row + i] += y * encoder[(head * n + j) * d + i];
                        }
                    }
                }
            }
        }
    }
    u
}

/// Inputs of a case in f64.
fn inputs(case: &Case) -> [Vec<f64>; 4] {
    let Input {
        v,
        decoder_x,
        decoder_y,
        encoder,
    } = case.input(&Device::flex());
    let wide = |entries: Vec<f32>| entries.into_iter().map(f64::from).collect();
    [
        wide(values(v)),
        wide(values(decoder_x)),
        wide(values(decoder_y)),
        wide(values(encoder)),
    ]
}

#[test]
fn values_are_the_sums_of_the_equations() {
    for case in cases() {
        let expected: Vec<f32> = plain(&case, &inputs(&case)).iter().map(|u| *u as f32).collect();
        close(
            &format!("{case:?}"),
            &outcome(&case, partition_level)[0].1,
            &expected,
        );
    }
}

#[test]
fn gradients_are_finite_differences() {
    for case in &cases()[..2] {
        let input = inputs(case);
        let outputs = input[0].len();
        let factors: Vec<f32> = values(numbers::<1>([outputs], 5, 2.0, &Device::flex()));
        let loss = |input: &[Vec<f64>; 4]| -> f64 {
            let u = plain(case, input);
            u.iter().zip(&factors).map(|(u, f)| u * f64::from(*f)).sum()
        };
        let found = outcome(case, partition_level);
        for (which, (what, gradient)) in found[1..].iter().enumerate() {
            let stride = gradient.len() / 23 + 1;
            for entry in (0..gradient.len()).step_by(stride) {
                let moved = |by: f64| {
                    let mut input = input.clone();
                    input[which][entry] += by;
                    loss(&input)
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                let given = f64::from(gradient[entry]);
                assert!(
                    (given - slope).abs() <= 2e-4 * (1.0 + slope.abs()),
                    "{what}[{entry}]: {given}, by differences {slope}"
                );
            }
        }
    }
}

/// With one partition, a token that changes is seen in its own part, and nowhere else.
#[test]
fn parts_do_not_see_each_other() {
    let case = Case::new([1, 2, 6, 8], 12, &[(5, 3)]);
    let input = case.input(&Device::flex());
    let weights = LevelWeights::new(input.decoder_x, input.decoder_y, input.encoder);
    let of = |v: Tensor<4>| values(partition_level(v, &weights, &case.partitions, EPS));
    let before = of(input.v.clone());
    let changed = input.v.clone().slice_assign(
        [0..1, 0..1, 4..5, 0..6],
        numbers([1, 1, 1, 6], 9, 2.0, &Device::flex()),
    );
    let after = of(changed);
    let own = case.partitions[0].parts().find(|part| part.contains(&4)).unwrap();
    for token in 0..12u32 {
        let row = token as usize * 6..(token as usize + 1) * 6;
        assert_eq!(before[row.clone()] != after[row], own.contains(&token), "{token}");
    }
}

#[cfg(feature = "rayon")]
#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let case = Case::new([5, 1, 16, 16], 36, &[(1, 9), (5, 9), (7, 4)]);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| outcome(&case, partition_level))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn what_is_no_number_is_not_hidden() {
    let case = Case::new([1, 1, 4, 4], 4, &[(1, 2)]);
    let input = case.input(&Device::flex());
    let weights = LevelWeights::new(input.decoder_x, input.decoder_y, input.encoder);
    let broken = input.v.slice_assign(
        [0..1, 0..1, 0..1, 0..1],
        Tensor::full([1, 1, 1, 1], f32::NAN, &Device::flex()),
    );
    let u = values(partition_level(broken, &weights, &case.partitions, EPS));
    assert!(
        u[..8].iter().all(|u| u.is_nan()) && u[8..].iter().all(|u| u.is_finite()),
        "{u:?}"
    );
}

#[test]
#[should_panic(expected = "token 1 is outside 0..4 or in two parts")]
fn a_token_is_in_one_part() {
    Partition::new(vec![0, 1, 1, 2], 2);
}

#[test]
#[should_panic(expected = "a partition of 4 tokens, expected 5")]
fn a_partition_is_of_all_tokens() {
    let device = Device::flex();
    let weights = LevelWeights::new(
        Tensor::zeros([1, 2, 2], &device),
        Tensor::zeros([1, 2, 2], &device),
        Tensor::zeros([2, 2], &device),
    );
    let partitions = [Partition::new(vec![0, 1, 2, 3], 2)].into();
    partition_level(Tensor::zeros([1, 1, 5, 2], &device), &weights, &partitions, EPS);
}
