//! Implementation of `dragon train`, for every family.
//!
//! ```text
//! request -> configuration -> task -> refusals -> [one step that is timed] -> run folder -> Trainer -> summary
//! ```
//!
//! Everything that can be refused is refused before anything is written, so no incomplete run remains.

mod eval;
mod first;
mod plan;
mod report;
mod request;
mod resumption;

pub use eval::{EvalRequest, Evaluated, eval};
pub use plan::plan;
use request::RUNS;
pub use request::RunRequest;
pub(crate) use resumption::Resumption;

use crate::amounts::{count, duration};
use crate::bench_steps::BenchSteps;
use crate::config::Resolved;
use crate::error::TrainError;
use crate::family::{At, Family, config_text};
use crate::forecast::{Course, DiskForecast};
use crate::initial::InitialModel;
use crate::interrupt::Interrupt;
use crate::optimizer::Frozen;
use crate::outcome::{Ending, Outcome};
use crate::plan::Plan;
use crate::progress::Output;
use crate::pulse::Pulse;
use crate::run::{RunFolder, RunInfo, RunOutcome, RunState, write_atomic};
use crate::start::Start;
use crate::task::Task;
use crate::trainer::Trainer;
use burn::module::Module;
use burn_dragon_core::api::{FreeMemory, SelectedBackend};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Result of the verb.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// Whether the run was interrupted; its state is saved.
    pub interrupted: bool,
    /// JSON result, if it was asked for and there is one.
    pub json: Option<Value>,
}

impl Ran {
    fn to_its_end(json: Option<Value>) -> Self {
        Self {
            interrupted: false,
            json,
        }
    }
}

/// Trains a model of a family.
///
/// Lines for the user go to standard output, or to standard error if standard output is reserved for JSON. Progress
/// goes to standard error.
///
/// # Errors
/// If the configuration, the data or the machine do not allow it, and as for [`Trainer::fit`].
pub fn run<F: Family>(request: &RunRequest) -> Result<Ran, TrainError> {
    let output = Output::detect(false, request.json);
    let resumption = match &request.resume {
        Some(run) => Some(Resumption::open::<F>(run, request.accept_changed_data)?),
        None => None,
    };
    let resolved = request.resolve::<F>(resumption.as_ref())?;
    if let Some(resumption) = &resumption {
        resumption.check_settings::<F>(&resolved.value)?;
    }
    if request.print_config {
        Output {
            json: false,
            ..output
        }
        .say(resolved.explain().trim_end());
        return Ok(Ran::to_its_end(None));
    }
    let selected = request.backend.select()?;
    output.tell(&selected.to_string());
    refuse_early::<F>(request, &resolved, resumption.as_ref(), &selected)?;
    if request.is_first() {
        return first::run::<F>(request, &resolved, selected, output);
    }
    let initial = request.initial.as_ref();
    Prepared::<F>::new(&resolved, resumption, initial, selected, output)?.go(request, None)
}

/// Refuses what can be refused before data is read and memory is allocated: settings out of range, a model that does not
/// fit into the memory, checkpoints that do not fit on the disk.
fn refuse_early<F: Family>(
    request: &RunRequest,
    resolved: &Resolved<F::Config>,
    resumption: Option<&Resumption>,
    selected: &SelectedBackend,
) -> Result<(), TrainError> {
    let plan = F::plan(&resolved.value);
    plan.validate()?;
    F::check_memory(&resolved.value, &selected.device, FreeMemory::of_this_machine())?;
    let tensors = F::least_tensors(&resolved.value);
    let done = resumption.map(Resumption::done).unwrap_or_default();
    // With epochs the number of steps is known with the data.
    let steps = match plan.training.epochs {
        Some(_) => done.steps.saturating_add(1),
        None => plan.training.max_steps,
    };
    let written = Course::new(&plan, steps, done).checkpoints;
    DiskForecast::new(&plan, &tensors, 0, written, &request.place(resumption)).check()
}

/// Run before its first step: all checks are made, and nothing is written yet.
struct Prepared<F: Family> {
    config: F::Config,
    task: F::Task,
    start: Start<F::Task>,
    resumption: Option<Resumption>,
    selected: SelectedBackend,
    total_steps: u64,
    /// Whether all steps of the run are taken.
    complete: bool,
    /// Number of parameters that are trained.
    trained: u64,
    output: Output,
}

