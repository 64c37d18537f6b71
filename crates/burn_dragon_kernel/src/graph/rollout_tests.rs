//! Roll-outs on graphs: symmetry, distance, graphs apart, no edges, and the two forms of the memories.

use super::*;
use crate::mix::mix;
use crate::retention::Decay;
use crate::testing::{close, numbers, values};
use burn::tensor::{Device, Int};

const NEURONS: usize = 6;
const WIDTH: usize = 5;

fn drawn(places: usize, edges: usize, seed: u64) -> Vec<(usize, usize)> {
    let word = |edge: usize| mix(mix(edge as u64 + 1) ^ seed) as usize;
    (0..edges)
        .map(|edge| (word(edge) % places, (word(edge) >> 32) % places))
        .collect()
}

fn edges(places: usize, list: &[(usize, usize)], normalisation: Normalisation) -> Edges {
    let adjacency = Adjacency::from_edges(places, list, SelfEdges::Drop).unwrap();
    Edges::new(adjacency, normalisation)
}

/// A query of the states of places, `[1, 2, P, N]` from `[1, 1, P, D]`.
fn query(v: &Tensor<4>) -> Tensor<4> {
    let device = v.device();
    let weights = numbers([1, 2, WIDTH, NEURONS], 3, 1.0, &device);
    burn::tensor::activation::relu(v.clone().matmul(weights)) + 0.1 // so that a change of any place is read
}

/// States before and after each of some steps: each place writes what it is, and in each step it reads its neighbours'
/// memories and then writes what it became.
fn with_memories(v: Tensor<4>, edges: &Edges, decay: &PlaceDecay, steps: usize) -> Vec<Tensor<4>> {
    let places = v.dims()[2];
    let empty = Tensor::<5>::zeros([v.dims()[0], 2, places, NEURONS, WIDTH], &v.device());
    let mut rho = place_write(query(&v), v.clone(), empty, decay);
    let mut states = vec![v];
    for step in 0..steps {
        let v = states[step].clone();
        let v = v.clone() + graph_read(query(&v), rho.clone(), edges).sum_dim(1) * 0.1;
        rho = place_write(query(&v), v.clone(), rho, decay);
        states.push(v);
    }
    states
}

/// The same with the writes instead of the memories.
fn with_history(v: Tensor<4>, edges: &Edges, decay: &PlaceDecay, steps: usize) -> Vec<Tensor<4>> {
    let mut history = History::empty(WIDTH, decay.clone());
    history.write(query(&v), v.clone());
    let mut states = vec![v];
    for step in 0..steps {
        let v = states[step].clone();
        let v = v.clone() + history.read(query(&v), edges).sum_dim(1) * 0.1;
        history.write(query(&v), v.clone());
        states.push(v);
    }
    states
}

fn state(places: usize, device: &Device) -> Tensor<4> {
    numbers([1, 1, places, WIDTH], 1, 1.0, device)
}

const NORMALISATIONS: [Normalisation; 3] =
    [Normalisation::Sum, Normalisation::Mean, Normalisation::Symmetric];

#[test]
fn places_in_another_order_are_the_same_places() {
    let (places, device) = (19, Device::flex());
    let list = drawn(places, 60, 5);
    // A permutation: place p moves to 7 p + 3 mod 19.
    let moved = |place: usize| (7 * place + 3) % places;
    let turned: Vec<_> = list.iter().map(|&(s, t)| (moved(s), moved(t))).collect();
    let order: Vec<i32> = (0..places as i32).map(|p| (7 * p + 3) % places as i32).collect();
    let order = Tensor::<1, Int>::from_data(order.as_slice(), &device);
    for normalisation in NORMALISATIONS {
        let decay = PlaceDecay::default();
        let before = with_memories(
            state(places, &device),
            &edges(places, &list, normalisation),
            &decay,
            4,
        );
        // Entry `moved(p)` of the permuted states is entry p of the states.
        let zeros = state(places, &device).zeros_like();
        let v = zeros.select_assign(
            2,
            order.clone(),
            before[0].clone(),
            burn::tensor::IndexingUpdateOp::Add,
        );
        let after = with_memories(v, &edges(places, &turned, normalisation), &decay, 4);
        for (before, after) in before.into_iter().zip(after) {
            let back = after.select(2, order.clone());
            close("a place", &values(back), &values(before));
        }
    }
}

