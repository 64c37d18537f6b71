//! Alignment of targets: the step that is the target of an observation, if there is one.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{boundary::StreamBoundary, policy::TargetAlignmentPolicy, segment::StreamStepMetadata};

/// An observation and its target, as indices of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TargetAlignment {
    /// Index of the observed step.
    pub observation_index: usize,
    /// Index of the step to predict; never before the observed one.
    pub target_index: usize,
    /// Number of steps from the observation to the target.
    pub horizon: usize,
}

/// A window of observations that ends with one step, and the target of that step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowAlignment {
    /// Indices of the observed steps; the last is [`TargetAlignment::observation_index`].
    pub window: Range<usize>,
    /// The target of the last observed step.
    pub target: TargetAlignment,
}

/// The target of an observation among steps `0..=max_index`; `None` if the observation or the target lies outside.
///
/// [`TargetAlignmentPolicy::horizon`] turns `requested_horizon` into the distance in steps.
///
/// ```
/// use burn_dragon_stream::api::TargetAlignmentPolicy::{SameStep, VariableFuture};
/// use burn_dragon_stream::api::resolve_target_alignment;
///
/// let target = |policy, horizon| Some(resolve_target_alignment(policy, 5, 8, horizon)?.target_index);
/// assert_eq!(target(SameStep, None), Some(5));
/// assert_eq!(target(VariableFuture, Some(3)), Some(8));
/// assert_eq!(target(VariableFuture, Some(4)), None);
/// ```
pub fn resolve_target_alignment(
    policy: TargetAlignmentPolicy,
    observation_index: usize,
    max_index: usize,
    requested_horizon: Option<usize>,
) -> Option<TargetAlignment> {
    let horizon = policy.horizon(requested_horizon);
    let target_index = observation_index.checked_add(horizon)?;
    let target = TargetAlignment {
        observation_index,
        target_index,
        horizon,
    };
    (target_index <= max_index).then_some(target)
}

/// The target of an observation among the steps of a stream.
///
/// As [`resolve_target_alignment`] over the given steps. Also `None` if a step between the observation and the target,
/// or the target itself, belongs to another source or episode, goes back in time, or begins an episode.
///
/// ```
/// use burn_dragon_stream::api::TargetAlignmentPolicy::FixedFuture;
/// use burn_dragon_stream::api::{StreamSampleId, StreamSegment, resolve_stream_target_alignment};
///
/// let metadata = StreamSegment::of_episode(StreamSampleId::new(0, 0, 0), 0..5).metadata();
/// assert!(resolve_stream_target_alignment(FixedFuture, &metadata, 2, Some(2)).is_some());
/// assert!(resolve_stream_target_alignment(FixedFuture, &metadata, 3, Some(2)).is_none());
/// ```
pub fn resolve_stream_target_alignment(
    policy: TargetAlignmentPolicy,
    metadata: &[StreamStepMetadata],
    observation_index: usize,
    requested_horizon: Option<usize>,
) -> Option<TargetAlignment> {
    let max_index = metadata.len().checked_sub(1)?;
    let target = resolve_target_alignment(policy, observation_index, max_index, requested_horizon)?;
    let way = &metadata[observation_index..=target.target_index];
    let follows = |[before, step]: [&StreamStepMetadata; 2]| {
        step.sample_id.same_episode(before.sample_id)
            && step.absolute_time >= before.absolute_time
            && !step.boundary.resets_episode()
    };
    pairs(way).all(follows).then_some(target)
}

/// The target of a window of `window_len` observations that ends with the one at `observation_index`.
///
/// As [`resolve_stream_target_alignment`]. Also `None` if the window is empty, begins before the first step, holds
/// steps of several episodes, or has a boundary other than [`StreamBoundary::Continue`] between two of its steps. The
/// boundary before its first step may be of any kind: a window may begin with an episode.
///
/// ```
/// use burn_dragon_stream::api::TargetAlignmentPolicy::FixedFuture;
/// use burn_dragon_stream::api::{StreamSampleId, StreamSegment, resolve_stream_window_alignment};
///
/// let metadata = StreamSegment::of_episode(StreamSampleId::new(0, 0, 0), 0..5).metadata();
/// let resolve = |len| resolve_stream_window_alignment(FixedFuture, &metadata, 2, len, None);
/// assert_eq!(resolve(3).map(|alignment| (alignment.window, alignment.target.target_index)), Some((0..3, 3)));
/// assert_eq!(resolve(4), None);
/// ```
pub fn resolve_stream_window_alignment(
    policy: TargetAlignmentPolicy,
    metadata: &[StreamStepMetadata],
    observation_index: usize,
    window_len: usize,
    requested_horizon: Option<usize>,
) -> Option<WindowAlignment> {
    let target = resolve_stream_target_alignment(policy, metadata, observation_index, requested_horizon)?;
    let end = observation_index + 1;
    let start = end.checked_sub(window_len)?;
    let window = start..end;
    let follows = |[before, step]: [&StreamStepMetadata; 2]| {
        step.sample_id.same_episode(before.sample_id) && step.boundary == StreamBoundary::Continue
    };
    let whole = !window.is_empty() && pairs(&metadata[window.clone()]).all(follows);
    whole.then_some(WindowAlignment { window, target })
}

/// Pairs of each step and the next one.
fn pairs(steps: &[StreamStepMetadata]) -> impl Iterator<Item = [&StreamStepMetadata; 2]> {
    steps
        .iter()
        .zip(steps.iter().skip(1))
        .map(|(before, step)| [before, step])
}

