//! Ranges of the numbers of a configuration: those that neither vanish nor become infinite in the precision that uses
//! them.
//!
//! Configurations are read as f64, but models and optimisers compute in f32. In f32, 1e-50 is 0 and 1e39 is infinite. A
//! division by the one or a product with the other would give NaN or infinity many steps later, far from the key.

/// Smallest normal f32, rounded up.
const LEAST: f64 = 1.2e-38;

/// Largest finite f32, rounded down.
const MOST: f64 = 3.4e38;

/// Range of the numbers that a key may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Smallest number above 0.
    pub least: f64,
    /// Largest number.
    pub most: f64,
    /// Whether 0 is allowed too, which turns something off.
    pub zero: bool,
    /// The range in words, with its reason; errors show it after "expected".
    pub words: &'static str,
}

impl Range {
    /// Numbers above 0 that f32 represents.
    pub const POSITIVE: Self = Self {
        least: LEAST,
        most: MOST,
        zero: false,
        words: "a number from 1.2e-38 to 3.4e38: these are about the smallest normal and the largest number in f32",
    };

    /// 0, and numbers above 0 that f32 represents.
    pub const FROM_ZERO: Self = Self {
        zero: true,
        words: "0, or a number from 1.2e-38 to 3.4e38: these are about the smallest normal and the largest number in f32",
        ..Self::POSITIVE
    };

    /// Numbers above 0 whose squares f32 represents too.
    pub const SQUARED: Self = Self {
        least: 1.1e-19,
        most: 1.8e19,
        zero: false,
        words: "a number from 1.1e-19 to 1.8e19: f32 cannot represent the squares of smaller or larger ones",
    };

    /// Shares above 0, up to 1.
    pub const SHARE: Self = Self {
        least: LEAST,
        most: 1.0,
        zero: false,
        words: "a number from 1.2e-38 to 1: 1.2e-38 is about the smallest normal number in f32",
    };

    /// Shares from 0 to 1.
    pub const SHARE_OR_NONE: Self = Self {
        zero: true,
        words: "0, or a number from 1.2e-38 to 1: 1.2e-38 is about the smallest normal number in f32",
        ..Self::SHARE
    };

    /// Shares from 0 to below 1, such as the share of a moment that is kept from step to step.
    pub const BELOW_ONE: Self = Self {
        least: LEAST,
        most: 0.999_999_9,
        zero: true,
        words: "0, or a number from 1.2e-38 to 0.9999999: f32 rounds larger ones to 1",
    };

    /// Dropout rates that a mask drawn with 16 bits can have.
    pub const DROPPED: Self = Self {
        least: 1.6e-5,
        most: 0.999_98,
        zero: true,
        words: "0, or a number from 1.6e-5 to 0.99998: dropout masks are drawn with 16 bits",
    };

    /// Whether a number is in the range.
    pub fn holds(&self, value: f64) -> bool {
        (self.least..=self.most).contains(&value) || (self.zero && value == 0.0)
    }

    /// Checks that a number is in the range.
    ///
    /// # Errors
    /// The [`words`](Self::words) of the range, if it is not.
    pub fn check(&self, value: f64) -> Result<(), &'static str> {
        if self.holds(value) {
            Ok(())
        } else {
            Err(self.words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Range; 7] = [
        Range::POSITIVE,
        Range::FROM_ZERO,
        Range::SQUARED,
        Range::SHARE,
        Range::SHARE_OR_NONE,
        Range::BELOW_ONE,
        Range::DROPPED,
    ];

    #[test]
    fn what_a_range_holds_is_a_number_of_f32_with_all_its_digits() {
        for range in ALL {
            for bound in [range.least, range.most] {
                assert!(range.holds(bound) && (bound as f32).is_normal(), "{range:?}");
            }
            assert!(
                !range.holds(range.least * 0.999) && !range.holds(range.most * 1.001),
                "{range:?}"
            );
            assert_eq!(
                (range.holds(0.0), range.holds(-0.0)),
                (range.zero, range.zero),
                "{range:?}"
            );
            for never in [
                1e-50,
                1e-308,
                5e-324,
                1e39,
                f64::INFINITY,
                -f64::INFINITY,
                f64::NAN,
                -1.0,
                -1e-9,
            ] {
                assert_eq!(range.check(never), Err(range.words), "{range:?} {never}");
            }
        }
    }

    #[test]
    fn the_words_name_the_least_and_the_largest() {
        for range in ALL {
            for bound in [range.least, range.most] {
                let said = match bound {
                    1e-3..=1.0 => format!("{bound}"),
                    _ => format!("{bound:e}"),
                };
                assert!(range.words.contains(&said), "{said} is not in: {}", range.words);
            }
            assert_eq!(range.words.starts_with("0, or"), range.zero, "{range:?}");
        }
    }

    #[test]
    fn the_bounds_are_where_f32_and_a_mask_of_16_bits_fail() {
        let square = |value: f64| (value as f32) * (value as f32);
        let Range { least, most, .. } = Range::SQUARED;
        assert!(square(least).is_normal() && square(most).is_finite());
        assert!(!square(least * 0.9).is_normal() && !square(most * 1.1).is_finite());
        assert!((Range::BELOW_ONE.most as f32) < 1.0 && 0.999_999_98_f32 == 1.0);
        let threshold = |dropped: f64| ((1.0 - dropped) * 65536.0).round();
        assert!(threshold(Range::DROPPED.least) <= 65535.0 && threshold(Range::DROPPED.most) >= 1.0);
    }
}
