//! How a tale is put together.

use burn_dragon_core::seed::Rng;

use super::{
    Recall, Tale, Tier,
    words::{Deck, KINDS, Kind, LATER, PREPOSITIONS, Piece, aside, pick, pieces, recalls_in, slot},
};

/// About how many bytes a sentence takes with the space after it. It must not depend on the words: choosing tales by
/// their true length would make some words likelier than others.
fn typical_len(template: &'static str) -> usize {
    let len = |piece| match piece {
        Piece::Text(text) => text.len(),
        Piece::Cue(_) | Piece::Recall(_) => 5,
    };
    1 + pieces(template).map(len).sum::<usize>()
}

/// Bytes of an aside with its space.
const TYPICAL_ASIDE: usize = 28;

/// A seedling below so many bytes gets an aside.
const SHORT: usize = 80;

/// A tale without its words: which facts, how each is recalled, in which order, and after which facts an aside comes.
#[derive(Debug)]
struct Plan {
    facts: Vec<(&'static Kind, &'static str)>,
    order: Vec<usize>,
    asides: Vec<bool>,
}

impl Plan {
    /// Draws plans until one is right for the tier.
    fn draw(tier: Tier, rng: &mut Rng) -> Self {
        loop {
            let plan = Self::propose(tier, rng);
            if plan.suits(tier) {
                return plan;
            }
        }
    }

    fn propose(tier: Tier, rng: &mut Rng) -> Self {
        let count = match tier {
            Tier::Seedling => 1,
            Tier::Sprout => 2,
            Tier::Grown => 3 + rng.below(2),
        };
        let facts: Vec<_> = (0..count)
            .map(|_| {
                let kind = &KINDS[rng.below(KINDS.len())];
                (kind, kind.recalls[rng.below(kind.recalls.len())])
            })
            .collect();
        let asides = match tier {
            Tier::Seedling => usize::from(sentences_len(&facts) < SHORT),
            Tier::Sprout => 1,
            Tier::Grown => 1 + rng.below(2),
        };
        let asides_follow = shuffled(count, rng);
        let asides = (0..count)
            .map(|fact| asides_follow[..asides].contains(&fact))
            .collect();
        Self {
            facts,
            order: shuffled(count, rng),
            asides,
        }
    }

    fn suits(&self, tier: Tier) -> bool {
        let recalls: usize = self.facts.iter().map(|(_, recall)| recalls_in(recall)).sum();
        let counts = self
            .facts
            .iter()
            .filter(|(kind, _)| kind.statement.contains("{count}"))
            .count();
        let in_order = self.order.iter().copied().eq(0..self.order.len());
        recalls >= 2
            && match tier {
                Tier::Seedling => true,
                Tier::Sprout => (140..=215).contains(&self.len()),
                // Every kind but COUNT has colours.
                Tier::Grown => {
                    (215..=325).contains(&self.len()) && !in_order && (1..self.facts.len()).contains(&counts)
                }
            }
    }

    fn len(&self) -> usize {
        sentences_len(&self.facts) + TYPICAL_ASIDE * self.asides.iter().filter(|&&aside| aside).count()
    }
}

/// About how many bytes the facts and their recalls take.
fn sentences_len(facts: &[(&'static Kind, &'static str)]) -> usize {
    facts
        .iter()
        .map(|(kind, recall)| typical_len(kind.statement) + typical_len(recall))
        .sum()
}

fn shuffled(n: usize, rng: &mut Rng) -> Vec<usize> {
    let mut items: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        items.swap(last, rng.below(last + 1));
    }
    items
}

/// The words of one fact by their roles, and where in the text it mentions them.
#[derive(Debug)]
struct Fact {
    words: Vec<(&'static str, &'static str)>,
    mentions: Vec<(&'static str, usize)>,
}

impl Fact {
    /// Draws a word for each role of the two sentences.
    fn draw(kind: &Kind, recall: &'static str, deck: &mut Deck, rng: &mut Rng) -> Self {
        let mut words: Vec<(&str, &str)> = Vec::new();
        for piece in pieces(kind.statement).chain(pieces(recall)) {
            let (Piece::Cue(role) | Piece::Recall(role)) = piece else {
                continue;
            };
            if words.iter().any(|&(known, _)| known == role) {
                continue;
            }
            let word = match (slot(role), role) {
                (Some(slot), _) => deck.deal(slot, rng),
                (None, "verb") => pick(rng, kind.verbs),
                (None, "prep") => pick(rng, &PREPOSITIONS),
                (None, _) => pick(rng, &LATER),
            };
            words.push((role, word));
        }
        Self {
            words,
            mentions: Vec::new(),
        }
    }

    fn word(&self, role: &str) -> &'static str {
        self.words
            .iter()
            .find(|(known, _)| *known == role)
            .map_or("", |&(_, word)| word)
    }

