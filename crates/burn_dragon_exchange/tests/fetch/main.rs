//! Models from servers, good and bad: what arrives is what was meant, or nothing does.
#![cfg(feature = "fetch")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails should say where"
)]

mod caching;
mod downloads;
mod hubs;
mod lies;
mod manifests;
mod support;
mod uploads;
