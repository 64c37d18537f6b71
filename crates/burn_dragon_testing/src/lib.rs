//! What the tests of several crates share. Not published: only `[dev-dependencies]` and `fuzz/` name it.
//!
//! | module | is |
//! |---|---|
//! | [`server`] | an HTTP server on this machine that is good, bad, slow or gone, as a test asks |
//! | [`pt`] | files as `torch.save` writes them, and as it never would |
//! | `doors` | the ways in from bytes that fuzz targets try (feature `doors`) |
//!
//! A helper that one crate needs stays in that crate's `tests/`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

#[cfg(feature = "doors")]
pub mod doors;
pub mod pt;
pub mod server;
