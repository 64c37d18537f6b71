//! Activity of neurons on predictable and on unpredictable letters.
//!
//! The task is that of the paper's figure 14 (arXiv:2509.26507, section 6.4): an endless text of periods of 77 letters.
//! A period is a warm-up of 13 letters, always the same, and a word of 8 random letters, repeated 8 times.
//!
//! ```text
//! | warm-up, 13 |first, 8|repeats, 7 x 8                                         |
//! |mqzkvtjwxpgbf|hbmqyane|hbmqyanehbmqyanehbmqyanehbmqyanehbmqyanehbmqyanehbmqyane|
//! ```
//!
//! Nobody can predict the letters of the first occurrence; a model that remembers can predict the repeats. The paper trains
//! a model on such text (N 65,536, D 256, 4 levels) and finds that 4 to 7.5 % of the neurons y of level 2 are active in the
//! warm-up and the first occurrence, and 2.5 % in the repeats, and that neurons with long rotary periods differ most. Here
//! any model reads the text, also one that was trained on other text; the words of the evaluation come from a seed of their
//! own. What is active at a letter is what is active while that letter is read.

use super::Measured;
use crate::error::LanguageError;
use crate::evaluate::reading::Probes;
use crate::evaluate::trace::{ActivityTrace, BUCKETS, LaneTrace};
use crate::evaluate::{Evaluator, WindowMemory, WindowReading};
use burn_dragon_core::api::Dragon;
use burn_dragon_core::api::expert::{Rng, derive};
use serde::Serialize;
use std::f64::consts::LN_2;
use std::ops::Range;

/// Letters of the warm-up.
const WARM_UP: &[u8; 13] = b"mqzkvtjwxpgbf";

/// Letters of a word.
const WORD: usize = 8;

/// Occurrences of a word.
const OCCURRENCES: usize = 8;

/// Periods that are read with one memory, unless windows are read by themselves.
const TOGETHER: usize = 8;

/// Text of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PredictabilityTask {
    /// Number of periods.
    pub periods: usize,
    /// Seed of the words.
    pub seed: u64,
}

/// Phase of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    WarmUp,
    First,
    Repeats,
}

impl Phase {
    const ALL: [Self; 3] = [Self::WarmUp, Self::First, Self::Repeats];

    fn name(self) -> &'static str {
        match self {
            Self::WarmUp => "warm-up",
            Self::First => "first occurrence",
            Self::Repeats => "repeats",
        }
    }

    /// Phase of a letter.
    fn at(letter: usize) -> Self {
        match letter % PredictabilityTask::PERIOD {
            place if place < WARM_UP.len() => Self::WarmUp,
            place if place < WARM_UP.len() + WORD => Self::First,
            _ => Self::Repeats,
        }
    }
}

/// Result of the task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PredictabilityScore {
    /// Reading of the letters.
    #[serde(flatten)]
    pub reading: WindowReading,
    /// Number of periods.
    pub periods: usize,
    /// Number of readings, each from an empty memory: the units of the figures.
    pub readings: usize,
    /// Figures of each phase of a period.
    pub phases: Vec<PhaseScore>,
    /// Figures of each level.
    pub levels: Vec<LevelScore>,
    /// Share of active y, level by level, at each of the 77 letters of a period.
    pub y_density_by_letter: Vec<Vec<f64>>,
}

/// Figures of a phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseScore {
    /// Name: `warm-up`, `first occurrence`, `repeats`.
    pub name: &'static str,
    /// Share of its letters that were the likeliest.
    pub accuracy: Measured,
    /// Mean cross-entropy of its letters, in bits.
    pub bits_per_letter: Measured,
    /// Share of active x, level by level.
    pub x_density: Vec<Measured>,
    /// Share of active y, level by level.
    pub y_density: Vec<Measured>,
}

/// Figures of a level.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelScore {
    /// Share of active y in the first occurrence, divided by that in the repeats; absent if none is active there.
    pub first_to_repeats: Option<Measured>,
    /// Correlation (Pearson) of a letter's cost in nats and its share of active y; absent if one of them does not vary.
    pub correlation: Option<Measured>,
    /// The ratio of [`first_to_repeats`](Self::first_to_repeats) by the rotary period of the neurons, shortest first.
    pub by_period: Vec<PeriodScore>,
}

/// Figure of the neurons with some rotary periods.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeriodScore {
    /// Shortest period, in units of `1 / (2 pi)` turns: `theta^(k/8)`.
    pub from: f64,
    /// Longest period.
    pub to: f64,
    /// Share of active y in the first occurrence, divided by that in the repeats.
    pub first_to_repeats: Option<Measured>,
}

impl PredictabilityTask {
    /// Number of letters in a period.
    pub const PERIOD: usize = WARM_UP.len() + WORD * OCCURRENCES;

