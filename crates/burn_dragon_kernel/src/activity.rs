//! How many neurons fired.

/// Entries of x and of y above zero, of those there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Entries of x above zero.
    pub x: usize,
    /// Entries of y above zero, before dropout.
    pub y: usize,
    /// Entries there are of each: lanes times tokens times neurons.
    pub entries: usize,
}

impl Activity {
    /// Shares of x and of y above zero, in `[0, 1]`.
    pub fn shares(&self) -> [f64; 2] {
        [self.x, self.y].map(|active| active as f64 / self.entries as f64)
    }
}
