//! Work on several threads with rayon; without the feature `rayon`, the same work in the same order on one thread.
//!
//! Results do not depend on the number of threads: work is cut by its own sizes, and sums have a fixed order.

#[cfg(feature = "rayon")]
pub(crate) use rayon::prelude::{
    IndexedParallelIterator, IntoParallelIterator, ParallelIterator, ParallelSlice, ParallelSliceMut,
};

#[cfg(not(feature = "rayon"))]
pub(crate) use serial::{IntoParallelIterator, ParallelSlice, ParallelSliceMut};

/// Threads that the operations run on.
pub(crate) fn threads() -> usize {
    #[cfg(feature = "rayon")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    return 1;
}

/// Sums of every `count` parts of `size` numbers, in order.
pub(crate) fn sum_of_parts(parts: &[f32], count: usize, size: usize) -> Vec<f32> {
    let mut sums = Vec::with_capacity(parts.len() / count);
    for parts in parts.chunks_exact(count * size) {
        let first = sums.len();
        sums.extend_from_slice(&parts[..size]);
        for part in parts.chunks_exact(size).skip(1) {
            sums[first..].iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
        }
    }
    sums
}

/// Serial versions of rayon's methods, by the standard library, on one thread.
#[cfg(not(feature = "rayon"))]
mod serial {
    use std::slice::{Chunks, ChunksExact, ChunksExactMut, ChunksMut};

    /// Pieces of a slice.
    pub(crate) trait ParallelSlice<T> {
        /// [`chunks`](slice::chunks).
        fn par_chunks(&self, size: usize) -> Chunks<'_, T>;
        /// [`chunks_exact`](slice::chunks_exact).
        fn par_chunks_exact(&self, size: usize) -> ChunksExact<'_, T>;
    }

    impl<T> ParallelSlice<T> for [T] {
        fn par_chunks(&self, size: usize) -> Chunks<'_, T> {
            self.chunks(size)
        }

        fn par_chunks_exact(&self, size: usize) -> ChunksExact<'_, T> {
            self.chunks_exact(size)
        }
    }

    /// Pieces of a slice, to be written.
    pub(crate) trait ParallelSliceMut<T> {
        /// [`chunks_mut`](slice::chunks_mut).
        fn par_chunks_mut(&mut self, size: usize) -> ChunksMut<'_, T>;
        /// [`chunks_exact_mut`](slice::chunks_exact_mut).
        fn par_chunks_exact_mut(&mut self, size: usize) -> ChunksExactMut<'_, T>;
    }

    impl<T> ParallelSliceMut<T> for [T] {
        fn par_chunks_mut(&mut self, size: usize) -> ChunksMut<'_, T> {
            self.chunks_mut(size)
        }

        fn par_chunks_exact_mut(&mut self, size: usize) -> ChunksExactMut<'_, T> {
            self.chunks_exact_mut(size)
        }
    }

    /// Values that can be iterated over.
    pub(crate) trait IntoParallelIterator: IntoIterator + Sized {
        /// [`into_iter`](IntoIterator::into_iter).
        fn into_par_iter(self) -> Self::IntoIter {
            self.into_iter()
        }
    }

    impl<I: IntoIterator> IntoParallelIterator for I {}
}
