//! The official PyTorch model's numbers: logits, loss, gradients, three AdamW steps, greedy text.
//!
//! The fixtures are found through `DRAGON_FIXTURES`; where they are absent the tests print that they skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{load, snapshot};
use burn_dragon_core::api::{Decoder, Density, DensityProbe, Dragon, DragonConfig, Pass, cross_entropy};
use burn_dragon_exchange::api::expert::NAMES;
use burn_dragon_exchange::api::{OfficialConfig, read_safetensors};
use burn_dragon_train::api::OptimizerConfig;
use burn_dragon_train::api::expert::{GradientSet, ModelOptimizer};
use safetensors::SafeTensors;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Meta {
    loss_f32: f64,
    loss_trajectory: Vec<f64>,
    logit_scale: f64,
    x_density: Vec<f64>,
    y_density: Vec<f64>,
}

struct Fixture {
    folder: PathBuf,
    meta: Meta,
    expected: Vec<u8>,
}

impl Fixture {
    /// The fixture of that name, or a line that says it was skipped.
    fn find(name: &str) -> Option<Self> {
        let Some(root) = std::env::var_os("DRAGON_FIXTURES") else {
            println!(
                "skipped: DRAGON_FIXTURES is not set, so {name} was not compared with the official model"
            );
            return None;
        };
        let folder = PathBuf::from(root).join(name);
        let meta = std::fs::read_to_string(folder.join("meta.json")).expect("meta.json");
        let expected = std::fs::read(folder.join("expected.safetensors")).expect("expected.safetensors");
        Some(Self {
            meta: serde_json::from_str(&meta).expect("meta"),
            folder,
            expected,
        })
    }

    fn dragon(&self, device: &Device) -> Dragon {
        let config = OfficialConfig::read(&self.folder.join("meta.json")).unwrap();
        let path = self.folder.join("weights.safetensors");
        let model = read_safetensors(&path, Some(&config)).unwrap().model;
        let config: DragonConfig = model.config.read().unwrap();
        let mut weights = model.into_floats();
        Dragon::from_weights(&config, device, |name, _| weights.remove(name).unwrap()).unwrap()
    }

