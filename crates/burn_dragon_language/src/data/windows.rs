//! Windows of training: the tokens that are read at once, and their order.

use std::ops::Range;

use burn_dragon_core::api::expert::derive;
use burn_dragon_stream::api::permute;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tokens;
use crate::error::LanguageError;

/// Start positions of training windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowStart {
    /// A window starts at a document wherever one starts within a window's length. Suits text of short documents.
    #[default]
    Document,
    /// As `document`, but in the order of the text. Suits text that begins with easy documents. A run too short for the
    /// whole text skips windows evenly, so that it still ends at the end of the text.
    InOrder,
    /// Windows start anywhere, shifted from epoch to epoch. Suits long text.
    Anywhere,
}

/// Plan of the training windows of one epoch, each of `time + 1` tokens: inputs, and the next token of each.
/// (Evaluation reads documents: see [`Evaluator`](crate::evaluate::Evaluator).)
///
/// Every token is in at least one window of every epoch. The order is a function of seed and index. Nothing is stored,
/// and a resumed run continues where it stopped.
#[derive(Debug, Clone)]
pub struct WindowPlan {
    tokens: usize,
    time: usize,
    starts: Starts,
    in_order: bool,
}

#[derive(Debug, Clone)]
enum Starts {
    /// Start of each window.
    Fixed(Vec<usize>),
    /// Number of windows, which start at multiples of `time` minus a shift.
    Shifted(usize),
}

impl WindowPlan {
    /// Plans windows of `time` inputs over `tokens`.
    ///
    /// # Errors
    /// [`LanguageError::TooShort`] if there are fewer than `time + 1` tokens; [`LanguageError::Config`] if `time` is 0.
    pub fn new(tokens: &Tokens, time: usize, start: WindowStart) -> Result<Self, LanguageError> {
        if time == 0 {
            let reason = "is 0, but a window needs at least one input".into();
            return Err(LanguageError::Config {
                key: "window length",
                reason,
            });
        }
        let needed = time.saturating_add(1);
        let Some(last) = tokens.len().checked_sub(needed) else {
            return Err(LanguageError::TooShort {
                tokens: tokens.len(),
                needed,
            });
        };
        let starts = match start {
            WindowStart::Document | WindowStart::InOrder => {
                Starts::Fixed(document_starts(&tokens.starts, time, last))
            }
            WindowStart::Anywhere if last == 0 => Starts::Fixed(vec![0]),
            // With the largest shift, time - 1, the last window must still reach the end.
            WindowStart::Anywhere => Starts::Shifted(1 + (last + time - 1).div_ceil(time)),
        };
        Ok(Self {
            tokens: tokens.len(),
            time,
            starts,
            in_order: start == WindowStart::InOrder,
        })
    }

    /// Number of windows in one pass over the tokens.
    pub fn windows_per_epoch(&self) -> usize {
        match &self.starts {
            Starts::Fixed(starts) => starts.len(),
            Starts::Shifted(count) => *count,
        }
    }

    /// Range of tokens of window `index`, counted over all steps and lanes of a run that was planned with `planned`
    /// windows: `time + 1` tokens. Each epoch reads every window once. Unless the windows are read in order, each epoch
    /// has an order of its own.
    ///
    /// Only [`WindowStart::InOrder`] depends on `planned`. If such a run continues after all planned windows, it reads
    /// the windows that were skipped, and then all windows again.
    pub fn window(&self, seed: u64, index: u64, planned: u64) -> Range<usize> {
        let count = self.windows_per_epoch() as u64;
        let (epoch, place) = (index / count, index % count);
        let rank = if !self.in_order {
            permute(place, count, derive(seed, "window.order", epoch, 0))
        } else if (1..count).contains(&planned) {
            thinned(place, planned, count)
        } else {
            place
        } as usize;
        let start = match &self.starts {
            Starts::Fixed(starts) => starts[rank],
            Starts::Shifted(_) => {
                let shift = (derive(seed, "window.shift", epoch, 0) % self.time as u64) as usize;
                (rank * self.time)
                    .saturating_sub(shift)
                    .min(self.tokens - self.time - 1)
            }
        };
        start..start + self.time + 1
    }
}

