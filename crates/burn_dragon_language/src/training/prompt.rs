//! The text that samples of a training continue, where the tokenizer of its data can read it.

use super::config::LanguageConfig;
use crate::data::Corpus;
use crate::error::LanguageError;
use crate::generate::GenerationConfig;
use burn_dragon_train::api::{Origin, Output};
use std::path::Path;

/// The key of the text.
pub(super) const KEY: &str = "generation.prompt";

/// Tokens of the validation text that stand in for a prompt.
const BEGINNING: usize = 32;

/// Sees that samples can continue the prompt. One that nobody chose, that of `base.toml`, makes way for the beginning of
/// the validation text where a `char` tokenizer does not know all of its letters; one that somebody chose is refused with
/// the place where it stands if it cannot be read, be it with `<unk>` in it.
///
/// # Errors
/// If a prompt that was chosen cannot be continued.
pub(super) fn fit(
    config: &mut LanguageConfig,
    corpus: &Corpus,
    origin: &Origin,
    output: Output,
) -> Result<(), LanguageError> {
    let tokenizer = &corpus.tokenizer;
    let prompt = &mut config.generation.prompt;
    let read = tokenizer.encode(prompt.as_bytes());
    let whole = |ids: &[u32], text: &str| tokenizer.decode(ids).is_ok_and(|read| read == text);
    let chosen = !is_nobodys(origin, prompt);
    if read.as_ref().is_ok_and(|ids| chosen || whole(ids, prompt)) {
        return Ok(()); // an empty one is refused by the task
    }
    let beginning = beginning(corpus);
    let beginning = beginning.filter(|text| {
        tokenizer
            .encode(text.as_bytes())
            .is_ok_and(|ids| whole(&ids, text))
    });
    match (beginning, read) {
        (Some(beginning), _) if !chosen => {
            output.say(&format!(
                "note   samples continue {beginning:?}, the beginning of the validation text: the prompt of \
                 {origin}, {prompt:?}, has letters that the text does not have ({KEY}=TEXT sets another)"
            ));
            *prompt = beginning;
            Ok(())
        }
        (_, Ok(_)) => Ok(()),
        (beginning, Err(error)) => Err(LanguageError::Prompt {
            origin: origin.to_string(),
            prompt: prompt.clone(),
            reason: error.to_string(),
            example: beginning.unwrap_or_else(|| "TEXT".into()),
        }),
    }
}

/// Whether it is a default: of the program, or of the file that holds the defaults of the language family.
fn is_nobodys(origin: &Origin, prompt: &str) -> bool {
    match origin {
        Origin::Default => prompt == GenerationConfig::default().prompt,
        Origin::Line { file, .. } => Path::new(file)
            .file_name()
            .is_some_and(|name| name == "base.toml"),
        _ => false,
    }
}

/// The first words of the validation text.
fn beginning(corpus: &Corpus) -> Option<String> {
    let ids = &corpus.validation.ids;
    let text = corpus.tokenizer.decode(&ids[..ids.len().min(BEGINNING)]).ok()?;
    let words = text.trim_end_matches(|c: char| !c.is_whitespace()).trim_end();
    Some(if words.trim().is_empty() {
        text.clone()
    } else {
        words.to_string()
    })
}
