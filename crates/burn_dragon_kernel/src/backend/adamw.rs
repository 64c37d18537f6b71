//! A step of AdamW as a backend is given it.

/// The numbers of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// How many steps were taken, this one included: 1 for the first.
    pub count: i32,
    /// Step size.
    pub rate: f64,
    /// Memory of the first moment, in `[0, 1)`.
    pub beta_1: f64,
    /// Memory of the second moment, in `[0, 1)`.
    pub beta_2: f64,
    /// What is added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub decay: f64,
    /// Factor on the gradient: that of a mean, of clipping.
    pub scale: f64,
}
