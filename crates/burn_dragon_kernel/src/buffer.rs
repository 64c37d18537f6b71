//! Memory aligned to cache lines, so that no vector crosses two of them.

use std::ops::{Deref, DerefMut};

/// Numbers in a cache line.
pub(crate) const LINE: usize = 16;

/// 64 bytes on a boundary of 64: a cache line, a vector of 16 numbers, a row of a tile.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line([f32; LINE]);

#[cfg(target_arch = "x86_64")]
impl Line {
    /// Zeros.
    pub(crate) const ZERO: Self = Self([0.0; LINE]);
}

/// Numbers that start at a cache line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
    length: usize,
}

impl Buffer {
    /// `length` zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        Self {
            lines: vec![Line([0.0; LINE]); length.div_ceil(LINE)],
            length,
        }
    }

    /// The first `length` numbers, whatever they are; the buffer grows to hold them.
    pub(crate) fn sized(&mut self, length: usize) -> &mut [f32] {
        if self.length < length {
            *self = Self::zeros(length);
        }
        &mut self[..length]
    }

    /// The first `count` lines, whatever they hold; the buffer grows to have them.
    pub(crate) fn lines(&mut self, count: usize) -> &mut [Line] {
        self.sized(count * LINE);
        &mut self.lines[..count]
    }

    /// All lines.
    pub(crate) fn as_lines(&self) -> &[Line] {
        &self.lines
    }

    /// A copy of some numbers, in the buffer's place.
    pub(crate) fn copied(&mut self, from: &[f32]) -> &[f32] {
        let to = self.sized(from.len());
        to.copy_from_slice(from);
        to
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the lines are `[f32; 16]` without padding, one after another, and hold at least `length` numbers.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`; the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_starts_at_a_cache_line_and_grows() {
        let mut buffer = Buffer::default();
        assert!(buffer.sized(0).is_empty());
        for length in [1, 16, 17, 1000] {
            assert_eq!(buffer.sized(length).len(), length);
            assert_eq!(buffer.as_ptr() as usize % 64, 0);
        }
        assert_eq!(buffer.copied(&[1.0, 2.0])[..], [1.0_f32, 2.0]);
        assert_eq!(buffer.len(), 1000);
    }
}
