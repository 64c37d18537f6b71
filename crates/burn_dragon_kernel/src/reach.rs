//! Reach of a read: the tokens that a token reads.

/// Reach of a read: the tokens that a token reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The tokens before it, not itself.
    #[default]
    Causal,
    /// All tokens of the window, including itself: for inputs that are known as a whole. Memory is written before it is
    /// read. Tokens have no order: there is neither decay nor a reset.
    Full,
}
