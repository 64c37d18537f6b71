//! Policies: the state carried over a boundary, and the step that is a target.

use serde::{Deserialize, Serialize};

use crate::boundary::StreamBoundary;

/// Policy of a model's memory at a boundary: carried or emptied.
///
/// ```
/// use burn_dragon_stream::api::{StateCarryPolicy, StreamBoundary};
///
/// let policy = StateCarryPolicy::default();
/// assert!(policy.carries(StreamBoundary::Continue));
/// assert!(!policy.carries(StreamBoundary::ResetEpisode));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateCarryPolicy {
    /// Carried from step to step, emptied where an episode begins.
    #[default]
    UntilBoundary,
    /// Carried over everything, resets too.
    Always,
    /// Emptied before every step.
    Never,
}

impl StateCarryPolicy {
    /// Whether memory is carried over this boundary; if not, it is emptied.
    pub fn carries(self, boundary: StreamBoundary) -> bool {
        match self {
            Self::UntilBoundary => !boundary.resets_episode(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Policy of the fused state of several modalities at a boundary. Same choices as [`StateCarryPolicy`], set separately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FusionCarryPolicy {
    /// Carried from step to step, emptied where an episode begins.
    #[default]
    UntilBoundary,
    /// Carried over everything, resets too.
    Always,
    /// Emptied before every step.
    Never,
}

impl FusionCarryPolicy {
    /// Whether the fused state is carried over this boundary; if not, it is emptied.
    pub fn carries(self, boundary: StreamBoundary) -> bool {
        StateCarryPolicy::from(self).carries(boundary)
    }
}

impl From<FusionCarryPolicy> for StateCarryPolicy {
    fn from(policy: FusionCarryPolicy) -> Self {
        match policy {
            FusionCarryPolicy::UntilBoundary => Self::UntilBoundary,
            FusionCarryPolicy::Always => Self::Always,
            FusionCarryPolicy::Never => Self::Never,
        }
    }
}

/// Step from which the target of an observation is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetAlignmentPolicy {
    /// The step of the observation itself.
    #[default]
    SameStep,
    /// A later step, at the same distance for every observation.
    FixedFuture,
    /// A later step, at a distance that each observation sets.
    VariableFuture,
}

impl TargetAlignmentPolicy {
    /// Number of steps from the observation to the target: 0 for [`SameStep`](Self::SameStep), else the requested
    /// number, at least 1; 1 if none is requested.
    ///
    /// ```
    /// use burn_dragon_stream::api::TargetAlignmentPolicy::{FixedFuture, SameStep, VariableFuture};
    ///
    /// assert_eq!(SameStep.horizon(Some(3)), 0);
    /// assert_eq!(FixedFuture.horizon(None), 1);
    /// assert_eq!(VariableFuture.horizon(Some(0)), 1);
    /// assert_eq!(VariableFuture.horizon(Some(3)), 3);
    /// ```
    pub fn horizon(self, requested: Option<usize>) -> usize {
        match self {
            Self::SameStep => 0,
            Self::FixedFuture | Self::VariableFuture => requested.unwrap_or(1).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_decides_the_same_for_state_and_fusion() {
        use StreamBoundary::{Continue, ResetAll, ResetEpisode};

        let boundaries = [Continue, ResetEpisode, ResetAll];
        for (state, fusion, carried) in [
            (
                StateCarryPolicy::UntilBoundary,
                FusionCarryPolicy::UntilBoundary,
                [true, false, false],
            ),
            (StateCarryPolicy::Always, FusionCarryPolicy::Always, [true; 3]),
            (StateCarryPolicy::Never, FusionCarryPolicy::Never, [false; 3]),
        ] {
            assert_eq!(boundaries.map(|boundary| state.carries(boundary)), carried);
            assert_eq!(boundaries.map(|boundary| fusion.carries(boundary)), carried);
        }
    }

    #[test]
    fn names_in_files_are_snake_case() {
        let names = (
            StateCarryPolicy::default(),
            FusionCarryPolicy::Never,
            TargetAlignmentPolicy::FixedFuture,
            [StreamBoundary::ResetEpisode, StreamBoundary::default()],
        );
        let text = serde_json::to_string(&names).unwrap();
        assert_eq!(
            text,
            r#"["until_boundary","never","fixed_future",["reset_episode","continue"]]"#
        );
    }
}
