//! Steps against their equations in plain loops, and gradients against differences.

use super::*;
use crate::encoder::memory_use::Order;
use crate::encoder::near::{AtBorder, NearConfig, NearShape};
use crate::encoder::step::{Backbone, StepPass};
use crate::encoder::testing::{check_gradients, close, gradient, numbers, patches, trunk, trunk_config};
use burn_dragon_core::api::structured::StepMode;
use std::collections::BTreeMap;

const GRID: Grid = Grid { height: 2, width: 3 };

/// All keys away from their defaults.
fn config(order: Order) -> CellularConfig {
    CellularConfig {
        near: NearConfig {
            radius: 1,
            shape: NearShape::VonNeumann,
            itself: true,
            border: AtBorder::Mean,
        },
        decay: vec![0.5, 0.9],
        order,
        gains: Gains::Learnt,
        ..CellularConfig::default()
    }
}

const WALK: [StepMode; 3] = [StepMode::Observe, StepMode::Predict, StepMode::Refine];

fn normed(row: &[f64], eps: f64) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
    row.iter().map(|x| (x - mean) / (variance + eps).sqrt()).collect()
}

/// `relu(row W)` with a matrix of so many columns.
fn through(row: &[f64], matrix: &[f32], columns: usize) -> Vec<f64> {
    let column = |c: usize| (0..row.len()).map(move |r| row[r] * f64::from(matrix[r * columns + c]));
    (0..columns).map(|c| column(c).sum::<f64>().max(0.0)).collect()
}

/// Neighbours of a place in a diamond of radius 1, by their distance.
fn neighbours(place: usize) -> Vec<usize> {
    let distance = |other: usize| {
        let [a, b] = [place, other].map(|p| (p / GRID.width, p % GRID.width));
        a.0.abs_diff(b.0) + a.1.abs_diff(b.1)
    };
    (0..GRID.places()).filter(|&other| distance(other) <= 1).collect()
}

/// The stream of one picture after a walk.
fn by_hand(cellular: &Cellular, trunk: &Trunk, v: &[f32]) -> Vec<f32> {
    let sizes = trunk.config();
    let (d, heads, neurons, eps) = (
        sizes.d_model,
        sizes.n_heads,
        sizes.neurons_per_head(),
        sizes.norm_eps,
    );
    let [decoder_x, decoder_y] = [&trunk.decoder_x, &trunk.decoder_y].map(|p| numbers(&p.val()));
    let encoder = numbers(&trunk.encoder.val());
    let table = |table: &Option<Param<Tensor<2>>>| numbers(&table.as_ref().unwrap().val());
    let (modes, q_gains, v_gains) = (
        table(&cellular.modes),
        table(&cellular.query_gains),
        table(&cellular.value_gains),
    );
    let mut c: Vec<Vec<f64>> = v
        .chunks(d)
        .map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect();
    let mut rho = vec![vec![vec![0.0; neurons * d]; c.len()]; heads];
    for mode in WALK {
        let m = mode as usize;
        let w: Vec<Vec<f64>> = c
            .iter()
            .map(|c| (0..d).map(|i| c[i] + f64::from(modes[m * d + i])).collect())
            .collect();
        let mut u = vec![vec![0.0; d]; c.len()];
        for head in 0..heads {
            let part = head * d * neurons..(head + 1) * d * neurons;
            let x: Vec<_> = w
                .iter()
                .map(|w| through(w, &decoder_x[part.clone()], neurons))
                .collect();
            let gained =
                |p: usize, n: usize| x[p][n] * (1.0 + f64::from(q_gains[(m * heads + head) * neurons + n]));
            let value = |p: usize, i: usize| w[p][i] * (1.0 + f64::from(v_gains[m * d + i]));
            let lambda = if mode == StepMode::Predict {
                cellular.config().decay[head]
            } else {
                1.0
            };
            let written: Vec<Vec<f64>> = (0..c.len())
                .map(|p| {
                    let at = |k: usize| lambda * rho[head][p][k] + gained(p, k / d) * value(p, k % d);
                    (0..neurons * d).map(at).collect()
                })
                .collect();
            let memory = match cellular.config().order {
                Order::WriteThenRead => written.clone(),
                Order::ReadThenWrite => rho[head].clone(),
            };
            rho[head] = written;
            for p in 0..c.len() {
                let near = neighbours(p);
                let of = |i: usize| {
                    let read =
                        |n: usize| near.iter().map(|&o| memory[o][n * d + i]).sum::<f64>() * gained(p, n);
                    (0..neurons).map(read).sum::<f64>() / near.len() as f64
                };
                let a = normed(&(0..d).map(of).collect::<Vec<_>>(), eps);
                let gate = through(&a, &decoder_y[part.clone()], neurons);
                for n in 0..neurons {
                    let row = &encoder[(head * neurons + n) * d..][..d];
                    let y = gate[n] * x[p][n];
                    u[p].iter_mut()
                        .zip(row)
                        .for_each(|(u, e)| *u += y * f64::from(*e));
                }
            }
        }
        for (c, (w, u)) in c.iter_mut().zip(w.iter().zip(&u)) {
            let u = normed(u, eps);
            *c = normed(&w.iter().zip(u).map(|(w, u)| w + u).collect::<Vec<_>>(), eps);
        }
    }
    c.into_iter().flatten().map(|x| x as f32).collect()
}

