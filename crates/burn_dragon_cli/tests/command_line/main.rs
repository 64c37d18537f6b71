//! The programs as a person meets them: run in a folder of their own, judged by exit code, output and files.

#![cfg(test)]

mod bench;
mod chat;
mod errors;
mod eval;
mod export;
mod files;
mod forward;
mod generate;
mod infer;
mod info;
mod instructions;
#[cfg(feature = "fetch")]
mod remote;
mod resume;
#[cfg(feature = "fetch")]
#[path = "../../../burn_dragon_checkpoint/tests/server/mod.rs"]
mod server;
mod state;
mod strangers;
mod support;
mod train;
