//! A figure with its standard error.

use serde::Serialize;

/// Figure with the number of independent units that it was measured on, and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The figure.
    pub value: f64,
    /// Standard error of the figure; `None` for fewer than two units.
    pub standard_error: Option<f64>,
    /// Number of units.
    pub n: usize,
}

impl Measured {
    /// Ratio `R = sum a / sum b` of the pairs `(a, b)` of some units, for example nats and bytes of windows. The standard
    /// error is that of the linearised ratio: `sqrt(m / (m - 1) * sum (a - R b)^2) / |sum b|` for m units. `None` if
    /// `sum b` is 0.
    pub fn ratio(units: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let units: Vec<(f64, f64)> = units.into_iter().collect();
        let (above, below) = units
            .iter()
            .fold((0.0, 0.0), |(a, b), unit| (a + unit.0, b + unit.1));
        if below == 0.0 {
            return None;
        }
        let (value, n) = (above / below, units.len());
        let squares: f64 = units.iter().map(|(a, b)| (a - value * b).powi(2)).sum();
        let spread = squares * n as f64 / (n as f64 - 1.0);
        Some(Self {
            value,
            standard_error: (n > 1).then(|| spread.sqrt() / below.abs()),
            n,
        })
    }

    /// Mean of some units; the standard error is their standard deviation divided by the square root of their number.
    /// `None` without units.
    pub fn mean(units: impl IntoIterator<Item = f64>) -> Option<Self> {
        Self::ratio(units.into_iter().map(|unit| (unit, 1.0)))
    }

    /// Share of `right` among `n` independent answers; `None` without answers.
    pub fn share(right: usize, n: usize) -> Option<Self> {
        Self::mean((0..n).map(|answer| f64::from(u8::from(answer < right))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{a} {b}");
    }

    #[test]
    fn a_mean_has_the_standard_error_of_the_textbook() {
        let units = [1.0, 4.0, 2.0, 9.0];
        let measured = Measured::mean(units).unwrap();
        let deviation = units.map(|unit: f64| (unit - 4.0).powi(2)).iter().sum::<f64>() / 3.0;
        near(measured.value, 4.0);
        near(measured.standard_error.unwrap(), deviation.sqrt() / 2.0);
        assert_eq!(measured.n, 4);
        assert_eq!(Measured::mean([]), None);
        assert_eq!(Measured::mean([7.0]).unwrap().standard_error, None);
    }

    #[test]
    fn a_share_has_that_of_the_binomial_distribution() {
        let measured = Measured::share(3, 12).unwrap();
        near(measured.value, 0.25);
        near(measured.standard_error.unwrap(), (0.25f64 * 0.75 / 11.0).sqrt());
        assert_eq!(Measured::share(12, 12).unwrap().standard_error, Some(0.0));
    }

    /// The deviation of ratios over many samples is what one sample says it is.
    #[test]
    fn a_ratio_varies_as_its_standard_error_says() {
        let mut rng = burn_dragon_core::api::expert::Rng::new(5);
        let mut sample = || {
            let units: Vec<(f64, f64)> = (0..200)
                .map(|_| {
                    let bytes = 10.0 + rng.uniform() * 90.0;
                    (bytes * 0.7 + 20.0 * (rng.uniform() - 0.5), bytes)
                })
                .collect();
            Measured::ratio(units).unwrap()
        };
        let samples: Vec<Measured> = (0..400).map(|_| sample()).collect();
        let observed = Measured::mean(samples.iter().map(|sample| sample.value)).unwrap();
        let deviation = observed.standard_error.unwrap() * 20.0;
        let said = samples
            .iter()
            .map(|sample| sample.standard_error.unwrap())
            .sum::<f64>()
            / 400.0;
        assert!((said / deviation - 1.0).abs() < 0.15, "{said} {deviation}");
        assert!((observed.value - 0.7).abs() < 4.0 * observed.standard_error.unwrap());
        assert_eq!(Measured::ratio([(1.0, 0.0)]), None);
    }
}
