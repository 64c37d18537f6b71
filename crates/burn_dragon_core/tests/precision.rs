//! A small training in bf16, compared with the same one in f32.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{derive, load, snapshot};
use burn_dragon_core::api::{DecayConfig, Dragon, DragonConfig, Pass, cross_entropy};
use burn_dragon_kernel::api::Precision;
use std::collections::BTreeMap;

const LANES: usize = 4;
const LENGTH: usize = 24;
const VOCAB: usize = 12;

fn config() -> DragonConfig {
    DragonConfig {
        vocab_size: VOCAB,
        d_model: 24,
        n_heads: 2,
        n_neurons: 192,
        n_levels: 2,
        dropout: 0.1,
        init_std: 0.1,
        decay: Some(DecayConfig::Standard { learnable: true }),
        ..DragonConfig::tiny()
    }
}

/// Two tokens that take turns with a third, their sum; eight texts in all.
fn texts(step: u64) -> Vec<i64> {
    let drawn = |lane: u64, which: u64| (derive(5, "text", step % 2, 2 * lane + which) % VOCAB as u64) as i64;
    let of_lane = |lane: u64| {
        let (a, b) = (drawn(lane, 0), drawn(lane, 1));
        (0..=LENGTH).map(move |t| [a, b, (a + b) % VOCAB as i64][t % 3])
    };
    (0..LANES as u64).flat_map(of_lane).collect()
}

fn tokens(step: u64, shift: i64, device: &Device) -> Tensor<2, Int> {
    let text = texts(step);
    let window = |lane: &[i64]| lane[shift as usize..][..LENGTH].to_vec();
    let data: Vec<i64> = text.chunks_exact(LENGTH + 1).flat_map(window).collect();
    Tensor::from_data(TensorData::new(data, [LANES, LENGTH]), device)
}

/// The losses of 300 steps of gradient descent with momentum, in which the size of a gradient matters.
fn losses(precision: Precision) -> Vec<f64> {
    let device = Device::flex().autodiff();
    let mut dragon = Dragon::new(&config(), 7, &device).unwrap();
    let mut momenta: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    let step = |step: u64| {
        let pass = Pass {
            dropout_seed: Some(derive(3, "dropout", step, 0)),
            precision,
            ..Pass::default()
        };
        let logits = dragon.forward_pass(tokens(step, 0, &device), pass);
        let loss = cross_entropy(logits, tokens(step, 1, &device));
        let found = loss.backward();
        let gradients = BTreeMap::from([
            ("embed", dragon.embed.val().grad(&found).unwrap().into_data()),
            (
                "decoder_x",
                dragon.trunk.decoder_x.val().grad(&found).unwrap().into_data(),
            ),
            (
                "decoder_y",
                dragon.trunk.decoder_y.val().grad(&found).unwrap().into_data(),
            ),
            (
                "encoder",
                dragon.trunk.encoder.val().grad(&found).unwrap().into_data(),
            ),
            ("lm_head", dragon.lm_head.val().grad(&found).unwrap().into_data()),
            (
                "decay",
                dragon
                    .trunk
                    .decay
                    .as_ref()
                    .unwrap()
                    .val()
                    .grad(&found)
                    .unwrap()
                    .into_data(),
            ),
        ]);
        let values = snapshot(&dragon);
        dragon = load(dragon.clone(), |name, shape| {
            let momentum = momenta
                .entry(name.into())
                .or_insert_with(|| vec![0.0; shape.iter().product()]);
            let moved = values[name]
                .iter::<f32>()
                .zip(gradients[name].iter::<f32>())
                .zip(momentum);
            let moved = moved.map(|((value, gradient), momentum)| {
                *momentum = 0.9 * *momentum + gradient;
                value - 0.01 * *momentum
            });
            Some(TensorData::new(moved.collect::<Vec<f32>>(), shape.to_vec()))
        });
        loss.into_scalar::<f64>()
    };
    (0..300).map(step).collect()
}

#[test]
fn three_hundred_steps_in_bf16_learn_what_they_learn_in_f32() {
    let [exact, rounded] = [Precision::F32, Precision::Bf16].map(losses);
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let [all, last] =
        [0..300, 280..300].map(|steps| [&exact, &rounded].map(|losses| mean(&losses[steps.clone()])));
    assert!(
        last[0] < 0.05 * exact[0],
        "f32 learnt nothing: {} to {}",
        exact[0],
        last[0]
    );
    assert!(
        (all[1] - all[0]).abs() < 0.05 * all[0],
        "over all steps: bf16 {}, f32 {}",
        all[1],
        all[0]
    );
    // The last losses are some hundredths. They depend on the order of sums, and so on the processor: by 0.06 among seeds in f32.
    assert!(
        (last[1] - last[0]).abs() < 0.02 * exact[0],
        "in the end: bf16 {}, f32 {}",
        last[1],
        last[0]
    );
    assert_ne!(exact, rounded, "nothing was rounded");
    assert_eq!(
        rounded,
        losses(Precision::Bf16),
        "the same seed gives the same losses"
    );
}
