//! `dragon bench kernels`: the parts of a training step, separately.

use super::Bench;
use super::report::{Report, Timing, Work, percent, rate, seconds};
use super::subject::{Room, Subject, batch};
use crate::args::BenchKernelsArgs;
use burn::tensor::{Device, Distribution, Tensor};
use burn_dragon::api::core::{Dragon, DragonConfig, Precision};
use burn_dragon::api::kernel::{Credit, LevelInput, LevelWeights, Reach, Retention, level, norm};
use serde_json::json;
use std::time::Instant;

/// Number of warm-up rounds.
const WARM_UP: usize = 1;

/// One part of the work.
struct Part {
    name: &'static str,
    flops: f64,
    median: f64,
}

pub(super) fn run(bench: &Bench, args: &BenchKernelsArgs) -> anyhow::Result<Report> {
    let device = &bench.selected.device;
    let subject = Subject::new(&args.subject, 0.0, device, |config| {
        let one = DragonConfig {
            n_levels: 1,
            ..config.clone()
        };
        Room {
            bytes: one.cost().training_bytes_unfused(args.batch, args.time), // the products are whole
            tokens: args.batch * args.time,
            flags: "--batch or --time",
        }
    })?;
    let tokens = subject.tokens(args.batch * args.time);
    let stream = stream(&subject.dragon, &tokens, args.batch);
    let (config, units) = (subject.config(), tokens.len() as f64);
    let level_flops = units * level_flops_per_token(config, args.time);

    let input = level_input(&subject.dragon, stream.clone(), device, args.precision);
    let forward = bench.time(WARM_UP, args.steps, || {
        wait(level(input.clone()).u);
        Ok(())
    })?;
    let (both, backward) = tracked(bench, args.steps, &input)?;
    let mut parts = vec![
        Part {
            name: "level forward",
            flops: level_flops,
            median: forward.median(),
        },
        Part {
            name: "level backward",
            flops: 2.0 * level_flops,
            median: backward.median(),
        },
    ];
    parts.extend(products(bench, args, config)?);

    let cost = config.cost();
    Ok(Report {
        bench: "kernels",
        config: config.clone(),
        weights: subject.weights.clone(),
        reads: subject.reads(&format!("{} x {}", args.batch, args.time)),
        activity: subject.activity(&tokens[..args.time]),
        precision: args.precision,
        work: Work {
            unit: "level",
            tokens: units,
            flops: 3.0 * level_flops,
            bytes: cost.training_bytes_moved() as f64 / config.n_levels as f64,
            working_set: 2 * 4 * cost.parameters(), // weights and gradients
        },
        timing: both,
        own: json!({
            "batch": args.batch,
            "time": args.time,
            "parts": parts.iter().map(|part| part.json(bench)).collect::<Vec<_>>(),
        }),
        notes: parts.iter().map(|part| part.line(bench)).collect(),
    })
}

/// The stream that the first level reads, `[B, 1, T, D]`.
fn stream(dragon: &Dragon, tokens: &[u32], lanes: usize) -> Tensor<4> {
    let ids = batch(tokens, lanes, &dragon.device()).reshape([tokens.len()]);
    let width = dragon.config().d_model;
    let rows = norm(dragon.embed.val().select(0, ids), dragon.config().norm_eps); // [B*T, D]
    rows.reshape([lanes, 1, tokens.len() / lanes, width])
}

/// The first level of a window at position 0, with its tensors on `device`.
fn level_input(dragon: &Dragon, v: Tensor<4>, device: &Device, precision: Precision) -> LevelInput {
    let config = dragon.config();
    LevelInput {
        rotation: config
            .frequencies()
            .rotation(&[0], v.dims()[2], v.dtype(), device),
        v,
        weights: LevelWeights::new(
            dragon.trunk.decoder_x.val(),
            dragon.trunk.decoder_y.val(),
            dragon.trunk.encoder.val(),
        ),
        eps: config.norm_eps,
        dropout: None,
        precision,
        retention: Retention::default(),
        credit: Credit::default(),
        reach: Reach::Causal,
        memory: None,
        chunk: None,
        count: false,
    }
}

