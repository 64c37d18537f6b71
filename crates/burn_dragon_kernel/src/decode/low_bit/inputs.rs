//! Rows of the width, and scales of y, in whole numbers.

use super::{Form, InputGroups, LowBitStacks, NeuronInput, RowInput};
use crate::decode::prefilter::Coarsen;
use crate::decode::simd::{Bytes, COARSE, Isa, Kernel, LINE, Line, Shorts, Simd, Sums};
use crate::decode::weights::{Sizes, Weights};
use crate::low_bit::{
    Codes, GROUP, LowBitMatrix, Quantise, ScaleGroups, Trits, WholeRows, hadamard, scale_of_neurons,
};

/// Inputs of a level in whole numbers; empty if they are not quantised.
#[derive(Clone, Debug)]
pub(in crate::decode) struct WholeInputs {
    pub(in crate::decode) v: Rows,    // [B]
    pub(in crate::decode) a: Rows,    // [B, H]
    pub(in crate::decode) y: Largest, // [B, H]
}

impl WholeInputs {
    pub(in crate::decode) fn new(weights: &Weights, lanes: usize) -> Self {
        let (low_bit, sizes) = (weights.matrices.low_bit(), weights.sizes());
        let form = |of: fn(&LowBitStacks) -> Form| low_bit.map_or(Form::Numbers, of);
        let v = low_bit.and_then(|stacks| stacks.v);
        let a = low_bit.and_then(|stacks| stacks.a);
        Self {
            v: Rows::new(v, form(|stacks| stacks.decoder_x.form()), lanes, sizes),
            a: Rows::new(
                a,
                form(|stacks| stacks.decoder_y.form()),
                lanes * sizes.heads,
                sizes,
            ),
            y: Largest::new(low_bit.and_then(|stacks| stacks.y), lanes, sizes.heads),
        }
    }
}

/// Rows of the width in whole numbers, in the form of what they are multiplied by.
#[derive(Clone, Debug)]
pub(in crate::decode) struct Rows {
    input: Option<RowInput>,
    form: Form,
    rows: Vec<Row>,
    numbers: Vec<f32>, // [D], of one row before it is quantised
    whole: Vec<i8>,    // [D]
}

/// A row in whole numbers.
#[derive(Clone, Debug, Default)]
pub(in crate::decode) struct Row {
    groups: Vec<Group>,
    /// For trits: the blocks of the row, or a block for each group, in which all others are 0.
    codes: Vec<Codes>,
    /// For bytes; or the coarse copy of the numbers.
    pub(super) shorts: Vec<Shorts>,
    /// The numbers that the whole ones stand for, for a matrix in f32 or bf16.
    pub(super) lines: Vec<Line>,
}

/// Numbers of a row that share a scale.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    step: f32, // what a whole number 1 stands for, 1 / s
    sum: i32,  // of the whole numbers
}

impl Rows {
    fn new(input: Option<RowInput>, form: Form, count: usize, sizes: Sizes) -> Self {
        let Some(RowInput { groups, .. }) = input else {
            let (rows, numbers, whole) = (Vec::new(), Vec::new(), Vec::new());
            return Self {
                input,
                form,
                rows,
                numbers,
                whole,
            };
        };
        let (width, wanted) = (sizes.width, |wanted, size| if wanted { size } else { 0 });
        let blocks = match groups {
            InputGroups::Row => width.div_ceil(Trits::BLOCK),
            InputGroups::Width => width.div_ceil(GROUP),
        };
        let row = Row {
            groups: vec![Group::default(); width.div_ceil(groups.size(width))],
            codes: vec![Codes::ZERO; wanted(form == Form::Codes, blocks)],
            shorts: vec![Shorts::default(); wanted(form != Form::Codes, sizes.coarse_row())],
            lines: vec![Line::default(); wanted(form == Form::Numbers, sizes.row())],
        };
        Self {
            input,
            form,
            rows: vec![row; count],
            numbers: vec![0.0; width],
            whole: vec![0; width],
        }
    }

    /// Whether the rows are quantised at all.
    #[inline(always)]
    pub(in crate::decode) fn are_used(&self) -> bool {
        self.input.is_some()
    }

    /// Quantises rows of whole lines.
    pub(in crate::decode) fn quantise(&mut self, isa: Isa, lines: &[Line]) {
        isa.run(QuantiseRows { to: self, lines });
    }

    /// One of the rows.
    #[inline(always)]
    pub(super) fn row(&self, index: usize) -> &Row {
        &self.rows[index]
    }
}

impl InputGroups {
    /// Numbers of a group.
    #[inline(always)]
    fn size(self, width: usize) -> usize {
        match self {
            Self::Row => width,
            Self::Width => GROUP,
        }
    }
}

struct QuantiseRows<'a> {
    to: &'a mut Rows,
    lines: &'a [Line],
}

impl Kernel for QuantiseRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Rows {
            input:
                Some(RowInput {
                    levels,
                    groups,
                    hadamard: transformed,
                }),
            form,
            rows,
            numbers,
            whole,
        } = self.to
        else {
            return;
        };
        let (size, row) = (groups.size(numbers.len()), numbers.len().div_ceil(LINE));
        for (to, lines) in rows.iter_mut().zip(self.lines.chunks_exact(row)) {
            for (numbers, line) in numbers.chunks_mut(LINE).zip(lines) {
                numbers.copy_from_slice(&line.0[..numbers.len()]);
            }
            if *transformed {
                hadamard(numbers);
            }
            let pieces = numbers.chunks(size).zip(whole.chunks_mut(size));
            for ((row, whole), group) in pieces.zip(&mut to.groups) {
                let levels = *levels;
                group.step = Quantise { row, levels }.into(whole).recip();
                group.sum = whole.iter().map(|&q| i32::from(q)).sum();
            }
            match form {
                Form::Codes => to.fill_codes(whole, size),
                Form::Shorts => to.fill_shorts(whole),
                Form::Numbers => to.fill_lines(simd, whole, size),
            }
        }
    }
}

