//! Input of a step of AdamW for a backend.

/// Numbers of one AdamW step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Number of the step, from 1.
    pub count: i32,
    /// Learning rate.
    pub rate: f64,
    /// Decay rate of the first moment, in `[0, 1)`.
    pub beta_1: f64,
    /// Decay rate of the second moment, in `[0, 1)`.
    pub beta_2: f64,
    /// Epsilon that is added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub decay: f64,
    /// Factor on the gradient, such as that of a mean or of clipping.
    pub scale: f64,
}
