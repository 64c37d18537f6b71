//! Language models of the Dragon Hatchling family.
//!
//! | what | where |
//! |---|---|
//! | text to tokens and back | `tokenizer` |
//! | conversations as text | `chat` |
//! | sources, documents, windows | `data` |
//! | the embedded tales and the recall probe | `tales` |
//! | evaluation: loss, bits per byte, density, recall | `evaluate` |
//! | a model with its tokenizer | `model` |
//! | language models as files: tensors, tokenizer, companion files, descriptions | `export`, `learnt` |
//! | memory of a text, as a file | `state` |
//! | generation with carried state | `generate` |
//! | training: configuration of a run, task, streams (feature `train`) | `training` |
//!
//! Without the feature `train` the crate needs no trainer, no signals, no threads and no clock, so it runs in a
//! browser.

mod chat;
mod config;
mod data;
mod details;
mod error;
mod evaluate;
mod export;
mod generate;
mod learnt;
mod model;
mod state;
mod tales;
mod tokenizer;
#[cfg(feature = "train")]
mod training;

/// Main items of this crate.
pub mod api {
    pub use crate::chat::{ChatTemplate, Message};
    pub use crate::config::ModelConfig;
    #[cfg(feature = "train")]
    pub use crate::data::PretokenizedConfig;
    pub use crate::data::{
        ChatConfig, ChatMask, Corpus, DatasetConfig, HuggingFaceConfig, MixtureConfig, Note, RecordFormat,
        RecordsConfig, SourceConfig, TextConfig, TinyShakespeareConfig, WeightedSource, Wikitext2Config,
        WindowStart,
    };
    pub use crate::error::LanguageError;
    pub use crate::evaluate::{
        EvaluationCounter, ExitScore, LevelScore, Measured, PeriodScore, PhaseScore, PredictabilityScore,
        PredictabilityTask, RecallFigure, TextScore, check_known,
    };
    pub use crate::evaluate::{Evaluator, LanguageEvaluation, PositionScore, WindowMemory, WindowReading};
    pub use crate::evaluate::{evaluation_lines, needle_lines, reading_in_words, recall_lines};
    pub use crate::export::{LANGUAGE, LanguageKind, TOKENIZER, dragon, model_file, model_hash};
    pub use crate::generate::{ContextStrategy, DrawnOn, Generation, GenerationConfig, Generator, Prefix};
    pub use crate::learnt::{LearntMemory, LearntReading, LearntText};
    pub use crate::model::{LanguageModel, tokenizer_of};
    pub use crate::state::{LanguageState, LanguageStateInfo, ModelOrigin, Sliding, StateReader};
    pub use crate::tales::{NeedleConfig, NeedleProbe, NeedleScore, RecallProbe, RecallScore, TalesConfig};
    #[cfg(feature = "bpe")]
    pub use crate::tokenizer::{BpeTokenizer, BpeTraining, BpeVocabulary};
    pub use crate::tokenizer::{StreamDecoder, Tokenizer, TokenizerConfig, TokenizerSpec, Unknown};
    #[cfg(feature = "train")]
    pub use crate::training::{
        BASE, DocumentOrder, Language, LanguageConfig, LanguageTask, ScaleConfig, SequenceConfig,
        StreamConfig,
    };

    /// Parts of evaluation, generation and data, to build on.
    pub mod expert {
        pub use crate::data::{
            Counted, Document, Documents, Listed, Severity, Split, SplitKind, TokenIds, Tokens, Why,
            WindowPlan,
        };
        #[cfg(feature = "train")]
        pub use crate::data::{DataProgress, IdWidth};
        pub use crate::generate::Sampler;
        pub use crate::tales::{GroupScore, NeedlePoint, Prompt, Recall, Slot, Tale};
        pub use crate::tokenizer::{ByteTokenizer, CharTokenizer, IdTokenizer};
        #[cfg(feature = "train")]
        pub use crate::training::{Batch, StreamMemory, StreamPlan};
    }
}
