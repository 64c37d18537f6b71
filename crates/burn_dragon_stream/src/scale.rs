//! Mixtures of window lengths in one run, with the same number of tokens in every step.

use serde::{Deserialize, Serialize};

use crate::{error::StreamError, hash::derive, order::permute};

/// A window length and its share of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Window length in tokens.
    pub length: usize,
    /// Weight of this scale: its share of the steps is this divided by the sum of all weights.
    pub weight: u32,
}

/// Mixture of window lengths: a step has few long windows or many short ones.
///
/// Steps form blocks. The weights are divided by their greatest common divisor; a block has as many steps as they then
/// sum to. Each block holds every scale as often as its weight says, in shuffled order, so the proportions are exact at
/// the end of every block.
///
/// ```
/// use burn_dragon_stream::api::{Scale, ScaleMixup};
///
/// let scales = [Scale { length: 512, weight: 3 }, Scale { length: 2048, weight: 1 }];
/// let mixup = ScaleMixup::new(&scales, 8192)?;
/// let steps: Vec<_> = (0..8).map(|step| mixup.scale_of_step(1337, step)).collect();
/// assert_eq!(steps.iter().filter(|step| step.length == 2048).count(), 2);
/// assert!(steps.iter().all(|step| step.length * step.lanes == 8192));
/// assert_eq!(mixup.max_lanes(), 16);
/// # Ok::<(), burn_dragon_stream::api::StreamError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ScaleMixupFields", into = "ScaleMixupFields")]
pub struct ScaleMixup {
    scales: Vec<Scale>,
    tokens_per_step: usize,
}

/// Windows of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScaleStep {
    /// Number of the scale, from 0.
    pub scale: usize,
    /// Window length in tokens.
    pub length: usize,
    /// Number of windows.
    pub lanes: usize,
    /// Number of this step among all steps of its scale, from 0. Each number comes once; within a block they come in
    /// any order.
    pub visit: u64,
}

impl ScaleMixup {
    /// A mixture of these scales.
    ///
    /// # Errors
    /// [`StreamError::NoScales`], [`StreamError::EmptyScale`], and [`StreamError::UnevenScale`] unless every length
    /// divides `tokens_per_step`, which is at least 1.
    pub fn new(scales: &[Scale], tokens_per_step: usize) -> Result<Self, StreamError> {
        if scales.is_empty() {
            return Err(StreamError::NoScales);
        }
        for (index, &Scale { length, weight }) in scales.iter().enumerate() {
            if length == 0 || weight == 0 {
                return Err(StreamError::EmptyScale {
                    index,
                    length,
                    weight,
                });
            }
            if tokens_per_step == 0 || !tokens_per_step.is_multiple_of(length) {
                return Err(StreamError::UnevenScale {
                    tokens_per_step,
                    length,
                });
            }
        }
        Ok(Self {
            scales: scales.to_vec(),
            tokens_per_step,
        })
    }

    /// The scales.
    pub fn scales(&self) -> &[Scale] {
        &self.scales
    }

    /// Number of tokens in every step.
    pub fn tokens_per_step(&self) -> usize {
        self.tokens_per_step
    }

    /// Largest number of lanes that a step uses: that of the shortest windows.
    pub fn max_lanes(&self) -> usize {
        let shortest = self.scales.iter().map(|scale| scale.length).min();
        shortest.map_or(0, |length| self.tokens_per_step / length)
    }

    /// Number of steps in a block, at whose end the proportions are exact.
    pub fn block(&self) -> u64 {
        let common = self.common();
        self.scales
            .iter()
            .map(|scale| u64::from(scale.weight / common))
            .sum()
    }

    /// Greatest common divisor of all weights.
    fn common(&self) -> u32 {
        self.scales
            .iter()
            .map(|scale| scale.weight)
            .fold(0, greatest_common_divisor)
    }

    /// Windows of step `step`, from 0: a function of the mixture, the seed and the step alone.
    pub fn scale_of_step(&self, seed: u64, step: u64) -> ScaleStep {
        let (block, common) = (self.block(), self.common());
        let (turn, place) = (step / block, step % block);
        let mut rank = permute(place, block, derive(seed, "stream.scale", turn, 0));
        let mut scale = 0;
        let weight = |scale: usize| u64::from(self.scales[scale].weight / common);
        while rank >= weight(scale) {
            rank -= weight(scale);
            scale += 1;
        }
        let length = self.scales[scale].length;
        ScaleStep {
            scale,
            length,
            lanes: self.tokens_per_step / length,
            visit: turn * weight(scale) + rank,
        }
    }
}

