//! Pieces of a long text that are encoded one by one, with the same tokens as the whole.

use serde_json::Value;

/// The pattern by which tokenizers that are trained here divide a text before byte pairs are merged: that of GPT-4 and
/// of Llama 3. A piece is a word with the space before it, up to three digits, a run of other symbols, or white space.
pub(super) const PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Patterns that divide every text between an ASCII letter and a space that an ASCII letter follows: none of their
/// alternatives matches a letter and then a space, and none looks behind.
const PATTERNS: [&str; 3] = [
    PATTERN,
    // Qwen 2
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // GPT-2
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
];

/// Least number of bytes of a piece.
const PIECE: usize = 1 << 15;

/// Whether pre-tokenization by these steps divides a text wherever it is cut into pieces.
pub(super) fn allowed(steps: &[&Value]) -> bool {
    let known = |step: &&&Value| {
        let pattern = step["pattern"]["Regex"].as_str();
        let split = step["type"] == "Split" && step["behavior"] == "Isolated" && step["invert"] != true;
        split && pattern.is_some_and(|pattern| PATTERNS.contains(&pattern))
    };
    let of_gpt_2 = |step: &&&Value| step["type"] == "ByteLevel" && step["use_regex"] != false;
    // Steps after the first only divide further. What is before it would see the whole text.
    let first = steps.first();
    first.filter(known).or(first.filter(of_gpt_2)).is_some()
}

/// Pieces of a text; the whole, if it may not be cut.
pub(super) fn of(text: &str, cut: bool) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = if cut { next_cut(rest) } else { None };
        let (piece, after) = rest.split_at(at.unwrap_or(rest.len()));
        rest = after;
        Some(piece)
    })
}

/// The first cut after [`PIECE`] bytes: before a space between ASCII letters.
fn next_cut(text: &str) -> Option<usize> {
    let bytes = text.as_bytes().get(PIECE - 1..)?;
    let between =
        |three: &[u8]| three[0].is_ascii_alphabetic() && three[1] == b' ' && three[2].is_ascii_alphabetic();
    Some(PIECE + bytes.windows(3).position(between)?)
}
