//! Vocabulary of the tales: words and sentence templates.
//!
//! A sentence is a template. `{role}` writes a word of the fact. `[role]` writes a word that must be recalled: a
//! recall. In every recall sentence a word of the same fact (the cue) comes first, so the text says which fact is
//! meant. The wording before a `[role]` determines the slot, so only the word itself is open.

use burn_dragon_core::api::expert::Rng;
use serde::{Deserialize, Serialize};

/// Slot: a kind of word that a tale states once and recalls later.
///
/// The candidates of a slot begin with different letters, so the first letter of a recalled word decides it. All but
/// the names begin with a consonant, so "a" before a word gives no hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// Name of a person.
    Name,
    /// Object that can be carried.
    Object,
    /// Colour or material of an object.
    Colour,
    /// Place that a thing can be under, behind, beside or near.
    Place,
    /// A piece of clothing.
    Garment,
    /// Number of things.
    Count,
    /// Animals, in the plural.
    Animal,
}

impl Slot {
    /// Every slot.
    pub const ALL: [Self; 7] = [
        Self::Name,
        Self::Object,
        Self::Colour,
        Self::Place,
        Self::Garment,
        Self::Count,
        Self::Animal,
    ];

    /// Words of the slot, all equally likely.
    pub const fn candidates(self) -> &'static [&'static str] {
        match self {
            Self::Name => &[
                "Ada", "Ben", "Cleo", "Dora", "Emil", "Finn", "Gus", "Hugo", "Jon", "Mira",
            ],
            Self::Object => &[
                "bell", "cup", "drum", "fork", "jug", "key", "lamp", "map", "ring", "spoon",
            ],
            Self::Colour => &[
                "blue", "coral", "green", "lilac", "pink", "red", "silver", "tan", "white", "yellow",
            ],
            Self::Place => &[
                "bush", "cart", "gate", "hut", "log", "mill", "pine", "rock", "shed", "tent",
            ],
            Self::Garment => &[
                "belt", "cap", "gown", "hood", "jacket", "kilt", "robe", "scarf", "tunic", "vest",
            ],
            // Only five of the small numbers begin with different letters.
            Self::Count => &["two", "four", "six", "eight", "nine"],
            Self::Animal => &[
                "bees", "cats", "ducks", "foxes", "goats", "hens", "lambs", "mice", "pigs", "rats",
            ],
        }
    }
}

/// Prepositions. Each fits every place, so the preposition gives no hint of the place.
pub(super) const PREPOSITIONS: [&str; 4] = ["under", "behind", "beside", "near"];

/// Beginnings of a later sentence.
pub(super) const LATER: [&str; 4] = ["Later", "Then", "Soon", "At noon"];

pub(super) const WEATHER: [&str; 10] = [
    "Rain fell",
    "Snow fell",
    "Mist lay",
    "Fog crept",
    "Clouds hung",
    "Thunder rolled",
    "The wind blew",
    "The moon shone",
    "Stars shone",
    "Swallows flew",
];

pub(super) const LANDSCAPE: [&str; 8] = [
    "hill", "valley", "river", "town", "fields", "forest", "lake", "roofs",
];

/// Durations of the weather, for texts of an exact length.
pub(super) const WHILE: [&str; 6] = [
    "",
    " again",
    " all day",
    " for a while",
    " the whole day",
    " for a long time",
];

/// A sentence that has nothing to do with any fact.
pub(super) fn aside(rng: &mut Rng) -> String {
    format!("{} over the {}.", pick(rng, &WEATHER), pick(rng, &LANDSCAPE))
}

