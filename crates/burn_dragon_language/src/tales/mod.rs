//! Short tales whose last words can only be predicted from memory.
//!
//! > Mira hid the red key under the mill. Hugo sold Dora a tan jug. Soon Dora thanked Hugo for the tan jug. Then Mira
//! > went to the mill for the red key.
//!
//! The facts of each tale are drawn at random, with equal probability for every candidate. So knowledge of the language
//! does not tell *mill* from *tent* in the last sentence, and with two colours in the tale only *Mira* tells *red* from
//! *tan*. A model that predicts them has kept the facts in memory. The tales are the default corpus, and accuracy on
//! the recalled words is measured with [`RecallProbe`].
//!
//! There are about 5 x 10^7 different seedlings, more than 10^14 sprouts and more than 10^21 grown tales, so that
//! what is generated in training or held out is practically always new; no training tale is ever a validation tale,
//! whatever the seeds.

mod filler;
mod grammar;
mod needle;
mod probe;
mod words;

use std::{fmt, ops::Range};

use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_core::api::{FreeMemory, Need};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    needle::{NeedleConfig, NeedlePoint, NeedleProbe, NeedleScore},
    probe::{GroupScore, Prompt, RecallProbe, RecallScore},
    words::Slot,
};
use crate::error::LanguageError;

/// Part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Training part.
    Train,
    /// Validation part, held out from training.
    Validation,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Train {
            "train"
        } else {
            "validation"
        })
    }
}

/// No tale has more bytes, so that a window of as many bytes shows every fact together with what recalls it.
pub(crate) const MAX_BYTES: usize = 256;

/// Difficulty of a tale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// One fact, recalled at once: about 85 bytes.
    Seedling,
    /// Two facts, then each recalled: about 140 bytes.
    Sprout,
    /// Three facts and, where there is room, an aside, recalled in another order: about 215 bytes.
    Grown,
}

impl Tier {
    /// Every tier, easiest first.
    pub const ALL: [Self; 3] = [Self::Seedling, Self::Sprout, Self::Grown];
}

/// Relative weights of the tiers: `{ seedling = 2, sprout = 1, grown = 0 }` makes two thirds seedlings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TierMix {
    /// Weight of seedlings: tales with one fact, recalled at once.
    pub seedling: u32,
    /// Weight of sprouts: tales with two facts, then each recalled.
    pub sprout: u32,
    /// Weight of grown tales: three facts, recalled in another order.
    pub grown: u32,
}

impl Default for TierMix {
    /// Weights with which each tier has about a third of the bytes.
    fn default() -> Self {
        Self {
            seedling: 3,
            sprout: 2,
            grown: 1,
        }
    }
}

impl TierMix {
    fn weights(self) -> [usize; 3] {
        [self.seedling, self.sprout, self.grown].map(|weight| weight as usize)
    }

    fn draw(self, rng: &mut Rng) -> Tier {
        let weights = self.weights();
        let mut left = rng.below(weights.iter().sum::<usize>().max(1));
        for (tier, weight) in Tier::ALL.into_iter().zip(weights) {
            if left < weight {
                return tier;
            }
            left -= weight;
        }
        Tier::Seedling
    }
}

/// Embedded tales: the keys of `[dataset]` where `type = "embedded"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TalesConfig {
    /// Seed of the tales. It belongs to the data: runs with different training seeds read the same tales.
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    pub seed: u64,
    /// Size of the training text in bytes. The last tale is completed.
    pub train_bytes: usize,
    /// Number of held-out tales. The recall probe uses all of them at the end, and the first 48 during training.
    pub validation_tales: usize,
    /// Number of training tales before the first sprout may come: a curriculum if windows are read in order.
    pub sprouts_from: u64,
    /// Number of training tales before the first grown tale may come.
    pub grown_from: u64,
    /// Relative weights of the tiers.
    pub mix: TierMix,
}

impl Default for TalesConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            train_bytes: 16_000_000,
            validation_tales: 1000,
            sprouts_from: 0,
            grown_from: 0,
            mix: TierMix::default(),
        }
    }
}

