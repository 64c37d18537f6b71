//! Probes: what frozen features know.
//!
//! | probe | what it asks |
//! |---|---|
//! | [`knn`] | are the nearest training rows of the same class? |
//! | [`linear`] | do hyperplanes separate the classes? (multinomial logistic regression) |
//! | [`nearest_centroid`] | is each class around its own mean? |
//! | [`effective_rank`], [`deviation`] | how many dimensions are used, and how much? (collapse) |
//! | [`foreground`] | does the token of a patch know whether something is there? |
//! | [`position`] | do features of a frame say where it is? (ridge regression) |
//!
//! Features are numbers, apart from the encoder that made them, so no probe changes it. Test rows are read once, after every
//! choice was made on training rows. The results do not depend on the number of threads.
//!
//! Say beside a figure those of its anchors, with the same probe: raw pixels, the untrained encoder, and the same encoder
//! trained with labels.

mod centroid;
mod cholesky;
mod config;
mod dense;
mod features;
mod figures;
mod knn;
mod lbfgs;
mod linear;
mod moments;
mod ridge;
mod softmax;
mod spectrum;
mod split;

pub use centroid::nearest_centroid;
pub use config::ProbeConfig;
pub use dense::{Foreground, foreground};
pub use features::{Features, Labelled};
pub use figures::{Figure, Probe, Unit, probe, table};
pub use knn::knn;
pub use linear::{LinearOutcome, linear};
pub use ridge::{PositionOutcome, position};
pub use spectrum::{deviation, effective_rank};

/// Share of predictions that equal the labels.
pub fn accuracy(predictions: &[usize], labels: &[usize]) -> f64 {
    let right = predictions.iter().zip(labels).filter(|(a, b)| a == b).count();
    right as f64 / labels.len().max(1) as f64
}

#[cfg(test)]
mod tests;
