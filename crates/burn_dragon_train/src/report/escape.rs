//! Text in HTML.

use burn_dragon_checkpoint::api::expert::printable;
use std::fmt::Write;

/// Text with the characters of markup as entities, and without control characters and characters of text direction.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Element with escaped text in it.
pub(super) fn element(tag: &str, class: &str, text: &str) -> String {
    let class = if class.is_empty() {
        String::new()
    } else {
        format!(" class=\"{class}\"")
    };
    format!("<{tag}{class}>{}</{tag}>", escape(text))
}

/// Key of a figure as words: `x_density` as `x density`.
pub(super) fn words(key: &str) -> String {
    key.replace('_', " ")
}

/// Appends formatted text. Writing to a string cannot fail.
pub(super) fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = html.write_fmt(text);
}
