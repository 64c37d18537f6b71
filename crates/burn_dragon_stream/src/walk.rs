//! Endless walk over the items of all epochs, shared between shards.

use serde::{Deserialize, Serialize};

use crate::{error::StreamError, order::Order, shard::Shard};

/// Walk of one shard over `0..count`, epoch after epoch.
///
/// The epochs, each in its order, form one endless row. Shard `k` of `n` takes places `k`, `k + n`, `k + 2n` ... of the
/// row. So the shards partition every epoch. Every shard always has a next item, however few items there are. If the
/// items do not divide evenly, the extra items of an epoch go to other shards each time.
///
/// ```
/// use burn_dragon_stream::api::expert::Walk;
/// use burn_dragon_stream::api::{Order, Shard};
///
/// let mut walk = Walk::new(3, Order::Given, Shard::new(1, 2)?)?;
/// let mut items = Vec::new();
/// for _ in 0..3 {
///     items.push((walk.epoch(), walk.item()));
///     walk.advance();
/// }
/// // The row is 0 1 2 | 0 1 2: every second place, from place 1.
/// assert_eq!(items, [(0, 1), (1, 0), (1, 2)]);
/// # Ok::<(), burn_dragon_stream::api::StreamError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    count: u64,
    order: Order,
    shard: Shard,
    /// Place in the row of all epochs, from 0.
    turn: u64,
}

/// Position of a [`Walk`]: its next item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalkPosition {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Place in the order of this epoch, from 0.
    pub index: u64,
    /// Number of items in an epoch.
    pub items: u64,
    /// Order of the walk.
    pub order: Order,
    /// Shard that walks.
    pub shard: Shard,
}

/// Place at which a walk ends: beyond any real walk, and far from overflow.
const END: u64 = u64::MAX / 4;

impl Walk {
    /// A walk at its first item.
    ///
    /// # Errors
    /// [`StreamError::NoItems`] if `count` is 0, [`StreamError::TooManyShards`] beyond 2^62 shards.
    pub fn new(count: usize, order: Order, shard: Shard) -> Result<Self, StreamError> {
        if count == 0 {
            return Err(StreamError::NoItems);
        }
        if shard.count() as u64 > END {
            return Err(StreamError::TooManyShards {
                outer: shard.count(),
                inner: 1,
            });
        }
        Ok(Self {
            count: count as u64,
            order,
            shard,
            turn: shard.index() as u64,
        })
    }

    /// Current item.
    pub fn item(&self) -> usize {
        self.order.item(self.epoch(), self.index(), self.count) as usize
    }

    /// Advances to the next item.
    pub fn advance(&mut self) {
        self.turn += self.shard.count() as u64;
    }

    /// Current epoch, from 0.
    pub fn epoch(&self) -> u64 {
        self.turn / self.count
    }

    /// Current place in the order of this epoch, from 0.
    pub fn index(&self) -> u64 {
        self.turn % self.count
    }

    /// Shard that walks.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Current position, as a value.
    pub fn position(&self) -> WalkPosition {
        WalkPosition {
            epoch: self.epoch(),
            index: self.index(),
            items: self.count,
            order: self.order,
            shard: self.shard,
        }
    }

    /// Moves to a position of a walk over the same number of items, in the same order and of the same shard.
    ///
    /// # Errors
    /// [`StreamError::OtherCount`], [`StreamError::OtherOrder`], [`StreamError::OtherShard`] and
    /// [`StreamError::NoSuchPosition`]; the walk stays where it was.
    pub fn seek(&mut self, position: &WalkPosition) -> Result<(), StreamError> {
        self.turn = self.turn_of(position)?;
        Ok(())
    }

    /// Place in the row of all epochs of a position.
    fn turn_of(&self, position: &WalkPosition) -> Result<u64, StreamError> {
        let WalkPosition {
            epoch,
            index,
            items,
            order,
            shard,
        } = *position;
        if items != self.count {
            return Err(StreamError::OtherCount {
                given: items,
                expected: self.count,
            });
        }
        if order != self.order {
            return Err(StreamError::OtherOrder {
                given: order,
                expected: self.order,
            });
        }
        if shard != self.shard {
            return Err(StreamError::OtherShard {
                given_index: shard.index(),
                given_count: shard.count(),
                index: self.shard.index(),
                count: self.shard.count(),
            });
        }
        let turn = u128::from(epoch) * u128::from(self.count) + u128::from(index);
        let ours = turn % shard.count() as u128 == shard.index() as u128;
        match u64::try_from(turn) {
            Ok(turn) if ours && turn <= END && index < self.count => Ok(turn),
            _ => Err(StreamError::NoSuchPosition {
                epoch,
                index,
                items,
                shard: shard.index(),
                shards: shard.count(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(count: usize, shard: usize, of: usize) -> Walk {
        Walk::new(count, Order::Shuffled { seed: 3 }, Shard::new(shard, of).unwrap()).unwrap()
    }

    #[test]
    fn shards_partition_every_epoch_however_few_the_items() {
        for (count, shards) in [(1, 1), (1, 5), (3, 8), (7, 3), (12, 4), (10, 1)] {
            let mut visits = vec![vec![0; count]; 6];
            for shard in 0..shards {
                let mut walk = walk(count, shard, shards);
                while walk.epoch() < 6 {
                    visits[walk.epoch() as usize][walk.item()] += 1;
                    walk.advance();
                }
            }
            assert!(
                visits.iter().flatten().all(|&n| n == 1),
                "{count} {shards}: {visits:?}"
            );
        }
    }

    #[test]
    fn a_walk_resumes_from_every_position() {
        let mut first = walk(5, 1, 3);
        let mut second = walk(5, 1, 3);
        for _ in 0..40 {
            second.seek(&first.position()).unwrap();
            assert_eq!(second, first);
            first.advance();
        }
    }

    #[test]
    fn a_position_of_another_walk_is_refused() {
        let here = walk(5, 1, 3);
        let start = here.position();
        let refused = |change: &dyn Fn(&mut WalkPosition)| {
            let mut position = start;
            change(&mut position);
            let mut walk = here.clone();
            let error = walk.seek(&position).unwrap_err();
            assert_eq!(walk, here);
            error
        };
        assert!(matches!(
            refused(&|p| p.items = 6),
            StreamError::OtherCount {
                given: 6,
                expected: 5
            }
        ));
        assert!(matches!(
            refused(&|p| p.order = Order::Given),
            StreamError::OtherOrder { .. }
        ));
        assert!(matches!(
            refused(&|p| p.shard = Shard::new(1, 4).unwrap()),
            StreamError::OtherShard { .. }
        ));
        for change in [
            (|p| p.index = 2) as fn(&mut WalkPosition), // another shard's place
            |p| p.index = 7,                            // past the epoch's end
            |p| p.epoch = u64::MAX - 2,
            |p| (p.epoch, p.index) = (u64::MAX, u64::MAX),
        ] {
            assert!(matches!(refused(&change), StreamError::NoSuchPosition { .. }));
        }
    }

    #[test]
    fn no_items_no_walk() {
        assert!(matches!(
            Walk::new(0, Order::Given, Shard::WHOLE),
            Err(StreamError::NoItems)
        ));
    }
}
