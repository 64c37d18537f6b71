//! Everything that can go wrong with text, and what to do about it.

use burn_dragon_checkpoint::api::expert::Foreign;
#[cfg(feature = "train")]
use burn_dragon_stream::api::StreamError;
#[cfg(feature = "train")]
use burn_dragon_train::api::TrainError;
use std::path::PathBuf;

/// An error of the language crate.
///
/// Each message names the thing at fault, the values involved and the way out.
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
        /// Its first byte, counted from the start of the text.
        offset: usize,
    },
    /// A `char` tokenizer was given bytes that are not UTF-8.
    #[error(
        "the text is not UTF-8 at byte {offset}, and a char tokenizer reads characters; use the `byte` tokenizer"
    )]
    NotUtf8 {
        /// The first byte that is not UTF-8, counted from the start of the text.
        offset: usize,
    },
    /// A token id that the vocabulary does not have.
    #[error("token id {id} is outside the vocabulary of {vocab_size} (ids 0 to {})", vocab_size.saturating_sub(1))]
    UnknownToken {
        /// The id given.
        id: u32,
        /// Number of ids there are.
        vocab_size: usize,
    },
    /// A tokenizer file that is not the JSON a tokenizer is saved as.
    #[error("{} is not a tokenizer: {source}", path.display())]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// A tokenizer whose description parses but contradicts itself.
    #[error("the tokenizer is not valid: {reason}")]
    TokenizerInvalid {
        /// What contradicts what.
        reason: String,
    },
    /// Words for weights that came without a tokenizer.
    #[error(
        "these weights have no tokenizer, so text is a list of token ids, and {word:?} is none: give a prompt as \
         --prompt-tokens 1,2,3, and data as a text of ids, `1 2 3`"
    )]
    NoTokenizer {
        /// What is no id.
        word: String,
    },
    /// A model and a tokenizer with different vocabularies.
    #[error(
        "the model has a vocabulary of {model} tokens but the tokenizer has {tokenizer}; leave out model.vocab_size to \
         take the tokenizer's, or use the tokenizer that the model was trained with"
    )]
    Vocabulary {
        /// Tokens of the model.
        model: usize,
        /// Tokens of the tokenizer.
        tokenizer: usize,
    },
    /// Nothing to continue.
    #[error("the prompt is empty, and a model needs at least one token to start from")]
    EmptyPrompt,
    /// A memory from a file, and nothing that follows what it has read.
    #[error(
        "the memory has read {tokens} tokens, but a state holds what was read, not what may follow: give a prompt of at \
         least one token to go on from"
    )]
    NothingNew {
        /// Tokens the memory has read.
        tokens: u64,
    },
    /// Nothing to choose the next token by.
    #[error(
        "the {what} of token {id} is {value}, so there is nothing to choose the next token by; see whether the model is \
         sound with `dragon verify MODEL --deep`"
    )]
    NothingToDraw {
        /// `logit`, `penalised logit` or `weight`.
        what: &'static str,
        /// The first token it is so for.
        id: u32,
        /// The number that is none.
        value: f64,
    },
    /// A shape that no model can have.
    #[error(transparent)]
    Model(#[from] burn_dragon_core::api::ConfigError),
    /// Tokens that the model cannot read.
    #[error(transparent)]
    Decoder(#[from] burn_dragon_core::api::DecoderError),
    /// A model's file.
    #[error(transparent)]
    Checkpoint(#[from] burn_dragon_checkpoint::api::CheckpointError),
    /// A value of the configuration that cannot be used.
    #[error("`{key}`: {reason}")]
    Config {
        /// The key.
        key: &'static str,
        /// What is wrong with its value, and what would be right.
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
    /// A link of the configuration that leads to nothing.
    #[error("{} is a link to {}, where there is nothing", path.display(), target.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// What it names.
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
        /// What it is written in.
        encoding: Foreign,
    },
    /// A glob that matches nothing, or that is not a glob.
    #[error("the pattern {pattern:?} {reason} (relative patterns start from {})", base.display())]
    Glob {
        /// The pattern, as configured.
        pattern: String,
        /// The folder relative patterns start from.
        base: PathBuf,
        /// What is wrong.
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
        /// The system's reason.
        source: std::io::Error,
    },
    /// A `.gz` file that does not unpack.
    #[error("{} is not a sound gzip file: {source}", path.display())]
    BadGzip {
        /// The file.
        path: PathBuf,
        /// The unpacker's reason.
        source: std::io::Error,
    },
    /// Nothing to train on.
    #[error("the training text is empty: all its documents are blank; check `paths` of the dataset")]
    EmptyCorpus,
    /// Nothing to validate on.
    #[error(
        "the validation text is empty: give the dataset more text, a smaller `train_ratio`, or a `[dataset.validation]` source of its own"
    )]
    EmptyValidation,
    /// Less text to train on than one window needs.
    #[error(
        "the training text has {tokens} tokens, but one window needs {needed} (inputs and one more to predict); use more \
         text, or shorter windows (`sequence.block_size`)"
    )]
    TooShort {
        /// Tokens there are.
        tokens: usize,
        /// Tokens of one window: its length and one.
        needed: usize,
    },
    /// A text to judge a model by, of which nothing can be predicted.
    #[error(
        "no document of {text} ({documents} in all) has two tokens, one to read and one to predict, so there is nothing \
         to judge by; give it more text"
    )]
    NothingToPredict {
        /// Which text.
        text: &'static str,
        /// Documents there are.
        documents: usize,
    },
    /// An error in one document of many.
    #[error("in document {index} (counted from 0): {source}")]
    InDocument {
        /// Which document, counted from 0.
        index: usize,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// A score was asked for with the wrong number of answers.
    #[error("the recall probe has {expected} recalled words, but {given} answers were given")]
    AnswerCount {
        /// Recalled words of the probe.
        expected: usize,
        /// Answers given.
        given: usize,
    },
    /// Text that cannot be read as streams.
    #[cfg(feature = "train")]
    #[error("the training text cannot be read as streams: {0}")]
    Stream(#[from] StreamError),
    /// Something that the machine has no memory for.
    #[error(transparent)]
    Memory(#[from] burn_dragon_core::api::MemoryError),
    /// A prompt that was chosen for the samples of a run, and that its tokenizer cannot read.
    #[error(
        "`generation.prompt` ({origin}) is {prompt:?}, which samples cannot continue: {reason}; give a text of the data's \
         own letters, as in generation.prompt={example:?}"
    )]
    Prompt {
        /// Where it is written.
        origin: String,
        /// The prompt.
        prompt: String,
        /// What the tokenizer does not know of it.
        reason: String,
        /// One that it can read.
        example: String,
    },
    /// A run whose tokenizer is not that of its model.
    #[error(
        "{} is not the tokenizer that the run's model was trained with, which {} holds: it has been changed or exchanged; \
         restore it",
        tokenizer.display(), model.display()
    )]
    OtherTokenizer {
        /// The run's tokenizer.
        tokenizer: PathBuf,
        /// The file of its model.
        model: PathBuf,
    },
    /// A setting of the training that is out of range.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Training(#[from] TrainError),
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