impl ScaleStep {
    /// Lanes out of a pool of `pool` lanes that read in this step, ascending.
    ///
    /// The steps of a scale take the lanes in turn, so that in the long run every lane reads the same number of tokens.
    ///
    /// ```
    /// # use burn_dragon_stream::api::ScaleStep;
    /// let step = |visit| ScaleStep { scale: 0, length: 512, lanes: 4, visit };
    /// assert_eq!(step(0).lanes_of(6)?, [0, 1, 2, 3]);
    /// assert_eq!(step(1).lanes_of(6)?, [0, 1, 4, 5]);
    /// assert_eq!(step(2).lanes_of(6)?, [2, 3, 4, 5]);
    /// # Ok::<(), burn_dragon_stream::api::StreamError>(())
    /// ```
    ///
    /// # Errors
    /// [`StreamError::TooFewLanes`] if the pool is smaller than [`ScaleStep::lanes`].
    pub fn lanes_of(&self, pool: usize) -> Result<Vec<usize>, StreamError> {
        let (needed, length) = (self.lanes, self.length);
        if needed > pool || pool == 0 {
            return Err(StreamError::TooFewLanes {
                length,
                needed,
                lanes: pool,
            });
        }
        let first = (u128::from(self.visit) * needed as u128 % pool as u128) as usize;
        let wrapped = needed.saturating_sub(pool - first);
        Ok((0..wrapped).chain(first..first + needed - wrapped).collect())
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaleMixupFields {
    scales: Vec<Scale>,
    tokens_per_step: usize,
}

impl TryFrom<ScaleMixupFields> for ScaleMixup {
    type Error = StreamError;

    fn try_from(fields: ScaleMixupFields) -> Result<Self, StreamError> {
        Self::new(&fields.scales, fields.tokens_per_step)
    }
}

impl From<ScaleMixup> for ScaleMixupFields {
    fn from(
        ScaleMixup {
            scales,
            tokens_per_step,
        }: ScaleMixup,
    ) -> Self {
        Self {
            scales,
            tokens_per_step,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn mixup(scales: &[(usize, u32)], tokens: usize) -> Result<ScaleMixup, StreamError> {
        let scales: Vec<_> = scales
            .iter()
            .map(|&(length, weight)| Scale { length, weight })
            .collect();
        ScaleMixup::new(&scales, tokens)
    }

    #[test]
    fn every_block_has_the_proportions_exactly_and_every_step_the_same_tokens() {
        let scales = [(64, 70), (256, 20), (1024, 10)];
        let mixup = mixup(&scales, 4096).unwrap();
        assert_eq!(mixup.block(), 10);
        for seed in 0..5 {
            let steps: Vec<_> = (0..1000).map(|step| mixup.scale_of_step(seed, step)).collect();
            for block in steps.chunks(10) {
                let count = |scale| block.iter().filter(|step| step.scale == scale).count();
                assert_eq!([count(0), count(1), count(2)], [7, 2, 1]);
                assert!(block.iter().all(|step| step.length * step.lanes == 4096));
            }
            for (scale, visits) in [700, 200, 100].into_iter().enumerate() {
                let numbers = steps
                    .iter()
                    .filter(|step| step.scale == scale)
                    .map(|step| step.visit);
                assert_eq!(numbers.collect::<HashSet<_>>(), (0..visits).collect());
            }
        }
    }

    #[test]
    fn blocks_and_seeds_are_shuffled_differently() {
        let mixup = mixup(&[(64, 5), (128, 5), (256, 7)], 256).unwrap();
        let block = |seed, block: u64| {
            let steps = block * 17..(block + 1) * 17;
            steps
                .map(|step| mixup.scale_of_step(seed, step).scale)
                .collect::<Vec<_>>()
        };
        assert_ne!(block(1, 0), block(1, 1));
        assert_ne!(block(1, 0), block(2, 0));
        assert_eq!(block(1, 3), block(1, 3));
    }

    #[test]
    fn every_lane_of_a_pool_reads_as_much_as_any_other() {
        let mixup = mixup(&[(64, 3), (128, 2), (256, 1)], 768).unwrap(); // 12, 6 or 3 lanes
        for pool in [12, 13] {
            let mut tokens = vec![0; pool];
            for step in 0..6 * 13 * 4 {
                let step = mixup.scale_of_step(9, step);
                let lanes = step.lanes_of(pool).unwrap();
                assert_eq!(lanes.len(), step.lanes);
                assert!(lanes.windows(2).all(|pair| pair[0] < pair[1]));
                lanes.into_iter().for_each(|lane| tokens[lane] += step.length);
            }
            assert!(tokens.iter().all(|&read| read == tokens[0]), "{pool}: {tokens:?}");
        }
    }

    #[test]
    fn what_cannot_be_mixed_is_refused() {
        assert!(matches!(mixup(&[], 64), Err(StreamError::NoScales)));
        assert!(matches!(
            mixup(&[(64, 1), (0, 1)], 64),
            Err(StreamError::EmptyScale { index: 1, .. })
        ));
        assert!(matches!(
            mixup(&[(64, 0)], 64),
            Err(StreamError::EmptyScale { weight: 0, .. })
        ));
        for tokens in [0, 32, 96] {
            assert!(matches!(
                mixup(&[(64, 1)], tokens),
                Err(StreamError::UnevenScale { length: 64, .. })
            ));
        }
        let step = mixup(&[(16, 1)], 64).unwrap().scale_of_step(0, 0);
        for lanes in [0, 3] {
            assert!(matches!(
                step.lanes_of(lanes),
                Err(StreamError::TooFewLanes { needed: 4, .. })
            ));
        }
    }

    #[test]
    fn a_mixture_from_a_file_is_checked() {
        let mixture = mixup(&[(16, 2), (32, 1)], 64).unwrap();
        let text = serde_json::to_string(&mixture).unwrap();
        assert_eq!(serde_json::from_str::<ScaleMixup>(&text).unwrap(), mixture);
        let text = text.replace("64", "65");
        let error = serde_json::from_str::<ScaleMixup>(&text).unwrap_err();
        assert!(error.to_string().contains("tokens_per_step is 65"), "{error}");
    }
}
