//! The join and its gradient on the processor, row by row.

use crate::norm::cpu::{norm_row, norm_row_back, rows_of_a_task, width};
use crate::parallel::*;
use crate::simd::vectorized;
use burn_flex::FlexTensor;

/// Result of a join, with the data that its gradient needs.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    /// `norm(v + norm(u))`.
    pub(crate) stream: FlexTensor,
    /// `norm(u)`.
    normed: FlexTensor,
    /// One over the standard deviation of each row of u, and of the sum.
    scales: Vec<[f32; 2]>,
}

/// `norm(v + norm(u))`, stored in the memory of v, and the norm of u in that of u, unless another tensor shares them.
pub(crate) fn join(mut stream: FlexTensor, mut u: FlexTensor, eps: f64) -> Joined {
    let width = width(&stream);
    let rows = rows_of_a_task(width);
    let mut scales = vec![[0.0; 2]; stream.layout().num_elements() / width];
    stream
        .storage_mut::<f32>()
        .par_chunks_mut(rows * width)
        .zip(u.storage_mut::<f32>().par_chunks_mut(rows * width))
        .zip(scales.par_chunks_mut(rows))
        .for_each(|((stream, u), scales)| join_rows(stream, u, scales, eps as f32));
    Joined {
        stream,
        normed: u,
        scales,
    }
}

/// The gradients of v and u from that of the joined stream.
pub(crate) fn join_back(joined: Joined, mut d: FlexTensor) -> [FlexTensor; 2] {
    let Joined {
        stream,
        mut normed,
        scales,
    } = joined;
    let width = width(&stream);
    let rows = rows_of_a_task(width);
    d.storage_mut::<f32>()
        .par_chunks_mut(rows * width)
        .zip(normed.storage_mut::<f32>().par_chunks_mut(rows * width))
        .zip(stream.storage::<f32>().par_chunks(rows * width))
        .zip(scales.par_chunks(rows))
        .for_each(|(((d, normed), stream), scales)| join_rows_back(d, normed, stream, scales));
    [d, normed]
}

vectorized! {
    /// From v and u to the stream and the normed u, one row for each scale.
    join_rows(v: &mut [f32], u: &mut [f32], scales: &mut [[f32; 2]], eps: f32) {
        let width = v.len() / scales.len();
        let rows = v.chunks_exact_mut(width).zip(u.chunks_exact_mut(width)).zip(scales);
        for ((v, u), scales) in rows {
            let inner = norm_row(u, eps);
            v.iter_mut().zip(u.iter()).for_each(|(v, u)| *v += u);
            *scales = [inner, norm_row(v, eps)];
        }
    }

    /// From the gradient of the stream to those of v and u: d becomes that of v, the memory of the normed u that of u.
    join_rows_back(d: &mut [f32], normed: &mut [f32], stream: &[f32], scales: &[[f32; 2]]) {
        let width = d.len() / scales.len();
        let mut turned = vec![0.0; width];
        let rows = d.chunks_exact_mut(width).zip(normed.chunks_exact_mut(width)).zip(stream.chunks_exact(width));
        for (((d, normed), stream), [inner, outer]) in rows.zip(scales) {
            norm_row_back(d, stream, *outer);
            turned.copy_from_slice(d);
            norm_row_back(&mut turned, normed, *inner);
            normed.copy_from_slice(&turned);
        }
    }
}
