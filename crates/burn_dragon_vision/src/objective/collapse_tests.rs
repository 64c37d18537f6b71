//! A small network trained by invariance, without and with SIGReg.

use super::{SigReg, invariance};
use crate::probe::{Features, deviation, effective_rank};
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, derive};

/// Width of the input and of the embedding.
const WIDTH: usize = 8;

const HIDDEN: usize = 32;

fn normal<const D: usize>(shape: [usize; D], scale: f64, seed: u64, device: &Device) -> Tensor<D> {
    let mut rng = Rng::new(seed);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| (scale * rng.normal()) as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Two views of samples, `[2, N, WIDTH]`: the same in the first column, with noise in the others.
fn views(samples: usize, step: u64, device: &Device) -> Tensor<3> {
    let draw = |purpose, shape, scale| normal::<3>(shape, scale, derive(1, purpose, step, 0), device);
    let content = draw("content", [1, samples, WIDTH], 1.0);
    let noise = draw("noise", [2, samples, WIDTH - 1], 0.5);
    let still = Tensor::zeros([2, samples, 1], device);
    content + Tensor::cat(vec![still, noise], 2)
}

/// A network of two linear layers: its matrices, and their momentum. What is invariant in it is one direction, exactly.
struct Net {
    weights: [Tensor<2>; 2],
    momentum: [Tensor<2>; 2],
}

impl Net {
    fn new(device: &Device) -> Self {
        let shapes = [[WIDTH, HIDDEN], [HIDDEN, WIDTH]];
        let scale = |[rows, _]: [usize; 2]| (1.0 / rows as f64).sqrt();
        Self {
            weights: [0, 1].map(|layer| {
                normal(shapes[layer], scale(shapes[layer]), 9 + layer as u64, device).require_grad()
            }),
            momentum: shapes.map(|shape| Tensor::zeros(shape, &Device::flex())),
        }
    }

    fn embed(&self, x: Tensor<3>) -> Tensor<3> {
        let [views, samples, width] = x.dims();
        let hidden = x
            .reshape([views * samples, width])
            .matmul(self.weights[0].clone());
        hidden
            .matmul(self.weights[1].clone())
            .reshape([views, samples, WIDTH])
    }

    fn step(&mut self, loss: &Tensor<1>, rate: f64) {
        let gradients = loss.backward();
        for (weight, momentum) in self.weights.iter_mut().zip(&mut self.momentum) {
            let gradient = weight.grad(&gradients).unwrap();
            *momentum = momentum.clone() * 0.9 + gradient;
            let next = weight.clone().inner() - momentum.clone() * rate;
            *weight = Tensor::from_inner(next).require_grad();
        }
    }
}

/// Effective rank and deviation of the embedding of new samples.
fn trained(weight: f64) -> (f64, f64) {
    let device = Device::flex().autodiff();
    let sigreg = SigReg {
        directions: 32,
        ..SigReg::default()
    };
    let mut net = Net::new(&device);
    for step in 0..300 {
        let z = net.embed(views(128, step, &device));
        let regular = sigreg.statistic(z.clone(), sigreg.directions(WIDTH, (3, step), &device));
        net.step(&(regular * weight + invariance(z) * (1.0 - weight)), 0.05);
    }
    let z = net.embed(views(256, 1_000_000, &device)).inner();
    let z = Features::from_tensor(z.reshape([512, WIDTH])).unwrap();
    (effective_rank(&z), deviation(&z))
}

#[test]
fn invariance_alone_collapses_and_sigreg_prevents_it() {
    let ((without, narrow), (with, wide)) = (trained(0.0), trained(0.05));
    println!("rank {without} {with}, deviation {narrow} {wide}");
    assert!(without < 1.5, "{without}");
    assert!(with > 0.85 * WIDTH as f64, "{with}");
    assert!((0.6..1.2).contains(&wide), "{narrow} {wide}");
}
