//! Definition of a draw, in f64.

use super::{Draw, NotFinite};

/// A token drawn from logits `[V]`; `seen` are the tokens that the penalty is for, and `uniform` is asked once for a
/// number in `[0, 1)`, unless the temperature is 0.
///
/// # Errors
/// If a logit, or a value computed from it, is not finite.
///
/// # Panics
/// If `logits` is empty.
pub fn draw(
    logits: &[f32],
    draw: &Draw,
    seen: impl IntoIterator<Item = u32>,
    uniform: impl FnOnce() -> f64,
) -> Result<u32, NotFinite> {
    assert!(!logits.is_empty(), "draw: no logits");
    let mut logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
    finite(&logits, "logit")?;
    if let Some(penalty) = draw.penalty {
        penalise(&mut logits, penalty, seen);
    }
    finite(&logits, "penalised logit")?;
    if draw.temperature == 0.0 {
        return Ok(argmax(&logits));
    }
    let mut ranked = ranked(&logits, draw.top_k);
    let peak = ranked[0].1;
    for (_, weight) in &mut ranked {
        *weight = ((*weight - peak) / draw.temperature).exp();
    }
    keep_mass(&mut ranked, draw.top_p);
    let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
    finite(&[total], "weight")?;
    let mut left = uniform() * total;
    for &(id, weight) in &ranked {
        left -= weight;
        if left < 0.0 {
            return Ok(id);
        }
    }
    Ok(ranked[ranked.len() - 1].0) // rounding left a crumb
}

/// Divides positive logits by the penalty and multiplies negative ones: both become less likely.
fn penalise(logits: &mut [f64], penalty: f64, seen: impl IntoIterator<Item = u32>) {
    for id in seen {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = if *logit > 0.0 {
                *logit / penalty
            } else {
                *logit * penalty
            };
        }
    }
}

/// The `top_k` likeliest tokens, likeliest first; equal ones in the order of their ids.
fn ranked(logits: &[f64], top_k: Option<usize>) -> Vec<(u32, f64)> {
    let mut ranked: Vec<(u32, f64)> = (0..).zip(logits.iter().copied()).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(top_k.unwrap_or(ranked.len()).max(1));
    ranked
}

/// Refuses values that are not finite.
fn finite(values: &[f64], what: &'static str) -> Result<(), NotFinite> {
    match (0..).zip(values).find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((id, &value)) => Err(NotFinite { what, id, value }),
    }
}

/// Keeps the likeliest tokens until they have `mass` of the probability.
fn keep_mass(ranked: &mut Vec<(u32, f64)>, mass: Option<f64>) {
    let Some(mass) = mass else { return };
    let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
    let mut sum = 0.0;
    let enough = ranked.iter().position(|(_, weight)| {
        sum += weight;
        sum >= mass * total
    });
    ranked.truncate(enough.map_or(ranked.len(), |last| last + 1));
}

/// The likeliest token; of equals, the first.
fn argmax(logits: &[f64]) -> u32 {
    let best = logits.iter().enumerate().fold(
        0,
        |best, (id, logit)| if *logit > logits[best] { id } else { best },
    );
    best as u32
}
