//! Memories of a graph on the processor.
//!
//! What readers get is summed over the rows of the adjacency, what targets get over those of its transpose, each row on
//! one thread in the order of its edges: no sum depends on the number of threads. Neurons that are silent (0) take no
//! part in a read or a write, so that what is not finite in their rows of a memory is not seen.

mod gather;
mod recall;
mod rows;
mod scatter;

use crate::backend::graph::{GraphReadOn, GraphRecallOn, GraphSizes, GraphWriteOn};
use crate::flex::{contiguous, tensor};
use burn::backend::Flex;
use burn_flex::FlexTensor;
use gather::{Gather, Gathered};
use rows::{Weighted, links, sum_of_gates, sum_of_heads};
use scatter::Scatter;

/// What is read, `[B, H, S, D]`.
pub(crate) fn read(input: &GraphReadOn<Flex>) -> FlexTensor {
    let (q, rho) = (contiguous(input.q.clone()), contiguous(input.rho.clone()));
    let gates = input.edges.gates.clone().map(contiguous);
    let gather = Gather {
        sizes: input.sizes,
        edges: Weighted::new(&input.edges, gates.as_ref(), &input.sizes, None),
        links: links(&input.edges, &input.sizes)[0],
        q: q.storage(),
        u: None,
        rho: rho.storage(),
    };
    let read = gather.run([true, false, false]).read;
    tensor(read, input.sizes.reads())
}

/// The gradients of q, rho and the gates.
pub(crate) fn read_back(
    input: &GraphReadOn<Flex>,
    d: FlexTensor,
    [of_q, of_rho, of_gates]: [bool; 3],
) -> [Option<FlexTensor>; 3] {
    let sizes = input.sizes;
    let (q, rho) = (contiguous(input.q.clone()), contiguous(input.rho.clone()));
    let gates = input.edges.gates.clone().map(contiguous);
    let [links, incoming] = links(&input.edges, &sizes);
    let edges = Weighted::new(&input.edges, gates.as_ref(), &sizes, None);
    let gather = Gather {
        sizes,
        edges,
        links,
        q: q.storage(),
        u: Some(d.storage()),
        rho: rho.storage(),
    };
    let Gathered { turned, terms, .. } = gather.run([false, of_q, of_gates]);
    let written = of_rho.then(|| {
        let scatter = Scatter {
            sizes,
            edges,
            incoming,
            q: q.storage(),
            v: d.storage(),
            kept: None,
        };
        let mut written = vec![0.0; sizes.memories().iter().product()];
        scatter.run(&mut written);
        tensor(written, sizes.memories())
    });
    [
        of_q.then(|| tensor(turned, sizes.queries())),
        written,
        of_gates.then(|| sum_of_gates(&terms, &edges)),
    ]
}

/// The memories after a write, in place of those before, unless another tensor shares them.
pub(crate) fn write(input: &GraphWriteOn<Flex>, mut rho: FlexTensor) -> FlexTensor {
    let (q, v) = (contiguous(input.q.clone()), contiguous(input.v.clone()));
    let gates = input.edges.gates.clone().map(contiguous);
    let scatter = Scatter {
        sizes: input.sizes,
        edges: Weighted::new(
            &input.edges,
            gates.as_ref(),
            &input.sizes,
            input.written.as_deref(),
        ),
        incoming: links(&input.edges, &input.sizes)[1],
        q: q.storage(),
        v: v.storage(),
        kept: input.kept.as_deref(),
    };
    scatter.run(rho.storage_mut());
    rho
}

/// The gradients of q, v, rho and the gates: what a read of the gradient of the memories gives.
pub(crate) fn write_back(
    input: &GraphWriteOn<Flex>,
    d: FlexTensor,
    [of_q, of_v, of_rho, of_gates]: [bool; 4],
) -> [Option<FlexTensor>; 4] {
    let sizes = input.sizes;
    let (q, v) = (contiguous(input.q.clone()), contiguous(input.v.clone()));
    let gates = input.edges.gates.clone().map(contiguous);
    let edges = Weighted::new(&input.edges, gates.as_ref(), &sizes, input.written.as_deref());
    let gather = Gather {
        sizes,
        edges,
        links: links(&input.edges, &sizes)[0],
        q: q.storage(),
        u: Some(v.storage()),
        rho: d.storage(),
    };
    let Gathered { read, turned, terms } = gather.run([of_v, of_q, of_gates]);
    [
        of_q.then(|| tensor(turned, sizes.queries())),
        of_v.then(|| sum_of_heads(read, &sizes, sizes.readers)),
        of_rho.then(|| scaled(d, input.kept.as_deref(), &sizes)),
        of_gates.then(|| sum_of_gates(&terms, &edges)),
    ]
}

/// What is read of one write, `[B, H, S, D]`, and the products of queries and keys, `[B, H, E]`.
pub(crate) fn recall(input: &GraphRecallOn<Flex>) -> [FlexTensor; 2] {
    recall::recall(input)
}

/// The gradients of q, the keys, v and the gates.
pub(crate) fn recall_back(
    input: &GraphRecallOn<Flex>,
    scores: &FlexTensor,
    d: FlexTensor,
    wanted: [bool; 4],
) -> [Option<FlexTensor>; 4] {
    recall::recall_back(input, scores.storage(), d.storage(), wanted)
}

/// Memories times the factors of the heads.
fn scaled(mut memories: FlexTensor, factors: Option<&[f32]>, sizes: &GraphSizes) -> FlexTensor {
    let Some(factors) = factors.filter(|factors| factors.iter().any(|factor| *factor != 1.0)) else {
        return memories;
    };
    let [_, heads, targets, neurons, width] = sizes.memories();
    rows::for_rows_of(memories.storage_mut(), neurons * width, |row, memory| {
        let factor = factors[row / targets % heads];
        memory.iter_mut().for_each(|entry| *entry *= factor);
    });
    memories
}
