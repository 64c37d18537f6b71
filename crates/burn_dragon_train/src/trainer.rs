//! Training loop, the same for every family.
//!
//! ```text
//! for each step:  an update is proposed -> guard -> it is applied, or dropped
//!                 now and then: a line of metrics, an evaluation, a sample, a checkpoint
//! ```

mod asked;
mod pace;
mod session;

use crate::batches::Batches;
use crate::checkpointing::{Checkpointing, Contents, Mark, TrainerState};
use crate::display::{Display, Opening};
use crate::error::TrainError;
use crate::guard::{Guard, GuardConfig, GuardPolicy, Irregularity};
use crate::interrupt::Interrupt;
use crate::optimizer::Frozen;
use crate::outcome::{Ending, Outcome, Saving};
use crate::plan::Plan;
use crate::progress::Output;
use crate::reporter::Reporter;
use crate::run::{RunFolder, RunLock};
use crate::step::{Seen, StepInput};
use crate::task::{DataPosition, Evaluation, Scope, Task};
use crate::update::{Backprop, Update};
use burn::module::Module;
use burn::tensor::Device;
use burn_dragon_checkpoint::api::expert::{Disk, Os, sha256};
use burn_dragon_core::api::FreeMemory;
use session::Session;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Trainer of one task, with one kind of [`Update`].
pub struct Trainer<'a, T: Task, U: Update<T> = Backprop> {
    task: &'a T,
    plan: Plan,
    run: &'a RunFolder,
    _ours: RunLock, // keeps other processes out
    checkpointing: Checkpointing,
    output: Output,
    interrupt: Interrupt,
    accepts_changed_data: bool,
    /// Time at which the run should be complete.
    deadline: Option<Instant>,
    display: Option<Arc<dyn Display>>,
    _update: PhantomData<U>, // made in `fit`, of the model that is given there
}

impl<'a, T: Task> Trainer<'a, T> {
    /// A trainer that writes into `run`, which it locks.
    ///
    /// # Errors
    /// If a setting is out of range, or another process trains in this run.
    pub fn new(
        task: &'a T,
        plan: Plan,
        run: &'a RunFolder,
        output: Output,
        interrupt: Interrupt,
    ) -> Result<Self, TrainError> {
        Self::with_update(task, plan, run, output, interrupt)
    }
}

impl<'a, T: Task, U: Update<T>> Trainer<'a, T, U> {
    /// Like [`new`](Trainer::new), with another [`Update`]: `Trainer::<_, Evolution>::with_update(...)`.
    ///
    /// # Errors
    /// As for [`new`](Trainer::new).
    pub fn with_update(
        task: &'a T,
        plan: Plan,
        run: &'a RunFolder,
        output: Output,
        interrupt: Interrupt,
    ) -> Result<Self, TrainError> {
        plan.validate()?;
        let checkpointing = Checkpointing::new(run, plan.checkpoint.keep, Arc::new(Os))?;
        Ok(Self {
            task,
            plan,
            run,
            _ours: run.lock()?,
            checkpointing,
            output,
            interrupt,
            accepts_changed_data: false,
            deadline: None,
            display: None,
            _update: PhantomData,
        })
    }

