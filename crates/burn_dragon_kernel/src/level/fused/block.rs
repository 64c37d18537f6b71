//! Elementwise work on a block of 32 tokens and 32 neurons: in f32, in registers, from the sums of products to the packed
//! factors of the next ones.
//!
//! A line holds the 32 neurons of a token in bf16. All layouts of a factor come from lines:
//!
//! - rows, one a token: a left factor with neurons as inner entries;
//! - pairs, each with the same neuron of two tokens side by side: a right factor with tokens as inner entries;
//! - either transposed, 16 lines at a time: keys (a right factor with neurons as inner entries), and a left factor with
//!   tokens as inner entries.

use crate::buffer::{LINE, Line};
use crate::matrix::native::transpose::transposed;
use crate::matrix::{Block, PANEL};
use std::arch::x86_64::*;

/// A step of a packed factor: the lines of a block.
pub(super) type Step = [Line; PANEL];

/// Neurons of each token of a block that are active, one bit each.
pub(super) type Active = [u32; PANEL];

/// Cosines and sines of the pairs of a block: rows that are `stride` apart, one for each token that the stream has.
#[derive(Clone, Copy)]
pub(in crate::level) struct Angles<'a> {
    cos: &'a [f32],
    sin: &'a [f32],
    stride: usize,
    pairs: usize,
    tokens: usize,
}

impl<'a> Angles<'a> {
    /// Tables whose rows have `pairs` pairs from their start on, for `tokens` tokens.
    ///
    /// # Panics
    /// If the tables are too short, or there are more pairs or tokens than a block has, or none.
    pub(in crate::level) fn new(
        [cos, sin]: [&'a [f32]; 2],
        stride: usize,
        pairs: usize,
        tokens: usize,
    ) -> Self {
        assert!((1..=PANEL / 2).contains(&pairs) && (1..=PANEL).contains(&tokens));
        assert!(cos.len().min(sin.len()) >= (tokens - 1) * stride + pairs);
        Self {
            cos,
            sin,
            stride,
            pairs,
            tokens,
        }
    }

    /// Those of a token; for one that the stream does not have, those of the last.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn of(&self, t: usize) -> [__m512; 2] {
        let (first, mask) = (
            t.min(self.tokens - 1) * self.stride,
            u16::MAX >> (LINE - self.pairs),
        );
        // SAFETY: `new` has checked that the tables have these pairs; the mask keeps the loads within them.
        unsafe {
            [
                _mm512_maskz_loadu_ps(mask, self.cos.as_ptr().wrapping_add(first)),
                _mm512_maskz_loadu_ps(mask, self.sin.as_ptr().wrapping_add(first)),
            ]
        }
    }
}

/// Dropout of a block: the columns of each row that are kept, and their factor.
#[derive(Clone, Copy)]
pub(in crate::level) struct Kept<'a> {
    pub(in crate::level) columns: &'a [u32; PANEL],
    pub(in crate::level) scale: f32,
}

/// Neuron indices of the even and of the odd members of pairs, in two vectors.
#[inline]
#[target_feature(enable = "avx512f")]
fn members() -> [__m512i; 2] {
    let even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    [even, _mm512_add_epi32(even, _mm512_set1_epi32(1))]
}

/// The even and the odd members of the pairs of a row.
#[inline]
#[target_feature(enable = "avx512f")]
fn by_members([low, high]: [__m512; 2]) -> [__m512; 2] {
    let [even, odd] = members();
    [
        _mm512_permutex2var_ps(low, even, high),
        _mm512_permutex2var_ps(low, odd, high),
    ]
}

/// A line from the even and the odd members of its pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn line_of_members([even, odd]: [__m512; 2]) -> __m512i {
    #[rustfmt::skip]
    let interleave = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
        23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0,
    );
    _mm512_permutexvar_epi16(interleave, line([even, odd]))
}

/// A row, rounded to bf16.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn line([low, high]: [__m512; 2]) -> __m512i {
    // SAFETY: both types are 64 plain bytes.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
}

