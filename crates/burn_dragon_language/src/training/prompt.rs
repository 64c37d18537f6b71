//! Prompt of the samples during training, checked against the tokenizer.

use super::config::LanguageConfig;
use crate::data::Corpus;
use crate::error::LanguageError;
use crate::generate::GenerationConfig;
use burn_dragon_train::api::{Origin, Output};
use std::path::Path;

/// The key of the text.
pub(super) const KEY: &str = "generation.prompt";

/// Longest question that replaces the default prompt, in tokens.
const LONGEST: usize = 256;

/// Number of tokens of the validation text that replace the default prompt.
const BEGINNING: usize = 32;

/// Checks that the samples can continue the prompt. The default prompt of `base.toml` is replaced by the first question of
/// held-out conversations, and by the beginning of the validation text if a `char` tokenizer does not know all of its
/// characters. A prompt set by the user is refused only if the tokenizer cannot read it at all; `<unk>` in it is allowed.
///
/// # Errors
/// [`LanguageError::Prompt`] with the origin of the prompt.
pub(super) fn fit(
    config: &mut LanguageConfig,
    corpus: &Corpus,
    origin: &Origin,
    output: Output,
) -> Result<(), LanguageError> {
    let chosen = !is_nobodys(origin, &config.generation.prompt);
    if !chosen && ask(config, corpus, output) {
        return Ok(());
    }
    let tokenizer = &corpus.tokenizer;
    let prompt = &mut config.generation.prompt;
    let read = tokenizer.encode(prompt.as_bytes());
    let whole = |ids: &[u32], text: &str| tokenizer.decode(ids).is_ok_and(|read| read == text);
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

/// Makes the samples answer the first question of the held-out conversations, up to the end of the answer. Returns whether
/// there is one that is short enough.
fn ask(config: &mut LanguageConfig, corpus: &Corpus, output: Output) -> bool {
    let Some((template, question)) = config.chat().zip(question(corpus)) else {
        return false;
    };
    output.say(&format!(
        "note   samples answer {question:?}, the first question of the held-out conversations ({KEY}=TEXT sets another)"
    ));
    if config.generation.stop.is_empty() {
        config.generation.stop = template.stops();
    }
    config.generation.prompt = question;
    true
}

/// What is read of the first held-out conversation before its first answer; `None` if it is long, or not text.
fn question(corpus: &Corpus) -> Option<String> {
    let tokens = &corpus.validation;
    let first = tokens.counted.as_ref()?.ranges().first()?.start;
    let end = tokens.documents().next()?.end.min(LONGEST);
    let text = corpus
        .tokenizer
        .decode(&tokens.ids.read(0..first.min(end)))
        .ok()?;
    (0 < first && first < end).then_some(text)
}

/// Whether the prompt is a default: of the program, or of the base file of the language family.
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
    let text = corpus
        .tokenizer
        .decode(&ids.read(0..ids.len().min(BEGINNING)))
        .ok()?;
    let words = text.trim_end_matches(|c: char| !c.is_whitespace()).trim_end();
    Some(if words.trim().is_empty() {
        text.clone()
    } else {
        words.to_string()
    })
}
