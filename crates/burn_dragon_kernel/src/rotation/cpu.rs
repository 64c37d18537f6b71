//! Rotation on the processor: rows of pairs, several threads.

use crate::flex::{contiguous, tensor};
use crate::parallel::*;
use crate::simd::vectorized;
use burn_flex::FlexTensor;

/// Pairs of x turned by their angles; `sign` -1 turns back. Where no pair turns it is x.
pub(crate) fn rotate(x: FlexTensor, cos: &FlexTensor, sin: &FlexTensor, sign: f32) -> FlexTensor {
    let (cos, sin) = (contiguous(cos.clone()), contiguous(sin.clone()));
    let (cos, sin) = (cos.storage::<f32>(), sin.storage::<f32>());
    if cos.iter().all(|cos| *cos == 1.0) && sin.iter().all(|sin| *sin == 0.0) {
        return x;
    }
    let x = contiguous(x);
    let shape = x.layout().shape().clone();
    let (heads, plane) = (shape[1], shape[2] * shape[3]);
    let mut turned = vec![0.0; shape.num_elements()];
    turned
        .par_chunks_mut(plane.max(1))
        .zip(x.storage::<f32>().par_chunks(plane.max(1)))
        .enumerate()
        .for_each(|(number, (to, from))| {
            // One table for all lanes, or one for each.
            let first = (number / heads * (plane / 2)) % cos.len();
            let table = first..first + plane / 2;
            turn(from, to, &cos[table.clone()], &sin[table], sign);
        });
    tensor(turned, shape)
}

vectorized! {
    /// Turns pairs by their angles; `sign` -1 turns back.
    turn(from: &[f32], to: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
        let (from, to) = (from.as_chunks::<2>().0, to.as_chunks_mut::<2>().0);
        for (((from, to), cos), sin) in from.iter().zip(to).zip(cos).zip(sin) {
            let sin = sign * sin;
            *to = [from[0] * cos - from[1] * sin, from[1] * cos + from[0] * sin];
        }
    }
}