/// A row from its line.
#[inline]
#[target_feature(enable = "avx512f")]
fn row_of(line: __m512i) -> [__m512; 2] {
    [
        widened(_mm512_castsi512_si256(line)),
        widened(_mm512_extracti64x4_epi64::<1>(line)),
    ]
}

/// Half a row from half its line.
#[inline]
#[target_feature(enable = "avx512f")]
fn widened(half: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
}

/// The pairs of two tokens, of the first and of the last 16 neurons.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pairs([first, second]: [__m512i; 2]) -> [__m512i; 2] {
    #[rustfmt::skip]
    let low = _mm512_set_epi16(
        47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8,
        39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0,
    );
    let high = _mm512_add_epi16(low, _mm512_set1_epi16(LINE as i16));
    [
        _mm512_permutex2var_epi16(first, low, second),
        _mm512_permutex2var_epi16(first, high, second),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn row(block: &Block, t: usize) -> [__m512; 2] {
    let row = block.0[t].as_ptr();
    // SAFETY: a row has 32 numbers.
    unsafe { [_mm512_loadu_ps(row), _mm512_loadu_ps(row.add(LINE))] }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &Line) -> __m512i {
    // SAFETY: a line is 64 bytes on a boundary of 64.
    unsafe { _mm512_load_si512((&raw const *line).cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(into: &mut Line, line: __m512i) {
    // SAFETY: a line is 64 bytes on a boundary of 64.
    unsafe { _mm512_store_si512((&raw mut *into).cast(), line) };
}

/// Stores the pairs of two tokens.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn store_pairs(into: &mut Step, pair: usize, tokens: [__m512i; 2]) {
    let [low, high] = pairs(tokens);
    store(&mut into[pair], low);
    store(&mut into[LINE + pair], high);
}

/// Stores the pairs of all tokens of a block, from their lines.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn store_all_pairs(lines: &Step, into: &mut Step) {
    for (pair, tokens) in lines.as_chunks::<2>().0.iter().enumerate() {
        store_pairs(into, pair, [load(&tokens[0]), load(&tokens[1])]);
    }
}

/// Exchanges rows and columns of the step's two halves.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_transposed(from: &Step, into: &mut Step) {
    for (from, into) in from
        .as_chunks::<LINE>()
        .0
        .iter()
        .zip(into.as_chunks_mut::<LINE>().0)
    {
        let mut lines = [_mm512_setzero_si512(); LINE];
        for (line, from) in lines.iter_mut().zip(from) {
            *line = load(from);
        }
        for (into, line) in into.iter_mut().zip(transposed(lines)) {
            store(into, line);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn relu([low, high]: [__m512; 2]) -> [__m512; 2] {
    let zero = _mm512_setzero_ps();
    [_mm512_max_ps(low, zero), _mm512_max_ps(high, zero)]
}

/// The line of a row that is turned by the angles of a token.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn turned(row: [__m512; 2], [cos, sin]: [__m512; 2]) -> __m512i {
    let [even, odd] = by_members(row);
    line_of_members([
        _mm512_fmsub_ps(even, cos, _mm512_mul_ps(odd, sin)),
        _mm512_fmadd_ps(odd, cos, _mm512_mul_ps(even, sin)),
    ])
}

/// Layouts of the rotated activities of a block.
pub(super) struct Turned<'a> {
    pub(super) rows: Option<&'a mut Step>,
    pub(super) keys: Option<&'a mut Step>,
    pub(super) pairs: Option<&'a mut Step>,
    /// The pairs transposed.
    pub(super) neurons: Option<&'a mut Step>,
}

/// Reused lines of a block, whatever they hold.
pub(super) struct Lines {
    q: Step,
    pairs: Step,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            q: [Line::ZERO; PANEL],
            pairs: [Line::ZERO; PANEL],
        }
    }
}

impl Turned<'_> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn store(
        self,
        Lines {
            q: lines,
            pairs: room,
        }: &mut Lines,
    ) {
        if let Some(rows) = self.rows {
            rows.copy_from_slice(lines);
        }
        if let Some(keys) = self.keys {
            store_transposed(lines, keys);
        }
        let pairs = match (self.pairs, &self.neurons) {
            (Some(pairs), _) => pairs,
            (None, Some(_)) => room,
            (None, None) => return,
        };
        store_all_pairs(lines, pairs);
        if let Some(neurons) = self.neurons {
            store_transposed(pairs, neurons);
        }
    }
}

