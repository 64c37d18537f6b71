//! Reports of a run: lines for the user, and `metrics.jsonl` for programs.

use crate::amounts::sparkline;
use crate::display::{Asked, Display, Opening, Shown};
use crate::error::TrainError;
use crate::events::EventFile;
use crate::figures::{Figure, Unit, figure, told};
use crate::progress::{Output, Progress, StepReport};
use crate::pulse::Pulse;
use crate::records::is_told;
use crate::run::{MetricsLog, RunFolder, RunInfo, STEP, metrics};
use crate::sample::Sample;
use crate::settings::EventFormat;
use crate::task::{Evaluation, Metrics};
use burn::tensor::{Device, Tensor};
use burn_dragon_kernel::api::machine;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Line of `metrics.jsonl`. Everything but `time` is a function of configuration, data and seed.
#[derive(Serialize)]
struct Written<'a> {
    step: u64,
    kind: &'a str,
    loss: f64,
    #[serde(flatten)]
    metrics: &'a Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<u64>,
    time: Times,
}

/// Values that differ between two runs of one seed.
#[derive(Serialize)]
struct Times {
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    units_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    utilisation: Option<f64>,
}

/// Reporter of one run.
#[derive(Debug)]
pub(crate) struct Reporter {
    metrics: MetricsLog,
    events: Option<EventFile>,
    progress: Progress,
    /// Evaluations that are in the file. A resumed run may repeat the one during which it stopped.
    told: BTreeSet<(u64, String)>,
    total_steps: u64,
    unit: Unit,
    figures: Vec<Figure>,
    started: Instant,
    /// Losses of the evaluations on the sample, in order.
    evaluated: Vec<f64>,
    /// Seconds of the sessions before this one, up to the checkpoint from which the run resumes.
    earlier_seconds: f64,
    /// Units and seconds of the steps since the last line.
    recent: (u64, f64),
    seconds_per_step: Option<f64>,
    peak_flops: Option<f64>,
    /// Time of pauses.
    paused: Duration,
    /// Tells what is done where nothing else is told; `None` on a quiet output.
    pulse: Option<Pulse>,
}

impl Reporter {
    /// A reporter for a new run, or for one that resumes from the checkpoint of step `resumed`.
    pub(crate) fn open(
        run: &RunFolder,
        output: Output,
        total_steps: u64,
        resumed: Option<u64>,
    ) -> Result<Self, TrainError> {
        // A run that ended before its first checkpoint starts again, and so does its file.
        let metrics = MetricsLog::resume(run.metrics(), resumed.unwrap_or(0))?;
        let lines = MetricsLog::read(run.metrics())?;
        let told = lines.iter().filter_map(|line| {
            let kind = line.get("kind").and_then(Value::as_str)?;
            Some((line.get(STEP).and_then(Value::as_u64)?, kind.to_string()))
        });
        let progress = Progress::new(total_steps, resumed.unwrap_or(0), output);
        Ok(Self {
            metrics,
            events: None,
            told: told.collect(),
            pulse: (!output.quiet).then(|| Pulse::idle(progress.teller())),
            progress,
            paused: Duration::ZERO,
            total_steps,
            unit: Unit::SAMPLE,
            figures: Vec::new(),
            started: Instant::now(),
            evaluated: evaluated_losses(&lines),
            earlier_seconds: earlier_seconds(run, &lines, resumed),
            recent: (0, 0.0),
            seconds_per_step: None,
            peak_flops: None,
        })
    }

    /// Sets the unit and the figures of a task.
    pub(crate) fn of_a_task(self, unit: Unit, figures: Vec<Figure>) -> Self {
        Self {
            unit,
            figures,
            ..self
        }
    }

    /// Writes event files beside `metrics.jsonl`, if a format is asked for.
    pub(crate) fn with_events(
        self,
        format: Option<EventFormat>,
        run: &RunFolder,
        resumed: Option<u64>,
    ) -> Result<Self, TrainError> {
        let events = match format {
            Some(EventFormat::Tensorboard) => Some(EventFile::create(run, resumed)?),
            None => None,
        };
        Ok(Self { events, ..self })
    }

    /// Measures the peak FLOP/s of the device, for the utilisation that is shown.
    pub(crate) fn measure_machine(&mut self, device: &Device) {
        self.peak_flops = peak_flops(&device.clone().inner());
    }

    pub(crate) fn note(&self, text: &str) {
        self.progress.note(text);
    }

    /// Shows the run on a display.
    pub(crate) fn open_display(&mut self, display: &Arc<dyn Display>, opening: &Opening<'_>) {
        self.progress.open(display, opening);
        self.pulse = self.pulse.take().map(|_| Pulse::idle(self.progress.teller()));
    }

