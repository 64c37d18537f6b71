//! Policies that learn from rewards: advantages in groups of rollouts, and the clipped surrogate.
//!
//! ```text
//! rewards      r [P, G, K]        P prompts, G rollouts of each, K rewards; a group is the rollouts of one prompt
//! conditions   r_k = r_k [r_l >= t]                                            where reward k is given on reward l
//! grpo         A = norm_group(sum_k w_k r_k)
//! gdpo         S = sum_k w_k norm_group(r_k),  A = norm_batch(S)
//!              norm(x) = (x - mean x) / (deviation x + eps)                     the deviation divides by n - 1
//! surrogate    L = - mean_rollouts mean_choices min(q A, clip(q, 1 - c, 1 + c) A)
//!              q = exp(clamp(log pi(choice) - log pi_then(choice), -20, 20))   pi_then is a constant
//! ```
//!
//! GRPO: arXiv 2402.03300. GDPO: arXiv 2601.05242. In GDPO weights act on advantages, so that a reward with a large spread does not
//! drown another.
//!
//! A choice is a constant of the loss: its log-probability is that of a number that was drawn, not of the expression that drew it.
//! The expression's own gradient would be that of `log pi(mean + deviation noise)`, in which the mean cancels.

mod advantages;
mod choices;
mod chooser;
mod config;
mod error;
mod normal;
mod surrogate;

pub use self::advantages::{AdvantageMethod, Condition, Estimator, Rewards, Term};
pub use self::choices::{ChoiceLogProbs, Choices, drawn, largest};
pub use self::chooser::{Chooser, UnknownChooser};
pub use self::config::{PolicyConfig, RewardConfig, When};
pub use self::error::PolicyError;
pub use self::normal::normal_log_probs;
pub use self::surrogate::{Taken, masked_mean, surrogate};
