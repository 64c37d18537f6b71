//! Saccades: a policy picks the cells whose digits are committed next.
//!
//! ```text
//! until an answer keeps givens and rules, no cell is empty, or the levels are used up:
//!     a glimpse: some levels of the constraint model, whose state is carried on
//!     answer = the board, and the likeliest digit in every other cell
//!     s_c    = [sum_d p_cd v_cd, mean_d v_cd]                     what the policy sees of cell c: a constant
//!     picks  = the empty cells with the largest s_c policy        in training with Gumbel noise: drawn without replacement
//!     board  = board with the answer's digits in the picked cells; they are givens of the input from then on
//! ```
//!
//! Here p are the digits' probabilities in cell c, v the states of its candidates. A committed cell stays as it is.
//!
//! The digits learn by their cross-entropy, on boards that a guided walk has reached, on which the solution's digits are committed.
//! The policy learns by the advantages of several walks over the same puzzle, with three rewards: the share of committed cells that
//! are right, the puzzle solved, and the share of the levels that were not needed. It has no gradient into the levels.

mod compare;
mod head;
mod learn;
mod walk;

pub(crate) use self::compare::{PASSES, evaluate};
pub use self::compare::{PolicyScore, compare_policies, policy_lines};
pub(crate) use self::learn::{guided, policy_loss};
pub(crate) use self::walk::{attempt, frames};

#[cfg(test)]
mod tests;
