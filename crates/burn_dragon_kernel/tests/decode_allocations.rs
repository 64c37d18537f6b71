//! A decoding step allocates nothing. Alone in its program, so that every allocation counted is its own.

use burn_dragon_kernel::api::low_bit::{
    InputGroups, Levels, LowBit, LowBitFormat, LowBitMatrix, NeuronInput, RowInput, ScaleGroups,
};
use burn_dragon_kernel::api::{
    Decode, DecodeKeys, Frequencies, MemoryPrecision, Parameters, Precision, Sizes, Weights,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does it all; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn numbers(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * step).sin()).collect()
}

/// Whole numbers of every matrix and input; the rows are not those of the matrices, but others of the same numbers.
fn low_bit(parameters: &Parameters<'_>) -> LowBit {
    let shape = [
        parameters.sizes.heads,
        parameters.sizes.neurons,
        parameters.sizes.width,
    ];
    let quantise = |rows: &[f32], format| LowBitMatrix::quantise(rows, shape, format, ScaleGroups::Head);
    let row = RowInput {
        levels: Levels::Int8,
        groups: InputGroups::Row,
        hadamard: true,
    };
    LowBit {
        decoder_x: Some(quantise(parameters.decoder_x, LowBitFormat::Ternary)),
        decoder_y: Some(quantise(parameters.decoder_y, LowBitFormat::Int8)),
        encoder: Some(quantise(parameters.encoder, LowBitFormat::Sign)),
        v: Some(row),
        a: Some(row),
        y: Some(NeuronInput {
            levels: 255,
            groups: ScaleGroups::All,
        }),
    }
}

#[test]
fn a_step_allocates_nothing_alone_or_helped() {
    let sizes = Sizes {
        levels: 2,
        heads: 2,
        neurons: 1200,
        width: 128,
        vocab: 50,
    };
    let block = sizes.heads * sizes.neurons * sizes.width;
    let parameters = Parameters {
        sizes,
        embed: &numbers(sizes.vocab * sizes.width, 0.7),
        decoder_x: &numbers(block, 0.9),
        decoder_y: &numbers(block, 1.1),
        encoder: &numbers(block, 1.3),
        lm_head: &numbers(sizes.width * sizes.vocab, 1.7),
        frequencies: &Frequencies::new(65536.0, sizes.neurons),
        keys: DecodeKeys::Pairs,
        slopes: &[0.7, 0.0],
        eps: 1e-5,
    };
    let weights = [
        Weights::new(&parameters, Precision::F32),
        Weights::new(&parameters, Precision::Bf16),
        Weights::low_bit(&parameters, low_bit(&parameters), Precision::F32),
    ]
    .map(Arc::new);
    for (threads, weights, memory) in [
        (1, &weights[0], MemoryPrecision::F32),
        (2, &weights[0], MemoryPrecision::F32),
        (1, &weights[1], MemoryPrecision::F32),
        (2, &weights[1], MemoryPrecision::Bf16),
        (1, &weights[2], MemoryPrecision::F32),
        (2, &weights[2], MemoryPrecision::Int8),
    ] {
        let mut decode = Decode::new(weights.clone(), 2, memory);
        decode.limit_threads(threads);
        decode.step(&[0, 1]);
        // A helper that was asleep may still be waking up for the first time.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for token in 0..300 {
            decode.step(&[token % 50, (token * 7) % 50]);
        }
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(allocations, 0, "in 300 steps on at most {threads} threads");
        assert!(
            decode.activity().iter().all(|level| level.y > 0),
            "the steps did nothing"
        );
    }
}
