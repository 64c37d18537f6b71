//! Rules of evidence.

use crate::error::VisionError;

/// Rules of learning and of evidence. Distances are in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Distance below which a sensed point is one that is stored, unless it looks different.
    pub point_distance: f64,
    /// Difference of a feature at which it does not match, above 0.
    pub feature_tolerance: f64,
    /// Difference of angles at which a sensed point looks different from a stored one, in radians.
    pub angle_tolerance: f64,
    /// Weight of the feature match (w_f).
    pub feature_weight: f64,
    /// Distance within which stored points explain a sensed one, and votes count for a hypothesis. Above 0.
    pub match_distance: f64,
    /// Factor of the evidence so far.
    pub past: f64,
    /// Factor of the evidence of a step.
    pub present: f64,
    /// Scaled evidence above which a hypothesis is sent as a vote, -1 to 1.
    pub vote_threshold: f64,
    /// Weight of the mean of the votes.
    pub vote_weight: f64,
    /// Share of the best evidence within which an object is still possible, 0 to 1.
    pub possible: f64,
    /// Smallest and largest distance of a movement.
    pub movement: [f64; 2],
    /// Rotations tried for a point without an angle.
    pub rotations: usize,
    /// Evidence below which a match is not believed yet.
    pub least_evidence: f64,
    /// Number of steps until time is out.
    pub most_steps: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            point_distance: 2.0,
            feature_tolerance: 0.3,
            angle_tolerance: 0.5,
            feature_weight: 1.0,
            match_distance: 2.0,
            past: 1.0,
            present: 1.0,
            vote_threshold: 0.8,
            vote_weight: 0.5,
            possible: 0.2,
            movement: [3.0, 24.0],
            rotations: 8,
            least_evidence: 6.0,
            most_steps: 100,
        }
    }
}

impl Rules {
    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the name of the rule.
    pub fn validate(&self) -> Result<(), VisionError> {
        let above_zero = |value: f64| value > 0.0 && value.is_finite();
        let [nearest, farthest] = self.movement;
        for (key, is_valid, expected) in [
            (
                "point_distance",
                above_zero(self.point_distance),
                "a number above 0",
            ),
            (
                "feature_tolerance",
                above_zero(self.feature_tolerance),
                "a number above 0",
            ),
            (
                "angle_tolerance",
                above_zero(self.angle_tolerance),
                "a number above 0",
            ),
            (
                "match_distance",
                above_zero(self.match_distance),
                "a number above 0",
            ),
            (
                "possible",
                (0.0..=1.0).contains(&self.possible),
                "a share from 0 to 1",
            ),
            (
                "vote_threshold",
                (-1.0..=1.0).contains(&self.vote_threshold),
                "a number from -1 to 1",
            ),
            (
                "movement",
                0.0 <= nearest && nearest <= farthest,
                "[smallest, largest] distance",
            ),
            ("rotations", self.rotations > 0, "at least 1"),
            ("most_steps", self.most_steps > 0, "at least 1"),
        ] {
            if !is_valid {
                let reason = format!("is out of range; expected {expected}");
                return Err(VisionError::Config { key, reason });
            }
        }
        Ok(())
    }

    /// Match of two sets of features, 0 to `feature_weight`. Features that differ never count against a hypothesis.
    pub(super) fn feature_match<const N: usize>(&self, a: [f64; N], b: [f64; N]) -> f64 {
        let of = |(a, b): (f64, f64)| (1.0 - (a - b).abs() / self.feature_tolerance).max(0.0);
        self.feature_weight * a.into_iter().zip(b).map(of).sum::<f64>() / N as f64
    }
}
