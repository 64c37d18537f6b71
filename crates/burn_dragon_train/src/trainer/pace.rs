//! Pace of a run that should be complete at a deadline.

use super::{Session, Trainer};
use crate::error::TrainError;
use crate::run::write_atomic;
use crate::task::Task;
use crate::update::Update;
use burn_dragon_checkpoint::api::expert::sha256;
use std::path::Path;
use std::time::Instant;

/// Steps between two looks at the pace of a run with a deadline.
const PACE: u64 = 50;

/// Part of the steps by which a run may be late: fewer are not worth a note and a new schedule.
const SLACK: u64 = 100;

impl<T: Task, U: Update<T>> Trainer<'_, T, U> {
    /// Reduces the number of steps if the run would not be complete at its deadline. The schedule is fitted to the new
    /// number, which is written into `config.toml`.
    pub(super) fn keep_pace(&self, session: &mut Session<'_, T, U>) -> Result<(), TrainError> {
        let step = session.state.step;
        let due = step.is_multiple_of(PACE) && step < session.total_steps;
        let Some(deadline) = self.deadline.filter(|_| due) else {
            return Ok(());
        };
        let taken = session.session_units / self.plan.training.units_per_step(self.task.units_per_batch());
        let left = (deadline + session.paused)
            .saturating_duration_since(Instant::now())
            .as_secs_f64();
        let pace = taken as f64 / session.elapsed().max(1e-9);
        let possible = step + ((left * pace) as u64).max(1);
        if possible + session.total_steps / SLACK >= session.total_steps {
            return Ok(());
        }
        session.reporter.note(&format!(
            "note   the machine has become slower: {possible} steps in place of {}, so that the run is complete in time",
            session.total_steps
        ));
        write_steps(&self.run.config(), session.total_steps, possible)?;
        session.total_steps = possible;
        session.state.schedule_steps = possible;
        session.state.config_sha256 = std::fs::read(self.run.config()).ok().map(|text| sha256(&text));
        session.reporter.set_total(possible);
        Ok(())
    }
}

/// Replaces the number of steps in the configuration of a run, as it writes it.
fn write_steps(config: &Path, old: u64, new: u64) -> Result<(), TrainError> {
    let text = std::fs::read_to_string(config).map_err(TrainError::file("read", config))?;
    let line = |steps: u64| format!("\nmax_steps = {steps}\n");
    write_atomic(config, text.replacen(&line(old), &line(new), 1).as_bytes())
}