    /// Writes checkpoints through `disk` instead of the machine's own, for example one that fails, in a test.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn on_disk(mut self, disk: Arc<dyn Disk>) -> Result<Self, TrainError> {
        self.checkpointing = Checkpointing::new(self.run, self.plan.checkpoint.keep, disk)?;
        Ok(self)
    }

    /// Accepts changed data: the run continues at the same position in it, streams start again, and the best score is
    /// reset if the held-out part has changed.
    pub fn accepting_changed_data(mut self) -> Self {
        self.accepts_changed_data = true;
        self
    }

    /// Fits the number of steps to a deadline: if the steps that are left would take longer, there are fewer. The schedule
    /// is that of the new number, which is written into the run's `config.toml`.
    pub fn complete_by(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Shows the run on a display, whose user may pause it, save, sample and end it.
    pub fn on_display(mut self, display: Arc<dyn Display>) -> Self {
        self.display = Some(display);
        self
    }

    /// Trains from the start, or from the run's newest verified checkpoint if there is one.
    ///
    /// # Errors
    /// If a loss or gradient is not finite, the machine has too little memory, or a file cannot be written. The error
    /// of a checkpoint is returned after the step in which it was noticed. However the run ends, checkpoints that are
    /// being written are finished first.
    pub fn fit(self, model: T::Model) -> Result<(T::Model, Outcome), TrainError> {
        let ended = thread::scope(|scope| self.train(model, Batches::of(self.task, scope)));
        match (ended, self.checkpointing.wait()) {
            (ended, Ok(())) => ended,
            (Ok(_), Err(unsaved)) => Err(unsaved),
            (Err(error), Err(unsaved)) => Err(TrainError::Unsaved {
                error: Box::new(error),
                unsaved: Box::new(unsaved),
            }),
        }
    }

    fn train(&self, model: T::Model, batches: Batches<'_, T>) -> Result<(T::Model, Outcome), TrainError> {
        self.task.check_memory(FreeMemory::of_this_machine())?;
        let mut session = self.begin(model, batches)?;
        let device = device_of(&session.model);
        session.reporter.measure_machine(&device);
        session.reporter.doing(EVALUATING);
        if session.state.step == 0 {
            session.state.before = self.evaluate(
                &session,
                Scope::Sample {
                    batches: self.plan.evaluation.batches,
                },
            )?;
            session
                .reporter
                .evaluation("evaluation", 0, &session.state.before)?;
        }
        session.reporter.doing(TRAINING);
        let mut ending = self.ending(&session);
        while ending.is_none() {
            session = self.step(session)?;
            self.keep_pace(&mut session)?;
            self.after_step(&mut session)?;
            self.answer(&mut session)?;
            self.checkpointing.check()?;
            ending = self.ending(&session);
        }
        self.finish(session, ending.unwrap_or(Ending::Complete))
    }

    /// New session, from the newest checkpoint that verifies if there is one.
    fn begin<'t>(&self, model: T::Model, batches: Batches<'t, T>) -> Result<Session<'t, T, U>, TrainError> {
        self.checkpointing.sweep(self.run)?;
        let (found, passed_over) = self.checkpointing.newest()?;
        let model = Frozen::of(&self.plan.training.freeze, &model)?.apply(model);
        let mut update = U::new(&self.plan, &model)?;
        let (mut cursor, mut carry) = (self.task.cursor()?, self.task.carry(&model)?);
        let (mut model, mut state) = (model, self.first_state());
        let mut notes: Vec<String> = passed_over
            .into_iter()
            .map(|error| format!("passed over a checkpoint that cannot be verified: {error}"))
            .collect();
        if let Some(folder) = &found {
            state = self.checkpointing.read_state(folder)?;
            let (now, sample) = (self.task.identity(), self.plan.sample());
            let changed = state.recognise(now, T::keys(), sample, self.accepts_changed_data, &mut notes)?;
            model = self.task.restore(model, folder.path())?;
            if changed.is_none_or(|changed| !changed.training()) {
                self.task
                    .restore_carried(&model, &mut cursor, &mut carry, folder.path())?;
            }
            let (trained, said) = update.restore(model, folder.path())?;
            model = trained;
            notes.extend(said);
            self.checkpointing.point_again(folder, state.best_step)?;
        }
        let total_steps = self.plan.total_steps(self.task, state.done())?;
        if found.is_some() && state.schedule_steps != total_steps {
            let factor = |steps| format!("{:.3}", self.plan.schedule.factor(state.step, steps));
            let (now, before) = (factor(total_steps), factor(state.schedule_steps));
            if now != before {
                notes.push(format!(
                    "the run has {total_steps} steps now, not {}: the schedule stretches over them, so its factor \
                     continues at {now}, not {before}",
                    state.schedule_steps
                ));
            }
        }
        state.guard = self.guard().map(|_| state.guard.take().unwrap_or_default());
        state.schedule_steps = total_steps;
        state.config_sha256 = std::fs::read(self.run.config()).ok().map(|text| sha256(&text));
        state.version = env!("CARGO_PKG_VERSION").into();
        let resumed = found.map(|folder| folder.step());
        let reporter = Reporter::open(self.run, self.output, total_steps, resumed)?
            .of_a_task(self.task.unit(), self.task.figures())
            .with_events(self.plan.training.events, self.run, resumed)?;
        let mut reporter = reporter;
        if let Some(display) = &self.display {
            reporter.open_display(
                display,
                &Opening {
                    run: self.run.path(),
                    total_steps,
                    step: resumed.unwrap_or(0),
                    unit: self.task.unit(),
                    interrupt: &self.interrupt,
                },
            );
        }
        notes.iter().for_each(|note| reporter.note(note));
        Ok(Session {
            total_steps,
            saved: resumed.map(|step| (step, state.best_step)),
            model,
            batches,
            cursor,
            carry,
            update,
            state,
            reporter,
            started: Instant::now(),
            paused: Duration::ZERO,
            stepping_seconds: 0.0,
            session_units: 0,
            blocked_seconds: 0.0,
        })
    }

    /// State before the first step.
    fn first_state(&self) -> TrainerState {
        TrainerState {
            planned_units: self.plan.planned_units(self.task),
            sample: self.plan.sample(),
            identity: self.task.identity(),
            ..TrainerState::default()
        }
    }

    fn ending(&self, session: &Session<'_, T, U>) -> Option<Ending> {
        let minutes = session.elapsed() / 60.0;
        if session.state.step >= session.total_steps {
            Some(Ending::Complete)
        } else if self.interrupt.requested() {
            Some(Ending::Interrupted)
        } else if self
            .plan
            .training
            .max_minutes
            .is_some_and(|limit| minutes >= limit)
        {
            Some(Ending::TimeIsUp)
        } else {
            None
        }
    }

    /// One optimiser step.
    fn step<'t>(&self, mut session: Session<'t, T, U>) -> Result<Session<'t, T, U>, TrainError> {
        let (step, training) = (session.state.step, &self.plan.training);
        let started = Instant::now();
        let guard = Guard {
            step: step + 1,
            last_good: session.saved.map(|(step, _)| step),
            skips: self
                .guard()
                .is_some_and(|config| config.policy == GuardPolicy::Skip),
        };
        let watch = (step + 1).is_multiple_of(training.log_every);
        let place = StepInput {
            model: &session.model,
            batches: &mut session.batches,
            cursor: &mut session.cursor,
            carry: &mut session.carry,
            step,
            data: DataPosition {
                units: session.state.units,
                planned: session.state.planned_units,
            },
            watch,
        };
        let (seen, proposal) = session.update.propose(self.task, place, &guard)?;
        let Seen {
            loss,
            norm,
            mut metrics,
        } = seen;
        let factors = self.plan.schedule.factors(step, session.total_steps);
        let judged = self.guard().zip(session.state.guard.as_mut());
        let judged = judged.map(|(config, memory)| guard.judge(config, memory, (loss, norm)));
        if let Some(found) = judged.transpose()?.flatten() {
            self.skip(&mut session, step + 1, found)?;
        } else {
            session.model = session.update.apply(session.model, proposal, factors);
            session.state.train_loss = loss;
            self.task
                .after_update(&session.model, &mut session.carry, step + 1)?;
        }
        let units = training.units_per_step(self.task.units_per_batch());
        session.state.step += 1;
        session.state.units += units;
        session.session_units += units;
        session.stepping_seconds += started.elapsed().as_secs_f64();
        session
            .reporter
            .record_step(session.state.step, units, started.elapsed().as_secs_f64());
        let rate = session.update.learning_rate() * factors.learning;
        metrics.insert("learning_rate".into(), rate);
        metrics.insert("gradient_norm".into(), norm);
        if let Some(memory) = &session.state.guard {
            metrics.insert("skipped".into(), memory.skipped as f64);
        }
        for figure in self.task.figures() {
            metrics.extend(figure.factor.map(|factor| (figure.key.into(), loss * factor)));
        }
        if watch || session.state.step == session.total_steps {
            let state = &session.state;
            session.reporter.step(
                state.step,
                state.units,
                loss,
                &metrics,
                self.task.flops_per_unit(),
            )?;
        }
        Ok(session)
    }

    /// Ends a step without an update. Weights did not change, so valid memories are kept.
    fn skip(
        &self,
        session: &mut Session<'_, T, U>,
        step: u64,
        found: Irregularity,
    ) -> Result<(), TrainError> {
        session
            .reporter
            .note(&format!("step {step} was skipped: {found}"));
        if !found.is_finite() {
            let emptied = self.task.forget_damage(&mut session.carry)?;
            if emptied > 0 {
                let text = format!("memories that were not finite and were emptied: {emptied}");
                session.reporter.note(&text);
            }
        }
        Ok(())
    }

    fn guard(&self) -> Option<&GuardConfig> {
        self.plan.training.guard.as_ref()
    }

    /// Actions that are due after a step: evaluation, sample, checkpoint. After the last step they are left to the end
    /// of the run.
    fn after_step(&self, session: &mut Session<'_, T, U>) -> Result<(), TrainError> {
        let step = session.state.step;
        if step == session.total_steps {
            return Ok(());
        }
        if step.is_multiple_of(self.plan.evaluation.every) {
            self.judge(session)?;
        }
        if step.is_multiple_of(self.plan.evaluation.sample_every) {
            self.show_sample(session)?;
        }
        if step.is_multiple_of(self.plan.checkpoint.every) {
            self.save(session, true)?;
        }
        Ok(())
    }

    /// Evaluates on the fixed sample, and saves the checkpoint if it is the best so far.
    fn judge(&self, session: &mut Session<'_, T, U>) -> Result<(), TrainError> {
        session.reporter.doing(EVALUATING);
        let evaluation = self.evaluate(
            session,
            Scope::Sample {
                batches: self.plan.evaluation.batches,
            },
        )?;
        let step = session.state.step;
        session.reporter.evaluation("evaluation", step, &evaluation)?;
        let score = self.task.score(&evaluation);
        if session.state.best_score.is_none_or(|best| score < best) {
            session.state.best_score = Some(score);
            session.state.best_step = Some(step);
            self.save(session, true)?;
        }
        session.reporter.doing(TRAINING);
        Ok(())
    }

    fn evaluate(&self, session: &Session<'_, T, U>, scope: Scope) -> Result<Evaluation, TrainError> {
        self.task.evaluate(&evaluated(session), scope)
    }

    /// Saves a state that is not saved yet. A checkpoint that turns out to be the best is saved again, with this mark. It
    /// is `useful` unless an interruption is the only reason to save it.
    fn save(&self, session: &mut Session<'_, T, U>, useful: bool) -> Result<(), TrainError> {
        let started = Instant::now();
        let (step, best_step) = (session.state.step, session.state.best_step);
        if session.saved == Some((step, best_step)) {
            return Ok(());
        }
        let contents = Contents {
            model: &evaluated(session),
            cursor: &session.cursor,
            carry: &session.carry,
            update: session.update.snapshot(&session.model)?,
            state: &session.state,
        };
        let best = best_step == Some(step);
        self.checkpointing
            .save(self.task, contents, Mark { best, useful })?;
        session.saved = Some((step, best_step));
        session.blocked_seconds += started.elapsed().as_secs_f64();
        Ok(())
    }

    fn finish(
        &self,
        mut session: Session<'_, T, U>,
        ending: Ending,
    ) -> Result<(T::Model, Outcome), TrainError> {
        // The last checkpoint must not replace a waiting one.
        self.checkpointing.wait()?;
        let after = if ending == Ending::Interrupted {
            None
        } else {
            if session.session_units > 0 || session.saved.is_none() {
                self.judge(&mut session)?; // a run that was complete when it was resumed is left as it is
            }
            session.reporter.doing("evaluating on all held-out data");
            let full = self.evaluate(&session, Scope::Full)?;
            session.reporter.evaluation("final", session.state.step, &full)?;
            Some(full)
        };
        session.reporter.doing("writing the last checkpoint");
        self.save(&mut session, ending != Ending::Interrupted)?;
        self.checkpointing.wait()?;
        session.reporter.finish();
        let (checkpoints, writing_seconds) = self.checkpointing.written();
        let seconds = session.elapsed();
        let outcome = Outcome {
            ending,
            steps: session.state.step,
            units: session.state.units,
            session_units: session.session_units,
            skipped: session.state.guard.map(|memory| memory.skipped),
            train_loss: session.state.train_loss,
            before: session.state.before,
            score: after.as_ref().map(|after| self.task.score(after)),
            after,
            seconds,
            total_seconds: session.reporter.seconds(),
            units_per_second: session.session_units as f64 / session.stepping_seconds.max(1e-9),
            saving: Saving {
                checkpoints,
                blocked_seconds: session.blocked_seconds,
                writing_seconds,
            },
        };
        Ok((session.update.evaluated(session.model), outcome))
    }
}

/// Work that takes long, in words.
const TRAINING: &str = "training";
const EVALUATING: &str = "evaluating on a sample of the held-out data";

/// Model with the evaluated weights, without autodiff.
fn evaluated<T: Task, U: Update<T>>(session: &Session<'_, T, U>) -> T::Model {
    session.update.evaluated(session.model.valid())
}

/// Device of a module's first parameter.
fn device_of<M: Module>(module: &M) -> Device {
    module.devices().into_iter().next().unwrap_or_else(Device::flex)
}
