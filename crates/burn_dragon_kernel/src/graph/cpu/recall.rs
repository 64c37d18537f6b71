//! Read of one write: an edge takes the product of a query and a key, and adds as much of the value.

use super::rows::{Rows, Weighted, links, sum_of_gates, sum_of_heads};
use crate::backend::graph::{GraphRecallOn, GraphSizes};
use crate::flex::{contiguous, tensor};
use crate::graph::adjacency::Links;
use crate::simd::{dot, vectorized};
use burn::backend::Flex;
use burn_flex::FlexTensor;
use std::ops::Range;

/// Queries, keys and values.
#[derive(Clone, Copy)]
pub(super) struct Recall<'a> {
    sizes: GraphSizes,
    edges: Weighted<'a>,
    /// The links of the readers, and those of the targets.
    links: [Links<'a>; 2],
    /// `[B, H, S, N]`.
    q: &'a [f32],
    /// `[B, H, T, N]`.
    keys: &'a [f32],
    /// `[B, 1 or H, T, D]`.
    v: &'a [f32],
}

/// What is read, `[B, H, S, D]`, and the products of queries and keys, `[B, H, E]`.
pub(super) fn recall(input: &GraphRecallOn<Flex>) -> [FlexTensor; 2] {
    let sizes = input.sizes;
    let [q, keys, v] = [&input.q, &input.keys, &input.v].map(|tensor| contiguous(tensor.clone()));
    let gates = input.edges.gates.clone().map(contiguous);
    let recall = Recall::new(input, gates.as_ref(), [&q, &keys, &v]);
    let mut read = vec![0.0; sizes.reads().iter().product()];
    let mut scores = vec![0.0; sizes.lanes * sizes.heads * recall.edges.count];
    recall
        .rows(0)
        .run([&mut read], &mut scores, [sizes.width], |rows, [read], scores| {
            recall_rows(&recall, rows, read, scores);
        });
    let of_scores = [sizes.lanes, sizes.heads, recall.edges.count];
    [tensor(read, sizes.reads()), tensor(scores, of_scores)]
}

/// The gradients of q, the keys, v and the gates.
pub(super) fn recall_back(
    input: &GraphRecallOn<Flex>,
    scores: &[f32],
    d: &[f32],
    [of_q, of_keys, of_v, of_gates]: [bool; 4],
) -> [Option<FlexTensor>; 4] {
    let sizes = input.sizes;
    let [q, keys, v] = [&input.q, &input.keys, &input.v].map(|tensor| contiguous(tensor.clone()));
    let gates = input.edges.gates.clone().map(contiguous);
    let recall = Recall::new(input, gates.as_ref(), [&q, &keys, &v]);
    let some = |wanted: bool, numbers: usize| vec![0.0; if wanted { numbers } else { 0 }];
    let entries = |shape: [usize; 4]| shape.into_iter().product();
    // The products of d and the values: their edges' gradients, for the keys and the gates.
    let mut products = some(of_q || of_keys || of_gates, scores.len());
    let mut dq = some(of_q, entries(sizes.queries()));
    if !products.is_empty() {
        let rows = recall.rows(0);
        rows.run(
            [&mut dq],
            &mut products,
            [sizes.neurons],
            |rows, [dq], products| {
                readers_back(&recall, d, rows, dq, products);
            },
        );
    }
    let mut dkeys = some(of_keys, entries(sizes.keys()));
    let values = [sizes.lanes, sizes.heads, sizes.targets, sizes.width];
    let mut dv = some(of_v, entries(values));
    if of_keys || of_v {
        let outputs = [dkeys.as_mut_slice(), dv.as_mut_slice()];
        let edges = [scores, &products];
        recall.rows(1).run(
            outputs,
            &mut [],
            [sizes.neurons, sizes.width],
            |rows, [dkeys, dv], _| {
                targets_back(&recall, d, edges, rows, dkeys, dv);
            },
        );
    }
    [
        of_q.then(|| tensor(dq, sizes.queries())),
        of_keys.then(|| tensor(dkeys, sizes.keys())),
        of_v.then(|| sum_of_heads(dv, &sizes, sizes.targets)),
        of_gates.then(|| sum_of_gates(&recall.terms_of_gates(scores, &products), &recall.edges)),
    ]
}

