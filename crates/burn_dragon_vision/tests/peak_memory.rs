//! Memory of a training step, in a process of its own.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::{Device, Distribution, Tensor};
use burn_dragon_core::api::FreeMemory;
use burn_dragon_vision::api::{Colours, DenseRead, Hidden, ModelConfig, VisionEncoder, VisionPass};

/// Sizes of the step.
const LANES: usize = 16;
const NEURONS: usize = 8192;
const LEVELS: usize = 4;

/// A step by scores keeps activations of every neuron; the fused one keeps none.
#[test]
fn a_step_keeps_no_tensor_as_wide_as_the_neurons() {
    let fused = bytes_of_a_step(DenseRead::Full);
    let by_scores = bytes_of_a_step(DenseRead::Softmax);
    let (Some(fused), Some(by_scores)) = (fused, by_scores) else {
        return println!("skipped: the system does not tell the memory of a process");
    };
    let wide = (LANES * config(DenseRead::Full).patches() * NEURONS * 4) as u64; // bytes of such a tensor
    let [fused_mib, by_scores_mib, wide_mib] = [fused, by_scores, wide].map(|bytes| bytes >> 20);
    let found = format!(
        "a tensor as wide as the neurons has {wide_mib} MiB; a step takes {fused_mib} MiB, by scores {by_scores_mib} MiB"
    );
    println!("{found}");
    assert!(fused < 2 * wide, "{found}: expected less than two of them");
    assert!(
        by_scores > LEVELS as u64 * wide,
        "{found}: expected more than one of each level by scores"
    );
}

fn config(read: DenseRead) -> ModelConfig {
    ModelConfig {
        colours: Colours::Rgb,
        d_model: 32,
        n_neurons: NEURONS,
        n_levels: LEVELS,
        read,
        ..ModelConfig::default()
    }
}

/// Bytes that the process holds at most in a forward and a backward pass, beyond those before; `None` if the system does not
/// tell.
fn bytes_of_a_step(read: DenseRead) -> Option<u64> {
    let config = config(read);
    let device = Device::flex().autodiff();
    let encoder = VisionEncoder::new(&config, 1, &device).unwrap();
    let side = config.image_size;
    let before = FreeMemory::of_this_machine().held();
    let pixels = Tensor::<4>::random([LANES, side, side, 3], Distribution::Uniform(0.0, 1.0), &device);
    let seen = encoder
        .look_last(pixels, &Hidden::Nothing, VisionPass::default())
        .unwrap();
    let gradients = seen.summary.powi_scalar(3).sum().backward();
    let trunk = encoder.trunk.as_ref().unwrap();
    let gradient = trunk.encoder.val().grad(&gradients).unwrap();
    assert!(gradient.powi_scalar(2).sum().into_scalar::<f64>() > 0.0);
    let after = FreeMemory::of_this_machine().most_held();
    (after > 0).then(|| after.saturating_sub(before))
}
