//! Words after `train`.

use crate::exit::Usage;
use std::path::{Path, PathBuf};

/// Words after `train`, by their kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// Family.
    pub(crate) family: Option<String>,
    /// Configuration files.
    pub(crate) configs: Vec<PathBuf>,
    /// Paths of data.
    pub(crate) data: Vec<String>,
    /// Settings, `KEY=VALUE`.
    pub(crate) settings: Vec<String>,
}

impl Words {
    /// Sorts words: the first may be one of `families`; `KEY=VALUE` is a setting, also with spaces around its `=`; a
    /// `.toml` is a configuration; a word that is there, or that has a dot or a slash, is a path of data.
    ///
    /// # Errors
    /// If a word is none of these.
    pub(crate) fn of(words: &[String], families: &[&str]) -> Result<Self, Usage> {
        let mut sorted = Self::default();
        for (place, word) in joined(words).into_iter().enumerate() {
            let path = Path::new(&word);
            let is_toml = path.extension().is_some_and(|ending| ending == "toml");
            if is_setting(&word) {
                sorted.settings.push(word);
            } else if place == 0 && families.contains(&word.as_str()) {
                sorted.family = Some(word);
            } else if is_toml {
                sorted.configs.push(word.into());
            } else if word.contains(['/', '\\', '.', '*']) || path.exists() {
                sorted.data.push(word);
            } else {
                return Err(neither(&word, families));
            }
        }
        Ok(sorted)
    }
}

/// Settings among words, and the other words; `KEY=VALUE` may have spaces around its `=`.
pub(crate) fn settings_apart(words: &[String]) -> (Vec<String>, Vec<String>) {
    joined(words).into_iter().partition(|word| is_setting(word))
}

/// Whether a word is `KEY=VALUE`: a file may have an equals sign in its name, but not in a key.
fn is_setting(word: &str) -> bool {
    let key = word.split_once('=').map(|(key, _)| key);
    key.is_some_and(|key| !key.contains(['/', '\\']) && !Path::new(word).exists())
}

/// Words with `KEY`, `=` and `VALUE` joined where they were typed apart.
fn joined(words: &[String]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut open = false; // the last word waits for its value
    for word in words {
        match joined.last_mut() {
            Some(last) if open || (word.starts_with('=') && is_key(last)) => last.push_str(word),
            _ => joined.push(word.clone()),
        }
        let last = joined.last().map_or("", String::as_str);
        open = last.strip_suffix('=').is_some_and(is_key);
    }
    joined
}

fn is_key(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c);
    word.contains('.') && word.chars().all(plain)
}

fn neither(word: &str, families: &[&str]) -> Usage {
    let near = families
        .iter()
        .find(|family| strsim::damerau_levenshtein(word, family) <= 2);
    let hint = near.map_or(String::new(), |family| format!("did you mean `{family}`? "));
    let known = families.join(", ");
    let preset = crate::families::preset(word).map(|_| format!("did you mean --preset {word}? "));
    let hint = preset.unwrap_or(hint);
    Usage(format!(
        "unknown family `{word}`, and no file or folder of this name; {hint}known families: {known} (settings are \
         written as KEY=VALUE, a configuration is -c FILE)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(words: &[&str]) -> Result<Words, Usage> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Words::of(&words, &["language", "sudoku"])
    }

    #[test]
    fn words_are_a_family_settings_configurations_and_data() {
        let words = sorted(&[
            "language",
            "book.txt",
            "a.b=1",
            "novels/",
            "mine.toml",
            "p/x=y.txt",
        ])
        .unwrap();
        assert_eq!(
            words,
            Words {
                family: Some("language".into()),
                configs: vec!["mine.toml".into()],
                data: ["book.txt", "novels/", "p/x=y.txt"].map(String::from).into(),
                settings: vec!["a.b=1".into()],
            }
        );
    }

    #[test]
    fn a_setting_with_spaces_is_a_setting() {
        for words in [
            &["training.max_steps = 10"][..],
            &["training.max_steps", "=", "10"],
            &["training.max_steps=", "10"],
            &["training.max_steps", "=10"],
        ] {
            let settings: Vec<String> = sorted(words).unwrap().settings;
            assert_eq!(settings.len(), 1, "{words:?}");
            assert_eq!(settings[0].replace(' ', ""), "training.max_steps=10");
        }
        assert_eq!(sorted(&["a.b=1", "c.d=2"]).unwrap().settings, ["a.b=1", "c.d=2"]);
    }

    #[test]
    fn a_misspelt_family_is_answered_with_the_right_one() {
        let said = sorted(&["langauge"]).unwrap_err().to_string();
        assert!(said.contains("did you mean `language`?"), "{said}");
        let said = sorted(&["poetry"]).unwrap_err().to_string();
        assert!(
            said.contains("unknown family `poetry`") && !said.contains("did you mean"),
            "{said}"
        );
    }
}
