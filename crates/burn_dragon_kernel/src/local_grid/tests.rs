//! The definition against loops, the pass over the memories against the definition, and what is true of a grid.

use super::*;
use crate::causal_read::Credit;
use crate::full_read::full_read;
use crate::retention::Decay;
use crate::testing::{close, numbers, values};
use burn::tensor::{Device, TensorData};

/// B, H, rows and columns of the grid, N, D.
pub(super) type Sizes = [usize; 6];

const SIZES: [Sizes; 5] = [
    [1, 1, 1, 1, 1, 1],
    [2, 3, 3, 4, 5, 7],
    [1, 2, 5, 3, 9, 16],
    [1, 1, 7, 7, 3, 33],
    [2, 1, 1, 6, 4, 20],
];

fn neighbourhoods() -> [Neighbourhood; 6] {
    [
        Neighbourhood::moore(1),
        Neighbourhood::von_neumann(1).without_itself(),
        Neighbourhood::von_neumann(2).mean(),
        Neighbourhood::moore(2).without_itself().mean(),
        Neighbourhood::moore(0),
        Neighbourhood::moore(usize::MAX),
    ]
}

/// Small sizes with every neighbourhood, and one of several bands of rows and chunks of neurons.
pub(super) fn cases() -> Vec<(Sizes, Neighbourhood)> {
    let all = |sizes| neighbourhoods().into_iter().map(move |near| (sizes, near));
    let large = [1, 2, 6, 7, 24, 200];
    let mut cases: Vec<_> = SIZES.into_iter().flat_map(all).collect();
    cases.push((large, Neighbourhood::moore(1).mean()));
    cases.push((large, Neighbourhood::von_neumann(2).without_itself()));
    cases
}

/// A step with about half of the queries 0, as after a relu. The values are those of each head, or shared by them.
pub(super) fn input(
    sizes: Sizes,
    neighbourhood: Neighbourhood,
    shared: bool,
    device: &Device,
) -> LocalGridInput {
    let [lanes, heads, height, width, neurons, columns] = sizes;
    let places = height * width;
    let of_heads = if shared { 1 } else { heads };
    LocalGridInput {
        query: numbers([lanes, heads, places, neurons], 1, 2.0, device).clamp_min(0.0),
        value: numbers([lanes, of_heads, places, columns], 2, 2.0, device),
        rho: numbers([lanes, heads, places, neurons, columns], 3, 2.0, device),
        grid: Grid::new(height, width),
        neighbourhood,
        decay: Some(decay(heads, device)),
        order: WriteOrder::DecayThenWrite,
    }
}

fn decay(heads: usize, device: &Device) -> Decay {
    let slopes: Vec<f32> = (0..heads).map(|head| 0.1 + 0.3 * head as f32).collect();
    Decay::new(Tensor::from_data(TensorData::new(slopes, [heads]), device))
}

/// A step by its definition.
pub(super) fn by_definition(input: LocalGridInput) -> LocalGridOutput {
    let LocalGridInput {
        query,
        value,
        rho,
        grid,
        neighbourhood,
        decay,
        order,
    } = input;
    LocalGridOutput {
        read: reference::local_grid_read(query.clone(), rho.clone(), grid, &neighbourhood),
        memory: reference::local_grid_write(query, value, rho, decay.as_ref(), order),
    }
}

/// A step in loops over pairs of places, in f64: what every place reads, and the memories.
fn in_loops(input: &LocalGridInput, slopes: &[f64]) -> (Vec<f32>, Vec<f32>) {
    let [lanes, heads, places, neurons, columns] = input.rho.dims();
    let of_heads = input.value.dims()[1];
    let [query, value] = [values(input.query.clone()), values(input.value.clone())];
    let rho = values(input.rho.clone());
    let (mut read, mut memory) = (Vec::new(), Vec::new());
    for plane in 0..lanes * heads {
        let fade = (-slopes[plane % heads]).exp();
        let value_plane = plane / heads * of_heads + if of_heads == 1 { 0 } else { plane % heads };
        let cell = |place: usize, neuron: usize, column: usize| {
            f64::from(rho[((plane * places + place) * neurons + neuron) * columns + column])
        };
        let q = |place: usize, neuron: usize| f64::from(query[(plane * places + place) * neurons + neuron]);
        for place in 0..places {
            let near: Vec<usize> = (0..places)
                .filter(|&other| is_near(input, place, other))
                .collect();
            let is_mean = input.neighbourhood.border == Border::Mean;
            let count = if is_mean { near.len().max(1) as f64 } else { 1.0 };
            for column in 0..columns {
                let of = |other: &usize| {
                    (0..neurons)
                        .map(|n| q(place, n) * cell(*other, n, column))
                        .sum::<f64>()
                };
                read.push((near.iter().map(of).sum::<f64>() / count) as f32);
            }
            for neuron in 0..neurons {
                for column in 0..columns {
                    let v = value[(value_plane * places + place) * columns + column];
                    let (old, written) = (cell(place, neuron, column), q(place, neuron) * f64::from(v));
                    memory.push(match input.order {
                        WriteOrder::DecayThenWrite => fade * old + written,
                        WriteOrder::WriteThenDecay => fade * (old + written),
                    } as f32);
                }
            }
        }
    }
    (read, memory)
}

