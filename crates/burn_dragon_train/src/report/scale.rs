//! Scales of axes: from values to places, and their ticks.

/// Scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

/// Form of the numbers at the ticks of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Plain numbers: `0.5`, `2.5k`, `1e-4`.
    Plain,
    /// Shares as percentages.
    Percent,
}

impl Scale {
    /// Linear scale from the lowest to the highest value, with room on both sides unless the low end is `zero`.
    pub(super) fn linear(low: f64, high: f64, from_zero: bool) -> Self {
        let low = if from_zero { low.min(0.0) } else { low };
        let span = if high > low {
            high - low
        } else {
            high.abs().max(1e-12)
        };
        let room = 0.05 * span;
        Self {
            low: if from_zero && low >= 0.0 { low } else { low - room },
            high: low.max(high) + room,
            logarithmic: false,
        }
    }

    /// Scale of an axis without room at its ends: of steps.
    pub(super) fn exact(low: f64, high: f64) -> Self {
        Self {
            low,
            high: if high > low { high } else { low + 1.0 },
            logarithmic: false,
        }
    }

    /// Logarithmic scale of positive values, with room on both sides.
    pub(super) fn logarithmic(low: f64, high: f64) -> Self {
        let low = low.max(f64::MIN_POSITIVE);
        let room = (high / low).max(1.01).powf(0.05);
        Self {
            low: low / room,
            high: high.max(low) * room,
            logarithmic: true,
        }
    }

    pub(super) fn is_logarithmic(self) -> bool {
        self.logarithmic
    }

    /// Place of a value: 0 at the low end, 1 at the high end, between them also for values outside.
    pub(super) fn place(self, value: f64) -> f64 {
        let at = |value: f64| {
            if self.logarithmic {
                value.max(f64::MIN_POSITIVE).ln()
            } else {
                value
            }
        };
        let place = (at(value) - at(self.low)) / (at(self.high) - at(self.low));
        place.clamp(0.0, 1.0)
    }

    /// Values at the ticks, about `count` of them, ascending.
    pub(super) fn ticks(self, count: usize) -> Vec<f64> {
        if self.logarithmic {
            let ticks = self.decades(count);
            if ticks.len() > 2 {
                return ticks;
            }
        }
        let step = nice((self.high - self.low) / count.max(1) as f64);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }

    /// Powers of ten, with 2 and 5 times them where there is room.
    fn decades(self, count: usize) -> Vec<f64> {
        let first = self.low.log10().ceil() as i32;
        let last = self.high.log10().floor() as i32;
        let powers = usize::try_from(last - first).unwrap_or_default();
        let every = powers.div_ceil(count.max(1)).max(1);
        let within: &[f64] = if powers < 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let before = i32::from(powers < 2); // 2 and 5 times the power below the first one
        let ticks = (first - before..=last).step_by(every).flat_map(|power| {
            let ten = 10.0_f64.powi(power);
            within.iter().map(move |times| times * ten)
        });
        ticks
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }

    /// Texts of ticks.
    pub(super) fn labels(self, ticks: &[f64], numbers: Numbers) -> Vec<String> {
        let step = ticks
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .fold(f64::INFINITY, f64::min);
        ticks.iter().map(|&tick| label(tick, step, numbers)).collect()
    }
}

/// Smallest of 1, 2, 2.5 and 5 times a power of ten that is not below a number.
fn nice(step: f64) -> f64 {
    let power = 10.0_f64.powf(step.max(f64::MIN_POSITIVE).log10().floor());
    let times = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .find(|times| times * power >= step * (1.0 - 1e-9));
    times.unwrap_or(10.0) * power
}

fn label(tick: f64, step: f64, numbers: Numbers) -> String {
    match numbers {
        Numbers::Percent => format!("{}%", plain(100.0 * tick, 100.0 * step)),
        Numbers::Plain => plain(tick, step),
    }
}

fn plain(tick: f64, step: f64) -> String {
    let size = tick.abs();
    if size < step * 1e-6 {
        return "0".into();
    }
    let trimmed = |text: String| {
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            &text
        };
        text.to_string()
    };
    match size {
        size if size >= 1e9 => trimmed(format!("{:.2}", tick / 1e9)) + "G",
        size if size >= 1e6 => trimmed(format!("{:.2}", tick / 1e6)) + "M",
        size if size >= 1e4 => trimmed(format!("{:.2}", tick / 1e3)) + "k",
        size if size < 1e-3 => format!("{tick:e}").replacen(".0e", "e", 1),
        _ if step.is_finite() => {
            let digits = (-step.log10() + 0.7).ceil().clamp(0.0, 6.0) as usize;
            trimmed(format!("{tick:.digits$}"))
        }
        _ => trimmed(format!("{tick:.4}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_from_one_end_to_the_other() {
        let linear = Scale::exact(10.0, 30.0);
        assert_eq!(
            [10.0, 20.0, 30.0, 99.0].map(|value| linear.place(value)),
            [0.0, 0.5, 1.0, 1.0]
        );
        let logarithmic = Scale::logarithmic(0.01, 100.0);
        assert!((logarithmic.place(1.0) - 0.5).abs() < 1e-12);
        assert_eq!(logarithmic.place(-1.0), 0.0);
    }

    #[test]
    fn ticks_are_round_and_within_the_scale() {
        let labels = |scale: Scale, count| scale.labels(&scale.ticks(count), Numbers::Plain);
        assert_eq!(
            labels(Scale::exact(0.0, 7000.0), 5),
            ["0", "2000", "4000", "6000"]
        );
        assert_eq!(
            labels(Scale::exact(0.0, 1e6), 4),
            ["0", "250k", "500k", "750k", "1M"]
        );
        assert_eq!(
            labels(Scale::linear(1.31, 1.38, false), 4),
            ["1.32", "1.34", "1.36", "1.38"]
        );
        assert_eq!(
            labels(Scale::logarithmic(1e-5, 1e-1), 4),
            ["1e-5", "1e-4", "0.001", "0.01", "0.1"]
        );
        assert_eq!(labels(Scale::logarithmic(0.57, 5.6), 4), ["1", "2", "5"]);
        assert_eq!(labels(Scale::logarithmic(1.2, 5.6), 4), ["2", "4", "6"]);
    }

    #[test]
    fn shares_are_percentages() {
        let scale = Scale::linear(0.0, 0.31, true);
        assert_eq!(
            scale.labels(&scale.ticks(4), Numbers::Percent),
            ["0%", "10%", "20%", "30%"]
        );
    }

    #[test]
    fn a_scale_of_one_value_or_of_none_has_a_width() {
        for scale in [
            Scale::exact(5.0, 5.0),
            Scale::linear(0.0, 0.0, true),
            Scale::linear(-2.0, -2.0, false),
            Scale::logarithmic(0.0, 0.0),
        ] {
            assert!(
                scale.high > scale.low && scale.place(scale.low).is_finite(),
                "{scale:?}"
            );
            assert!(scale.ticks(4).len() < 20, "{scale:?}");
        }
    }
}
