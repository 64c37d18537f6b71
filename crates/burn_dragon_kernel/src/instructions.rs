//! Which instructions of the processor are used: all that it has, or fewer, where the environment says so.
//!
//! The variable `BURN_DRAGON_INSTRUCTIONS` is `portable`, `avx2`, `avx512` or `amx`: these, and those before them, as on a
//! processor that has no others. It is read once. It is for tests, and for whoever asks why two machines differ.
//!
//! It holds for all that this crate chooses. The `gemm` crate, for products in f32 that no unit of ours is faster at,
//! and Burn's own operations choose for themselves.

use std::sync::LazyLock;

/// The name of the variable.
const VARIABLE: &str = "BURN_DRAGON_INSTRUCTIONS";

/// Vectors and tiles, each kind with all that those before it have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instructions {
    /// What every processor of its kind has.
    Portable,
    /// AVX2 with fused multiply-adds; on 64-bit ARM, NEON.
    Avx2,
    /// AVX-512 (F, BW, DQ and VL), and its dot products of bf16 where there are any.
    Avx512,
    /// Intel's matrix unit.
    Amx,
}

impl Instructions {
    /// All kinds, the narrowest first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Amx];

    /// The widest that the environment allows; all where it says nothing.
    ///
    /// # Errors
    /// If it says something else than the name of a kind.
    pub fn limit() -> Result<Self, UnknownInstructions> {
        static LIMIT: LazyLock<Result<Instructions, UnknownInstructions>> =
            LazyLock::new(|| match std::env::var_os(VARIABLE) {
                None => Ok(Instructions::Amx),
                Some(given) => Instructions::named(&given.to_string_lossy()),
            });
        LIMIT.clone()
    }

    /// As the variable calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        }
    }

    fn named(given: &str) -> Result<Self, UnknownInstructions> {
        let named = Self::ALL.into_iter().find(|kind| kind.name() == given);
        named.ok_or_else(|| UnknownInstructions { given: given.into() })
    }

    /// Whether the processor has these vectors and they may be used. Of tiles it says whether they may be: whether
    /// there are any is the matrix unit's to find out, for it has to ask the system.
    ///
    /// # Panics
    /// If [`limit`](Self::limit) fails.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(dead_code, reason = "there is nothing to choose from")
    )]
    pub(crate) fn usable(self) -> bool {
        static WIDEST: LazyLock<Instructions> = LazyLock::new(|| {
            let limit = Instructions::limit().unwrap_or_else(|unknown| panic!("{unknown}"));
            limit.min(Instructions::of_processor())
        });
        self <= *WIDEST
    }

    /// The widest vectors that the processor has; tiles, where it may have them.
    #[cfg(target_arch = "x86_64")]
    fn of_processor() -> Self {
        let avx512 = cfg!(feature = "x86-v4")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("popcnt");
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        match (avx512, avx2) {
            (true, true) => Self::Amx,
            (_, true) => Self::Avx2,
            (_, false) => Self::Portable,
        }
    }

    /// NEON is part of every 64-bit ARM.
    #[cfg(not(target_arch = "x86_64"))]
    fn of_processor() -> Self {
        if cfg!(target_arch = "aarch64") {
            Self::Avx2
        } else {
            Self::Portable
        }
    }
}

/// `BURN_DRAGON_INSTRUCTIONS` is not the name of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownInstructions {
    /// What it is.
    pub given: String,
}

impl std::fmt::Display for UnknownInstructions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = Instructions::ALL.map(Instructions::name).join(", ");
        write!(
            f,
            "{VARIABLE} is `{}`; expected one of {names}, or not set",
            self.given
        )
    }
}

impl std::error::Error for UnknownInstructions {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_called_by_its_name_alone() {
        for kind in Instructions::ALL {
            assert_eq!(Instructions::named(kind.name()), Ok(kind));
        }
        for given in ["", "AVX2", "avx-512", "sse"] {
            let unknown = Instructions::named(given).unwrap_err().to_string();
            let expected = format!("`{given}`; expected one of portable, avx2, avx512, amx");
            assert!(unknown.contains(&expected), "{unknown}");
        }
    }

    /// Also where the environment limits it, as `.ci/run` does.
    #[test]
    fn what_may_be_used_is_what_the_processor_has_and_the_limit_allows() {
        let limit = Instructions::limit().unwrap();
        let widest = limit.min(Instructions::of_processor());
        for kind in Instructions::ALL {
            assert_eq!(kind.usable(), kind <= widest, "{kind:?} of {widest:?}");
        }
        assert!(Instructions::Portable.usable());
    }
}
