//! Invariants of the model: what a node can know, and what it must not depend on.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::{Device, Tensor};
use burn_dragon_graph::api::config::{ModelConfig, Neighbours, OwnMemory, Schema, SharedMemory, Target};
use burn_dragon_graph::api::core::{Graph, GraphDragon, GraphDragonConfig, GraphPass, PlaceMemory};
use burn_dragon_graph::api::execution::{GraphCompiledExecutor, GraphObservationMerger, GraphStepMode};
use burn_dragon_graph::api::expert::NodeModel;
use burn_dragon_graph::api::routing::GraphTopologyRouting;

fn config(decay: f64, neighbours: Neighbours, own_memory: OwnMemory) -> GraphDragonConfig {
    GraphDragonConfig {
        model: ModelConfig {
            d_model: 12,
            n_heads: 2,
            n_neurons: 24,
            n_levels: 3,
            decay,
            neighbours,
            own_memory,
            init_std: 0.3,
            ..ModelConfig::default()
        },
        schema: Schema {
            features: 5,
            classes: vec!["a".into(), "b".into(), "c".into()],
            target: Target::Nodes,
            coding: None,
        },
    }
}

fn model(decay: f64) -> GraphDragon {
    GraphDragon::new(
        &config(decay, Neighbours::Mean, OwnMemory::Add),
        7,
        &Device::flex(),
    )
    .unwrap()
}

fn values(tensor: Tensor<2>) -> Vec<Vec<f32>> {
    let width = tensor.dims()[1];
    let data = tensor.into_data().convert::<f32>();
    let values: Vec<f32> = data.iter::<f32>().collect();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}

/// Logits of the last level, node by node.
fn logits(model: &GraphDragon, graphs: &[&Graph], pass: GraphPass) -> Vec<Vec<f32>> {
    let input = model.input(graphs).unwrap();
    values(model.logits_by_level(&input, pass).pop().unwrap())
}

fn near(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    a.len() == b.len()
        && a.iter()
            .flatten()
            .zip(b.iter().flatten())
            .all(|(a, b)| (a - b).abs() < 1e-4)
}

/// Seven nodes: a triangle with a tail of two, and a pair.
fn graph() -> Graph {
    let edges = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (5, 6)];
    let features = vec![
        vec![0],
        vec![1, 2],
        vec![3],
        vec![4],
        vec![0, 4],
        vec![2],
        vec![1],
    ];
    Graph::undirected(&edges, features).unwrap()
}

#[test]
fn nodes_may_come_in_any_order() {
    for neighbours in [Neighbours::Sum, Neighbours::Mean, Neighbours::Symmetric] {
        let config = config(0.5, neighbours, OwnMemory::Add);
        let model = GraphDragon::new(&config, 7, &Device::flex()).unwrap();
        let order = [3, 6, 0, 5, 1, 2, 4];
        let before = logits(&model, &[&graph()], GraphPass::default());
        let after = logits(&model, &[&graph().permuted(&order)], GraphPass::default());
        let moved: Vec<_> = order.iter().map(|&node| after[node].clone()).collect();
        assert!(near(&before, &moved), "{neighbours:?}");
    }
}

/// A change at one end of a path reaches exactly as many edges as there are levels, whatever memories keep.
#[test]
fn k_levels_reach_exactly_k_edges() {
    let path = |feature: u32| {
        let edges: Vec<_> = (0..7).map(|node| (node, node + 1)).collect();
        let features = (0..8).map(|node| vec![if node == 0 { feature } else { 0 }]);
        Graph::undirected(&edges, features.collect()).unwrap()
    };
    for decay in [0.0, 0.5, 1.0] {
        let model = model(decay);
        for levels in 1..=5 {
            let pass = GraphPass {
                levels: Some(levels),
                ..GraphPass::default()
            };
            let (one, two) = (
                logits(&model, &[&path(1)], pass),
                logits(&model, &[&path(2)], pass),
            );
            for node in 0..8 {
                assert_eq!(
                    one[node] != two[node],
                    node <= levels,
                    "{levels} levels, node {node}"
                );
            }
        }
    }
}

