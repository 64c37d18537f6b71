//! Causal read of polar queries and keys from an empty memory: each neuron is the length of a vector that turns.
//!
//! ```text
//! q_tc = l_tc (cos, sin)(a_tc),  k_sc = l_sc (cos, sin)(a_sc + phase_c)
//! score_ts = sum over c of q_tc . k_sc = sum over c of l_tc l_sc cos(a_sc - a_tc + phase_c)         s < t, else 0
//! read_t = sum over s < t of left(t, s) score_ts v_s
//! ```
//!
//! (PoPE, arXiv:2509.10534.) `left` is the factor of [`Retention`], 1 by default.
//!
//! On the processor in f32 the scores are one operation: queries and keys exist for a tile of neurons at a time, and the
//! gradient, which is written by hand, makes them again from the lengths (`cpu.rs`). Elsewhere they are tensor operations
//! on vectors of 2 N numbers a token (`reference.rs`).

mod backward;
pub(crate) mod cpu;
pub mod reference;

use crate::assert_shape;
use crate::backend::on_backends;
use crate::retention::Retention;
use crate::retention::reference::factors;
use crate::rotation::Rotation;
use burn::tensor::Tensor;

/// Causal read of a whole window.
///
/// # Shapes
/// - `lengths`: `[B, H, T, N]`
/// - `phase`: `[1, H, 1, N]`, in radians; `None` for 0
/// - `rotation`: angles of N vectors a head, `[1 or B, 1, T, N]`
/// - `v`: `[B, 1, T, D]`
/// - output: `[B, H, T, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn polar_read(
    lengths: Tensor<4>,
    phase: Option<Tensor<4>>,
    rotation: &Rotation,
    v: Tensor<4>,
    retention: &Retention,
) -> Tensor<4> {
    let ([lanes, heads, tokens, neurons], width) = (lengths.dims(), v.dims()[3]);
    let tables = rotation.cos.dims()[0];
    assert!(
        tables == 1 || tables == lanes,
        "polar_read: {tables} rotations for {lanes} lanes, expected 1 or one for each lane"
    );
    for table in [&rotation.cos, &rotation.sin] {
        assert_shape(
            "polar_read",
            "the rotation",
            table.dims(),
            [tables, 1, tokens, neurons],
        );
    }
    if let Some(phase) = &phase {
        assert_shape("polar_read", "phase", phase.dims(), [1, heads, 1, neurons]);
    }
    assert_shape("polar_read", "v", v.dims(), [lanes, 1, tokens, width]);
    retention.check("polar_read", lanes, heads, tokens);
    let factors = (!retention.keeps_all()).then(|| factors(retention, tokens, &lengths).between);
    let scores = scores(lengths, phase, rotation);
    match factors {
        None => scores.matmul(v),
        Some(factors) => (scores * factors).matmul(v),
    }
}

/// Scores, `[B, H, T, T]`: rows are tokens that read, and entries on and above the diagonal are 0.
fn scores(lengths: Tensor<4>, phase: Option<Tensor<4>>, rotation: &Rotation) -> Tensor<4> {
    let phase = phase.unwrap_or_else(|| {
        let [_, heads, _, neurons] = lengths.dims();
        let zeros = Tensor::zeros(
            [1, heads, 1, neurons],
            (&lengths.device().inner(), lengths.dtype()),
        );
        if lengths.is_autodiff() {
            zeros.autodiff()
        } else {
            zeros
        }
    });
    on_backends!(B, input = (lengths, phase) => backward::scores::<B>(input, rotation))
        .unwrap_or_else(|(lengths, phase)| reference::polar_scores(lengths, phase, rotation))
}

#[cfg(test)]
mod tests;