    /// Letters of some periods; a period is a function of the seed and its index.
    pub fn text(&self, periods: Range<usize>) -> Vec<u8> {
        let mut text = Vec::with_capacity(periods.len() * Self::PERIOD);
        for index in periods {
            let mut rng = Rng::new(derive(self.seed, "predictability", index as u64, 0));
            let word: Vec<u8> = (0..WORD).map(|_| b'a' + rng.below(26) as u8).collect();
            text.extend(WARM_UP);
            text.extend(word.repeat(OCCURRENCES));
        }
        text
    }

    /// Number of readings, and of periods in each, for a model that reads so. A window that is read by itself has as many
    /// whole periods as fit, and at least one.
    fn readings(&self, reading: WindowReading) -> (usize, usize) {
        let each = match reading.memory {
            WindowMemory::Reset => (reading.block_size / Self::PERIOD).max(1),
            WindowMemory::Carried | WindowMemory::Sliding { .. } => TOGETHER,
        };
        (self.periods.div_ceil(each).max(1), each)
    }

    /// Number of tokens that a model reads for this task.
    pub fn tokens(&self, reading: WindowReading) -> usize {
        let (readings, each) = self.readings(reading);
        readings * each * Self::PERIOD
    }
}

/// What was measured in one reading, letter by letter.
struct Sheet {
    /// Cost in nats of each letter; that of the first is not known.
    nats: Vec<f64>,
    /// Whether each letter was the likeliest.
    right: Vec<bool>,
    /// Active neurons, level by level.
    levels: Vec<LaneTrace>,
}

impl Evaluator<'_> {
    /// Figures of the predictability task, of periods that are read with the memory of `reading`. `None` if the letters
    /// `a` to `z` are not single known tokens of the model.
    ///
    /// # Errors
    /// If there is too little memory.
    pub fn predictability(
        &self,
        dragon: &Dragon,
        task: &PredictabilityTask,
        reading: WindowReading,
    ) -> Result<Option<PredictabilityScore>, LanguageError> {
        let (readings, each) = task.readings(reading);
        let length = each * PredictabilityTask::PERIOD;
        let reading = match reading.memory {
            WindowMemory::Reset => WindowReading {
                block_size: length,
                ..reading
            },
            _ => reading,
        };
        let mut documents = Vec::with_capacity(readings);
        for index in 0..readings {
            let Some(ids) = self.letters(&task.text(index * each..(index + 1) * each)) else {
                return Ok(None);
            };
            documents.push(ids);
        }
        self.expect(documents.iter().map(|ids| ids.len() - 1));
        let mut sheets = Vec::with_capacity(readings);
        for batch in documents.chunks(self.side_by_side(dragon, reading)) {
            sheets.extend(self.sheets(dragon, batch, reading)?);
        }
        Ok(Some(score(
            &sheets,
            dragon.config().rope_theta,
            reading,
            readings * each,
        )))
    }

    /// Letters as tokens, followed by the letter that always follows; `None` if they are not single known tokens.
    fn letters(&self, text: &[u8]) -> Option<Vec<u32>> {
        self.symbols(&[text, &WARM_UP[..1]].concat())
    }

    /// Reads documents of one length side by side.
    fn sheets(
        &self,
        dragon: &Dragon,
        documents: &[Vec<u32>],
        reading: WindowReading,
    ) -> Result<Vec<Sheet>, LanguageError> {
        let lanes: Vec<&[u32]> = documents.iter().map(Vec::as_slice).collect();
        let (mut trace, mut costs) = (ActivityTrace::default(), vec![vec![f64::NAN]; lanes.len()]);
        let mut right = vec![vec![false]; lanes.len()];
        let probes = Probes {
            trace: Some(&mut trace),
            density: None,
        };
        reading.read(self.reader(dragon), &lanes, probes, |window| {
            for (lane, losses) in window.clone().losses().into_iter().enumerate() {
                costs[lane].extend(losses.into_iter().map(f64::from));
            }
            let start = window.start;
            for (lane, guesses) in window.likeliest().into_iter().enumerate() {
                let targets = &lanes[lane][start + 1..];
                right[lane].extend(
                    guesses
                        .iter()
                        .zip(targets)
                        .map(|(guess, target)| *guess == *target as i32),
                );
            }
        })?;
        let sheets = costs.into_iter().zip(right).enumerate();
        Ok(sheets
            .map(|(lane, (nats, right))| Sheet {
                nats,
                right,
                levels: trace.of_lane(lane).into_iter().cloned().collect(),
            })
            .collect())
    }
}

impl Sheet {
    /// Letters of a phase whose cost is known.
    fn predicted(&self, phase: Phase) -> impl Iterator<Item = usize> {
        self.letters(phase).filter(|letter| *letter > 0)
    }

    /// Letters of a phase.
    fn letters(&self, phase: Phase) -> impl Iterator<Item = usize> {
        // The letter that always follows is predicted, and not read.
        let read = self.nats.len() - 1;
        (0..read).filter(move |letter| Phase::at(*letter) == phase)
    }

