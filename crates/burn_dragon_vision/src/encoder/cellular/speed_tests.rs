//! Time of a training step beside that of the dense trunk.

use super::*;
use crate::encoder::step::{Backbone, StepPass};
use crate::encoder::testing::{patches, trunk_config};
use burn_dragon_core::api::Pass;
use std::time::Instant;

/// Best of some runs, forward and backward, in ms.
fn best(mut run: impl FnMut() -> Tensor<1>) -> [f64; 2] {
    let mut best = [f64::INFINITY; 2];
    for _ in 0..5 {
        let start = Instant::now();
        let loss = run();
        let forward = start.elapsed().as_secs_f64() * 1e3;
        let found = loss.backward();
        let all = start.elapsed().as_secs_f64() * 1e3;
        drop(found);
        best = [best[0].min(forward), best[1].min(all - forward)];
    }
    best
}

/// Run it with `cargo test --release -p burn_dragon_vision -- --ignored --nocapture a_training_step`.
#[test]
#[ignore = "a measurement"]
fn a_training_step_beside_the_dense_trunk() {
    let device = Device::flex().autodiff();
    let sizes = TrunkConfig {
        d_model: 96,
        n_neurons: 4 * 96,
        n_heads: 4,
        n_levels: 4,
        init_std: 0.02,
        ..trunk_config()
    };
    let grid = Grid::new(8, 8);
    let trunk = Trunk::new(&sizes, 1, &device).unwrap();
    let v = patches(64, grid.places(), 96, 1, &device);
    let dense = best(|| trunk.forward(v.clone(), Pass::default()).powf_scalar(3.0).sum());
    println!(
        "dense               forward {:6.1} ms, backward {:6.1} ms",
        dense[0], dense[1]
    );
    for gains in [Gains::None, Gains::Learnt] {
        let config = CellularConfig {
            gains,
            ..CellularConfig::default()
        };
        let cellular = Cellular::new(&config, &sizes, 1, &device).unwrap();
        let [forward, backward] = best(|| {
            let steps = cellular.steps(&trunk, grid);
            let mut state = steps.start(v.clone());
            steps.look(&mut state, 4, StepPass::default()).unwrap();
            state.stream().powf_scalar(3.0).sum()
        });
        println!("cellular, {gains:?}  forward {forward:6.1} ms, backward {backward:6.1} ms");
    }
}
