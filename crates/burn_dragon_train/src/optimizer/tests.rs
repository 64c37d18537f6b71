//! Every method against known numbers, and against its definition in plain f64 loops on odd shapes.

use super::*;
use crate::gradients::GradientSet;
use crate::schedule::Factors;
use burn::module::{Module, Param};
use burn::tensor::{Device, TensorData};
use burn_dragon_core::api::expert::snapshot;
use std::collections::BTreeMap;

/// One matrix `[1, 2]`.
#[derive(Module, Debug)]
struct One {
    w: Param<Tensor<2>>,
}

/// Heads, a matrix that is taller than wide, a table and a vector.
#[derive(Module, Debug)]
struct Odd {
    heads: Param<Tensor<3>>,
    tall: Param<Tensor<2>>,
    embed: Param<Tensor<2>>,
    vector: Param<Tensor<1>>,
}

const SHAPES: [(&str, &[usize]); 4] = [
    ("heads", &[2, 3, 5]),
    ("tall", &[7, 3]),
    ("embed", &[4, 3]),
    ("vector", &[3]),
];

fn config(text: &str) -> OptimizerConfig {
    toml::from_str(text).unwrap()
}

/// Entries that repeat nowhere and are not near 0.
fn entries(seed: usize, shape: &[usize]) -> Vec<f64> {
    let size: usize = shape.iter().product();
    let wave = |i: usize| ((i * 37 + seed * 101 + 5) as f64 * 0.731).sin();
    (0..size).map(|i| wave(i) + 0.2 * wave(i).signum()).collect()
}

fn tensor<const R: usize>(values: &[f64], shape: [usize; R]) -> Tensor<R> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

fn of<M: Module>(module: &M) -> BTreeMap<String, Vec<f64>> {
    let values = snapshot(module).into_iter();
    values
        .map(|(name, data)| (name, data.convert::<f64>().try_to_vec().unwrap()))
        .collect()
}

fn close(given: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(given.len(), expected.len(), "{what}");
    for (given, expected) in given.iter().zip(expected) {
        let error = (given - expected).abs() / expected.abs().max(1.0);
        assert!(error < tolerance, "{what}: {given}, expected {expected}");
    }
}

fn one(values: [f64; 2]) -> One {
    let w = Param::from_tensor(tensor(&values, [1, 2]));
    One { w }
}

fn step_one(optimizer: &mut ModelOptimizer, model: One, gradient: [f64; 2]) -> One {
    let mut gradients = GradientSet::default();
    let loss = (model.w.val() * tensor(&gradient, [1, 2])).sum();
    gradients.add(loss.backward(), &model);
    optimizer.step(model, gradients, 1.0)
}

#[test]
fn two_steps_of_adamw_are_known_numbers() {
    let config = config("learning_rate = 0.1\nweight_decay = 0.01");
    let mut model = one([1.0, -2.0]);
    let mut optimizer = ModelOptimizer::new(&config, &model).unwrap();
    for (gradient, expected) in [
        ([0.5, -0.1], [0.899, -1.898_000_01]),
        ([-0.25, 0.3], [0.871_467_3, -1.945_520_99]),
    ] {
        model = step_one(&mut optimizer, model, gradient);
        close(&of(&model)["w"], &expected, 5e-7, "w");
    }
}

#[test]
fn three_steps_of_schedule_free_adamw_are_known_numbers() {
    let config = config("method = 'schedule_free_adamw'\nlearning_rate = 0.1\nweight_decay = 0.0");
    let mut model = one([1.0, -2.0]);
    let mut optimizer = ModelOptimizer::new(&config, &model).unwrap();
    for (gradient, z, x, y) in [
        ([0.5, -0.1], [0.9, -1.9], [0.9, -1.9], [0.9, -1.9]),
        (
            [-0.25, 0.3],
            [0.963_255_05, -2.034_137_24],
            [0.931_627_52, -1.967_068_63],
            [0.934_790_28, -1.973_775_49],
        ),
        (
            [0.1, 0.1],
            [0.932_743_97, -2.086_360_54],
            [0.931_999_67, -2.006_832_6],
            [0.932_074_1, -2.014_785_39],
        ),
    ] {
        model = step_one(&mut optimizer, model, gradient);
        close(&of(&model)["w"], &y, 5e-7, "y");
        close(&of(&optimizer.evaluated(model.clone()))["w"], &x, 5e-7, "x");
        let base = optimizer.snapshot().tensors["w.base"].clone();
        close(&base.convert::<f64>().try_to_vec().unwrap(), &z, 5e-7, "z");
        let (before, after) = (snapshot(&model), snapshot(&optimizer.trained(model.clone())));
        assert_eq!(before, after, "y is a function of x and z, bit for bit");
    }
}

