//! Language models of the Dragon Hatchling family.
//!
//! | what | where |
//! |---|---|
//! | configuration of a run | [`config`] |
//! | text to tokens and back | [`tokenizer`] |
//! | sources, documents, windows | [`data`] |
//! | the embedded tales and the recall probe | [`tales`] |
//! | lanes of documents, and the memory carried between steps | [`streams`] |
//! | what the trainer is told | [`task`] |
//! | what may change when a run goes on | [`resume`] |
//! | evaluation: loss, bits per byte, density, recall | [`evaluate`] |
//! | a model with its tokenizer | [`model`] |
//! | language models as files: tensors, tokenizer, companions, words | [`export`] |
//! | what was read, as a file | [`state`] |
//! | generation with carried state | [`generate`] |

pub mod config;
pub mod data;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod generate;
pub mod learnt;
pub mod model;
pub mod resume;
pub mod state;
pub mod streams;
pub mod tales;
pub mod task;
pub mod tokenizer;

pub use config::LanguageConfig;
pub use error::LanguageError;
pub use model::{LanguageModel, tokenizer_of};
pub use task::LanguageTask;

/// The curated names of this crate.
pub mod api {
    pub use crate::config::{BASE, LanguageConfig, ModelConfig};
    pub use crate::data::{Corpus, DatasetConfig, Note, SourceConfig, TextConfig, WindowStart};
    pub use crate::error::LanguageError;
    pub use crate::evaluate::{Evaluator, LanguageEvaluation, PositionScore, WindowMemory, WindowReading};
    pub use crate::evaluate::{evaluation_lines, needle_lines, reading_in_words, recall_lines};
    pub use crate::export::{LANGUAGE, LanguageKind, TOKENIZER, dragon, model_file, model_hash};
    pub use crate::generate::{ContextStrategy, Generation, GenerationConfig, Generator, Prefix};
    pub use crate::learnt::{LearntMemory, LearntReading};
    pub use crate::model::{LanguageModel, tokenizer_of};
    pub use crate::resume::kept;
    pub use crate::state::{LanguageState, LanguageStateInfo, Sliding, StateReader};
    pub use crate::tales::{NeedleConfig, NeedleProbe, NeedleScore, RecallProbe, RecallScore, TalesConfig};
    pub use crate::task::LanguageTask;
    pub use crate::tokenizer::{StreamDecoder, Tokenizer, TokenizerConfig, TokenizerSpec, Unknown};

    /// Parts of evaluation and generation, for those who build on them.
    pub mod expert {
        pub use crate::data::{Listed, Severity, Split, SplitKind, Tokens, Why, WindowPlan};
        pub use crate::generate::Sampler;
        pub use crate::resume::rules;
        pub use crate::streams::{Batch, StreamPlan, Streams};
        pub use crate::tales::{Recall, Tale};
    }
}
