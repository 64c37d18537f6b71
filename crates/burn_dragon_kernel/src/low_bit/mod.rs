//! Weights and activations in whole numbers: quantisers, packed formats, and integer products.
//!
//! ```text
//! ternary:  gamma = max(mean |W|, 1e-5),  T = clip(round(W / gamma), -1, 1),  W^ = gamma T
//! sign:     T = sign(W - mean W) with -1 for 0,  W^ = mean |W| T
//! int8:     W^ = step T,  step = max |W| / 127,  T = round(W / step)
//! rows of the width:  int8 s = 127 / max |x|;  int4 s = sqrt 7 / mean |x|;  q = clip(round(x s)),  x^ = q / s
//! neurons, y >= 0:    s = levels / max y,  q = round(y s),  y^ = q / s
//! ```
//!
//! Rounding is to the nearest, ties to even. A product of quantised factors is `(gamma / s) sum T q`, whose sum is exact
//! in i32. Equations: BitNet (arXiv 2310.11453), b1.58 (2402.17764), a4.8 (2411.04965), v2 (2504.18415).
//!
//! A [`LowBitMatrix`] holds a row of D numbers for each neuron. The three matrices of a model all have this form:
//! `decoder_x` and `decoder_y` `[H, D, N]` with their last axes exchanged, `encoder` `[H*N, D]` as it is. A scale is that
//! of all rows, of a head's rows, or of 64 consecutive rows of a head, so it never changes within a product over D.
//!
//! Trits are packed in these formats. The stream of trits is that of the rows one after another, and zeros fill its last
//! block; other bytes than those that packing makes are refused.
//!
//! | [`Packing`] | bits | block | rule |
//! |---|---|---|---|
//! | `TwoBits` | 2 | 128 trits, 32 bytes | code t + 1; trit j in byte `j % 32`, at bit `6 - 2 (j / 32)` (I2_S of bitnet.cpp) |
//! | `BaseThree` | 1.6875 | 256 trits, 54 bytes | 5 trits or 4 in a byte `ceil(256 q / 243)`; 1.0 in f16 (TQ1_0 of ggml) |
//! | `Signs` | 1 | 8 trits, 1 byte | bit `j % 8` is 1 for 1 and 0 for -1; there are no zeros |
//! | `Bytes` | 8 | 1 number, 1 byte | two's complement, -127 to 127 |
//!
//! `quantise.rs` has the quantisers, a file of its own has each format, and `matrix.rs` puts them together. The products
//! are those of `decode/simd/whole/`; `product.rs` is their definition.

mod base_three;
mod error;
mod matrix;
mod product;
#[cfg(test)]
mod product_tests;
mod quantise;
mod signs;
#[cfg(test)]
mod tests;
mod two_bits;

pub use error::LowBitError;
pub use matrix::{LowBitFormat, LowBitMatrix, Packing, ScaleGroups};
pub use quantise::{Levels, hadamard, quantise_row};

pub(crate) use matrix::WholeRows;
pub(crate) use product::{Codes, add_bytes, add_codes, code_dot};
pub(crate) use quantise::{Quantise, nearest, quantise_neuron, scale_of_neurons, within};
pub(crate) use two_bits::Trits;

/// Numbers that share a scale where groups do: neurons of a head, or numbers of a row.
pub(crate) const GROUP: usize = 64;