fn is_near(input: &LocalGridInput, place: usize, other: usize) -> bool {
    let width = input.grid.width;
    let dy = (place / width).abs_diff(other / width);
    let dx = (place % width).abs_diff(other % width);
    let Neighbourhood {
        radius,
        shape,
        itself,
        ..
    } = input.neighbourhood;
    let within = match shape {
        NeighbourShape::Moore => dy <= radius && dx <= radius,
        NeighbourShape::VonNeumann => dy + dx <= radius,
    };
    within && (itself || place != other)
}

#[test]
fn the_definition_is_that_of_loops_over_pairs_of_places() {
    let device = Device::flex();
    for sizes in &SIZES {
        for neighbourhood in neighbourhoods() {
            for order in [WriteOrder::DecayThenWrite, WriteOrder::WriteThenDecay] {
                let input = LocalGridInput {
                    order,
                    ..input(*sizes, neighbourhood, sizes[0] == 2, &device)
                };
                let slopes = input
                    .decay
                    .as_ref()
                    .map(|decay| decay.numbers().to_vec())
                    .unwrap();
                let (read, memory) = in_loops(&input, &slopes);
                let output = by_definition(input);
                close("read", &values(output.read), &read);
                close("memory", &values(output.memory), &memory);
            }
        }
    }
}

#[test]
fn values_are_those_of_the_definition_in_place_or_not() {
    let device = Device::flex();
    for (sizes, neighbourhood) in cases() {
        for (order, shared) in [
            (WriteOrder::DecayThenWrite, true),
            (WriteOrder::WriteThenDecay, false),
        ] {
            let make = || LocalGridInput {
                order,
                ..input(sizes, neighbourhood, shared, &device)
            };
            let expected = by_definition(make());
            let [read, memory] = [values(expected.read), values(expected.memory)];
            let given = make();
            let before = values(given.rho.clone());
            let copied = local_grid(given.clone());
            assert_eq!(
                values(given.rho.clone()),
                before,
                "what others hold stays as it was"
            );
            drop(given);
            let in_place = local_grid(make());
            close("read", &values(copied.read.clone()), &read);
            close("memory", &values(copied.memory.clone()), &memory);
            assert_eq!(values(in_place.read), values(copied.read));
            assert_eq!(values(in_place.memory), values(copied.memory));
        }
    }
}

/// Gradients of query, value, memory and slopes, where both outputs of two steps count in the loss.
pub(super) fn gradients(
    sizes: Sizes,
    neighbourhood: Neighbourhood,
    order: WriteOrder,
    step: Step,
    device: &Device,
) -> Vec<Vec<f32>> {
    let plain = input(sizes, neighbourhood, order == WriteOrder::DecayThenWrite, device);
    let query = plain.query.clone().require_grad();
    let value = plain.value.clone().require_grad();
    let rho = plain.rho.clone().require_grad();
    let slopes = plain.decay.as_ref().unwrap().slopes().clone().require_grad();
    let first = step(LocalGridInput {
        query: query.clone(),
        value: value.clone(),
        rho: rho.clone(),
        decay: Some(Decay::new(slopes.clone())),
        order,
        ..plain.clone()
    });
    let second = step(LocalGridInput {
        query: plain.query.clone() + 0.3,
        value: first.read.clone(),
        rho: first.memory,
        decay: Some(Decay::new(slopes.clone())),
        order,
        ..plain
    });
    // Without a sum, for which a GPU would try out many kernels.
    let found = Tensor::cat(
        vec![
            flat(first.read * numbers(second.read.dims(), 7, 1.0, device)),
            flat(second.read.clone() * numbers(second.read.dims(), 8, 1.0, device)),
            flat(second.memory.clone() * numbers(second.memory.dims(), 9, 1.0, device)),
        ],
        0,
    )
    .backward();
    vec![
        values(query.grad(&found).unwrap()),
        values(value.grad(&found).unwrap()),
        values(rho.grad(&found).unwrap()),
        values(slopes.grad(&found).unwrap()),
    ]
}

