//! A run of the trainer beside what its definition says of it.

use crate::data::Text;
use crate::definition::{HeldOut, Outcome, Run, steps};
use crate::model::Weights;
use crate::optimiser::Gradient;
use crate::randomness::{derive, normal};
use crate::run::{Files, Ground, documents};
use crate::settings::Settings;
use std::collections::{BTreeMap, BTreeSet};

/// A run of the trainer, what it began with, and what its definition says of it.
#[derive(Debug)]
pub(crate) struct Trial {
    settings: Settings,
    pub(crate) initial: Weights,
    pub(crate) files: Files,
    pub(crate) defined: Outcome,
}

/// How far a run may be from its definition: relative to each figure, and to the length of each list of numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// Of a loss, in training and held out.
    pub(crate) loss: f64,
    /// Of a gradient's norm.
    pub(crate) norm: f64,
    /// Of what training made of a parameter: the distance of two ends over that of end and start. Of moments and
    /// memories, relative to their length.
    pub(crate) weights: f64,
}

impl Trial {
    /// Trains, and computes what training should come to.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self::resumed(settings, &[])
    }

    /// The same, of a run whose process dies after the last of its steps is taken, and loses all but the checkpoint of an
    /// earlier one, from which it goes on; as often as there are steps given.
    pub(crate) fn resumed(settings: &Settings, deaths: &[u64]) -> Self {
        let (training, held_out) = (documents(11, 14), documents(23, 5));
        let ground = Ground::new(settings, &training, &held_out);
        let (mut initial, mut files) = ground.train();
        for &step in deaths {
            ground.dies_after(step);
            (initial, files) = ground.train();
        }
        let text = Text::new(&training, &training);
        let held_out = Text::new(&held_out, &training);
        let settings = Settings {
            steps: steps(settings, &text),
            ..settings.clone()
        };
        let defined = Run::new(&settings, &text, &held_out, initial.clone()).outcome();
        Self {
            settings,
            initial,
            files,
            defined,
        }
    }

    /// Every figure and every file as the definition has it.
    #[track_caller]
    pub(crate) fn holds(&self, tolerance: Tolerance) {
        self.start();
        self.figures(tolerance);
        self.weights(tolerance);
        self.checkpoints();
        let defined = &self.defined;
        let moments = |which: &str, gradient: &Gradient| {
            let named = gradient.iter();
            named
                .map(|(name, values)| (format!("{name}.{which}"), values.clone()))
                .collect::<Vec<_>>()
        };
        let mut expected = moments("first", &defined.optimiser.first);
        expected.extend(moments("second", &defined.optimiser.second));
        same_lists(
            &self.files.moments,
            &expected.into_iter().collect(),
            tolerance.weights,
        );
        let mut memories = BTreeMap::<String, Vec<f64>>::new();
        for (level, rhos) in defined.memories.iter().flat_map(|row| row.iter().enumerate()) {
            let values = rhos.iter().flat_map(|rho| rho.values.iter().copied());
            memories
                .entry(format!("level_{level}.rho"))
                .or_default()
                .extend(values);
        }
        same_lists(&self.files.memories, &memories, tolerance.weights);
    }

    /// The lines of `metrics.jsonl`: one for each step, one for each evaluation, each in its place.
    #[track_caller]
    fn figures(&self, tolerance: Tolerance) {
        let mut expected = Vec::new();
        for step in 0..=self.defined.steps.len() as u64 {
            let watched = step.is_multiple_of(self.settings.log_every);
            let told = watched || step == self.settings.steps;
            if let Some(at) = step.checked_sub(1).filter(|_| told) {
                let figures = &self.defined.steps[at as usize];
                let exactly = 1e-12;
                let mut line = vec![
                    ("loss", figures.loss, tolerance.loss),
                    ("bits_per_byte", figures.bits_per_byte, tolerance.loss),
                    ("gradient_norm", figures.gradient_norm, tolerance.norm),
                    ("learning_rate", figures.learning_rate, exactly),
                    ("units", figures.tokens as f64, exactly),
                ];
                if watched {
                    // Single neurons may be on the other side of zero.
                    line.push(("x_density", figures.density[0], 0.02));
                    line.push(("y_density", figures.density[1], 0.02));
                }
                expected.push(((step, "train"), line));
            }
            if let Some(figures) = self.defined.evaluations.get(&step) {
                expected.push(((step, "evaluation"), held_out(figures, tolerance)));
            }
        }
        let last = held_out(&self.defined.last, tolerance);
        expected.push(((self.defined.steps.len() as u64, "final"), last));
        let lines = self.files.lines.iter();
        let given: Vec<_> = lines
            .map(|line| (line["step"].as_u64().unwrap(), line["kind"].as_str().unwrap()))
            .collect();
        let wanted: Vec<_> = expected.iter().map(|(place, _)| *place).collect();
        assert_eq!(given, wanted);
        for (line, (place, figures)) in self.files.lines.iter().zip(expected) {
            for (name, expected, tolerance) in figures {
                let given = line[name].as_f64().unwrap();
                let apart = ((given - expected) / expected).abs();
                assert!(
                    apart <= tolerance,
                    "{name} at {place:?}: {given}, by definition {expected}"
                );
            }
        }
    }

    /// The weights that the run began with: drawn from a normal distribution, each parameter from a seed of its own.
    #[track_caller]
    fn start(&self) {
        for (name, weight) in &self.initial {
            let shape = &self.settings.shape;
            let drawn = match (name.as_str(), &shape.decay) {
                ("decay", Some(decay)) => decay.slopes.iter().map(|slope| slope.ln()).collect(),
                _ => normal(
                    derive(self.settings.seed, name, 0, 0),
                    shape.init_std,
                    weight.values.len(),
                ),
            };
            let zeros = vec![0.0; drawn.len()];
            let apart = distance(&weight.values, &drawn) / distance(&drawn, &zeros);
            assert!(apart < 1e-7, "{name} begins {apart} of its length apart");
        }
    }

    /// The newest are kept, and the one of the lowest held-out loss.
    #[track_caller]
    fn checkpoints(&self) {
        let after_steps = self.defined.evaluations.range(1..);
        let best = after_steps.min_by(|a, b| a.1.loss.total_cmp(&b.1.loss));
        let best = *best.unwrap().0;
        assert_eq!(self.files.best, best);
        let (every, keep) = self.settings.checkpoint;
        let mut saved = self.defined.improvements();
        saved.extend((1..self.settings.steps).filter(|step| step.is_multiple_of(every)));
        saved.insert(self.settings.steps);
        let mut kept: BTreeSet<u64> = saved.into_iter().rev().take(keep).collect();
        kept.insert(best);
        assert_eq!(self.files.checkpoints, kept);
    }

    #[track_caller]
    fn weights(&self, tolerance: Tolerance) {
        assert!(self.files.weights.keys().eq(self.defined.weights.keys()));
        for (name, apart) in self.apart(&self.defined) {
            assert!(apart <= tolerance.weights, "{name}: {apart} of its way apart");
        }
    }

    /// How far each parameter of the run ended from where `other` says, relative to the way it came; of one that was to
    /// stay, simply how far.
    pub(crate) fn apart(&self, other: &Outcome) -> BTreeMap<String, f64> {
        let of = |name: &String| {
            let [start, given, expected] =
                [&self.initial, &self.files.weights, &other.weights].map(|weights| &weights[name].values);
            let (apart, way) = (distance(given, expected), distance(expected, start));
            (name.clone(), if way == 0.0 { apart } else { apart / way })
        };
        self.initial.keys().map(of).collect()
    }
}

fn held_out(figures: &HeldOut, tolerance: Tolerance) -> Vec<(&'static str, f64, f64)> {
    let carried = figures.reset_bits_per_byte;
    let mut all = vec![
        ("loss", figures.loss, tolerance.loss),
        ("bits_per_byte", figures.bits_per_byte, tolerance.loss),
    ];
    all.extend(carried.map(|bits| ("reset_bits_per_byte", bits, tolerance.loss)));
    all
}

#[track_caller]
fn same_lists(given: &BTreeMap<String, Vec<f64>>, expected: &BTreeMap<String, Vec<f64>>, tolerance: f64) {
    assert!(
        given.keys().eq(expected.keys()),
        "{:?} {:?}",
        given.keys(),
        expected.keys()
    );
    for (name, expected) in expected {
        let zeros = vec![0.0; expected.len()];
        let apart = distance(&given[name], expected) / distance(expected, &zeros).max(1e-12);
        assert!(apart <= tolerance, "{name}: {apart} of its length apart");
    }
}

#[track_caller]
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}
