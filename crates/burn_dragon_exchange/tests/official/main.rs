//! Official weights: the same bits through every file, and whatever is not weights refused by name.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod fixtures;
mod hostile;
mod safetensors_files;
mod support;
mod torch_files;