/// The `place`-th of `count` windows, of which `planned` were to stand for all: these come first, in order and evenly
/// spread, then those that they leave out, in order.
fn thinned(place: u64, planned: u64, count: u64) -> u64 {
    let spread = |place: u64| (u128::from(place) * u128::from(count) / u128::from(planned)) as u64;
    let Some(left_out) = place.checked_sub(planned) else {
        return spread(place);
    };
    // It lies behind the last planned window that has so few or fewer left out before it.
    let (mut behind, mut before) = (0, planned);
    while before - behind > 1 {
        let middle = behind.midpoint(before);
        if spread(middle) - middle <= left_out {
            behind = middle;
        } else {
            before = middle;
        }
    }
    left_out + behind + 1
}

/// The last document that starts within `time` tokens of `start`, else what lies `time` tokens on.
fn next_start(documents: &[usize], start: usize, time: usize) -> usize {
    let reachable = documents.partition_point(|&document| document <= start + time);
    let document = documents[..reachable]
        .last()
        .copied()
        .filter(|&document| document > start);
    document.unwrap_or(start + time)
}

/// From each window, the next starts with the last document that starts within its length, else where it ends.
fn document_starts(documents: &[usize], time: usize, last: usize) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut start = 0;
    while start < last {
        starts.push(start);
        start = next_start(documents, start, time);
    }
    // Moved back to fit, and so that the last token is predicted too.
    starts.push(last);
    starts
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use burn_dragon_core::api::expert::Rng;

    use super::*;

    fn tokens(len: usize, starts: &[usize]) -> Tokens {
        Tokens {
            ids: vec![0; len].into(),
            starts: starts.to_vec(),
            bytes: len,
            ..Tokens::default()
        }
    }

    fn random_tokens(rng: &mut Rng, len: usize) -> Tokens {
        let mut starts = vec![0];
        while starts[starts.len() - 1] < len {
            starts.push(starts[starts.len() - 1] + 1 + rng.below(20));
        }
        starts.pop();
        tokens(len, &starts)
    }

    fn epoch(plan: &WindowPlan, seed: u64, epoch: u64) -> Vec<Range<usize>> {
        let count = plan.windows_per_epoch() as u64;
        (epoch * count..(epoch + 1) * count)
            .map(|index| plan.window(seed, index, u64::MAX))
            .collect()
    }

    #[test]
    fn every_epoch_predicts_every_token_with_windows_of_one_length() {
        let mut rng = Rng::new(1);
        for case in 0..300 {
            let time = 1 + rng.below(15);
            let len = time + 1 + rng.below(100);
            let tokens = random_tokens(&mut rng, len);
            for start in [WindowStart::Document, WindowStart::Anywhere] {
                let plan = WindowPlan::new(&tokens, time, start).unwrap();
                let mut predicted = vec![false; len];
                for window in epoch(&plan, 5, case) {
                    assert_eq!(window.len(), time + 1);
                    predicted[window.start + 1..window.end].fill(true);
                }
                assert!(predicted[1..].iter().all(|&seen| seen), "{start:?} {time} {len}");
            }
        }
    }

    #[test]
    fn every_epoch_visits_every_window_once_in_an_order_of_its_own() {
        let plan = WindowPlan::new(&tokens(1000, &[0]), 10, WindowStart::Document).unwrap();
        let sorted = |mut windows: Vec<Range<usize>>| {
            windows.sort_by_key(|window| window.start);
            windows
        };
        let (first, second) = (epoch(&plan, 3, 0), epoch(&plan, 3, 1));
        assert_ne!(first, second);
        assert_ne!(first, epoch(&plan, 4, 0));
        assert_eq!(first, epoch(&plan, 3, 0));
        let all = sorted(first);
        assert!(all.windows(2).all(|pair| pair[0].start < pair[1].start));
        assert_eq!(all, sorted(second));
        assert_eq!(all.len(), plan.windows_per_epoch());
    }

    #[test]
    fn a_window_starts_with_the_last_document_within_reach() {
        let plan = WindowPlan::new(&tokens(40, &[0, 4, 9, 13, 30]), 10, WindowStart::Document).unwrap();
        let Starts::Fixed(starts) = plan.starts else {
            panic!("{plan:?}")
        };
        // 9 is the last start in (0, 10], 13 in (9, 19]; none in (13, 23]; 30 does not fit, so the last is moved back.
        assert_eq!(starts, [0, 9, 13, 23, 29]);
    }

    #[test]
    fn a_document_that_begins_where_a_window_ends_begins_the_next() {
        for start in [WindowStart::Document, WindowStart::InOrder] {
            let plan = WindowPlan::new(&tokens(40, &[0, 4, 10, 14, 21]), 10, start).unwrap();
            let Starts::Fixed(starts) = &plan.starts else {
                panic!("{plan:?}")
            };
            // 10 is within reach of 0 as 4 is, and comes later; 21 is not of 10.
            assert_eq!(starts, &[0, 10, 14, 21, 29]);
        }
    }

    #[test]
    fn windows_anywhere_shift_from_epoch_to_epoch() {
        let plan = WindowPlan::new(&tokens(1000, &[0]), 50, WindowStart::Anywhere).unwrap();
        // All inner windows of an epoch share one remainder: the shift.
        let inner = |n| {
            epoch(&plan, 3, n)
                .into_iter()
                .map(|window| window.start)
                .find(|start| (51..900).contains(start))
        };
        let shifts: HashSet<_> = (0..10).map(|n| inner(n).unwrap() % 50).collect();
        assert!(shifts.len() > 5, "{shifts:?}");
    }

    #[test]
    fn windows_in_order_are_read_as_the_text_goes() {
        let plan = WindowPlan::new(&tokens(60, &[0, 7, 12, 31]), 10, WindowStart::InOrder).unwrap();
        let count = plan.windows_per_epoch() as u64;
        let starts: Vec<_> = (0..2 * count)
            .map(|index| plan.window(5, index, u64::MAX).start)
            .collect();
        assert_eq!(starts[..4], [0, 7, 12, 22]);
        assert_eq!(starts[..count as usize], starts[count as usize..]);
    }

    #[test]
    fn a_run_shorter_than_the_text_reads_it_thinned_out_from_start_to_end() {
        let text = tokens(10_000, &(0..10_000).step_by(10).collect::<Vec<_>>());
        let plan = |start| WindowPlan::new(&text, 10, start).unwrap();
        let count = plan(WindowStart::InOrder).windows_per_epoch() as u64;
        let run = count / 3;
        let short = plan(WindowStart::InOrder);
        let starts: Vec<_> = (0..run).map(|index| short.window(5, index, run).start).collect();
        let steps: HashSet<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| [30, 40].contains(step)), "{steps:?}");
        assert!(starts[0] == 0 && starts[run as usize - 1] >= 9940);
        let whole = |index| short.window(5, index, u64::MAX);
        assert_eq!(
            (short.window(5, 7, 2 * count), short.window(5, 7, count)),
            (whole(7), whole(7))
        );
        let shuffled = plan(WindowStart::Document);
        assert_eq!(shuffled.window(5, 7, run), shuffled.window(5, 7, u64::MAX));
    }

    #[test]
    fn a_run_that_goes_on_after_a_thinned_text_reads_what_was_left_out_and_nothing_twice() {
        let text = tokens(10_000, &(0..10_000).step_by(10).collect::<Vec<_>>());
        let plan = WindowPlan::new(&text, 10, WindowStart::InOrder).unwrap();
        let count = plan.windows_per_epoch() as u64;
        let all: Vec<_> = (0..count)
            .map(|index| plan.window(5, index, count).start)
            .collect();
        for run in [
            1,
            7,
            count / 3,
            2 * count / 5,
            count / 2,
            9 * count / 10,
            count - 1,
        ] {
            let mut read: Vec<_> = (0..count).map(|index| plan.window(5, index, run).start).collect();
            let (first, rest) = read.split_at(run as usize);
            assert!(
                first.is_sorted() && rest.is_sorted(),
                "{run}: in the order of the text"
            );
            read.sort_unstable();
            assert_eq!(read, all, "{run}: every window once");
            let again = plan.window(5, count, run);
            assert_eq!(again, plan.window(5, 0, run), "{run}: then all of it again");
        }
    }

    #[test]
    fn a_text_shorter_than_a_window_is_an_error_that_shows_both_lengths() {
        let error = WindowPlan::new(&tokens(10, &[0]), 10, WindowStart::Document).unwrap_err();
        assert!(
            matches!(
                error,
                LanguageError::TooShort {
                    tokens: 10,
                    needed: 11
                }
            ),
            "{error}"
        );
        let plan = WindowPlan::new(&tokens(11, &[0]), 10, WindowStart::Anywhere).unwrap();
        assert_eq!((plan.windows_per_epoch(), plan.window(1, 5, 1)), (1, 0..11));
    }

    #[test]
    fn windows_of_no_length_are_an_error() {
        let error = WindowPlan::new(&tokens(10, &[0]), 0, WindowStart::Document).unwrap_err();
        assert!(matches!(error, LanguageError::Config { .. }), "{error}");
    }
}
