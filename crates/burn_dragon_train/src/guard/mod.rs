//! Guard: stops a run before bad values spoil its weights, or skips a step.

mod outliers;

pub(crate) use outliers::GuardMemory;
pub use outliers::{GuardConfig, GuardPolicy, Irregularity};

use crate::error::TrainError;

/// Checks after each loss and each gradient.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// Current step, from 0.
    pub step: u64,
    /// Step of the last checkpoint, if there is one.
    pub last_good: Option<u64>,
    /// Whether a step with a value that is not finite is skipped, instead of ending the run.
    pub skips: bool,
}

impl Guard {
    /// Refuses a value that is not finite, unless such a step is skipped.
    ///
    /// # Errors
    /// If the value is not finite; with the step, the quantity and the last good checkpoint.
    pub fn check(&self, quantity: &'static str, value: f64) -> Result<(), TrainError> {
        if value.is_finite() || self.skips {
            return Ok(());
        }
        Err(TrainError::NotFinite {
            quantity,
            value,
            step: self.step,
            last_good: self.last_good(),
        })
    }

    /// Compares a step with those before it. Returns the reason if the step is to be skipped.
    ///
    /// # Errors
    /// If the run must end.
    pub(crate) fn judge(
        &self,
        config: &GuardConfig,
        memory: &mut GuardMemory,
        (loss, norm): (f64, f64),
    ) -> Result<Option<Irregularity>, TrainError> {
        let Some(found) = memory.judge(config, loss, norm) else {
            return Ok(None);
        };
        let (step, last_good) = (self.step, self.last_good());
        match config.policy {
            GuardPolicy::Stop => Err(TrainError::Outlier {
                step,
                found,
                last_good,
            }),
            GuardPolicy::Skip if memory.in_a_row > config.patience => Err(TrainError::Skipped {
                count: memory.in_a_row,
                step,
                found,
                last_good,
            }),
            GuardPolicy::Skip => Ok(Some(found)),
        }
    }

    fn last_good(&self) -> String {
        match self.last_good {
            Some(step) => format!("the last good checkpoint is step {step}: resume from it"),
            None => "no checkpoint was written yet: start again".to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_that_is_not_finite_stops_the_run_and_names_the_way_back() {
        let guard = Guard {
            step: 12,
            last_good: Some(10),
            skips: false,
        };
        guard.check("loss", 3.0).unwrap();
        let error = guard.check("loss", f64::NAN).unwrap_err().to_string();
        assert!(error.contains("step 12") && error.contains("step 10"), "{error}");
    }
}