    /// Where the word was mentioned last.
    fn mentioned(&self, role: &str) -> Option<usize> {
        self.mentions
            .iter()
            .rev()
            .find(|(known, _)| *known == role)
            .map(|&(_, at)| at)
    }
}

/// A text in the making.
#[derive(Debug, Default)]
struct Draft {
    text: String,
    recalls: Vec<Recall>,
}

impl Draft {
    /// A sentence about a fact.
    fn write(&mut self, template: &'static str, fact: &mut Fact) {
        self.space();
        for piece in pieces(template) {
            let (Piece::Cue(role) | Piece::Recall(role)) = piece else {
                if let Piece::Text(text) = piece {
                    self.text.push_str(text);
                }
                continue;
            };
            let (word, at) = (fact.word(role), self.text.len());
            if let (Piece::Recall(_), Some(slot), Some(mention)) = (piece, slot(role), fact.mentioned(role)) {
                self.recalls.push(Recall {
                    slot,
                    word: word.into(),
                    range: at..at + word.len(),
                    fact_end: mention + word.len(),
                    distance: at - mention,
                    candidates: slot.candidates().len(),
                });
            }
            fact.mentions.push((role, at));
            self.text.push_str(word);
        }
    }

    fn space(&mut self) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
    }
}

/// A tale of the tier: its facts, then sentences that recall them.
pub(super) fn tell(tier: Tier, rng: &mut Rng) -> Tale {
    let plan = Plan::draw(tier, rng);
    let mut deck = Deck::new();
    let mut draft = Draft::default();
    let mut facts = Vec::with_capacity(plan.facts.len());
    for (&(kind, recall), &aside_follows) in plan.facts.iter().zip(&plan.asides) {
        let mut fact = Fact::draw(kind, recall, &mut deck, rng);
        draft.write(kind.statement, &mut fact);
        if aside_follows {
            draft.space();
            draft.text.push_str(&aside(rng));
        }
        facts.push(fact);
    }
    for &index in &plan.order {
        draft.write(plan.facts[index].1, &mut facts[index]);
    }
    draft.text.push('\n');
    Tale {
        tier,
        text: draft.text,
        recalls: draft.recalls,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::tales::Slot;

    /// Number of ways to fill one seedling plan with words.
    fn fillings(plan: &Plan) -> u64 {
        let (kind, recall) = plan.facts[0];
        let role = |piece| match piece {
            Piece::Cue(role) | Piece::Recall(role) => Some(role),
            Piece::Text(_) => None,
        };
        let roles: HashSet<_> = pieces(kind.statement)
            .chain(pieces(recall))
            .filter_map(role)
            .collect();
        let ways = |role: &&str| match (slot(role), *role) {
            (_, "friend") => Slot::Name.candidates().len() - 1,
            (Some(slot), _) => slot.candidates().len(),
            (None, "verb") => kind.verbs.len(),
            (None, "prep") => PREPOSITIONS.len(),
            (None, _) => LATER.len(),
        };
        let asides = if plan.asides[0] { 80 } else { 1 };
        asides * roles.iter().map(ways).product::<usize>() as u64
    }

    #[test]
    fn there_are_fifty_million_seedlings() {
        let mut seedlings = 0;
        for kind in &KINDS {
            for (&recall, aside) in kind
                .recalls
                .iter()
                .flat_map(|recall| [(recall, false), (recall, true)])
            {
                let plan = Plan {
                    facts: vec![(kind, recall)],
                    order: vec![0],
                    asides: vec![aside],
                };
                if plan.suits(Tier::Seedling) && aside == (sentences_len(&plan.facts) < SHORT) {
                    seedlings += fillings(&plan);
                }
            }
        }
        assert!((40_000_000..80_000_000).contains(&seedlings), "{seedlings}");
    }

    #[test]
    fn every_kind_of_fact_has_its_part_in_every_tier() {
        let mut rng = Rng::new(2);
        for tier in Tier::ALL {
            let plans: Vec<_> = (0..2000).map(|_| Plan::draw(tier, &mut rng)).collect();
            let kinds: Vec<_> = plans
                .iter()
                .flat_map(|plan| &plan.facts)
                .map(|(kind, _)| kind.statement)
                .collect();
            for kind in &KINDS {
                let share = kinds
                    .iter()
                    .filter(|&&kind_told| kind_told == kind.statement)
                    .count() as f64
                    / kinds.len() as f64;
                assert!(share > 0.1, "{tier:?} {share:.3} {}", kind.statement);
            }
        }
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut items = shuffled(20, &mut Rng::new(1));
        items.sort_unstable();
        assert!(items.into_iter().eq(0..20));
    }
}
