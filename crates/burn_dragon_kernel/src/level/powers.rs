//! Powers of what a token leaves of memory, head by head.

use super::window::Windows;

/// What is left after 0, 1, 2 ... tokens, head by head, as far as any window goes.
#[derive(Clone, Debug)]
pub(super) struct Powers {
    powers: Vec<f32>, // [H, longest window + 1]
    heads: usize,
}

impl Powers {
    /// The powers of the heads' slopes.
    pub(super) fn new(slopes: &[f64], windows: &Windows) -> Self {
        let tokens = 0..=windows.longest();
        let powers = slopes
            .iter()
            .flat_map(|slope| tokens.clone().map(move |k| power(*slope, k)));
        Self {
            powers: powers.collect(),
            heads: slopes.len(),
        }
    }

    /// Those of a head.
    pub(super) fn of_head(&self, head: usize) -> &[f32] {
        let length = self.powers.len() / self.heads;
        &self.powers[head * length..(head + 1) * length]
    }
}

/// `exp(-slope k)`, or nothing where that is less than 2^-80, which no norm shows and some processors are slow with.
fn power(slope: f64, k: usize) -> f32 {
    const LEAST: f64 = 1.0 / (1u128 << 80) as f64;
    // Of an infinite slope the first power would be no number.
    let power = if k == 0 { 1.0 } else { (-slope * k as f64).exp() };
    if power < LEAST { 0.0 } else { power as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_what_a_token_leaves() {
        assert_eq!(power(0.0, 1000), 1.0);
        assert_eq!(power(0.7, 0), 1.0);
        assert!((f64::from(power(0.7, 9)) - (-6.3f64).exp()).abs() < 1e-9);
        assert_eq!(power(0.7, 80), 0.0);
    }
}
