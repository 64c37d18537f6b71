//! Gradients against finite differences, in f64, through both forms.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{load, snapshot};
use burn_dragon_core::api::{Dragon, DragonConfig, Pass};

const NAMES: [&str; 5] = ["embed", "decoder_x", "decoder_y", "encoder", "lm_head"];

fn config() -> DragonConfig {
    DragonConfig {
        vocab_size: 7,
        d_model: 6,
        n_heads: 2,
        n_neurons: 16,
        n_levels: 2,
        dropout: 0.2,
        init_std: 0.4,
        ..DragonConfig::tiny()
    }
}

fn dragon(device: &Device) -> Dragon {
    let dragon = Dragon::new(&config(), 3, device).unwrap();
    let mut values = snapshot(&dragon);
    load(dragon, |name, _| {
        values.remove(name).map(|data| data.convert_dtype(DType::F64))
    })
}

/// A loss that weighs every logit differently.
fn loss(dragon: &Dragon, form: Form) -> Tensor<1> {
    let device = dragon.device();
    let tokens = Tensor::<2, Int>::from_data([[1, 5, 5, 2, 0], [6, 1, 5, 3, 1]], &device);
    let logits = match form {
        Form::Parallel => dragon.forward(tokens),
        Form::Dropout => dragon.forward_pass(
            tokens,
            Pass {
                dropout_seed: Some(4),
                ..Pass::default()
            },
        ),
        Form::Stepwise => {
            let (first, state) = dragon
                .forward_with_state(tokens.clone().narrow(1, 0, 2), dragon.empty_state(2).autodiff())
                .unwrap();
            let (second, _) = dragon.forward_with_state(tokens.narrow(1, 2, 3), state).unwrap();
            Tensor::cat(vec![first, second], 1)
        }
    };
    let weights: Vec<f64> = (0..70).map(|i| f64::from(i * 37 % 11) / 11.0 - 0.4).collect();
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [2, 5, 7]), (&device, DType::F64));
    (logits * weights).sum()
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Parallel,
    Stepwise,
    Dropout,
}

fn gradient(dragon: &Dragon, name: &str, form: Form) -> Vec<f64> {
    let gradients = loss(dragon, form).backward();
    let data = match name {
        "embed" => dragon.embed.val().grad(&gradients).unwrap().into_data(),
        "decoder_x" => dragon.trunk.decoder_x.val().grad(&gradients).unwrap().into_data(),
        "decoder_y" => dragon.trunk.decoder_y.val().grad(&gradients).unwrap().into_data(),
        "encoder" => dragon.trunk.encoder.val().grad(&gradients).unwrap().into_data(),
        _ => dragon.lm_head.val().grad(&gradients).unwrap().into_data(),
    };
    data.try_to_vec().unwrap()
}

#[test]
fn every_gradient_is_the_slope_of_the_loss() {
    let device = Device::flex().autodiff();
    let dragon = dragon(&device);
    for form in [Form::Parallel, Form::Stepwise, Form::Dropout] {
        for name in NAMES {
            let gradient = gradient(&dragon, name, form);
            for index in (0..gradient.len()).step_by(gradient.len() / 6) {
                let moved = |by: f64| {
                    let changed = load(dragon.clone(), |parameter, shape| {
                        (parameter == name).then(|| {
                            let mut values: Vec<f64> = snapshot(&dragon)[name].clone().try_to_vec().unwrap();
                            values[index] += by;
                            TensorData::new(values, shape.to_vec())
                        })
                    });
                    loss(&changed, form).into_scalar::<f64>()
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                let error = (slope - gradient[index]).abs();
                assert!(
                    error < 1e-6 * slope.abs().max(1.0),
                    "{form:?} {name}[{index}]: {slope} {}",
                    gradient[index]
                );
            }
        }
    }
}

#[test]
fn both_forms_have_the_same_gradients() {
    let dragon = dragon(&Device::flex().autodiff());
    for name in NAMES {
        let (a, b) = (
            gradient(&dragon, name, Form::Parallel),
            gradient(&dragon, name, Form::Stepwise),
        );
        let distance = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(distance < 1e-10, "{name}: {distance:e}");
    }
}
