//! Untrusted text in a form that is safe to show.
//!
//! Names and texts in a file can hold control characters for a terminal (escape sequences, the bell) and characters
//! that reverse the direction of a line. Here such a character is shown as its number.

/// Number of characters of a text that a message shows at most.
const SHORT: usize = 80;

/// Whether a character controls a terminal: control characters, C1 included, and characters of text direction. Line
/// ends and tabs are among them.
pub fn is_obeyed(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || c == '\u{61c}'
}

/// Text with its control characters escaped; line ends and tabs are kept.
pub fn printable(text: &str) -> String {
    escaped(text.chars(), |c| is_obeyed(c) && c != '\n' && c != '\t')
}

/// Text in one line, with its control characters escaped.
pub fn one_line(text: &str) -> String {
    escaped(text.chars(), is_obeyed)
}

/// Beginning of a text, short enough for a message, in one line with its control characters escaped.
pub fn shortened(text: &str) -> String {
    shortened_to(SHORT, text)
}

/// Like [`shortened`], to at most `most` characters.
pub fn shortened_to(most: usize, text: &str) -> String {
    let mut clean = escaped(text.chars().take(most), is_obeyed);
    if text.chars().nth(most).is_some() {
        clean.push_str("...");
    }
    clean
}

/// First names of a list, and the number of the others.
pub fn listed(names: &[String]) -> String {
    const FIRST: usize = 8;
    let shown: Vec<String> = names.iter().take(FIRST).map(|name| shortened(name)).collect();
    match names.len().saturating_sub(FIRST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn escaped(text: impl Iterator<Item = char>, obeyed: impl Fn(char) -> bool) -> String {
    let mut clean = String::new();
    for c in text {
        match obeyed(c) {
            true => clean.extend(c.escape_default()),
            false => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_by_its_number() {
        let text = "a\x1b[2J\u{9b}\u{202e}\u{2066}\u{200f}\r\n\tç\u{7f}";
        assert_eq!(
            printable(text),
            "a\\u{1b}[2J\\u{9b}\\u{202e}\\u{2066}\\u{200f}\\r\n\tç\\u{7f}"
        );
        assert_eq!(one_line("a\nb\tc"), "a\\nb\\tc");
        assert_eq!(printable("Größe \"x\" 日本"), "Größe \"x\" 日本");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(shortened(&"a".repeat(80)), "a".repeat(80));
        assert_eq!(shortened(&"a\n".repeat(99)), format!("{}...", "a\\n".repeat(40)));
        let names: Vec<String> = (0..10).map(|name| name.to_string()).collect();
        assert_eq!(listed(&names[..8]), "0, 1, 2, 3, 4, 5, 6, 7");
        assert_eq!(listed(&names), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
    }
}
