//! What a task's progress is counted in, and the figures that are shown of it.

use crate::progress::{figure, percent};

/// What data is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// One of them: `token`.
    pub one: &'static str,
    /// Several: `tokens`.
    pub many: &'static str,
    /// In a rate, before `/s`: `tok`.
    pub short: &'static str,
}

impl Unit {
    /// For a task that names no other.
    pub const SAMPLE: Self = Self {
        one: "sample",
        many: "samples",
        short: "samples",
    };
}

/// A figure beside the loss.
///
/// One with a `factor` is proportional to the loss: the trainer computes it, and a line of progress has it behind the loss
/// (`3.339 bpb`). Others are metrics of the task's loss or evaluation, and stand at the end of the line (`x 4.7%`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Its name among the metrics: `bits_per_byte`.
    pub key: &'static str,
    /// Its name in a sentence: `bits per byte`.
    pub name: &'static str,
    /// Its name on a line: `bpb`.
    pub label: &'static str,
    /// How its value is written.
    pub format: FigureFormat,
    /// What the loss is multiplied by to give it.
    pub factor: Option<f64>,
}

/// How the value of a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureFormat {
    /// Four digits or so: `2.314`, `12.31`.
    Number,
    /// A share from 0 to 1 as a percentage: `4.7%`.
    Percent,
}

impl FigureFormat {
    /// The value as text.
    pub fn write(self, value: f64) -> String {
        match self {
            Self::Number => figure(value),
            Self::Percent => percent(value),
        }
    }
}

impl Figure {
    /// As it stands on a line of progress.
    pub(crate) fn on_a_line(&self, value: f64) -> String {
        let (value, label) = (self.format.write(value), self.label);
        match self.factor {
            Some(_) => format!("{value} {label}"),
            None => format!("{label} {value}"),
        }
    }
}
