//! Matrices of a model, in the layout for one token at a time.

use super::low_bit::{LowBit, LowBitStacks};
use super::prefilter::Neurons;
use super::row::norm;
use super::simd::{COARSE, Isa, LINE, Line};
use super::stored::{Halves, Stored};
use crate::matrix::Precision;
use crate::rotation::Frequencies;

/// Sizes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Number of levels (L): passes through the shared block.
    pub levels: usize,
    /// Number of heads (H).
    pub heads: usize,
    /// Number of neurons per head (N), even.
    pub neurons: usize,
    /// Model width (D).
    pub width: usize,
    /// Number of tokens in the vocabulary (V).
    pub vocab: usize,
}

impl Sizes {
    /// Lines of a row of the model's width.
    pub(super) fn row(&self) -> usize {
        self.width.div_ceil(LINE)
    }

    /// Coarse lines of a row of the model's width.
    pub(super) fn coarse_row(&self) -> usize {
        self.width.div_ceil(COARSE)
    }
}

/// How the queries and keys of a model are made from the activity of its neurons.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum DecodeKeys<'a> {
    /// Pairs of neurons turn; keys are the queries. A memory has N rows.
    #[default]
    Pairs,
    /// Neurons are lengths of vectors that turn, keys by a phase more. A memory has 2 N rows, two a neuron.
    Polar {
        /// Phases, `[H, N]`, in radians; empty for 0.
        phases: &'a [f32],
    },
}

impl DecodeKeys<'_> {
    /// Rows of a memory for each neuron.
    fn rows(self) -> usize {
        match self {
            Self::Pairs => 1,
            Self::Polar { .. } => 2,
        }
    }
}

/// Parameters of a model in plain memory, in the layout of training and of files.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    /// Sizes of the model, which the slices have.
    pub sizes: Sizes,
    /// Token embedding, `[V, D]`.
    pub embed: &'a [f32],
    /// Matrix from model width to neurons, for x, `[H, D, N]`.
    pub decoder_x: &'a [f32],
    /// Matrix from the read to neurons, for y, `[H, D, N]`.
    pub decoder_y: &'a [f32],
    /// Matrix from neurons to model width, rows head by head, `[H*N, D]`.
    pub encoder: &'a [f32],
    /// Readout, `[D, V]`.
    pub lm_head: &'a [f32],
    /// Frequencies of the `N/2` pairs of a head, of the N vectors of a head for polar keys, in turns per token.
    pub frequencies: &'a Frequencies,
    /// How queries and keys are made.
    pub keys: DecodeKeys<'a>,
    /// Slopes of the heads' decay, `[H]`, in 1/tokens, at least 0; empty if memory does not fade.
    pub slopes: &'a [f64],
    /// Epsilon that the norms add to the variance.
    pub eps: f64,
}

impl Parameters<'_> {
    /// Panics unless every slice has its expected size.
    fn check(&self) {
        self.check_but([false; 3]);
    }

    /// The same, but for those of `decoder_x`, `decoder_y` and `encoder` that are not used.
    pub(super) fn check_but(&self, unused: [bool; 3]) {
        let Sizes {
            levels,
            heads,
            neurons,
            width,
            vocab,
        } = self.sizes;
        assert!(
            levels > 0 && heads > 0 && neurons > 0 && width > 0 && vocab > 0,
            "decode: a size is 0, expected at least 1: {:?}",
            self.sizes
        );
        assert!(
            neurons.is_multiple_of(2),
            "decode: {neurons} neurons per head do not form pairs, expected an even number"
        );
        let block = heads * width * neurons;
        for (what, given, expected, unused) in [
            ("embed", self.embed, vocab * width, false),
            ("decoder_x", self.decoder_x, block, unused[0]),
            ("decoder_y", self.decoder_y, block, unused[1]),
            ("encoder", self.encoder, block, unused[2]),
            ("lm_head", self.lm_head, width * vocab, false),
        ] {
            if !unused {
                crate::assert_shape("decode", what, [given.len()], [expected]);
            }
        }
        crate::assert_shape(
            "decode",
            "the frequencies",
            [self.frequencies.turns().len()],
            [neurons * self.keys.rows() / 2],
        );
        if let DecodeKeys::Polar { phases } = self.keys
            && !phases.is_empty()
        {
            crate::assert_shape("decode", "the phases", [phases.len()], [heads * neurons]);
        }
        let slopes = if self.slopes.is_empty() { 0 } else { heads };
        crate::assert_shape("decode", "the slopes", [self.slopes.len()], [slopes]);
        if let Some(slope) = self.slopes.iter().find(|&&slope| slope.is_nan() || slope < 0.0) {
            panic!("decode: a slope is {slope}, expected at least 0");
        }
    }
}

