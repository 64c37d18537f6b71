//! Instruction sets of the processor: all that it has are used, or fewer if the environment limits them.
//!
//! The variable `BURN_DRAGON_INSTRUCTIONS` is `portable`, `avx2`, `avx512` or `amx`. Then only this set and those
//! before it are used, as on a processor that has no others. The variable is read once. It is for tests, and to find
//! out why two machines give different results.
//!
//! The limit holds for all instructions that this crate selects. The `gemm` crate, which computes some products in f32,
//! and Burn's own operations select theirs themselves.

use std::sync::LazyLock;

/// Name of the environment variable.
const VARIABLE: &str = "BURN_DRAGON_INSTRUCTIONS";

/// Instruction set of the processor; each one includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instructions {
    /// The instructions that every processor of the architecture has.
    Portable,
    /// AVX2 with fused multiply-adds; on 64-bit ARM, NEON.
    Avx2,
    /// AVX-512 (F, BW, DQ and VL), and its dot products of bf16 if the processor has them.
    Avx512,
    /// AMX, Intel's matrix unit.
    Amx,
}

impl Instructions {
    /// All kinds, the narrowest first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Amx];

    /// Widest set that the environment allows: [`Amx`](Self::Amx) if the variable is not set.
    ///
    /// # Errors
    /// If the variable is not the name of a set.
    pub fn limit() -> Result<Self, UnknownInstructions> {
        static LIMIT: LazyLock<Result<Instructions, UnknownInstructions>> =
            LazyLock::new(|| match std::env::var_os(VARIABLE) {
                None => Ok(Instructions::Amx),
                Some(given) => Instructions::named(&given.to_string_lossy()),
            });
        LIMIT.clone()
    }

    /// Name of the set, as in the variable.
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

    /// Whether the processor has this set and the limit allows it. For [`Amx`](Self::Amx), whether the limit allows it
    /// and the processor has AVX-512: the matrix unit itself finds out whether there is AMX, since it has to ask the
    /// system.
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

    /// Widest vectors that the processor has; AMX, if it may have them.
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

/// Error of the variable `BURN_DRAGON_INSTRUCTIONS`, which is not the name of an instruction set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownInstructions {
    /// Value of the variable.
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