    /// Shows something on the display, if there is one.
    pub(crate) fn show(&self, shown: Shown<'_>) {
        self.progress.show(shown);
    }

    /// Next request of the user at the display, if there is one.
    pub(crate) fn asked(&self) -> Option<Asked> {
        self.progress.asked()
    }

    /// Names the work that follows, which is told if nothing else is for some seconds.
    pub(crate) fn doing(&self, what: &'static str) {
        self.pulse.iter().for_each(|pulse| pulse.doing(what));
    }

    /// Leaves a pause out of the time of training.
    pub(crate) fn paused(&mut self, time: Duration) {
        self.paused += time;
    }

    /// Changes the number of steps of the run.
    pub(crate) fn set_total(&mut self, total_steps: u64) {
        self.total_steps = total_steps;
        self.progress.set_total(total_steps);
    }

    /// Counts a step for the rates of the next line.
    pub(crate) fn record_step(&mut self, step: u64, units: u64, seconds: f64) {
        self.progress.position(step);
        self.pulse
            .iter()
            .for_each(|pulse| pulse.at(step, self.total_steps));
        self.recent.0 += units;
        self.recent.1 += seconds;
        let smooth = self
            .seconds_per_step
            .map_or(seconds, |old| 0.9 * old + 0.1 * seconds);
        self.seconds_per_step = Some(smooth);
    }

    /// Reports training figures.
    pub(crate) fn step(
        &mut self,
        step: u64,
        units: u64,
        loss: f64,
        metrics: &Metrics,
        flops_per_unit: u64,
    ) -> Result<(), TrainError> {
        let rate = self.recent.0 as f64 / self.recent.1.max(1e-9);
        let utilisation = self
            .peak_flops
            .filter(|_| flops_per_unit > 0)
            .map(|peak| rate * flops_per_unit as f64 / peak);
        let known = |figure: &Figure| Some((*figure, *metrics.get(figure.key)?));
        self.recent = (0, 0.0);
        let report = StepReport {
            step,
            loss,
            learning_rate: metrics.get("learning_rate").copied().unwrap_or_default(),
            gradient_norm: metrics.get("gradient_norm").copied().unwrap_or_default(),
            unit: self.unit,
            units_per_second: rate,
            utilisation,
            figures: self.figures.iter().filter_map(known).collect(),
            eta_seconds: self.seconds_per_step.unwrap_or_default() * (self.total_steps - step) as f64,
        };
        self.progress.update(&report);
        self.progress.show(Shown::Step {
            report: &report,
            metrics,
        });
        self.pulse.iter().for_each(Pulse::told);
        if let Some(events) = &mut self.events {
            let rates = [("units_per_second", Some(rate)), ("utilisation", utilisation)];
            let rates = rates.into_iter().filter_map(|(key, value)| Some((key, value?)));
            let metrics = metrics.iter().map(|(key, value)| (key.as_str(), *value));
            events.numbers(
                step,
                "train",
                [("loss", loss)].into_iter().chain(metrics).chain(rates),
            )?;
        }
        let time = Times {
            seconds: self.seconds(),
            units_per_second: Some(rate),
            utilisation,
        };
        self.metrics.append(&Written {
            step,
            kind: "train",
            loss,
            metrics,
            units: Some(units),
            time,
        })
    }

    /// Reports held-out figures: of a sample of the held-out data, or of all of it. On a terminal they are one short line
    /// with the course of the loss.
    pub(crate) fn evaluation(
        &mut self,
        kind: &'static str,
        step: u64,
        evaluation: &Evaluation,
    ) -> Result<(), TrainError> {
        let of_sample = kind == EVALUATION;
        let extent = if of_sample { "a sample of" } else { "all" };
        let figures = self.told_figures(&evaluation.metrics);
        let loss = figure(evaluation.loss);
        if of_sample {
            self.evaluated.push(evaluation.loss);
        }
        self.progress.show(Shown::Evaluation {
            step,
            loss: evaluation.loss,
            metrics: &evaluation.metrics,
        });
        match self.progress.is_live() {
            true => {
                let curve = sparkline(&self.evaluated, CURVE);
                let few = figures.iter().take(SHORT).cloned().collect::<Vec<_>>().join("  ");
                let held_out = if of_sample {
                    "held-out sample"
                } else {
                    "all held-out data"
                };
                self.note(&format!("step {step}  {held_out}: loss {loss}  {few}  {curve}"));
            }
            false => self.note(&format!(
                "{kind} at step {step}, on {extent} the held-out data: loss {loss}  {}",
                figures.join("  ")
            )),
        }
        if !self.told.insert((step, kind.to_string())) {
            return Ok(());
        }
        let time = Times {
            seconds: self.seconds(),
            units_per_second: None,
            utilisation: None,
        };
        let metrics = &evaluation.metrics;
        if let Some(events) = &mut self.events {
            let metrics = metrics.iter().map(|(key, value)| (key.as_str(), *value));
            events.numbers(step, kind, [("loss", evaluation.loss)].into_iter().chain(metrics))?;
        }
        self.metrics.append(&Written {
            step,
            kind,
            loss: evaluation.loss,
            metrics,
            units: None,
            time,
        })
    }

