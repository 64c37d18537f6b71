//! The programs as a person meets them: run in a folder of their own, judged by exit code, output and files.

#![cfg(test)]
#![cfg(feature = "train")]

mod bench;
mod chat;
mod chat_turns;
mod config;
#[cfg(feature = "fetch")]
mod datasets;
#[cfg(target_os = "linux")]
mod doctor;
mod errors;
mod eval;
mod eval_families;
mod eval_suite;
mod export;
mod families;
mod files;
mod forward;
#[cfg(target_os = "linux")]
mod full;
mod generate;
mod graph;
mod graph_motion;
mod graph_sources;
mod infer;
mod info;
mod instructions;
mod judging;
mod low_bit;
mod machine;
mod names;
mod new;
mod numbers;
mod outcomes;
mod plan;
mod presets;
mod prompts;
#[cfg(feature = "fetch")]
mod remote;
mod resume;
mod resume_data;
mod resume_place;
mod resume_settings;
mod runs;
#[cfg(unix)]
mod screen;
mod scripts;
mod settings;
mod state;
mod strangers;
#[cfg(feature = "train")]
mod sudoku;
mod support;
mod talks;
#[cfg(unix)]
mod terminal;
mod texts;
#[cfg(feature = "bpe")]
mod tokenizer;
mod train;
mod tuning;
mod typing;
mod wirings;
