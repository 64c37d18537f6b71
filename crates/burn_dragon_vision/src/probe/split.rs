//! Training rows that are held out, for choices.

use super::features::{Features, Labelled};
use crate::error::VisionError;
use burn_dragon_core::api::expert::{Rng, derive};

/// Rows to fit on, and rows to choose by.
pub(super) struct Split {
    pub(super) fit: Vec<usize>,
    pub(super) held: Vec<usize>,
}

impl Split {
    /// A random split of groups of rows that stand one after the other, such as the patches of a frame. At most `most` rows
    /// and a fifth of the groups are held out, at least one group.
    pub(super) fn new(rows: usize, group: usize, most: usize, seed: u64) -> Result<Self, VisionError> {
        let groups = rows / group.max(1);
        if groups < 2 || !rows.is_multiple_of(group) {
            let reason =
                format!("{rows} training rows in groups of {group}; expected at least two whole groups");
            return Err(VisionError::Probe { reason });
        }
        let held = (most / group).min(groups / 5).max(1);
        let mut rng = Rng::new(derive(seed, "probe.validation", 0, 0));
        let mut order: Vec<usize> = (0..groups).collect();
        for index in 0..held {
            order.swap(index, index + rng.below(groups - index));
        }
        let rows = |groups: &mut [usize]| {
            groups.sort_unstable();
            groups
                .iter()
                .flat_map(|&index| index * group..(index + 1) * group)
                .collect()
        };
        let (held, fit) = order.split_at_mut(held);
        Ok(Self {
            fit: rows(fit),
            held: rows(held),
        })
    }
}

/// Chosen rows, with their labels.
pub(super) struct Part {
    pub(super) features: Features,
    pub(super) labels: Vec<usize>,
}

impl Part {
    pub(super) fn of(all: Labelled<'_>, rows: &[usize]) -> Self {
        Self {
            features: all.features.select(rows),
            labels: rows.iter().map(|&row| all.labels[row]).collect(),
        }
    }
}
