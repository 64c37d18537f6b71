//! Steps against their equations in plain loops, and gradients against differences.

use super::*;
use crate::encoder::memory_use::Order;
use crate::encoder::step::{Backbone, StepPass};
use crate::encoder::testing::{check_gradients, close, gradient, numbers, patches, trunk_config};
use burn_dragon_core::api::expert::snapshot;
use burn_dragon_core::api::structured::StepMode;
use std::collections::BTreeMap;

const GRID: Grid = Grid { height: 3, width: 5 };
const D: usize = 8;
const WALK: [StepMode; 3] = [StepMode::Observe, StepMode::Predict, StepMode::Refine];

fn config(order: Order) -> PyramidConfig {
    PyramidConfig {
        hubs: 2,
        patch_rank: 3,
        coarse_rank: 4,
        hub_rank: 5,
        value_width: 6,
        decay: BankDecay {
            patch: 0.5,
            coarse: 0.7,
            hub: 0.9,
        },
        order,
        ..PyramidConfig::default()
    }
}

type Rows = Vec<Vec<f64>>;

fn normed(row: &[f64]) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
    row.iter()
        .map(|x| (x - mean) / (variance + 1e-5).sqrt())
        .collect()
}

fn added(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(a, b)| a + b).collect()
}

/// Weights by name.
struct Weights(BTreeMap<String, Vec<f64>>);

impl Weights {
    /// `row W`.
    fn through(&self, row: &[f64], name: &str) -> Vec<f64> {
        let matrix = &self.0[name];
        let columns = matrix.len() / row.len();
        let column = |c: usize| {
            row.iter()
                .enumerate()
                .map(move |(r, x)| x * matrix[r * columns + c])
                .sum()
        };
        (0..columns).map(column).collect()
    }

    fn relu(&self, row: &[f64], name: &str) -> Vec<f64> {
        self.through(row, name).into_iter().map(|x| x.max(0.0)).collect()
    }

    fn softmax(&self, row: &[f64], name: &str) -> Vec<f64> {
        let powers: Vec<f64> = self.through(row, name).into_iter().map(f64::exp).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|x| x / sum).collect()
    }
}

/// Memories of a bank: of each place a matrix, `[r, V]`.
type Memories = Vec<Rows>;

fn empty(places: usize, rank: usize, width: usize) -> Memories {
    vec![vec![vec![0.0; width]; rank]; places]
}

fn write(rho: &mut Rows, gate: f64, query: &[f64], value: &[f64]) {
    for (row, q) in rho.iter_mut().zip(query) {
        row.iter_mut()
            .zip(value)
            .for_each(|(rho, v)| *rho += gate * q * v);
    }
}

fn read(into: &mut [f64], gate: f64, query: &[f64], rho: &Rows) {
    for (row, q) in rho.iter().zip(query) {
        into.iter_mut()
            .zip(row)
            .for_each(|(read, rho)| *read += gate * q * rho);
    }
}

/// Places of a grid within one step in both directions, itself included.
fn near(place: usize, (height, width): (usize, usize)) -> Vec<usize> {
    let is_near = |other: &usize| {
        (place / width).abs_diff(other / width) <= 1 && (place % width).abs_diff(other % width) <= 1
    };
    (0..height * width).filter(is_near).collect()
}

fn cell_of(patch: usize) -> usize {
    patch / 5 / 2 * 3 + patch % 5 / 2
}

