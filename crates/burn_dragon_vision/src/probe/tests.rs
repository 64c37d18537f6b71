use super::moments::Moments;
use super::softmax::Softmax;
use super::spectrum::eigenvalues;
use super::*;
use burn_dragon_core::api::expert::Rng;

/// Rows around a centre for each class, `apart` from each other, with a deviation of 1.
fn clusters(rows: usize, width: usize, classes: usize, apart: f64, seed: u64) -> (Features, Vec<usize>) {
    let mut centres = Rng::new(1);
    let centres: Vec<f64> = (0..classes * width).map(|_| apart * centres.normal()).collect();
    let mut rng = Rng::new(seed);
    let labels: Vec<usize> = (0..rows).map(|_| rng.below(classes)).collect();
    let row = |&label: &usize| {
        let centre = &centres[label * width..(label + 1) * width];
        centre
            .iter()
            .map(|centre| (centre + rng.normal()) as f32)
            .collect::<Vec<_>>()
    };
    let values = labels.iter().flat_map(row).collect();
    (Features::new(width, values).unwrap(), labels)
}

fn labelled((features, labels): &(Features, Vec<usize>), classes: usize) -> Labelled<'_> {
    Labelled::new(features, labels, classes).unwrap()
}

fn small() -> ProbeConfig {
    ProbeConfig {
        weight_decays: vec![0.0, 1e-3, 1e-1],
        ..ProbeConfig::default()
    }
}

#[test]
fn knn_equals_its_definition() {
    let (train, test) = (clusters(300, 6, 4, 0.7, 2), clusters(80, 6, 4, 0.7, 3));
    let cosine = |a: &[f32], b: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| {
            a.iter()
                .zip(b)
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum::<f64>()
        };
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    for neighbours in [1, 20, 500] {
        let given = knn(labelled(&train, 4), &test.0, neighbours, 0.07).unwrap();
        for (row, &given) in given.iter().enumerate() {
            let mut all: Vec<(f64, usize)> = (0..300)
                .map(|i| (cosine(test.0.row(row), train.0.row(i)), train.1[i]))
                .collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut votes = [0.0; 4];
            all.iter()
                .take(neighbours)
                .for_each(|&(cosine, label)| votes[label] += (cosine / 0.07).exp());
            let best = votes.iter().copied().fold(0.0, f64::max);
            assert!(
                votes[given] > best * (1.0 - 1e-4),
                "{neighbours} {row} {votes:?} {given}"
            );
        }
    }
}

#[test]
fn blocks_of_the_training_set_are_one_set() {
    // The only row of class 1 that is similar stands beyond the first block.
    let mut values = [1.0, 0.0].repeat(9000);
    let mut labels = vec![0; 9000];
    values.extend([0.0, 1.0]);
    labels.push(1);
    let train = (Features::new(2, values).unwrap(), labels);
    let test = Features::new(2, [0.1, 3.0].repeat(1500)).unwrap();
    assert_eq!(knn(labelled(&train, 2), &test, 1, 0.07).unwrap(), vec![1; 1500]);
}

#[test]
fn separate_clusters_are_recognised_and_shuffled_labels_are_not() {
    let (train, test) = (clusters(1000, 8, 5, 2.0, 4), clusters(500, 8, 5, 2.0, 5));
    let result = probe(&small(), labelled(&train, 5), labelled(&test, 5)).unwrap();
    for name in ["knn", "linear", "centroid"] {
        assert!(result.get(name).unwrap() > 0.97, "{name}: {result:?}");
    }
    let mut rng = Rng::new(6);
    let shuffled = (train.0.clone(), (0..1000).map(|_| rng.below(5)).collect());
    let result = probe(&small(), labelled(&shuffled, 5), labelled(&test, 5)).unwrap();
    for name in ["knn", "linear", "centroid"] {
        assert!(
            (0.05..0.5).contains(&result.get(name).unwrap()),
            "{name}: {result:?}"
        ); // chance: 0.2
    }
}

#[test]
fn the_gradient_of_the_regression_equals_finite_differences() {
    let rows = clusters(50, 3, 4, 1.0, 7);
    let softmax = Softmax::new(labelled(&rows, 4));
    let mut rng = Rng::new(8);
    let parameters: Vec<f64> = softmax
        .start()
        .iter()
        .map(|_| f64::from(0.5 * rng.normal() as f32))
        .collect();
    let (_, gradient) = softmax.loss(&parameters, 0.3);
    for index in 0..parameters.len() {
        let moved = |by: f64| {
            let mut moved = parameters.clone();
            moved[index] += by;
            softmax.loss(&moved, 0.3).0
        };
        let difference = (moved(0.01) - moved(-0.01)) / 0.02;
        assert!(
            (gradient[index] - difference).abs() < 1e-4,
            "{index}: {} {difference}",
            gradient[index]
        );
    }
}

