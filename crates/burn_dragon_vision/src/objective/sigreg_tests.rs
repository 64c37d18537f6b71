use super::*;
use burn::tensor::DType;

const SMALL: SigReg = SigReg {
    directions: 64,
    knots: 17,
    reach: 3.0,
};

fn normal(shape: [usize; 3], seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..shape.iter().product()).map(|_| rng.normal() as f32).collect()
}

fn tensor(values: Vec<f32>, shape: [usize; 3], device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

fn statistic_of(z: Vec<f32>, shape: [usize; 3], seed: u64) -> f64 {
    let device = Device::flex();
    let directions = SMALL.directions(shape[2], (seed, 0), &device);
    SMALL
        .statistic(tensor(z, shape, &device), directions)
        .into_scalar::<f64>()
}

/// The equations of the module, in f64.
fn by_definition(config: &SigReg, z: &[f64], [views, samples, width]: [usize; 3], directions: &[f64]) -> f64 {
    let slices = directions.len() / width;
    let spacing = config.reach / (config.knots - 1) as f64;
    let mut sum = 0.0;
    for view in 0..views {
        for slice in 0..slices {
            let project = |n: usize| -> f64 {
                let row = &z[(view * samples + n) * width..][..width];
                (0..width).map(|k| row[k] * directions[k * slices + slice]).sum()
            };
            let u: Vec<f64> = (0..samples).map(project).collect();
            for j in 0..config.knots {
                let t = j as f64 * spacing;
                let mean = |f: fn(f64) -> f64| u.iter().map(|u| f(t * u)).sum::<f64>() / samples as f64;
                let phi = (-0.5 * t * t).exp();
                let ends = if j == 0 || j + 1 == config.knots { 1.0 } else { 2.0 };
                let square = (mean(f64::cos) - phi).powi(2) + mean(f64::sin).powi(2);
                sum += samples as f64 * ends * spacing * phi * square;
            }
        }
    }
    sum / (views * slices) as f64
}

#[test]
fn the_statistic_equals_its_definition_and_its_gradient_finite_differences() {
    let (device, shape) = (Device::flex().autodiff(), [2, 12, 3]);
    let config = SigReg {
        directions: 5,
        ..SMALL
    };
    let values: Vec<f32> = normal(shape, 1).iter().map(|value| 1.5 * value + 0.3).collect();
    let z = tensor(values.clone(), shape, &device)
        .cast(DType::F64)
        .require_grad();
    let directions = config.directions(3, (2, 3), &device).cast(DType::F64);
    let value = config.statistic(z.clone(), directions.clone());
    let gradient = numbers(z.grad(&value.backward()).unwrap());
    let (values, directions) = (
        values.into_iter().map(f64::from).collect::<Vec<_>>(),
        numbers(directions),
    );
    let of = |z: &[f64]| by_definition(&config, z, shape, &directions);
    let (given, expected) = (value.into_scalar::<f64>(), of(&values));
    assert!((given - expected).abs() < 1e-10 * expected, "{given} {expected}");
    for index in 0..values.len() {
        let moved = |by: f64| {
            let mut moved = values.clone();
            moved[index] += by;
            of(&moved)
        };
        let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!(
            (gradient[index] - difference).abs() < 1e-7,
            "{index}: {} {difference}",
            gradient[index]
        );
    }
}

#[test]
fn single_precision_agrees_with_double() {
    let (device, shape) = (Device::flex(), [2, 64, 16]);
    let values: Vec<f32> = normal(shape, 4).iter().map(|value| 3.0 * value).collect();
    let directions = SMALL.directions(16, (1, 1), &device);
    let z = tensor(values, shape, &device);
    let single = SMALL
        .statistic(z.clone(), directions.clone())
        .into_scalar::<f64>();
    let double = SMALL
        .statistic(z.cast(DType::F64), directions.cast(DType::F64))
        .into_scalar::<f64>();
    assert!((single - double).abs() < 1e-5 * double, "{single} {double}");
}

#[test]
fn normal_samples_have_the_null_mean_and_a_point_much_more() {
    let shape = [1, 512, 8];
    let draws: Vec<f64> = (0..40)
        .map(|seed| statistic_of(normal(shape, seed), shape, seed))
        .collect();
    let mean = draws.iter().sum::<f64>() / draws.len() as f64;
    let spread = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64;
    let error = (spread / draws.len() as f64).sqrt();
    let null = SMALL.null_mean();
    assert!(
        (mean - null).abs() < 4.0 * error && error < 0.1 * null,
        "{mean} {null} {error}"
    );
    let point = statistic_of(vec![0.0; 512 * 8], shape, 1);
    assert!(point > 100.0 * null, "{point} {null}");
    for scale in [0.5, 2.0] {
        let scaled = normal(shape, 1).iter().map(|value| scale * value).collect();
        assert!(statistic_of(scaled, shape, 1) > 5.0 * null, "{scale}");
    }
}

#[test]
fn rotating_samples_and_directions_changes_nothing_and_rotating_samples_only_the_draw() {
    let (device, shape) = (Device::flex(), [1, 256, 4]);
    let stretched: Vec<f32> = normal(shape, 6)
        .chunks(4)
        .flat_map(|z| [2.0 * z[0], z[1], 0.5 * z[2], z[3]])
        .collect();
    let (c, s) = (0.6f32, 0.8f32);
    let rotation = [
        [c, -s, 0.0, 0.0],
        [s, c, 0.0, 0.0],
        [0.0, 0.0, c, s],
        [0.0, 0.0, -s, c],
    ];
    let mix = [
        [c, 0.0, -s, 0.0],
        [0.0, 1.0, 0.0, 0.0],
        [s, 0.0, c, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ];
    let rotation = Tensor::<2>::from_data(rotation, &device).matmul(Tensor::from_data(mix, &device));
    let z = tensor(stretched, shape, &device);
    let turned = z
        .clone()
        .reshape([256, 4])
        .matmul(rotation.clone())
        .reshape(shape);
    let directions = SMALL.directions(4, (1, 0), &device);
    let of = |z: &Tensor<3>, directions| SMALL.statistic(z.clone(), directions).into_scalar::<f64>();
    let plain = of(&z, directions.clone());
    let both = of(&turned, rotation.transpose().matmul(directions));
    assert!((plain - both).abs() < 1e-4 * plain, "{plain} {both}");
    // Samples alone: the same in expectation over the directions.
    let many = SigReg {
        directions: 8192,
        ..SMALL
    }
    .directions(4, (2, 0), &device);
    let (plain, turned) = (of(&z, many.clone()), of(&turned, many));
    assert!((plain - turned).abs() < 0.05 * plain, "{plain} {turned}");
}

#[test]
fn directions_are_units_and_a_function_of_seed_and_step() {
    let device = Device::flex();
    let of = |at| numbers(SMALL.directions(5, at, &device));
    assert_eq!(of((1, 2)), of((1, 2)));
    assert_ne!(of((1, 2)), of((1, 3)));
    let directions = of((1, 2));
    for slice in 0..64 {
        let square: f64 = (0..5).map(|k| directions[k * 64 + slice].powi(2)).sum();
        assert!((square - 1.0).abs() < 1e-6);
    }
}

#[test]
fn invariance_is_the_spread_of_the_views() {
    let z = tensor(vec![1.0, 2.0, 3.0, 6.0], [2, 1, 2], &Device::flex());
    assert_eq!(invariance(z).into_scalar::<f64>(), (1.0 + 4.0) / 2.0);
}

#[test]
fn settings_out_of_range_are_refused_with_their_key() {
    for (config, key) in [
        (
            SigReg {
                directions: 0,
                ..SMALL
            },
            "objective.sigreg.directions",
        ),
        (SigReg { knots: 1, ..SMALL }, "objective.sigreg.knots"),
        (
            SigReg {
                reach: f64::NAN,
                ..SMALL
            },
            "objective.sigreg.reach",
        ),
    ] {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key} is ")), "{error}");
    }
    SigReg::default().validate().unwrap();
}
