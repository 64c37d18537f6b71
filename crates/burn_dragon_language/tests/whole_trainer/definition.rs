//! A training run by its definition: what the trainer is compared with.
//!
//! ```text
//! for each step:  the mean of the gradients over `accumulate` batches; its norm; clipped; AdamW at the schedule's rate
//! now and then:   the loss of held-out text
//! ```

use crate::data::{Order, Row, Text};
use crate::model::{Memory, Model, Pass, Weights, off_tape, on_tape};
use crate::optimiser::{AdamW, Gradient, mean, norm};
use crate::randomness::{Masks, derive};
use crate::settings::{Precision, Settings};
use crate::streams::{Streams, Windows};
use crate::tape::{Matrix, Rounding, Tape, Var, bf16, exact};
use burn::tensor::Device;
use burn_dragon_train::api::TrainingPrecision;
use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::LN_2;

/// What a line of `metrics.jsonl` says of a step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) loss: f64,
    pub(crate) gradient_norm: f64,
    pub(crate) learning_rate: f64,
    pub(crate) bits_per_byte: f64,
    pub(crate) tokens: u64,
    /// Of x and of y, in the last batch's last window as its first row is read from nothing.
    pub(crate) density: [f64; 2],
}

/// What a line says of held-out text.
#[derive(Clone, Debug)]
pub(crate) struct HeldOut {
    pub(crate) loss: f64,
    pub(crate) bits_per_byte: f64,
    /// The same where every window begins with an empty memory; of runs that carry theirs.
    pub(crate) reset_bits_per_byte: Option<f64>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) steps: Vec<Step>,
    /// By the steps before it, on the sample.
    pub(crate) evaluations: BTreeMap<u64, HeldOut>,
    /// On all held-out text, at the end.
    pub(crate) last: HeldOut,
    pub(crate) weights: Weights,
    pub(crate) optimiser: AdamW,
    /// What rows remember at the end, where they do.
    pub(crate) memories: Vec<Memory<Matrix>>,
}

impl Outcome {
    /// The steps of evaluations whose loss was lower than any before, the one before the first step apart.
    pub(crate) fn improvements(&self) -> BTreeSet<u64> {
        let mut lowest = f64::INFINITY;
        let mut improvements = BTreeSet::new();
        for (&step, figures) in self.evaluations.range(1..) {
            if figures.loss < lowest {
                lowest = figures.loss;
                improvements.insert(step);
            }
        }
        improvements
    }
}

/// The steps that a run takes: those asked for, or so many that its epochs are read to the end.
pub(crate) fn steps(settings: &Settings, text: &Text) -> u64 {
    let Some(epochs) = settings.epochs else {
        return settings.steps;
    };
    let (of_epoch, windows) = match &settings.streams {
        // Every token of a document but its first is predicted once.
        Some(streams) => (text.ids.len() - text.starts.len(), streams.backprop),
        None => {
            let order = Order::new(text, settings.block_size, settings, 0);
            (order.count as usize * settings.block_size, 1)
        }
    };
    let of_step = settings.accumulate * settings.batch_size * settings.block_size * windows;
    (epochs * of_epoch as f64 / of_step as f64).ceil() as u64
}

/// A run that goes on.
pub(crate) struct Run<'a> {
    settings: &'a Settings,
    text: &'a Text,
    held_out: &'a Text,
    order: Order,
    streams: Option<Streams>,
    weights: Weights,
}

impl<'a> Run<'a> {
    pub(crate) fn new(settings: &'a Settings, text: &'a Text, held_out: &'a Text, weights: Weights) -> Self {
        let windows = settings.steps * (settings.accumulate * settings.batch_size) as u64;
        Self {
            order: Order::new(text, settings.block_size, settings, windows),
            streams: settings
                .streams
                .as_ref()
                .map(|streaming| Streams::new(streaming, settings, text)),
            settings,
            text,
            held_out,
            weights,
        }
    }

