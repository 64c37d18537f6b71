//! Modes of a step, and the time that each takes.

use burn_dragon_kernel::api::Decay;

/// Mode of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepMode {
    /// A new input arrives. It takes no time, so memory does not decay, and the age of the prediction is 0 again.
    Observe,
    /// The same input again. It takes no time.
    Refine,
    /// No input. It takes a unit of time: memory decays, and the prediction is one unit older.
    Predict,
}

impl StepMode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Observe, Self::Refine, Self::Predict];

    /// Name of the mode: `observe`, `refine`, `predict`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Refine => "refine",
            Self::Predict => "predict",
        }
    }

    /// Units of time that a step takes.
    pub fn time(self) -> u64 {
        match self {
            Self::Observe | Self::Refine => 0,
            Self::Predict => 1,
        }
    }

    /// Decay of memory in a step, from its decay in a unit of time; `None` if the step takes no time.
    pub fn decay(self, of_unit: Option<&Decay>) -> Option<Decay> {
        match self.time() {
            0 => None,
            _ => of_unit.cloned(),
        }
    }
}

impl std::fmt::Display for StepMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
