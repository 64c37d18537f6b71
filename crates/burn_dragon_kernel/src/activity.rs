//! Counts of active neurons.

/// Counts of active neurons: entries of x and of y above zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Number of entries of x above zero.
    pub x: usize,
    /// Number of entries of y above zero, before dropout.
    pub y: usize,
    /// Number of all entries of x, and of y: lanes times tokens times neurons.
    pub entries: usize,
}

impl Activity {
    /// Shares of x and of y above zero, in `[0, 1]`.
    pub fn shares(&self) -> [f64; 2] {
        [self.x, self.y].map(|active| active as f64 / self.entries as f64)
    }
}
