//! The figures of the task against plain loops over whole tensors.

use super::*;
use crate::data::Tokens;
use crate::evaluate::EvaluationCounter;
use crate::evaluate::tests::{dragon, evaluator};
use crate::tales::{RecallProbe, TalesConfig};
use crate::tokenizer::{ByteTokenizer, CharTokenizer};
use burn::tensor::{Int, Tensor, TensorData};
use burn_dragon_core::api::Pass;
use burn_dragon_core::api::expert::Watch;

const TASK: PredictabilityTask = PredictabilityTask { periods: 5, seed: 3 };

/// Two periods in a window.
const RESET: WindowReading = WindowReading {
    memory: WindowMemory::Reset,
    block_size: 160,
};

/// Keeps what the levels show, as numbers.
#[derive(Default)]
struct Kept(Vec<[Vec<f32>; 2]>);

impl Watch for Kept {
    fn level(&mut self, _: usize, x: &Tensor<4>, y: &Tensor<4>) {
        self.0
            .push([x, y].map(|tensor| tensor.to_data().try_to_vec::<f32>().unwrap()));
    }
}

/// Logits and activities of one text, read at once.
fn read(dragon: &Dragon, text: &[u8]) -> (Vec<Vec<f64>>, Kept) {
    let ids: Vec<i32> = text.iter().map(|&byte| i32::from(byte)).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, text.len()]), &dragon.device());
    let mut kept = Kept::default();
    let pass = Pass {
        watch: Some(&mut kept),
        ..Pass::default()
    };
    let logits = dragon.forward_pass(tokens, pass).into_data().convert::<f64>();
    let logits: Vec<f64> = logits.iter::<f64>().collect();
    (logits.chunks(256).map(<[f64]>::to_vec).collect(), kept)
}

fn nats(row: &[f64], target: u8) -> f64 {
    row.iter().map(|logit| logit.exp()).sum::<f64>().ln() - row[usize::from(target)]
}

/// Share of numbers above 0 at a letter, among some neurons of each head.
fn share(kept: &[f32], heads: usize, letters: usize, letter: usize, neurons: Range<usize>) -> f64 {
    let each = kept.len() / heads / letters;
    let mut active = 0;
    for head in 0..heads {
        let row = &kept[(head * letters + letter) * each..][..each];
        active += row[neurons.clone()].iter().filter(|value| **value > 0.0).count();
    }
    active as f64 / (heads * neurons.len()) as f64
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a} {b}");
}

