//! The sentences of the tales, and how a tale is put together.
//!
//! A sentence is a template. `{role}` writes a word of the fact, `[role]` writes a word that has to be remembered: a
//! recall. In every recall sentence a word of the same fact (the cue) comes first, so that the text says which fact is
//! meant, and the wording before a `[role]` fixes which slot comes, so that only the word itself is in question.

use burn_dragon_core::seed::Rng;

use super::{
    Recall, Tale, Tier,
    words::{Deck, LATER, PREPOSITIONS, Slot, aside, pick},
};

/// A kind of fact: the sentence that states it, and the sentences that recall it.
#[derive(Debug)]
struct Kind {
    statement: &'static str,
    verbs: &'static [&'static str],
    recalls: &'static [&'static str],
}

const HIDE: Kind = Kind {
    statement: "{name} {verb} the {colour} {object} {prep} the old {place}.",
    verbs: &["hid", "left", "lost", "dropped", "forgot"],
    recalls: &[
        "{later} {name} looked {prep} the old [place] for the [object].",
        "{later} {name} went to the old [place] for the [colour] [object].",
        "{later} {name} missed the [colour] [object].",
        "{later} {name} went back and looked {prep} the old [place].",
        "The {object} was still {prep} the old [place].",
        "Who {verb} the {object}? It was [name].",
    ],
};

const COUNT: Kind = Kind {
    statement: "{name} {verb} {count} {animal} {prep} the old {place}.",
    verbs: &["saw", "counted", "fed", "drew", "found"],
    recalls: &[
        "{later} {name} walked to the old [place] to see the [count] [animal].",
        "{later} {name} dreamed of the [count] [animal].",
        "{later} {name} sang about the [count] [animal].",
        "How many {animal} were there? There were [count].",
        "The {animal} stayed {prep} the old [place].",
        "Who {verb} the {animal}? It was [name].",
    ],
};

const WEAR: Kind = Kind {
    statement: "{name} {verb} a {colour} {garment}.",
    verbs: &["wore", "bought", "sewed", "washed", "mended"],
    recalls: &[
        "{later} {name} put on the [colour] [garment].",
        "{later} {name} hung up the [colour] [garment].",
        "Everyone saw that the {garment} was [colour].",
        "Who {verb} the {garment}? It was [name].",
    ],
};

const GIVE: Kind = Kind {
    statement: "{name} {verb} {friend} a {colour} {object}.",
    verbs: &["gave", "sold", "lent", "brought", "showed"],
    recalls: &[
        "{later} {friend} thanked [name] for the [colour] [object].",
        "{later} {name} asked [friend] about the [object].",
        "{later} {friend} spoke of the [colour] [object].",
        "What colour was the {object}? It looked [colour].",
        "Who {verb} {friend} the {object}? It was [name].",
    ],
};

static KINDS: [Kind; 4] = [HIDE, COUNT, WEAR, GIVE];

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Text(&'static str),
    Cue(&'static str),
    Recall(&'static str),
}

/// The pieces of a template in order.
fn pieces(template: &'static str) -> impl Iterator<Item = Piece> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (piece, len) = match rest.as_bytes().first()? {
            b'{' => rest.find('}').map(|end| (Piece::Cue(&rest[1..end]), end + 1))?,
            b'[' => rest.find(']').map(|end| (Piece::Recall(&rest[1..end]), end + 1))?,
            _ => {
                let end = rest.find(['{', '[']).unwrap_or(rest.len());
                (Piece::Text(&rest[..end]), end)
            }
        };
        rest = &rest[len..];
        Some(piece)
    })
}

/// The slot a role is filled from; `None` for the roles that only vary the wording.
fn slot(role: &str) -> Option<Slot> {
    Some(match role {
        "name" | "friend" => Slot::Name,
        "object" => Slot::Object,
        "colour" => Slot::Colour,
        "place" => Slot::Place,
        "garment" => Slot::Garment,
        "count" => Slot::Count,
        "animal" => Slot::Animal,
        _ => return None,
    })
}

fn recalls_in(template: &'static str) -> usize {
    pieces(template).filter(|piece| matches!(piece, Piece::Recall(_))).count()
}

/// About how many bytes a sentence takes with the space after it. It must not depend on the words: choosing tales by
/// their true length would make some words likelier than others.
fn typical_len(template: &'static str) -> usize {
    1 + pieces(template).map(|piece| if let Piece::Text(text) = piece { text.len() } else { 5 }).sum::<usize>()
}