/// Streams of the patches and cells of one picture after a walk.
fn by_hand(backbone: &PyramidBackbone, v: &[f32]) -> [Vec<f32>; 2] {
    let config = backbone.config();
    let numbers = |data: burn::tensor::TensorData| data.iter::<f32>().map(f64::from).collect();
    let w = Weights(
        snapshot(backbone)
            .into_iter()
            .map(|(name, data)| (name, numbers(data)))
            .collect(),
    );
    let mut patches: Rows = v
        .chunks(D)
        .map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect();
    let of_cell = |cell: usize| {
        let inside: Vec<usize> = (0..15).filter(|&patch| cell_of(patch) == cell).collect();
        let sum = inside
            .iter()
            .fold(vec![0.0; D], |sum, &patch| added(&sum, &patches[patch]));
        normed(&sum.iter().map(|x| x / inside.len() as f64).collect::<Vec<_>>())
    };
    let mut cells: Rows = (0..6).map(of_cell).collect();
    let width = config.value_width;
    let mut rho = [
        empty(15, config.patch_rank, width),
        empty(6, config.coarse_rank, width),
        empty(config.hubs, config.hub_rank, width),
    ];
    for mode in WALK {
        let embedding = &w.0["modes"][mode as usize * D..][..D];
        let p: Rows = patches.iter().map(|row| added(row, embedding)).collect();
        let g: Rows = cells.iter().map(|row| added(row, embedding)).collect();
        let before = rho.clone();
        if mode == StepMode::Predict {
            for (bank, factor) in
                rho.iter_mut()
                    .zip([config.decay.patch, config.decay.coarse, config.decay.hub])
            {
                bank.iter_mut().flatten().flatten().for_each(|x| *x *= factor);
            }
        }
        for (place, p) in p.iter().enumerate() {
            let value = w.through(p, "value");
            write(&mut rho[0][place], 1.0, &w.relu(p, "patch_query"), &value);
            write(
                &mut rho[1][cell_of(place)],
                1.0,
                &w.relu(p, "patch_coarse_query"),
                &value,
            );
            for (hub, gate) in w.softmax(p, "patch_gates").into_iter().enumerate() {
                write(&mut rho[2][hub], gate, &w.relu(p, "patch_hub_query"), &value);
            }
        }
        for (cell, g) in g.iter().enumerate() {
            let value = w.through(g, "value");
            write(&mut rho[1][cell], 1.0, &w.relu(g, "coarse_query"), &value);
            for (hub, gate) in w.softmax(g, "coarse_gates").into_iter().enumerate() {
                write(&mut rho[2][hub], gate, &w.relu(g, "coarse_hub_query"), &value);
            }
        }
        let memory = if config.order == Order::WriteThenRead {
            &rho
        } else {
            &before
        };
        let updated = |row: &Vec<f64>, q: Vec<f64>, a: Vec<f64>, bank: &str| {
            let y = w.relu(&normed(&a), &format!("{bank}_decoder"));
            let y: Vec<f64> = y.iter().zip(q).map(|(y, q)| y * q).collect();
            normed(&added(row, &normed(&w.through(&y, &format!("{bank}_encoder")))))
        };
        let of_hubs = |a: &mut [f64], row: &[f64], bank: &str| {
            let query = w.relu(row, &format!("{bank}_hub_query"));
            for (hub, gate) in w.softmax(row, &format!("{bank}_gates")).into_iter().enumerate() {
                read(a, gate, &query, &memory[2][hub]);
            }
        };
        let of_patch = |(place, row): (usize, &Vec<f64>)| {
            let (q, mut a) = (w.relu(row, "patch_query"), vec![0.0; width]);
            let near = near(place, (3, 5));
            for &other in &near {
                read(&mut a, 1.0 / near.len() as f64, &q, &memory[0][other]);
            }
            read(
                &mut a,
                1.0,
                &w.relu(row, "patch_coarse_query"),
                &memory[1][cell_of(place)],
            );
            of_hubs(&mut a, row, "patch");
            updated(row, q, a, "patch")
        };
        let of_cell = |(cell, row): (usize, &Vec<f64>)| {
            let (q, mut a) = (w.relu(row, "coarse_query"), vec![0.0; width]);
            let near = near(cell, (2, 3));
            for &other in &near {
                read(&mut a, 1.0 / near.len() as f64, &q, &memory[1][other]);
            }
            of_hubs(&mut a, row, "coarse");
            updated(row, q, a, "coarse")
        };
        patches = p.iter().enumerate().map(of_patch).collect();
        cells = g.iter().enumerate().map(of_cell).collect();
    }
    [patches, cells].map(|rows| rows.into_iter().flatten().map(|x| x as f32).collect())
}

#[test]
fn steps_are_their_equations() {
    let device = Device::flex();
    for order in [Order::WriteThenRead, Order::ReadThenWrite] {
        let backbone = PyramidBackbone::new(&config(order), &trunk_config(), 5, &device).unwrap();
        let v = patches(1, GRID.places(), D, 1, &device);
        let [of_patches, of_cells] = by_hand(&backbone, &numbers(&v));
        let steps = backbone.steps(GRID).unwrap();
        let mut state = steps.start(v);
        for mode in WALK {
            steps.step(&mut state, mode, StepPass::default()).unwrap();
        }
        close("patches", &numbers(&state.stream()), &of_patches, 1e-4);
        let coarse = state.banks().bank("coarse").unwrap().stream.clone().unwrap();
        close("cells", &numbers(&coarse), &of_cells, 1e-4);
    }
}

fn loss(backbone: &PyramidBackbone, device: &Device) -> Tensor<1> {
    let steps = backbone.steps(GRID).unwrap();
    let mut state = steps.start(patches(1, GRID.places(), D, 1, device));
    for mode in WALK {
        steps.step(&mut state, mode, StepPass::default()).unwrap();
    }
    let direction = patches(1, GRID.places(), D, 9, device);
    let summary = steps.summary(&state).unwrap();
    (state.stream() * direction).sum() + summary.powf_scalar(3.0).sum()
}

#[test]
fn gradients_through_three_steps_are_differences() {
    let device = Device::flex();
    for order in [Order::WriteThenRead, Order::ReadThenWrite] {
        let config = PyramidConfig {
            readout: Readout::HubAndCoarse,
            patch_rank: 12, // of a smaller rank a y may be 0, where its norm is steep
            coarse_rank: 12,
            ..config(order)
        };
        let made = |device: &Device| PyramidBackbone::new(&config, &trunk_config(), 5, device).unwrap();
        let tracked = device.clone().autodiff();
        let backbone = made(&tracked);
        let found = loss(&backbone, &tracked).backward();
        let of = |parameter: &Param<Tensor<2>>| gradient(parameter, &found);
        let some = |parameter: &Option<Param<Tensor<2>>>| of(parameter.as_ref().unwrap());
        let gradients = [
            ("patch_query", of(&backbone.patch_query)),
            ("patch_coarse_query", of(&backbone.patch_coarse_query)),
            ("patch_hub_query", of(&backbone.patch_hub_query)),
            ("coarse_query", of(&backbone.coarse_query)),
            ("coarse_hub_query", of(&backbone.coarse_hub_query)),
            ("value", of(&backbone.value)),
            ("patch_decoder", of(&backbone.patch_decoder)),
            ("coarse_decoder", of(&backbone.coarse_decoder)),
            ("patch_encoder", of(&backbone.patch_encoder)),
            ("coarse_encoder", of(&backbone.coarse_encoder)),
            ("patch_gates", some(&backbone.patch_gates)),
            ("coarse_gates", some(&backbone.coarse_gates)),
            ("modes", some(&backbone.modes)),
            ("hub_readout", some(&backbone.hub_readout)),
        ];
        let gradients = gradients
            .map(|(name, gradient)| (name.to_string(), gradient))
            .into();
        check_gradients(&made(&device), &gradients, |backbone| {
            loss(&backbone, &device).into_scalar::<f64>()
        });
    }
}