/// Mean of the readings' means, and its deviation: all readings have as many letters.
fn over_readings(means: &[f64]) -> (f64, f64) {
    let n = means.len() as f64;
    let mean = means.iter().sum::<f64>() / n;
    let variance = means.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn a_period_is_a_warm_up_and_a_word_eight_times() {
    let text = TASK.text(0..3);
    assert_eq!((text.len(), PredictabilityTask::PERIOD), (3 * 77, 77));
    let mut words = Vec::new();
    for period in text.chunks(77) {
        assert_eq!(&period[..13], WARM_UP);
        let word = &period[13..21];
        assert!(period[13..].chunks(8).all(|occurrence| occurrence == word));
        assert!(word.iter().all(u8::is_ascii_lowercase));
        words.push(word.to_vec());
    }
    assert!(words[0] != words[1] && words[1] != words[2]);
    assert_eq!(TASK.text(1..2), text[77..154]);
    let phases: Vec<_> = (0..154).map(Phase::at).collect();
    let count = |phase| phases.iter().filter(|at| **at == phase).count();
    assert_eq!(Phase::ALL.map(count), [26, 16, 112]);
    assert_eq!(
        (phases[12], phases[13], phases[20], phases[21]),
        (Phase::WarmUp, Phase::First, Phase::First, Phase::Repeats)
    );
}

#[test]
fn the_figures_are_those_of_plain_loops() {
    let dragon = dragon();
    let score = evaluator()
        .predictability(&dragon, &TASK, RESET)
        .unwrap()
        .unwrap();
    assert_eq!((score.readings, score.periods), (3, 6));
    let (heads, levels) = (dragon.config().n_heads, dragon.config().n_levels);
    let neurons = dragon.config().n_neurons / heads;
    // Of each reading: cost, accuracy, x and y by level, in each phase.
    let mut means = vec![vec![Vec::new(); 2 + 2 * levels]; 3];
    let mut slow = Vec::new();
    for reading in 0..3 {
        let text = TASK.text(2 * reading..2 * reading + 2);
        let (logits, kept) = read(&dragon, &text);
        for (phase, means) in Phase::ALL.into_iter().zip(&mut means) {
            let letters: Vec<usize> = (0..154).filter(|&letter| Phase::at(letter) == phase).collect();
            let predicted: Vec<usize> = letters.iter().copied().filter(|&letter| letter > 0).collect();
            let mean = |letters: &[usize], of: &dyn Fn(usize) -> f64| {
                letters.iter().map(|&letter| of(letter)).sum::<f64>() / letters.len() as f64
            };
            means[0].push(mean(&predicted, &|letter| {
                nats(&logits[letter - 1], text[letter]) / LN_2
            }));
            means[1].push(mean(&predicted, &|letter| {
                let row = &logits[letter - 1];
                f64::from(u8::from(
                    row.iter().all(|logit| *logit <= row[usize::from(text[letter])]),
                ))
            }));
            for level in 0..levels {
                for which in 0..2 {
                    let of = |letter| share(&kept.0[level][which], heads, 154, letter, 0..neurons);
                    means[2 + 2 * level + which].push(mean(&letters, &of));
                }
            }
            if phase != Phase::WarmUp {
                let last = neurons / 8 * 7..neurons; // of whole pairs: 32 neurons a head
                slow.push(mean(&letters, &|letter| {
                    share(&kept.0[1][1], heads, 154, letter, last.clone())
                }));
            }
        }
    }
    for (phase, means) in score.phases.iter().zip(&means) {
        let densities = (0..levels).flat_map(|level| [phase.x_density[level], phase.y_density[level]]);
        let given: Vec<Measured> = [phase.bits_per_letter, phase.accuracy]
            .into_iter()
            .chain(densities)
            .collect();
        for (given, means) in given.iter().zip(means) {
            let (mean, error) = over_readings(means);
            near(given.value, mean);
            near(given.standard_error.unwrap(), error);
            assert_eq!(given.n, 3);
        }
    }
    for level in 0..levels {
        let of = |phase: usize| means[phase][3 + 2 * level].iter().sum::<f64>();
        near(score.levels[level].first_to_repeats.unwrap().value, of(1) / of(2));
    }
    let (first, repeats): (Vec<f64>, Vec<f64>) = slow.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
    let expected = first.iter().sum::<f64>() / repeats.iter().sum::<f64>();
    near(
        score.levels[1].by_period[7].first_to_repeats.unwrap().value,
        expected,
    );
    let [from, to] = [7.0, 8.0].map(|k: f64| dragon.config().rope_theta.powf(k / 8.0));
    let slowest = &score.levels[1].by_period[7];
    assert_eq!((slowest.from, slowest.to), (from, to));
    // The curve sums to the phases.
    for (level, curve) in score.y_density_by_letter.iter().enumerate() {
        near(
            curve[13..21].iter().sum::<f64>() / 8.0,
            score.phases[1].y_density[level].value,
        );
    }
}

#[test]
fn the_correlation_is_that_of_cost_and_activity() {
    let dragon = dragon();
    let score = evaluator()
        .predictability(&dragon, &TASK, RESET)
        .unwrap()
        .unwrap();
    let neurons = dragon.config().n_neurons / dragon.config().n_heads;
    let mut found = Vec::new();
    for reading in 0..3 {
        let text = TASK.text(2 * reading..2 * reading + 2);
        let (logits, kept) = read(&dragon, &text);
        let cost: Vec<f64> = (1..154)
            .map(|letter| nats(&logits[letter - 1], text[letter]))
            .collect();
        let heads = dragon.config().n_heads;
        let active: Vec<f64> = (1..154)
            .map(|letter| share(&kept.0[0][1], heads, 154, letter, 0..neurons))
            .collect();
        // The slope of the regression of standardised numbers.
        let standard = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / 153.0;
            let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 153.0).sqrt();
            values
                .iter()
                .map(|value| (value - mean) / deviation)
                .collect::<Vec<_>>()
        };
        let (cost, active) = (standard(&cost), standard(&active));
        found.push(cost.iter().zip(&active).map(|(a, b)| a * b).sum::<f64>() / 153.0);
    }
    let given = score.levels[0].correlation.unwrap();
    let (mean, error) = over_readings(&found);
    near(given.value, mean);
    near(given.standard_error.unwrap(), error);
    assert_eq!(correlation(&[(1.0, 2.0), (1.0, 3.0)]), None);
    near(correlation(&[(1.0, 6.0), (2.0, 4.0), (4.0, 0.0)]).unwrap(), -1.0);
}

#[test]
fn a_memory_that_is_carried_reads_as_one_long_window() {
    let dragon = dragon();
    let task = PredictabilityTask { periods: 16, seed: 1 };
    let carried = WindowReading {
        memory: WindowMemory::Carried,
        block_size: 50,
    };
    let whole = WindowReading {
        memory: WindowMemory::Reset,
        block_size: 8 * 77,
    };
    let [carried, whole] = [carried, whole].map(|reading| {
        evaluator()
            .predictability(&dragon, &task, reading)
            .unwrap()
            .unwrap()
    });
    assert_eq!((carried.readings, whole.readings), (2, 2));
    for (a, b) in carried.phases.iter().zip(&whole.phases) {
        assert!((a.bits_per_letter.value - b.bits_per_letter.value).abs() < 1e-3);
        assert!((a.y_density[1].value - b.y_density[1].value).abs() < 1e-3);
    }
    let sliding = WindowReading {
        memory: WindowMemory::Sliding { window: 30 },
        block_size: 50,
    };
    let sliding = evaluator()
        .predictability(&dragon, &task, sliding)
        .unwrap()
        .unwrap();
    assert_eq!(sliding.y_density_by_letter[1].len(), 77);
    assert_ne!(sliding.phases[2].bits_per_letter, whole.phases[2].bits_per_letter);
}