    /// All its steps.
    pub(crate) fn outcome(mut self) -> Outcome {
        let settings = self.settings;
        let (every, batches) = settings.evaluation;
        let sample = batches * settings.batch_size;
        let mut optimiser = AdamW::default();
        let mut evaluations = BTreeMap::from([(0, self.held_out(sample))]);
        let mut steps: Vec<Step> = Vec::new();
        for step in 0..settings.steps {
            let (gradient, mut figures) = self.step(step);
            let factor = settings.schedule.factor(step, settings.steps);
            figures.learning_rate = settings.learning_rate * factor;
            figures.tokens += steps.last().map_or(0, |last| last.tokens);
            optimiser.step(settings, &mut self.weights, &gradient, factor);
            steps.push(figures);
            if (step + 1).is_multiple_of(every) || step + 1 == settings.steps {
                evaluations.insert(step + 1, self.held_out(sample));
            }
        }
        Outcome {
            steps,
            evaluations,
            last: self.held_out(usize::MAX),
            weights: self.weights,
            optimiser,
            memories: self.streams.map_or_else(Vec::new, |streams| streams.memories),
        }
    }

    /// The gradient that the optimiser takes, and what was seen on the way to it.
    fn step(&mut self, step: u64) -> (Gradient, Step) {
        let settings = self.settings;
        let (mut losses, mut gradients, mut density) = (Vec::new(), Vec::new(), [0.0; 2]);
        let mut tokens = 0;
        for micro in 0..settings.accumulate as u64 {
            let batch = self.batch(step * settings.accumulate as u64 + micro);
            let seed = derive(settings.seed, "dropout", step, micro);
            density = self.density(&batch.rows[batch.rows.len() - 1][0]);
            let (loss, gradient, learnt) = self.learn(&batch, seed);
            losses.push(loss);
            gradients.push(gradient);
            tokens += learnt;
        }
        let (loss, gradient) = (losses.iter().sum::<f64>() / losses.len() as f64, mean(&gradients));
        let gradient_norm = norm(&gradient);
        let clipped = match settings.clip_norm {
            Some(limit) if gradient_norm > limit => limit / gradient_norm,
            _ => 1.0,
        };
        let gradient = gradient
            .into_iter()
            .map(|(name, values)| (name, values.iter().map(|value| value * clipped).collect()));
        let figures = Step {
            loss,
            gradient_norm,
            learning_rate: f64::NAN,
            bits_per_byte: loss / LN_2 * self.text.ids.len() as f64 / self.text.bytes() as f64,
            tokens,
            density,
        };
        (gradient.collect(), figures)
    }

    /// The windows of batch `index` of the run, in the order they are read.
    fn batch(&mut self, index: u64) -> Windows {
        if let Some(streams) = &mut self.streams {
            return streams.batch(index, self.text);
        }
        let rows = self.settings.batch_size;
        let row = |row: usize| {
            let window = self.order.window(index * rows as u64 + row as u64);
            self.text.row(window, Vec::new())
        };
        Windows {
            memories: (0..rows).collect(),
            rows: vec![(0..rows).map(row).collect()],
        }
    }

    /// The loss of a batch, its gradient, and the tokens it learnt from; memories take in what it held.
    fn learn(&mut self, batch: &Windows, seed: u64) -> (f64, Gradient, u64) {
        let (settings, tape) = (self.settings, Tape::default());
        let model = Model::new(&tape, &settings.shape, &self.weights);
        let mut rows: Vec<(Memory<Var>, usize)> = self.remembered(&tape, &batch.memories);
        let filling = settings
            .streams
            .as_ref()
            .map_or(0, |streams| streams.unroll - streams.backprop);
        let (mut losses, mut learnt) = (Vec::new(), 0);
        for (place, window) in batch.rows.iter().enumerate() {
            let masks = Masks {
                seed: match place {
                    0 => seed,
                    _ => derive(seed, "window", 0, place as u64),
                },
                probability: settings.shape.dropout,
            };
            for (row, (window, (memory, clock))) in window.iter().zip(&mut rows).enumerate() {
                let pass = Pass {
                    row,
                    start: *clock,
                    resets: &window.resets,
                    masks: Some(masks),
                    credit: settings.credit,
                    rounding: rounding(settings.precision),
                    rounding_of_x: rounding_of_x(settings),
                };
                let read = model.read_on(&window.inputs, &pass, memory);
                *memory = read.memory;
                *clock += window.inputs.len();
                if place < filling {
                    // What only fills the memory is a constant to what learns.
                    *memory = on_tape(&tape, &off_tape(&tape, memory));
                } else {
                    losses.push(tape.cross_entropy(read.logits, &window.targets));
                    learnt += window.targets.len() as u64;
                }
            }
        }
        if let Some(streams) = &mut self.streams {
            for (&index, (memory, clock)) in batch.memories.iter().zip(&rows) {
                streams.memories[index] = off_tape(&tape, memory);
                streams.clocks[index] = *clock;
            }
        }
        let loss = tape.mean(&losses);
        let gradient = model.gradients(&tape.gradients(loss));
        (tape.value(loss).at(0, 0), gradient, learnt)
    }