/// Distances from a place, against the direction of reading: a reader is one further than what it reads.
fn distances(graph: &Adjacency, from: usize) -> Vec<Option<usize>> {
    let mut distances = vec![None; graph.targets()];
    let (mut front, mut distance) = (vec![from], 0);
    while !front.is_empty() {
        front.retain(|&place| distances[place].is_none());
        front.iter().for_each(|&place| distances[place] = Some(distance));
        let readers = front.iter().flat_map(|&place| graph.readers_of(place));
        front = readers.map(|&reader| reader as usize).collect();
        distance += 1;
    }
    distances
}

#[test]
fn a_change_of_one_place_reaches_exactly_the_places_that_many_edges_away() {
    let (places, device, steps, from) = (12, Device::flex(), 5, 0);
    // Each reads the one before it; 4 reads 1 as well, the first reads 3, and the last two are apart.
    let path = (0..9).map(|place| (place + 1, place));
    let list: Vec<_> = path.chain([(4, 1), (0, 3), (11, 10)]).collect();
    let edges = edges(places, &list, Normalisation::Mean);
    let distances = distances(&edges.adjacency, from);
    let far = [0, 1, 2, 3, 2, 3, 4, 5, 6, 7].map(Some);
    assert_eq!(distances, [&far[..], &[None; 2]].concat());
    let impulse = {
        let mut entries = vec![0.0_f32; places * WIDTH];
        entries[from * WIDTH..][..WIDTH].fill(0.5);
        let data = burn::tensor::TensorData::new(entries, [1, 1, places, WIDTH]);
        Tensor::<4>::from_data(data, &device)
    };
    let decay = PlaceDecay::default();
    for form in [with_memories, with_history] {
        let quiet = form(state(places, &device), &edges, &decay, steps);
        let moved = form(state(places, &device) + impulse.clone(), &edges, &decay, steps);
        for (step, (quiet, moved)) in quiet.into_iter().zip(moved).enumerate() {
            let (quiet, moved) = (values(quiet), values(moved));
            let rows = quiet.chunks_exact(WIDTH).zip(moved.chunks_exact(WIDTH));
            let changed: Vec<bool> = rows.map(|(quiet, moved)| quiet != moved).collect();
            let within = |distance: &Option<usize>| distance.is_some_and(|distance| distance <= step);
            let expected: Vec<bool> = distances.iter().map(within).collect();
            assert_eq!(changed, expected, "after {step} steps");
        }
    }
}

#[test]
fn graphs_side_by_side_are_what_each_is_alone() {
    let device = Device::flex();
    let lists = [drawn(7, 15, 1), vec![], drawn(11, 30, 2)];
    let sizes = [7, 1, 11];
    for normalisation in NORMALISATIONS {
        let graphs: Vec<_> = lists
            .iter()
            .zip(sizes)
            .map(|(list, places)| edges(places, list, normalisation))
            .collect();
        let blocks: Vec<_> = graphs.iter().map(|edges| edges.adjacency.clone()).collect();
        let all = Edges::new(Adjacency::block_diagonal(&blocks).unwrap(), normalisation);
        let decay = PlaceDecay::default();
        let v = state(19, &device);
        let together = with_memories(v.clone(), &all, &decay, 3).pop().unwrap();
        let mut start = 0;
        for (edges, places) in graphs.iter().zip(sizes) {
            let alone = with_memories(v.clone().narrow(2, start, places), edges, &decay, 3);
            let within = together.clone().narrow(2, start, places);
            assert_eq!(values(within), values(alone[3].clone()));
            start += places;
        }
    }
}

#[test]
fn a_place_without_edges_reads_nothing_and_one_with_a_self_edge_reads_itself() {
    let device = Device::flex();
    let list = [(0, 1), (0, 1), (2, 2), (1, 0)];
    let v = state(4, &device);
    for normalisation in NORMALISATIONS {
        let kept = Adjacency::from_edges(4, &list, SelfEdges::Keep).unwrap();
        let rho = place_write(
            query(&v),
            v.clone(),
            Tensor::zeros([1, 2, 4, NEURONS, WIDTH], &device),
            &PlaceDecay::default(),
        );
        let read = |adjacency: Adjacency| {
            let read = graph_read(query(&v), rho.clone(), &Edges::new(adjacency, normalisation));
            values(read.sum_dim(1))
        };
        let (once, twice) = (
            read(kept),
            read(Adjacency::from_edges(4, &list[1..], SelfEdges::Keep).unwrap()),
        );
        assert_eq!(once, twice, "a duplicate counts once");
        assert!(once[3 * WIDTH..].iter().all(|read| *read == 0.0));
        let dropped = read(Adjacency::from_edges(4, &list, SelfEdges::Drop).unwrap());
        assert!(dropped[2 * WIDTH..].iter().all(|read| *read == 0.0));
        assert!(once[2 * WIDTH..3 * WIDTH].iter().any(|read| *read != 0.0));
        assert_eq!(once[..2 * WIDTH], dropped[..2 * WIDTH]);
    }
}

