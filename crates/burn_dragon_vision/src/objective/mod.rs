//! Objectives: what an encoder learns from.