#[test]
fn a_directed_edge_carries_one_way() {
    let of = |features: [u32; 2]| Graph::new(vec![(0, 1)], features.map(|f| vec![f]).into()).unwrap();
    let model = model(0.5);
    let read = |features| logits(&model, &[&of(features)], GraphPass::default());
    assert_ne!(read([0, 1])[0], read([0, 2])[0], "0 reads 1");
    assert_eq!(read([0, 1])[1], read([2, 1])[1], "1 does not read 0");
}

#[test]
fn graphs_of_a_batch_do_not_read_each_other() {
    let model = model(0.5);
    let (one, other) = (graph(), graph().permuted(&[1, 0, 2, 3, 4, 5, 6]));
    let alone = logits(&model, &[&one], GraphPass::default());
    let together = logits(&model, &[&other, &one], GraphPass::default());
    assert!(near(&alone, &together[7..]));
    // Nor do parts of a graph: the pair is what it is alone.
    let pair = Graph::undirected(&[(0, 1)], vec![vec![2], vec![1]]).unwrap();
    assert!(near(&alone[5..], &logits(&model, &[&pair], GraphPass::default())));
}

#[test]
fn a_node_without_edges_reads_its_own_memory_or_nothing() {
    let lonely = Graph::new(vec![], vec![vec![1], vec![]]).unwrap();
    let carried = logits(&model(0.5), &[&lonely], GraphPass::default());
    assert!(carried.iter().flatten().all(|value| value.is_finite()));
    let never = GraphPass {
        memory: PlaceMemory::NeverWritten,
        ..GraphPass::default()
    };
    assert_ne!(carried[0], logits(&model(0.5), &[&lonely], never)[0]);
    let config = config(0.5, Neighbours::Mean, OwnMemory::Drop);
    let dropping = GraphDragon::new(&config, 7, &Device::flex()).unwrap();
    let without = logits(&dropping, &[&lonely], GraphPass::default());
    assert_eq!(without, logits(&dropping, &[&lonely], never));
}

#[test]
fn an_edge_counts_once_and_a_self_edge_as_the_configuration_says() {
    let features = vec![vec![0], vec![1]];
    let of = |edges: &[(usize, usize)]| Graph::undirected(edges, features.clone()).unwrap();
    assert_eq!(of(&[(0, 1), (1, 0), (0, 1)]), of(&[(0, 1)]));
    let read = |own, edges: &[(usize, usize)]| {
        let model = GraphDragon::new(&config(0.5, Neighbours::Sum, own), 7, &Device::flex()).unwrap();
        logits(&model, &[&of(edges)], GraphPass::default())
    };
    let (with, without) = ([(0, 1), (0, 0)], [(0, 1)]);
    assert_eq!(read(OwnMemory::Add, &with), read(OwnMemory::Add, &without));
    assert_eq!(read(OwnMemory::Drop, &with), read(OwnMemory::Drop, &without));
    assert_ne!(
        read(OwnMemory::Keep, &with)[0],
        read(OwnMemory::Keep, &without)[0]
    );
    assert_eq!(read(OwnMemory::Keep, &without), read(OwnMemory::Drop, &without));
}

#[test]
fn memories_that_are_reset_keep_the_newest_write_alone() {
    let pass = |memory| GraphPass {
        memory,
        ..GraphPass::default()
    };
    let carried = |decay| logits(&model(decay), &[&graph()], GraphPass::default());
    let reset = logits(&model(0.5), &[&graph()], pass(PlaceMemory::ResetEachLevel));
    assert_eq!(reset, carried(0.0));
    assert_ne!(reset, carried(0.5));
    assert_ne!(carried(0.5), carried(1.0));
    // Wiped after the last write that is read, there is nothing to read.
    let wiped = logits(&model(0.5), &[&graph()], pass(PlaceMemory::WipedAt(3)));
    assert_ne!(wiped, carried(0.5));
    assert_eq!(
        logits(&model(0.5), &[&graph()], pass(PlaceMemory::WipedAt(9))),
        carried(0.5)
    );
}

