//! Evaluation figures as lines of text.

use super::{LanguageEvaluation, PositionScore, WindowMemory, WindowReading};
use crate::tales::{NeedlePoint, NeedleScore, RecallScore};
use burn_dragon_core::api::Density;

/// Lines with the figures of a text. `separator` is the document separator, if the text was divided at one.
pub fn evaluation_lines(evaluation: &LanguageEvaluation, separator: Option<&str>) -> Vec<String> {
    let mut lines = vec![format!(
        "loss           {:.4} nats a token, over {} tokens",
        evaluation.loss, evaluation.tokens
    )];
    lines.push(match evaluation.bits_per_byte {
        Some(bits) => format!("bits per byte  {bits:.4}, over {} bytes", evaluation.bytes),
        None => "bits per byte  none, since the tokens stand for no bytes".into(),
    });
    lines.extend(unknown_line(evaluation));
    lines.push(read_line(evaluation, separator));
    lines.extend(evaluation.density.iter().flat_map(density_lines));
    lines.extend(evaluation.by_position.iter().map(position_line));
    lines.extend(evaluation.recall.iter().flat_map(recall_lines));
    lines
}

/// Line about unknown symbols and their effect on the figures.
fn unknown_line(evaluation: &LanguageEvaluation) -> Option<String> {
    (evaluation.unknown > 0).then(|| {
        format!(
            "unknown        {} of the symbols ({}): the model predicts only that they are unknown, so the text takes more \
             bits than the figure says",
            percent(evaluation.unknown_share),
            evaluation.unknown
        )
    })
}

fn read_line(evaluation: &LanguageEvaluation, separator: Option<&str>) -> String {
    let documents = match evaluation.documents {
        1 => "1 document".to_string(),
        several => format!("{several} documents"),
    };
    let divided = separator.map_or_else(String::new, |separator| format!(", divided at {separator:?}"));
    format!(
        "read           {documents}{divided}, {}",
        reading_in_words(evaluation.reading)
    )
}

/// A reading as a phrase, for example `in windows of 256 tokens, memory emptied before each`.
pub fn reading_in_words(reading: WindowReading) -> String {
    let memory = match reading.memory {
        WindowMemory::Reset => "memory emptied before each".into(),
        WindowMemory::Carried => "memory carried from window to window of a document".into(),
        WindowMemory::Sliding { window } => format!(
            "memory of the last {window} to {} tokens",
            window.saturating_mul(2)
        ),
    };
    format!("in windows of {} tokens, {memory}", reading.block_size)
}

fn density_lines(density: &Density) -> Vec<String> {
    [("x density", &density.x), ("y density", &density.y)]
        .into_iter()
        .map(|(name, shares)| {
            let shares: Vec<String> = shares.iter().map(|&share| percent(share)).collect();
            format!("{name}      {}  (level by level)", shares.join("  "))
        })
        .collect()
}

fn position_line(bucket: &PositionScore) -> String {
    let range = format!("{}-{}", bucket.from, bucket.to);
    let figure = match bucket.bits_per_byte {
        Some(bits) => format!("{bits:.4}"),
        None => format!("{:.4} nats a token", bucket.loss),
    };
    format!("  {range:<14} {figure}  ({} tokens)", bucket.tokens)
}

/// A share in per cent. A share above 0 is never shown as 0.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        small if 0.0 < small && small < 0.05 => "less than 0.1 %".into(),
        percent => format!("{percent:.1} %"),
    }
}

/// Lines with the recall score: overall, by tier and by distance.
pub fn recall_lines(recall: &RecallScore) -> Vec<String> {
    let overall = &recall.overall;
    let mut lines = vec![format!(
        "recall: {:.0} % of {} words, chance {:.0} %",
        100.0 * overall.accuracy,
        overall.count,
        100.0 * overall.chance
    )];
    for (title, groups) in [("by tier", &recall.by_tier), ("by distance", &recall.by_distance)] {
        let cells: Vec<String> = groups
            .iter()
            .filter(|group| group.count > 0)
            .map(|group| format!("{} {:.0} % ({})", group.name, 100.0 * group.accuracy, group.count))
            .collect();
        lines.push(format!("  {title}: {}", cells.join("  ")));
    }
    lines
}

/// Lines with the score of a needle probe, one per distance.
pub fn needle_lines(score: &NeedleScore) -> Vec<String> {
    let line = |point: &NeedlePoint| {
        format!(
            "  {:>6} bytes back  {:>3.0} %  ({} cases; chance {:.0} %, among the words of the document {:.0} %)",
            point.distance,
            100.0 * point.accuracy,
            point.count,
            100.0 * point.chance,
            100.0 * point.chance_among_stated
        )
    };
    std::iter::once(format!("needle: one of {} facts, recalled", score.facts))
        .chain(score.by_distance.iter().map(line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation() -> LanguageEvaluation {
        LanguageEvaluation {
            reading: WindowReading {
                memory: WindowMemory::Reset,
                block_size: 256,
            },
            documents: 12,
            loss: 0.5,
            bits_per_byte: Some(0.25),
            tokens: 90,
            bytes: 100,
            unknown: 0,
            unknown_share: 0.0,
            density: None,
            by_position: Vec::new(),
            recall: None,
        }
    }

    #[test]
    fn a_person_is_told_how_the_text_was_read() {
        let lines = evaluation_lines(&evaluation(), Some("\n\n"));
        assert_eq!(
            lines,
            [
                "loss           0.5000 nats a token, over 90 tokens",
                "bits per byte  0.2500, over 100 bytes",
                r#"read           12 documents, divided at "\n\n", in windows of 256 tokens, memory emptied before each"#,
            ]
        );
        let mut one = evaluation();
        one.documents = 1;
        one.reading.memory = WindowMemory::Sliding { window: 64 };
        let lines = evaluation_lines(&one, None);
        let read = "read           1 document, in windows of 256 tokens, memory of the last 64 to 128 tokens";
        assert_eq!(lines[2], read);
    }

    #[test]
    fn unknown_symbols_are_no_small_print() {
        let mut evaluation = evaluation();
        (evaluation.unknown, evaluation.unknown_share) = (3, 0.0004);
        let line = &evaluation_lines(&evaluation, None)[2];
        assert!(
            line.starts_with("unknown        less than 0.1 % of the symbols (3)"),
            "{line}"
        );
        evaluation.unknown_share = 0.124;
        assert!(evaluation_lines(&evaluation, None)[2].contains("12.4 %"));
    }
}
