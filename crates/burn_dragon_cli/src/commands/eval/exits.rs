//! Loss and levels of a token where passes may end early: `dragon eval --exit-confidence`.

use super::{EvalArgs, Text};
use burn_dragon::api::core::Exit;
use burn_dragon::api::language::{Evaluator, ExitScore, LanguageModel, WindowReading};
use serde::Serialize;

/// Figures at each confidence.
#[derive(Serialize)]
pub(super) struct Exits {
    #[serde(flatten)]
    reading: WindowReading,
    /// Number of levels of the model.
    levels: usize,
    exits: Vec<ExitScore>,
}

/// Reads the text once for each confidence.
///
/// # Errors
/// If nothing can be predicted.
pub(super) fn score(
    args: &EvalArgs,
    model: &LanguageModel,
    text: &Text,
    reading: WindowReading,
) -> anyhow::Result<Exits> {
    let evaluator = Evaluator::new(&*model.tokenizer);
    let at = |&confidence: &f64| {
        let exit = Exit {
            confidence,
            least_levels: 1,
        };
        tell!(
            "reading {} windows, tokens one at a time, confidence {confidence}",
            args.exit_windows
        );
        evaluator.with_exit(&model.dragon, &text.tokens, (reading, args.exit_windows), exit)
    };
    Ok(Exits {
        reading,
        levels: model.dragon.config().n_levels,
        exits: args.exit_confidence.iter().map(at).collect::<Result<_, _>>()?,
    })
}

impl Exits {
    /// Figures as lines of text.
    pub(super) fn lines(&self) -> Vec<String> {
        let head = format!("confidence   levels of {}   bits per byte   tokens", self.levels);
        let row = |score: &ExitScore| {
            let bits = score
                .bits_per_byte
                .map_or("-".into(), |bits| format!("{bits:.4}"));
            format!(
                "{:<12} {:>11.2}   {bits:>13}   {:>6}",
                score.confidence, score.levels, score.tokens
            )
        };
        [head].into_iter().chain(self.exits.iter().map(row)).collect()
    }
}
