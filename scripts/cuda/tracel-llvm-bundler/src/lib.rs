//! Fetches no LLVM: stands in for the crate that does.
