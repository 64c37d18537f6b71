//! Lists of neurons, made without branches or allocations.

use std::ops::Range;

/// List with room for all entries. An entry is written first and then counted or not, without a branch or an
/// allocation.
#[derive(Clone, Debug)]
pub(super) struct List<T> {
    room: Vec<T>,
    pub(super) len: usize,
}

impl<T: Copy + Default> List<T> {
    /// An empty list of at most so many entries.
    pub(super) fn new(most: usize) -> Self {
        Self {
            room: vec![T::default(); most + 1],
            len: 0,
        }
    }

    /// Adds an entry if it is wanted.
    #[inline(always)]
    pub(super) fn push_if(&mut self, wanted: bool, entry: T) {
        self.room[self.len] = entry;
        self.len += usize::from(wanted);
    }

    /// The entries.
    #[inline(always)]
    pub(super) fn entries(&self) -> &[T] {
        &self.room[..self.len]
    }

    /// Entries that were written, whether they are counted or not.
    #[inline(always)]
    pub(super) fn written(&self, range: Range<usize>) -> &[T] {
        &self.room[range]
    }
}

/// The places of the ones of a word, from the lowest.
#[inline(always)]
pub(super) fn ones(mut word: u16) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let place = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (place < u16::BITS).then_some(place)
    })
}
