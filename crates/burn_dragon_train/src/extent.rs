//! Size of a step's work, which can be reduced for a measurement.

use serde::Serialize;

/// Size of a step's work: what the time of a step is proportional to, beside the sizes that a slice keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Extent {
    /// Number of heads.
    pub heads: usize,
    /// Number of levels.
    pub levels: usize,
    /// Number of samples in a batch.
    pub lanes: usize,
}

impl Extent {
    /// The next smaller extent: first fewer levels, down to two, then half the heads, then half the lanes. At least
    /// `tasks` heads of lanes remain, as many as there are threads, while there are other sizes to reduce.
    #[must_use]
    pub(crate) fn smaller(self, tasks: usize) -> Self {
        let half = |size: usize| size.div_ceil(2);
        if self.levels > 2 {
            return Self { levels: 2, ..self };
        }
        let fewer_heads = Self {
            heads: half(self.heads),
            ..self
        };
        let fewer_lanes = Self {
            lanes: half(self.lanes),
            ..self
        };
        let busy = |extent: Self| extent.heads * extent.lanes >= tasks;
        match (self.heads > 1, self.lanes > 1) {
            (true, true) if !busy(fewer_heads) && busy(fewer_lanes) => fewer_lanes,
            (true, _) => fewer_heads,
            (false, true) => fewer_lanes,
            (false, false) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(heads: usize, levels: usize, lanes: usize) -> Extent {
        Extent { heads, levels, lanes }
    }

    #[test]
    fn a_slice_becomes_smaller_by_levels_then_heads_then_lanes() {
        let mut sizes = vec![extent(4, 6, 8)];
        while let Some(last) = sizes.last().copied() {
            let next = last.smaller(2);
            if next == last {
                break;
            }
            sizes.push(next);
        }
        let expected = [
            (4, 6, 8),
            (4, 2, 8),
            (2, 2, 8),
            (1, 2, 8),
            (1, 2, 4),
            (1, 2, 2),
            (1, 2, 1),
        ];
        assert_eq!(
            sizes,
            expected.map(|(heads, levels, lanes)| extent(heads, levels, lanes))
        );
    }

    #[test]
    fn every_thread_keeps_a_head_of_a_lane() {
        // Half the heads of two lanes would leave four tasks for eight threads, and so would half the lanes.
        assert_eq!(extent(4, 2, 2).smaller(4), extent(2, 2, 2));
        assert_eq!(extent(2, 1, 16).smaller(16), extent(1, 1, 16));
        assert_eq!(
            extent(2, 1, 16).smaller(17),
            extent(1, 1, 16),
            "nothing keeps them all busy"
        );
    }
}