impl Row {
    #[inline(always)]
    fn fill_codes(&mut self, whole: &[i8], size: usize) {
        let each = self.codes.len() / self.groups.len();
        let groups = self.codes.chunks_exact_mut(each).zip(whole.chunks(size));
        for (index, (codes, whole)) in groups.enumerate() {
            // A group begins within its first block.
            let places = codes.iter_mut().flat_map(|block| &mut block.0);
            let places = places.skip(index * GROUP % Trits::BLOCK);
            places.zip(whole).for_each(|(place, whole)| *place = *whole);
        }
    }

    #[inline(always)]
    fn fill_shorts(&mut self, whole: &[i8]) {
        for (shorts, whole) in self.shorts.iter_mut().zip(whole.chunks(COARSE)) {
            for (short, whole) in shorts.0.iter_mut().zip(whole) {
                *short = i16::from(*whole);
            }
        }
    }

    #[inline(always)]
    fn fill_lines<S: Simd>(&mut self, simd: S, whole: &[i8], size: usize) {
        for (d, whole) in whole.iter().enumerate() {
            self.lines[d / LINE].0[d % LINE] = f32::from(*whole) * self.groups[d / size].step;
        }
        let (row, z) = (&self.lines[..], &mut self.shorts[..]);
        Coarsen { row, z }.run(simd);
    }

    /// Products of sixteen neurons of a matrix with the row, but for their scales.
    #[inline(always)]
    pub(super) fn products<S: Simd>(&self, simd: S, matrix: &LowBitMatrix, neurons: [usize; LINE]) -> S::V {
        match matrix.rows() {
            WholeRows::Trits(rows) => self.of_trits(simd, rows, matrix.shape()[2], neurons),
            WholeRows::Bytes(rows) => self.of_bytes(simd, rows, matrix.shape()[2], neurons),
        }
    }

    #[inline(always)]
    fn of_trits<S: Simd>(&self, simd: S, rows: &[Trits], width: usize, mut starts: [usize; LINE]) -> S::V {
        let size = width.div_ceil(Trits::BLOCK);
        starts.iter_mut().for_each(|start| *start *= size);
        let (mut products, each) = (simd.splat(0.0), self.codes.len() / self.groups.len());
        for (index, (group, codes)) in self.groups.iter().zip(self.codes.chunks_exact(each)).enumerate() {
            if index > 0 && (index * GROUP).is_multiple_of(Trits::BLOCK) {
                starts.iter_mut().for_each(|start| *start += 1);
            }
            let sums = simd.code_dots(rows, starts, codes, -group.sum);
            products = simd.fma(simd.splat(group.step), simd.numbers(&sums), products);
        }
        products
    }

    #[inline(always)]
    fn of_bytes<S: Simd>(&self, simd: S, rows: &[Bytes], width: usize, neurons: [usize; LINE]) -> S::V {
        let size = width.div_ceil(COARSE);
        let each = if self.groups.len() == 1 {
            size
        } else {
            GROUP / COARSE
        };
        let mut products = simd.splat(0.0);
        for (index, group) in self.groups.iter().enumerate() {
            let part = index * each..size.min((index + 1) * each);
            let (q, mut sums) = (&self.shorts[part.clone()], Sums::default());
            for (sum, n) in sums.0.iter_mut().zip(neurons) {
                *sum = simd.coarse_dot(&rows[n * size..][part.clone()], q);
            }
            products = simd.fma(simd.splat(group.step), simd.numbers(&sums), products);
        }
        products
    }
}

/// Largest y of all neurons that share a scale, and then the scale; of use if they are of several chunks.
#[derive(Clone, Debug)]
pub(in crate::decode) struct Largest {
    input: Option<NeuronInput>,
    heads: usize,
    scales: Vec<f32>, // [B, H]
}

impl Largest {
    fn new(input: Option<NeuronInput>, lanes: usize, heads: usize) -> Self {
        Self {
            input,
            heads,
            scales: vec![0.0; lanes * heads],
        }
    }

    /// Begins a level.
    pub(in crate::decode) fn begin(&mut self) {
        self.scales.fill(0.0);
    }

    /// Sees the largest y of some neurons of a lane and a head.
    pub(in crate::decode) fn see(&mut self, lane: usize, head: usize, largest: f32) {
        let most = &mut self.scales[lane * self.heads + head];
        *most = most.max(largest);
    }

    /// Makes the scales.
    pub(in crate::decode) fn end(&mut self) {
        let Some(NeuronInput { levels, groups }) = self.input else {
            return;
        };
        for of_lane in self.scales.chunks_exact_mut(self.heads) {
            if groups == ScaleGroups::All {
                let most = of_lane.iter().fold(0.0, |most: f32, y| most.max(*y));
                of_lane.fill(most);
            }
            for scale in of_lane {
                *scale = scale_of_neurons(levels, *scale);
            }
        }
    }

    /// The scale of a lane and a head.
    #[inline(always)]
    pub(super) fn scale(&self, lane: usize, head: usize) -> f32 {
        self.scales[lane * self.heads + head]
    }
}
