//! What targets get: outer products of queries and values, summed into their memories.

use super::rows::{Rows, Weighted};
use crate::backend::graph::GraphSizes;
use crate::graph::adjacency::Links;
use crate::simd::vectorized;
use std::ops::Range;

/// A write into the memories of targets.
#[derive(Clone, Copy)]
pub(super) struct Scatter<'a> {
    pub(super) sizes: GraphSizes,
    pub(super) edges: Weighted<'a>,
    pub(super) incoming: Links<'a>,
    /// `[B, H, S, N]`.
    pub(super) q: &'a [f32],
    /// `[B, 1 or H, S, D]`.
    pub(super) v: &'a [f32],
    /// Factor of each head on the memory before; `None`: 1.
    pub(super) kept: Option<&'a [f32]>,
}

impl Scatter<'_> {
    /// Adds to the memories, `[B, H, T, N, D]`.
    pub(super) fn run(&self, rho: &mut [f32]) {
        let GraphSizes {
            lanes,
            heads,
            neurons,
            width,
            ..
        } = self.sizes;
        let rows = Rows {
            groups: lanes * heads,
            links: self.incoming,
            of_edge: neurons * width,
            of_row: neurons * width,
        };
        rows.run([rho], &mut [], [neurons * width], |rows, [rho], _| {
            scatter_rows(self, rows, rho);
        });
    }
}

vectorized! {
    /// The memories of a range of rows.
    scatter_rows(scatter: &Scatter<'_>, rows: Range<usize>, rho: &mut [f32]) {
        let GraphSizes { heads, readers, targets, neurons, width, value_heads, .. } = scatter.sizes;
        for (row, rho) in rows.zip(rho.chunks_exact_mut((neurons * width).max(1))) {
            let (group, target) = (row / targets, row % targets);
            let kept = scatter.kept.map_or(1.0, |kept| kept[group % heads]);
            if kept != 1.0 {
                rho.iter_mut().for_each(|rho| *rho *= kept);
            }
            for position in scatter.incoming.of(target) {
                let (reader, edge) = scatter.incoming.at(position);
                let weight = scatter.edges.weight(group, edge);
                let value = if value_heads == heads { group } else { group / heads };
                let v = &scatter.v[(value * readers + reader) * width..][..width];
                let q = &scatter.q[(group * readers + reader) * neurons..][..neurons];
                for (rho, q) in rho.chunks_exact_mut(width).zip(q) {
                    let q = weight * q;
                    if q != 0.0 {
                        rho.iter_mut().zip(v).for_each(|(rho, v)| *rho += q * v);
                    }
                }
            }
        }
    }
}