pub(super) type Step = fn(LocalGridInput) -> LocalGridOutput;

fn flat<const R: usize>(tensor: Tensor<R>) -> Tensor<1> {
    let entries = tensor.dims().iter().product::<usize>();
    tensor.reshape([entries])
}

#[test]
fn gradients_are_those_of_the_definition() {
    for (sizes, neighbourhood) in cases() {
        for order in [WriteOrder::DecayThenWrite, WriteOrder::WriteThenDecay] {
            let device = Device::flex().autodiff();
            let fast = gradients(sizes, neighbourhood, order, local_grid, &device);
            let slow = gradients(sizes, neighbourhood, order, by_definition, &device);
            for (name, (fast, slow)) in ["query", "value", "rho", "slopes"]
                .iter()
                .zip(fast.iter().zip(&slow))
            {
                close(
                    &format!("gradient of {name}, {sizes:?} {neighbourhood:?}"),
                    fast,
                    slow,
                );
            }
        }
    }
}

/// Each output alone, and each part of a step alone: the gradient that is not there counts as 0.
#[test]
fn gradients_of_one_output_alone_are_those_of_the_definition() {
    let device = Device::flex().autodiff();
    let sizes = [2, 3, 3, 4, 5, 7];
    type Loss = fn(LocalGridInput, Tensor<4>, Tensor<5>) -> Tensor<1>;
    let pairs: [(Loss, Loss); 4] = [
        (
            |input, weights, _| (local_grid(input).read * weights).sum(),
            |input, weights, _| (by_definition(input).read * weights).sum(),
        ),
        (
            |input, _, weights| (local_grid(input).memory * weights).sum(),
            |input, _, weights| (by_definition(input).memory * weights).sum(),
        ),
        (
            |i, weights, _| (local_grid_read(i.query, i.rho, i.grid, i.neighbourhood) * weights).sum(),
            |input, weights, _| (by_definition(input).read * weights).sum(),
        ),
        (
            |i, _, weights| (local_grid_write(i.query, i.value, i.rho, i.decay, i.order) * weights).sum(),
            |input, _, weights| (by_definition(input).memory * weights).sum(),
        ),
    ];
    for (fast, slow) in pairs {
        let of = |loss: Loss| {
            let mut input = input(sizes, Neighbourhood::moore(1).mean(), false, &device);
            input.query = input.query.require_grad();
            input.rho = input.rho.require_grad();
            let (query, rho) = (input.query.clone(), input.rho.clone());
            let weights = (
                numbers([2, 3, 12, 7], 4, 1.0, &device),
                numbers([2, 3, 12, 5, 7], 5, 1.0, &device),
            );
            let found = loss(input, weights.0, weights.1).backward();
            [
                values(query.grad(&found).unwrap()),
                values(rho.grad(&found).unwrap()),
            ]
        };
        let [fast, slow] = [of(fast), of(slow)];
        close("query", &fast[0], &slow[0]);
        close("rho", &fast[1], &slow[1]);
    }
}

#[test]
fn a_memory_without_autodiff_is_a_constant_and_stays_one() {
    let (plain, device) = (Device::flex(), Device::flex().autodiff());
    let of = |step: Step| {
        let mut input = input([1, 2, 3, 3, 4, 5], Neighbourhood::moore(1), true, &device);
        input.query = input.query.require_grad();
        input.rho = input.rho.inner();
        let query = input.query.clone();
        let output = step(input);
        let loss = (output.read * numbers([1, 2, 9, 5], 4, 1.0, &device)).sum();
        let gradient = values(query.grad(&loss.backward()).unwrap());
        (gradient, output.memory)
    };
    let (gradient, memory) = of(local_grid);
    assert!(!memory.is_autodiff());
    // A memory of f64 takes the definition, with the same rule.
    let (expected, same) = of(|input| {
        let rho = input.rho.clone().autodiff();
        by_definition(LocalGridInput { rho, ..input })
    });
    close("gradient", &gradient, &expected);
    close("memory", &values(memory), &values(same.inner()));
    let wide = |tensor: Tensor<4>| tensor.cast(burn::tensor::DType::F64);
    let given = input([1, 1, 2, 2, 3, 3], Neighbourhood::moore(1), true, &plain);
    let output = local_grid(LocalGridInput {
        query: wide(given.query).autodiff().require_grad(),
        value: wide(given.value),
        rho: given.rho.cast(burn::tensor::DType::F64),
        decay: None,
        ..given
    });
    assert!(output.read.is_autodiff() && !output.memory.is_autodiff());
}