/// `x = max(sum, 0)`, and q = x turned by the angles.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn activate(
    sums: &Block,
    angles: Angles<'_>,
    mut x: Option<&mut Step>,
    q: Turned<'_>,
    lines: &mut Lines,
) {
    for (t, into) in lines.q.iter_mut().enumerate() {
        let row = relu(row(sums, t));
        if let Some(x) = &mut x {
            store(&mut x[t], line(row));
        }
        store(into, turned(row, angles.of(t)));
    }
    q.store(lines);
}

/// Rows of y: gate times x, and what dropout keeps of them.
#[inline]
#[target_feature(enable = "avx512f")]
fn kept(gate: [__m512; 2], x: [__m512; 2], kept: Option<Kept<'_>>, t: usize) -> [__m512; 2] {
    let y = times(gate, x);
    let Some(Kept { columns, scale }) = kept else {
        return y;
    };
    let (columns, scale) = (columns[t], _mm512_set1_ps(scale));
    [
        _mm512_maskz_mul_ps(columns as u16, y[0], scale),
        _mm512_maskz_mul_ps((columns >> LINE) as u16, y[1], scale),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn above_zero([low, high]: [__m512; 2]) -> [u16; 2] {
    let zero = _mm512_setzero_ps();
    [
        _mm512_cmp_ps_mask::<_CMP_GT_OQ>(low, zero),
        _mm512_cmp_ps_mask::<_CMP_GT_OQ>(high, zero),
    ]
}

/// The masks of a row's halves as one.
#[inline]
fn bits([low, high]: [u16; 2]) -> u32 {
    u32::from(high) << LINE | u32::from(low)
}

/// Products of two rows, number by number.
#[inline]
#[target_feature(enable = "avx512f")]
fn times(a: [__m512; 2], b: [__m512; 2]) -> [__m512; 2] {
    [_mm512_mul_ps(a[0], b[0]), _mm512_mul_ps(a[1], b[1])]
}

/// `y = max(sum, 0) x`, and what dropout keeps of it; returns the numbers of x and of y above zero, before dropout.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16,popcnt")]
pub(super) fn gate(sums: &Block, x: &Step, dropout: Option<Kept<'_>>, y: &mut Step) -> [u64; 2] {
    let mut active = [0; 2];
    let mut count = |which: usize, masks: [u16; 2]| {
        active[which] += u64::from(bits(masks).count_ones());
    };
    for (t, (x, y)) in x.iter().zip(y).enumerate() {
        let (gate, x) = (relu(row(sums, t)), row_of(load(x)));
        let x_active = above_zero(x);
        let gate_active = above_zero(gate);
        count(0, x_active);
        count(1, [x_active[0] & gate_active[0], x_active[1] & gate_active[1]]);
        store(y, line(kept(gate, x, dropout, t)));
    }
    active
}

/// Packs a block of a square matrix as part of a left factor, and the same transposed for the block on the other side of the
/// diagonal. A block on the diagonal is cleared there and above it, and takes its own transpose as well. `None`: nothing is
/// transposed.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn mirror(block: &Block, diagonal: bool, into: &mut Step, transposed: Option<&mut Step>) {
    let (mut below, mut pairs) = ([Line::ZERO; PANEL], [Line::ZERO; PANEL]);
    for (t, below) in below.iter_mut().enumerate() {
        let [low, high] = row(block, t);
        let kept = if diagonal { (1_u32 << t) - 1 } else { u32::MAX };
        let row = [
            _mm512_maskz_mov_ps(kept as u16, low),
            _mm512_maskz_mov_ps((kept >> LINE) as u16, high),
        ];
        store(below, line(row));
    }
    into.copy_from_slice(&below);
    let Some(transposed) = transposed else { return };
    store_all_pairs(&below, &mut pairs);
    store_transposed(&pairs, transposed);
    if diagonal {
        for (into, above) in into.iter_mut().zip(transposed) {
            store(into, _mm512_or_si512(load(into), load(above)));
        }
    }
}

/// Sums of the products of a block in the backward pass.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) x: Block,
    pub(super) gate: Block,
    /// Gradient of y.
    pub(super) dy: Block,
}

