//! Screen of a run, in place of lines.
//!
//! The trainer tells a display what happens, and asks it after each step what the user wants. A display changes nothing
//! else: a run with one has the bits of a run without.

use crate::figures::Unit;
use crate::interrupt::Interrupt;
use crate::progress::StepReport;
use crate::task::Metrics;
use std::fmt::Debug;
use std::io;
use std::path::Path;

/// Screen on which a run is shown.
///
/// Functions are called from the thread that trains, one at a time.
pub trait Display: Debug + Send + Sync {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// If that is not possible. Then the run is told in lines.
    fn begin(&self, opening: &Opening<'_>) -> io::Result<()>;

    /// Shows something.
    fn show(&self, shown: Shown<'_>);

    /// The next request of the user, if there is one.
    fn asked(&self) -> Option<Asked>;

    /// Gives the terminal back. It may be called more than once, and without [`begin`](Self::begin).
    fn end(&self);
}

/// What a display knows of a run when it begins.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Folder of the run.
    pub run: &'a Path,
    /// Number of steps of the run.
    pub total_steps: u64,
    /// Number of steps that are taken already.
    pub step: u64,
    /// Unit in which the task counts its data.
    pub unit: Unit,
    /// Request to stop: a display may make it, and shows that it was made.
    pub interrupt: &'a Interrupt,
}

/// Something to be shown.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// Number of steps taken, after each of them.
    Position(u64),
    /// Figures of a step.
    Step {
        /// Those of a line.
        report: &'a StepReport,
        /// All metrics of the task by name, such as `x_density_at_level_01`.
        metrics: &'a Metrics,
    },
    /// An evaluation.
    Evaluation {
        /// Number of steps taken.
        step: u64,
        /// Mean loss, in the unit of [`StepReport::loss`].
        loss: f64,
        /// Other figures by name.
        metrics: &'a Metrics,
    },
    /// A sample in words.
    Sample {
        /// Number of steps taken.
        step: u64,
        /// The text.
        text: &'a str,
    },
    /// A message.
    Note(&'a str),
    /// Another number of steps of the run.
    Total(u64),
    /// Whether the run pauses.
    Paused(bool),
}

/// Request of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Pause, or go on after a pause.
    Pause,
    /// Save a checkpoint now.
    Save,
    /// Show a sample now.
    Sample,
    /// Finish the step, save and end, as an interruption does.
    Quit,
}
