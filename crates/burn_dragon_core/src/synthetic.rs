//! Synthetic models for measurements: random weights with a given density of active neurons.
//!
//! A trained model is sparse, and code that exploits sparsity has to be measured on sparse models. [`of_density`] makes
//! one without training. All tokens share a direction `c = (1, -1, 1, ...)`, which the norm leaves alone, and every
//! neuron has a threshold along it:
//!
//! ```text
//! embed      + init_std c                         half of a token's stream is c
//! encoder    + init_std c / sqrt(density n)       and so is much of the output of every level
//! decoder_x  - threshold init_std c / sqrt(D)     a higher threshold makes x = relu(v decoder_x) less active
//! decoder_y  - its part along c                   so that c, shared by all tokens, does not select the same y for all
//! ```
//!
//! The set of active neurons still differs from token to token, as in a trained model. The threshold is found by
//! bisection on a fixed window, so the model is a function of configuration, density and seed alone. The density of y
//! is then about half that of x; in a trained model it is about a fifth.

use crate::config::{ConfigError, DragonConfig};
use crate::density::{Activity, ActivityProbe};
use crate::dragon::Dragon;
use crate::parameters::{load, snapshot};
use crate::pass::Pass;
use crate::seed::{Rng, derive};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Number of tokens of the window on which densities are measured; the second half counts.
const WINDOW: usize = 64;

/// Number of steps of the bisection: the threshold is then exact to 0.004 standard deviations, the density to about
/// 0.002.
const STEPS: usize = 11;

/// Range of thresholds of the bisection, in standard deviations of a neuron's input.
const RANGE: [f64; 2] = [-4.0, 4.0];

/// Model of random weights whose share of active x is about `density`.
///
/// All tokens share a direction of the stream, and every neuron has a threshold along it, found by bisection. The model
/// is a function of `config`, `density` and `seed` alone.
///
/// # Errors
/// If the configuration is not valid.
pub fn of_density(
    config: &DragonConfig,
    density: f64,
    seed: u64,
    device: &Device,
) -> Result<Dragon, ConfigError> {
    let plain = Dragon::new(config, seed, &device.clone().inner())?;
    let mut rng = Rng::new(derive(seed, "synthetic.window", 0, 0));
    let window: Vec<u32> = (0..WINDOW).map(|_| rng.below(config.vocab_size) as u32).collect();
    let [mut low, mut high] = RANGE;
    for _ in 0..STEPS {
        let middle = (low + high) / 2.0;
        let dragon = with_threshold(plain.clone(), density, middle);
        if activity(&dragon, &window).x > density {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut found = snapshot(&with_threshold(plain, density, (low + high) / 2.0));
    // Loaded into a fresh model, so that its weights are tracked where the device tracks them.
    let dragon = Dragon::new(config, seed, device)?;
    Ok(load(dragon, |name, _| found.remove(name)))
}

/// Shares of active neurons over the second half of a window of tokens, each below the vocabulary's size.
pub fn activity(dragon: &Dragon, tokens: &[u32]) -> Activity {
    let ids: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, tokens.len()]), &dragon.device());
    let mut probe = ActivityProbe::last(tokens.dims()[1].div_ceil(2));
    let pass = Pass {
        watch: Some(&mut probe),
        ..Pass::default()
    };
    dragon.forward_pass(tokens, pass);
    probe.activity()
}

fn with_threshold(mut dragon: Dragon, density: f64, threshold: f64) -> Dragon {
    let DragonConfig {
        d_model,
        n_neurons,
        init_std,
        ..
    } = *dragon.config();
    let kept = init_std / (density * n_neurons as f64).sqrt().max(1.0);
    let held = threshold * init_std / (d_model as f64).sqrt();
    let signs: Vec<f32> = [1.0, -1.0].into_iter().cycle().take(d_model).collect();
    let c = Tensor::<1>::from_data(TensorData::new(signs, [d_model]), &dragon.device()); // [D]
    let (row, column) = (c.clone().reshape([1, d_model]), c.reshape([1, d_model, 1]));
    dragon.embed = dragon.embed.map(|embed| embed + row.clone() * init_std);
    dragon.trunk.encoder = dragon.trunk.encoder.map(|encoder| encoder + row * kept);
    dragon.trunk.decoder_x = dragon
        .trunk
        .decoder_x
        .map(|decoder_x| decoder_x - column.clone() * held);
    dragon.trunk.decoder_y = dragon.trunk.decoder_y.map(|decoder_y| {
        let along = (decoder_y.clone() * column.clone()).sum_dim(1) / d_model as f64; // [H, 1, N]
        decoder_y - column * along
    });
    dragon
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> DragonConfig {
        DragonConfig {
            n_neurons: 512,
            d_model: 32,
            ..DragonConfig::tiny()
        }
    }

    /// Judged on other tokens than those it was made with.
    #[test]
    fn a_model_is_as_active_as_asked() {
        let window: Vec<u32> = (0..128).map(|i| i * 89 % 256).collect();
        for density in [0.05, 0.2, 0.5, 0.8] {
            let dragon = of_density(&config(), density, 1, &Device::flex()).unwrap();
            let Activity { x, pairs, y } = activity(&dragon, &window);
            assert!((x - density).abs() < 0.1 * density + 0.01, "{density}: x {x}");
            assert!(
                pairs > x && pairs < 2.0 * x && y < x && y > 0.2 * x,
                "{density}: {x} {pairs} {y}"
            );
        }
    }

    #[test]
    fn which_neurons_are_active_differs_from_token_to_token() {
        struct Always(Vec<f64>);
        impl crate::density::Watch for Always {
            fn level(&mut self, _level: usize, x: &Tensor<4>, y: &Tensor<4>) {
                for activity in [x, y] {
                    let ever = activity.clone().max_dim(2).greater_scalar(0.0).float().mean();
                    self.0.push(ever.into_scalar::<f64>());
                }
            }
        }
        let dragon = of_density(&config(), 0.1, 1, &Device::flex()).unwrap();
        let tokens = Tensor::<1, Int>::arange(0..128, &dragon.device()).reshape([1, 128]);
        let mut ever = Always(Vec::new());
        let pass = Pass {
            watch: Some(&mut ever),
            ..Pass::default()
        };
        dragon.forward_pass(tokens, pass);
        // Were they always the same, a tenth of them would do for x, and less for y.
        assert!(ever.0.iter().all(|share| *share > 0.5), "{:?}", ever.0);
    }
}