/// Weights of a model in the layout for decoding: a copy, made once, that any number of [`Decode`](super::Decode)
/// share.
///
/// Every row has the model's width, padded with zeros to whole cache lines. In bf16, each number of the matrices is
/// rounded to the nearest with 8 significant bits, which changes it by 2^-9 of its size at most, except those below
/// 2^-126; the embedding, of which a token reads one row, stays f32. Arithmetic is in f32 with either.
#[derive(Debug)]
pub struct Weights {
    sizes: Sizes,
    pub(super) eps: f32,
    pub(super) turns: Vec<f64>,                // [N/2], or [N] for polar keys
    pub(super) further: Option<Vec<[f32; 2]>>, // [H, N], cosine and sine of the phases of polar keys
    pub(super) left: Vec<f64>, // [H], what is left of a memory after a token; empty where all is
    pub(super) embed: Vec<Line>, // [V] rows, after their norm
    pub(super) matrices: Matrices,
}

/// The matrices, in one of the precisions, or some of them in whole numbers.
#[derive(Debug)]
pub(super) enum Matrices {
    F32(Stacks<Line>),
    Bf16(Stacks<Halves>),
    LowBit(Box<LowBitStacks>),
}

impl Matrices {
    /// The part in whole numbers.
    pub(super) fn low_bit(&self) -> Option<&LowBitStacks> {
        match self {
            Self::F32(_) | Self::Bf16(_) => None,
            Self::LowBit(stacks) => Some(stacks),
        }
    }

    /// Lines of the sums of an encoder in whole numbers.
    pub(super) fn sums(&self) -> usize {
        self.low_bit().map_or(0, LowBitStacks::sums)
    }
}

/// Matrices as stacks of rows.
#[derive(Debug)]
pub(super) struct Stacks<R> {
    pub(super) decoder_x: Neurons<R>, // [H, N] rows
    pub(super) decoder_y: Neurons<R>, // [H, N] rows
    pub(super) encoder: Vec<R>,       // [H, N] rows
    pub(super) lm_head: Vec<R>,       // [V] rows
}

impl<R: Stored> Stacks<R> {
    fn new(parameters: &Parameters<'_>) -> Self {
        let Sizes { width, vocab, .. } = parameters.sizes;
        let row = parameters.sizes.row();
        Self {
            decoder_x: Neurons::new(neurons(parameters.decoder_x, parameters.sizes), width),
            decoder_y: Neurons::new(neurons(parameters.decoder_y, parameters.sizes), width),
            encoder: R::pack(rows(parameters.encoder, width), row),
            lm_head: R::pack(columns(parameters.lm_head, width, vocab), row),
        }
    }
}

impl Weights {
    /// Copy of a model's parameters in this layout and precision.
    ///
    /// # Panics
    /// If a size is 0, the neurons per head are odd, a slice has another size, or a slope is negative or NaN.
    pub fn new(parameters: &Parameters<'_>, precision: Precision) -> Self {
        parameters.check();
        let matrices = match precision {
            Precision::F32 => Matrices::F32(Stacks::new(parameters)),
            Precision::Bf16 => Matrices::Bf16(Stacks::new(parameters)),
        };
        Self::with(parameters, matrices)
    }

