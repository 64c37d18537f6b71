//! Lists beside the tokens of a shard: its documents, its unknown symbols, its tokens with a loss.

use std::ops::Range;

use super::mapped::Mapped;
use crate::data::{Counted, TokenIds, Tokens};
use crate::tokenizer::Unknown;

/// Lists of a shard, or of shards one after the other. Places are counted from their first token.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Of each document its numbers of tokens and of bytes.
    pub(super) documents: Vec<[u64; 2]>,
    /// Of each unknown symbol its place and its bytes.
    pub(super) unknown: Vec<[u64; 2]>,
    /// Ranges of tokens with a loss, each its start and its end.
    pub(super) counted: Vec<[u64; 2]>,
    /// Of each document its numbers of tokens and of bytes with a loss; not read of a source in which all have one.
    pub(super) with_loss: Vec<[u64; 2]>,
}

impl Lists {
    /// Number of tokens of the documents.
    pub(super) fn tokens(&self) -> u64 {
        sum(&self.documents)[0]
    }

    /// Adds lists whose first token follows `tokens` others.
    pub(super) fn add(&mut self, more: Self, tokens: u64) {
        let unknown = more.unknown.into_iter();
        self.unknown
            .extend(unknown.map(|[at, bytes]| [at + tokens, bytes]));
        let counted = more.counted.into_iter();
        self.counted
            .extend(counted.map(|[start, end]| [start + tokens, end + tokens]));
        self.documents.extend(more.documents);
        self.with_loss.extend(more.with_loss);
    }

    /// What in the lists does not fit together. `losses`: whether those of tokens with a loss are among them.
    pub(super) fn fault(&self, losses: bool) -> Option<String> {
        let tokens = self.tokens();
        if let Some([at, _]) = self.unknown.iter().find(|[at, _]| *at >= tokens) {
            return Some(format!("it has an unknown symbol at token {at} of {tokens}"));
        }
        if !losses {
            return None;
        }
        let (given, expected) = (self.with_loss.len(), self.documents.len());
        if given != expected {
            return Some(format!(
                "it has the tokens with a loss of {given} documents, not of {expected}"
            ));
        }
        let mut end = 0;
        for &[from, to] in &self.counted {
            if from < end || to <= from || to > tokens {
                return Some(format!(
                    "it has a range of tokens with a loss from {from} to {to}, after one to {end}, of {tokens} tokens"
                ));
            }
            end = to;
        }
        let in_ranges: u64 = self.counted.iter().map(|[from, to]| to - from).sum();
        let in_documents = sum(&self.with_loss)[0];
        (in_ranges != in_documents).then(|| {
            format!("its documents have {in_documents} tokens with a loss, but their ranges {in_ranges}")
        })
    }

    /// Tokens of some of the documents.
    pub(super) fn part(&self, mapped: &Mapped, documents: Range<usize>) -> Tokens {
        let first = sum(&self.documents[..documents.start])[0] as usize;
        let mut end = 0;
        let starts = self.documents[documents.clone()].iter().map(|[tokens, _]| {
            let start = end;
            end += *tokens as usize;
            start
        });
        let starts = starts.collect();
        let tokens = first..first + end;
        let places = self.unknown.iter().map(|&[at, bytes]| Unknown {
            at: at as usize,
            bytes: bytes as usize,
        });
        let inside = places.filter(|symbol| tokens.contains(&symbol.at));
        Tokens {
            ids: TokenIds::mapped(mapped.part(tokens.clone())),
            starts,
            bytes: sum(&self.documents[documents.clone()])[1] as usize,
            unknown: inside
                .map(|symbol| Unknown {
                    at: symbol.at - first,
                    ..symbol
                })
                .collect(),
            counted: self.counted_of(documents, tokens),
        }
    }

    /// Tokens with a loss of some documents, which are these tokens; `None` if all have one.
    fn counted_of(&self, documents: Range<usize>, tokens: Range<usize>) -> Option<Counted> {
        let bytes = sum(self.with_loss.get(documents)?)[1] as usize;
        let ranges = self.counted.iter().map(|&[from, to]| {
            let from = (from as usize).clamp(tokens.start, tokens.end);
            let to = (to as usize).clamp(tokens.start, tokens.end);
            from - tokens.start..to - tokens.start
        });
        let counted = Counted::of(ranges, bytes);
        (counted.len() < tokens.len()).then_some(counted)
    }
}

/// Sums of the numbers of a list.
fn sum(pairs: &[[u64; 2]]) -> [u64; 2] {
    let add = |sum: [u64; 2], pair: &[u64; 2]| [0, 1].map(|at| sum[at].saturating_add(pair[at]));
    pairs.iter().fold([0, 0], add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> Lists {
        Lists {
            documents: vec![[4, 4], [6, 7]],
            unknown: vec![[9, 2]],
            counted: vec![[1, 3], [3, 4], [8, 10]],
            with_loss: vec![[3, 3], [2, 3]],
        }
    }

    #[test]
    fn lists_that_do_not_fit_together_are_faults() {
        assert_eq!(lists().fault(true), None);
        let faulty = |change: &dyn Fn(&mut Lists)| {
            let mut lists = lists();
            change(&mut lists);
            lists.fault(true).unwrap()
        };
        type Case<'a> = (&'a dyn Fn(&mut Lists), &'a str);
        let cases: [Case<'_>; 6] = [
            (&|lists| lists.unknown[0][0] = 10, "token 10 of 10"),
            (&|lists| lists.counted[1] = [2, 4], "from 2 to 4"),
            (&|lists| lists.counted[1] = [3, 3], "from 3 to 3"),
            (&|lists| lists.counted[2][1] = 11, "from 8 to 11"),
            (&|lists| lists.with_loss[1][0] = 3, "6 tokens with a loss"),
            (&|lists| lists.with_loss.truncate(1), "of 1 documents, not of 2"),
        ];
        for (change, says) in cases {
            let said = faulty(change);
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn lists_of_two_shards_have_their_places_one_after_the_other() {
        let mut both = lists();
        both.add(lists(), both.tokens());
        assert_eq!(both.fault(true), None);
        assert_eq!(both.tokens(), 20);
        assert_eq!(both.unknown, [[9, 2], [19, 2]]);
        assert_eq!(both.counted[3..], [[11, 13], [13, 14], [18, 20]]);
        assert_eq!(both.with_loss, [[3, 3], [2, 3], [3, 3], [2, 3]]);
    }

    #[test]
    fn a_range_over_an_edge_of_documents_is_cut_there() {
        let mut whole = lists();
        whole.counted = vec![[1, 6]];
        let of = |documents, tokens| whole.counted_of(documents, tokens).unwrap();
        assert_eq!(of(0..1, 0..4).ranges(), vec![1..4]);
        assert_eq!(of(1..2, 4..10).ranges(), vec![0..2]);
        // Where all tokens have a loss there is nothing to list.
        whole.counted = vec![[0, 3], [3, 6]];
        assert_eq!(whole.counted_of(0..1, 0..4), None);
    }
}
