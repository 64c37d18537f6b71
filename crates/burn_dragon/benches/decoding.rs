//! Time of a decoded token by density, and of a prompt by form, on every backend that is compiled in and present:
//! `cargo bench -p burn_dragon --features benchmark[,wgpu|cuda] --bench decoding [-- cpu|wgpu|cuda]`

#![allow(clippy::unwrap_used, reason = "a bench stops where it fails")]

mod common;

use burn::tensor::{Device, Int, Tensor};
use burn_dragon::api::core::{Decoder, Dragon, DragonConfig};
use common::{DENSITIES, devices, dragon, large, tokens};
use criterion::{BenchmarkId, Criterion, Throughput};
use std::hint::black_box;

/// Number of tokens that are read before the measurement.
const CONTEXT: usize = 64;

fn main() {
    let mut criterion = common::criterion();
    let wide = DragonConfig {
        n_neurons: 8192,
        ..DragonConfig::small()
    };
    for (backend, device) in devices() {
        for density in DENSITIES {
            token(&mut criterion, backend, "n8192", &wide, density, &device);
        }
        if large() {
            token(
                &mut criterion,
                backend,
                "paper",
                &DragonConfig::paper(),
                0.5,
                &device,
            );
        }
        prompt(&mut criterion, backend, &device);
    }
    criterion.final_summary();
}

/// One more token with carried state.
fn token(
    criterion: &mut Criterion,
    backend: &str,
    name: &str,
    shape: &DragonConfig,
    density: f64,
    device: &Device,
) {
    let dragon = dragon(shape, density, device);
    let all = tokens(1, 2 * CONTEXT, device).into_data().convert::<u32>();
    let all = all.try_to_vec::<u32>().unwrap();
    let mut decoder = Decoder::new(&dragon, 1);
    decoder.read(&all[..CONTEXT]).unwrap();
    let mut next = all[CONTEXT..].iter().cycle();
    let mut group = criterion.benchmark_group(format!("decoding/token/{backend}"));
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new(name, format!("x {density}")), |bencher| {
        bencher.iter(|| {
            let token = *next.next().unwrap();
            let logits = decoder.step(&[token]).unwrap().len();
            common::wait(device); // the state is written after the logits are read back
            black_box(logits)
        });
    });
    group.finish();
}

/// Reads a prompt.
type Form = fn(&Dragon, Tensor<2, Int>);

/// A prompt, read in each form; a shorter one is read token by token.
fn prompt(criterion: &mut Criterion, backend: &str, device: &Device) {
    let dragon = dragon(&DragonConfig::small(), 0.2, device);
    let mut group = criterion.benchmark_group(format!("decoding/prompt/{backend}"));
    let forms: [(&str, usize, Form); 3] = [
        ("parallel", 1024, parallel),
        ("chunked", 1024, chunked),
        ("recurrent", 32, recurrent),
    ];
    for (form, length, read) in forms {
        let prompt = tokens(1, length, device);
        group.throughput(Throughput::Elements(length as u64));
        group.bench_function(
            BenchmarkId::new(form, format!("{length} tokens, x 0.2")),
            |bencher| {
                bencher.iter(|| {
                    read(&dragon, prompt.clone());
                    common::wait(device);
                });
            },
        );
    }
    group.finish();
}

fn parallel(dragon: &Dragon, prompt: Tensor<2, Int>) {
    last(dragon.forward(prompt));
}

fn chunked(dragon: &Dragon, prompt: Tensor<2, Int>) {
    last(
        dragon
            .forward_with_state(prompt, dragon.empty_state(1))
            .unwrap()
            .0,
    );
}

fn recurrent(dragon: &Dragon, prompt: Tensor<2, Int>) {
    let mut state = dragon.empty_state(1);
    for token in prompt.split(1, 1) {
        let (logits, next) = dragon.forward_with_state(token, state).unwrap();
        last(logits);
        state = next;
    }
}

/// Reads the last logits back.
fn last(logits: Tensor<3>) {
    let last = logits.dims()[1] - 1;
    black_box(logits.narrow(1, last, 1).into_data());
}