/// The executor forms the memories, training keeps the writes: the same states, and the same gradients.
#[test]
fn compiled_steps_are_the_levels_of_the_model_with_their_gradients() {
    for (decay, shared) in [
        (0.0, None),
        (0.5, None),
        (1.0, None),
        (0.5, Some(SharedMemory::Mean)),
    ] {
        let mut config = config(decay, Neighbours::Mean, OwnMemory::Add);
        config.model.shared_memory = shared;
        let model = GraphDragon::new(&config, 7, &Device::flex().autodiff()).unwrap();
        let input = model.input(&[&graph()]).unwrap();
        let levels = model.streams_by_level(&input, GraphPass::default());
        let executor = GraphCompiledExecutor::of_graph(&graph(), &model).unwrap();
        let state = executor.empty_state(&model);
        let merger = GraphObservationMerger::Replace;
        let state = executor
            .observe(&model, state, graph().features(), merger)
            .unwrap();
        let states = executor.rollout(&model, &state, 3).unwrap();
        for (level, state) in levels.iter().zip(&states) {
            let off = (level.clone() - state.nodes.clone())
                .abs()
                .max()
                .into_scalar::<f64>();
            assert!(off < 1e-4, "{off}");
        }
        assert_eq!((states[2].temporal_position, states[2].prediction_age), (3, 3));
        let gradient = |last: Tensor<4>| {
            let weights = Tensor::arange(0..84, &Device::flex().autodiff())
                .float()
                .reshape([1, 1, 7, 12]);
            let gradients = (last * weights.sin()).sum().backward();
            model.trunk.decoder_x.val().grad(&gradients).unwrap()
        };
        let (one, two) = (gradient(levels[2].clone()), gradient(states[2].nodes.clone()));
        let size = one.clone().abs().max().into_scalar::<f64>();
        let off = (one - two).abs().max().into_scalar::<f64>();
        assert!(size > 0.0 && off < 1e-3 * size, "{off} of {size}");
    }
}

#[test]
fn refining_does_not_decay_and_an_observation_begins_a_new_age() {
    let model = model(0.5);
    let executor = GraphCompiledExecutor::of_graph(&graph(), &model).unwrap();
    let merger = GraphObservationMerger::Add;
    let begin = executor
        .observe(&model, executor.empty_state(&model), graph().features(), merger)
        .unwrap();
    let step = |state, mode| executor.step(&model, state, mode).unwrap();
    let first = step(begin, GraphStepMode::Predict);
    let (refined, predicted) = (
        step(first.clone(), GraphStepMode::Refine),
        step(first.clone(), GraphStepMode::Predict),
    );
    // The same write is added to the whole memory, and to half of it.
    let off = refined.node_rho.clone() - predicted.node_rho - first.node_rho * 0.5;
    assert!(off.abs().max().into_scalar::<f64>() < 1e-5);
    assert_eq!((refined.temporal_position, refined.prediction_age), (1, 1));
    let seen = executor
        .observe(&model, refined, graph().features(), merger)
        .unwrap();
    assert_eq!((seen.temporal_position, seen.prediction_age), (1, 0));
}

/// Two nodes without an edge read each other through a memory that both write.
#[test]
fn a_cluster_and_a_global_memory_join_what_edges_do_not() {
    let model = model(0.5);
    let routing = || {
        let graph = Graph::new(vec![], vec![vec![]; 3]).unwrap();
        let adjacency = graph.adjacency(OwnMemory::Add.into()).unwrap();
        GraphTopologyRouting::new(adjacency.into()).unwrap()
    };
    let read = |routing: &GraphTopologyRouting, feature: u32| {
        let executor = GraphCompiledExecutor::new(routing, Neighbours::Mean);
        let features = [vec![feature], vec![0], vec![0]];
        let state = executor.empty_state(&model);
        let state = executor.observe(&model, state, &features, GraphObservationMerger::Replace);
        let states = executor.rollout(&model, &state.unwrap(), 2).unwrap();
        values(states[1].node_logits(&model))
    };
    let clusters = routing().with_cluster_assignments(2, &[0, 0, 1]).unwrap();
    let globals = routing().with_node_global_assignments(1, &[0, 0, 0]).unwrap();
    for (routing, reached) in [
        (routing(), [true, false, false]),
        (clusters, [true, true, false]),
        (globals, [true, true, true]),
    ] {
        let (one, two) = (read(&routing, 1), read(&routing, 2));
        let changed: Vec<bool> = one.iter().zip(&two).map(|(one, two)| one != two).collect();
        assert_eq!(changed, reached);
    }
}

