//! Units of tokens: which tokens a token reads, for each kind of unit.

use crate::config::Tokens;
use crate::units::{box_of, column_of, row_of};
use burn_dragon_kernel::api::Partition;
use burn_dragon_kernel::api::graph::{Adjacency, Edges, Normalisation, SelfEdges};
use std::sync::Arc;

/// Number of the unit that a token belongs to.
type UnitOf = fn(usize) -> usize;

/// Kind of unit: each token belongs to one unit of the kind, together with eight others.
#[derive(Clone, Debug)]
pub(crate) struct UnitKind {
    /// A token reads the tokens of its unit, itself included.
    pub(crate) tokens: Edges,
    /// A token reads the memory of its unit, and writes into it.
    pub(crate) memories: Edges,
    /// Number of units.
    pub(crate) units: usize,
}

/// Kinds of units of a puzzle's tokens: rows, columns and boxes; for candidates also cells, which come first.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    pub(crate) kinds: Vec<UnitKind>,
    /// Tokens of the units of each kind.
    pub(crate) partitions: Arc<[Partition]>,
}

impl Topology {
    pub(crate) fn new(tokens: Tokens) -> Self {
        let (count, kinds) = (tokens.count(), kinds(tokens));
        let members = kinds.iter().map(|unit| members(count, *unit).concat());
        Self {
            kinds: kinds.iter().map(|unit| UnitKind::new(count, *unit)).collect(),
            partitions: members
                .map(|tokens| Partition::new(tokens.into_iter().map(|token| token as u32).collect(), 9))
                .collect(),
        }
    }
}

/// The kinds of units of some tokens. Candidate `9 c + d` is digit `d + 1` in cell `c`.
fn kinds(tokens: Tokens) -> &'static [UnitOf] {
    match tokens {
        Tokens::Cells => &[row_of, column_of, box_of],
        Tokens::Candidates => &[
            |token| token / 9,
            |token| row_of(token / 9) * 9 + token % 9,
            |token| column_of(token / 9) * 9 + token % 9,
            |token| box_of(token / 9) * 9 + token % 9,
        ],
    }
}

/// Tokens of each unit.
fn members(count: usize, unit_of: UnitOf) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::with_capacity(9); count / 9];
    (0..count).for_each(|token| members[unit_of(token)].push(token));
    members
}

impl UnitKind {
    fn new(count: usize, unit_of: UnitOf) -> Self {
        let (units, members) = (count / 9, members(count, unit_of));
        let of_member = |&token: &usize| members[unit_of(token)].iter().map(move |&other| (token, other));
        let pairs: Vec<_> = members.iter().flatten().flat_map(of_member).collect();
        let own: Vec<_> = (0..count).map(|token| (token, unit_of(token))).collect();
        let edges = |adjacency| match adjacency {
            Ok(adjacency) => Edges::new(adjacency, Normalisation::Sum),
            Err(error) => unreachable!("a board has few tokens: {error}"),
        };
        Self {
            tokens: edges(Adjacency::from_edges(count, &pairs, SelfEdges::Keep)),
            memories: edges(Adjacency::between(count, units, &own)),
            units,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_nine_tokens_of_each_kind_and_they_read_it() {
        for tokens in [Tokens::Cells, Tokens::Candidates] {
            let topology = Topology::new(tokens);
            assert_eq!(topology.kinds.len(), tokens.kinds());
            for kind in &topology.kinds {
                assert_eq!(kind.units * 9, tokens.count());
                let edges: Vec<_> = kind.tokens.adjacency.edges().collect();
                assert_eq!(edges.len(), 9 * tokens.count());
                assert!(
                    edges
                        .iter()
                        .all(|&(reader, target)| edges.binary_search(&(target, reader)).is_ok())
                );
                let unit = |token: usize| kind.memories.adjacency.targets_of(token)[0];
                assert!(edges.iter().all(|&(reader, target)| unit(reader) == unit(target)));
            }
        }
    }

    /// Exactly one candidate of each unit is true in a solution.
    #[test]
    fn a_solution_has_one_candidate_in_each_unit() {
        let solution = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";
        let digits: Vec<usize> = solution.bytes().map(|byte| usize::from(byte - b'1')).collect();
        for kind in Topology::new(Tokens::Candidates).kinds {
            for unit in 0..kind.units {
                let members = kind.memories.adjacency.readers_of(unit).iter();
                let here = members.filter(|&&token| digits[token as usize / 9] == token as usize % 9);
                assert_eq!(here.count(), 1, "{unit}");
            }
        }
    }
}