#[test]
fn graphs_without_edges_or_places_change_nothing_and_pass_gradients() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        for places in [0, 3] {
            let edges = edges(places, &[], Normalisation::Symmetric);
            for form in [with_memories, with_history] {
                let v = state(places, &device);
                let v = if device.is_autodiff() { v.require_grad() } else { v };
                let states = form(v.clone(), &edges, &PlaceDecay::default(), 2);
                assert_eq!(values(states[2].clone()), values(v.clone()));
                if device.is_autodiff() {
                    let found = states[2].clone().sum().backward();
                    assert_eq!(values(v.grad(&found).unwrap()), vec![1.0; places * WIDTH]);
                }
            }
        }
    }
}

#[test]
fn a_history_of_writes_is_the_memories_in_values_and_gradients() {
    let (places, device) = (13, Device::flex().autodiff());
    let list = drawn(places, 40, 4);
    let orders = [WriteOrder::DecayThenWrite, WriteOrder::WriteThenDecay];
    for (order, normalisation) in orders.into_iter().zip(NORMALISATIONS) {
        for learnt in [None, Some(false), Some(true)] {
            let outcome = |form: fn(Tensor<4>, &Edges, &PlaceDecay, usize) -> Vec<Tensor<4>>| {
                let v = state(places, &device).require_grad();
                let edges = edges(places, &list, normalisation);
                let gates = numbers([1, edges.adjacency.edge_count()], 6, 1.0, &device).require_grad();
                let slopes = Tensor::<1>::from_data([0.05_f32, 0.7], &device);
                let slopes = if learnt == Some(true) {
                    slopes.require_grad()
                } else {
                    slopes
                };
                let decay = PlaceDecay {
                    decay: learnt.map(|_| Decay::new(slopes.clone())),
                    order,
                };
                let last = form(v.clone(), &edges.gated(gates.clone()), &decay, 4)
                    .pop()
                    .unwrap();
                let found = (last.clone() * numbers(last.dims(), 7, 1.0, &device))
                    .sum()
                    .backward();
                let mut outcome = vec![
                    values(last),
                    values(v.grad(&found).unwrap()),
                    values(gates.grad(&found).unwrap()),
                ];
                outcome.extend(slopes.grad(&found).map(values));
                outcome
            };
            let (memories, history) = (outcome(with_memories), outcome(with_history));
            assert_eq!(memories.len(), 3 + usize::from(learnt == Some(true)));
            for (history, memories) in history.iter().zip(&memories) {
                close("the history", history, memories);
            }
        }
    }
}

#[test]
fn a_write_over_no_time_does_not_decay_what_was_written_before() {
    let (places, device) = (5, Device::flex());
    let edges = edges(places, &drawn(places, 12, 3), Normalisation::Sum);
    let v = state(places, &device);
    for order in [WriteOrder::DecayThenWrite, WriteOrder::WriteThenDecay] {
        let decay = PlaceDecay {
            decay: Some(Decay::new(Tensor::from_data([0.3_f32, 0.9], &device))),
            order,
        };
        let mut history = History::empty(WIDTH, decay.clone());
        let mut rho = Tensor::<5>::zeros([1, 2, places, NEURONS, WIDTH], &device);
        assert!(history.is_empty() && history.memories().is_none());
        for (step, time) in [1.0, 0.0, 2.5].into_iter().enumerate() {
            let v = v.clone() + step as f64;
            history.write_over(query(&v), v.clone(), time);
            rho = place_write(query(&v), v, rho, &decay.over(time));
            let expected = graph_read(query(&state(places, &device)), rho.clone(), &edges);
            let read = history.read(query(&state(places, &device)), &edges);
            close("a read", &values(read), &values(expected));
            close(
                "the memories",
                &values(history.memories().unwrap()),
                &values(rho.clone()),
            );
        }
        assert_eq!(history.len(), 3);
        let doubled = history.map(|tensor| tensor * 2.0);
        let rho = rho * 4.0; // keys and values
        close("the memories", &values(doubled.memories().unwrap()), &values(rho));
    }
}
