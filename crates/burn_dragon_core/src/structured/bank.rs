//! Shape of a bank of memories.

use burn_dragon_kernel::api::Grid;

/// Places of a bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Places {
    /// A grid of places, which has neighbours and regions.
    Grid(Grid),
    /// So many places without an order: hubs, nodes.
    Unordered(usize),
}

impl Places {
    /// Number of places (P).
    pub fn count(&self) -> usize {
        match self {
            Self::Grid(grid) => grid.places(),
            Self::Unordered(count) => *count,
        }
    }

    /// The grid, if they are one.
    pub fn grid(&self) -> Option<Grid> {
        match self {
            Self::Grid(grid) => Some(*grid),
            Self::Unordered(_) => None,
        }
    }
}

/// Shape of a bank: a memory `[H, N, D]` at each of P places, and the stream of its tokens, if it has tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BankShape {
    /// Name, which files and errors use: letters, digits, `_`, `-`.
    pub name: String,
    /// Places (P).
    pub places: Places,
    /// Number of heads (H).
    pub heads: usize,
    /// Number of neurons of a head (N), the rank of a memory. Banks may differ in it.
    pub neurons: usize,
    /// Number of columns of a memory (D).
    pub width: usize,
    /// Width of the stream of the bank's tokens; `None` if it has memories only.
    pub stream: Option<usize>,
}

impl BankShape {
    /// Shape of the memories of so many lanes, `[B, H, P, N, D]`.
    pub fn memory(&self, lanes: usize) -> [usize; 5] {
        [lanes, self.heads, self.places.count(), self.neurons, self.width]
    }

    /// Shape of the stream of so many lanes, `[B, 1, P, D]`, if there is one.
    pub fn stream(&self, lanes: usize) -> Option<[usize; 4]> {
        self.stream.map(|width| [lanes, 1, self.places.count(), width])
    }
}