#[test]
fn the_regression_ends_where_the_loss_is_flat_whatever_the_start() {
    let rows = clusters(400, 5, 3, 0.5, 9);
    let softmax = Softmax::new(labelled(&rows, 3));
    let first = softmax.fit(softmax.start(), 1e-2, 300);
    let far = softmax
        .start()
        .iter()
        .enumerate()
        .map(|(i, _)| (i % 7) as f64 - 3.0)
        .collect();
    let second = softmax.fit(far, 1e-2, 300);
    assert!(first.is_converged && second.is_converged);
    let (_, gradient) = softmax.loss(&first.point, 1e-2);
    assert!(gradient.iter().all(|entry| entry.abs() < 1e-4), "{gradient:?}");
    assert!(
        (first.value - second.value).abs() < 1e-5,
        "{} {}",
        first.value,
        second.value
    );
    // Differences of biases count, their mean does not: weights alone are compared.
    let apart = first.point[..15]
        .iter()
        .zip(&second.point)
        .map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f64::max) < 0.02);
}

#[test]
fn the_weight_decay_is_chosen_on_training_rows() {
    // Two informative columns among many, few rows: decay helps on rows that were not seen.
    let noisy = |rows: usize, seed| {
        let mut rng = Rng::new(seed);
        let labels: Vec<usize> = (0..rows).map(|_| rng.below(2)).collect();
        let row = |&label: &usize| {
            let sign = 2.0 * label as f64 - 1.0;
            (0..250)
                .map(|k| (rng.normal() + if k < 2 { sign } else { 0.0 }) as f32)
                .collect::<Vec<_>>()
        };
        (
            Features::new(250, labels.iter().flat_map(row).collect()).unwrap(),
            labels,
        )
    };
    let (train, test) = (noisy(500, 1), noisy(2000, 2));
    let outcome = linear(&small(), labelled(&train, 2), &test.0).unwrap();
    assert_eq!(outcome.weight_decay, 0.1, "{:?}", outcome.validation);
    let without = ProbeConfig {
        weight_decays: vec![0.0],
        ..small()
    };
    let without = linear(&without, labelled(&train, 2), &test.0).unwrap();
    let right = |predictions: &[usize]| accuracy(predictions, &test.1);
    assert!(right(&outcome.predictions) > right(&without.predictions) + 0.02);
    // Test rows change nothing but their own predictions.
    let half = test.0.select(&(0..1000).collect::<Vec<_>>());
    let again = linear(&small(), labelled(&train, 2), &half).unwrap();
    assert_eq!(
        (again.validation, &again.predictions[..]),
        (outcome.validation, &outcome.predictions[..1000])
    );
}

#[test]
fn scales_offsets_and_constant_columns_do_not_change_a_linear_probe() {
    let (train, test) = (clusters(300, 4, 3, 1.0, 11), clusters(200, 4, 3, 1.0, 12));
    let change = |features: &Features| {
        let row = |row: &[f32]| [row[0] * 100.0, row[1] * 0.01 + 5.0, row[2], row[3] - 50.0, 7.7];
        Features::new(5, features.values().chunks(4).flat_map(row).collect()).unwrap()
    };
    let changed = (change(&train.0), train.1.clone());
    let plain = linear(&small(), labelled(&train, 3), &test.0).unwrap();
    let scaled = linear(&small(), labelled(&changed, 3), &change(&test.0)).unwrap();
    let same = plain
        .predictions
        .iter()
        .zip(&scaled.predictions)
        .filter(|(a, b)| a == b)
        .count();
    assert!(same >= 198, "{same}");
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (train, test) = (clusters(9000, 7, 4, 0.8, 13), clusters(1500, 7, 4, 0.8, 14));
    let of = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let outcome = linear(&small(), labelled(&train, 4), &test.0).unwrap();
            (
                outcome,
                probe(&small(), labelled(&train, 4), labelled(&test, 4)).unwrap(),
            )
        })
    };
    assert_eq!(of(1), of(3));
}

#[test]
fn eigenvalues_are_those_of_a_known_matrix() {
    // Q diag Q^T with Q a reflection.
    let (width, truth) = (6, [5.0, 3.0, 3.0, 1.0, 0.0, -2.0]);
    let v: Vec<f64> = (0..width).map(|i| (i as f64 + 1.0) / 91f64.sqrt()).collect();
    let q = |i: usize, j: usize| f64::from(i == j) - 2.0 * v[i] * v[j];
    let entry = |index: usize| {
        let (i, j) = (index / width, index % width);
        (0..width).map(|k| q(i, k) * truth[k] * q(j, k)).sum::<f64>()
    };
    let mut given = eigenvalues((0..width * width).map(entry).collect(), width);
    given.sort_by(|a, b| b.total_cmp(a));
    assert!(
        given.iter().zip(truth).all(|(a, b)| (a - b).abs() < 1e-12),
        "{given:?}"
    );
}

