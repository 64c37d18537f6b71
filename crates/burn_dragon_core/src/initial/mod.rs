//! Initial weights, thresholds of neurons, and a builder of parameters from weights by name.
//!
//! | what | where |
//! |---|---|
//! | the weights of a trunk by name | here |
//! | table `[model.init]` | `config.rs` |
//! | matrices of the levels: distribution, gains, communities | `matrix.rs`, `orthogonal.rs` |
//! | thresholds for a share of active neurons | `firing.rs` |
//! | parameters from weights | `builder.rs` |

mod builder;
mod config;
mod firing;
mod matrix;
mod orthogonal;

pub use builder::ParameterBuilder;
pub use config::{Gains, InitConfig, InitKind, LogNormal, Modular, Residual, Topology};
pub use firing::{Firing, FiringShares, Thresholds};

use crate::config::{DecayConfig, TrunkConfig};
use crate::positions::{PhaseStart, PopeConfig, Positions};
use crate::seed::{Rng, derive};
use burn::tensor::TensorData;
use matrix::Matrix;

/// Initial weights of a [configuration](InitConfig), by default drawn from a normal distribution with mean 0 and standard
/// deviation `init_std`. Each tensor is a function of `seed` and its name alone. Slopes that are learnt start at those of the
/// configuration; what a norm learns, and most of what a connector or a mixer learns, at values of their own.
///
/// For [`Trunk::from_weights`](crate::trunk::Trunk::from_weights), and for the other tensors of a family.
pub fn initial(config: &TrunkConfig, seed: u64) -> impl FnMut(&str, &[usize]) -> TensorData + use<> {
    let config = config.clone();
    move |name, shape| {
        let positions = config.positions;
        match (name, &config.decay) {
            ("decay", Some(decay)) => logarithms(decay, shape),
            ("phase", _) if !positions.is_of_pairs() => phases(positions, derive(seed, name, 0, 0), shape),
            _ => TensorData::new(given_or_drawn(&config, seed, name, shape), shape),
        }
    }
}

/// Values of a tensor that is given by a part, or drawn.
fn given_or_drawn(config: &TrunkConfig, seed: u64, name: &str, shape: &[usize]) -> Vec<f32> {
    let size = shape.iter().product();
    if let Some(field) = name.strip_prefix("norm.") {
        return vec![config.norm.initial(field); size];
    }
    let of_connector = name.strip_prefix("connector.");
    if let Some(values) = of_connector.and_then(|field| config.connector.initial(field, shape)) {
        return values;
    }
    let of_mixer = name.strip_prefix("mixer.").zip(config.read.mixer());
    let mut rng = Rng::new(derive(seed, name, 0, 0));
    if let Some(values) = of_mixer.and_then(|(field, mixer)| mixer.initial(field, shape, &mut rng)) {
        return values;
    }
    match Matrix::named(name, config) {
        Some(matrix) => matrix.drawn(config, seed, name),
        None => normal(std(config, name, shape), derive(seed, name, 0, 0), size),
    }
}

/// Standard deviation of a tensor beside the matrices of the levels.
fn std(config: &TrunkConfig, name: &str, shape: &[usize]) -> f64 {
    let sum = shape.iter().sum::<usize>() as f64;
    let width = config.d_model as f64;
    match (config.init.kind, name) {
        (InitKind::NearCritical, "embed") => config.init_std.min(1.0 / width.sqrt()),
        (InitKind::NearCritical, "lm_head") => config.init_std.min(1.0 / sum.sqrt()),
        (InitKind::HeGlorot, "lm_head") => (2.0 / sum).sqrt(),
        _ => config.init_std,
    }
}

fn phases(positions: Positions, seed: u64, shape: &[usize]) -> TensorData {
    let mut rng = Rng::new(seed);
    let size = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..size)
        .map(|_| match positions {
            Positions::Pope(PopeConfig {
                phase: PhaseStart::Uniform,
                ..
            }) => (-std::f64::consts::TAU * rng.uniform()) as f32,
            _ => 0.0,
        })
        .collect();
    TensorData::new(values, shape)
}

fn logarithms(decay: &DecayConfig, shape: &[usize]) -> TensorData {
    let logarithms: Vec<f64> = decay.slopes(shape[0]).into_iter().map(f64::ln).collect();
    TensorData::new(logarithms, shape).convert::<f32>()
}

/// Draws from a normal distribution with mean 0.
fn normal(std: f64, seed: u64, count: usize) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..count).map(|_| (rng.normal() * std) as f32).collect()
}

#[cfg(test)]
mod tests;