/// What a method remembers of one parameter in its definition.
#[derive(Clone, Default)]
struct State {
    first: Vec<f64>,
    second: Vec<f64>,
    average: Vec<f64>,
    base: Vec<f64>,
    weights: f64,
    largest: f64,
}

/// One step of one parameter, number by number.
fn defined(
    method: &Method,
    (name, shape): (&str, &[usize]),
    w: &mut [f64],
    g: &[f64],
    s: &mut State,
    (t, factor, rate_factor, decay): (i32, f64, f64, f64),
) {
    let zeros = || vec![0.0; w.len()];
    if s.first.is_empty() {
        (s.first, s.second, s.average, s.base) = (zeros(), zeros(), w.to_vec(), w.to_vec());
    }
    match method {
        Method::AdamW(c) => {
            let rate = c.learning_rate * factor * rate_factor;
            for i in 0..w.len() {
                s.first[i] = c.beta_1 * s.first[i] + (1.0 - c.beta_1) * g[i];
                s.second[i] = c.beta_2 * s.second[i] + (1.0 - c.beta_2) * g[i] * g[i];
                let m = s.first[i] / (1.0 - c.beta_1.powi(t));
                let v = s.second[i] / (1.0 - c.beta_2.powi(t));
                w[i] = w[i] * (1.0 - rate * decay) - rate * m / (v.sqrt() + c.eps);
            }
        }
        Method::Lion(c) => {
            let rate = c.learning_rate * factor * rate_factor;
            for i in 0..w.len() {
                let mixed = c.beta_1 * s.first[i] + (1.0 - c.beta_1) * g[i];
                w[i] = w[i] * (1.0 - rate * decay) - rate * mixed.signum();
                s.first[i] = c.beta_2 * s.first[i] + (1.0 - c.beta_2) * g[i];
            }
        }
        Method::Sgd(c) => {
            let rate = c.learning_rate * factor * rate_factor;
            for i in 0..w.len() {
                s.first[i] = c.momentum * s.first[i] + g[i];
                let ahead = if c.nesterov {
                    g[i] + c.momentum * s.first[i]
                } else {
                    s.first[i]
                };
                w[i] = w[i] * (1.0 - rate * decay) - rate * ahead;
            }
        }
        Method::ScheduleFreeAdamW(c) => {
            let rate = c.learning_rate * factor * rate_factor;
            s.largest = s.largest.max(factor);
            let weight = f64::from(t).powf(c.power) * s.largest * s.largest;
            s.weights += weight;
            let share = weight / s.weights;
            for i in 0..w.len() {
                s.second[i] = c.beta_2 * s.second[i] + (1.0 - c.beta_2) * g[i] * g[i];
                let root = (s.second[i] / (1.0 - c.beta_2.powi(t))).sqrt() + c.eps;
                s.base[i] -= rate * (g[i] / root + decay * w[i]);
                s.average[i] = (1.0 - share) * s.average[i] + share * s.base[i];
                w[i] = (1.0 - c.beta_1) * s.base[i] + c.beta_1 * s.average[i];
            }
        }
        Method::Muon(c) if name == "embed" || shape.len() == 1 => {
            let adamw = Method::AdamW(c.adamw.clone());
            defined(&adamw, (name, shape), w, g, s, (t, factor, rate_factor, decay));
        }
        Method::Muon(c) => {
            let [rows, columns] = [shape[shape.len() - 2], shape[shape.len() - 1]];
            let rate = c.learning_rate * factor * rate_factor * c.scale.factor([rows, columns]);
            let shrink = 1.0 - c.learning_rate * factor * rate_factor * decay;
            for matrix in 0..w.len() / (rows * columns) {
                let range = matrix * rows * columns..(matrix + 1) * rows * columns;
                let mut u = Vec::new();
                for i in range.clone() {
                    s.first[i] = c.momentum * s.first[i] + (1.0 - c.momentum) * g[i];
                    let ahead = c.momentum * s.first[i] + (1.0 - c.momentum) * g[i];
                    u.push(if c.nesterov { ahead } else { s.first[i] });
                }
                let u = orthogonalized(&u, rows, columns, c.iterations);
                range
                    .clone()
                    .zip(u)
                    .for_each(|(i, u)| w[i] = w[i] * shrink - rate * u);
            }
        }
    }
}