/// A shared memory joins the nodes of a graph, whatever its edges, and not those of two graphs of a batch.
#[test]
fn a_shared_memory_joins_the_nodes_of_a_graph_and_no_others() {
    let mut config = config(0.5, Neighbours::Mean, OwnMemory::Drop);
    config.model.shared_memory = Some(SharedMemory::Mean);
    let model = GraphDragon::new(&config, 7, &Device::flex()).unwrap();
    let of = |features: [u32; 2]| Graph::new(vec![], features.map(|feature| vec![feature]).into()).unwrap();
    let one = GraphPass {
        levels: Some(1),
        ..GraphPass::default()
    };
    let read = |first, second: [u32; 2]| logits(&model, &[&of(first), &of(second)], one);
    let (before, after) = (read([0, 1], [3, 4]), read([0, 2], [3, 4]));
    assert_ne!(before[0], after[0]);
    assert!(near(&before[2..], &after[2..]));
    let never = GraphPass {
        memory: PlaceMemory::NeverWritten,
        ..one
    };
    assert_eq!(
        logits(&model, &[&of([0, 1])], never)[0],
        logits(&model, &[&of([0, 2])], never)[0]
    );
}

/// A model of no more than one level that averages before its readout: logits are those of the mean row, and what is one
/// edge farther is reached.
#[test]
fn averages_before_the_readout_reach_one_edge_more_and_are_symmetric() {
    let with = |hops: usize| {
        let mut config = config(0.0, Neighbours::Mean, OwnMemory::Drop);
        (config.model.n_levels, config.model.readout_hops) = (1, hops);
        GraphDragon::new(&config, 7, &Device::flex()).unwrap()
    };
    let own = logits(&with(0), &[&graph()], GraphPass::default());
    let averaged = logits(&with(1), &[&graph()], GraphPass::default());
    let near = [
        vec![0, 1, 2],
        vec![0, 1, 2],
        vec![0, 1, 2, 3],
        vec![2, 3, 4],
        vec![3, 4],
        vec![5, 6],
        vec![5, 6],
    ];
    for (node, of) in near.iter().enumerate() {
        for class in 0..3 {
            let weight = |other: usize| 1.0 / ((of.len() * near[other].len()) as f32).sqrt();
            let expected: f32 = of.iter().map(|other| weight(*other) * own[*other][class]).sum();
            assert!((averaged[node][class] - expected).abs() < 1e-5, "node {node}");
        }
    }
    let executor = GraphCompiledExecutor::of_graph(&graph(), &with(1)).unwrap();
    let state = executor.empty_state(&with(1));
    let state = executor.observe(
        &with(1),
        state,
        graph().features(),
        GraphObservationMerger::Replace,
    );
    let states = executor.rollout(&with(1), &state.unwrap(), 1).unwrap();
    assert!(self::near(&values(states[0].node_logits(&with(1))), &averaged));
}

#[test]
fn a_state_of_another_topology_is_refused() {
    let model = model(0.5);
    let executor = GraphCompiledExecutor::of_graph(&graph(), &model).unwrap();
    let other = Graph::undirected(&[(0, 1)], vec![vec![]; 7]).unwrap();
    let other = GraphCompiledExecutor::of_graph(&other, &model).unwrap();
    let state = other.empty_state(&model);
    let error = executor
        .step(&model, state, GraphStepMode::Refine)
        .unwrap_err()
        .to_string();
    let hashes = [executor.topology_hash(), other.topology_hash()].map(|hash| format!("{hash:016x}"));
    assert!(hashes.iter().all(|hash| error.contains(hash)), "{error}");
}
