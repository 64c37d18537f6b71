//! How factors enter products.

/// How the factors of the products of training enter them. Sums are f32 in either case.
///
/// `Bf16` rounds each factor to the nearest number of 8 significant bits, ties to even, while it is laid out for the
/// product, so its relative error is 2^-8 at most; numbers below 2^-126 in magnitude may count as zero. The same
/// machine gives the same bits; machines with different units order their sums differently, as they do in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Factors as they are.
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
