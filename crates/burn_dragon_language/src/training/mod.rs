//! Training of language models: configuration of a run, task, and state carried from step to step.
//!
//! | what | where |
//! |---|---|
//! | the family for `dragon train` | `family` |
//! | configuration of a run, and presets | `config`, `sequence`, `keys`, `presets` |
//! | the task for the trainer | `task` |
//! | tokens of a window with a loss | `counted` |
//! | lanes of documents, and the memory carried between steps | `streams` |
//! | files beside a model, and the description of a run | `files` |
//! | identity of a run's text | `identity` |
//! | tokenizer of a run that starts from a model | `initial` |
//! | settings for data of which only the paths were typed | `read_as` |
//! | the text that samples continue | `prompt` |

mod config;
mod counted;
mod family;
mod files;
mod identity;
mod initial;
mod keys;
mod presets;
mod prompt;
mod read_as;
mod sequence;
mod streams;
mod task;

pub use config::{BASE, LanguageConfig};
pub use family::Language;
pub(crate) use files::{companions, run_words};
pub use sequence::{DocumentOrder, ScaleConfig, SequenceConfig, StreamConfig};
pub use streams::{Batch, StreamMemory, StreamPlan};
pub use task::LanguageTask;
