//! What is read of the streams, and what is written to them: each token in the first cache.

use super::Sizes;
use crate::flex::tensor;
use crate::parallel::*;
use crate::simd::{dot, vectorized};
use burn_flex::FlexTensor;

/// `[M, D]`: of each token the sum of its streams, weighted.
pub(super) fn read(x: &FlexTensor, pre: &FlexTensor) -> FlexTensor {
    let (sizes, task) = (Sizes::of(x), Sizes::of(x).task());
    let tokens = x.layout().shape()[0];
    let mut h = vec![0.0; tokens * sizes.width];
    h.par_chunks_mut(task * sizes.width)
        .zip(x.storage::<f32>().par_chunks(task * sizes.token()))
        .zip(pre.storage::<f32>().par_chunks(task * sizes.streams))
        .for_each(|((h, x), pre)| read_rows(h, x, pre, sizes));
    tensor(h, [tokens, sizes.width])
}

/// The gradients of the streams and their weights.
pub(super) fn read_back(x: &FlexTensor, pre: &FlexTensor, d: &FlexTensor) -> [FlexTensor; 2] {
    let (sizes, task) = (Sizes::of(x), Sizes::of(x).task());
    let mut dx = vec![0.0; x.layout().num_elements()];
    let mut dpre = vec![0.0; pre.layout().num_elements()];
    dx.par_chunks_mut(task * sizes.token())
        .zip(dpre.par_chunks_mut(task * sizes.streams))
        .zip(x.storage::<f32>().par_chunks(task * sizes.token()))
        .zip(pre.storage::<f32>().par_chunks(task * sizes.streams))
        .zip(d.storage::<f32>().par_chunks(task * sizes.width))
        .for_each(|((((dx, dpre), x), pre), d)| read_rows_back(dx, dpre, x, pre, d, sizes));
    [
        tensor(dx, x.layout().shape().clone()),
        tensor(dpre, pre.layout().shape().clone()),
    ]
}

/// `[M, n, D]`: the streams of each token mixed, and what is written to them.
pub(super) fn write([x, res, post, y]: [&FlexTensor; 4]) -> FlexTensor {
    let (sizes, task) = (Sizes::of(x), Sizes::of(x).task());
    let mut after = vec![0.0; x.layout().num_elements()];
    after
        .par_chunks_mut(task * sizes.token())
        .zip(x.storage::<f32>().par_chunks(task * sizes.token()))
        .zip(
            res.storage::<f32>()
                .par_chunks(task * sizes.streams * sizes.streams),
        )
        .zip(post.storage::<f32>().par_chunks(task * sizes.streams))
        .zip(y.storage::<f32>().par_chunks(task * sizes.width))
        .for_each(|((((after, x), res), post), y)| write_rows(after, x, res, post, y, sizes));
    tensor(after, x.layout().shape().clone())
}

/// The gradients of the streams, stored in the memory of that of the result unless another tensor shares it, of their
/// mixture, of the shares of what is written, and of it.
pub(super) fn write_back([x, res, post, y]: [&FlexTensor; 4], mut d: FlexTensor) -> [FlexTensor; 4] {
    let (sizes, task) = (Sizes::of(x), Sizes::of(x).task());
    let [mut dres, mut dpost, mut dy] = [res, post, y].map(|of| vec![0.0; of.layout().num_elements()]);
    let squares = task * sizes.streams * sizes.streams;
    d.storage_mut::<f32>()
        .par_chunks_mut(task * sizes.token())
        .zip(dres.par_chunks_mut(squares))
        .zip(dpost.par_chunks_mut(task * sizes.streams))
        .zip(dy.par_chunks_mut(task * sizes.width))
        .zip(x.storage::<f32>().par_chunks(task * sizes.token()))
        .zip(res.storage::<f32>().par_chunks(squares))
        .zip(post.storage::<f32>().par_chunks(task * sizes.streams))
        .zip(y.storage::<f32>().par_chunks(task * sizes.width))
        .for_each(|(((((((d, dres), dpost), dy), x), res), post), y)| {
            write_rows_back([d, dres, dpost, dy], [x, res, post, y], sizes);
        });
    let alike = |gradient, of: &FlexTensor| tensor(gradient, of.layout().shape().clone());
    [d, alike(dres, res), alike(dpost, post), alike(dy, y)]
}

