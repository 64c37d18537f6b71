//! Time of training steps beside those of the dense trunk.

use super::*;
use crate::encoder::near::NearConfig;
use crate::encoder::pyramid::{PyramidBackbone, PyramidConfig};
use crate::encoder::step::{Backbone, StepPass};
use crate::encoder::testing::{patches, trunk_config};
use burn_dragon_core::api::{Pass, Precision};
use burn_dragon_kernel::api::graph::{PlaceDecay, graph_recall};
use burn_dragon_kernel::api::{SpeakInput, perceive, speak};

/// Time of the processor for a run, forward and backward, in ms of one core: the mean of ten.
///
/// It is that of all threads of this process, so that others on the machine count little.
fn spent(mut run: impl FnMut() -> Tensor<1>) -> [f64; 2] {
    const RUNS: usize = 10;
    burn_dragon_kernel::api::machine::keep_freed_memory();
    drop(run().backward());
    let mut spent = [0.0; 2];
    for _ in 0..RUNS {
        let start = processor_ms();
        let loss = run();
        let forward = processor_ms();
        drop(loss.backward());
        spent[0] += (forward - start) / RUNS as f64;
        spent[1] += (processor_ms() - forward) / RUNS as f64;
    }
    spent
}

/// Time that all threads of this process have run, in ms, from the scheduler.
fn processor_ms() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = threads.map(|thread| {
        let path = thread.unwrap().path().join("schedstat");
        let text = std::fs::read_to_string(path).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    });
    nanoseconds.sum::<f64>() / 1e6
}

fn show(what: &str, [forward, backward]: [f64; 2]) {
    println!("{what:28} forward {forward:7.1} ms, backward {backward:7.1} ms");
}

/// 64 pictures of 8 x 8 patches, width 96, 4 heads of 96 neurons.
fn sizes() -> TrunkConfig {
    TrunkConfig {
        d_model: 96,
        n_neurons: 4 * 96,
        n_heads: 4,
        n_levels: 4,
        init_std: 0.02,
        ..trunk_config()
    }
}

const GRID: Grid = Grid { height: 8, width: 8 };

/// `cargo test -p burn_dragon_vision -- --ignored --nocapture speed_tests --test-threads 1`, with
/// `--config profile.dev.package.burn_dragon_kernel.opt-level=3` for the kernel of a release build.
#[test]
#[ignore = "a measurement"]
fn four_steps_of_training_beside_four_levels_of_the_dense_trunk() {
    let device = Device::flex().autodiff();
    let trunk = Trunk::new(&sizes(), 1, &device).unwrap();
    let v = patches(64, GRID.places(), 96, 1, &device);
    let loss = |stream: Tensor<4>| stream.powf_scalar(3.0).sum();
    let looked = |steps: &dyn Backbone| {
        let mut state = steps.start(v.clone());
        steps.look(&mut state, 4, StepPass::default()).unwrap();
        loss(state.stream())
    };
    show("dense", spent(|| loss(trunk.forward(v.clone(), Pass::default()))));
    for gains in [Gains::None, Gains::Learnt] {
        let config = CellularConfig {
            gains,
            ..CellularConfig::default()
        };
        let cellular = Cellular::new(&config, &sizes(), 1, &device).unwrap();
        let time = spent(|| looked(&cellular.steps(&trunk, GRID)));
        show(&format!("cellular, gains {gains:?}"), time);
    }
    for rank in [8, 32] {
        let config = PyramidConfig {
            patch_rank: rank,
            coarse_rank: rank,
            hub_rank: rank,
            ..PyramidConfig::default()
        };
        let pyramid = PyramidBackbone::new(&config, &sizes(), 1, &device).unwrap();
        let steps = pyramid.steps(GRID).unwrap();
        show(&format!("pyramid, rank {rank}"), spent(|| looked(&steps)));
    }
}

#[test]
#[ignore = "a measurement"]
fn the_parts_of_a_step() {
    let device = Device::flex().autodiff();
    let trunk = Trunk::new(&sizes(), 1, &device).unwrap();
    let v = patches(64, GRID.places(), 96, 1, &device).require_grad();
    let (weights, precision) = (trunk.weights(), Precision::F32);
    let x = perceive(v.clone(), &weights, precision).detach().require_grad();
    let (edges, kept) = (NearConfig::default().edges(GRID), PlaceDecay::default());
    let recall = || graph_recall(x.clone(), x.clone(), v.clone(), &edges, &kept);
    let read = recall().detach().require_grad();
    let spoken = || {
        speak(SpeakInput {
            read: read.clone(),
            v: v.clone(),
            weights: weights.clone(),
            norm: Some(1e-5),
            levels: None,
            dropout: None,
            precision,
            count: false,
        })
    };
    show(
        "dense level",
        spent(|| {
            trunk
                .forward(
                    v.clone(),
                    Pass {
                        levels: Some(1),
                        ..Pass::default()
                    },
                )
                .sum()
        }),
    );
    show(
        "perceive",
        spent(|| perceive(v.clone(), &weights, precision).sum()),
    );
    show("read of one write", spent(|| recall().sum()));
    show("speak", spent(|| spoken().u.sum()));
}