#[test]
fn a_model_without_the_letters_has_no_figures() {
    let digits = CharTokenizer::train(&[b"0123456789"], true).unwrap();
    let dragon = dragon();
    let score = Evaluator::new(&digits)
        .predictability(&dragon, &TASK, RESET)
        .unwrap();
    assert_eq!(score, None);
}

#[test]
fn bits_per_byte_and_their_error_are_those_of_plain_loops() {
    let dragon = dragon();
    let text = b"Hugo hid the red key under the mill. Then Mira went to the mill for the red key and back.";
    let ids: Vec<u32> = text.iter().map(|&byte| u32::from(byte)).collect();
    let tokens = Tokens {
        ids: ids.into(),
        starts: vec![0, 40],
        bytes: text.len(),
        unknown: Vec::new(),
        counted: None,
    };
    let reading = WindowReading {
        memory: WindowMemory::Reset,
        block_size: 16,
    };
    let counter = EvaluationCounter::default();
    let score = evaluator()
        .counted_by(&counter)
        .score_text(&dragon, &tokens, reading)
        .unwrap();
    let mut windows = Vec::new(); // bits and bytes
    for document in [&text[..40], &text[40..]] {
        for start in (0..document.len() - 1).step_by(16) {
            let window = &document[start..document.len().min(start + 17)];
            let (logits, _) = read(&dragon, &window[..window.len() - 1]);
            let bits = window[1..]
                .iter()
                .zip(&logits)
                .map(|(&target, row)| nats(row, target) / LN_2);
            windows.push((bits.sum::<f64>(), (window.len() - 1) as f64));
        }
    }
    let (bits, bytes) = windows
        .iter()
        .fold((0.0, 0.0), |sum, window| (sum.0 + window.0, sum.1 + window.1));
    let given = score.bits_per_byte.unwrap();
    near(given.value, bits / bytes);
    let m = windows.len() as f64;
    let squares = windows
        .iter()
        .map(|(a, b)| (a - bits / bytes * b) * (a - bits / bytes * b))
        .sum::<f64>();
    near(
        given.standard_error.unwrap(),
        (m / (m - 1.0) * squares).sqrt() / bytes,
    );
    assert_eq!((given.n, score.documents), (windows.len(), 2));
    assert_eq!(
        (score.tokens, score.bytes),
        (text.len() as u64 - 2, text.len() as u64 - 2)
    );
    assert_eq!((counter.read(), counter.of()), (score.tokens, score.tokens));
    // The same figure as the plain evaluation.
    let plain = evaluator().evaluate(&dragon, &tokens, reading, None).unwrap();
    assert_eq!(plain.bits_per_byte, Some(given.value));
}

#[test]
fn a_text_with_unknown_symbols_is_refused() {
    let letters = CharTokenizer::train(&[b"abcdefgh"], true).unwrap();
    let mut tokens = Tokens {
        starts: vec![0],
        ..Tokens::default()
    };
    let text = b"abcXYdef";
    let ids = crate::tokenizer::Tokenizer::encode(&letters, text).unwrap();
    tokens.unknown = crate::tokenizer::Tokenizer::unknown(&letters, text, &ids);
    tokens.ids = ids.into();
    let error = Evaluator::new(&letters)
        .score_text(&dragon(), &tokens, RESET)
        .unwrap_err();
    assert!(
        matches!(error, LanguageError::UnknownSymbols { unknown: 2, first: 3 }),
        "{error}"
    );
}

#[test]
fn the_recall_is_that_of_the_probe_with_tales_as_units() {
    let dragon = dragon();
    let probe = RecallProbe::new(&TalesConfig::default(), 30).unwrap();
    let evaluator = Evaluator::new(&ByteTokenizer);
    let reading = WindowReading {
        memory: WindowMemory::Reset,
        block_size: 300,
    };
    let figure = evaluator.score_recall(&dragon, &probe, reading).unwrap().unwrap();
    let score = evaluator.recall(&dragon, &probe, reading).unwrap().unwrap();
    assert_eq!(
        (figure.accuracy.value, figure.words),
        (score.overall.accuracy, score.overall.count)
    );
    near(figure.chance, score.overall.chance);
    assert_eq!(figure.accuracy.n, 30);
}
