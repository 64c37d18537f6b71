//! Progress of an evaluation: tokens and time left.

use super::super::live::Pulse;
use burn_dragon::api::language::EvaluationCounter;
use burn_dragon_train::api::expert::{count, duration};
use std::sync::Arc;
use std::time::Duration;

/// Counter of an evaluation, shown while the value lives.
pub(super) struct Watched {
    counter: Arc<EvaluationCounter>,
    _pulse: Pulse,
}

impl Watched {
    pub(super) fn new() -> Self {
        let counter = Arc::new(EvaluationCounter::default());
        let shown = counter.clone();
        Self {
            counter,
            _pulse: Pulse::of(move |since| line(shown.read(), shown.of(), since)),
        }
    }

    pub(super) fn counter(&self) -> &EvaluationCounter {
        &self.counter
    }
}

/// A line of progress: `evaluating: 1,200 of 4,800 tokens, 25 %, 6s left`.
fn line(read: u64, of: u64, since: Duration) -> String {
    if of == 0 {
        return format!("evaluating, {} s", since.as_secs());
    }
    let share = read as f64 / of as f64;
    let left = since.as_secs_f64() * (1.0 - share) / share; // infinite before the first window
    format!(
        "evaluating: {} of {} tokens, {:.0} %, {} left",
        count(read),
        count(of),
        100.0 * share,
        duration(left)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_tokens_left() {
        let after = Duration::from_secs(2);
        assert_eq!(
            line(1200, 4800, after),
            "evaluating: 1,200 of 4,800 tokens, 25 %, 6s left"
        );
        assert_eq!(line(0, 4800, after), "evaluating: 0 of 4,800 tokens, 0 %, - left");
        assert_eq!(line(0, 0, after), "evaluating, 2 s");
    }
}