    /// What rows begin a batch with: memories, as constants, and the position of the next token.
    fn remembered(&self, tape: &Tape, memories: &[usize]) -> Vec<(Memory<Var>, usize)> {
        let nothing = Model::no_memory(&self.settings.shape);
        let row = |&index: &usize| match &self.streams {
            Some(streams) => (on_tape(tape, &streams.memories[index]), streams.clocks[index]),
            None => (on_tape(tape, &nothing), 0),
        };
        memories.iter().map(row).collect()
    }

    /// The shares of x and y above zero in a window, mean over levels.
    fn density(&self, row: &Row) -> [f64; 2] {
        let tape = Tape::default();
        let model = Model::new(&tape, &self.settings.shape, &self.weights);
        let pass = Pass {
            resets: &row.resets,
            ..Pass::plain()
        };
        let active = model.read(&row.inputs, &pass).active;
        let share = |which: usize| active.iter().map(|shares| shares[which]).sum::<f64>();
        [share(0), share(1)].map(|sum| sum / active.len() as f64)
    }

    /// Figures of at most so many windows of held-out text; with carried memory, of as much text as they have.
    fn held_out(&self, windows: usize) -> HeldOut {
        let (settings, text) = (self.settings, self.held_out);
        let (loss, bits_per_byte) = self.judged(&text.windows(settings.block_size, windows));
        if settings.streams.is_none() {
            return HeldOut {
                loss,
                bits_per_byte,
                reset_bits_per_byte: None,
            };
        }
        let predicted = windows.saturating_mul(settings.block_size);
        let (loss, carried) = self.judged(&text.leading(predicted));
        HeldOut {
            loss,
            bits_per_byte: carried,
            reset_bits_per_byte: Some(bits_per_byte),
        }
    }

    /// Nats a token and bits a byte of pieces of text that know nothing of each other, all but their first tokens.
    fn judged(&self, pieces: &[&[usize]]) -> (f64, f64) {
        let (mut nats, mut tokens, mut bytes) = (0.0, 0, 0);
        for ids in pieces {
            let tape = Tape::default();
            let model = Model::new(&tape, &self.settings.shape, &self.weights);
            let (inputs, targets) = (&ids[..ids.len() - 1], &ids[1..]);
            let loss = tape.cross_entropy(model.read(inputs, &Pass::plain()).logits, targets);
            nats += tape.value(loss).at(0, 0) * targets.len() as f64;
            tokens += targets.len();
            bytes += targets
                .iter()
                .map(|&id| self.held_out.byte_len[id])
                .sum::<usize>();
        }
        (nats / tokens as f64, nats / LN_2 / bytes as f64)
    }
}

fn rounding(precision: Precision) -> Rounding {
    match precision {
        Precision::F32 => exact,
        Precision::Bf16 => bf16,
    }
}

/// A processor with products of bf16 keeps x, and its gradient through y, in bf16, unless slopes are learnt.
fn rounding_of_x(settings: &Settings) -> Rounding {
    let learns_slopes = settings.shape.decay.as_ref().is_some_and(|decay| decay.learnable);
    let mut fastest = TrainingPrecision::Auto;
    let _ = fastest.settle(&Device::flex(), None);
    match settings.precision {
        Precision::Bf16 if fastest == TrainingPrecision::Bf16 && !learns_slopes => bf16,
        _ => exact,
    }
}
