//! Figures of a suite of evaluations, each with its number of observations and its standard error.
//!
//! Observations that stand close together are not independent. So a standard error is taken over units that are: windows
//! of a text, tales, cases, readings of letters.

mod measured;
mod predictability;
mod recall;
mod text;

pub use measured::Measured;
pub use predictability::{LevelScore, PeriodScore, PhaseScore, PredictabilityScore, PredictabilityTask};
pub use recall::RecallFigure;
pub use text::TextScore;
