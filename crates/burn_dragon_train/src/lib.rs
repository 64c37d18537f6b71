//! One training loop for every family of Dragon Hatchling models.
//!
//! A family implements [`Task`](api::Task): batches, loss, evaluation and files. The [`Trainer`](api::Trainer) does
//! everything else: optimisation, schedules, guards, output, checkpoints and resume, Ctrl-C. A [`Family`](api::Family)
//! is a task with a configuration, which is read in [layers](api::Layers); [`run`](api::run) is `dragon train` for all
//! of them.
//!
//! Randomness is a function of (seed, purpose, step, lane), and what a task carries from step to step is part of a
//! checkpoint, so a resumed run equals an uninterrupted one bit for bit.

mod amounts;
mod batches;
mod bench_steps;
mod checkpointing;
mod command;
mod companions;
mod config;
mod display;
mod error;
mod events;
mod extent;
mod family;
mod fault;
mod figures;
mod forecast;
mod free_disk;
mod gradients;
mod guard;
mod identity;
mod initial;
mod interrupt;
mod keys;
mod look;
mod model_file;
mod optimizer;
mod outcome;
mod plan;
mod policy;
mod precision;
mod predict;
mod progress;
mod pulse;
mod records;
mod report;
mod reporter;
mod results;
mod resume_point;
mod run;
mod sample;
mod schedule;
mod settings;
mod start;
mod step;
mod task;
mod trainer;
mod update;
mod verb;

/// Curated names of this crate.
pub mod api {
    pub use crate::config::{ConfigError, Layers, Origin, Resolved};
    pub use crate::error::TrainError;
    pub use crate::extent::Extent;
    pub use crate::family::{
        At, Base, Family, Next, Preset, ReadAs, check_config, config_reference, config_schema, config_text,
        resolve, run_config,
    };
    pub use crate::fault::Fault;
    pub use crate::figures::{Figure, FigureFormat, Unit};
    pub use crate::guard::{GuardConfig, GuardPolicy};
    pub use crate::identity::{ChangedData, ChangedPart, ChangedSetting, DataHash, DataHashes, Identity};
    pub use crate::initial::{InitialModel, InitialModelInfo};
    pub use crate::interrupt::Interrupt;
    pub use crate::keys::{KeyRule, Keys, MovedKey, OnResume};
    pub use crate::look::{Look, LookRequest};
    pub use crate::model_file::{read_model, save_model};
    pub use crate::optimizer::{
        AdamW, EmaConfig, Frozen, Lion, Method, Muon, MuonScale, OptimizerConfig, ParameterGroup,
        ScheduleFreeAdamW, Sgd,
    };
    pub use crate::outcome::{Ending, Outcome, Saving};
    pub use crate::plan::Plan;
    pub use crate::precision::TrainingPrecision;
    pub use crate::predict::{PredictOptions, PredictRequest, Predictions};
    pub use crate::progress::Output;
    pub use crate::records::{
        Axis, Comparison, Group, Listed, RunRecord, RunStatus, Spread, Sweep, SweepEnd, SweepRequest,
    };
    pub use crate::report::Report;
    pub use crate::resume_point::ResumePoint;
    pub use crate::run::{RunFolder, RunInfo, RunOutcome, RunState};
    pub use crate::sample::{Sample, SampleFile};
    pub use crate::schedule::{DecayShape, Factors, Schedule};
    pub use crate::settings::{CheckpointConfig, Done, EvaluationConfig, EventFormat, TrainingConfig};
    pub use crate::task::{DataPosition, Evaluation, Loss, LossContext, Metrics, Scope, Task, TaskState};
    pub use crate::trainer::Trainer;
    pub use crate::verb::{EvalRequest, Evaluated, Ran, RunRequest, eval, plan, run};

    /// Policies that learn from rewards: advantages of rollouts, and the clipped surrogate.
    pub mod policy {
        pub use crate::policy::{
            AdvantageMethod, ChoiceLogProbs, Choices, Chooser, Condition, Estimator, PolicyConfig,
            PolicyError, RewardConfig, Rewards, Taken, Term, UnknownChooser, When, drawn, largest,
            masked_mean, normal_log_probs, surrogate,
        };
    }

    /// The crate whose `JsonSchema` a configuration derives: `#[schemars(crate = "burn_dragon::api::train::schemars")]`.
    pub use schemars;

    /// Parts of the training loop, for custom loops.
    pub mod expert {
        pub use crate::amounts::{bytes, count, duration, rate};
        pub use crate::bench_steps::BenchSteps;
        pub use crate::command::dragon as dragon_as_typed;
        pub use crate::companions::of as companions;
        pub use crate::display::{Asked, Display, Opening, Shown};
        pub use crate::forecast::{Counts, Course, DiskForecast, MemoryForecast, TimeForecast};
        pub use crate::gradients::{GradientSet, ScaledGradient};
        pub use crate::guard::{Guard, Irregularity};
        pub use crate::keys::flatten;
        pub use crate::optimizer::{ModelOptimizer, Optimizer, Parameter, Rates, Scalars, Slots, StepAt};
        pub use crate::progress::{Progress, StepReport};
        pub use crate::records::list as list_runs;
        pub use crate::run::{Line, MetricsLog, without_time, write_atomic};
        pub use crate::settings::{MOST_UNITS, at_least_one, check};
        pub use crate::start::Start;
        pub use crate::step::{Seen, StepInput};
        pub use crate::update::{Backprop, Update};

        /// Standard output, and whether results arrive there.
        pub mod results {
            pub use crate::results::{lost, note, write};
        }
    }
}
