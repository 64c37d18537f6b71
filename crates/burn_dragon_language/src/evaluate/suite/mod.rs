//! Figures of a suite of evaluations, each with its number of observations and its standard error.
//!
//! Observations that stand close together are not independent. So a standard error is taken over units that are: windows
//! of a text, tales, cases, readings of letters.

mod measured;
mod predictability;
mod recall;
mod text;

pub use measured::Measured;
pub use predictability::{LevelScore, PeriodScore, PhaseScore, PredictabilityScore, PredictabilityTask};
pub use recall::RecallFigure;
pub use text::{TextScore, check_known};

use super::Evaluator;

impl Evaluator<'_> {
    /// Tokens of a text if each is one known byte of it or one known character; `None` otherwise.
    fn symbols(&self, text: &[u8]) -> Option<Vec<u32>> {
        let ids = self.tokenizer.encode(text).ok()?; // an alphabet without them, or bare ids
        let known = self.tokenizer.unknown(text, &ids).is_empty();
        (known && ids.len() == text.len()).then_some(ids)
    }

    /// Whether each token of these texts is one known byte or character, as recall needs.
    pub fn spells<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        texts
            .into_iter()
            .all(|text| self.symbols(text.as_bytes()).is_some())
    }
}
