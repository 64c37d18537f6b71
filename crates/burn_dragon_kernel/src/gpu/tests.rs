//! The operations on a GPU against their definitions on the processor: values, gradients, odd shapes, types.
//!
//! Without an adapter each test says that it skipped. `VK_ICD_FILENAMES` names lavapipe's driver where there is no GPU.

use crate::backend::DragonBackend;
use crate::testing::{numbers, values};
use crate::{adamw, cross_entropy, join, newton_schulz, norm, sum_of_squares};
use burn::tensor::{DType, Device, DeviceType, Int, Tensor, TensorData};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// The GPU, if there is one: the first of the first kind that is compiled in.
pub(crate) fn device() -> Option<Device> {
    static FOUND: OnceLock<Option<Device>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let kinds = [
            #[cfg(feature = "cuda")]
            DeviceType::Cuda,
            #[cfg(feature = "wgpu")]
            DeviceType::Wgpu,
        ];
        // Some runtimes panic where a driver is missing.
        let of_kind = |kind| catch_unwind(|| Device::enumerate(kind).into_vec()).unwrap_or_default();
        let device = kinds.into_iter().flat_map(of_kind).next()?;
        let works = || values(Tensor::<1>::from_floats([1.0], &device) + 1.0) == [2.0];
        let works = catch_unwind(AssertUnwindSafe(works)).unwrap_or(false);
        works.then_some(device)
    });
    if found.is_none() {
        println!("skipped: no adapter was found");
    }
    found.clone()
}

/// A tensor on another device, with its type.
pub(crate) fn on<const R: usize>(tensor: &Tensor<R>, device: &Device) -> Tensor<R> {
    let (data, dtype) = (tensor.clone().into_data(), tensor.dtype());
    Tensor::from_data(data, (device, dtype))
}

/// Panics unless two arrays agree to `tolerance` of the norm of the second.
#[track_caller]
pub(crate) fn near(what: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let norm =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let error = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let size = norm(&mut expected.iter().copied());
    assert!(
        error <= tolerance * size + 1e-8,
        "{what} of {} entries: off by {error:e} of {size:e}",
        expected.len()
    );
}

/// Entries as f32, of whatever type.
pub(crate) fn floats<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().unwrap()
}

const SHAPES: [[usize; 4]; 7] = [
    [1, 1, 1, 2],
    [2, 1, 3, 5],
    [1, 1, 7, 16],
    [3, 1, 1, 33],
    [2, 1, 110, 64],
    [1, 1, 9, 300],
    [1, 1, 2, 2000],
];
const EPS: f64 = 1e-5;
/// Of sums of up to some thousand f32 in another order.
const F32: f64 = 3e-6;

/// The types of the device, each with its tolerance.
fn types(device: &Device) -> Vec<(DType, f64)> {
    let all = [(DType::F32, F32), (DType::F16, 2e-3), (DType::BF16, 1.5e-2)];
    all.into_iter()
        .filter(|(dtype, _)| device.supports_dtype(*dtype))
        .collect()
}

#[test]
fn norms_and_their_gradients_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        for shape in SHAPES {
            let outcome = |device: &Device, norm: fn(Tensor<4>, f64) -> Tensor<4>, dtype: DType| {
                let device = device.clone().autodiff();
                let v = numbers(shape, 1, 3.0, &device).cast(dtype).require_grad();
                let a = norm(v.clone(), EPS);
                let loss = a.clone() * numbers(shape, 2, 1.0, &device).cast(dtype);
                [floats(a), floats(v.grad(&loss.backward()).unwrap())]
            };
            let found = outcome(&device, norm::norm, dtype);
            let expected = outcome(&Device::flex(), norm::reference::norm, DType::F32);
            near("norm", &found[0], &expected[0], tolerance);
            // Two entries norm to +1 and -1: no gradient but rounding.
            if shape[3] > 2 {
                near("gradient of the norm", &found[1], &expected[1], 3.0 * tolerance);
            }
        }
    }
}

