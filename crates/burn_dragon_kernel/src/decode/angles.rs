//! Cosines and sines of a position's angles, many at a time.

use super::simd::{Kernel, Simd};
use std::f64::consts::TAU;

/// `cos` and `sin` of `2 pi frac(position * turns)` of each pair.
///
/// As in [`Frequencies::rotation`](crate::rotation::Frequencies::rotation) the phase is reduced in f64, here to an
/// eighth of a turn on either side of zero, where a few terms of the series are exact to 2e-9.
pub(super) struct Angles<'a> {
    pub(super) position: u64,
    pub(super) turns: &'a [f64],
    pub(super) cos: &'a mut [f32],
    pub(super) sin: &'a mut [f32],
}

impl Kernel for Angles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let position = self.position as f64;
        for ((&turns, cos), sin) in self.turns.iter().zip(self.cos).zip(self.sin) {
            [*cos, *sin] = cos_sin(position * turns);
        }
    }
}

/// Cosine and sine of an angle given in turns. Branch-free, so that it is compiled to vectors.
#[inline(always)]
fn cos_sin(turns: f64) -> [f32; 2] {
    // Adding and taking away 1.5 * 2^52 rounds to a whole number; the low bits of the sum are that number.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let phase = turns.fract();
    let shifted = phase * 4.0 + ROUND;
    let quarter = shifted.to_bits();
    let t = (phase - (shifted - ROUND) * 0.25) * TAU; // within pi/4 of 0
    let s = t * t;
    let sin = t * (1.0 + s * (-1.0 / 6.0 + s * (1.0 / 120.0 + s * (-1.0 / 5040.0 + s * (1.0 / 362_880.0)))));
    let cos = 1.0
        + s * (-1.0 / 2.0
            + s * (1.0 / 24.0 + s * (-1.0 / 720.0 + s * (1.0 / 40_320.0 - s * (1.0 / 3_628_800.0)))));
    let (cos, sin) = if quarter & 1 == 0 { (cos, sin) } else { (sin, cos) };
    // Quarter 1: (-sin, cos); 2: (-cos, -sin); 3: (sin, -cos).
    let cos = if (quarter ^ (quarter >> 1)) & 1 == 0 {
        cos
    } else {
        -cos
    };
    let sin = if quarter & 2 == 0 { sin } else { -sin };
    [cos as f32, sin as f32]
}
