//! A step of AdamW on the GPU: value and moments in one launch, in place unless another tensor shares them.

use super::cpu::Numbers;
use crate::backend::adamw::AdamWStep;
use crate::gpu::array::{contiguous, entries, for_entries, owned};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Value, gradient and moments to value and moments.
pub(crate) fn adamw([value, gradient, first, second]: [CubeTensor; 4], step: &AdamWStep) -> [CubeTensor; 3] {
    let ([value, first, second], gradient) = ([value, first, second].map(owned), contiguous(gradient));
    let (client, count) = (value.client.clone(), entries(&value));
    if count > 0 {
        let (cubes, units) = for_entries(&client, count);
        let by = Numbers::of(step);
        let factors = FactorsLaunch::new(
            by.scale,
            by.keep_1,
            by.take_1,
            by.keep_2,
            by.take_2,
            by.unbias_2,
            by.eps,
            by.rate,
            by.shrink,
        );
        update::launch(
            &client,
            cubes,
            units,
            value.clone().into_buffer_arg(),
            first.clone().into_buffer_arg(),
            second.clone().into_buffer_arg(),
            gradient.into_buffer_arg(),
            factors,
        );
    }
    [value, first, second]
}

/// The factors of a step.
#[derive(CubeType, CubeLaunch)]
struct Factors {
    scale: f32,
    keep_1: f32,
    take_1: f32,
    keep_2: f32,
    take_2: f32,
    unbias_2: f32,
    eps: f32,
    rate: f32,
    shrink: f32,
}

/// The step of one entry.
#[cube(launch)]
fn update(value: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32], by: Factors) {
    let i = ABSOLUTE_POS;
    if i >= value.len() {
        terminate!();
    }
    let gradient = gradient[i] * by.scale;
    let mean = first[i] * by.keep_1 + gradient * by.take_1;
    let square = second[i] * by.keep_2 + gradient * gradient * by.take_2;
    first[i] = mean;
    second[i] = square;
    let root = (square * by.unbias_2).sqrt() + by.eps;
    value[i] = value[i] * by.shrink - mean * by.rate / root;
}