/// One of the words, each as likely as the others.
pub(super) fn pick(rng: &mut Rng, words: &[&'static str]) -> &'static str {
    words[rng.below(words.len())]
}

/// Deals the words of each slot without giving one twice, so that a word belongs to one fact of a tale only.
#[derive(Debug)]
pub(super) struct Deck {
    left: Vec<Vec<&'static str>>,
}

impl Deck {
    /// All the words of all the slots.
    pub(super) fn new() -> Self {
        Self {
            left: Slot::ALL.iter().map(|slot| slot.candidates().to_vec()).collect(),
        }
    }

    /// A word of the slot that has not been dealt. A tale never needs as many as there are.
    pub(super) fn deal(&mut self, slot: Slot, rng: &mut Rng) -> &'static str {
        let left = &mut self.left[slot as usize];
        left.swap_remove(rng.below(left.len()))
    }
}

/// A kind of fact: the sentence that states it, and the sentences that recall it.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) statement: &'static str,
    pub(super) verbs: &'static [&'static str],
    /// Continuations of the tale. The more words a sentence recalls, the more there is to learn from a tale.
    pub(super) actions: &'static [&'static str],
    /// Questions about the fact.
    pub(super) questions: &'static [&'static str],
}

impl Kind {
    /// Every sentence that recalls the fact.
    pub(super) fn recalls(&self) -> impl Iterator<Item = &'static str> {
        self.actions.iter().chain(self.questions).copied()
    }
}

const HIDE: Kind = Kind {
    statement: "{name} {verb} the {colour} {object} {prep} the {place}.",
    verbs: &["hid", "left", "lost", "kept"],
    actions: &[
        "{later} {name} took the [colour] [object] from the [place].",
        "{later} {name} went to the [place] for the [colour] [object].",
    ],
    questions: &[
        "The {colour} {object} was {prep} the [place].",
        "Who {verb} the {colour} {object}? It was [name].",
    ],
};

const COUNT: Kind = Kind {
    statement: "{name} {verb} {count} {animal} {prep} the {place}.",
    verbs: &["saw", "fed", "drew", "met"],
    actions: &[
        "{later} {name} told of the [count] [animal] {prep} the [place].",
        "{later} {name} went to the [place] to see the [count] [animal].",
    ],
    questions: &[
        "The {animal} slept {prep} the [place].",
        "Who {verb} the {animal}? It was [name].",
    ],
};

const WEAR: Kind = Kind {
    statement: "{name} {verb} a {colour} {garment}.",
    verbs: &["wore", "bought", "sewed", "found"],
    actions: &[
        "{later} {name} washed the [colour] [garment].",
        "{later} {name} mended the [colour] [garment].",
    ],
    questions: &["Who {verb} the {colour} {garment}? It was [name]."],
};

const GIVE: Kind = Kind {
    statement: "{name} {verb} {friend} a {colour} {object}.",
    verbs: &["gave", "sold", "lent", "sent"],
    actions: &[
        "{later} {friend} thanked [name] for the [colour] [object].",
        "{later} {name} asked [friend] about the [colour] [object].",
    ],
    questions: &["Who {verb} {friend} the {object}? It was [name]."],
};

pub(super) static KINDS: [Kind; 4] = [HIDE, COUNT, WEAR, GIVE];

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TemplatePart {
    Text(&'static str),
    Cue(&'static str),
    Recall(&'static str),
}

/// The pieces of a template in order.
pub(super) fn pieces(template: &'static str) -> impl Iterator<Item = TemplatePart> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (piece, len) = match rest.as_bytes().first()? {
            b'{' => rest
                .find('}')
                .map(|end| (TemplatePart::Cue(&rest[1..end]), end + 1))?,
            b'[' => rest
                .find(']')
                .map(|end| (TemplatePart::Recall(&rest[1..end]), end + 1))?,
            _ => {
                let end = rest.find(['{', '[']).unwrap_or(rest.len());
                (TemplatePart::Text(&rest[..end]), end)
            }
        };
        rest = &rest[len..];
        Some(piece)
    })
}