#[test]
fn eigenvalues_keep_the_sums_of_their_powers() {
    let mut rng = Rng::new(21);
    for width in [1, 2, 3, 10, 33] {
        for kind in 0..3 {
            let mut matrix = vec![0.0; width * width];
            for i in 0..width {
                for j in 0..=i {
                    // Dense, diagonal, and with many zeros.
                    let value = match kind {
                        0 => rng.normal(),
                        1 => f64::from(i == j) * i as f64,
                        _ => f64::from((i + j) % 3 == 0),
                    };
                    (matrix[i * width + j], matrix[j * width + i]) = (value, value);
                }
            }
            let product = |a: &[f64], b: &[f64]| -> Vec<f64> {
                let entry = |index: usize| {
                    (0..width)
                        .map(|k| a[index / width * width + k] * b[k * width + index % width])
                        .sum()
                };
                (0..width * width).map(entry).collect()
            };
            let given = eigenvalues(matrix.clone(), width);
            let mut power = matrix.clone();
            for exponent in 1..=4 {
                let trace: f64 = (0..width).map(|i| power[i * width + i]).sum();
                let sum: f64 = given.iter().map(|value| value.powi(exponent)).sum();
                let size: f64 = given.iter().map(|value| value.abs().powi(exponent)).sum();
                assert!(
                    (trace - sum).abs() <= 1e-11 * size.max(1.0),
                    "{width} {kind} {exponent}: {trace} {sum}"
                );
                power = product(&power, &matrix);
            }
        }
    }
}

