//! The `dragon` command line: arguments as typed ([`args`]), a verb per file ([`commands`]), exit codes ([`exit`]).

pub mod args;
pub mod commands;
pub mod exit;

use args::{Args, Verb};
use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs `dragon` with the process's arguments.
pub fn dragon(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Args::try_parse_from(arguments) {
        Ok(args) => finish(&args.verb),
        Err(error) => exit::usage(&error),
    }
}

/// Runs one verb as a program of its own: `train ...` is `dragon train ...`.
pub fn verb(name: &str, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_else(|| name.into());
    dragon([program, name.into()].into_iter().chain(arguments))
}

fn finish(verb: &Verb) -> ExitCode {
    let result = match verb {
        Verb::Train(args) => commands::train::run(args),
        Verb::Eval(args) => commands::eval::run(args),
        Verb::Generate(args) => commands::generate::run(args),
        Verb::Infer(args) => commands::infer::run(args),
        Verb::Forward(args) => commands::forward::run(args),
        Verb::Info(args) => commands::info::run(args),
        Verb::ExportBurnpack(args) => commands::export_burnpack::run(args),
    };
    result.unwrap_or_else(|error| exit::failed(&error))
}