/// Newton-Schulz by loops: `X = a X + (b A + c A^2) X` with `A = X X^T`, of the transpose where that has fewer rows.
fn orthogonalized(u: &[f64], rows: usize, columns: usize, iterations: u32) -> Vec<f64> {
    let transposed = |x: &[f64], rows: usize, columns: usize| -> Vec<f64> {
        (0..rows * columns)
            .map(|i| x[i % rows * columns + i / rows])
            .collect()
    };
    if rows > columns {
        let turned = orthogonalized(&transposed(u, rows, columns), columns, rows, iterations);
        return transposed(&turned, columns, rows);
    }
    let product = |x: &[f64], y: &[f64], [m, k, n]: [usize; 3]| -> Vec<f64> {
        (0..m * n)
            .map(|i| (0..k).map(|j| x[i / n * k + j] * y[j * n + i % n]).sum())
            .collect()
    };
    let norm = u.iter().map(|x| x * x).sum::<f64>().sqrt() + 1e-7;
    let mut x: Vec<f64> = u.iter().map(|x| x / norm).collect();
    for _ in 0..iterations {
        let a = product(&x, &transposed(&x, rows, columns), [rows, columns, rows]);
        let squared = product(&a, &a, [rows, rows, rows]);
        let b: Vec<f64> = a
            .iter()
            .zip(squared)
            .map(|(a, s)| -4.7750 * a + 2.0315 * s)
            .collect();
        let moved = product(&b, &x, [rows, rows, columns]);
        x.iter_mut()
            .zip(moved)
            .for_each(|(x, moved)| *x = 3.4445 * *x + moved);
    }
    x
}

fn odd() -> Odd {
    Odd {
        heads: Param::from_tensor(tensor(&entries(1, SHAPES[0].1), [2, 3, 5])),
        tall: Param::from_tensor(tensor(&entries(2, SHAPES[1].1), [7, 3])),
        embed: Param::from_tensor(tensor(&entries(3, SHAPES[2].1), [4, 3])),
        vector: Param::from_tensor(tensor(&entries(4, SHAPES[3].1), [3])),
    }
}

/// The mean gradient of a step, which two losses have together.
fn gradients(model: &Odd, step: usize) -> GradientSet {
    let mut set = GradientSet::default();
    for share in [0.5, 1.5] {
        let scaled = |index: usize| -> Vec<f64> {
            let g = entries(10 * step + index, SHAPES[index].1);
            g.iter().map(|g| g * share).collect()
        };
        let loss = (model.heads.val() * tensor(&scaled(0), [2, 3, 5])).sum()
            + (model.tall.val() * tensor(&scaled(1), [7, 3])).sum()
            + (model.embed.val() * tensor(&scaled(2), [4, 3])).sum()
            + (model.vector.val() * tensor(&scaled(3), [3])).sum();
        set.add(loss.backward(), model);
    }
    set.mean()
}

const METHODS: [&str; 10] = [
    "learning_rate = 0.02",
    "method = 'muon'\nlearning_rate = 0.03",
    "method = 'muon'\nscale = 'keller'\nnesterov = false\nmomentum = 0.8\nlearning_rate = 0.02",
    "method = 'schedule_free_adamw'\nlearning_rate = 0.02",
    "method = 'schedule_free_adamw'\npower = 2.0\nbeta_1 = 0.95\nlearning_rate = 0.05",
    "method = 'lion'\nlearning_rate = 0.01",
    "method = 'sgd'",
    "method = 'sgd'\nnesterov = true\nweight_decay = 0.2",
    "method = 'sgd'\nmomentum = 0.0\nlearning_rate = 0.3",
    "method = 'lion'\nbeta_1 = 0.5\nbeta_2 = 0.6\nweight_decay = 0.0",
];

