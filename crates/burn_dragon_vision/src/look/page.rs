//! Page with the maps of a view and their legend.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A page in one file.
pub(super) fn page(png: &[u8], rows: &[&str], lines: &[String], model: &str) -> String {
    let legend: String = rows
        .iter()
        .map(|row| format!("<li>{}</li>\n", words(row)))
        .collect();
    let lines: String = lines.iter().map(|line| format!("{}\n", escaped(line))).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>A look into a model</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;margin:2em;background:#fff;color:#111}}\
         img{{image-rendering:pixelated;max-width:100%;background:#000}}pre{{font-size:14px}}\
         @media (prefers-color-scheme:dark){{body{{background:#111;color:#eee}}}}</style>\n\
         <h1>A look into a model</h1>\n<p>{}</p>\n\
         <p>Top left the picture; then a column for each level. The rows:</p>\n<ol>\n{legend}</ol>\n\
         <img alt=\"maps of the patches, level by level\" src=\"data:image/png;base64,{}\">\n<pre>{lines}</pre>\n</html>\n",
        escaped(model),
        STANDARD.encode(png)
    )
}

fn words(row: &str) -> &'static str {
    match row {
        "tokens" => {
            "tokens: first three principal components of the state of each patch, as red, green and blue"
        }
        "x" => "x: share of the neurons that the state of a patch excites, from dark (none) to bright (most)",
        _ => "memory: size of the memory that a patch holds, or writes, from dark (none) to bright (most)",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_stands_alone_and_escapes_names() {
        let page = page(b"png", &["tokens", "memory"], &["level 1  <b>".into()], "a & b");
        assert!(page.contains("a &amp; b") && page.contains("&lt;b&gt;") && page.contains("base64,cG5n"));
        assert!(!page.contains("http"), "it needs no other file");
    }
}