/// Bytes of an aside with its space.
const TYPICAL_ASIDE: usize = 28;

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
        let (facts, asides) = match tier {
            Tier::Seedling => (1, rng.below(2)),
            Tier::Sprout => (2, 1),
            Tier::Grown => (3 + rng.below(2), 2),
        };
        Self {
            facts: (0..facts)
                .map(|_| {
                    let kind = &KINDS[rng.below(KINDS.len())];
                    (kind, kind.recalls[rng.below(kind.recalls.len())])
                })
                .collect(),
            order: shuffled(facts, rng),
            asides: {
                let chosen = shuffled(facts, rng);
                (0..facts).map(|fact| chosen[..asides].contains(&fact)).collect()
            },
        }
    }

    fn suits(&self, tier: Tier) -> bool {
        let recalls: usize = self.facts.iter().map(|(_, recall)| recalls_in(recall)).sum();
        let counts = self.facts.iter().filter(|(kind, _)| kind.statement.contains("{count}")).count();
        let in_order = self.order.iter().copied().eq(0..self.order.len());
        recalls >= 2
            && match tier {
                Tier::Seedling => (72..=105).contains(&self.len()),
                Tier::Sprout => (140..=195).contains(&self.len()),
                // Every kind but COUNT has colours.
                Tier::Grown => {
                    (215..=325).contains(&self.len()) && !in_order && (1..self.facts.len()).contains(&counts)
                }
            }
    }

    fn len(&self) -> usize {
        let sentences = self.facts.iter().map(|(kind, recall)| typical_len(kind.statement) + typical_len(recall));
        sentences.sum::<usize>() + TYPICAL_ASIDE * self.asides.iter().filter(|&&aside| aside).count()
    }
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
            let (Piece::Cue(role) | Piece::Recall(role)) = piece else { continue };
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
        Self { words, mentions: Vec::new() }
    }

    fn word(&self, role: &str) -> &'static str {
        self.words.iter().find(|(known, _)| *known == role).map_or("", |&(_, word)| word)
    }

    /// Where the word was mentioned last.
    fn mentioned(&self, role: &str) -> Option<usize> {
        self.mentions.iter().rev().find(|(known, _)| *known == role).map(|&(_, at)| at)
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
    Tale { tier, text: draft.text, recalls: draft.recalls }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn roles(template: &'static str) -> Vec<Piece> {
        pieces(template).filter(|piece| !matches!(piece, Piece::Text(_))).collect()
    }

    #[test]
    fn a_template_splits_into_text_cues_and_recalls() {
        let expected = [Piece::Cue("name"), Piece::Text(" saw the "), Piece::Recall("animal"), Piece::Text(".")];
        assert!(pieces("{name} saw the [animal].").eq(expected));
    }

    #[test]
    fn every_recall_follows_a_cue_of_its_fact_and_is_stated_before() {
        for kind in &KINDS {
            let stated: HashSet<_> = roles(kind.statement).into_iter().collect();
            for recall in kind.recalls {
                let mut seen = HashSet::new();
                for piece in roles(recall) {
                    if let Piece::Recall(role) = piece {
                        assert!(stated.contains(&Piece::Cue(role)), "{recall}");
                        assert!(seen.iter().any(|&role| slot(role).is_some()), "no cue: {recall}");
                        assert!(!seen.contains(role), "{recall}");
                    }
                    let (Piece::Cue(role) | Piece::Recall(role)) = piece else { unreachable!() };
                    seen.insert(role);
                }
            }
        }
    }

    #[test]
    fn the_wording_before_a_recall_fixes_its_slot() {
        let mut slots: HashMap<String, Option<Slot>> = HashMap::new();
        for recall in KINDS.iter().flat_map(|kind| kind.recalls) {
            let mut before = String::new();
            for piece in pieces(recall) {
                if let Piece::Recall(role) = piece {
                    let known = slots.entry(before.clone()).or_insert(slot(role));
                    assert_eq!(*known, slot(role), "{before}");
                }
                match piece {
                    Piece::Text(text) => before.push_str(text),
                    Piece::Cue(role) | Piece::Recall(role) => before += &format!("<{:?}>", slot(role)),
                }
            }
        }
    }

    #[test]
    fn there_are_more_seedlings_than_any_training_can_see() {
        let variants = |role: &str| slot(role).map_or(4, |slot| slot.candidates().len() as u64);
        let mut tales = 0;
        for kind in &KINDS {
            for recall in kind.recalls.iter().filter(|recall| recalls_in(recall) >= 2) {
                let roles: HashSet<_> = roles(kind.statement).into_iter().chain(roles(recall)).collect();
                let cues = roles.iter().filter_map(|piece| if let Piece::Cue(role) = piece { Some(*role) } else { None });
                tales += cues.map(variants).product::<u64>();
            }
        }
        assert!(tales > 10_000_000, "{tales}");
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut items = shuffled(20, &mut Rng::new(1));
        items.sort_unstable();
        assert!(items.into_iter().eq(0..20));
    }
}