impl<F: Family> Prepared<F> {
    fn new(
        resolved: &Resolved<F::Config>,
        mut resumption: Option<Resumption>,
        initial: Option<&InitialModel>,
        selected: SelectedBackend,
        output: Output,
    ) -> Result<Self, TrainError> {
        let here = std::env::current_dir().map_err(TrainError::file("find", Path::new(".")))?;
        let device = selected.device.clone().autodiff();
        let mut config = resolved.value.clone();
        let task = F::task(
            &mut config,
            &At {
                device: &device,
                folder: &here,
                output,
                resumption: resumption.as_ref(),
                initial,
                origins: Some(&|key| resolved.origin(key)),
            },
        )?;
        if let Some(resumption) = &mut resumption {
            let data = task.identity().data;
            resumption.check_data(&config, &data)?;
            resumption.note_data(&data);
        }
        introduce::<F>(&task, output);
        let plan = F::plan(&config);
        let pulse = Pulse::start(output, "drawing the weights of the model");
        let (model, trained) = first_model(&task, &plan, initial, output)?;
        drop(pulse);
        let done = resumption.as_ref().map(Resumption::done).unwrap_or_default();
        let total_steps = plan.check(&task, &model, done)?;
        let mut start = Start::new(&task, &plan, model)?;
        let mut complete = false;
        if let Some(resumption) = &resumption {
            complete = resumption.is_complete::<F>(&config, &task, total_steps)?;
            start = resumption.restore(&task, start)?;
        }
        if complete {
            output.say(&format!(
                "the run is finished: all {total_steps} steps are taken, and nothing is trained now; train longer with \
                 --max-steps above {total_steps}"
            ));
        }
        Ok(Self {
            config,
            task,
            start,
            resumption,
            selected,
            total_steps,
            complete,
            trained,
            output,
        })
    }

    /// Trains; a run with a deadline has fewer steps if it would not be complete by then.
    fn go(self, request: &RunRequest, deadline: Option<Instant>) -> Result<Ran, TrainError> {
        if request.dry_run {
            return Ok(Ran::to_its_end(self.dry_run(request.json)?));
        }
        let interrupt = Interrupt::install()?;
        let runs = Path::new(RUNS);
        let run = match &self.resumption {
            Some(resumption) => resumption.folder().clone().among(runs),
            None => RunFolder::create(request.out.as_deref(), runs, F::NAME)?,
        };
        let (task, plan) = (&self.task, F::plan(&self.config));
        let mut trainer = Trainer::new(task, plan, &run, self.output, interrupt)?;
        if request.accept_changed_data {
            trainer = trainer.accepting_changed_data();
        }
        if let Some(deadline) = deadline {
            trainer = trainer.complete_by(deadline);
        }
        if let Some(display) = &request.display {
            trainer = trainer.on_display(Arc::clone(display));
        }
        let info = match self.complete {
            true => None, // nothing will be trained: the run stays as it is
            false => Some(self.describe(&run, request)?),
        };
        let (started, total_steps) = (Instant::now(), self.total_steps);
        let ended = trainer.fit(self.start.model);
        if let Some(info) = info {
            note_end(info, &run, &ended, total_steps, started.elapsed().as_secs_f64())?;
        }
        let (model, outcome) = ended?;
        let (sample, next) = match outcome.ending {
            Ending::Interrupted => (None, None), // who interrupts does not want to wait
            Ending::Complete | Ending::TimeIsUp => {
                let model = model.valid();
                let _pulse = Pulse::start(self.output, "drawing a sample");
                let sample = task.sample(&model, outcome.steps)?;
                (sample, F::next(task, &model, &outcome, &run)?)
            }
        };
        report::show::<F>(task, &run, &outcome, total_steps, sample, next, self.output)?;
        Ok(Ran {
            interrupted: outcome.ending == Ending::Interrupted,
            json: request.json.then(|| report::summary::<F>(task, &run, &outcome)),
        })
    }

    /// Takes one step from the current state of the run, and times it and those after it for a few seconds; nothing is
    /// written.
    fn dry_run(self, json: bool) -> Result<Option<Value>, TrainError> {
        let done = self.start.done;
        let (mut steps, model) =
            <BenchSteps<'_, F::Task>>::after(&self.task, F::plan(&self.config), self.start)?;
        let pulse = Pulse::start(self.output, "taking a step");
        let started = Instant::now();
        let (model, loss) = steps.step(model)?;
        let first = started.elapsed().as_secs_f64();
        // The first step also warms up.
        let seconds = first::seconds_per_step(&mut steps, model, DRY)?.unwrap_or(first);
        drop(pulse);
        let left = self.total_steps.saturating_sub(done.steps);
        let more = if done.steps == 0 { "" } else { " more" };
        self.output.say(&format!(
            "one step: loss {loss:.3}, {seconds:.2} s; {left}{more} steps would take about {}",
            duration(seconds * left as f64)
        ));
        let own = json!({
            "family": F::NAME,
            "train_loss": loss,
            "steps": self.total_steps,
            "steps_done": done.steps,
            "seconds_per_step": seconds,
            "bytes_per_step": self.task.bytes_per_step(),
            "trained_parameters": self.trained,
        });
        Ok(json.then(|| report::with(own, F::facts(&self.task))))
    }

