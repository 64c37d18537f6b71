//! The step on a GPU against its definition on the processor: values, every gradient, borders, odd shapes.

use crate::backend::DragonBackend;
use crate::gpu::tests::{device, near};
use crate::local_grid::tests::{by_definition, cases, gradients, input};
use crate::local_grid::{
    Grid, LocalGridInput, Neighbourhood, Work, Write, WriteOrder, backward, local_grid, local_grid_read,
    local_grid_write,
};
use crate::testing::{numbers, values};
use burn::tensor::{Device, Tensor};
use burn_cubecl::CubeBackend;

/// Of sums of some thousand f32 in another order.
const TOLERANCE: f64 = 5e-6;

const ORDERS: [WriteOrder; 2] = [WriteOrder::DecayThenWrite, WriteOrder::WriteThenDecay];

#[test]
fn values_are_those_of_the_definition_in_place_or_not() {
    let Some(device) = device() else { return };
    for (sizes, neighbourhood) in cases() {
        for order in ORDERS {
            let shared = order == WriteOrder::DecayThenWrite;
            let make = |device: &Device| LocalGridInput {
                order,
                ..input(sizes, neighbourhood, shared, device)
            };
            let expected = by_definition(make(&Device::flex()));
            let given = make(&device);
            let before = values(given.rho.clone());
            let copied = local_grid(given.clone());
            assert_eq!(
                values(given.rho.clone()),
                before,
                "what others hold stays as it was"
            );
            drop(given);
            let in_place = local_grid(make(&device));
            let what = format!("{sizes:?} {neighbourhood:?}");
            near(
                &what,
                &values(copied.read.clone()),
                &values(expected.read),
                TOLERANCE,
            );
            near(
                &what,
                &values(copied.memory.clone()),
                &values(expected.memory),
                TOLERANCE,
            );
            assert_eq!(values(in_place.read), values(copied.read));
            assert_eq!(values(in_place.memory), values(copied.memory));
        }
    }
}

/// Two steps, of which both outputs count: query, value, memory and slopes.
#[test]
fn gradients_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    let (here, there) = (device.autodiff(), Device::flex().autodiff());
    for (index, (sizes, neighbourhood)) in cases().into_iter().enumerate() {
        let order = ORDERS[index % 2];
        let fast = gradients(sizes, neighbourhood, order, local_grid, &here);
        let slow = gradients(sizes, neighbourhood, order, by_definition, &there);
        for (name, (fast, slow)) in ["query", "value", "rho", "slopes"]
            .iter()
            .zip(fast.iter().zip(&slow))
        {
            let what = format!("gradient of {name}, {sizes:?} {neighbourhood:?} {order:?}");
            near(&what, fast, slow, TOLERANCE);
        }
    }
}

/// The gradients of query and memory of a loss that sees one output.
fn gradients_of(
    device: &Device,
    part: impl Fn(LocalGridInput, &Device) -> Tensor<1>,
) -> (Vec<f32>, Vec<f32>) {
    let mut input = input([2, 3, 3, 4, 5, 7], Neighbourhood::moore(1).mean(), false, device);
    input.query = input.query.require_grad();
    input.rho = input.rho.require_grad();
    let (query, rho) = (input.query.clone(), input.rho.clone());
    let found = part(input, device).backward();
    (
        values(query.grad(&found).unwrap()),
        values(rho.grad(&found).unwrap()),
    )
}

fn read_alone(read: Tensor<4>, device: &Device) -> Tensor<1> {
    (read * numbers([2, 3, 12, 7], 4, 1.0, device)).reshape([2 * 3 * 12 * 7])
}

fn memory_alone(memory: Tensor<5>, device: &Device) -> Tensor<1> {
    (memory * numbers([2, 3, 12, 5, 7], 5, 1.0, device)).reshape([2 * 3 * 12 * 5 * 7])
}

/// Each output alone, and each part of a step alone: the gradient that is not there counts as 0.
#[test]
fn gradients_of_one_output_alone_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    type Part = fn(LocalGridInput, &Device) -> Tensor<1>;
    let of_reads: Part = |input, device| read_alone(by_definition(input).read, device);
    let of_memories: Part = |input, device| memory_alone(by_definition(input).memory, device);
    let pairs: [(Part, Part); 4] = [
        (|i, device| read_alone(local_grid(i).read, device), of_reads),
        (
            |i, device| read_alone(local_grid_read(i.query, i.rho, i.grid, i.neighbourhood), device),
            of_reads,
        ),
        (
            |i, device| memory_alone(local_grid(i).memory, device),
            of_memories,
        ),
        (
            |i, device| {
                let memory = local_grid_write(i.query, i.value, i.rho, i.decay, i.order);
                memory_alone(memory, device)
            },
            of_memories,
        ),
    ];
    for (fast, slow) in pairs {
        let found = gradients_of(&device.clone().autodiff(), fast);
        let expected = gradients_of(&Device::flex().autodiff(), slow);
        near("query", &found.0, &expected.0, TOLERANCE);
        near("rho", &found.1, &expected.1, TOLERANCE);
    }
}

#[test]
fn a_memory_without_autodiff_is_a_constant_and_stays_one() {
    let Some(device) = device() else { return };
    let of = |device: &Device| {
        let mut input = input([1, 2, 3, 3, 4, 5], Neighbourhood::moore(1), true, device);
        input.query = input.query.require_grad();
        input.rho = input.rho.inner();
        let query = input.query.clone();
        let output = local_grid(input);
        assert!(!output.memory.is_autodiff());
        let found = (output.read * numbers([1, 2, 9, 5], 4, 1.0, device)).backward();
        (values(query.grad(&found).unwrap()), values(output.memory))
    };
    let (found, expected) = (of(&device.autodiff()), of(&Device::flex().autodiff()));
    near("gradient", &found.0, &expected.0, TOLERANCE);
    near("memory", &found.1, &expected.1, TOLERANCE);
}

/// The bits do not depend on the order in which units run.
#[test]
fn the_same_input_gives_the_same_bits() {
    let Some(device) = device() else { return };
    let here = device.autodiff();
    let near = Neighbourhood::von_neumann(2).mean();
    let of = || gradients([2, 3, 5, 4, 9, 33], near, ORDERS[1], local_grid, &here);
    let once = of();
    assert_eq!(once, of());
}

#[test]
fn a_memory_of_one_owner_is_changed_in_place() {
    let Some(device) = device() else { return };
    let input = input([1, 2, 4, 4, 8, 16], Neighbourhood::moore(1), true, &device);
    let buffer = |rho: Tensor<5>| {
        let numbers = CubeBackend::take(rho).unwrap().numbers;
        numbers.handle.clone().binding().memory.id()
    };
    let before = buffer(input.rho.clone());
    assert_eq!(buffer(local_grid(input).memory), before);
}

/// Shapes alone decide: nothing of this size is ever made.
#[test]
fn memories_that_are_too_large_are_left_to_the_definition() {
    let Some(device) = device() else { return };
    let takes = |neurons: usize, width: usize| {
        let work = Work {
            query: Tensor::<4>::zeros([1; 4], &device).expand([1, 1, 4, neurons]),
            rho: Tensor::<5>::zeros([1; 5], &device).expand([1, 1, 4, neurons, width]),
            reads: Some((Grid::new(2, 2), Neighbourhood::moore(1))),
            write: None::<Write>,
        };
        backward::on_backend::<CubeBackend>(work).is_ok()
    };
    assert!(takes(3, 5));
    assert!(!takes(1 << 15, 1 << 15));
}
