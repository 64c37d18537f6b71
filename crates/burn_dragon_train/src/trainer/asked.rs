//! Requests of the user at a display: pause, checkpoint, sample, end.

use super::{Session, Trainer};
use crate::display::{Asked, Shown};
use crate::error::TrainError;
use crate::task::Task;
use crate::update::Update;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time between two questions during a pause.
const NAP: Duration = Duration::from_millis(30);

impl<T: Task, U: Update<T>> Trainer<'_, T, U> {
    /// Does what the user has asked for since the last step. Nothing of it changes the steps that follow.
    pub(super) fn answer(&self, session: &mut Session<'_, T, U>) -> Result<(), TrainError> {
        while let Some(asked) = session.reporter.asked() {
            match asked {
                Asked::Pause => self.pause(session)?,
                asked => self.act(session, asked)?,
            }
        }
        Ok(())
    }

    fn act(&self, session: &mut Session<'_, T, U>, asked: Asked) -> Result<(), TrainError> {
        match asked {
            Asked::Save => {
                self.save(session, true)?;
                let step = session.state.step;
                session.reporter.note(&format!("step {step} is being saved"));
            }
            Asked::Sample => self.show_sample(session)?,
            Asked::Quit => self.interrupt.request(),
            Asked::Pause => {}
        }
        Ok(())
    }

    /// Waits until the user goes on or ends the run. The time does not count.
    fn pause(&self, session: &mut Session<'_, T, U>) -> Result<(), TrainError> {
        let started = Instant::now();
        session.reporter.show(Shown::Paused(true));
        while !self.interrupt.requested() {
            match session.reporter.asked() {
                Some(Asked::Pause) => break,
                Some(asked) => self.act(session, asked)?,
                None => sleep(NAP),
            }
            self.checkpointing.check()?;
        }
        session.reporter.show(Shown::Paused(false));
        let paused = started.elapsed();
        session.paused += paused;
        session.reporter.paused(paused);
        Ok(())
    }

    /// Draws a sample of the model as it is, and shows it.
    pub(super) fn show_sample(&self, session: &mut Session<'_, T, U>) -> Result<(), TrainError> {
        let step = session.state.step;
        session.reporter.doing("drawing a sample");
        if let Some(sample) = self.task.sample(&super::evaluated(session), step)? {
            let files = sample.save(self.run, step)?;
            session.reporter.sample(step, &sample, &files)?;
        }
        session.reporter.doing(super::TRAINING);
        Ok(())
    }
}
