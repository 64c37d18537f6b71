//! Cross entropy on the GPU: one launch forward and one backward, a cube for each row.
//!
//! A target that is not a class is not seen before the kernel runs, and to wait for it would stop the device at every
//! step. Its loss is NaN, and so is its row of the gradient: a trainer that checks its loss stops there.

use crate::gpu::array::{UNITS, contiguous, element, empty, for_rows, owned, rows};
use crate::gpu::reduce::{largest_of_row, room, sum_of_units};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// Rows of logits, the class of each, and the logarithm of the sum of their exponentials.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    logits: CubeTensor,
    targets: CubeTensor,
    log_sums: CubeTensor,
}

/// The cross entropy of every row, and the data that its gradient needs.
pub(crate) fn cross_entropy(logits: CubeTensor, targets: CubeTensor) -> (CubeTensor, Rows) {
    let (logits, targets) = (contiguous(logits), contiguous(targets));
    let [count, width] = rows(&logits);
    let losses = empty(&logits, targets.meta.shape().clone(), logits.dtype);
    let log_sums = empty(&logits, [count], DType::F32);
    if count * width > 0 {
        let client = logits.client.clone();
        let (cubes, units) = for_rows(&client, count);
        log_sum_rows::launch(
            &client,
            cubes,
            units,
            logits.clone().into_buffer_arg(),
            targets.clone().into_buffer_arg(),
            losses.clone().into_buffer_arg(),
            log_sums.clone().into_buffer_arg(),
            count,
            width,
            f32::NAN,
            element(&logits),
            element(&targets),
        );
    }
    let rows = Rows {
        logits,
        targets,
        log_sums,
    };
    (losses, rows)
}

/// The gradient of the logits from that of every row: `d (softmax - one at the class)`, in the memory of the logits
/// unless another tensor shares it.
pub(crate) fn cross_entropy_back(kept: Rows, d: CubeTensor) -> CubeTensor {
    let (logits, d) = (owned(kept.logits), contiguous(d));
    let [count, width] = rows(&logits);
    if count * width > 0 {
        let client = logits.client.clone();
        let (cubes, units) = for_rows(&client, count);
        softmax_rows::launch(
            &client,
            cubes,
            units,
            logits.clone().into_buffer_arg(),
            kept.targets.clone().into_buffer_arg(),
            kept.log_sums.into_buffer_arg(),
            d.into_buffer_arg(),
            count,
            width,
            f32::NAN,
            element(&logits),
            element(&kept.targets),
        );
    }
    logits
}

/// Losses and the logarithms of the sums of exponentials; `undefined` is the loss where the target is not a class.
#[cube(launch)]
fn log_sum_rows<F: Float, I: Int>(
    logits: &[F],
    targets: &[I],
    losses: &mut [F],
    log_sums: &mut [f32],
    count: usize,
    width: usize,
    undefined: f32,
    #[define(F)] _float: ElemType,
    #[define(I)] _int: ElemType,
) {
    let row = CUBE_POS;
    if row >= count {
        terminate!();
    }
    let mut room = room();
    let start = row * width;
    let top = largest_of_row(logits, start, width, &mut room);
    let mut sum = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        sum += (f32::cast_from(logits[start + i]) - top).exp();
        i += comptime!(UNITS as usize);
    }
    let log_sum = top + sum_of_units(sum, &mut room).ln();
    if UNIT_POS == 0 {
        log_sums[row] = log_sum;
        let target = targets[row];
        let mut loss = undefined;
        if target >= I::new(0) && target < I::cast_from(width) {
            loss = log_sum - f32::cast_from(logits[start + usize::cast_from(target)]);
        }
        losses[row] = F::cast_from(loss);
    }
}

/// From logits to `d (softmax - one at the class)`, in place.
#[cube(launch)]
fn softmax_rows<F: Float, I: Int>(
    logits: &mut [F],
    targets: &[I],
    log_sums: &[f32],
    d: &[F],
    count: usize,
    width: usize,
    undefined: f32,
    #[define(F)] _float: ElemType,
    #[define(I)] _int: ElemType,
) {
    let row = CUBE_POS;
    if row >= count {
        terminate!();
    }
    let (start, log_sum, target) = (row * width, log_sums[row], targets[row]);
    let mut d = f32::cast_from(d[row]);
    let mut class = width;
    if target >= I::new(0) && target < I::cast_from(width) {
        class = usize::cast_from(target);
    } else {
        d = undefined;
    }
    let mut i = UNIT_POS as usize;
    while i < width {
        let mut share = (f32::cast_from(logits[start + i]) - log_sum).exp();
        if i == class {
            share -= 1.0f32;
        }
        logits[start + i] = F::cast_from(d * share);
        i += comptime!(UNITS as usize);
    }
}