#[test]
fn the_effective_rank_counts_directions() {
    let mut rng = Rng::new(15);
    let mut of = |scales: &[f64]| {
        let width = scales.len();
        let values = (0..4000 * width)
            .map(|i| (3.0 + scales[i % width] * rng.normal()) as f32)
            .collect();
        let features = Features::new(width, values).unwrap();
        (effective_rank(&features), deviation(&features))
    };
    let (rank, spread) = of(&[1.0; 16]);
    assert!(
        (15.9..=16.0).contains(&rank) && (spread - 1.0).abs() < 0.02,
        "{rank} {spread}"
    );
    let (rank, spread) = of(&[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    assert!(
        (2.98..=3.0 + 1e-3).contains(&rank) && (spread - 0.5).abs() < 0.02,
        "{rank} {spread}"
    );
    // p = (2/3, 1/3): exp of 0.6365.
    let (rank, _) = of(&[2.0, 1.0]);
    assert!((rank - 1.8899).abs() < 0.02, "{rank}");
    // One direction in all columns; nothing at all.
    let line = (0..500)
        .flat_map(|i| [i as f32, -2.0 * i as f32, 0.5 * i as f32])
        .collect();
    assert!((effective_rank(&Features::new(3, line).unwrap()) - 1.0).abs() < 1e-3);
    let point = Features::new(2, vec![1.5; 20]).unwrap();
    assert_eq!((effective_rank(&point), deviation(&point)), (0.0, 0.0));
}

#[test]
fn standardised_columns_have_mean_zero_and_deviation_one() {
    let features = Features::new(
        2,
        (0..5000).flat_map(|i| [1000.0 + (i % 7) as f32, 0.1]).collect(),
    )
    .unwrap();
    let features = Moments::of(&features).standardised(&features);
    let moments = Moments::of(&features);
    assert!(
        moments.mean[0].abs() < 1e-5 && (moments.deviation[0] - 1.0).abs() < 1e-5,
        "{moments:?}"
    );
    assert!(
        features
            .values()
            .iter()
            .skip(1)
            .step_by(2)
            .all(|&value| value == 0.0)
    );
}

/// Tokens of frames of 9 patches, of which one column says whether something is there.
fn frames(count: usize, signal: f64, seed: u64) -> (Features, Vec<bool>) {
    let mut rng = Rng::new(seed);
    let truth: Vec<bool> = (0..count * 9).map(|_| rng.uniform() < 0.3).collect();
    let token = |&is_there: &bool| {
        let shift = if is_there { signal } else { 0.0 };
        [
            rng.normal() as f32,
            (rng.normal() + shift) as f32,
            rng.normal() as f32,
        ]
    };
    (
        Features::new(3, truth.iter().flat_map(token).collect()).unwrap(),
        truth,
    )
}

#[test]
fn foreground_is_found_if_tokens_know_it() {
    let iou = |signal| {
        let (train, test) = (frames(60, signal, 16), frames(40, signal, 17));
        foreground(&small(), (&train.0, &train.1), (&test.0, &test.1), 9).unwrap()
    };
    let (clear, blind) = (iou(8.0), iou(0.0));
    assert!(
        clear.iou > 0.99 && clear.accuracy > 0.99,
        "{} {}",
        clear.iou,
        clear.accuracy
    );
    assert!(
        blind.iou < 0.1 && blind.accuracy > 0.6,
        "{} {}",
        blind.iou,
        blind.accuracy
    );
    let middle = iou(2.0);
    let truth = frames(40, 2.0, 17).1;
    let count = |of: fn(bool, bool) -> bool| {
        middle
            .predictions
            .iter()
            .zip(&truth)
            .filter(|&(&a, &b)| of(a, b))
            .count()
    };
    assert_eq!(
        middle.iou,
        count(|a, b| a && b) as f64 / count(|a, b| a || b) as f64
    );
}

#[test]
fn position_is_found_if_features_know_it() {
    let of = |rows: usize, noise: f64, seed| {
        let mut rng = Rng::new(seed);
        let centres: Vec<f64> = (0..2 * rows).map(|_| 10.0 * rng.uniform()).collect();
        let row =
            |c: &[f64]| [c[0] + c[1], c[0] - 2.0 * c[1], 4.0, 0.0].map(|x| (x + noise * rng.normal()) as f32);
        (
            Features::new(4, centres.chunks(2).flat_map(row).collect()).unwrap(),
            centres,
        )
    };
    let r2 = |noise| {
        let (train, test) = (of(300, noise, 18), of(200, noise, 19));
        position(&small(), (&train.0, &train.1), (&test.0, &test.1)).unwrap()
    };
    let exact = r2(0.0);
    assert!(
        exact.r2 > 0.999_99 && exact.penalty == 1e-6,
        "{} {}",
        exact.r2,
        exact.penalty
    );
    let blind = r2(1000.0);
    assert!(blind.r2.abs() < 0.1, "{}", blind.r2);
}

#[test]
fn features_that_cannot_be_probed_are_refused() {
    let refused = |result: Result<(), crate::error::VisionError>, words: &str| {
        let error = result.unwrap_err().to_string();
        assert!(
            error.starts_with("features: ") && error.contains(words),
            "{error}"
        );
    };
    let features = |width, values| Features::new(width, values).map(|_| ());
    refused(features(3, vec![0.0; 4]), "4 values are no rows of width 3");
    refused(features(2, vec![]), "0 values");
    refused(
        features(2, vec![0.0, 1.0, f32::NAN, 1.0]),
        "row 1, column 0 is NaN",
    );
    let rows = Features::new(2, vec![1.0; 6]).unwrap();
    refused(
        Labelled::new(&rows, &[0, 1], 2).map(|_| ()),
        "2 labels for 3 rows",
    );
    refused(Labelled::new(&rows, &[0, 1, 2], 2).map(|_| ()), "row 2 is 2");
    let train = Labelled::new(&rows, &[0, 1, 0], 2).unwrap();
    let wide = Features::new(3, vec![1.0; 6]).unwrap();
    refused(knn(train, &wide, 1, 0.1).map(|_| ()), "3 wide; expected 2");
    let one = Features::new(2, vec![1.0; 2]).unwrap();
    let one = Labelled::new(&one, &[0], 2).unwrap();
    refused(linear(&small(), one, &rows).map(|_| ()), "at least two");
    refused(
        position(&small(), (&rows, &[1.0; 4]), (&rows, &[1.0; 6])).map(|_| ()),
        "4 coordinates of 3 rows",
    );
    refused(
        foreground(&small(), (&rows, &[true; 3]), (&rows, &[true; 3]), 2).map(|_| ()),
        "groups of 2",
    );
}

#[test]
fn settings_out_of_range_are_refused_with_their_key() {
    for (text, key) in [
        ("neighbours = 0", "probe.neighbours"),
        ("temperature = 0.0", "probe.temperature"),
        ("weight_decays = []", "probe.weight_decays"),
        ("weight_decays = [-1.0]", "probe.weight_decays"),
        ("validation_rows = 0", "probe.validation_rows"),
        ("iterations = 0", "probe.iterations"),
    ] {
        let error = toml::from_str::<ProbeConfig>(text)
            .unwrap()
            .validate()
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(&format!("{key} is ")), "{error}");
    }
    ProbeConfig::default().validate().unwrap();
}

#[test]
fn figures_stand_beside_their_anchors() {
    let method = Probe::default()
        .with("knn", 0.5, Unit::Share)
        .with("effective_rank", 12.3456, Unit::Number);
    let pixels = Probe::default().with("knn", 0.351, Unit::Share);
    let lines = table(&[("raw pixels", &pixels), ("method", &method)]);
    assert_eq!(
        lines,
        [
            "                knn  effective_rank",
            "raw pixels  35.10 %               -",
            "method      50.00 %          12.346",
        ]
    );
}
