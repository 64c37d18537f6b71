//! Rewards of a walk of a saccade model.

use burn_dragon_train::api::policy::RewardConfig;

/// Names of the rewards of a walk, in their order.
///
/// - `valid`: the share of the committed cells that are right; 1 if none is committed.
/// - `solved`: 1 if the answer keeps the givens and the rules.
/// - `few_steps`: the share of the levels that were left at the end of the walk.
pub(crate) const REWARDS: [&str; 3] = ["valid", "solved", "few_steps"];

/// Rewards that count where a configuration names none: few steps count where the puzzle is solved.
pub(crate) fn default_rewards() -> Vec<RewardConfig> {
    vec![
        RewardConfig::weighted("valid", 1.0),
        RewardConfig::weighted("solved", 1.0),
        RewardConfig::weighted("few_steps", 0.5).when("solved", 1.0),
    ]
}
