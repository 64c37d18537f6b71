//! Probes: what frozen features know.