/// `to += factor from`.
#[inline(always)]
fn add(to: &mut [f32], factor: f32, from: &[f32]) {
    to.iter_mut()
        .zip(from)
        .for_each(|(to, from)| *to += factor * from);
}

/// `to = factor from`.
#[inline(always)]
fn scale(to: &mut [f32], factor: f32, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = factor * from);
}

vectorized! {
    /// The weighted sums of some tokens.
    read_rows(h: &mut [f32], x: &[f32], pre: &[f32], sizes: Sizes) {
        let tokens = h.chunks_exact_mut(sizes.width).zip(x.chunks_exact(sizes.token()));
        for ((h, x), pre) in tokens.zip(pre.chunks_exact(sizes.streams)) {
            let mut streams = x.chunks_exact(sizes.width).zip(pre);
            if let Some((x, pre)) = streams.next() {
                scale(h, *pre, x);
            }
            for (x, pre) in streams {
                add(h, *pre, x);
            }
        }
    }

    /// The gradients of the streams and weights of some tokens.
    read_rows_back(dx: &mut [f32], dpre: &mut [f32], x: &[f32], pre: &[f32], d: &[f32], sizes: Sizes) {
        let streams = dx.chunks_exact_mut(sizes.token()).zip(dpre.chunks_exact_mut(sizes.streams));
        let inputs = x.chunks_exact(sizes.token()).zip(pre.chunks_exact(sizes.streams));
        for (((dx, dpre), (x, pre)), d) in streams.zip(inputs).zip(d.chunks_exact(sizes.width)) {
            let rows = dx.chunks_exact_mut(sizes.width).zip(x.chunks_exact(sizes.width));
            for (((dx, x), dpre), pre) in rows.zip(dpre).zip(pre) {
                *dpre = dot(d, x);
                scale(dx, *pre, d);
            }
        }
    }

    /// The streams of some tokens after the write.
    write_rows(after: &mut [f32], x: &[f32], res: &[f32], post: &[f32], y: &[f32], sizes: Sizes) {
        let tokens = after.chunks_exact_mut(sizes.token()).zip(x.chunks_exact(sizes.token()));
        let mixtures = res.chunks_exact(sizes.streams * sizes.streams).zip(post.chunks_exact(sizes.streams));
        for (((after, x), (res, post)), y) in tokens.zip(mixtures).zip(y.chunks_exact(sizes.width)) {
            let rows = after.chunks_exact_mut(sizes.width).zip(res.chunks_exact(sizes.streams));
            for ((after, res), post) in rows.zip(post) {
                scale(after, *post, y);
                let streams = x.chunks_exact(sizes.width).zip(res);
                for (x, res) in streams {
                    add(after, *res, x);
                }
            }
        }
    }

    /// The gradients of x, res, post and y of some tokens; that of x takes the place of that of the streams after the write.
    write_rows_back(gradients: [&mut [f32]; 4], inputs: [&[f32]; 4], sizes: Sizes) {
        let ([d, dres, dpost, dy], [x, res, post, y]) = (gradients, inputs);
        let (width, streams, token) = (sizes.width, sizes.streams, sizes.token());
        let mut after = vec![0.0; token];
        let gradients = d.chunks_exact_mut(token).zip(dres.chunks_exact_mut(streams * streams))
            .zip(dpost.chunks_exact_mut(streams)).zip(dy.chunks_exact_mut(width));
        let inputs = x.chunks_exact(token).zip(res.chunks_exact(streams * streams))
            .zip(post.chunks_exact(streams)).zip(y.chunks_exact(width));
        for ((((dx, dres), dpost), dy), (((x, res), post), y)) in gradients.zip(inputs) {
            after.copy_from_slice(dx);
            dx.fill(0.0);
            let rows = after.chunks_exact(width).zip(dpost).zip(post);
            let mixtures = dres.chunks_exact_mut(streams).zip(res.chunks_exact(streams));
            for (((d, dpost), post), (dres, res)) in rows.zip(mixtures) {
                *dpost = dot(d, y);
                add(dy, *post, d);
                let rows = dx.chunks_exact_mut(width).zip(x.chunks_exact(width));
                for (((dx, x), dres), res) in rows.zip(dres).zip(res) {
                    *dres = dot(d, x);
                    add(dx, *res, d);
                }
            }
        }
    }
}