/// The slot a role is filled from; `None` for the roles that only vary the wording.
pub(super) fn slot(role: &str) -> Option<Slot> {
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

/// Number of words a sentence recalls.
pub(super) fn recalls_in(template: &'static str) -> usize {
    pieces(template)
        .filter(|piece| matches!(piece, TemplatePart::Recall(_)))
        .count()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn the_words_of_a_slot_begin_with_different_letters() {
        for slot in Slot::ALL {
            let letters: HashSet<_> = slot.candidates().iter().map(|word| word.as_bytes()[0]).collect();
            assert_eq!(letters.len(), slot.candidates().len(), "{slot:?}");
        }
    }

    #[test]
    fn the_article_a_fits_every_word_it_can_stand_before() {
        for slot in [Slot::Object, Slot::Colour, Slot::Garment] {
            assert!(
                slot.candidates()
                    .iter()
                    .all(|word| !word.starts_with(['a', 'e', 'i', 'o', 'u'])),
                "{slot:?}"
            );
        }
    }

    #[test]
    fn no_word_belongs_to_two_slots_or_to_the_filling() {
        let slots: Vec<_> = Slot::ALL.iter().flat_map(|slot| slot.candidates()).collect();
        assert_eq!(slots.iter().collect::<HashSet<_>>().len(), slots.len());
        let filling = [&PREPOSITIONS[..], &LATER, &WEATHER, &LANDSCAPE, &WHILE]
            .concat()
            .join(" ");
        assert!(
            slots
                .iter()
                .all(|word| !filling.split(' ').any(|filler| filler == **word))
        );
    }

    #[test]
    fn a_deck_deals_each_word_once() {
        let mut rng = Rng::new(3);
        for slot in Slot::ALL {
            let mut deck = Deck::new();
            let dealt: HashSet<_> = slot
                .candidates()
                .iter()
                .map(|_| deck.deal(slot, &mut rng))
                .collect();
            assert_eq!(dealt, slot.candidates().iter().copied().collect());
        }
    }

    /// What a template writes besides its own text.
    fn roles(template: &'static str) -> Vec<TemplatePart> {
        pieces(template)
            .filter(|piece| !matches!(piece, TemplatePart::Text(_)))
            .collect()
    }

    #[test]
    fn a_template_splits_into_text_cues_and_recalls() {
        let expected = [
            TemplatePart::Cue("name"),
            TemplatePart::Text(" saw the "),
            TemplatePart::Recall("animal"),
            TemplatePart::Text("."),
        ];
        assert!(pieces("{name} saw the [animal].").eq(expected));
    }

    #[test]
    fn every_recall_follows_a_cue_of_its_fact_and_is_stated_before() {
        for kind in &KINDS {
            let stated: HashSet<_> = roles(kind.statement).into_iter().collect();
            for recall in kind.recalls() {
                let mut seen = HashSet::new();
                for piece in roles(recall) {
                    if let TemplatePart::Recall(role) = piece {
                        assert!(stated.contains(&TemplatePart::Cue(role)), "{recall}");
                        assert!(seen.iter().any(|&role| slot(role).is_some()), "no cue: {recall}");
                        assert!(!seen.contains(role), "{recall}");
                    }
                    let (TemplatePart::Cue(role) | TemplatePart::Recall(role)) = piece else {
                        unreachable!()
                    };
                    seen.insert(role);
                }
            }
        }
    }

    #[test]
    fn the_wording_before_a_recall_fixes_its_slot() {
        let mut slots: HashMap<String, Option<Slot>> = HashMap::new();
        for recall in KINDS.iter().flat_map(Kind::recalls) {
            let mut before = String::new();
            for piece in pieces(recall) {
                if let TemplatePart::Recall(role) = piece {
                    let known = slots.entry(before.clone()).or_insert(slot(role));
                    assert_eq!(*known, slot(role), "{before}");
                }
                match piece {
                    TemplatePart::Text(text) => before.push_str(text),
                    TemplatePart::Cue(role) | TemplatePart::Recall(role) => {
                        before += &format!("<{:?}>", slot(role));
                    }
                }
            }
        }
    }
}
