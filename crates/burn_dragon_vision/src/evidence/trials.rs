//! Trials: how well, and after how many steps, turned objects are recognised.

use super::memory::Memory;
use super::plane::angle_between;
use super::recognise::{End, recognise};
use super::rules::Rules;
use crate::picture::Picture;
use burn_dragon_core::api::expert::{Rng, derive};
use rayon::prelude::*;
use std::f64::consts::TAU;

/// Figures of recognitions with one number of columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trials {
    /// Number of columns.
    pub columns: usize,
    /// Number of recognitions.
    pub count: usize,
    /// Share that named the right object.
    pub accuracy: f64,
    /// Share that ended in a match, right or wrong, before time was out.
    pub matched: f64,
    /// Mean number of steps.
    pub steps: f64,
    /// Median of the error of the rotation where the object is right, in degrees, 0 to 180; NaN if none is.
    pub rotation_error: f64,
}

/// Recognises each object of a memory `turns` times, each time turned by another random angle. `picture` gives the picture of
/// an object that is turned by an angle in radians.
///
/// Rotations and starts do not depend on the number of columns, so that numbers of columns can be compared.
pub fn trials(
    memory: &Memory,
    picture: &(dyn Fn(usize, f64) -> Picture + Sync),
    columns: usize,
    turns: usize,
    rules: &Rules,
    seed: u64,
) -> Trials {
    let count = memory.objects.len() * turns;
    let trial = |number: usize| {
        let (object, seed) = (number / turns, derive(seed, "evidence.trial", 0, number as u64));
        let angle = TAU * Rng::new(derive(seed, "evidence.turn", 0, 0)).uniform();
        let found = recognise(memory, &picture(object, angle), columns, rules, seed);
        let right = found.hypothesis.filter(|hypothesis| hypothesis.object == object);
        let error = right.map(|hypothesis| angle_between(hypothesis.rotation, angle).to_degrees());
        (error, found)
    };
    let all: Vec<_> = (0..count).into_par_iter().map(trial).collect();
    let mut errors: Vec<f64> = all.iter().filter_map(|(error, _)| *error).collect();
    errors.sort_by(f64::total_cmp);
    let share = |number: usize| number as f64 / count.max(1) as f64;
    Trials {
        columns,
        count,
        accuracy: share(errors.len()),
        matched: share(all.iter().filter(|(_, found)| found.end == End::Match).count()),
        steps: share(all.iter().map(|(_, found)| found.steps).sum()),
        rotation_error: errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN),
    }
}