    fn floats(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.expected).unwrap();
        let view = file.tensor(name).unwrap_or_else(|_| panic!("{name}"));
        match view.dtype() {
            safetensors::Dtype::F64 => view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b))
                .collect(),
            _ => view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from(f32::from_le_bytes(*b)))
                .collect(),
        }
    }

    fn tokens(&self, name: &str, device: &Device) -> Tensor<2, Int> {
        let file = SafeTensors::deserialize(&self.expected).unwrap();
        let view = file.tensor(name).unwrap();
        let values: Vec<i32> = view
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|b| i32::from_le_bytes(*b))
            .collect();
        Tensor::from_data(
            TensorData::new(values, [view.shape()[0], view.shape()[1]]),
            device,
        )
    }
}

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().unwrap()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Norm of the difference over the norm of what was expected.
fn relative(given: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(given.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    norm(&mut given.iter().zip(expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied())
}

/// Logits through both forms, and in pieces.
fn check_logits(fixture: &Fixture, device: &Device) {
    let dragon = fixture.dragon(device);
    let tokens = fixture.tokens("tokens", device);
    let [lanes, length] = tokens.dims();
    let tolerance = 2e-5 * fixture.meta.logit_scale;
    for oracle in ["logits", "logits_f64"] {
        let expected = fixture.floats(oracle);
        let parallel = largest_difference(&values(dragon.forward(tokens.clone())), &expected);
        assert!(parallel < tolerance, "parallel against {oracle}: {parallel:e}");
        for step in [1, 5, length] {
            let (mut state, mut parts, mut start) = (dragon.empty_state(lanes), Vec::new(), 0);
            while start < length {
                let piece = tokens.clone().narrow(1, start, step.min(length - start));
                let (logits, next) = dragon.forward_with_state(piece, state).unwrap();
                parts.push(logits);
                (state, start) = (next, start + step);
            }
            let recurrent = largest_difference(&values(Tensor::cat(parts, 1)), &expected);
            assert!(
                recurrent < tolerance,
                "recurrent by {step} against {oracle}: {recurrent:e}"
            );
        }
    }
}

fn check_loss_and_gradients(fixture: &Fixture, device: &Device) {
    let device = device.clone().autodiff();
    let dragon = fixture.dragon(&device);
    let logits = dragon.forward(fixture.tokens("tokens", &device));
    let loss = cross_entropy(logits, fixture.tokens("targets", &device));
    let value = loss.clone().into_scalar::<f64>();
    let error = (value / fixture.meta.loss_f32 - 1.0).abs();
    assert!(error < 1e-5, "loss {value}, official {}", fixture.meta.loss_f32);
    let mut gradients = GradientSet::default();
    gradients.add(loss.backward(), &dragon);
    for (theirs, ours) in NAMES {
        let given = values(gradients.take(ours).unwrap());
        let error = relative(&given, &fixture.floats(&format!("grad.{theirs}")));
        assert!(error < 1e-4, "gradient of {ours}: {error:e}");
    }
}

/// The same gradients with the same weights in f64: only the fixture's own rounding is left.
fn check_gradients_in_f64(fixture: &Fixture) {
    let device = Device::flex().autodiff();
    let dragon = fixture.dragon(&device);
    let mut weights = snapshot(&dragon);
    let dragon = load(dragon, |name, _| {
        weights.remove(name).map(|data| data.convert_dtype(DType::F64))
    });
    let logits = dragon.forward(fixture.tokens("tokens", &device));
    let loss = cross_entropy(logits, fixture.tokens("targets", &device));
    let mut gradients = GradientSet::default();
    gradients.add(loss.backward(), &dragon);
    for (theirs, ours) in NAMES {
        let given = values(gradients.take(ours).unwrap());
        let error = relative(&given, &fixture.floats(&format!("grad.{theirs}")));
        assert!(error < 2e-6, "f64 gradient of {ours}: {error:e}");
    }
}

fn check_adamw(fixture: &Fixture, device: &Device) {
    let device = device.clone().autodiff();
    let mut dragon = fixture.dragon(&device);
    let mut optimizer = ModelOptimizer::new(&OptimizerConfig::default(), &dragon).unwrap();
    let loss = |dragon: &Dragon| {
        cross_entropy(
            dragon.forward(fixture.tokens("tokens", &device)),
            fixture.tokens("targets", &device),
        )
    };
    for &official in &fixture.meta.loss_trajectory[..3] {
        let value = loss(&dragon);
        let error = (value.clone().into_scalar::<f64>() / official - 1.0).abs();
        assert!(error < 1e-4, "loss differs by {error:e} from {official}");
        let mut gradients = GradientSet::default();
        gradients.add(value.backward(), &dragon);
        dragon = optimizer.step(dragon, gradients, 1.0);
    }
    let last = loss(&dragon).into_scalar::<f64>();
    assert!(
        (last / fixture.meta.loss_trajectory[3] - 1.0).abs() < 1e-4,
        "loss after three steps: {last}"
    );
    let weights = snapshot(&dragon);
    for (theirs, ours) in NAMES {
        let given: Vec<f64> = weights[ours].clone().convert::<f64>().try_to_vec().unwrap();
        let error = relative(&given, &fixture.floats(&format!("after.{theirs}")));
        assert!(error < 1e-4, "{ours} after three steps: {error:e}");
    }
}

fn argmax(logits: &[f64]) -> i32 {
    let mut best = 0;
    for (index, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = index;
        }
    }
    best as i32
}

/// Greedy text by re-reading everything, by carrying state, and by the decoder.
fn check_greedy(fixture: &Fixture, device: &Device) {
    let dragon = fixture.dragon(device);
    let vocab = dragon.config().vocab_size;
    let greedy = fixture.tokens("greedy", device);
    let expected: Vec<i32> = greedy.clone().into_data().convert::<i32>().try_to_vec().unwrap();
    let one = |token: i32| Tensor::<2, Int>::from_data([[token]], device);

    let mut text = expected[..8].to_vec();
    let (mut logits, mut state) = dragon
        .forward_with_state(greedy.narrow(1, 0, 8), dragon.empty_state(1))
        .unwrap();
    while text.len() < expected.len() {
        let row = values(logits);
        text.push(argmax(&row[row.len() - vocab..]));
        (logits, state) = dragon
            .forward_with_state(one(text[text.len() - 1]), state)
            .unwrap();
    }
    assert_eq!(text, expected, "with carried state");

    let prompt: Vec<u32> = expected[..8].iter().map(|&token| token as u32).collect();
    let likeliest = |logits: &[f32]| argmax(&logits.iter().copied().map(f64::from).collect::<Vec<_>>());
    let mut decoder = Decoder::new(&dragon, 1);
    let mut text = expected[..8].to_vec();
    text.push(likeliest(decoder.read(&prompt).unwrap()));
    while text.len() < expected.len() {
        text.push(likeliest(decoder.step(&[text[text.len() - 1] as u32]).unwrap()));
    }
    assert_eq!(text, expected, "by the decoder");

    let mut text = expected[..8].to_vec();
    while text.len() < expected.len() {
        let whole = Tensor::<2, Int>::from_data(TensorData::new(text.clone(), [1, text.len()]), device);
        let row = values(dragon.forward(whole));
        text.push(argmax(&row[row.len() - vocab..]));
    }
    assert_eq!(text, expected, "reading everything again");
}

fn check_density(fixture: &Fixture, device: &Device) {
    for watched in [true, false] {
        let mut probe = DensityProbe::default();
        let pass = match watched {
            true => Pass {
                watch: Some(&mut probe),
                ..Pass::default()
            },
            false => Pass {
                density: Some(&mut probe),
                ..Pass::default()
            },
        };
        fixture
            .dragon(device)
            .forward_pass(fixture.tokens("tokens", device), pass);
        compare_density(fixture, &probe.density());
    }
}

fn compare_density(fixture: &Fixture, density: &Density) {
    let pairs = [
        (&density.x, &fixture.meta.x_density),
        (&density.y, &fixture.meta.y_density),
    ];
    for (given, official) in pairs {
        assert!(
            largest_difference(given, official) < 1e-3,
            "{given:?} {official:?}"
        );
    }
}

macro_rules! compare {
    ($($name:ident),*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn logits_of_both_forms() {
                Fixture::find(stringify!($name)).iter().for_each(|it| check_logits(it, &Device::flex()));
            }

            #[test]
            fn loss_and_every_gradient() {
                Fixture::find(stringify!($name)).iter().for_each(|it| check_loss_and_gradients(it, &Device::flex()));
                Fixture::find(stringify!($name)).iter().for_each(check_gradients_in_f64);
            }

            #[test]
            fn three_steps_of_adamw() {
                Fixture::find(stringify!($name)).iter().for_each(|it| check_adamw(it, &Device::flex()));
            }

            #[test]
            fn greedy_text_of_both_forms() {
                Fixture::find(stringify!($name)).iter().for_each(|it| check_greedy(it, &Device::flex()));
            }

            #[test]
            fn density_of_every_level() {
                Fixture::find(stringify!($name)).iter().for_each(|it| check_density(it, &Device::flex()));
            }
        }
    )*};
}

