//! What becomes of a gradient: its norm, the schedule, AdamW (docs/configuration.md, `[optimizer]` and `[schedule]`).

use crate::model::Weights;
use crate::settings::{Schedule, Settings};
use std::collections::BTreeMap;
use std::f64::consts::PI;

/// A number for each number of each parameter.
pub(crate) type Gradient = BTreeMap<String, Vec<f64>>;

/// The mean of some gradients.
pub(crate) fn mean(gradients: &[Gradient]) -> Gradient {
    let of = |name: &String, index: usize| {
        let sum: f64 = gradients.iter().map(|gradient| gradient[name][index]).sum();
        sum / gradients.len() as f64
    };
    let names = gradients[0].iter();
    names
        .map(|(name, values)| {
            let means = (0..values.len()).map(|index| of(name, index));
            (name.clone(), means.collect())
        })
        .collect()
}

/// The Euclidean norm of all parameters' gradients together.
pub(crate) fn norm(gradient: &Gradient) -> f64 {
    let squares = gradient.values().flatten().map(|value| value * value);
    squares.sum::<f64>().sqrt()
}

impl Schedule {
    /// The factor on the learning rate at step `s` of `n`, both counted from 0.
    pub(crate) fn factor(self, s: u64, n: u64) -> f64 {
        let warmup = self.warmup();
        if s < warmup {
            return (s + 1) as f64 / warmup as f64;
        }
        let t = (s - warmup) as f64;
        let p = t / (n - warmup) as f64;
        match self {
            Self::Constant { .. } => 1.0,
            Self::Linear { last, .. } => last + (1.0 - last) * (1.0 - p),
            Self::Cosine { last, .. } => last + (1.0 - last) * (1.0 + (PI * p).cos()) / 2.0,
            Self::Exponential { gamma, .. } => gamma.powf(t),
            Self::Step { size, gamma, .. } => gamma.powf((t / size as f64).floor()),
            Self::Noam { .. } => (warmup as f64 / (s + 1) as f64).sqrt(),
            Self::Wsd { decay, last, .. } => {
                let into = (s + decay).saturating_sub(n) as f64 / decay as f64;
                last + (1.0 - last) * (1.0 - into)
            }
        }
    }

    fn warmup(self) -> u64 {
        match self {
            Self::Constant { warmup }
            | Self::Linear { warmup, .. }
            | Self::Cosine { warmup, .. }
            | Self::Exponential { warmup, .. }
            | Self::Step { warmup, .. }
            | Self::Noam { warmup }
            | Self::Wsd { warmup, .. } => warmup,
        }
    }
}

/// AdamW: the moments of every parameter, and the steps taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdamW {
    pub(crate) first: Gradient,
    pub(crate) second: Gradient,
    steps: i32,
}

impl AdamW {
    /// One step of every number by its own:
    ///
    /// ```text
    /// m = beta_1 m + (1 - beta_1) g        v = beta_2 v + (1 - beta_2) g^2
    /// w = w - rate decay w - rate (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + eps)
    /// ```
    pub(crate) fn step(
        &mut self,
        settings: &Settings,
        weights: &mut Weights,
        gradient: &Gradient,
        factor: f64,
    ) {
        self.steps += 1;
        let (beta_1, beta_2) = (settings.beta_1, settings.beta_2);
        let (unbias_1, unbias_2) = (1.0 - beta_1.powi(self.steps), 1.0 - beta_2.powi(self.steps));
        for (name, weight) in weights {
            let (rate, decay) = rates(settings, name, weight.shape.len(), factor);
            let zeros = || vec![0.0; weight.values.len()];
            let first = self.first.entry(name.clone()).or_insert_with(zeros);
            let second = self.second.entry(name.clone()).or_insert_with(zeros);
            for (i, w) in weight.values.iter_mut().enumerate() {
                let g = gradient[name][i];
                first[i] = beta_1 * first[i] + (1.0 - beta_1) * g;
                second[i] = beta_2 * second[i] + (1.0 - beta_2) * g * g;
                let root = (second[i] / unbias_2).sqrt() + settings.eps;
                *w = *w - rate * decay * *w - rate * (first[i] / unbias_1) / root;
            }
        }
    }
}

/// The learning rate and the decay of a parameter of so many axes: matrices decay, vectors do not, and the last group
/// that names a parameter has the last word.
fn rates(settings: &Settings, name: &str, axes: usize, factor: f64) -> (f64, f64) {
    let (mut rate, mut decay) = (settings.learning_rate * factor, settings.weight_decay);
    if axes < 2 {
        decay = 0.0;
    }
    let mut groups = settings.groups.iter().rev();
    if let Some(group) = groups.find(|group| group.parameters.contains(&name)) {
        rate *= group.learning_rate_factor;
        decay = group.weight_decay.unwrap_or(decay);
    }
    (rate, decay)
}
