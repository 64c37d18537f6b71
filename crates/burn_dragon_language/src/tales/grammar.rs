//! Composition of a tale: facts, then the sentences that recall them.

use burn_dragon_core::api::expert::Rng;

use super::{
    Recall, Tale, Tier,
    words::{Deck, KINDS, Kind, LATER, PREPOSITIONS, TemplatePart, aside, pick, pieces, recalls_in, slot},
};

/// About how many bytes a sentence takes with the space after it. It must not depend on the words: choosing tales by
/// their true length would make some words likelier than others.
fn typical_len(template: &'static str) -> usize {
    let len = |piece| match piece {
        TemplatePart::Text(text) => text.len(),
        TemplatePart::Cue(_) | TemplatePart::Recall(_) => 5,
    };
    1 + pieces(template).map(len).sum::<usize>()
}

/// Bytes of the longest aside with its space.
const ASIDE: usize = 35;

/// Most typical bytes of a tale. With the longest words they are no more than [`MAX_BYTES`](super::MAX_BYTES).
const LONGEST: usize = 252;

/// Plan of a tale without its words: its facts, the fact after which an aside comes, and the later sentences in order,
/// each with the fact that it recalls.
#[derive(Debug)]
struct Plan {
    facts: Vec<&'static Kind>,
    aside: Option<usize>,
    sequel: Vec<(usize, &'static str)>,
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
        let facts = match tier {
            Tier::Seedling => 1,
            Tier::Sprout => 2,
            Tier::Grown => 3,
        };
        let facts: Vec<_> = (0..facts).map(|_| &KINDS[rng.below(KINDS.len())]).collect();
        let sequel = match tier {
            Tier::Seedling => seedling_sequel(facts[0], rng),
            Tier::Sprout | Tier::Grown => shuffled(facts.len(), rng)
                .into_iter()
                .map(|fact| {
                    let recalls: Vec<_> = facts[fact].recalls().collect();
                    (fact, pick(rng, &recalls))
                })
                .collect(),
        };
        let aside = rng.below(facts.len());
        let mut plan = Self {
            facts,
            aside: None,
            sequel,
        };
        plan.aside = (tier == Tier::Grown && plan.len() + ASIDE <= LONGEST).then_some(aside);
        plan
    }

    fn suits(&self, tier: Tier) -> bool {
        let recalls: usize = self.sequel.iter().map(|(_, recall)| recalls_in(recall)).sum();
        let in_order = self.sequel.iter().map(|&(fact, _)| fact).is_sorted();
        match tier {
            Tier::Seedling => true,
            Tier::Sprout => recalls > 2,
            Tier::Grown => recalls > 3 && !in_order && self.len() <= LONGEST,
        }
    }

    /// About how many bytes the tale takes.
    fn len(&self) -> usize {
        let statements = self.facts.iter().map(|kind| kind.statement);
        let sequel = self.sequel.iter().map(|&(_, recall)| recall);
        let aside = self.aside.map_or(0, |_| ASIDE);
        aside + statements.chain(sequel).map(typical_len).sum::<usize>()
    }
}

/// Sentences after the one fact of a seedling: an action, and a question if the action recalls little.
fn seedling_sequel(kind: &Kind, rng: &mut Rng) -> Vec<(usize, &'static str)> {
    let action = pick(rng, kind.actions);
    let question = (recalls_in(action) < 3).then(|| pick(rng, kind.questions));
    std::iter::once(action)
        .chain(question)
        .map(|recall| (0, recall))
        .collect()
}

fn shuffled(n: usize, rng: &mut Rng) -> Vec<usize> {
    let mut items: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        items.swap(last, rng.below(last + 1));
    }
    items
}