#[test]
fn joins_and_their_gradients_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        for shape in SHAPES.into_iter().filter(|shape| shape[3] > 2) {
            type Join = fn(Tensor<4>, Tensor<4>, f64) -> Tensor<4>;
            let outcome = |device: &Device, join: Join, dtype: DType| {
                let device = device.clone().autodiff();
                let leaf = |seed| numbers(shape, seed, 3.0, &device).cast(dtype).require_grad();
                let (v, u) = (leaf(1), leaf(2));
                let stream = join(v.clone(), u.clone(), EPS);
                let loss = stream.clone() * numbers(shape, 3, 1.0, &device).cast(dtype);
                let found = loss.backward();
                [
                    floats(stream),
                    floats(v.grad(&found).unwrap()),
                    floats(u.grad(&found).unwrap()),
                ]
            };
            let found = outcome(&device, join::join, dtype);
            let expected = outcome(&Device::flex(), join::reference::join, DType::F32);
            for (found, expected) in found.iter().zip(&expected) {
                near("join", found, expected, 5.0 * tolerance);
            }
        }
    }
}

fn targets([lanes, tokens, classes]: [usize; 3], device: &Device) -> Tensor<2, Int> {
    let targets: Vec<i32> = (0..lanes * tokens).map(|i| (i * 31 % classes) as i32).collect();
    Tensor::from_data(TensorData::new(targets, [lanes, tokens]), device)
}

#[test]
fn cross_entropies_and_their_gradients_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    for (dtype, tolerance) in types(&device) {
        for shape in [
            [1, 1, 1],
            [1, 1, 2],
            [2, 3, 15],
            [3, 5, 33],
            [2, 70, 256],
            [1, 2, 5000],
        ] {
            type CrossEntropy = fn(Tensor<3>, Tensor<2, Int>) -> Tensor<2>;
            let outcome = |device: &Device, cross_entropy: CrossEntropy, dtype: DType| {
                let device = device.clone().autodiff();
                let logits = numbers(shape, 1, 20.0, &device).cast(dtype).require_grad();
                let weights = numbers([shape[0], shape[1]], 2, 1.0, &device).cast(dtype);
                let losses = cross_entropy(logits.clone() * 1.0, targets(shape, &device));
                let found = (losses.clone() * weights).backward();
                [floats(losses), floats(logits.grad(&found).unwrap())]
            };
            let found = outcome(&device, cross_entropy::cross_entropy, dtype);
            let expected = outcome(
                &Device::flex(),
                cross_entropy::reference::cross_entropy,
                DType::F32,
            );
            near("losses", &found[0], &expected[0], tolerance);
            near("gradient of the logits", &found[1], &expected[1], 4.0 * tolerance);
        }
    }
}

/// Logits far apart neither overflow nor become a NaN, and what is not a number shows.
#[test]
fn the_ends_of_the_range_of_logits_are_right() {
    let Some(device) = device() else { return };
    let target = Tensor::<2, Int>::from_data([[1]], &device);
    let loss = |logits: [f32; 3]| {
        let logits = Tensor::<1>::from_floats(logits, &device).reshape([1, 1, 3]);
        values(cross_entropy::cross_entropy(logits, target.clone()))[0]
    };
    assert!((loss([5.0; 3]) - 3f32.ln()).abs() < 1e-6);
    assert_eq!(loss([-1e30, 1e30, 0.0]), 0.0);
    assert_eq!(loss([300.0, 0.0, 0.0]), 300.0);
    assert!(loss([0.0, f32::NAN, 0.0]).is_nan());
    assert!(loss([f32::NAN, 1.0, 0.0]).is_nan());
}

/// The device does not wait to look at the targets: such a token's loss and gradient are NaN, and the others' are not.
#[test]
fn a_target_that_is_no_class_makes_the_loss_of_its_token_not_a_number() {
    let Some(device) = device() else { return };
    let device = device.autodiff();
    for bad in [3, -1, i32::MAX, i32::MIN] {
        let logits = numbers([1, 3, 3], 1, 2.0, &device).require_grad();
        let targets = Tensor::<2, Int>::from_data([[0, bad, 2]], &device);
        let losses = cross_entropy::cross_entropy(logits.clone(), targets);
        let found = losses.clone().backward();
        let (losses, gradient) = (values(losses), values(logits.grad(&found).unwrap()));
        let is_nan: Vec<bool> = losses.iter().map(|loss| loss.is_nan()).collect();
        assert_eq!(is_nan, [false, true, false], "target {bad}");
        for (index, entry) in gradient.into_iter().enumerate() {
            assert_eq!(entry.is_nan(), index / 3 == 1, "target {bad}, logit {index}");
        }
    }
}

const STEP: adamw::AdamWStep = adamw::AdamWStep {
    count: 7,
    rate: 3e-3,
    beta_1: 0.9,
    beta_2: 0.999,
    eps: 1e-8,
    decay: 0.1,
    scale: 0.37,
};