/// Refuses generated text if the machine has too little memory for it: as text, in pieces with some overhead each, and
/// as tokens of four bytes.
fn room_for(
    split: Split,
    train_bytes: usize,
    (held_out, longest): (usize, usize),
    key: &str,
) -> Result<(), LanguageError> {
    let bytes = match split {
        Split::Train => train_bytes,
        Split::Validation => held_out.saturating_mul(longest),
    };
    let need = Need::of(format!("the {split} text of the dataset"))
        .with("text", (bytes as u64).saturating_mul(2))
        .with("tokens", (bytes as u64).saturating_mul(4));
    Ok(FreeMemory::room_for(&need, || match split {
        Split::Train => "use a smaller dataset.train_bytes".into(),
        Split::Validation => format!("use a smaller dataset.{key}"),
    })?)
}

impl TalesConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`LanguageError::Config`] if a count is 0 or no tier has a weight.
    pub fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |key, reason: &str| {
            Err(LanguageError::Config {
                key,
                reason: reason.into(),
            })
        };
        if self.train_bytes == 0 {
            refuse("train_bytes", "is 0, but training needs text")
        } else if self.validation_tales == 0 {
            refuse("validation_tales", "is 0, but evaluation needs tales")
        } else if self.mix.weights() == [0; 3] {
            refuse(
                "mix",
                "gives every tier the weight 0; at least one must be positive",
            )
        } else {
            Ok(())
        }
    }

    /// Tale `index` of a split: a pure function of configuration, split and index.
    pub fn tale(&self, split: Split, index: u64) -> Tale {
        let purpose = if split == Split::Train {
            "tale.train"
        } else {
            "tale.validation"
        };
        // The tier is drawn once and not with each attempt, so that the mix holds exactly.
        let mut tiers = Rng::new(derive(self.seed, "tale.tier", index, split as u64));
        let tier = match split {
            Split::Train => self.mix_at(index).draw(&mut tiers),
            Split::Validation => self.mix.draw(&mut tiers),
        };
        let mut attempt = 0;
        loop {
            let tale = grammar::tell(tier, &mut Rng::new(derive(self.seed, purpose, index, attempt)));
            if is_held_out(&tale.text) == (split == Split::Validation) {
                return tale;
            }
            attempt += 1;
        }
    }

    /// The mix that training tale `index` is drawn from: that of the tiers that have been introduced.
    fn mix_at(&self, index: u64) -> TierMix {
        let introduced = |from: u64, weight| if index < from { 0 } else { weight };
        TierMix {
            seedling: self.mix.seedling,
            sprout: introduced(self.sprouts_from, self.mix.sprout),
            grown: introduced(self.grown_from, self.mix.grown),
        }
    }

    /// The tales of a split in order: endless for training, [`validation_tales`](Self::validation_tales) otherwise.
    pub fn tales(&self, split: Split) -> impl Iterator<Item = Tale> + '_ {
        let count = if split == Split::Train {
            u64::MAX
        } else {
            self.validation_tales as u64
        };
        (0..count).map(move |index| self.tale(split, index))
    }

    /// The text of a split, one document a tale.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate).
    pub fn documents(&self, split: Split) -> Result<Vec<Vec<u8>>, LanguageError> {
        self.validate()?;
        room_for(
            split,
            self.train_bytes,
            (self.validation_tales, MAX_BYTES),
            "validation_tales",
        )?;
        let enough = if split == Split::Train {
            self.train_bytes
        } else {
            usize::MAX
        };
        let mut bytes = 0;
        let texts = self.tales(split).map(|tale| tale.text.into_bytes());
        Ok(texts
            .take_while(|text| {
                let wanted = bytes < enough;
                bytes += text.len();
                wanted
            })
            .collect())
    }
}

/// One text in eight belongs to validation, decided by the text alone: so the splits cannot share a tale.
fn is_held_out(text: &str) -> bool {
    derive(0, text, 0, 0).is_multiple_of(8)
}