const GROUPS: &str = "
    [[groups]]
    parameters = ['tall']
    learning_rate_factor = 0.5
    weight_decay = 0.3
    [[groups]]
    parameters = ['embed']
    learning_rate_factor = 0.0";

#[test]
fn every_method_is_its_definition_on_odd_shapes_with_groups_and_a_schedule() {
    for text in METHODS {
        let config = config(&format!("{text}\n{GROUPS}"));
        let method = config.method.clone();
        let mut model = odd();
        let mut optimizer = ModelOptimizer::new(&config, &model).unwrap();
        let mut expected = of(&model);
        let mut states: BTreeMap<&str, State> = BTreeMap::new();
        for (step, factor) in [0.5, 1.0, 0.75, 0.6, 0.2].into_iter().enumerate() {
            let set = gradients(&model, step);
            model = optimizer.step(model, set, factor);
            for (index, (name, shape)) in SHAPES.into_iter().enumerate() {
                let parameter = Parameter { name, shape };
                let usual = method.build().rates(parameter).decay;
                let (rate_factor, decay) = match name {
                    "tall" => (0.5, 0.3),
                    "embed" => (0.0, usual),
                    "vector" => (1.0, 0.0),
                    _ => (1.0, usual),
                };
                let (w, g) = (expected.get_mut(name).unwrap(), entries(10 * step + index, shape));
                let at = (step as i32 + 1, factor, rate_factor, decay);
                defined(&method, (name, shape), w, &g, states.entry(name).or_default(), at);
            }
        }
        let (given, evaluated) = (of(&model), of(&optimizer.evaluated(model)));
        for (name, _) in SHAPES {
            close(&given[name], &expected[name], 2e-5, &format!("{text}: {name}"));
            let average = match method {
                Method::ScheduleFreeAdamW(_) => &states[name].average,
                _ => &expected[name],
            };
            close(
                &evaluated[name],
                average,
                2e-5,
                &format!("{text}: {name}, evaluated"),
            );
        }
        assert_eq!(
            given["embed"],
            of(&odd())["embed"],
            "{text}: what is frozen stays"
        );
        assert_eq!(
            evaluated["embed"],
            of(&odd())["embed"],
            "{text}: what is frozen stays"
        );
    }
}

#[test]
fn what_is_read_back_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    for text in METHODS {
        let config = config(&format!("{text}\n{GROUPS}"));
        let mut model = odd();
        let mut optimizer = ModelOptimizer::new(&config, &model).unwrap();
        let mut resumed = None;
        for step in 0..6 {
            if step == 3 {
                optimizer.snapshot().write(&path).unwrap();
                let mut read = ModelOptimizer::new(&config, &model).unwrap();
                assert_eq!(read.restore(&path, &Device::flex()).unwrap(), None);
                let trained = read.trained(optimizer.evaluated(model.clone()));
                assert_eq!(snapshot(&trained), snapshot(&model), "{text}");
                resumed = Some((read, trained));
            }
            let factor = 1.0 / (step + 1) as f64;
            let set = gradients(&model, step);
            model = optimizer.step(model, set, factor);
            resumed = resumed.map(|(mut read, trained)| {
                let set = gradients(&trained, step);
                let trained = read.step(trained, set, factor);
                (read, trained)
            });
        }
        let (read, trained) = resumed.unwrap();
        assert_eq!(snapshot(&trained), snapshot(&model), "{text}");
        assert_eq!(read.snapshot().tensors, optimizer.snapshot().tensors, "{text}");
        assert_eq!(read.snapshot().metadata, optimizer.snapshot().metadata, "{text}");
    }
}

#[test]
fn the_scale_of_muon_is_what_was_published() {
    // Keller's weights are [out, in]: here a matrix [R, C] maps R to C.
    assert_eq!(MuonScale::Keller.factor([16, 64]), 2.0);
    assert_eq!(MuonScale::Keller.factor([64, 16]), 1.0);
    assert_eq!(MuonScale::Moonshot.factor([16, 64]), 0.2 * 8.0);
    assert_eq!(MuonScale::Moonshot.factor([64, 16]), 0.2 * 8.0);
}