#[test]
fn a_memory_of_one_owner_is_changed_in_place() {
    let device = Device::flex();
    let input = input([1, 2, 4, 4, 8, 16], Neighbourhood::moore(1), true, &device);
    let address = |rho: Tensor<5>| crate::testing::memory(rho).storage::<f32>().as_ptr() as usize;
    let before = address(input.rho.clone());
    assert_eq!(address(local_grid(input).memory), before);
}

/// Written first and read then, by a neighbourhood that is the whole grid, it is the full read.
#[test]
fn a_radius_that_covers_the_grid_is_the_full_read() {
    let device = Device::flex();
    for radius in [4, usize::MAX] {
        let input = input([2, 3, 5, 4, 6, 9], Neighbourhood::moore(radius), true, &device);
        let empty = input.rho.zeros_like();
        let memory = local_grid_write(
            input.query.clone(),
            input.value.clone(),
            empty,
            None,
            WriteOrder::DecayThenWrite,
        );
        let read = local_grid_read(input.query.clone(), memory, input.grid, input.neighbourhood);
        let full = full_read(input.query, input.value, Credit::Full);
        close("read", &values(read), &values(full));
    }
}

/// A picture that is shifted by a row and a column gives a shifted read, away from the border.
#[test]
fn reads_move_with_the_picture() {
    let device = Device::flex();
    let (height, width, neurons, columns) = (7, 8, 3, 5);
    let input = input(
        [1, 1, height, width, neurons, columns],
        Neighbourhood::von_neumann(2),
        true,
        &device,
    );
    let shift4 = |tensor: Tensor<4>, size: usize| {
        let picture: Tensor<4> = tensor.reshape([height, width, size, 1]);
        picture
            .roll(&[1, 2], &[0, 1])
            .reshape([1, 1, height * width, size])
    };
    let query = shift4(input.query.clone(), neurons);
    let rho: Tensor<5> = shift4(
        input
            .rho
            .clone()
            .reshape([1, 1, height * width, neurons * columns]),
        neurons * columns,
    )
    .reshape([1, 1, height * width, neurons, columns]);
    let near = input.neighbourhood;
    let read = values(local_grid_read(input.query, input.rho, input.grid, near));
    let shifted = values(local_grid_read(query, rho, input.grid, near));
    let row = |read: &[f32], y: usize, x: usize| read[(y * width + x) * columns..][..columns].to_vec();
    for y in 2..height - 3 {
        for x in 2..width - 4 {
            assert_eq!(row(&read, y, x), row(&shifted, y + 1, x + 2));
        }
    }
}

#[test]
fn a_step_that_takes_no_time_does_not_decay() {
    let device = Device::flex();
    let mut input = input([1, 2, 3, 3, 4, 5], Neighbourhood::moore(1), true, &device);
    input.query = input.query.zeros_like();
    input.decay = None;
    let before = values(input.rho.clone());
    assert_eq!(values(local_grid(input).memory), before);
}

#[test]
#[should_panic(expected = "local_grid_read: 12 places on a grid of 3 x 5, expected 15")]
fn places_that_are_not_the_grid_are_refused() {
    let input = input([1, 1, 3, 4, 2, 2], Neighbourhood::moore(1), true, &Device::flex());
    local_grid_read(input.query, input.rho, Grid::new(3, 5), input.neighbourhood);
}

#[test]
#[should_panic(expected = "local_grid: the value has shape [1, 2, 12, 2], expected [1, 3, 12, 2]")]
fn values_of_another_number_of_heads_are_refused() {
    let mut input = input([1, 3, 3, 4, 2, 2], Neighbourhood::moore(1), true, &Device::flex());
    input.value = Tensor::zeros([1, 2, 12, 2], &Device::flex());
    local_grid(input);
}
