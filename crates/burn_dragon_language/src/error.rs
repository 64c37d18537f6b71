//! Errors of the language crate.

use burn_dragon_checkpoint::api::expert::Foreign;
#[cfg(feature = "train")]
use burn_dragon_stream::api::StreamError;
#[cfg(feature = "train")]
use burn_dragon_train::api::TrainError;
use std::path::PathBuf;

/// An error of the language crate.
///
/// Each message says what is wrong, with the values, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LanguageError {
    /// A `char` tokenizer without `<unk>` met a character it was not trained on.
    #[error(
        "character {ch:?} (U+{code:04X}) at byte {offset} is not in the vocabulary of the char tokenizer; \
         set `special_tokens = true` to read it as <unk>, or use the `byte` tokenizer",
        code = u32::from(*ch)
    )]
    UnknownChar {
        /// The character.
        ch: char,
        /// Position of its first byte, counted from the start of the text.
        offset: usize,
    },
    /// A tokenizer of characters was given bytes that are not UTF-8.
    #[error(
        "the text is not UTF-8 at byte {offset}, and the tokenizer reads characters; use the `byte` tokenizer"
    )]
    NotUtf8 {
        /// Position of the first byte that is not UTF-8, counted from the start of the text.
        offset: usize,
    },
    /// A text that a byte pair encoding would change.
    #[error(
        "the tokenizer does not give the text back as it was, from byte {offset} on ({start:?}), as one that normalises text \
         does; use a tokenizer without a normaliser, or one trained by `dragon tokenizer train`"
    )]
    TextChanged {
        /// Position of the first byte that would change, counted from the start of the text.
        offset: usize,
        /// Start of the text there.
        start: String,
    },
    /// A token id outside the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocab_size} (ids 0 to {})", vocab_size.saturating_sub(1))]
    UnknownToken {
        /// The id given.
        id: u32,
        /// Number of ids in the vocabulary.
        vocab_size: usize,
    },
    /// A tokenizer file that is not the JSON of a tokenizer.
    #[error("{} is not a tokenizer: {source}", path.display())]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// Error of the parser.
        source: serde_json::Error,
    },
    /// A tokenizer whose description parses but contradicts itself.
    #[error("the tokenizer is not valid: {reason}")]
    TokenizerInvalid {
        /// The contradiction.
        reason: String,
    },
    /// Text that is not a list of token ids, for weights without a tokenizer.
    #[error(
        "{word:?} is not a token id: these weights have no tokenizer, so text must be a list of token ids; give a prompt \
         as --prompt-tokens 1,2,3, and data as a text of ids, `1 2 3`"
    )]
    NoTokenizer {
        /// The word that is not a token id.
        word: String,
    },
    /// A model and a tokenizer with different vocabularies.
    #[error(
        "the model has a vocabulary of {model} tokens but the tokenizer has {tokenizer}; leave out model.vocab_size to \
         take the tokenizer's, or use the tokenizer that the model was trained with"
    )]
    Vocabulary {
        /// Vocabulary size of the model.
        model: usize,
        /// Vocabulary size of the tokenizer.
        tokenizer: usize,
    },
    /// An empty prompt.
    #[error("the prompt is empty, and a model needs at least one token to start from")]
    EmptyPrompt,
    /// A memory from a file, with no new token after it to predict from.
    #[error(
        "there is no new token: the memory has read {tokens} tokens, but a state holds what was read and not the \
         logits after it; give a prompt of at least one token"
    )]
    NothingNew {
        /// Number of tokens that the memory has read.
        tokens: u64,
    },
    /// A number that is not finite where the next token is chosen.
    #[error(
        "the {what} of token {id} is {value}, so the next token cannot be chosen; check the model with `dragon verify \
         MODEL --deep`"
    )]
    NothingToDraw {
        /// Kind of the number: `logit`, `penalised logit` or `weight`.
        what: &'static str,
        /// First token with such a number.
        id: u32,
        /// The number: infinite or NaN.
        value: f64,
    },
    /// Sizes that no model can have.
    #[error(transparent)]
    Model(#[from] burn_dragon_core::api::ConfigError),
    /// Tokens that the decoder cannot read.
    #[error(transparent)]
    Decoder(#[from] burn_dragon_core::api::DecoderError),
    /// A model file that cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] burn_dragon_checkpoint::api::CheckpointError),
    /// An invalid value of the configuration.
    #[error("`{key}`: {reason}")]
    Config {
        /// The key.
        key: &'static str,
        /// Why the value is invalid, and what is expected.
        reason: String,
    },
    /// `train_ratio` leaves nothing to train on, or nothing to validate on.
    #[error(
        "`train_ratio` is {value}, but must lie between 0 and 1, both excluded (0.9 keeps a tenth for validation)"
    )]
    TrainRatio {
        /// The value given.
        value: f64,
    },
    /// A path of the configuration where there is neither a file nor a folder.
    #[error("there is no file or folder {}{}", path.display(), did_you_mean(similar))]
    MissingPath {
        /// The path, resolved against the configuration's folder.
        path: PathBuf,
        /// Names beside it that look alike.
        similar: Vec<String>,
    },
    /// A path of the configuration that is a broken link.
    #[error("{} is a link to {}, which does not exist", path.display(), target.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// Target of the link, which does not exist.
        target: PathBuf,
    },
    /// A text that is not written in UTF-8.
    #[error(
        "{} is {encoding} text, and only UTF-8 is read; convert it with `{}`",
        path.display(), encoding.conversion(path)
    )]
    Encoding {
        /// The file.
        path: PathBuf,
        /// Encoding of the file.
        encoding: Foreign,
    },
    /// A glob that matches nothing, or that is not a glob.
    #[error("the pattern {pattern:?} {reason} (relative patterns start from {})", base.display())]
    Glob {
        /// The pattern, as configured.
        pattern: String,
        /// The folder from which relative patterns start.
        base: PathBuf,
        /// Why the pattern is refused, beginning with a verb.
        reason: String,
    },
    /// A folder without a single text file.
    #[error("the folder {} holds no text: no *.txt, *.md, *.text, and no .gz of one (links to folders are not followed, and hidden names are left out); name other files with a pattern such as \"folder/*.csv\"", path.display())]
    NoTextInFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A `.gz` file that cannot be unpacked.
    #[error("{} is not a valid gzip file: {source}", path.display())]
    BadGzip {
        /// The file.
        path: PathBuf,
        /// Error of the decompressor.
        source: std::io::Error,
    },
    /// A record that is not what it should be.
    #[error("{}, {}: {reason}", path.display(), record_in_words(*record))]
    Record {
        /// The file.
        path: PathBuf,
        /// Number of the record, from 1; 0 if it is the file.
        record: usize,
        /// What is wrong.
        reason: String,
    },
    /// A file of which only the path was given, and whose content can be read in several ways or in none.
    #[error("{}: {reason}", path.display())]
    UnclearData {
        /// The file.
        path: PathBuf,
        /// What it holds, and the setting that says how to read it.
        reason: String,
    },
    /// A message that does not fit the template of a chat.
    #[error("{reason}")]
    Chat {
        /// What is wrong.
        reason: String,
    },
    /// A text in which no token has a loss.
    #[error(
        "no token of {text} has a loss: by dataset.chat.mask only what the assistant writes has one; {remedy}"
    )]
    NothingCounts {
        /// Name of the text.
        text: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Data that cannot be fetched.
    #[cfg(feature = "fetch")]
    #[error(transparent)]
    Fetch(#[from] burn_dragon_exchange::api::fetch::FetchError),
    /// An empty training text.
    #[error("the training text is empty: all its documents are blank; check `paths` of the dataset")]
    EmptyCorpus,
    /// An empty validation text.
    #[error(
        "the validation text is empty: give the dataset more text, a smaller `train_ratio`, or a `[dataset.validation]` source of its own"
    )]
    EmptyValidation,
    /// A training text that is shorter than one window.
    #[error(
        "the training text has {tokens} tokens, but one window needs {needed} (inputs and one more to predict); use more \
         text, or shorter windows (`sequence.block_size`)"
    )]
    TooShort {
        /// Number of tokens in the text.
        tokens: usize,
        /// Number of tokens in one window: its length plus one.
        needed: usize,
    },
    /// An evaluation text in which no token can be predicted.
    #[error(
        "nothing can be predicted: no document of {text} ({documents} in all) has two tokens, one to read and one to \
         predict; use a text with longer documents"
    )]
    NothingToPredict {
        /// Name of the text.
        text: &'static str,
        /// Number of documents in the text.
        documents: usize,
    },
    /// A text with symbols that the tokenizer does not know, where each must be predicted.
    #[error(
        "the tokenizer does not know {unknown} of the symbols of the text, the first at token {first} (counted from 0), so its \
         bits per byte cannot be told; use a text in the alphabet of the model, or a model of bytes"
    )]
    UnknownSymbols {
        /// Number of unknown symbols.
        unknown: usize,
        /// Index of the first token of an unknown symbol, counted from 0.
        first: usize,
    },
    /// An error in one document.
    #[error("in document {index} (counted from 0): {source}")]
    InDocument {
        /// Index of the document, counted from 0.
        index: usize,
        /// The error.
        source: Box<Self>,
    },
    /// A wrong number of answers for the score of a recall probe.
    #[error("the recall probe has {expected} recalled words, but {given} answers were given")]
    AnswerCount {
        /// Number of recalled words in the probe.
        expected: usize,
        /// Number of answers given.
        given: usize,
    },
    /// Text that cannot be read as streams.
    #[cfg(feature = "train")]
    #[error("the training text cannot be read as streams: {0}")]
    Stream(#[from] StreamError),
    /// Work that needs more memory than the machine has free.
    #[error(transparent)]
    Memory(#[from] burn_dragon_core::api::MemoryError),
    /// A configured prompt for the samples of a run that its tokenizer cannot read.
    #[error(
        "`generation.prompt` ({origin}) is {prompt:?}, which the tokenizer cannot read: {reason}; use only characters of \
         the training text, for example generation.prompt={example:?}"
    )]
    Prompt {
        /// Origin of the setting.
        origin: String,
        /// The prompt.
        prompt: String,
        /// Error of the tokenizer.
        reason: String,
        /// Example of a prompt that it can read.
        example: String,
    },
    /// A run folder whose tokenizer is not the one its model was trained with.
    #[error(
        "{} is not the tokenizer that the run's model was trained with: it was changed or replaced; restore the tokenizer \
         that {} holds",
        tokenizer.display(), model.display()
    )]
    OtherTokenizer {
        /// Tokenizer file of the run.
        tokenizer: PathBuf,
        /// Model file of the run.
        model: PathBuf,
    },
    /// A training setting that is out of range.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Training(#[from] TrainError),
}

fn record_in_words(record: usize) -> String {
    match record {
        0 => "the file".into(),
        record => format!("record {record}"),
    }
}

fn did_you_mean(similar: &[String]) -> String {
    if similar.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", similar.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_both_values() {
        let text = LanguageError::TooShort {
            tokens: 12,
            needed: 257,
        }
        .to_string();
        assert!(text.contains("12") && text.contains("257"), "{text}");
        let text = LanguageError::UnknownChar { ch: 'é', offset: 7 }.to_string();
        assert!(
            text.contains("'é'") && text.contains("U+00E9") && text.contains("byte 7"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_path_suggests_its_neighbours() {
        let error = |similar: &[&str]| {
            LanguageError::MissingPath {
                path: "a/tales.txt".into(),
                similar: similar.iter().map(ToString::to_string).collect(),
            }
            .to_string()
        };
        assert_eq!(error(&[]), "there is no file or folder a/tales.txt");
        assert_eq!(
            error(&["tale.txt"]),
            "there is no file or folder a/tales.txt; did you mean tale.txt?"
        );
    }
}