    /// Copy of a model's parameters of which the matrices of `low_bit` are in whole numbers, and the others in a
    /// precision. The slices of those that it replaces may be empty.
    ///
    /// # Panics
    /// As [`new`](Self::new), or if a matrix or an input does not fit the model's sizes.
    pub fn low_bit(parameters: &Parameters<'_>, low_bit: LowBit, precision: Precision) -> Self {
        let stacks = LowBitStacks::new(parameters, low_bit, precision);
        Self::with(parameters, Matrices::LowBit(Box::new(stacks)))
    }

    /// The weights with these matrices.
    fn with(parameters: &Parameters<'_>, matrices: Matrices) -> Self {
        let sizes = parameters.sizes;
        let eps = parameters.eps as f32;
        let mut embed = rows(parameters.embed, sizes.width);
        for row in embed.chunks_exact_mut(sizes.row()) {
            Isa::best().run(norm(row, sizes.width, eps));
        }
        Self {
            sizes,
            eps,
            left: parameters.slopes.iter().map(|slope| (-slope).exp()).collect(),
            turns: parameters.frequencies.turns().to_vec(),
            further: further(parameters),
            embed,
            matrices,
        }
    }

    /// Precision of the matrices that are not in whole numbers.
    pub fn precision(&self) -> Precision {
        match &self.matrices {
            Matrices::F32(_) => Precision::F32,
            Matrices::Bf16(_) => Precision::Bf16,
            Matrices::LowBit(stacks) => stacks.lm_head.precision(),
        }
    }

    /// Sizes of the model.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Rows of a memory for each neuron.
    pub(super) fn rows_of_neuron(&self) -> usize {
        2 * self.turns.len() / self.sizes.neurons
    }
}

/// Cosines and sines of the phases of polar keys, `[H, N]`.
fn further(parameters: &Parameters<'_>) -> Option<Vec<[f32; 2]>> {
    let DecodeKeys::Polar { phases } = parameters.keys else {
        return None;
    };
    let Sizes { heads, neurons, .. } = parameters.sizes;
    Some(match phases {
        [] => vec![[1.0, 0.0]; heads * neurons],
        _ => phases.iter().map(|phase| [phase.cos(), phase.sin()]).collect(),
    })
}

/// Rows of `[count, D]`, each filled to whole lines.
pub(super) fn rows(matrix: &[f32], width: usize) -> Vec<Line> {
    let row = width.div_ceil(LINE);
    let mut lines = vec![Line::default(); matrix.len() / width * row];
    for (to, from) in lines.chunks_exact_mut(row).zip(matrix.chunks_exact(width)) {
        for (to, from) in to.iter_mut().zip(from.chunks(LINE)) {
            to.0[..from.len()].copy_from_slice(from);
        }
    }
    lines
}

/// The neurons of `[H, D, N]` as rows of whole lines.
pub(super) fn neurons(matrix: &[f32], sizes: Sizes) -> Vec<Line> {
    let heads = matrix.chunks_exact(sizes.width * sizes.neurons);
    heads
        .flat_map(|head| columns(head, sizes.width, sizes.neurons))
        .collect()
}

/// The columns of `[D, columns]` as rows of whole lines.
pub(super) fn columns(matrix: &[f32], width: usize, columns: usize) -> Vec<Line> {
    let row = width.div_ceil(LINE);
    let mut lines = vec![Line::default(); columns * row];
    // A few columns at a time: they share cache lines.
    for (s, lines) in lines.chunks_mut(LINE * row).enumerate() {
        for (d, entries) in matrix.chunks_exact(columns).enumerate() {
            for (line, entry) in lines.chunks_exact_mut(row).zip(&entries[s * LINE..]) {
                line[d / LINE].0[d % LINE] = *entry;
            }
        }
    }
    lines
}
