//! Table `[model.rho]`: precision and compression of carried memory.

use crate::config::TrunkConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Precision and compression of carried memory, `[model.rho]`. If absent, memory is carried as it is.
///
/// They act at the edges of chunks, on memory that is carried from one to the next, with straight-through gradients; its numbers
/// stay f32. Names are those of the public implementation, which read `precision` nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RhoConfig {
    /// Numbers that memory is made of.
    pub precision: RhoPrecision,
    /// Whether a window of training begins with the memory after the one before it; with `false` each begins with an empty one.
    pub carry_across_tbptt: bool,
    /// Whether gradients end between windows of a step.
    pub detach_between_windows: bool,
    /// Code that memory is carried in, after it has its precision.
    pub compression: RhoCompression,
    /// Edges at which precision and compression act.
    pub compression_interval: RhoInterval,
    /// Whether training reports the error and the norm of memory at the edges, as `rho_error` and `rho_norm`.
    pub stats_monitoring: bool,
}

impl Default for RhoConfig {
    fn default() -> Self {
        Self {
            precision: RhoPrecision::Bf16,
            carry_across_tbptt: true,
            detach_between_windows: true,
            compression: RhoCompression::None,
            compression_interval: RhoInterval::Chunk,
            stats_monitoring: true,
        }
    }
}

/// Numbers that a memory is made of. Blocks are 32 numbers of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RhoPrecision {
    /// As they are.
    Fp32,
    /// bf16: 8 significant bits.
    Bf16,
    /// fp8 e4m3: 4 significant bits, at most 448; below 2^-6 multiples of 2^-9.
    Fp8Exp,
    /// Whole numbers of -127 to 127, with a step for each block.
    Int8BlockExp,
    /// fp8 e4m3 with a power of 2 for each block, as MXFP8 of the OCP.
    Blockfp8Exp,
    /// The larger half of the blocks of a head; the others are 0.
    SparseTileExp,
}

/// Code that a memory is carried in. Blocks are 32 numbers of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RhoCompression {
    /// None.
    None,
    /// fp8 e4m3, with a scale for each block that makes its largest number 448.
    Fp8BlockExp,
    /// Whole numbers of -127 to 127, with a step for each block.
    Int8BlockExp,
    /// -1, 0 and 1, times the mean size of the block.
    TernaryBlockExp,
    /// Signs, times the mean size of the block.
    BinaryBlockExp,
    /// Whole numbers of -127 to 127, with a power of 2 for each block, as MXINT8 of the OCP.
    BlockfpExp,
    /// Numbers above 0 in 255 levels of the largest of the block; all others are 0.
    SparsePositiveExp,
    /// What an edge adds, in the 8 directions of the width that have most of it.
    LowrankDeltaExp,
}

/// Edges at which precision and compression of memory act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RhoInterval {
    /// After every token. Windows are then read token by token.
    Step,
    /// At the end of every window.
    Chunk,
    /// At the end of every window through which no gradients pass: those of evaluation and generation, and those of training that
    /// only fill memory.
    EvalOnly,
}

impl RhoConfig {
    /// Checks the keys for a trunk.
    ///
    /// # Errors
    /// If keys have no meaning beside each other, or the trunk has another memory than that of the linear read.
    pub(crate) fn validate(&self, trunk: &TrunkConfig) -> Result<(), RhoError> {
        use RhoCompression::{Fp8BlockExp, Int8BlockExp};
        if let Some(mixer) = trunk.read.mixer() {
            let mixer = mixer.name();
            return Err(RhoError::Mixer { mixer });
        }
        match (self.precision, self.compression) {
            (RhoPrecision::Fp8Exp, Fp8BlockExp) => Err(RhoError::Fp8Twice { precision: "fp8_exp" }),
            (RhoPrecision::Blockfp8Exp, Fp8BlockExp) => Err(RhoError::Fp8Twice {
                precision: "blockfp8_exp",
            }),
            (RhoPrecision::Int8BlockExp, Int8BlockExp) => Err(RhoError::Int8Twice),
            _ => Ok(()),
        }
    }

    /// Whether windows are read token by token.
    pub(crate) fn is_of_tokens(&self) -> bool {
        self.changes() && self.compression_interval == RhoInterval::Step
    }

    /// Whether memory is changed at some edge.
    pub fn changes(&self) -> bool {
        self.precision != RhoPrecision::Fp32 || self.compression != RhoCompression::None
    }

    /// Bits of a number of memory in its code, scales included.
    ///
    /// A code of what is added (`lowrank_delta_exp`) leaves the memory itself in its precision.
    pub fn bits(&self) -> f64 {
        let (scale, power) = (1.0, 0.25); // an f32, and an exponent of 8 bits, for each 32 numbers
        match (self.compression, self.precision) {
            (RhoCompression::Fp8BlockExp | RhoCompression::Int8BlockExp, _)
            | (RhoCompression::SparsePositiveExp, _) => 8.0 + scale,
            (RhoCompression::TernaryBlockExp, _) => 2.0 + scale,
            (RhoCompression::BinaryBlockExp, _) => 1.0 + scale,
            (RhoCompression::BlockfpExp, _) => 8.0 + power,
            (_, RhoPrecision::Fp32) => 32.0,
            (_, RhoPrecision::Bf16) => 16.0,
            (_, RhoPrecision::Fp8Exp) => 8.0,
            (_, RhoPrecision::Int8BlockExp) => 8.0 + scale,
            (_, RhoPrecision::Blockfp8Exp) => 8.0 + power,
            (_, RhoPrecision::SparseTileExp) => 16.0 + scale / 32.0, // half of the numbers, and which blocks they are
        }
    }
}

/// Error of a table `[model.rho]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RhoError {
    /// Memory would be in fp8 twice.
    #[error(
        "model.rho.precision = \"{precision}\" and model.rho.compression = \"fp8_block_exp\" are fp8 twice; use \
         model.rho.compression = \"none\", or another precision"
    )]
    Fp8Twice {
        /// The precision.
        precision: &'static str,
    },
    /// Memory would be in int8 twice.
    #[error(
        "model.rho.precision and model.rho.compression are \"int8_block_exp\" both, which is int8 twice; use \
         model.rho.compression = \"none\", or another precision"
    )]
    Int8Twice,
    /// Another memory than that of the linear read.
    #[error(
        "model.rho is of the memory of the linear read, and model.mixer.type = \"{mixer}\" has another; leave one of them out"
    )]
    Mixer {
        /// The mixer.
        mixer: &'static str,
    },
}