/// Where the factors of a block go.
pub(super) struct Gated<'a> {
    /// Neurons of each token whose x is above zero.
    pub(super) active: &'a mut Active,
    /// Part of the gradient of x through the gate.
    pub(super) dx: &'a mut Step,
    /// y, its pairs transposed.
    pub(super) y: &'a mut Step,
    /// Gradient of the gate.
    pub(super) gate_rows: &'a mut Step,
    pub(super) gate_pairs: &'a mut Step,
}

/// From the sums to the active neurons, q, y and the gradients of x and of the gate, whose product is y. Both are 0 where y
/// is 0.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn gate_back(
    sums: &Sums,
    angles: Angles<'_>,
    dropout: Option<Kept<'_>>,
    into: Gated<'_>,
    q: Turned<'_>,
    lines: &mut Lines,
) {
    let scale = _mm512_set1_ps(dropout.map_or(1.0, |kept| kept.scale));
    let Gated {
        active: actives,
        dx: dxs,
        y: ys,
        gate_rows,
        gate_pairs,
    } = into;
    for pair in 0..LINE {
        let (mut y_lines, mut gate_lines) = ([_mm512_setzero_si512(); 2], [_mm512_setzero_si512(); 2]);
        for member in 0..2 {
            let t = 2 * pair + member;
            let activity = relu(row(&sums.x, t));
            let (x, gate, dy) = (row_of(line(activity)), relu(row(&sums.gate, t)), row(&sums.dy, t));
            actives[t] = bits(above_zero(x));
            store(&mut lines.q[t], turned(activity, angles.of(t)));
            let y = kept(gate, x, dropout, t);
            let active = above_zero(y);
            let d = [
                _mm512_maskz_mul_ps(active[0], scale, dy[0]),
                _mm512_maskz_mul_ps(active[1], scale, dy[1]),
            ];
            store(&mut dxs[t], line(times(d, gate)));
            y_lines[member] = line(y);
            gate_lines[member] = line(times(d, x));
            store(&mut gate_rows[t], gate_lines[member]);
        }
        store_pairs(&mut lines.pairs, pair, y_lines);
        store_pairs(gate_pairs, pair, gate_lines);
    }
    store_transposed(&lines.pairs, ys);
    q.store(lines);
}

/// Gradient of x: that of q, turned back, and the part through the gate; 0 where x is.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16,bmi2")]
pub(super) fn activate_back(
    sums: &Block,
    angles: Angles<'_>,
    through_gate: &Step,
    active: &Active,
    [rows, pairs]: [&mut Step; 2],
) {
    /// Bits of the even members of pairs.
    const EVEN: u32 = 0x5555_5555;
    let upper = _mm512_set1_epi32(0xFFFF_0000_u32 as i32);
    for pair in 0..LINE {
        let mut lines = [_mm512_setzero_si512(); 2];
        for (member, into) in lines.iter_mut().enumerate() {
            let t = 2 * pair + member;
            let ([even, odd], [cos, sin]) = (by_members(row(sums, t)), angles.of(t));
            let more = load(&through_gate[t]);
            let more = [
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(more)),
                _mm512_castsi512_ps(_mm512_and_si512(more, upper)),
            ];
            let active = [EVEN, !EVEN].map(|members| _pext_u32(active[t], members) as u16);
            let back = [
                _mm512_fmadd_ps(even, cos, _mm512_mul_ps(odd, sin)),
                _mm512_fmsub_ps(odd, cos, _mm512_mul_ps(even, sin)),
            ];
            *into = line_of_members([
                _mm512_maskz_add_ps(active[0], back[0], more[0]),
                _mm512_maskz_add_ps(active[1], back[1], more[1]),
            ]);
            store(&mut rows[t], *into);
        }
        store_pairs(pairs, pair, lines);
    }
}
