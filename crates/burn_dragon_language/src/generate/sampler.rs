//! Sampling of a token from logits.

use super::GenerationConfig;
use crate::error::LanguageError;
use burn_dragon_core::api::Draw;
use burn_dragon_core::api::expert::{Rng, derive, draw_reference};
use std::collections::HashSet;

/// Sampler of tokens: repetition penalty, then temperature, then top-k, then top-p.
#[derive(Clone, Debug)]
pub struct Sampler {
    draw: Draw,
    seen: HashSet<u32>,
    rng: Rng,
}

impl Sampler {
    /// Creates a sampler with the seed of the settings.
    pub fn new(config: &GenerationConfig) -> Self {
        Self {
            draw: Draw {
                temperature: config.temperature,
                top_k: config.top_k,
                top_p: config.top_p,
                penalty: config.repetition_penalty,
            },
            seen: HashSet::new(),
            rng: Rng::new(derive(config.seed, "generate", 0, 0)),
        }
    }

    /// Records a token that was read or generated, for the repetition penalty.
    pub fn observe(&mut self, id: u32) {
        if self.draw.penalty.is_some() {
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
        let (draw, seen, rng) = (&self.draw, &self.seen, &mut self.rng);
        let drawn = draw_reference::draw(logits, draw, seen.iter().copied(), || rng.uniform());
        drawn.map_err(|of| LanguageError::NothingToDraw {
            what: of.what,
            id: of.id,
            value: of.value,
        })
    }

    /// The settings, the tokens observed, and the uniform numbers of the next `count` draws, for a device that makes
    /// them; [`drawn`](Self::drawn) then says how many it made.
    pub(super) fn ahead(&self, count: usize) -> (Draw, Vec<u32>, Vec<f64>) {
        let mut rng = self.rng.clone();
        let uniforms = (0..count).map(|_| rng.uniform()).collect();
        (self.draw, self.seen.iter().copied().collect(), uniforms)
    }

    /// Records that the next `count` draws were made elsewhere.
    pub(super) fn drawn(&mut self, count: usize) {
        if self.draw.temperature != 0.0 {
            for _ in 0..count {
                self.rng.uniform();
            }
        }
    }
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
