//! What a reader gets of the memories of its targets: the read itself, and the products with a value, which are the
//! gradient of its query.

use super::rows::{Rows, Weighted};
use crate::backend::graph::GraphSizes;
use crate::graph::adjacency::Links;
use crate::simd::{LANES, fold, vectorized};
use std::ops::Range;

/// A pass over the memories that readers read.
#[derive(Clone, Copy)]
pub(super) struct Gather<'a> {
    pub(super) sizes: GraphSizes,
    pub(super) edges: Weighted<'a>,
    pub(super) links: Links<'a>,
    /// `[B, H, S, N]`.
    pub(super) q: &'a [f32],
    /// `[B, 1 or H, S, D]`, for the products with a value.
    pub(super) u: Option<&'a [f32]>,
    /// `[B, H, T, N, D]`.
    pub(super) rho: &'a [f32],
}

/// What was asked for; the rest is empty.
pub(super) struct Gathered {
    /// `sum over t of w q_s rho_t`, `[B, H, S, D]`.
    pub(super) read: Vec<f32>,
    /// `sum over t of w rho_t u_s`, `[B, H, S, N]`.
    pub(super) turned: Vec<f32>,
    /// `q_s rho_t u_s` times the weight without the gate, `[B, H, E]`.
    pub(super) terms: Vec<f32>,
}

impl Gather<'_> {
    pub(super) fn run(&self, wanted: [bool; 3]) -> Gathered {
        let sizes = &self.sizes;
        let rows = Rows {
            groups: sizes.lanes * sizes.heads,
            links: self.links,
            of_edge: sizes.neurons * sizes.width,
            of_row: sizes.neurons + sizes.width,
        };
        let [reads, turned] = [sizes.reads(), sizes.queries()].map(|shape| shape.iter().product());
        let counts = [reads, turned, rows.groups * self.links.edge_count()];
        let [mut read, mut turned, mut terms] =
            std::array::from_fn(|output| vec![0.0; if wanted[output] { counts[output] } else { 0 }]);
        if wanted.contains(&true) {
            rows.run(
                [&mut read, &mut turned],
                &mut terms,
                [sizes.width, sizes.neurons],
                |rows, [read, turned], terms| gather_rows(self, rows, read, turned, terms),
            );
        }
        Gathered { read, turned, terms }
    }
}

vectorized! {
    /// A range of rows; outputs that are not wanted are empty.
    gather_rows(gather: &Gather<'_>, rows: Range<usize>, read: &mut [f32], turned: &mut [f32], terms: &mut [f32]) {
        let GraphSizes { heads, readers, targets, neurons, width, value_heads, .. } = gather.sizes;
        let size = neurons * width;
        let (reads, turns) = (!(read.is_empty() && terms.is_empty()), !turned.is_empty());
        let mut active = Vec::with_capacity(neurons);
        let (mut sum, mut weighted) = (vec![0.0; width], vec![0.0; width]);
        let mut partial = vec![[0.0; LANES]; if turns { neurons } else { 0 }];
        let mut term = 0;
        for (row, index) in rows.zip(0..) {
            let (group, reader) = (row / readers, row % readers);
            let q = &gather.q[row * neurons..][..neurons];
            active.clear();
            active.extend((0..).zip(q).filter(|(_, q)| **q != 0.0).map(|(n, q)| (n, *q)));
            let value = if value_heads == heads { row } else { group / heads * readers + reader };
            let u = gather.u.map(|u| &u[value * width..][..width]);
            partial.fill([0.0; LANES]);
            for position in gather.links.of(reader) {
                let (target, edge) = gather.links.at(position);
                let weight = gather.edges.weight(group, edge);
                let rho = &gather.rho[(group * targets + target) * size..][..size];
                if reads {
                    sum.fill(0.0);
                    add_rows(&mut sum, rho, &active);
                }
                if !read.is_empty() {
                    let read = &mut read[index * width..][..width];
                    read.iter_mut().zip(&sum).for_each(|(read, sum)| *read += weight * sum);
                }
                let Some(u) = u else { continue };
                if turns {
                    weighted.iter_mut().zip(u).for_each(|(weighted, u)| *weighted = weight * u);
                    add_products(&mut partial, rho, &weighted);
                }
                if !terms.is_empty() {
                    terms[term] = gather.edges.ungated(group, edge) * crate::simd::dot(&sum, u);
                    term += 1;
                }
            }
            if turns {
                let turned = &mut turned[index * neurons..][..neurons];
                turned.iter_mut().zip(&partial).for_each(|(turned, lanes)| *turned = fold(*lanes, |a, b| a + b));
            }
        }
    }
}

/// Adds the rows of a memory that belong to active neurons, each times its activity, in registers.
#[inline(always)]
fn add_rows(sum: &mut [f32], rho: &[f32], active: &[(usize, f32)]) {
    let width = sum.len();
    let (blocks, rest) = sum.as_chunks_mut::<64>();
    let start = blocks.len() * 64;
    for (block, sum) in blocks.iter_mut().enumerate() {
        add_block(sum, &rho[block * 64..], width, active);
    }
    let (blocks, rest) = rest.as_chunks_mut::<LANES>();
    for (block, sum) in blocks.iter_mut().enumerate() {
        add_block(sum, &rho[start + block * LANES..], width, active);
    }
    let start = width - rest.len();
    for (n, q) in active {
        let row = &rho[n * width + start..(n + 1) * width];
        rest.iter_mut().zip(row).for_each(|(sum, rho)| *sum += q * rho);
    }
}

/// The same for a few columns; `rho` starts with the first of them.
#[inline(always)]
fn add_block<const W: usize>(sum: &mut [f32; W], rho: &[f32], width: usize, active: &[(usize, f32)]) {
    let mut sums = *sum;
    for (n, q) in active {
        if let Some(row) = rho[n * width..].first_chunk::<W>() {
            sums.iter_mut().zip(row).for_each(|(sum, rho)| *sum += q * rho);
        }
    }
    *sum = sums;
}

/// Adds the products of each row of a memory with a value, as sums side by side that are folded later.
#[inline(always)]
fn add_products(partial: &mut [[f32; LANES]], rho: &[f32], u: &[f32]) {
    for (sums, row) in partial.iter_mut().zip(rho.chunks_exact(u.len().max(1))) {
        let ((rows, row), (us, u)) = (row.as_chunks::<LANES>(), u.as_chunks::<LANES>());
        for (row, u) in rows.iter().zip(us) {
            sums.iter_mut()
                .zip(row.iter().zip(u))
                .for_each(|(sum, (rho, u))| *sum += rho * u);
        }
        sums.iter_mut()
            .zip(row.iter().zip(u))
            .for_each(|(sum, (rho, u))| *sum += rho * u);
    }
}