compare!(tiny, small, paper_init);

#[test]
fn the_official_configuration_reads_as_ours() {
    let Some(fixture) = Fixture::find("small") else {
        return;
    };
    let config = OfficialConfig::read(&fixture.folder.join("meta.json"))
        .unwrap()
        .to_dragon();
    let expected = DragonConfig {
        vocab_size: 256,
        d_model: 64,
        n_heads: 4,
        n_neurons: 1024,
        n_levels: 6,
        dropout: 0.0,
        ..DragonConfig::tiny()
    };
    assert_eq!(config, expected);
}

/// The same numbers on a GPU, or on lavapipe where there is none: `cargo test --features wgpu`.
#[cfg(feature = "wgpu")]
#[test]
fn small_on_wgpu() {
    check_small_on(burn_dragon_core::api::Backend::Wgpu);
}

/// The same numbers on an NVIDIA GPU: `cargo test --features cuda`.
#[cfg(feature = "cuda")]
#[test]
fn small_on_cuda() {
    check_small_on(burn_dragon_core::api::Backend::Cuda);
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn check_small_on(backend: burn_dragon_core::api::Backend) {
    let device = backend.select().expect("a device of the backend").device;
    let Some(fixture) = Fixture::find("small") else {
        return;
    };
    check_logits(&fixture, &device);
    check_loss_and_gradients(&fixture, &device);
    check_adamw(&fixture, &device);
    check_greedy(&fixture, &device);
}
