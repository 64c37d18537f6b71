//! Precision of the factors of matrix products.

/// Precision of the factors of the matrix products in a level. Sums are f32 in either case.
///
/// `Bf16` rounds each factor to the nearest number with 8 significant bits, ties to even, when it is packed for the
/// product. Its relative error is at most 2^-8; numbers below 2^-126 in magnitude may count as zero. The same machine
/// always gives the same bits. Machines with different units sum in different orders, as they do in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Factors in f32, not rounded.
    #[default]
    F32,
    /// Factors rounded to bf16.
    Bf16,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}
