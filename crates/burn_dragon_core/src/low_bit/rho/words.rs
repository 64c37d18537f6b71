//! Names of precisions, compressions and edges, and a table in words.

use super::config::{RhoCompression, RhoConfig, RhoInterval, RhoPrecision};

impl RhoPrecision {
    /// Name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Fp8Exp => "fp8_exp",
            Self::Int8BlockExp => "int8_block_exp",
            Self::Blockfp8Exp => "blockfp8_exp",
            Self::SparseTileExp => "sparse_tile_exp",
        }
    }
}

impl RhoCompression {
    /// Name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fp8BlockExp => "fp8_block_exp",
            Self::Int8BlockExp => "int8_block_exp",
            Self::TernaryBlockExp => "ternary_block_exp",
            Self::BinaryBlockExp => "binary_block_exp",
            Self::BlockfpExp => "blockfp_exp",
            Self::SparsePositiveExp => "sparse_positive_exp",
            Self::LowrankDeltaExp => "lowrank_delta_exp",
        }
    }
}

impl RhoInterval {
    /// Name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Chunk => "chunk",
            Self::EvalOnly => "eval_only",
        }
    }
}

impl RhoConfig {
    /// Precision, compression and edges in words.
    pub fn in_words(&self) -> String {
        let (precision, compression) = (self.precision.name(), self.compression.name());
        let (interval, bits) = (self.compression_interval.name(), self.bits());
        format!(
            "precision {precision}, compression {compression}, interval {interval}; {bits:.2} bits a number"
        )
    }
}