#[test]
fn what_muon_leaves_to_adamw_may_be_named_and_must_be_there() {
    let slots = |text: &str, name: &str| {
        let (_, shape) = SHAPES.into_iter().find(|(known, _)| *known == name).unwrap();
        config(text).slots(name, shape)
    };
    let (usual, named) = ("method = 'muon'", "method = 'muon'\nothers = ['tall']");
    for (text, name, expected) in [
        (usual, "heads", &["momentum"][..]),
        (usual, "embed", &["first", "second"]),
        (usual, "vector", &["first", "second"]),
        (named, "tall", &["first", "second"]),
        (named, "embed", &["momentum"]),
    ] {
        assert_eq!(slots(text, name), expected, "{text} {name}");
    }
    let wrong = config("method = 'muon'\nothers = ['talk']");
    let error = ModelOptimizer::new(&wrong, &odd()).unwrap_err().to_string();
    assert!(
        error.contains("optimizer.others") && error.contains("`talk`"),
        "{error}"
    );
}

#[test]
fn an_average_of_weights_is_its_definition_and_is_read_back() {
    let config = EmaConfig { decay: 0.3 };
    let mut model = one([1.0, -2.0]);
    let mut ema = Ema::new(config, &model, Frozen::default()).unwrap();
    let (mut expected, mut optimizer) = (
        vec![1.0, -2.0],
        ModelOptimizer::new(&OptimizerConfig::default(), &model).unwrap(),
    );
    for t in 0..6 {
        model = step_one(&mut optimizer, model, [0.5, -0.1]);
        ema.update(&model);
        let decay = f64::min(0.3, (1.0 + f64::from(t)) / (10.0 + f64::from(t)));
        let weights = &of(&model)["w"];
        expected
            .iter_mut()
            .zip(weights)
            .for_each(|(e, w)| *e = decay * *e + (1.0 - decay) * w);
        close(&of(&ema.averaged(model.clone()))["w"], &expected, 1e-6, "average");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(WEIGHTS);
    ema.snapshot(&model).write(&path).unwrap();
    let (read, updates) = read_weights(&path, ema.averaged(model.clone())).unwrap();
    assert_eq!((snapshot(&read), updates), (snapshot(&model), 6));
    let error = read_weights(&path, odd()).unwrap_err().to_string();
    assert!(
        error.contains("weights.bpk") && error.contains("`heads`"),
        "{error}"
    );
    assert!(
        EmaConfig { decay: 1.0 }
            .validate()
            .unwrap_err()
            .to_string()
            .contains("ema.decay")
    );
}

/// A factor on the weight decay is that much decay, of every method and of groups.
#[test]
fn a_factor_on_the_weight_decay_is_less_decay() {
    let group = "\n[[groups]]\nparameters = ['w']\nweight_decay = ";
    for (method, group) in [
        ("method = 'adamw'\nweight_decay = ", ""),
        ("method = 'sgd'\nweight_decay = ", ""),
        ("method = 'lion'\nweight_decay = ", ""),
        ("method = 'muon'\nweight_decay = ", ""),
        ("method = 'schedule_free_adamw'\nweight_decay = ", ""),
        ("method = 'adamw'\nweight_decay = 0.7", group),
    ] {
        let after = |decay: f64, factor: f64| {
            let config = config(&format!(
                "learning_rate = 0.1\n{}",
                match group {
                    "" => format!("{method}{decay:?}"),
                    group => format!("{method}{group}{decay:?}"),
                }
            ));
            let model = one([1.0, -2.0]);
            let mut optimizer = ModelOptimizer::new(&config, &model).unwrap();
            let mut gradients = GradientSet::default();
            let loss = (model.w.val() * tensor(&[0.5, -0.1], [1, 2])).sum();
            gradients.add(loss.backward(), &model);
            let factors = Factors {
                learning: 0.5,
                decay: factor,
            };
            of(&optimizer.step(model, gradients, factors))["w"].clone()
        };
        close(&after(0.4, 0.25), &after(0.1, 1.0), 1e-7, method);
        close(&after(0.4, 0.0), &after(0.0, 1.0), 1e-7, method);
        assert!((after(0.4, 1.0)[1] - after(0.0, 1.0)[1]).abs() > 1e-3, "{method}");
    }
}
