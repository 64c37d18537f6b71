//! The words of the tales: what can be remembered (slots) and what only fills.

use burn_dragon_core::seed::Rng;
use serde::{Deserialize, Serialize};

/// A kind of word that a tale states once and asks for later.
///
/// The candidates of a slot begin with different letters, so that the first letter of a recalled word already decides
/// it, and all but the names begin with a consonant, so that "a" before a word says nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// Who.
    Name,
    /// A thing one can carry.
    Object,
    /// Its colour or material.
    Colour,
    /// Something a thing can be under, behind, beside and near.
    Place,
    /// A piece of clothing.
    Garment,
    /// How many.
    Count,
    /// Animals, in the plural.
    Animal,
}

impl Slot {
    /// Every slot.
    pub const ALL: [Self; 7] =
        [Self::Name, Self::Object, Self::Colour, Self::Place, Self::Garment, Self::Count, Self::Animal];

    /// The words that can fill it, each as likely as the others.
    pub const fn candidates(self) -> &'static [&'static str] {
        match self {
            Self::Name => &["Ada", "Bruno", "Clara", "Dora", "Emil", "Felix", "Greta", "Hugo", "Jonas", "Mira"],
            Self::Object => &["bell", "cup", "drum", "flute", "harp", "key", "lamp", "map", "ring", "whistle"],
            Self::Colour => {
                &["blue", "copper", "green", "lilac", "pink", "red", "silver", "violet", "white", "yellow"]
            }
            Self::Place => &["bridge", "cart", "fence", "haystack", "ladder", "mill", "porch", "shed", "tower", "willow"],
            Self::Garment => &["belt", "cap", "hood", "jacket", "mantle", "robe", "scarf", "tunic", "vest"],
            // Only five of the small numbers begin with different letters.
            Self::Count => &["two", "four", "six", "eight", "nine"],
            Self::Animal => &["bees", "cats", "ducks", "foxes", "goats", "hens", "lambs", "mice", "pigs", "rabbits"],
        }
    }
}

/// Any of these goes with any place, so that the preposition does not give the place away.
pub(super) const PREPOSITIONS: [&str; 4] = ["under", "behind", "beside", "near"];

/// How a later sentence may begin.
pub(super) const LATER: [&str; 6] = ["Later", "Then", "Soon", "At dawn", "At noon", "At dusk"];

const WEATHER: [&str; 10] = [
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

const LANDSCAPE: [&str; 8] = ["hill", "valley", "river", "town", "fields", "forest", "lake", "roofs"];

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
        Self { left: Slot::ALL.iter().map(|slot| slot.candidates().to_vec()).collect() }
    }

    /// A word of the slot that has not been dealt. A tale never needs as many as there are.
    pub(super) fn deal(&mut self, slot: Slot, rng: &mut Rng) -> &'static str {
        let left = &mut self.left[slot as usize];
        left.swap_remove(rng.below(left.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
            assert!(slot.candidates().iter().all(|word| !word.starts_with(['a', 'e', 'i', 'o', 'u'])), "{slot:?}");
        }
    }

    #[test]
    fn no_word_belongs_to_two_slots_or_to_the_filling() {
        let slots: Vec<_> = Slot::ALL.iter().flat_map(|slot| slot.candidates()).collect();
        assert_eq!(slots.iter().collect::<HashSet<_>>().len(), slots.len());
        let filling = [&PREPOSITIONS[..], &LATER, &WEATHER, &LANDSCAPE].concat().join(" ");
        assert!(slots.iter().all(|word| !filling.split(' ').any(|filler| filler == **word)));
    }

    #[test]
    fn a_deck_deals_each_word_once() {
        let mut rng = Rng::new(3);
        for slot in Slot::ALL {
            let mut deck = Deck::new();
            let dealt: HashSet<_> = slot.candidates().iter().map(|_| deck.deal(slot, &mut rng)).collect();
            assert_eq!(dealt, slot.candidates().iter().copied().collect());
        }
    }
}
