//! From logits to one token.

use super::GenerationConfig;
use burn_dragon_core::seed::{Rng, derive};
use std::collections::HashSet;

/// Draws tokens: repetition penalty, then temperature, then top-k, then top-p.
#[derive(Clone, Debug)]
pub struct Sampler {
    temperature: f64,
    top_k: Option<usize>,
    top_p: Option<f64>,
    penalty: Option<f64>,
    seen: HashSet<u32>,
    rng: Rng,
}

impl Sampler {
    /// A sampler with the settings' seed.
    pub fn new(config: &GenerationConfig) -> Self {
        Self {
            temperature: config.temperature,
            top_k: config.top_k,
            top_p: config.top_p,
            penalty: config.repetition_penalty,
            seen: HashSet::new(),
            rng: Rng::new(derive(config.seed, "generate", 0, 0)),
        }
    }

    /// Notes a token that was read or written, for the repetition penalty.
    pub fn observe(&mut self, id: u32) {
        if self.penalty.is_some() {
            self.seen.insert(id);
        }
    }

    /// Draws one token from logits `[V]`.
    ///
    /// # Panics
    /// If there are no logits.
    pub fn draw(&mut self, logits: &[f32]) -> u32 {
        assert!(!logits.is_empty(), "Sampler::draw: no logits");
        let mut logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        self.penalise(&mut logits);
        if self.temperature == 0.0 {
            return argmax(&logits);
        }
        let mut ranked = self.ranked(&logits);
        let peak = ranked[0].1;
        for (_, weight) in &mut ranked {
            *weight = ((*weight - peak) / self.temperature).exp();
        }
        keep_mass(&mut ranked, self.top_p);
        let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
        let mut left = self.rng.uniform() * total;
        for &(id, weight) in &ranked {
            left -= weight;
            if left < 0.0 {
                return id;
            }
        }
        ranked[ranked.len() - 1].0 // rounding left a crumb
    }

    /// A positive logit is divided by the penalty, a negative one multiplied: both become less likely.
    fn penalise(&self, logits: &mut [f64]) {
        let Some(penalty) = self.penalty else { return };
        for &id in &self.seen {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = if *logit > 0.0 {
                    *logit / penalty
                } else {
                    *logit * penalty
                };
            }
        }
    }

    /// The `top_k` likeliest tokens, likeliest first; equals by id, so that the order is one.
    fn ranked(&self, logits: &[f64]) -> Vec<(u32, f64)> {
        let mut ranked: Vec<(u32, f64)> = (0..).zip(logits.iter().copied()).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(self.top_k.unwrap_or(ranked.len()).max(1));
        ranked
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

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(config: &GenerationConfig, logits: &[f32]) -> Vec<usize> {
        let mut sampler = Sampler::new(config);
        let mut counts = vec![0; logits.len()];
        (0..20_000).for_each(|_| counts[sampler.draw(logits) as usize] += 1);
        counts
    }

    #[test]
    fn draws_follow_the_softmax_of_the_logits_over_the_temperature() {
        let config = GenerationConfig {
            temperature: 2.0,
            ..GenerationConfig::default()
        };
        let logits = [0.0, 2.0 * 2f32.ln(), 2.0 * 5f32.ln()]; // probabilities 1/8, 2/8, 5/8
        let counts = counts(&config, &logits);
        for (count, expected) in counts.iter().zip([2500.0, 5000.0, 12_500.0]) {
            assert!((*count as f64 - expected).abs() < 300.0, "{counts:?}");
        }
    }

    #[test]
    fn top_k_and_top_p_leave_the_tail_out() {
        let logits = [0.0, 1.0, 2.0, 3.0];
        let config = GenerationConfig {
            top_k: Some(2),
            ..GenerationConfig::default()
        };
        assert_eq!(counts(&config, &logits)[..2], [0, 0]);
        // Probabilities 0.03, 0.09, 0.24, 0.64: the largest alone has not 0.8, the two largest have.
        let config = GenerationConfig {
            top_p: Some(0.8),
            ..GenerationConfig::default()
        };
        let seen = counts(&config, &logits);
        assert!(seen[..2] == [0, 0] && seen[2] > 0 && seen[3] > 0, "{seen:?}");
    }

    #[test]
    fn temperature_zero_takes_the_likeliest_and_of_equals_the_first() {
        let config = GenerationConfig {
            temperature: 0.0,
            ..GenerationConfig::default()
        };
        assert_eq!(Sampler::new(&config).draw(&[1.0, 4.0, 4.0, 2.0]), 1);
    }

    #[test]
    fn the_repetition_penalty_lowers_what_was_seen_whatever_its_sign() {
        let config = GenerationConfig {
            temperature: 0.0,
            repetition_penalty: Some(2.0),
            ..GenerationConfig::default()
        };
        let mut sampler = Sampler::new(&config);
        sampler.observe(1);
        assert_eq!(sampler.draw(&[3.0, 4.0]), 0);
        assert_eq!(sampler.draw(&[-3.0, -2.0]), 0);
    }
}
