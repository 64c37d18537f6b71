//! Auxiliary recurrences of a level, beside its fast-weight memory.
//!
//! | recurrence | what is carried | where |
//! |---|---|---|
//! | summary memory | a fading mean of earlier chunks, added to a level's input: two rows of width D | `summary.rs` |
//! | neuron recurrence | an activity that chunks leave to the next, added to x: a number a neuron | `neurons.rs` |
//!
//! Both are causal forms of what the public implementation has. Its third, a slow branch that replaces the tokens of a chunk by
//! their mean, lets a token see later ones of its chunk in training; it has no causal form other than these.
//!
//! What they carry stands in a level's memory, below its rows and to the right of its columns, so that states, their files and
//! their lanes know nothing of it:
//!
//! ```text
//! [ rho   K x D | s  K x 1 ]        s: what the neurons carry, in the rows of the first N
//! [ carry 1 x D | 0        ]        carry, part: of the first head alone
//! [ part  1 x D | 0        ]
//! ```
//!
//! Chunks are those of the stream, by the absolute positions of its tokens, whatever windows it comes in.

mod neurons;
mod summary;

pub use neurons::NeuronRecurrence;
pub use summary::SummaryMemory;

use crate::config::{ConfigError, TrunkConfig};
use crate::level::{Contribution, Level, View};
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{DropoutMask, Resets};
use neurons::Carrying;
use summary::Summary;

/// Largest number of tokens in a chunk.
const MOST_TOKENS: usize = 1 << 20;

/// Refuses a key outside its range.
fn check(
    name: &'static str,
    value: f64,
    [least, most]: [f64; 2],
    expected: &'static str,
) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::Range {
        name,
        value,
        expected,
    })
}

impl TrunkConfig {
    /// Rows and columns of a memory that auxiliary recurrences have.
    pub(crate) fn auxiliary(&self) -> Margins {
        Margins {
            rows: if self.summary_memory.is_some() {
                summary::ROWS
            } else {
                0
            },
            columns: usize::from(self.neuron_recurrence.is_some()),
        }
    }

    /// Position below which chunks fall as they do at `position`: the least position that a memory can be moved to.
    pub(crate) fn place_in_chunks(&self, position: u64) -> u64 {
        let chunks = [
            self.summary_memory.as_ref().map(|summary| summary.chunk_tokens),
            self.neuron_recurrence
                .as_ref()
                .map(|neurons| neurons.chunk_tokens),
        ];
        let together = chunks
            .into_iter()
            .flatten()
            .fold(1, |all, tokens| least_common(all, tokens as u64));
        position % together
    }
}

fn least_common(a: u64, b: u64) -> u64 {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    a / divisor * b
}

/// Numbers of rows and columns around a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Margins {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// A memory, with what surrounds it apart.
pub(crate) struct Parts {
    /// Memory of the level, `[B, H, K, D]`.
    pub(crate) rho: Tensor<4>,
    /// Rows below, `[B, H, rows, D]`.
    pub(crate) rows: Option<Tensor<4>>,
    /// Columns to the right, `[B, H, K + rows, columns]`.
    pub(crate) columns: Option<Tensor<4>>,
}

impl Margins {
    /// Parts of a memory.
    pub(crate) fn split(self, rho: Tensor<4>) -> Parts {
        let [_, _, rows, columns] = rho.dims();
        let (keys, width) = (rows - self.rows, columns - self.columns);
        let right = (self.columns > 0).then(|| rho.clone().narrow(3, width, self.columns));
        let left = if self.columns > 0 {
            rho.narrow(3, 0, width)
        } else {
            rho
        };
        let below = (self.rows > 0).then(|| left.clone().narrow(2, keys, self.rows));
        Parts {
            rho: if self.rows > 0 {
                left.narrow(2, 0, keys)
            } else {
                left
            },
            rows: below,
            columns: right,
        }
    }
}

impl Parts {
    /// The memory of these parts.
    pub(crate) fn join(self) -> Tensor<4> {
        let left = beside(self.rho, self.rows, 2);
        beside(left, self.columns, 3)
    }
}

/// The auxiliary recurrences of a pass.
pub(crate) struct Auxiliary<'a> {
    margins: Margins,
    summary: Option<Summary>,
    carrying: Option<Carrying<'a>>,
}

impl<'a> Auxiliary<'a> {
    /// Of a window like `v`, `[B, 1, T, D]`, whose lanes begin at these positions.
    pub(crate) fn new(
        config: &'a TrunkConfig,
        positions: &'a [u64],
        resets: &'a Resets,
        v: &Tensor<4>,
    ) -> Self {
        let summary = config.summary_memory.as_ref();
        let neurons = config.neuron_recurrence.as_ref();
        Self {
            margins: config.auxiliary(),
            summary: summary.map(|summary| Summary::new(summary, positions, resets, v)),
            carrying: neurons.map(|neurons| Carrying::new(neurons, positions, resets)),
        }
    }

    /// Output of a level for a window, with `neurons` of each head; `dropout` gives the mask of a part of it, by its first token.
    pub(crate) fn run(
        &self,
        (level, neurons): (&Level, usize),
        input: Tensor<4>,
        memory: Option<Tensor<4>>,
        dropout: &dyn Fn(usize) -> Option<DropoutMask>,
        view: View,
    ) -> Contribution {
        let (rho, rows, columns) = match memory.map(|memory| self.margins.split(memory)) {
            Some(parts) => (Some(parts.rho), parts.rows, parts.columns),
            None => (None, None, None),
        };
        let (input, rows) = match &self.summary {
            Some(summary) => summary.add(&input, rows),
            None => (input, rows),
        };
        let (contribution, columns) = match &self.carrying {
            Some(carrying) => carrying.run(level, &input, (rho, columns), dropout),
            None => (level.run_of_first(neurons, input, rho, dropout(0), view), columns),
        };
        let memory = contribution.rho.map(|rho| Parts { rho, rows, columns }.join());
        Contribution {
            rho: memory,
            ..contribution
        }
    }
}

/// A tensor, and another one after it along an axis.
fn beside(tensor: Tensor<4>, other: Option<Tensor<4>>, axis: usize) -> Tensor<4> {
    match other {
        Some(other) => Tensor::cat(vec![tensor, other], axis),
        None => tensor,
    }
}
