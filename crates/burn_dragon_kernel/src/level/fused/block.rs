//! Elementwise work on a block of 32 tokens and 32 neurons, in f32.

use crate::buffer::Line;
use crate::matrix::{Block, PANEL};
use crate::simd::vectorized;

/// Pairs of neurons in a block.
const PAIRS: usize = PANEL / 2;

/// Numbers stored in bf16.
#[inline(always)]
fn widened(line: &Line) -> [f32; PANEL] {
    let halves = line.halves();
    std::array::from_fn(|i| f32::from_bits(u32::from(halves[i]) << 16))
}

/// Cosines and sines of the pairs of a block: rows that are `stride` apart, one for each token that the stream has; those
/// of pairs that a head does not have are missing at the end of a row.
#[derive(Clone, Copy)]
pub(in crate::level) struct Angles<'a> {
    pub(in crate::level) cos: &'a [f32],
    pub(in crate::level) sin: &'a [f32],
    pub(in crate::level) stride: usize,
    pub(in crate::level) pairs: usize,
    pub(in crate::level) tokens: usize,
}

impl Angles<'_> {
    /// Those of a token.
    #[inline(always)]
    fn of(&self, t: usize) -> [[f32; PAIRS]; 2] {
        [self.cos, self.sin].map(|table| {
            let row = &table[t * self.stride..];
            match row.first_chunk() {
                Some(row) if self.pairs == PAIRS => *row,
                _ => {
                    let mut padded = [0.0; PAIRS];
                    padded[..self.pairs].copy_from_slice(&row[..self.pairs]);
                    padded
                }
            }
        })
    }
}

vectorized! {
    /// `x = max(x, 0)`, and `q` = x turned by the angles.
    activate(x: &mut Block, angles: Angles<'_>, q: &mut Block) {
        for (t, (x, q)) in x.0.iter_mut().zip(&mut q.0).enumerate() {
            if t >= angles.tokens {
                (*x, *q) = ([0.0; PANEL], [0.0; PANEL]);
                continue;
            }
            let [cos, sin] = angles.of(t);
            for i in 0..PAIRS {
                let (a, b) = (x[2 * i].max(0.0), x[2 * i + 1].max(0.0));
                (x[2 * i], x[2 * i + 1]) = (a, b);
                (q[2 * i], q[2 * i + 1]) = (a * cos[i] - b * sin[i], b * cos[i] + a * sin[i]);
            }
        }
    }

    /// `y = max(y, 0) x`; returns the numbers of active x and y.
    gate(y: &mut Block, x: &[Line; PANEL]) -> [u64; 2] {
        let mut active = [[0_u32; PANEL]; 2];
        for (y, x) in y.0.iter_mut().zip(x) {
            let x = widened(x);
            for i in 0..PANEL {
                y[i] = y[i].max(0.0) * x[i];
                active[0][i] += u32::from(x[i] > 0.0);
                active[1][i] += u32::from(y[i] > 0.0);
            }
        }
        active.map(|active| active.iter().map(|count| u64::from(*count)).sum())
    }

    /// `y = max(gate, 0) x`.
    gated(gate: &Block, x: &[Line; PANEL], y: &mut Block) {
        for ((gate, x), y) in gate.0.iter().zip(x).zip(&mut y.0) {
            let x = widened(x);
            for i in 0..PANEL {
                y[i] = gate[i].max(0.0) * x[i];
            }
        }
    }

    /// Gradients of `y = gate x`, whose own gradient is `scale dy`: the buffer of dy takes that of x, `scale dy gate`, and
    /// that of the gate its own, `scale dy x`. Both are 0 where y is 0, for any dy there.
    gate_back(gate: &mut Block, x: &[Line; PANEL], y: &Block, dy: &mut Block, scale: f32) {
        for (((gate, x), y), dy) in gate.0.iter_mut().zip(x).zip(&y.0).zip(&mut dy.0) {
            let x = widened(x);
            for i in 0..PANEL {
                let d = if y[i] > 0.0 { scale * dy[i] } else { 0.0 };
                dy[i] = d * gate[i].max(0.0);
                gate[i] = d * x[i];
            }
        }
    }

    /// Gradient of x from that of q, turned back, and that through the gate; 0 where x is. It takes the buffer of dq.
    activate_back(dq: &mut Block, angles: Angles<'_>, through_gate: &[Line; PANEL], x: &[Line; PANEL]) {
        for (t, ((dq, more), x)) in dq.0.iter_mut().zip(through_gate).zip(x).enumerate() {
            if t >= angles.tokens {
                *dq = [0.0; PANEL];
                continue;
            }
            let ([cos, sin], more, x) = (angles.of(t), widened(more), x.halves());
            let mut turned = [0.0; PANEL];
            for i in 0..PAIRS {
                let (a, b) = (dq[2 * i], dq[2 * i + 1]);
                (turned[2 * i], turned[2 * i + 1]) = (a * cos[i] + b * sin[i], b * cos[i] - a * sin[i]);
            }
            for i in 0..PANEL {
                dq[i] = if x[i] > 0 { more[i] + turned[i] } else { 0.0 };
            }
        }
    }
}