#[test]
fn a_step_of_adamw_is_that_of_the_definition() {
    let Some(device) = device() else { return };
    for (size, scale) in [(1, 1.0), (15, 1e-3), (1000, 1.0), (70_001, 1e-12), (300, 1e4)] {
        let tensors = |device: &Device| {
            let wave = |seed| numbers([size], seed, scale, device);
            let moments = adamw::Moments {
                first: wave(3),
                second: wave(4).square(),
            };
            (wave(1), wave(2), moments)
        };
        let (value, gradient, moments) = tensors(&Device::flex());
        let expected = adamw::reference::adamw(value, gradient, moments, &STEP);
        let (value, gradient, moments) = tensors(&device);
        let (before, shared) = (values(value.clone()), value.clone());
        let found = adamw::adamw(value, gradient, moments, &STEP);
        near("value", &values(found.0), &values(expected.0), F32);
        near(
            "first moment",
            &values(found.1.first),
            &values(expected.1.first),
            F32,
        );
        near(
            "second moment",
            &values(found.1.second),
            &values(expected.1.second),
            F32,
        );
        assert_eq!(values(shared), before, "what others hold stays as it was");
    }
}

/// A step writes where its numbers lie, and a copy is made of what another tensor shares.
#[test]
fn a_step_of_adamw_is_made_in_place_where_nobody_else_has_the_numbers() {
    let Some(device) = device() else { return };
    let take = |tensor: Tensor<1>| CubeBackend::take(tensor).unwrap().numbers;
    let wave = |seed| numbers([1000], seed, 1.0, &device);
    let step = || {
        let tensors = [
            take(wave(1)),
            take(wave(2)),
            take(wave(3)),
            take(wave(4).square()),
        ];
        let kept = tensors[0].clone();
        (CubeBackend::adamw(tensors, &STEP), kept)
    };
    let (given, kept) = step();
    assert_ne!(values(CubeBackend::give::<1>(given[0].clone())), values(wave(1)));
    assert_eq!(values(CubeBackend::give::<1>(kept)), values(wave(1)));
    // Buffers are compared by identity: where one lies is decided when the device gets to it.
    let buffer = |tensor: &CubeTensor| tensor.handle.clone().binding().memory.id();
    let (value, gradient) = (take(wave(1)), take(wave(2)));
    let before = buffer(&value);
    let given = CubeBackend::adamw([value, gradient, take(wave(3)), take(wave(4).square())], &STEP);
    assert_eq!(buffer(&given[0]), before);
}

#[test]
fn the_sum_of_squares_is_that_of_the_definition_and_neither_stalls_nor_overflows() {
    let Some(device) = device() else { return };
    for size in [1, 31, 256, 4096, 4097, 100_003] {
        let x = numbers([size], 1, 3.0, &Device::flex());
        let expected = sum_of_squares::sum_of_squares(x.clone());
        let found = sum_of_squares::sum_of_squares(on(&x, &device));
        assert!(
            (found - expected).abs() < 1e-6 * expected,
            "{size}: {found}, {expected}"
        );
    }
    let of = |values: Vec<f32>| {
        let size = values.len();
        sum_of_squares::sum_of_squares(Tensor::from_data(TensorData::new(values, [size]), &device))
    };
    assert_eq!(of(vec![1.0; (1 << 24) + 5]), f64::from((1 << 24) + 5));
    assert!((of(vec![1e20; 3]) / 3e40 - 1.0).abs() < 1e-6);
    assert_eq!(of(vec![0.0; 3]), 0.0);
    assert!(of(vec![1.0, f32::NAN]).is_nan());
    assert!(of(vec![f32::NEG_INFINITY, 2.0]).is_infinite());
}

#[test]
fn newton_schulz_iterations_are_those_of_the_processor() {
    let Some(device) = device() else { return };
    for shape in [
        [1, 1, 1],
        [3, 5, 9],
        [2, 9, 5],
        [1, 130, 67],
        [2, 70, 201],
        [1, 1, 40],
    ] {
        let matrices = numbers(shape, 1, 2.0, &Device::flex());
        let expected = newton_schulz::newton_schulz(matrices.clone(), 5);
        let found = newton_schulz::newton_schulz(on(&matrices, &device), 5);
        near("iterations", &values(found), &values(expected), 2e-4);
    }
    let nothing = Tensor::<3>::zeros([1, 2, 3], &device);
    assert_eq!(values(newton_schulz::newton_schulz(nothing, 5)), [0.0; 6]);
}
