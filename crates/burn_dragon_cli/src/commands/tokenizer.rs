//! `dragon tokenizer`: training and use of tokenizers.

use super::live::Line;
use super::{from_stdin, notes, print_json};
use crate::args::{
    TokenizerArgs, TokenizerDecodeArgs, TokenizerEncodeArgs, TokenizerInfoArgs, TokenizerTrainArgs,
    TokenizerVerb,
};
use crate::exit::{BadInput, Usage};
use crate::show::as_it_is;
use anyhow::Context;
use burn_dragon::api::expert::checkpoint::{Os, sha256, write_atomic};
use burn_dragon::api::expert::language::{Document, Documents, Split};
use burn_dragon::api::language::{
    BpeTokenizer, BpeTraining, BpeVocabulary, SourceConfig, TextConfig, Tokenizer, TokenizerSpec,
};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Runs the verb.
///
/// # Errors
/// If a file cannot be read or written, or a text cannot be encoded.
pub fn run(args: &TokenizerArgs) -> anyhow::Result<ExitCode> {
    match &args.what {
        TokenizerVerb::Train(args) => train(args)?,
        TokenizerVerb::Encode(args) => encode(args)?,
        TokenizerVerb::Decode(args) => decode(args)?,
        TokenizerVerb::Info(args) => info(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn train(args: &TokenizerTrainArgs) -> anyhow::Result<()> {
    let training = BpeTraining {
        min_frequency: args.min_frequency,
        ..BpeTraining::new(args.vocab_size)?
    };
    refuse_existing(&args.output, args.force)?;
    let (mut vocabulary, mut bytes) = (BpeVocabulary::default(), 0);
    // One entry at a time: only the words of a text are kept.
    for entry in &args.files {
        let documents = read(std::slice::from_ref(entry), None)?;
        bytes += documents.bytes();
        let texts: Vec<&[u8]> = documents.as_slice().iter().map(|document| &**document).collect();
        vocabulary.count(&texts)?;
    }
    let mut line = Line::new();
    let tokenizer = vocabulary.train(&training, |tokens| {
        line.show(false, || format!("{tokens} of {} tokens", args.vocab_size));
    })?;
    line.erase();
    tokenizer.spec().save(&args.output)?;
    let size = tokenizer.vocab_size();
    if size < args.vocab_size {
        tell!(
            "note: {size} tokens, not {}: no other pair of tokens occurs {} times in the text",
            args.vocab_size,
            args.min_frequency
        );
    }
    if args.json {
        let sha256 = sha256(tokenizer.spec().to_json().as_bytes());
        return print_json(&json!({
            "file": args.output, "vocab_size": size, "bytes": bytes, "sha256": sha256,
        }));
    }
    show!(
        "{size} tokens from {bytes} bytes of text, in {}",
        args.output.display()
    );
    Ok(())
}

fn encode(args: &TokenizerEncodeArgs) -> anyhow::Result<()> {
    let tokenizer = load(&args.tokenizer)?;
    let documents = match (&args.text, args.files.is_empty()) {
        (Some(text), _) => vec![text.clone().into_bytes()],
        (None, true) => vec![stdin()?],
        (None, false) => read(&args.files, args.document_separator.clone())?
            .into_inner()
            .into_iter()
            .map(Document::into_text)
            .collect(),
    };
    let Some(output) = &args.output else {
        for document in documents {
            let ids = tokenizer.encode(&document)?;
            show!("{}", ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
        }
        return Ok(());
    };
    refuse_existing(output, args.force)?;
    let width = Width::of(output)?;
    width.refuse_large(tokenizer.vocab_size())?;
    let (mut tokens, mut line) = (0, Line::new());
    let mut written = Vec::new();
    for (at, document) in documents.iter().enumerate() {
        let ids = tokenizer
            .encode(document)
            .with_context(|| format!("in document {at} (counted from 0)"))?;
        let ids = ids.into_iter().chain(tokenizer.end_of_text());
        ids.for_each(|id| {
            tokens += 1;
            width.put(id, &mut written);
        });
        line.show(false, || {
            format!("{} of {} documents, {tokens} tokens", at + 1, documents.len())
        });
    }
    line.erase();
    write_atomic(&Os, output, |sink| sink.write_all(&written))?;
    show!("{tokens} tokens in {}", output.display());
    Ok(())
}

fn decode(args: &TokenizerDecodeArgs) -> anyhow::Result<()> {
    let tokenizer = load(&args.tokenizer)?;
    let ids = match (&args.file, args.ids.is_empty()) {
        (Some(file), _) => Width::of(file)?.read(file)?,
        (None, false) => args.ids.clone(),
        (None, true) => numbers(&stdin()?)?,
    };
    as_it_is(&tokenizer.decode(&ids)?);
    Ok(())
}

fn info(args: &TokenizerInfoArgs) -> anyhow::Result<()> {
    let tokenizer = load(&args.tokenizer)?;
    let json = tokenizer.spec().to_json();
    let (kind, specials) = match tokenizer.spec() {
        TokenizerSpec::Byte {} => ("byte", Vec::new()),
        TokenizerSpec::Char { .. } => ("char", Vec::new()),
        TokenizerSpec::Ids { .. } => ("ids", Vec::new()),
        TokenizerSpec::Bpe { json } => ("bpe", BpeTokenizer::from_json(&json)?.special_tokens()),
    };
    let measured = match args.files.is_empty() {
        true => None,
        false => Some(measure(&*tokenizer, &args.files)?),
    };
    let (vocab_size, end, hash) = (
        tokenizer.vocab_size(),
        tokenizer.end_of_text(),
        sha256(json.as_bytes()),
    );
    if args.json {
        return print_json(&json!({
            "type": kind, "vocab_size": vocab_size, "end_of_text": end, "special_tokens": specials, "sha256": hash,
            "bytes": measured.map(|(bytes, _)| bytes), "tokens": measured.map(|(_, tokens)| tokens),
        }));
    }
    show!("type            {kind}");
    show!("tokens          {vocab_size}");
    show!(
        "end of text     {}",
        end.map_or("none".into(), |id| id.to_string())
    );
    for (id, name) in specials {
        show!("special token   {id} {name}");
    }
    show!("sha256          {hash}");
    if let Some((bytes, tokens)) = measured {
        let each = bytes as f64 / tokens.max(1) as f64;
        show!("text            {bytes} bytes are {tokens} tokens: {each:.3} bytes a token");
    }
    Ok(())
}

/// Bytes and tokens of files.
fn measure(tokenizer: &dyn Tokenizer, files: &[String]) -> anyhow::Result<(usize, usize)> {
    let documents = read(files, None)?;
    let mut tokens = 0;
    for document in documents.as_slice() {
        tokens += tokenizer.encode(document)?.len();
    }
    Ok((documents.bytes(), tokens))
}

/// Reads a tokenizer: a file, or the one of a run.
fn load(path: &Path) -> anyhow::Result<Arc<dyn Tokenizer>> {
    let path = match path.is_dir() {
        true => path.join("tokenizer.json"),
        false => path.to_path_buf(),
    };
    Ok(TokenizerSpec::load(&path)?)
}

fn read(files: &[String], document_separator: Option<String>) -> anyhow::Result<Documents> {
    let source = SourceConfig::Text(TextConfig {
        paths: files.to_vec(),
        document_separator,
    });
    let documents = source.load(Split::Train, Path::new(""))?;
    notes(documents.notes());
    Ok(documents)
}

fn stdin() -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::io::stdin()
        .read_to_end(&mut text)
        .context("cannot read standard input")?;
    Ok(from_stdin(&text)?.to_vec())
}

fn numbers(text: &[u8]) -> anyhow::Result<Vec<u32>> {
    let text = String::from_utf8_lossy(text);
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    let words = words.filter(|word| !word.is_empty());
    let number = |word: &str| {
        word.parse()
            .map_err(|_| BadInput(format!("{word:?} is not a token id")))
    };
    Ok(words.map(number).collect::<Result<_, _>>()?)
}

fn refuse_existing(path: &Path, force: bool) -> Result<(), Usage> {
    match path.exists() && !force {
        true => Err(Usage(format!(
            "{} exists; give --force to overwrite it",
            path.display()
        ))),
        false => Ok(()),
    }
}

/// Size of the numbers in a file of ids.
#[derive(Clone, Copy, Debug)]
enum Width {
    U16,
    U32,
}

impl Width {
    fn of(path: &Path) -> Result<Self, Usage> {
        match path.extension().and_then(|name| name.to_str()) {
            Some("u16") => Ok(Self::U16),
            Some("u32") => Ok(Self::U32),
            _ => Err(Usage(format!(
                "{}: a file of ids ends in .u16 or .u32, which is the size of its numbers",
                path.display()
            ))),
        }
    }

    fn refuse_large(self, vocab_size: usize) -> Result<(), Usage> {
        match self {
            Self::U16 if vocab_size > 1 << 16 => Err(Usage(format!(
                "the tokenizer has {vocab_size} tokens, and numbers of 16 bits hold 65536: write a .u32"
            ))),
            _ => Ok(()),
        }
    }

    /// Adds an id that was found to fit.
    fn put(self, id: u32, to: &mut Vec<u8>) {
        match self {
            Self::U16 => to.extend_from_slice(&(id as u16).to_le_bytes()),
            Self::U32 => to.extend_from_slice(&id.to_le_bytes()),
        }
    }

    fn read(self, path: &PathBuf) -> anyhow::Result<Vec<u32>> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let size = match self {
            Self::U16 => 2,
            Self::U32 => 4,
        };
        let numbers = bytes.chunks_exact(size);
        if !numbers.remainder().is_empty() {
            let text = format!(
                "{} has {} bytes, which is no multiple of {size}",
                path.display(),
                bytes.len()
            );
            return Err(BadInput(text).into());
        }
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |sum, &byte| sum << 8 | u32::from(byte))
        };
        Ok(numbers.map(number).collect())
    }
}
