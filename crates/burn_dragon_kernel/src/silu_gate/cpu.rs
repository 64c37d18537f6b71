//! The gate and its gradient on the processor, one pass each.

use crate::flex::{contiguous, tensor};
use crate::parallel::*;
use crate::simd::{sigmoid, vectorized};
use burn_flex::FlexTensor;

/// Numbers of a task, so that small tensors wake no thread.
const TASK: usize = 1 << 14;

/// `y z sigmoid(z)`.
pub(crate) fn silu_gate(y: FlexTensor, z: FlexTensor) -> FlexTensor {
    let shape = y.layout().shape().clone();
    let [y, z] = [y, z].map(contiguous);
    let mut values = y.storage::<f32>().to_vec();
    values
        .par_chunks_mut(TASK)
        .zip(z.storage::<f32>().par_chunks(TASK))
        .for_each(|(values, z)| forward(values, z));
    tensor(values, shape)
}

/// The gradients of y and z.
pub(crate) fn silu_gate_back(y: FlexTensor, z: FlexTensor, d: FlexTensor) -> [FlexTensor; 2] {
    let shape = y.layout().shape().clone();
    let [y, z, d] = [y, z, d].map(contiguous);
    let (mut d_y, mut d_z) = (d.storage::<f32>().to_vec(), y.storage::<f32>().to_vec());
    d_y.par_chunks_mut(TASK)
        .zip(d_z.par_chunks_mut(TASK))
        .zip(z.storage::<f32>().par_chunks(TASK))
        .for_each(|((d, y), z)| backward(d, y, z));
    [tensor(d_y, shape.clone()), tensor(d_z, shape)]
}

vectorized! {
    /// The gated values in place.
    forward(y: &mut [f32], z: &[f32]) {
        y.iter_mut().zip(z).for_each(|(y, z)| *y *= z * sigmoid(*z));
    }

    /// The gradient of y in the place of that of the result, and the gradient of z in the place of y.
    backward(d: &mut [f32], y: &mut [f32], z: &[f32]) {
        for ((d, y), z) in d.iter_mut().zip(y).zip(z) {
            let open = sigmoid(*z);
            *y *= *d * open * (1.0 + z * (1.0 - open));
            *d *= z * open;
        }
    }
}
