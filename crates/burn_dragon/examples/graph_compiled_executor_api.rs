//! A graph model step by step: routing with clusters and a global memory, compiled once, observed, refined, predicted.
//!
//! `cargo run --release --example graph_compiled_executor_api`

use burn_dragon::api::core::Backend;
use burn_dragon::api::graph::config::{ModelConfig, Neighbours, Schema, Target};
use burn_dragon::api::graph::execution::{GraphCompiledExecutor, GraphObservationMerger, GraphStepMode};
use burn_dragon::api::graph::routing::{GraphCsrAdjacency, GraphTopologyRouting};
use burn_dragon::api::graph::{GraphDragon, GraphDragonConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Backend::Auto.select()?.device;
    let config = GraphDragonConfig {
        model: ModelConfig {
            decay: 0.95,
            ..ModelConfig::default()
        },
        schema: Schema {
            features: 2,
            classes: vec!["near".into(), "far".into()],
            target: Target::Nodes,
            coding: None,
        },
    };
    let model = GraphDragon::new(&config, 1337, &device)?;

    // A ring of six nodes in two clusters, and one memory that all nodes share.
    let ring: Vec<(usize, usize)> = (0..6)
        .flat_map(|node| [(node, (node + 1) % 6), ((node + 1) % 6, node)])
        .collect();
    let routing = GraphTopologyRouting::new(GraphCsrAdjacency::try_from_edges(6, 6, &ring)?)?
        .with_self_edges()?
        .with_cluster_assignments(2, &[0, 0, 0, 1, 1, 1])?
        .with_cluster_global_assignments(1, &[0, 0])?;
    let executor = GraphCompiledExecutor::new(&routing, Neighbours::Mean);
    println!(
        "topology {:016x}, {} nodes",
        executor.topology_hash(),
        executor.nodes()
    );

    // Node 0 has the feature 1. A state is a value: both continuations begin with the same one.
    let features: Vec<Vec<u32>> = (0..6).map(|node| vec![u32::from(node == 0)]).collect();
    let state = executor.empty_state(&model);
    let state = executor.observe(&model, state, &features, GraphObservationMerger::Replace)?;
    let refined = executor.step(&model, state.clone(), GraphStepMode::Refine)?;
    println!(
        "refined: position {}, age {}",
        refined.temporal_position, refined.prediction_age
    );
    for state in executor.rollout(&model, &state, 3)? {
        let logits = state.node_logits(&model).into_data().convert::<f32>();
        let first: Vec<String> = logits
            .iter::<f32>()
            .take(2)
            .map(|logit| format!("{logit:.3}"))
            .collect();
        println!(
            "age {}: logits of node 0 {}",
            state.prediction_age,
            first.join(" ")
        );
    }
    Ok(())
}
