//! Time of a training step by density, and of its gradient by form, on every backend that is compiled in and present:
//! `cargo bench -p burn_dragon --features train,benchmark[,wgpu|cuda] --bench training [-- cpu|wgpu|cuda]`

#![allow(clippy::unwrap_used, reason = "a bench stops where it fails")]

mod common;

use burn::tensor::{Device, Int, Tensor};
use burn_dragon::api::core::{Dragon, DragonConfig, cross_entropy};
use burn_dragon::api::expert::train::BenchSteps;
use burn_dragon::api::language::{LanguageConfig, LanguageTask, SequenceConfig};
use burn_dragon::api::train::{AdamW, Method, TrainingConfig};
use common::{DENSITIES, devices, dragon, large, tokens};
use criterion::{BenchmarkId, Criterion, Throughput};
use std::hint::black_box;
use std::path::Path;

fn main() {
    let mut criterion = common::criterion();
    for (backend, device) in devices() {
        let device = device.autodiff();
        for density in DENSITIES {
            step(
                &mut criterion,
                backend,
                "small",
                &DragonConfig::small(),
                [2, 256],
                density,
                &device,
            );
        }
        if large() {
            step(
                &mut criterion,
                backend,
                "paper",
                &DragonConfig::paper(),
                [1, 512],
                0.5,
                &device,
            );
        }
        gradient(&mut criterion, backend, &device);
    }
    criterion.final_summary();
}

/// Whole steps on tales: batch, loss with dropout, backward, clip, AdamW.
fn step(
    criterion: &mut Criterion,
    backend: &str,
    name: &str,
    shape: &DragonConfig,
    [lanes, length]: [usize; 2],
    density: f64,
    device: &Device,
) {
    let mut config = LanguageConfig {
        model: shape.clone().into(),
        sequence: SequenceConfig {
            block_size: length,
            ..SequenceConfig::default()
        },
        training: TrainingConfig {
            batch_size: lanes,
            clip_norm: Some(1.0),
            ..TrainingConfig::default()
        },
        optimizer: Method::AdamW(AdamW {
            learning_rate: 1e-7, // the density does not change
            ..AdamW::default()
        })
        .into(),
        ..LanguageConfig::default()
    };
    if let burn_dragon::api::language::SourceConfig::Embedded(tales) = &mut config.dataset.source {
        tales.train_bytes = 100_000;
        tales.validation_tales = 8;
    }
    let task = LanguageTask::new(&config, Path::new("."), device).unwrap();
    let mut dragon = Some(dragon(shape, density, device));
    let mut bench_steps = BenchSteps::new(&task, config.plan(), dragon.as_ref().unwrap()).unwrap();
    let mut group = criterion.benchmark_group(format!("training/step/{backend}"));
    group.throughput(Throughput::Elements((lanes * length) as u64));
    let id = BenchmarkId::new(format!("{name} {lanes}x{length}"), format!("x {density}"));
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            let (after, loss) = bench_steps.step(dragon.take().unwrap()).unwrap();
            dragon = Some(after);
            common::wait(device);
            loss
        });
    });
    group.finish();
}

/// Loss and gradients of one window of 512 tokens, without dropout, through both forms.
fn gradient(criterion: &mut Criterion, backend: &str, device: &Device) {
    let dragon = dragon(&DragonConfig::small(), 0.2, device);
    let window = tokens(1, 513, device);
    let (inputs, targets) = (window.clone().narrow(1, 0, 512), window.narrow(1, 1, 512));
    let mut group = criterion.benchmark_group(format!("training/gradient/{backend}"));
    group.throughput(Throughput::Elements(512));
    for (form, logits) in [
        ("parallel", parallel as fn(&Dragon, Tensor<2, Int>) -> Tensor<3>),
        ("chunked", chunked),
    ] {
        group.bench_function(BenchmarkId::new(form, "x 0.2"), |bencher| {
            bencher.iter(|| {
                let loss = cross_entropy(logits(&dragon, inputs.clone()), targets.clone());
                let gradients = loss.backward();
                black_box(dragon.embed.val().grad(&gradients).unwrap().into_data());
                common::wait(device); // for the gradients of the other weights
            });
        });
    }
    group.finish();
}

fn parallel(dragon: &Dragon, tokens: Tensor<2, Int>) -> Tensor<3> {
    dragon.forward(tokens)
}

fn chunked(dragon: &Dragon, tokens: Tensor<2, Int>) -> Tensor<3> {
    dragon
        .forward_with_state(tokens, dragon.empty_state(1))
        .unwrap()
        .0
}