/// Words of one fact by role, and the positions in the text where they are mentioned.
#[derive(Debug)]
struct Fact {
    words: Vec<(&'static str, &'static str)>,
    mentions: Vec<(&'static str, usize)>,
}

impl Fact {
    /// Draws a word for each role that a kind of fact can have.
    fn draw(kind: &Kind, deck: &mut Deck, rng: &mut Rng) -> Self {
        let mut words: Vec<(&str, &str)> = Vec::new();
        for piece in pieces(kind.statement) {
            let TemplatePart::Cue(role) = piece else {
                continue;
            };
            let word = match (slot(role), role) {
                (Some(slot), _) => deck.deal(slot, rng),
                (None, "verb") => pick(rng, kind.verbs),
                (None, _) => pick(rng, &PREPOSITIONS),
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

    /// Position of the last mention of the word.
    fn mentioned(&self, role: &str) -> Option<usize> {
        self.mentions
            .iter()
            .rev()
            .find(|(known, _)| *known == role)
            .map(|&(_, at)| at)
    }
}

/// Draft of a text.
#[derive(Debug, Default)]
struct Draft {
    text: String,
    recalls: Vec<Recall>,
}

impl Draft {
    /// A sentence about a fact.
    fn write(&mut self, template: &'static str, fact: &mut Fact, rng: &mut Rng) {
        self.space();
        for piece in pieces(template) {
            let (TemplatePart::Cue(role) | TemplatePart::Recall(role)) = piece else {
                if let TemplatePart::Text(text) = piece {
                    self.text.push_str(text);
                }
                continue;
            };
            if role == "later" {
                self.text.push_str(pick(rng, &LATER));
                continue;
            }
            let (word, at) = (fact.word(role), self.text.len());
            if let (TemplatePart::Recall(_), Some(slot), Some(mention)) =
                (piece, slot(role), fact.mentioned(role))
            {
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
    for kind in &plan.facts {
        let mut fact = Fact::draw(kind, &mut deck, rng);
        draft.write(kind.statement, &mut fact, rng);
        if plan.aside == Some(facts.len()) {
            draft.space();
            draft.text.push_str(&aside(rng));
        }
        facts.push(fact);
    }
    for &(fact, recall) in &plan.sequel {
        draft.write(recall, &mut facts[fact], rng);
    }
    draft.text.push('\n');
    Tale {
        tier,
        text: draft.text,
        recalls: draft.recalls,
    }
}

/// Facts and the sentences that recall them, with a gap between where other text can be inserted.
#[derive(Debug)]
pub(super) struct Outline {
    tier: Tier,
    draft: Draft,
    /// Position of the gap: number of bytes of the sentences that state the facts.
    gap: usize,
}

impl Outline {
    /// Draws `facts` facts, then a recall of each as in a seedling, in a random order.
    pub(super) fn draw(facts: usize, rng: &mut Rng) -> Self {
        let kinds: Vec<_> = (0..facts).map(|_| &KINDS[rng.below(KINDS.len())]).collect();
        Self::of(&kinds, false, rng)
    }

    /// As [`draw`](Self::draw), with facts of one kind, so that only the cue says which is meant. With `last_first` the
    /// fact stated last is recalled first, which makes the distance between the two as short as possible.
    pub(super) fn alike(facts: usize, last_first: bool, rng: &mut Rng) -> Self {
        let kind = &KINDS[rng.below(KINDS.len())];
        Self::of(&vec![kind; facts], last_first, rng)
    }

    fn of(kinds: &[&'static Kind], last_first: bool, rng: &mut Rng) -> Self {
        let (mut deck, mut draft) = (Deck::new(), Draft::default());
        let mut facts: Vec<_> = kinds
            .iter()
            .map(|kind| Fact::draw(kind, &mut deck, rng))
            .collect();
        for (kind, fact) in kinds.iter().zip(&mut facts) {
            draft.write(kind.statement, fact, rng);
        }
        let gap = draft.text.len();
        let mut order = shuffled(facts.len(), rng);
        if last_first && let Some(place) = order.iter().position(|&fact| fact + 1 == kinds.len()) {
            order.swap(0, place);
        }
        for fact in order {
            for (_, recall) in seedling_sequel(kinds[fact], rng) {
                draft.write(recall, &mut facts[fact], rng);
            }
        }
        draft.text.push('\n');
        let tier = Tier::ALL[kinds.len().clamp(1, Tier::ALL.len()) - 1];
        Self { tier, draft, gap }
    }

    /// Text without an insertion in the gap.
    pub(super) fn text(&self) -> &str {
        &self.draft.text
    }

    /// Distance in bytes from the statement of the first recalled word to its recall, with an empty gap.
    pub(super) fn distance(&self) -> usize {
        self.draft.recalls.first().map_or(0, |recall| recall.distance)
    }

    /// The tale with `filling` in the gap.
    pub(super) fn with(self, filling: &str) -> Tale {
        let Self { tier, draft, gap } = self;
        let Draft {
            mut text,
            mut recalls,
        } = draft;
        text.insert_str(gap, filling);
        for recall in &mut recalls {
            if recall.fact_end <= gap {
                recall.distance += filling.len();
            } else {
                recall.fact_end += filling.len();
            }
            recall.range.start += filling.len();
            recall.range.end += filling.len();
        }
        Tale { tier, text, recalls }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut items = shuffled(20, &mut Rng::new(1));
        items.sort_unstable();
        assert!(items.into_iter().eq(0..20));
    }
}
