//! Which tokens a token reads.

/// Which tokens a token reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Those before it.
    #[default]
    Causal,
    /// All of the window, itself included: for inputs that are whole from the start. Memory is written before it is read.
    /// Tokens have no order: nothing decays or is emptied.
    Full,
}
