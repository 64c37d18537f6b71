//! Numbers and lines as text for a person.

/// Text whose lines fit in a width and break between words; the lines that follow a break are indented. A line that
/// begins with a space is a command or a table, and is left as it is.
pub(crate) fn wrapped(text: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| *width > 20) else {
        return text.into();
    };
    let lines = text.split('\n').map(|line| match line.starts_with(' ') {
        true => line.to_string(),
        false => folded(line, width),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A line broken between words.
fn folded(line: &str, width: usize) -> String {
    const INDENT: &str = "  ";
    let (mut folded, mut column) = (String::new(), 0);
    for (place, word) in line.split(' ').enumerate() {
        let length = word.chars().count();
        if place > 0 && column + 1 + length > width {
            folded.push('\n');
            folded.push_str(INDENT);
            column = INDENT.len();
        } else if place > 0 {
            folded.push(' ');
            column += 1;
        }
        folded.push_str(word);
        column += length;
    }
    folded
}

/// Values as one line of blocks, the largest the highest; at most the last `most` of them.
pub(crate) fn sparkline(values: &[f64], most: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values = &values[values.len().saturating_sub(most)..];
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    let block = |value: &f64| {
        let share = (value - low) / (high - low);
        let at = if share.is_finite() { share * 7.0 } else { 7.0 };
        BLOCKS[at.round().clamp(0.0, 7.0) as usize]
    };
    values.iter().map(block).collect()
}

/// Number with its thousands apart: `131,072`; from a billion in words too: `16.1 billion (16,108,224,512)`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut apart = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    let words = [(1e12, "trillion"), (1e9, "billion")];
    match words.into_iter().find(|(size, _)| number as f64 >= *size) {
        Some((size, word)) => format!("{:.1} {word} ({apart})", number as f64 / size),
        None => apart,
    }
}

/// Number of bytes: `33 MB`, `1.5 GB`, `590 GB`.
pub fn bytes(number: u64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    // Limits at which rounding would give one more digit.
    match units.into_iter().find(|(size, _)| number as f64 >= size * 0.9995) {
        Some((size, unit)) if number as f64 / size < 9.95 => format!("{:.1} {unit}", number as f64 / size),
        Some((size, unit)) => format!("{:.0} {unit}", number as f64 / size),
        None => format!("{number} bytes"),
    }
}

/// Rate as text: `950`, `1.2k`, `34k`, `1.2M`.
pub fn rate(per_second: f64) -> String {
    if !per_second.is_finite() {
        return "-".into();
    }
    // Limits at which rounding would give one more digit.
    let units = [
        (999.5, 1.0, ""),
        (999.5e3, 1e3, "k"),
        (999.5e6, 1e6, "M"),
        (f64::INFINITY, 1e9, "G"),
    ];
    let fits = |(limit, ..): &&(f64, f64, &str)| per_second < *limit;
    let (_, unit, letter) = *units.iter().find(fits).unwrap_or(&units[3]);
    let value = per_second / unit;
    if letter.is_empty() || value >= 9.95 {
        format!("{value:.0}{letter}")
    } else {
        format!("{value:.1}{letter}")
    }
}

/// Duration as text: `0s`, `42s`, `3m 05s`, `2h 07m`, `3d 04h`; `-` if unknown.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "-".into();
    }
    let seconds = seconds.round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// Learning rate as text: `1.0e-3`.
pub(crate) fn learning_rate(value: f64) -> String {
    format!("{value:.1e}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{figure, percent};

    #[test]
    fn rates_keep_two_digits_or_more() {
        let cases = [
            (0.0, "0"),
            (42.4, "42"),
            (999.4, "999"),
            (999.6, "1.0k"),
            (1_234.0, "1.2k"),
            (9_960.0, "10k"),
            (999_600.0, "1.0M"),
            (2.5e9, "2.5G"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ];
        for (value, text) in cases {
            assert_eq!(rate(value), text, "{value}");
        }
    }

    #[test]
    fn durations_have_two_units() {
        let cases = [
            (0.2, "0s"),
            (59.4, "59s"),
            (59.6, "1m 00s"),
            (185.0, "3m 05s"),
            (7_620.0, "2h 07m"),
            (273_600.0, "3d 04h"),
            (f64::INFINITY, "-"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn learning_rates_shares_and_figures_are_short() {
        assert_eq!(
            [1e-3, 2.54e-4, 0.0].map(learning_rate),
            ["1.0e-3", "2.5e-4", "0.0e0"]
        );
        assert_eq!(
            [0.0, 0.00421, 0.00999, 0.0421, 0.421, 1.0].map(percent),
            ["0%", "0.42%", "1.0%", "4.2%", "42%", "100%"]
        );
        assert_eq!(
            [0.0812, 9.9996, 123.44, -2.5, 1.25e6].map(figure),
            ["0.081", "10.00", "123.4", "-2.500", "1.2e6"]
        );
        assert_eq!(figure(f64::NAN), "NaN");
    }

    #[test]
    fn text_breaks_between_words_and_a_command_does_not_break() {
        let text =
            "note   the quick brown fox jumps over the lazy dog\n  dragon generate run --prompt \"a b c d\"";
        assert_eq!(
            wrapped(text, Some(24)),
            "note   the quick brown\n  fox jumps over the\n  lazy dog\n  dragon generate run --prompt \"a b c d\""
        );
        assert_eq!(wrapped(text, None), text);
        assert_eq!(
            wrapped("a-word-that-is-longer-than-the-line b", Some(21))
                .lines()
                .count(),
            2
        );
    }

    #[test]
    fn a_sparkline_shows_where_values_went() {
        assert_eq!(sparkline(&[8.0, 4.0, 1.0], 10), "█▄▁");
        assert_eq!(sparkline(&[8.0, 4.0, 1.0, 2.0], 2), "▁█");
        assert_eq!(sparkline(&[3.0], 10), "█");
        assert_eq!(sparkline(&[], 10), "");
        assert_eq!(sparkline(&[1.0, f64::NAN, 2.0], 10), "▁██");
    }

    #[test]
    fn large_numbers_are_readable() {
        let counts = [0, 999, 1000, 131_072, 25_296_896, 16_108_224_512].map(count);
        assert_eq!(
            counts,
            [
                "0",
                "999",
                "1,000",
                "131,072",
                "25,296,896",
                "16.1 billion (16,108,224,512)"
            ]
        );
        let sizes = [12, 1_000, 33_400_000, 999_600_000, 1_500_000_000, 590_263_000_000].map(bytes);
        assert_eq!(
            sizes,
            ["12 bytes", "1.0 kB", "33 MB", "1.0 GB", "1.5 GB", "590 GB"]
        );
    }
}
