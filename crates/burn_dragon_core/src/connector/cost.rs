//! Cost of a connector.

use super::Connector;
use std::num::Saturating;

/// Count that saturates.
type Count = Saturating<u64>;

fn of(size: usize) -> Count {
    Saturating(size as u64)
}

/// Number of entries that all levels and the output read together, where each reads all before it.
fn entries(levels: usize) -> Count {
    of(levels) * (of(levels) + of(3)) / of(2)
}

impl Connector {
    /// FLOPs of one token in a pass of so many levels, beside the levels and the norms.
    pub(crate) fn flops(&self, levels: usize, width: usize) -> Count {
        let d = of(width);
        match self {
            Self::Plain {} => of(0),
            Self::AttentionResidual {} | Self::BlockAttentionResidual { .. } => {
                let scores = of(levels + 1) * (of(2) * d * of(levels) + of(2) * d);
                scores + of(2) * d * entries(levels)
            }
            Self::Mhc(config) => {
                let n = of(config.streams);
                let logits = match config.knows_streams() {
                    false => of(0),
                    true => of(2) * n * d * of(config.logits()),
                };
                of(levels) * (logits + of(4) * n * d + of(2) * n * n * d)
            }
            Self::AttentionResidualUpstream { .. } | Self::BlockUpstream { .. } => {
                of(levels) * of(6) * d * d + entries(levels) * of(6) * d
            }
        }
    }

    /// Approximate number of values that a training step keeps of one token, in all levels.
    pub(crate) fn kept(&self, levels: usize, width: usize) -> Count {
        let d = of(width);
        match self {
            Self::Plain {} => of(0),
            Self::AttentionResidual {} | Self::BlockAttentionResidual { .. } => of(4) * of(levels) * d,
            Self::Mhc(config) => {
                let n = of(config.streams);
                (of(levels) * (n + of(2)) + of(2) * n) * d
            }
            Self::AttentionResidualUpstream { .. } | Self::BlockUpstream { .. } => of(7) * of(levels) * d,
        }
    }
}