#[cfg(test)]
mod tests {
    use TargetAlignmentPolicy::{FixedFuture, SameStep, VariableFuture};

    use super::*;
    use crate::{ids::StreamSampleId, segment::StreamSegment};

    /// Ten steps of one episode.
    fn episode() -> Vec<StreamStepMetadata> {
        StreamSegment::of_episode(StreamSampleId::new(1, 2, 3), 0..10).metadata()
    }

    /// An episode with one step changed.
    fn changed(step: usize, change: impl Fn(&mut StreamStepMetadata)) -> Vec<StreamStepMetadata> {
        let mut steps = episode();
        change(&mut steps[step]);
        steps
    }

    /// Whether the step 3 after observation 4 is its target.
    fn reaches(steps: &[StreamStepMetadata]) -> bool {
        let resolved = resolve_stream_target_alignment(FixedFuture, steps, 4, Some(3));
        assert!(resolved.is_none_or(|target| target.target_index == 7));
        resolved.is_some()
    }

    /// Whether the window of steps 2, 3 and 4 has a target.
    fn window(steps: &[StreamStepMetadata]) -> bool {
        let resolved = resolve_stream_window_alignment(FixedFuture, steps, 4, 3, Some(3));
        assert!(resolved.as_ref().is_none_or(|resolved| resolved.window == (2..5)));
        resolved.is_some()
    }

    #[test]
    fn a_target_is_as_far_ahead_as_the_policy_says_and_inside() {
        let target = |policy, observation_index, horizon| {
            let target = resolve_target_alignment(policy, observation_index, 9, horizon)?;
            assert_eq!(target.observation_index, observation_index);
            assert_eq!(target.horizon, target.target_index - observation_index);
            Some(target.target_index)
        };
        assert_eq!(target(SameStep, 9, Some(4)), Some(9));
        assert_eq!(target(SameStep, 10, None), None);
        for policy in [FixedFuture, VariableFuture] {
            assert_eq!(target(policy, 8, None), Some(9));
            assert_eq!(target(policy, 8, Some(0)), Some(9));
            assert_eq!(target(policy, 9, None), None);
            assert_eq!(target(policy, 4, Some(5)), Some(9));
            assert_eq!(target(policy, 4, Some(6)), None);
            assert_eq!(target(policy, 4, Some(usize::MAX)), None);
        }
    }

    #[test]
    fn a_target_stays_in_its_source_and_episode() {
        assert!(reaches(&episode()));
        for step in 5..=7 {
            assert!(!reaches(&changed(step, |s| s.sample_id.source_id = 9)), "{step}");
            assert!(!reaches(&changed(step, |s| s.sample_id.episode_id = 9)), "{step}");
            assert!(reaches(&changed(step, |s| s.sample_id.segment_id = 9)), "{step}");
        }
        assert!(!reaches(&changed(4, |s| s.sample_id.episode_id = 9)));
        for step in [3, 8] {
            assert!(reaches(&changed(step, |s| s.sample_id.episode_id = 9)), "{step}");
        }
    }

    #[test]
    fn a_target_is_not_in_the_past() {
        assert!(!reaches(&changed(6, |s| s.absolute_time = 4)));
        assert!(!reaches(&changed(5, |s| s.absolute_time = 8)));
        assert!(reaches(&changed(6, |s| s.absolute_time = 5))); // at the same time as the step before
        assert!(reaches(&changed(3, |s| s.absolute_time = 8)));
    }

    #[test]
    fn no_episode_begins_on_the_way_to_a_target() {
        for boundary in [StreamBoundary::ResetEpisode, StreamBoundary::ResetAll] {
            for step in 5..=7 {
                assert!(!reaches(&changed(step, |s| s.boundary = boundary)), "{step}");
            }
            for step in [4, 8] {
                assert!(reaches(&changed(step, |s| s.boundary = boundary)), "{step}");
            }
        }
    }

    #[test]
    fn a_stream_without_steps_has_no_target() {
        assert_eq!(resolve_stream_target_alignment(SameStep, &[], 0, None), None);
        assert_eq!(
            resolve_stream_target_alignment(SameStep, &episode(), 10, None),
            None
        );
    }

    #[test]
    fn a_window_is_of_one_episode_without_a_boundary_inside() {
        assert!(window(&episode()));
        for step in 3..=4 {
            assert!(
                !window(&changed(step, |s| s.boundary = StreamBoundary::ResetEpisode)),
                "{step}"
            );
            assert!(
                !window(&changed(step, |s| s.boundary = StreamBoundary::ResetAll)),
                "{step}"
            );
        }
        for step in 2..=4 {
            assert!(!window(&changed(step, |s| s.sample_id.episode_id = 9)), "{step}");
            assert!(!window(&changed(step, |s| s.sample_id.source_id = 9)), "{step}");
        }
        assert!(window(&changed(1, |s| s.sample_id.episode_id = 9)));
        assert!(window(&changed(2, |s| s.boundary = StreamBoundary::ResetEpisode))); // it begins the episode
    }

    #[test]
    fn a_window_has_steps_all_of_which_exist_and_a_target() {
        let resolve = |observation, len| {
            resolve_stream_window_alignment(FixedFuture, &episode(), observation, len, None).is_some()
        };
        assert!(resolve(4, 5) && !resolve(4, 6));
        assert!(resolve(4, 1) && !resolve(4, 0));
        assert!(resolve(8, 3) && !resolve(9, 3));
        assert!(!window(&changed(6, |s| s.boundary = StreamBoundary::ResetEpisode))); // on the way to the target
    }
}