    /// Sum of a share over the letters of a phase, and the number of letters.
    fn share(&self, phase: Phase, shares: &[f64]) -> (f64, f64) {
        let mut sums = (0.0, 0.0);
        for letter in self.letters(phase) {
            sums = (sums.0 + shares[letter], sums.1 + 1.0);
        }
        sums
    }

    /// Mean share in the first occurrence and in the repeats; `None` without neurons.
    fn first_and_repeats(&self, shares: &[f64]) -> Option<(f64, f64)> {
        let mean = |phase| {
            let (sum, letters) = self.share(phase, shares);
            sum / letters
        };
        (!shares.is_empty()).then(|| (mean(Phase::First), mean(Phase::Repeats)))
    }

    /// Correlation of cost and active y in a level.
    fn correlation(&self, level: usize) -> Option<f64> {
        let letters = 1..self.nats.len() - 1;
        let pairs = letters.map(|letter| (self.nats[letter], self.levels[level].y[letter]));
        correlation(&pairs.collect::<Vec<_>>())
    }
}

/// Correlation coefficient of Pearson; `None` if a side does not vary.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let (a, b) = pairs
        .iter()
        .fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0 / n, sum.1 + pair.1 / n));
    let product = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
    let both = product(&|pair| (pair.0 - a) * (pair.1 - b));
    let (own, other) = (
        product(&|pair| (pair.0 - a).powi(2)),
        product(&|pair| (pair.1 - b).powi(2)),
    );
    (own > 0.0 && other > 0.0).then(|| both / (own * other).sqrt())
}

fn score(sheets: &[Sheet], theta: f64, reading: WindowReading, periods: usize) -> PredictabilityScore {
    let levels = sheets.first().map_or(0, |sheet| sheet.levels.len());
    PredictabilityScore {
        reading,
        periods,
        readings: sheets.len(),
        phases: Phase::ALL
            .into_iter()
            .filter_map(|phase| of_phase(sheets, phase, levels))
            .collect(),
        levels: (0..levels).map(|level| of_level(sheets, level, theta)).collect(),
        y_density_by_letter: (0..levels).map(|level| by_letter(sheets, level)).collect(),
    }
}

/// Figures of a phase; `None` without letters.
fn of_phase(sheets: &[Sheet], phase: Phase, levels: usize) -> Option<PhaseScore> {
    let per_letter = |value: &dyn Fn(&Sheet, usize) -> f64| {
        Measured::ratio(sheets.iter().map(|sheet| {
            let mut sums = (0.0, 0.0);
            for letter in sheet.predicted(phase) {
                sums = (sums.0 + value(sheet, letter), sums.1 + 1.0);
            }
            sums
        }))
    };
    let density = |of: &dyn Fn(&LaneTrace) -> &[f64]| {
        let level = |level: usize| {
            let shares = sheets
                .iter()
                .map(|sheet| sheet.share(phase, of(&sheet.levels[level])));
            Measured::ratio(shares)
        };
        (0..levels).filter_map(level).collect()
    };
    Some(PhaseScore {
        name: phase.name(),
        accuracy: per_letter(&|sheet, letter| f64::from(u8::from(sheet.right[letter])))?,
        bits_per_letter: per_letter(&|sheet, letter| sheet.nats[letter] / LN_2)?,
        x_density: density(&|trace| &trace.x),
        y_density: density(&|trace| &trace.y),
    })
}

fn of_level(sheets: &[Sheet], level: usize, theta: f64) -> LevelScore {
    let ratio = |of: &dyn Fn(&LaneTrace) -> &[f64]| {
        let pairs = sheets
            .iter()
            .map(|sheet| sheet.first_and_repeats(of(&sheet.levels[level])));
        Measured::ratio(pairs.flatten())
    };
    let edge = |bucket: usize| theta.powf(bucket as f64 / BUCKETS as f64);
    LevelScore {
        first_to_repeats: ratio(&|trace| &trace.y),
        correlation: Measured::mean(sheets.iter().filter_map(|sheet| sheet.correlation(level))),
        by_period: (0..BUCKETS)
            .map(|bucket| PeriodScore {
                from: edge(bucket),
                to: edge(bucket + 1),
                first_to_repeats: ratio(&|trace| &trace.y_by_period[bucket]),
            })
            .collect(),
    }
}

/// Mean share of active y at each letter of a period.
fn by_letter(sheets: &[Sheet], level: usize) -> Vec<f64> {
    let period = PredictabilityTask::PERIOD;
    let (mut sums, mut periods) = (vec![0.0; period], 0.0);
    for own in sheets
        .iter()
        .flat_map(|sheet| sheet.levels[level].y.chunks(period))
    {
        sums.iter_mut().zip(own).for_each(|(sum, share)| *sum += share);
        periods += 1.0;
    }
    sums.iter().map(|sum| sum / periods).collect()
}

#[cfg(test)]
#[path = "predictability_tests.rs"]
mod tests;