/// Forward and backward together, and backward alone.
fn tracked(bench: &Bench, rounds: usize, input: &LevelInput) -> anyhow::Result<(Timing, Timing)> {
    let weights = &input.weights;
    let input = LevelInput {
        v: Tensor::from_inner(input.v.clone()).require_grad(),
        weights: LevelWeights::new(
            Tensor::from_inner(weights.decoder_x().clone()).require_grad(),
            Tensor::from_inner(weights.decoder_y().clone()).require_grad(),
            Tensor::from_inner(weights.encoder().clone()).require_grad(),
        ),
        ..input.clone()
    };
    let mut backward = Vec::new();
    let both = bench.time(WARM_UP, rounds, || {
        let sum = level(input.clone()).u.sum();
        bench.sync()?;
        let started = Instant::now();
        let gradients = sum.backward();
        input.v.grad(&gradients).into_iter().for_each(wait);
        backward.push(started.elapsed().as_secs_f64());
        Ok(())
    })?;
    let backward = Timing {
        seconds: backward.split_off(WARM_UP),
        ..Timing::default()
    };
    Ok((both, backward))
}

/// The backend's own products at the sizes of a level, dense and whole.
fn products(bench: &Bench, args: &BenchKernelsArgs, config: &DragonConfig) -> anyhow::Result<Vec<Part>> {
    let (b, t, d) = (args.batch, args.time, config.d_model);
    let (h, n) = (config.n_heads, config.neurons_per_head());
    let draw = |shape: [usize; 4]| {
        Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &bench.selected.device)
    };
    let time = |name, left: Tensor<4>, right: Tensor<4>| -> anyhow::Result<Part> {
        let ([_, _, rows, inner], [_, _, _, columns]) = (left.dims(), right.dims());
        let timing = bench.time(WARM_UP, args.steps, || {
            wait(left.clone().matmul(right.clone()));
            Ok(())
        })?;
        Ok(Part {
            name,
            flops: 2.0 * (b * h * rows * inner * columns) as f64,
            median: timing.median(),
        })
    };
    let rows = draw([b, h, t, n]); // [B, H, T, N]
    Ok(vec![
        time("v decoder_x", draw([b, 1, t, d]), draw([1, h, d, n]))?,
        time("q q^T", rows.clone(), rows.clone().transpose())?,
        time("scores v", draw([b, h, t, t]), draw([b, 1, t, d]))?,
        time("y encoder", rows, draw([1, h, n, d]))?,
    ])
}

/// FLOPs of a level alone: those of all levels, the readout apart.
fn level_flops_per_token(config: &DragonConfig, tokens: usize) -> f64 {
    let flops = |levels| {
        let config = DragonConfig {
            n_levels: levels,
            ..config.clone()
        };
        config.cost().forward_flops_per_token(tokens) as f64
    };
    flops(2) - flops(1)
}

/// Returns when the tensor is computed.
fn wait<const R: usize>(tensor: Tensor<R>) {
    std::hint::black_box(tensor.flatten::<1>(0, R - 1).narrow(0, 0, 1).into_data());
}

impl Part {
    fn share(&self, bench: &Bench) -> f64 {
        self.flops / self.median / bench.machine.flops_per_second
    }

    fn line(&self, bench: &Bench) -> String {
        format!(
            "  {:<16} {:>8}  {}, {} of f32 peak",
            self.name,
            seconds(self.median),
            rate(self.flops / self.median, "FLOP/s"),
            percent(self.share(bench))
        )
    }

    fn json(&self, bench: &Bench) -> serde_json::Value {
        json!({
            "name": self.name,
            "seconds": self.median,
            "flops": self.flops,
            "flops_per_second": self.flops / self.median,
            "peak_share": self.share(bench),
        })
    }
}
