//! Sampling of a token from logits.

use super::GenerationConfig;
use crate::error::LanguageError;
use burn_dragon_core::api::expert::{Rng, derive};
use std::collections::HashSet;

/// Sampler of tokens: repetition penalty, then temperature, then top-k, then top-p.
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
    /// Creates a sampler with the seed of the settings.
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

    /// Records a token that was read or generated, for the repetition penalty.
    pub fn observe(&mut self, id: u32) {
        if self.penalty.is_some() {
            self.seen.insert(id);
        }
    }

    /// Draws a token from logits `[V]`.
    ///
    /// # Errors
    /// [`LanguageError::NothingToDraw`] if a logit, or a value computed from it, is not finite.
    ///
    /// # Panics
    /// If `logits` is empty.
    pub fn draw(&mut self, logits: &[f32]) -> Result<u32, LanguageError> {
        assert!(!logits.is_empty(), "Sampler::draw: no logits");
        let mut logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        finite(&logits, "logit")?;
        self.penalise(&mut logits);
        finite(&logits, "penalised logit")?;
        if self.temperature == 0.0 {
            return Ok(argmax(&logits));
        }
        let mut ranked = self.ranked(&logits);
        let peak = ranked[0].1;
        for (_, weight) in &mut ranked {
            *weight = ((*weight - peak) / self.temperature).exp();
        }
        keep_mass(&mut ranked, self.top_p);
        let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
        finite(&[total], "weight")?;
        let mut left = self.rng.uniform() * total;
        for &(id, weight) in &ranked {
            left -= weight;
            if left < 0.0 {
                return Ok(id);
            }
        }
        Ok(ranked[ranked.len() - 1].0) // rounding left a crumb
    }

    /// Divides positive logits by the penalty and multiplies negative ones: both become less likely.
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

    /// The `top_k` likeliest tokens, likeliest first; equal ones in the order of their ids.
    fn ranked(&self, logits: &[f64]) -> Vec<(u32, f64)> {
        let mut ranked: Vec<(u32, f64)> = (0..).zip(logits.iter().copied()).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(self.top_k.unwrap_or(ranked.len()).max(1));
        ranked
    }
}

/// Refuses values that are not finite.
fn finite(values: &[f64], what: &'static str) -> Result<(), LanguageError> {
    match (0..).zip(values).find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((id, &value)) => Err(LanguageError::NothingToDraw { what, id, value }),
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
        (0..20_000).for_each(|_| counts[sampler.draw(logits).unwrap() as usize] += 1);
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
        assert_eq!(Sampler::new(&config).draw(&[1.0, 4.0, 4.0, 2.0]).unwrap(), 1);
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
        assert_eq!(sampler.draw(&[3.0, 4.0]).unwrap(), 0);
        assert_eq!(sampler.draw(&[-3.0, -2.0]).unwrap(), 0);
    }

    #[test]
    fn what_is_not_finite_is_never_a_token() {
        for temperature in [0.0, 1.0] {
            let mut sampler = Sampler::new(&GenerationConfig {
                temperature,
                ..GenerationConfig::default()
            });
            for (wrong, id) in [
                ([f32::NAN, 1.0, 2.0], 0),
                ([1.0, f32::INFINITY, 2.0], 1),
                ([1.0, 2.0, f32::NEG_INFINITY], 2),
            ] {
                let error = sampler.draw(&wrong).unwrap_err();
                assert!(
                    matches!(error, LanguageError::NothingToDraw { what: "logit", id: of, .. } if of == id),
                    "{error}"
                );
                assert!(error.to_string().contains(&format!("token {id}")), "{error}");
            }
        }
        // Settings that were not validated come to it too.
        for (temperature, penalty) in [(0.0, 1e-308), (1.0, 1e-308), (1.0, f64::NAN)] {
            let mut sampler = Sampler::new(&GenerationConfig {
                temperature,
                repetition_penalty: Some(penalty),
                ..GenerationConfig::default()
            });
            sampler.observe(1);
            assert!(
                sampler.draw(&[1.0, 20.0, 3.0]).is_err(),
                "{temperature} {penalty}"
            );
        }
        let mut sampler = Sampler::new(&GenerationConfig {
            temperature: f64::NAN,
            ..GenerationConfig::default()
        });
        assert!(sampler.draw(&[1.0, 2.0]).is_err());
    }

    #[test]
    fn the_least_and_the_largest_settings_do_what_they_say() {
        use burn_dragon_core::api::expert::Range;
        let logits = [f32::MAX, 1.0, -2.0, f32::MIN, 0.5];
        let Range { least, most, .. } = Range::POSITIVE;
        for temperature in [least, 1.0, most] {
            for penalty in [least, 1.0, most] {
                let config = GenerationConfig {
                    temperature,
                    top_p: Some(Range::SHARE.least),
                    repetition_penalty: Some(penalty),
                    ..GenerationConfig::default()
                };
                config.validate().unwrap();
                let mut sampler = Sampler::new(&config);
                (0..5).for_each(|id| sampler.observe(id));
                assert_eq!(sampler.draw(&logits).unwrap(), 0, "{temperature} {penalty}");
            }
        }
        let drawn = |temperature| {
            let config = GenerationConfig {
                temperature,
                ..GenerationConfig::default()
            };
            counts(&config, &[0.0, 1.0, 2.0])
        };
        assert_eq!(drawn(least), [0, 0, 20_000]);
        assert!(drawn(most).iter().all(|&count| count > 6000));
        // A penalty below 1 favours what was seen, however small it is.
        let mut sampler = Sampler::new(&GenerationConfig {
            repetition_penalty: Some(least),
            ..GenerationConfig::default()
        });
        sampler.observe(2);
        assert!((0..100).all(|_| sampler.draw(&[0.0, 1.0, 0.5, -1.0]).unwrap() == 2));
    }
}
