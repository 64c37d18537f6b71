//! A roll-out on a grid, timed round by round: `scripts/compare_grid.py` asks for the rounds.
//!
//! `grid_rollout fused|reference B H HEIGHT WIDTH N D STEPS` answers each line of standard input with a round: a line with
//! the seconds of the forward pass, of the backward pass, and the peak resident bytes; the first line of its output is
//! the loss and the norms of the gradients of query, value and first memory.

use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_kernel::api::expert::local_grid_reference as reference;
use burn_dragon_kernel::api::machine::keep_freed_memory;
use burn_dragon_kernel::api::{
    Decay, Grid, LocalGridInput, LocalGridOutput, Neighbourhood, WriteOrder, local_grid,
};
use std::time::Instant;

type Step = fn(LocalGridInput) -> LocalGridOutput;

fn main() {
    keep_freed_memory();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let step: Step = match words.first().map(String::as_str) {
        Some("fused") => local_grid,
        Some("reference") => by_definition,
        given => panic!("{given:?}, expected fused or reference"),
    };
    let sizes: Vec<usize> = words[1..]
        .iter()
        .map(|word| word.parse().expect("a number"))
        .collect();
    let sizes: [usize; 7] = sizes.try_into().expect("B H HEIGHT WIDTH N D STEPS");
    let rollout = Rollout::new(sizes, step);
    let (_, _, results) = rollout.round();
    println!("{}", results.map(|number| number.to_string()).join(" "));
    for _ in std::io::stdin().lines() {
        let (forward, backward, _) = rollout.round();
        println!("{forward} {backward} {}", peak());
    }
}

fn by_definition(input: LocalGridInput) -> LocalGridOutput {
    let near = input.neighbourhood;
    LocalGridOutput {
        read: reference::local_grid_read(input.query.clone(), input.rho.clone(), input.grid, &near),
        memory: reference::local_grid_write(
            input.query,
            input.value,
            input.rho,
            input.decay.as_ref(),
            input.order,
        ),
    }
}

/// The same inputs at every step, all of them leaves, so that their gradients are the sums over the steps.
struct Rollout {
    input: LocalGridInput,
    weights: Tensor<4>,
    steps: usize,
    step: Step,
}

impl Rollout {
    fn new([lanes, heads, height, width, neurons, columns, steps]: [usize; 7], step: Step) -> Self {
        let device = Device::flex().autodiff();
        let places = height * width;
        let input = LocalGridInput {
            query: numbers([lanes, heads, places, neurons], 1, &device)
                .clamp_min(0.0)
                .require_grad(),
            value: numbers([lanes, 1, places, columns], 2, &device).require_grad(),
            rho: numbers([lanes, heads, places, neurons, columns], 3, &device).require_grad(),
            grid: Grid::new(height, width),
            neighbourhood: Neighbourhood::moore(1),
            decay: Some(Decay::new(Tensor::full([heads], 0.105_360_5, &Device::flex()))), // a factor of 0.9
            order: WriteOrder::DecayThenWrite,
        };
        Self {
            input,
            weights: numbers([lanes, heads, places, columns], 4, &device),
            steps,
            step,
        }
    }

    /// Seconds forward and backward; loss and norms of gradients.
    fn round(&self) -> (f64, f64, [f64; 4]) {
        let start = Instant::now();
        let mut rho = self.input.rho.clone();
        let mut reads = Vec::new();
        for _ in 0..self.steps {
            let input = LocalGridInput {
                rho,
                ..self.input.clone()
            };
            let LocalGridOutput { read, memory } = (self.step)(input);
            rho = memory;
            reads.push(read * self.weights.clone());
        }
        let sum = reads
            .into_iter()
            .reduce(|sum, read| sum + read)
            .expect("at least one step");
        let loss = sum.sum();
        let number: f32 = loss.clone().into_scalar();
        let forward = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let found = loss.backward();
        let query = self.input.query.grad(&found).expect("a gradient");
        let value = self.input.value.grad(&found).expect("a gradient");
        let memory = self.input.rho.grad(&found).expect("a gradient");
        let backward = start.elapsed().as_secs_f64();
        drop(found);
        let norms = [norm(query), norm(value), norm(memory.flatten::<4>(3, 4))];
        (
            forward,
            backward,
            [f64::from(number), norms[0], norms[1], norms[2]],
        )
    }
}

fn norm(tensor: Tensor<4>) -> f64 {
    let values: Vec<f32> = tensor.into_data().try_to_vec().expect("numbers in f32");
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// Numbers in -1 .. 1, the same as those of the script.
fn numbers<const R: usize>(shape: [usize; R], seed: u64, device: &Device) -> Tensor<R> {
    let count = shape.iter().product::<usize>() as u64;
    let number = |index: u64| {
        let hash = (index * 2_654_435_761 + seed * 1_013_904_223) % (1 << 32);
        (hash as f64 / (1u64 << 31) as f64 - 1.0) as f32
    };
    Tensor::from_data(
        TensorData::new((0..count).map(number).collect::<Vec<f32>>(), shape),
        device,
    )
}

/// The most memory that was resident, in bytes; 0 where the system does not say.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
