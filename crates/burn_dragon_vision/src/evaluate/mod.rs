//! Evaluation: figures of a model on held-out data, and probes of its features beside their anchors.
//!
//! | what | where |
//! |---|---|
//! | pictures: accuracy level by level, probes of summaries | `pictures.rs` |
//! | clips: probes of summaries, of where the object is, and of the patches that show it | `clips.rs` |

mod clips;
mod pictures;

pub(crate) use clips::JudgedClips;
pub(crate) use pictures::{JudgedPictures, pixels, said, shares};

use crate::encoder::VisionPass;
use crate::model::VisionModel;

/// `count` numbers below `all`, spread evenly, rising.
pub(crate) fn spread(all: usize, count: usize) -> Vec<usize> {
    let count = count.min(all);
    (0..count).map(|index| index * all / count).collect()
}

/// The pass of an evaluation.
pub(crate) fn evaluated(model: &VisionModel) -> VisionPass {
    VisionPass {
        levels: Some(model.encoder.config().evaluated()),
        ..VisionPass::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_all() {
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(spread(3, 8), [0, 1, 2]);
        assert!(spread(0, 5).is_empty());
    }
}