    /// Metrics as text, those with a figure of the task first, in its order.
    fn told_figures(&self, metrics: &Metrics) -> Vec<String> {
        let place = |key: &str| self.figures.iter().position(|figure| figure.key == key);
        // Figures by level or distance are for pages, not for a line.
        let mut keys: Vec<&String> = metrics.keys().filter(|key| is_told(key)).collect();
        keys.sort_by_key(|key| place(key).unwrap_or(usize::MAX));
        let text = |key: &String| told(&self.figures, key, metrics[key]);
        keys.into_iter().map(text).collect()
    }

    /// Shows a sample, and the paths of its files.
    pub(crate) fn sample(&mut self, step: u64, sample: &Sample, files: &[PathBuf]) -> Result<(), TrainError> {
        let mut told = vec![format!("sample at step {step}:")];
        let text = sample.text.iter().flat_map(|text| text.lines());
        told.extend(text.map(|line| format!("  | {line}")));
        told.extend(files.iter().map(|path| format!("  {}", path.display())));
        if let Some(text) = &sample.text {
            self.progress.show(Shown::Sample { step, text });
        }
        self.progress.keep(&told.join("\n"));
        match (&mut self.events, &sample.text) {
            (Some(events), Some(text)) => events.text(step, text),
            _ => Ok(()),
        }
    }

    pub(crate) fn finish(&self) {
        self.progress.finish();
    }

    /// Seconds of training so far, of all sessions.
    pub(crate) fn seconds(&self) -> f64 {
        self.earlier_seconds + self.started.elapsed().saturating_sub(self.paused).as_secs_f64()
    }
}

/// Kind of an evaluation on the sample.
const EVALUATION: &str = "evaluation";

/// Most evaluations in the course of the loss on a line.
const CURVE: usize = 16;

/// Number of figures beside the loss on a short line.
const SHORT: usize = 2;

/// Losses of the evaluations on the sample that are in the file of a resumed run.
fn evaluated_losses(lines: &[crate::run::Line]) -> Vec<f64> {
    let of_sample = |line: &&crate::run::Line| line.get("kind").and_then(Value::as_str) == Some(EVALUATION);
    let losses = lines.iter().filter(of_sample);
    losses
        .filter_map(|line| line.get("loss").and_then(Value::as_f64))
        .collect()
}

/// Seconds of training up to the checkpoint of step `resumed`: those of the last line, or those at which the run ended,
/// if that was at this step.
fn earlier_seconds(run: &RunFolder, lines: &[metrics::Line], resumed: Option<u64>) -> f64 {
    let of_lines = lines.iter().filter_map(metrics::seconds).fold(0.0, f64::max);
    let outcome = RunInfo::load(&run.run_json()).ok().and_then(|info| info.outcome);
    let of_the_end = outcome.filter(|outcome| resumed.is_some() && outcome.step == resumed);
    of_the_end.map_or(of_lines, |outcome| outcome.seconds.max(of_lines))
}

/// Peak FLOP/s of a device: for the processor its multiply-adds, for another device the rate of a square product.
pub(crate) fn peak_flops(device: &Device) -> Option<f64> {
    if *device == Device::flex() {
        static MEASURED: OnceLock<Option<f64>> = OnceLock::new(); // a machine does not become another
        let measure = || Some(machine::peak_flops(machine::threads()).ok()?.flops_per_second);
        return *MEASURED.get_or_init(measure);
    }
    product_flops(device)
}

/// FLOP/s of a square f32 product: the best of a few, after one to warm up.
fn product_flops(device: &Device) -> Option<f64> {
    const SIZE: usize = 768;
    let matrix = Tensor::<2>::ones([SIZE, SIZE], device);
    let seconds = (0..4).map(|_| {
        let started = Instant::now();
        let sum = matrix.clone().matmul(matrix.clone()).sum().into_scalar::<f32>();
        if sum > 0.0 {
            started.elapsed().as_secs_f64()
        } else {
            f64::INFINITY
        }
    });
    let best = seconds.skip(1).fold(f64::INFINITY, f64::min);
    (best.is_finite() && best > 0.0).then(|| 2.0 * (SIZE as f64).powi(3) / best)
}
