//! Output to a terminal. Lines may contain text from untrusted files, so control characters are removed.

use burn_dragon::api::expert::checkpoint::{is_obeyed, printable};
use burn_dragon_train::api::expert::results;
use std::fmt::Arguments;
use std::io::{IsTerminal, Write};

/// `println!`, but for what becomes of a failure and of what a terminal would obey: see [`as_it_is`].
macro_rules! show {
    ($($words:tt)*) => { $crate::show::line(format_args!($($words)*)) };
}

/// `eprintln!`, but for what a terminal would obey: see [`aside`].
macro_rules! tell {
    ($($words:tt)*) => { $crate::show::aside(format_args!($($words)*)) };
}

/// Writes a line, as far as it is [`printable`].
pub(crate) fn line(text: Arguments<'_>) {
    as_it_is(&printable(&text.to_string()));
}

/// Writes a line to standard error, as far as it is [`printable`].
pub(crate) fn aside(text: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{}", printable(&text.to_string())); // a closed one is nobody's loss
}

/// Writes to standard error what stands in no line of its own, and ends up there at once.
pub(crate) fn mark(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush()); // as above
}

/// Text that a terminal shows dimmed, so that it is told from what follows it; unchanged where standard output is no
/// terminal or has no colours (`NO_COLOR`, `TERM=dumb`).
pub(crate) fn dimmed(text: &[u8]) -> Vec<u8> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    match std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb && !text.is_empty() {
        true => [b"\x1b[2m", text, b"\x1b[0m"].concat(),
        false => text.to_vec(),
    }
}

/// Writes a line unchanged: the output of a model is what the user requested. A failed write is reported at the end, by
/// [`exit::ended`](crate::exit::ended).
pub(crate) fn as_it_is(text: &str) {
    results::write(format!("{text}\n").as_bytes());
}

/// The same JSON without characters that a terminal obeys. JSON has them only inside its strings, and itself escapes
/// only those below the space.
pub(crate) fn json(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match is_obeyed(c) {
            // All of them are of 16 bits.
            true => clean.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_what_a_terminal_obeys() {
        let said = serde_json::json!({ "a": "x\u{202e}\u{9b}\u{7f}\n\u{1b}é" });
        let clean = json(&said.to_string());
        assert!(!clean.contains(is_obeyed), "{clean:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&clean).unwrap(), said);
    }
}
