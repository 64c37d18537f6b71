//! One training loop for every family of Dragon Hatchling models.
//!
//! A family implements [`Task`]: the batch of a step, its loss, how to evaluate, how to be saved. The [`Trainer`] owns
//! everything else: optimisation ([`optimizer`], [`schedule`], [`gradients`]), guards ([`guard`]), what is shown and
//! written ([`progress`], [`run`]), checkpoints and resume, Ctrl-C ([`interrupt`]), and the layered configuration
//! ([`config`]) that every family's schema is read through.
//!
//! Randomness is a function of (seed, purpose, step, lane), and what a task carries from step to step ([`streams`]) is
//! part of a checkpoint, so a resumed run equals an uninterrupted one bit for bit.

pub mod bench_steps;
mod checkpointing;
pub mod companions;
pub mod config;
pub mod error;
pub mod gradients;
pub mod guard;
pub mod identity;
pub mod interrupt;
pub mod optimizer;
pub mod outcome;
pub mod plan;
pub mod progress;
mod reporter;
pub mod results;
pub mod resume;
pub mod resume_point;
pub mod run;
pub mod schedule;
pub mod settings;
mod step;
pub mod streams;
pub mod task;
pub mod trainer;

pub use error::TrainError;
pub use task::Task;
pub use trainer::Trainer;

/// The curated names of this crate.
pub mod api {
    pub use crate::config::{ConfigError, Layers, Origin, Resolved};
    pub use crate::error::TrainError;
    pub use crate::guard::{GuardConfig, GuardPolicy};
    pub use crate::identity::{ChangedData, ChangedPart, ChangedSetting, DataHash, DataHashes, Identity};
    pub use crate::interrupt::Interrupt;
    pub use crate::optimizer::{AdamW, OptimizerConfig, ParameterGroup};
    pub use crate::outcome::{Ending, Outcome, Saving};
    pub use crate::plan::Plan;
    pub use crate::progress::Output;
    pub use crate::resume_point::ResumePoint;
    pub use crate::run::{RunFolder, RunInfo};
    pub use crate::schedule::Schedule;
    pub use crate::settings::{CheckpointConfig, Done, EvaluationConfig, TrainingConfig};
    pub use crate::streams::{ScaleConfig, StreamConfig};
    pub use crate::task::{DataPosition, Evaluation, Loss, LossContext, Metrics, Scope, Task};
    pub use crate::trainer::Trainer;

    /// Parts of the loop, for loops of one's own.
    pub mod expert {
        pub use crate::bench_steps::BenchSteps;
        pub use crate::gradients::GradientSet;
        pub use crate::guard::{Guard, Irregularity};
        pub use crate::progress::{Progress, StepReport};
        pub use crate::results;
        pub use crate::resume::{KeyRule, OnResume, flatten, rule_of};
        pub use crate::run::{MetricsLog, without_time, write_atomic};
    }
}
