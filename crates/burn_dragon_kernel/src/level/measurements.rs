//! Time of levels, by their retention, credit and memory: `cargo test --release -- --ignored what_retention_takes`;
//! and by precision: `what_precisions_take`.

use super::chunked_tests::memory_of;
use super::tests::{Case, leaf, values};
use super::*;
use crate::retention::{Decay, Resets};
use burn::tensor::Device;

/// Time of a level, forward and backward, in milliseconds: the least of several runs, which alternate with the others.
#[test]
#[ignore = "a measurement"]
fn what_retention_takes() {
    let device = Device::flex().autodiff();
    let case = Case {
        lanes: 8,
        heads: 4,
        tokens: 256,
        neurons: 1024,
        width: 128,
        dropout: None,
        apart: false,
        quiet: 0.0,
    };
    let slopes = || Tensor::<1>::from_data([0.25f32, 0.0625, 0.015_625, 0.003_906_25], &device);
    let resets = || Resets::new((0..8).map(|lane| vec![20 + 10 * lane, 120 + 10 * lane]).collect());
    let input = |decay, resets, credit| LevelInput {
        retention: Retention {
            decay: Option::map(decay, Decay::new),
            resets,
        },
        credit,
        ..case.input(&device)
    };
    let (none, full) = (Resets::default, Credit::Full);
    let rho = memory_of(&case, &device);
    let (constant, empty) = (rho.clone().inner(), rho.clone().inner().zeros_like());
    let forms = [
        ("plain", input(None, none(), full), None),
        ("empty constant rho", input(None, none(), full), Some(empty)),
        ("constant rho", input(None, none(), full), Some(constant.clone())),
        ("tracked rho", input(None, none(), full), Some(leaf(rho))),
        ("decay", input(Some(slopes()), none(), full), None),
        ("learnt decay", input(Some(leaf(slopes())), none(), full), None),
        ("resets", input(None, resets(), full), None),
        ("queries", input(None, none(), Credit::Queries), None),
        (
            "constant rho, decay",
            input(Some(slopes()), none(), full),
            Some(constant.clone()),
        ),
        (
            "constant rho, learnt decay",
            input(Some(leaf(slopes())), none(), full),
            Some(constant.clone()),
        ),
        (
            "constant rho, resets",
            input(None, resets(), full),
            Some(constant),
        ),
    ];
    let mut times = vec![Vec::new(); forms.len()];
    for round in 0..20 {
        for ((_, input, rho), times) in forms.iter().zip(&mut times) {
            let started = std::time::Instant::now();
            let u = level(LevelInput {
                memory: rho.clone(),
                ..input.clone()
            })
            .u;
            let found = u.sum().backward();
            values(input.v.grad(&found).unwrap());
            if round > 1 {
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let least: Vec<f64> = times
        .iter()
        .map(|times| times.iter().copied().fold(f64::INFINITY, f64::min))
        .collect();
    for ((what, ..), time) in forms.iter().zip(&least) {
        println!("{what:28} {time:8.1} ms  {:.3}", time / least[0]);
    }
}

/// Time of a level in f32 and in bf16, forward and backward, in milliseconds: the least of several runs in turn, on one
/// thread.
#[test]
#[ignore = "a measurement"]
fn what_precisions_take() {
    let device = Device::flex().autodiff();
    for (tokens, neurons, width, rounds) in [(256, 1024, 128, 300), (512, 8192, 256, 30)] {
        let case = Case {
            lanes: 1,
            heads: 1,
            tokens,
            neurons,
            width,
            dropout: Some(0.1),
            apart: false,
            quiet: 0.0,
        };
        let precisions = [Precision::F32, Precision::Bf16];
        let inputs = precisions.map(|precision| LevelInput {
            precision,
            ..case.input(&device)
        });
        let mut least = [[f64::INFINITY; 2]; 2];
        for _ in 0..rounds {
            for (input, least) in inputs.iter().zip(&mut least) {
                let started = std::time::Instant::now();
                let u = level(input.clone()).u;
                let forward = started.elapsed().as_secs_f64() * 1e3;
                let found = u.sum().backward();
                let both = started.elapsed().as_secs_f64() * 1e3;
                values(input.v.grad(&found).unwrap());
                *least = [least[0].min(forward), least[1].min(both - forward)];
            }
        }
        println!("{tokens} tokens, {neurons} neurons, width {width}: forward, backward");
        for (precision, [forward, backward]) in precisions.iter().zip(least) {
            println!("{precision:5} {forward:8.2} {backward:8.2} ms");
        }
    }
}
