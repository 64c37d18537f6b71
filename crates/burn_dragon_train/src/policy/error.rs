//! Errors of rewards.

/// Rewards from which no advantages follow.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The number of values is not that of the shape.
    #[error(
        "rewards of {groups} groups of {rollouts} rollouts with {kinds} rewards each are {expected} numbers, and {given} were \
         given; give one number for each, the rewards of a rollout side by side"
    )]
    Shape {
        /// Number of groups.
        groups: usize,
        /// Number of rollouts in a group.
        rollouts: usize,
        /// Number of rewards of a rollout.
        kinds: usize,
        /// Number of values that the shape has.
        expected: usize,
        /// Number of values that were given.
        given: usize,
    },
    /// The estimator has terms for another number of rewards.
    #[error(
        "a rollout has {given} rewards, and the estimator has terms for {expected}; give as many terms as rewards"
    )]
    Kinds {
        /// Number of terms.
        expected: usize,
        /// Number of rewards of a rollout.
        given: usize,
    },
    /// A reward that f32 cannot hold.
    #[error(
        "reward {kind} of rollout {rollout} of group {group} is {value}; expected a number from -3.4e38 to 3.4e38; check what \
         computes this reward"
    )]
    NotFinite {
        /// Place of the reward in a rollout, from 0.
        kind: usize,
        /// Place of the rollout in its group, from 0.
        rollout: usize,
        /// Place of the group, from 0.
        group: usize,
        /// Value of the reward.
        value: f64,
    },
}
