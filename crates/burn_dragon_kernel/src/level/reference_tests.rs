//! The definition of a level against finite differences.

use super::tests::with_memory;
use super::*;
use crate::mix::mix;
use crate::retention::{Decay, Resets};
use burn::tensor::{DType, Device, TensorData};

/// The definition in f64: along a direction drawn for each input, gradients are what differences of the loss say.
#[test]
fn gradients_of_the_definition_are_differences_of_its_values() {
    let device = Device::flex().autodiff();
    let draws = |shape: [usize; 4], seed: u64, centre: f64| {
        let draw = |index: u64| mix(mix(seed) ^ index) as f64 / u64::MAX as f64 - 0.5 + centre;
        let count = shape.iter().product::<usize>() as u64;
        let data = TensorData::new((0..count).map(draw).collect::<Vec<_>>(), shape);
        Tensor::<4>::from_data(data, (&device, DType::F64))
    };
    let (lanes, heads, tokens, neurons, width) = (2, 3, 9, 6, 5);
    let resets = Resets::new(vec![vec![4], vec![0, 7]]);
    let shapes = [
        [lanes, 1, tokens, width],
        [1, heads, width, neurons],
        [lanes, heads, neurons, width],
        [1, 1, 1, heads],
    ];
    let centres = [0.0, 0.1, 0.0, 0.6];
    let at = |index: usize, by: f64| {
        let value = draws(shapes[index], index as u64, centres[index]);
        value + draws(shapes[index], 50 + index as u64, 0.0) * by
    };
    let loss = |[v, decoder_x, rho, slopes]: &[Tensor<4>; 4], resets: &Resets| {
        let block = |seed| draws([1, heads, width, neurons], seed, 0.0);
        let input = LevelInput {
            v: v.clone(),
            weights: LevelWeights::new(
                decoder_x.clone().squeeze_dim::<3>(0),
                block(30).squeeze_dim::<3>(0),
                block(31).reshape([heads * neurons, width]),
            ),
            rotation: crate::rotation::Frequencies::new(100.0, neurons).rotation(
                &[3],
                tokens,
                DType::F64,
                &device,
            ),
            eps: 1e-5,
            dropout: None,
            precision: Precision::F32,
            retention: Retention {
                decay: Some(Decay::new(slopes.clone().reshape([heads]))),
                resets: resets.clone(),
            },
            credit: Credit::Full,
            reach: Reach::Causal,
            memory: None,
            chunk: None,
            count: false,
        };
        let (u, after) = with_memory(input, rho.clone());
        (u.clone() * draws(u.dims(), 40, 0.0)).sum() + (after.clone() * draws(after.dims(), 41, 0.0)).sum()
    };
    for resets in [Resets::default(), resets] {
        let inputs = [0, 1, 2, 3].map(|index| at(index, 0.0).require_grad());
        let gradients = loss(&inputs, &resets).backward();
        for index in 0..4 {
            let gradient = inputs[index].grad(&gradients).unwrap();
            let direction = draws(shapes[index], 50 + index as u64, 0.0).inner();
            let along = (gradient * direction).sum().into_scalar::<f64>();
            let moved = |by| {
                let mut inputs = inputs.clone();
                inputs[index] = at(index, by);
                loss(&inputs, &resets).into_scalar::<f64>()
            };
            let step = 1e-5;
            let difference = (moved(step) - moved(-step)) / (2.0 * step);
            assert!(
                (along - difference).abs() < 1e-7 * (1.0 + along.abs()),
                "input {index}: {along} is not {difference}"
            );
        }
    }
}
