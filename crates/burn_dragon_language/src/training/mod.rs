//! Training of a language model: the configuration of a run, the task, what is carried from step to step.
//!
//! | what | where |
//! |---|---|
//! | the family, as `dragon train` knows it | `family` |
//! | configuration of a run | `config`, `sequence`, `keys` |
//! | what the trainer is told | `task` |
//! | lanes of documents, and the memory carried between steps | `streams` |
//! | files beside a model, and what a run folder says | `files` |
//! | by what a run knows its text again | `identity` |
//! | the text that samples continue | `prompt` |

mod config;
mod family;
mod files;
mod identity;
mod keys;
mod prompt;
mod sequence;
mod streams;
mod task;

pub use config::{BASE, LanguageConfig};
pub use family::Language;
pub(crate) use files::{companions, run_words};
pub use sequence::{DocumentOrder, ScaleConfig, SequenceConfig, StreamConfig};
pub use streams::{Batch, StreamMemory, StreamPlan};
pub use task::LanguageTask;