#[test]
fn steps_are_their_equations() {
    let device = Device::flex();
    let trunk = trunk(&device);
    for order in [Order::WriteThenRead, Order::ReadThenWrite] {
        let cellular = Cellular::new(&config(order), &trunk_config(), 5, &device).unwrap();
        let v = patches(1, GRID.places(), 8, 1, &device);
        let expected = by_hand(&cellular, &trunk, &numbers(&v));
        let steps = cellular.steps(&trunk, GRID);
        let mut state = steps.start(v);
        for mode in WALK {
            steps.step(&mut state, mode, StepPass::default()).unwrap();
        }
        close("the stream", &numbers(&state.stream()), &expected, 1e-4);
    }
}

/// What is learnt.
#[derive(Module, Debug)]
struct Learnt {
    cellular: Cellular,
    trunk: Trunk,
}

fn loss(learnt: &Learnt, v: Tensor<4>, whole: bool) -> Tensor<1> {
    let steps = learnt.cellular.steps(&learnt.trunk, GRID);
    let direction = patches(1, GRID.places(), 8, 9, &v.device());
    let mut state = steps.start(v);
    if whole {
        steps.settle(&mut state).unwrap();
    }
    for mode in WALK {
        steps.step(&mut state, mode, StepPass::default()).unwrap();
    }
    (state.stream() * direction).sum()
}

#[test]
fn gradients_through_three_steps_are_differences_in_both_forms() {
    let device = Device::flex();
    for order in [Order::WriteThenRead, Order::ReadThenWrite] {
        let learnt = |device: &Device| Learnt {
            cellular: Cellular::new(&config(order), &trunk_config(), 5, device).unwrap(),
            trunk: trunk(device),
        };
        let v = |device: &Device| patches(1, GRID.places(), 8, 1, device);
        let tracked = device.clone().autodiff();
        let gradients = [false, true].map(|whole| {
            let learnt = learnt(&tracked);
            let found = loss(&learnt, v(&tracked), whole).backward();
            let Learnt { cellular, trunk } = &learnt;
            let table = |table: &Option<Param<Tensor<2>>>| gradient(table.as_ref().unwrap(), &found);
            BTreeMap::from([
                ("cellular.modes".to_string(), table(&cellular.modes)),
                ("cellular.query_gains".to_string(), table(&cellular.query_gains)),
                ("cellular.value_gains".to_string(), table(&cellular.value_gains)),
                ("decoder_x".to_string(), gradient(&trunk.decoder_x, &found)),
                ("decoder_y".to_string(), gradient(&trunk.decoder_y, &found)),
                ("encoder".to_string(), gradient(&trunk.encoder, &found)),
            ])
        });
        for (name, factored) in &gradients[0] {
            close(name, &gradients[1][name], factored, 1e-4);
        }
        check_gradients(&learnt(&device), &gradients[0], |learnt| {
            loss(&learnt, v(&device), false).into_scalar::<f64>()
        });
    }
}
