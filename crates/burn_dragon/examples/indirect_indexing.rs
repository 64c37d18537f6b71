//! Indirect indexing: which letter stands so many places before or after another one? (PoPE, arXiv:2509.10534)
//!
//! A string of different letters is followed by one of them and a shift; the answer is the letter at that distance from it. It needs what
//! (the letter) and where (the shift) apart from each other. Strings are drawn anew for every step, and those of the test are
//! others.
//!
//! `cargo run --release --example indirect_indexing -- pope 4000 1`     positions, steps, seed

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon::api::core::{Dragon, DragonConfig, Pass, PopeConfig, Positions};
use burn_dragon::api::expert::core::{Rng, derive};
use burn_dragon::api::expert::train::{GradientSet, ModelOptimizer};
use burn_dragon::api::kernel::cross_entropy;
use burn_dragon::api::train::{AdamW, Method, OptimizerConfig};

const LETTERS: usize = 52;
/// Largest shift, to either side.
const SHIFT: usize = 7;
/// Shortest and longest string.
const LENGTHS: [usize; 2] = [10, 20];
/// Token that fills up shorter strings, at their start.
const FILL: usize = LETTERS + 2 * SHIFT + 1;
const BATCH: usize = 64;
/// Batches of the test.
const TESTS: u64 = 8;

/// Questions with their answers: `[B, T]` tokens, the last two of which are the letter and the shift, and `[B, 1]` answers.
fn questions(seed: u64, device: &Device) -> (Tensor<2, Int>, Tensor<2, Int>) {
    let (mut tokens, mut answers) = (Vec::new(), Vec::new());
    for lane in 0..BATCH as u64 {
        let mut rng = Rng::new(derive(seed, "question", 0, lane));
        let mut below = |end: usize| ((rng.uniform() * end as f64) as usize).min(end - 1);
        let length = LENGTHS[0] + below(LENGTHS[1] - LENGTHS[0] + 1);
        let mut letters: Vec<usize> = (0..LETTERS).collect();
        (0..length).for_each(|i| letters.swap(i, i + below(LETTERS - i)));
        let (from, to) = loop {
            let (from, to) = (below(length), below(length));
            if from != to && from.abs_diff(to) <= SHIFT {
                break (from, to);
            }
        };
        let shift = LETTERS + SHIFT + to - from;
        tokens.extend(std::iter::repeat_n(FILL, LENGTHS[1] - length));
        tokens.extend(&letters[..length]);
        tokens.extend([letters[from], shift]);
        answers.push(letters[to]);
    }
    let tensor = |values: Vec<usize>, width| {
        let values: Vec<i32> = values.into_iter().map(|token| token as i32).collect();
        Tensor::from_data(TensorData::new(values, [BATCH, width]), device)
    };
    (tensor(tokens, LENGTHS[1] + 2), tensor(answers, 1))
}

/// Logits of the token after the question, `[B, 1, V]`.
fn answered(dragon: &Dragon, tokens: Tensor<2, Int>, dropout_seed: Option<u64>) -> Tensor<3> {
    let pass = Pass {
        dropout_seed,
        ..Pass::default()
    };
    dragon.forward_pass(tokens, pass).narrow(1, LENGTHS[1] + 1, 1)
}

/// Share of right answers to questions that training does not have.
fn accuracy(dragon: &Dragon) -> f64 {
    let right = (0..TESTS).map(|batch| {
        let (tokens, answers) = questions(derive(1, "test", 0, batch), &dragon.device());
        let said = answered(dragon, tokens, None).argmax(2).reshape([BATCH, 1]);
        f64::from(said.equal(answers).int().sum().into_scalar::<i32>())
    });
    right.sum::<f64>() / (TESTS * BATCH as u64) as f64
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |index: usize, default: &str| words.get(index).map_or(default.to_string(), String::clone);
    let (name, steps, seed): (_, u64, u64) =
        (word(0, "rotary"), word(1, "100").parse()?, word(2, "1").parse()?);
    let positions = match name.as_str() {
        "rotary" => Positions::Rotary,
        "pope" => Positions::Pope(PopeConfig::default()),
        "none" => Positions::None,
        other => return Err(format!("positions `{other}`; expected rotary, pope or none").into()),
    };
    let config = DragonConfig {
        vocab_size: FILL + 1,
        d_model: 64,
        n_neurons: 1024,
        n_levels: 4,
        dropout: 0.0,
        rope_theta: 10_000.0,
        positions,
        ..DragonConfig::tiny()
    };
    let device = Device::flex();
    let mut dragon = Dragon::new(&config, seed, &device.clone().autodiff())?;
    let method = Method::AdamW(AdamW {
        learning_rate: 1e-3,
        weight_decay: 0.01,
        ..AdamW::default()
    });
    let optimizer = OptimizerConfig {
        method,
        ..OptimizerConfig::default()
    };
    let mut optimizer = ModelOptimizer::new(&optimizer, &dragon)?;
    for step in 1..=steps {
        let (tokens, answers) = questions(derive(seed, "training", step, 0), &device);
        let loss = cross_entropy(answered(&dragon, tokens, None), answers).mean();
        let mut gradients = GradientSet::default();
        gradients.add(loss.backward(), &dragon);
        let norm = gradients.norm();
        let warmth = (step as f64 / 100.0).min(1.0) * (1.0 - 0.9 * step as f64 / steps as f64);
        dragon = optimizer.step(dragon, gradients.clip(norm, 1.0), warmth);
        if step % (steps / 10).max(1) == 0 || step == steps {
            let loss = loss.into_scalar::<f32>();
            let right = 100.0 * accuracy(&dragon);
            println!("{name}, step {step}: loss {loss:.3}, {right:.1} % of unseen questions right");
        }
    }
    Ok(())
}