    /// Writes the description of the run: configuration, the family's own files, machine, and that it has begun.
    fn describe(&self, run: &RunFolder, request: &RunRequest) -> Result<RunInfo, TrainError> {
        let commit = request.commit.as_deref();
        write_atomic(&run.config(), config_text::<F>(&self.config)?.as_bytes())?;
        F::write_files(&self.task, run)?;
        let seed = F::plan(&self.config).training.seed;
        let mut info = match RunInfo::load(&run.run_json()) {
            Ok(info) => info,
            Err(_) => {
                let device = format!("{:?}", self.selected.device);
                RunInfo {
                    commit: commit.map(Into::into),
                    initial_model: request.initial.as_ref().map(InitialModel::info),
                    ..RunInfo::now(F::NAME, self.selected.name, &device, seed)
                }
            }
        };
        let resumed = self.resumption.as_ref().filter(|run| run.point().is_some());
        let step = resumed.map_or(0, |resumption| resumption.done().steps);
        if let Some(resumption) = resumed {
            info.resumed(step, commit, &resumption.changed_parts());
        }
        let earlier = info.outcome.take().filter(|outcome| outcome.step == Some(step));
        let seconds = earlier.map_or(0.0, |outcome| outcome.seconds);
        info.outcome = Some(RunOutcome::running(self.total_steps, step, seconds));
        info.unit = Some(self.task.unit().many.into());
        info.seed = seed; // a run that died before its first checkpoint may begin again with another
        info.save(&run.run_json())?;
        Ok(info)
    }
}

/// The model before the first step, with its frozen parameters marked, and the number of parameters that are trained.
/// Says where the weights are from, and what is frozen.
fn first_model<T: Task>(
    task: &T,
    plan: &Plan,
    initial: Option<&InitialModel>,
    output: Output,
) -> Result<(T::Model, u64), TrainError> {
    let mut model = task.new_model()?;
    if let Some(initial) = initial {
        model = initial.weights(model)?;
        let info = initial.info();
        let hash = info.sha256.get(..12).unwrap_or_default();
        output.say(&format!(
            "from   the weights of {}, step {} (SHA-256 {hash}...)",
            info.model, info.step
        ));
    }
    let frozen = Frozen::of(&plan.training.freeze, &model)?;
    let (trained, all) = frozen.amounts();
    if trained < all {
        let names: Vec<&str> = frozen.names().collect();
        output.say(&format!(
            "train  {} of {} parameters; frozen: {}",
            count(trained),
            count(all),
            names.join(", ")
        ));
    }
    Ok((frozen.apply(model), trained))
}

/// Writes how the run ended, after `seconds` of this session.
fn note_end<M>(
    info: RunInfo,
    run: &RunFolder,
    ended: &Result<(M, Outcome), TrainError>,
    total_steps: u64,
    seconds: f64,
) -> Result<(), TrainError> {
    let begun = info.outcome.clone();
    let outcome = match ended {
        Ok((_, outcome)) => Some(RunOutcome::ended(
            match outcome.ending {
                Ending::Complete => RunState::Complete,
                Ending::TimeIsUp => RunState::TimeLimit,
                Ending::Interrupted => RunState::Stopped,
            },
            match outcome.ending {
                Ending::Complete => outcome.steps, // fewer than planned if it was fitted to a deadline
                _ => total_steps,
            },
            outcome.steps,
            outcome.total_seconds,
        )),
        Err(error) => begun.map(|begun| begun.failed(error, seconds)),
    };
    let noted = RunInfo { outcome, ..info }.save(&run.run_json());
    match ended {
        Ok(_) => noted,
        Err(_) => Ok(()), // the error that ended the run is the one to report
    }
}

/// Time for the steps of a dry run after the first.
const DRY: Duration = Duration::from_secs(2);

/// Prints the notes for the user before the first step.
fn introduce<F: Family>(task: &F::Task, output: Output) {
    if output.quiet {
        return;
    }
    F::introduce(task).iter().for_each(|line| output.say(line));
    F::notes(task).iter().for_each(|line| output.tell(line));
}
