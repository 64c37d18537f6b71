//! `dragon` without arguments: the tour, which begins with the first run.

use crate::args::{Args, Verb};
use burn_dragon_train::api::expert::dragon_as_typed;
use clap::Parser;
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

/// Says what the first commands are, and runs the first of them. On a terminal it asks before.
pub fn run() -> ExitCode {
    let dragon = dragon_as_typed();
    tell!(
        "Dragon Hatchling models: three commands to a model that remembers.\n
  {dragon} train                      a model of its own text, in under 4 minutes
  {dragon} generate runs/latest       and a text by it
  {dragon} chat runs/latest           lines in turn; it remembers them\n
  {dragon} train book.txt novels/     the same on your own text
  {dragon} help                       all verbs\n"
    );
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !agreed() {
        return ExitCode::SUCCESS;
    }
    match Args::try_parse_from(["dragon", "train"]) {
        Ok(Args { verb }) => start(&verb),
        Err(error) => crate::exit::usage(&error),
    }
}

fn start(verb: &Verb) -> ExitCode {
    crate::run(verb)
}

/// Whether the user starts the first run: an empty line or a yes.
fn agreed() -> bool {
    crate::show::mark("Start the first one now? [Y/n] ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.is_ok_and(|bytes| bytes > 0) && matches!(line.trim().to_lowercase().as_str(), "" | "y" | "yes")
}