/// A tale, with the words that must be recalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tale {
    /// Difficulty.
    pub tier: Tier,
    /// Text: ASCII, ending with a line end.
    pub text: String,
    /// Recalled words in the order of the text; at least two.
    pub recalls: Vec<Recall>,
}

/// A word that was stated earlier in the tale and cannot be derived from anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recall {
    /// Kind of the word.
    pub slot: Slot,
    /// The word.
    pub word: String,
    /// Range of its bytes in the text.
    pub range: Range<usize>,
    /// End of its last earlier mention: the position of the byte after it.
    pub fact_end: usize,
    /// Distance in bytes from the start of that mention to the start of the recalled word.
    pub distance: usize,
    /// Number of candidates for the word. A random guess is right with probability `1 / candidates`.
    pub candidates: usize,
}

impl Recall {
    /// Probability that a random guess is right.
    pub fn chance(&self) -> f64 {
        1.0 / self.candidates as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn only(tier: Tier) -> TalesConfig {
        let weight = |t| u32::from(t == tier);
        let mix = TierMix {
            seedling: weight(Tier::Seedling),
            sprout: weight(Tier::Sprout),
            grown: weight(Tier::Grown),
        };
        TalesConfig {
            mix,
            ..TalesConfig::default()
        }
    }

    fn some(config: &TalesConfig, n: usize) -> Vec<Tale> {
        config.tales(Split::Train).take(n).collect()
    }

    #[test]
    fn a_tale_is_a_function_of_seed_split_and_index() {
        let config = TalesConfig::default();
        assert_eq!(config.tale(Split::Train, 7), config.tale(Split::Train, 7));
        let other = TalesConfig {
            seed: 1,
            ..config.clone()
        };
        assert_ne!(some(&config, 20), some(&other, 20));
        // Tiers are drawn apart from words: where there is one tier, seeds still tell other tales.
        let told = |seed| {
            let config = TalesConfig {
                seed,
                ..only(Tier::Grown)
            };
            some(&config, 20)
                .into_iter()
                .map(|tale| tale.text)
                .collect::<HashSet<_>>()
        };
        assert!(told(0).is_disjoint(&told(1)));
    }

    #[test]
    fn a_tier_is_told_in_training_from_the_tale_that_introduces_it_and_is_always_held_out() {
        let config = TalesConfig {
            sprouts_from: 100,
            grown_from: 250,
            validation_tales: 200,
            ..TalesConfig::default()
        };
        let tales = some(&config, 400);
        let first = |tier| tales.iter().position(|tale| tale.tier == tier).unwrap();
        assert_eq!(first(Tier::Seedling), 0);
        // Of five tales after the hundredth two are sprouts, of six after the next hundred and fifty one is grown.
        assert!(
            (100..120).contains(&first(Tier::Sprout)),
            "{}",
            first(Tier::Sprout)
        );
        assert!((250..290).contains(&first(Tier::Grown)), "{}", first(Tier::Grown));
        let held_out: Vec<_> = config.tales(Split::Validation).take(100).collect();
        assert!(held_out.iter().any(|tale| tale.tier == Tier::Grown));
    }

    #[test]
    fn a_recalled_word_was_stated_before_and_not_in_between() {
        for Tale { text, recalls, .. } in some(&TalesConfig::default(), 3000) {
            assert!(recalls.len() >= 2, "{text}");
            for recall in recalls {
                let word = &recall.word[..];
                assert_eq!(&text[recall.range.clone()], word);
                assert_eq!(
                    &text[..recall.fact_end][recall.range.start - recall.distance..],
                    word
                );
                let between = &text[recall.fact_end..recall.range.start];
                assert!(
                    between
                        .split(|c: char| !c.is_alphabetic())
                        .all(|other| other != word),
                    "{word} in {text}"
                );
                assert!(between.contains('.'), "{word} in {text}");
            }
        }
    }

    #[test]
    fn tales_are_ascii_sentences_of_the_length_of_their_tier() {
        for (tier, lengths) in Tier::ALL.into_iter().zip([60..=115, 90..=190, 150..=MAX_BYTES]) {
            let tales = some(&only(tier), 20_000);
            for Tale { text, tier: told, .. } in &tales {
                assert_eq!(*told, tier);
                assert!(
                    text.is_ascii() && text.ends_with(".\n") && !text.contains("  "),
                    "{text}"
                );
                assert!(
                    text.split_inclusive(['.', '?'])
                        .all(|s| !s.trim_start().starts_with(|c: char| c.is_lowercase()))
                );
                assert!(lengths.contains(&text.len()), "{} bytes: {text}", text.len());
            }
        }
    }

    #[test]
    fn training_and_validation_share_no_tale() {
        for tier in Tier::ALL {
            let config = TalesConfig {
                validation_tales: 2000,
                ..only(tier)
            };
            let train: HashSet<_> = some(&config, 20_000).into_iter().map(|tale| tale.text).collect();
            assert!(
                config
                    .tales(Split::Validation)
                    .all(|tale| !train.contains(&tale.text)),
                "{tier:?}"
            );
            assert!(
                train.len() > 19_000,
                "{tier:?}: {} of 20000 tales differ",
                train.len()
            );
        }
    }

    /// A preference for some words would be knowledge that stands in for memory.
    #[test]
    fn every_candidate_is_recalled_as_often_as_the_others() {
        for tier in Tier::ALL {
            let mut counts: HashMap<(Slot, String), f64> = HashMap::new();
            for recall in some(&only(tier), 6000).into_iter().flat_map(|tale| tale.recalls) {
                *counts.entry((recall.slot, recall.word)).or_default() += 1.0;
            }
            for slot in Slot::ALL {
                let of = |word: &&str| counts.get(&(slot, word.to_string())).copied().unwrap_or(0.0);
                let total: f64 = slot.candidates().iter().map(of).sum();
                let mean = total / slot.candidates().len() as f64;
                for word in slot.candidates() {
                    assert!(
                        (of(word) - mean).abs() < 4.5 * mean.sqrt(),
                        "{tier:?} {word}: {} of mean {mean}",
                        of(word)
                    );
                }
            }
        }
    }

    #[test]
    fn the_mix_decides_how_often_a_tier_comes() {
        let tales = some(
            &TalesConfig {
                mix: TierMix {
                    seedling: 1,
                    sprout: 3,
                    grown: 0,
                },
                ..Default::default()
            },
            4000,
        );
        let share = |tier| tales.iter().filter(|tale| tale.tier == tier).count() as f64 / 4000.0;
        assert!((share(Tier::Seedling) - 0.25).abs() < 0.03 && share(Tier::Grown) == 0.0);
    }

    #[test]
    fn the_documents_reach_the_bytes_asked_for_and_no_further() {
        let config = TalesConfig {
            train_bytes: 5000,
            validation_tales: 7,
            ..TalesConfig::default()
        };
        let train = config.documents(Split::Train).unwrap();
        let bytes = train.iter().map(Vec::len).sum::<usize>();
        assert!(
            bytes >= 5000 && bytes - train[train.len() - 1].len() < 5000,
            "{bytes}"
        );
        assert_eq!(config.documents(Split::Validation).unwrap().len(), 7);
    }

    #[test]
    fn counts_of_zero_are_an_error() {
        let good = TalesConfig::default();
        let none = TierMix {
            seedling: 0,
            sprout: 0,
            grown: 0,
        };
        let bad = [
            (
                "train_bytes",
                TalesConfig {
                    train_bytes: 0,
                    ..good.clone()
                },
            ),
            (
                "validation_tales",
                TalesConfig {
                    validation_tales: 0,
                    ..good.clone()
                },
            ),
            ("mix", TalesConfig { mix: none, ..good }),
        ];
        for (expected, config) in bad {
            let error = config.documents(Split::Train).unwrap_err();
            assert!(
                matches!(error, LanguageError::Config { key, .. } if key == expected),
                "{error}"
            );
        }
    }
}
