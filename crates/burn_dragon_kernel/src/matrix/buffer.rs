//! Memory on the boundaries of cache lines.

use std::ops::{Deref, DerefMut};

/// Numbers of a line.
pub(crate) const LINE: usize = 16;

/// 64 bytes on a boundary of 64: a cache line, a vector of 16 numbers, a row of a tile.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line([f32; LINE]);

/// Numbers that start on a boundary of 64 bytes, used again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
}

impl Buffer {
    /// At least `size` entries, whatever they hold.
    pub(crate) fn sized(&mut self, size: usize) -> &mut [f32] {
        self.lines(size.div_ceil(LINE));
        &mut self[..size]
    }

    /// At least `count` lines, whatever they hold.
    pub(crate) fn lines(&mut self, count: usize) -> &mut [Line] {
        if self.lines.len() < count {
            self.lines.resize(count, Line([0.0; LINE]));
        }
        &mut self.lines[..count]
    }

    /// All lines.
    pub(crate) fn as_lines(&self) -> &[Line] {
        &self.lines
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        let numbers = self.lines.len() * LINE;
        // SAFETY: a line is 16 numbers without padding.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), numbers) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        let numbers = self.lines.len() * LINE;
        // SAFETY: a line is 16 numbers without padding, and they are borrowed uniquely.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), numbers) }
    }
}
