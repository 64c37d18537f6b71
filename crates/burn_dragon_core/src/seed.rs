//! Seeds of random draws. Every draw is a function of (seed, purpose, step, lane), so no state of a generator has to be
//! saved, and a resumed run draws the same numbers as an uninterrupted one.

use burn_dragon_kernel::api::expert::mix;

/// Seed of one draw.
pub fn derive(seed: u64, purpose: &str, step: u64, lane: u64) -> u64 {
    // FNV-1a hashes the purpose; splitmix64 spreads each part over all bits.
    let purpose = purpose.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    [purpose, step, lane].into_iter().fold(
        mix(seed),
        |state, part| mix(state ^ mix(part.wrapping_add(GAMMA))),
    )
}

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// Small random generator (splitmix64) for draws on the host; its numbers depend on the seed alone.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator started at `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform number in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform integer in `0..n`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "Rng::below: n is 0, expected at least 1");
        // The high half of a product: its bias is below n / 2^64.
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// Standard normal number (Box-Muller transform).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_address_matters() {
        let base = derive(1, "dropout", 2, 3);
        for other in [
            derive(0, "dropout", 2, 3),
            derive(1, "window", 2, 3),
            derive(1, "dropout", 3, 3),
            derive(1, "dropout", 2, 2),
            derive(1, "dropout", 3, 2),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(base, derive(1, "dropout", 2, 3));
    }

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let mut rng = Rng::new(11);
        let draws: Vec<f64> = (0..100_000).map(|_| rng.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02,
            "{mean} {variance}"
        );
    }

    #[test]
    fn below_is_uniform() {
        let mut rng = Rng::new(5);
        let mut counts = [0; 7];
        (0..70_000).for_each(|_| counts[rng.below(7)] += 1);
        assert!(
            counts.iter().all(|&count| (9_500..10_500).contains(&count)),
            "{counts:?}"
        );
    }
}