impl<'a> Recall<'a> {
    fn new(
        input: &'a GraphRecallOn<Flex>,
        gates: Option<&'a FlexTensor>,
        [q, keys, v]: [&'a FlexTensor; 3],
    ) -> Self {
        Self {
            sizes: input.sizes,
            edges: Weighted::new(&input.edges, gates, &input.sizes, input.left.as_deref()),
            links: links(&input.edges, &input.sizes),
            q: q.storage(),
            keys: keys.storage(),
            v: v.storage(),
        }
    }

    /// The rows of the readers (0) or of the targets (1).
    fn rows(&self, end: usize) -> Rows<'a> {
        let work = self.sizes.neurons + self.sizes.width;
        Rows {
            groups: self.sizes.lanes * self.sizes.heads,
            links: self.links[end],
            of_edge: 2 * work,
            of_row: work,
        }
    }

    /// The value of a target for a head of a lane.
    #[inline(always)]
    fn value(&self, group: usize, target: usize) -> &'a [f32] {
        let (heads, width) = (self.sizes.heads, self.sizes.width);
        let of_values = if self.sizes.value_heads == heads {
            group
        } else {
            group / heads
        };
        &self.v[(of_values * self.sizes.targets + target) * width..][..width]
    }

    /// The gradient of the gates before it is summed over heads, `[B, H, E]`.
    fn terms_of_gates(&self, scores: &[f32], products: &[f32]) -> Vec<f32> {
        let edges = self.edges.count.max(1);
        let terms = (0..).zip(scores.iter().zip(products));
        terms
            .map(|(at, (score, product))| self.edges.ungated(at / edges, at % edges) * score * product)
            .collect()
    }
}

vectorized! {
    /// The reads of a range of readers, and the products of queries and keys.
    recall_rows(recall: &Recall<'_>, rows: Range<usize>, read: &mut [f32], scores: &mut [f32]) {
        let GraphSizes { readers, targets, neurons, width, .. } = recall.sizes;
        let links = recall.links[0];
        let mut scores = scores.iter_mut();
        for (row, read) in rows.zip(read.chunks_exact_mut(width.max(1))) {
            let (group, reader) = (row / readers, row % readers);
            let q = &recall.q[row * neurons..][..neurons];
            for (position, score) in links.of(reader).zip(&mut scores) {
                let (target, edge) = links.at(position);
                *score = dot(q, &recall.keys[(group * targets + target) * neurons..][..neurons]);
                let by = recall.edges.weight(group, edge) * *score;
                let v = recall.value(group, target);
                read.iter_mut().zip(v).for_each(|(read, v)| *read += by * v);
            }
        }
    }

    /// The gradients of a range of queries, if they are wanted, and the products of d and the values.
    readers_back(recall: &Recall<'_>, d: &[f32], rows: Range<usize>, dq: &mut [f32], products: &mut [f32]) {
        let GraphSizes { readers, targets, neurons, width, .. } = recall.sizes;
        let links = recall.links[0];
        let mut products = products.iter_mut();
        for (row, index) in rows.zip(0..) {
            let (group, reader) = (row / readers, row % readers);
            let d = &d[row * width..][..width];
            for (position, product) in links.of(reader).zip(&mut products) {
                let (target, edge) = links.at(position);
                *product = dot(d, recall.value(group, target));
                if dq.is_empty() {
                    continue;
                }
                let by = recall.edges.weight(group, edge) * *product;
                let key = &recall.keys[(group * targets + target) * neurons..][..neurons];
                let dq = &mut dq[index * neurons..][..neurons];
                dq.iter_mut().zip(key).for_each(|(dq, key)| *dq += by * key);
            }
        }
    }

    /// The gradients of a range of keys and values, each if it is wanted.
    targets_back(
        recall: &Recall<'_>,
        d: &[f32],
        edges: [&[f32]; 2],
        rows: Range<usize>,
        dkeys: &mut [f32],
        dv: &mut [f32]
    ) {
        let GraphSizes { readers, targets, neurons, width, .. } = recall.sizes;
        let links = recall.links[1];
        let [scores, products] = edges;
        for (row, index) in rows.zip(0..) {
            let (group, target) = (row / targets, row % targets);
            for position in links.of(target) {
                let (reader, edge) = links.at(position);
                let (at, from) = (group * recall.edges.count + edge, group * readers + reader);
                let weight = recall.edges.weight(group, edge);
                if !dkeys.is_empty() {
                    let q = &recall.q[from * neurons..][..neurons];
                    let (dkey, by) = (&mut dkeys[index * neurons..][..neurons], weight * products[at]);
                    dkey.iter_mut().zip(q).for_each(|(dkey, q)| *dkey += by * q);
                }
                if !dv.is_empty() {
                    let d = &d[from * width..][..width];
                    let (dv, by) = (&mut dv[index * width..][..width], weight * scores[at]);
                    dv.iter_mut().zip(d).for_each(|(dv, d)| *dv += by * d);
                }
            }
        }
    }
}
