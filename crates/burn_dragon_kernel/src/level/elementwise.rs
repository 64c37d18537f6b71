//! The work between the products, entry by entry, compiled for the widest vectors the processor has.
//!
//! The same source serves every width, and nothing is contracted or reordered: the bits do not depend on it.

use crate::simd::vectorized;

vectorized! {
    /// `x = max(x, 0)`.
    relu(x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = x.max(0.0));
    }

    /// `y = max(y, 0) x`.
    gate(y: &mut [f32], x: &[f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = y.max(0.0) * x);
    }

    /// `y = max(gate, 0) x`.
    gated(gate: &[f32], x: &[f32], y: &mut [f32]) {
        gate.iter().zip(x).zip(y).for_each(|((gate, x), y)| *y = gate.max(0.0) * x);
    }

    /// From the gate before its relu and `dy`: `dx = dy max(gate, 0)`, and the gate's place takes its gradient `dy x`
    /// where it was open.
    gate_back(gate: &mut [f32], x: &[f32], dy: &[f32], dx: &mut [f32]) {
        for (((gate, x), dy), dx) in gate.iter_mut().zip(x).zip(dy).zip(dx) {
            let open = *gate > 0.0;
            *dx = dy * gate.max(0.0);
            *gate = if open { dy * x } else { 0.0 };
        }
    }

    /// `dx = dx + more` where x fired, else 0.
    relu_back(dx: &mut [f32], more: &[f32], x: &[f32]) {
        for ((dx, more), x) in dx.iter_mut().zip(more).zip(x) {
            *dx = if *x > 0.0 { *dx + more } else { 0.0 };
        }
    }

    /// Turns the pairs of one row by their angles; `sign` -1 turns back.
    turn(from: &[f32], to: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
        let (from, to) = (from.as_chunks::<2>().0, to.as_chunks_mut::<2>().0);
        for (((from, to), cos), sin) in from.iter().zip(to).zip(cos).zip(sin) {
            let sin = sign * sin;
            *to = [from[0] * cos - from[1] * sin, from[1] * cos + from[0] * sin];
        }
    }

    /// How many entries are above zero.
    count_active(x: &[f32]) -> u64 {
        // A u32 a lane is wide enough for a tile, and narrow enough for the vectors.
        x.chunks(1 << 16).map(|part| u64::from(part.iter().map(|x| u32::from(*x > 0.0)).sum::<u32>())).sum()
    }

    /// `sum += part`.
    add(sum: &mut [f32], part: &[f32]) {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
}
