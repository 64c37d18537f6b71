//! Shards: disjoint shares of the same items.

use serde::{Deserialize, Serialize};

use crate::error::StreamError;

/// Shard `index` of `count`. Together the shards visit every item of an epoch once.
///
/// ```
/// use burn_dragon_stream::api::{Shard, StreamError};
///
/// assert_eq!(Shard::new(1, 4)?.index(), 1);
/// assert!(matches!(Shard::new(4, 4), Err(StreamError::ShardOutOfRange { index: 4, count: 4 })));
/// assert!(matches!(Shard::new(0, 0), Err(StreamError::NoLanes)));
/// # Ok::<(), StreamError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "ShardFields", into = "ShardFields")]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// The only shard.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Shard `index` of `count`, from 0.
    ///
    /// # Errors
    /// [`StreamError::NoLanes`] if `count` is 0, [`StreamError::ShardOutOfRange`] unless `index < count`.
    pub fn new(index: usize, count: usize) -> Result<Self, StreamError> {
        match (index, count) {
            (_, 0) => Err(StreamError::NoLanes),
            (index, count) if index >= count => Err(StreamError::ShardOutOfRange { index, count }),
            (index, count) => Ok(Self { index, count }),
        }
    }

    /// Number of the shard, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// Number of shards, at least 1.
    pub fn count(self) -> usize {
        self.count
    }

    /// Part `index` of `count` of this shard. The parts of all shards partition the items, as shards do.
    ///
    /// # Errors
    /// As [`Shard::new`]; [`StreamError::TooManyShards`] if their number does not fit a `usize`.
    pub fn part(self, index: usize, count: usize) -> Result<Self, StreamError> {
        let part = Self::new(index, count)?;
        let Some(total) = self.count.checked_mul(count) else {
            return Err(StreamError::TooManyShards {
                outer: self.count,
                inner: count,
            });
        };
        Self::new(self.index * part.count + part.index, total)
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShardFields {
    index: usize,
    count: usize,
}

impl TryFrom<ShardFields> for Shard {
    type Error = StreamError;

    fn try_from(fields: ShardFields) -> Result<Self, StreamError> {
        Self::new(fields.index, fields.count)
    }
}

impl From<Shard> for ShardFields {
    fn from(Shard { index, count }: Shard) -> Self {
        Self { index, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_shards_are_all_the_shards() {
        let mut indices = Vec::new();
        for outer in 0..3 {
            for inner in 0..4 {
                let part = Shard::new(outer, 3).unwrap().part(inner, 4).unwrap();
                assert_eq!(part.count(), 12);
                indices.push(part.index());
            }
        }
        assert!(indices.into_iter().eq(0..12));
    }

    #[test]
    fn a_shard_that_cannot_be_is_refused_from_a_file_too() {
        let text = serde_json::to_string(&Shard::new(2, 3).unwrap()).unwrap();
        assert_eq!(text, r#"{"index":2,"count":3}"#);
        assert_eq!(
            serde_json::from_str::<Shard>(&text).unwrap(),
            Shard::new(2, 3).unwrap()
        );
        let error = serde_json::from_str::<Shard>(r#"{"index":3,"count":3}"#).unwrap_err();
        assert!(error.to_string().contains("shard 3 of 3"), "{error}");
    }

    #[test]
    fn more_shards_than_a_machine_can_count_are_refused() {
        let shard = Shard::new(0, usize::MAX).unwrap();
        assert!(matches!(
            shard.part(0, 2),
            Err(StreamError::TooManyShards { inner: 2, .. })
        ));
    }
}
