//! Orders as functions. The item at a place is computed, never stored, so an order takes no memory and can be resumed
//! at any place.

use serde::{Deserialize, Serialize};

use crate::hash::derive;

/// Value at `index` of the pseudorandom permutation of `0..count` that `key` selects.
///
/// Four Feistel rounds permute the range up to the smallest power of four that is at least `count`. A value outside
/// `0..count` is permuted again until it falls inside (cycle walking), fewer than four times on average. It takes no
/// memory, at any `count`.
///
/// ```
/// use burn_dragon_stream::api::permute;
///
/// let mut order: Vec<u64> = (0..10).map(|index| permute(index, 10, 1337)).collect();
/// order.sort_unstable();
/// assert!(order.into_iter().eq(0..10));
/// ```
///
/// # Panics
/// Unless `index < count`.
pub fn permute(index: u64, count: u64, key: u64) -> u64 {
    assert!(index < count, "permute: index {index} is not below count {count}");
    let bits = u64::BITS - (count - 1).leading_zeros();
    let half = bits.div_ceil(2);
    let mask = (1u64 << half) - 1;
    let mut value = index;
    loop {
        let (mut left, mut right) = (value >> half, value & mask);
        for round in 0..4 {
            (left, right) = (right, left ^ (derive(key, "feistel", round, right) & mask));
        }
        value = (left << half) | right;
        if value < count {
            return value;
        }
    }
}

/// Permutation of `0..count` that a key selects: [`permute`] as a value.
///
/// ```
/// use burn_dragon_stream::api::Shuffle;
///
/// let shuffle = Shuffle::of_epoch(5, 1337, 0);
/// assert_eq!(shuffle.iter().count(), 5);
/// assert!(shuffle.iter().eq((0..5).filter_map(|place| shuffle.get(place))));
/// assert_eq!(shuffle.get(5), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shuffle {
    /// Number of items.
    pub count: u64,
    /// Key that selects the order.
    pub key: u64,
}

impl Shuffle {
    /// The order of one epoch; each epoch and each seed has its own.
    pub fn of_epoch(count: u64, seed: u64, epoch: u64) -> Self {
        let key = derive(seed, "stream.order", epoch, 0);
        Self { count, key }
    }

    /// Item at this place, from 0; `None` past the end.
    pub fn get(&self, place: u64) -> Option<u64> {
        (place < self.count).then(|| permute(place, self.count, self.key))
    }

    /// All items, in this order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + use<> {
        let Self { count, key } = *self;
        (0..count).map(move |place| permute(place, count, key))
    }
}

/// Order in which each epoch visits the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// The given order, the same in every epoch.
    Given,
    /// A new shuffle in every epoch.
    Shuffled {
        /// Seed of the orders of all epochs.
        seed: u64,
    },
}

impl Order {
    /// The item at a place of an epoch.
    ///
    /// # Panics
    /// Unless `place < count`.
    pub fn item(self, epoch: u64, place: u64, count: u64) -> u64 {
        match self {
            Self::Given => {
                assert!(
                    place < count,
                    "Order::item: place {place} is not below count {count}"
                );
                place
            }
            Self::Shuffled { seed } => permute(place, count, Shuffle::of_epoch(count, seed, epoch).key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_hits_every_value_once_whatever_the_count() {
        for count in (1..70).chain([255, 256, 257, 1000, 1025]) {
            for key in 0..3 {
                let mut values: Vec<_> = Shuffle { count, key }.iter().collect();
                values.sort_unstable();
                assert!(values.into_iter().eq(0..count), "{count}");
            }
        }
    }

    #[test]
    fn a_permutation_of_the_largest_count_stays_one_to_one() {
        let values: std::collections::HashSet<_> = (0..1000)
            .chain(u64::MAX - 1000..u64::MAX)
            .map(|index| permute(index, u64::MAX, 3))
            .collect();
        assert_eq!(values.len(), 2000);
    }

    #[test]
    fn a_permutation_mixes() {
        // The mean distance of a random permutation of n from the identity is n / 3.
        let moved: u64 = (0..1000)
            .map(|index| permute(index, 1000, 9).abs_diff(index))
            .sum();
        assert!((280..390).contains(&(moved / 1000)), "{}", moved / 1000);
    }

    #[test]
    fn every_item_is_first_equally_often() {
        for count in [2, 3, 5, 8, 20] {
            let mut firsts = vec![0u32; count as usize];
            for epoch in 0..2000 * count {
                firsts[Order::Shuffled { seed: 11 }.item(epoch, 0, count) as usize] += 1;
            }
            // 2000 expected; 5 standard deviations are about 220.
            assert!(
                firsts.iter().all(|&n| (1780..2220).contains(&n)),
                "{count}: {firsts:?}"
            );
        }
    }

    /// Runs that were begun go on in the order they began in.
    #[test]
    fn an_order_stays_what_it_was() {
        let firsts = |count, key| (0..6).map(|index| permute(index, count, key)).collect::<Vec<_>>();
        assert_eq!(firsts(10, 1337), [0, 3, 8, 9, 2, 5]);
        assert_eq!(
            firsts(1_000_000, u64::MAX),
            [514_624, 686_282, 4758, 912_466, 450_919, 740_951]
        );
        assert_eq!(permute(0, 1, 5), 0);
    }

    #[test]
    fn epochs_and_seeds_have_orders_of_their_own_and_the_given_order_stays() {
        let order = |seed, epoch| Shuffle::of_epoch(100, seed, epoch).iter().collect::<Vec<_>>();
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
        assert_eq!(order(1, 0), order(1, 0));
        assert!((0..100).all(|place| Order::Given.item(place, place, 100) == place));
    }

    #[test]
    #[should_panic(expected = "index 5 is not below count 5")]
    fn an_index_outside_is_the_callers_mistake() {
        permute(5, 5, 0);
    }
}
