//! The `dragon` command line: arguments as typed ([`args`]), a verb per file ([`commands`]), exit codes ([`exit`]).

#[macro_use]
mod show;

pub mod args;
pub mod commands;
pub mod exit;
#[cfg(feature = "train")]
mod families;
#[cfg(feature = "train")]
mod own_data;
#[cfg(all(feature = "train", unix))]
mod screen;
mod typed;
mod usage;

use args::{Args, Verb};
use clap::{Arg, Command, FromArgMatches};
use std::any::TypeId;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs `dragon` with the arguments of the process; without any it is the tour.
pub fn dragon(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.len() < 2 {
        burn_dragon::api::kernel::machine::keep_freed_memory();
        return exit::ended(commands::tour::run());
    }
    #[cfg(feature = "train")]
    let arguments = typed::with_train(arguments, &args::command(), &families::names());
    parse(args::command(), arguments)
}

/// Runs one verb as a program of its own: `train ...` is `dragon train ...`.
pub fn verb(name: &str, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // As a multicall program clap reads the verb from the program's name, and names it so in its messages.
    let arguments = arguments.into_iter().skip(1);
    parse(
        args::command().multicall(true),
        std::iter::once(name.into()).chain(arguments),
    )
}

fn parse(command: Command, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    burn_dragon::api::kernel::machine::keep_freed_memory();
    let command = numbers_may_be_negative(command);
    let arguments = typed::model_first(arguments.into_iter().collect(), &command);
    let matches = command.try_get_matches_from(&arguments);
    exit::ended(
        match matches.and_then(|matches| Args::from_arg_matches(&matches)) {
            Ok(args) => run(&args.verb),
            Err(error) => match usage::answered(error, &arguments) {
                Ok(error) => exit::usage(&error),
                Err(usage) => exit::failed(&usage.into()),
            },
        },
    )
}

/// A value that starts with a hyphen, after an option that takes a number, is read as a number and refused as one. So
/// the error asks for another number, not for `--`.
fn numbers_may_be_negative(command: Command) -> Command {
    let numbers = [
        TypeId::of::<f64>(),
        TypeId::of::<i64>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
    ];
    let is_number = |arg: &Arg| {
        let id = arg.get_value_parser().type_id();
        numbers.iter().any(|number| id == *number)
    };
    command
        .mut_args(|arg| {
            let has_one = arg.get_num_args().is_none_or(|count| count.max_values() <= 1);
            match !arg.is_positional() && is_number(&arg) {
                true if has_one => arg.allow_hyphen_values(true),
                true => arg.allow_negative_numbers(true), // else it would take the options after it
                false => arg,
            }
        })
        .mut_subcommands(numbers_may_be_negative)
}

fn run(verb: &Verb) -> ExitCode {
    let result = match verb {
        #[cfg(feature = "train")]
        Verb::Train(args) => commands::train::run(args),
        #[cfg(not(feature = "train"))]
        Verb::Train(_) => Err(exit::without_training().into()),
        #[cfg(feature = "train")]
        Verb::New(args) => commands::new::run(args),
        #[cfg(feature = "train")]
        Verb::Config(args) => commands::config::run(args),
        #[cfg(feature = "train")]
        Verb::Plan(args) => commands::plan::run(args),
        #[cfg(feature = "train")]
        Verb::Runs(args) => commands::runs::run(args),
        #[cfg(feature = "train")]
        Verb::Compare(args) => commands::compare::run(args),
        #[cfg(feature = "train")]
        Verb::Sweep(args) => commands::sweep::run(args),
        #[cfg(feature = "train")]
        Verb::Report(args) => commands::report::run(args),
        Verb::Eval(args) => commands::eval::run(args),
        #[cfg(feature = "train")]
        Verb::Look(args) => commands::look::run(args),
        #[cfg(feature = "train")]
        Verb::Predict(args) => commands::predict::run(args),
        Verb::Generate(args) => commands::generate::run(args),
        Verb::Chat(args) => commands::chat::run(args),
        Verb::State(args) => commands::state::run(args),
        #[cfg(feature = "bpe")]
        Verb::Tokenizer(args) => commands::tokenizer::run(args),
        Verb::Infer(args) => commands::infer::run(args),
        Verb::Forward(args) => commands::forward::run(args),
        #[cfg(feature = "fetch")]
        Verb::Pull(args) => commands::pull::run(args),
        #[cfg(feature = "fetch")]
        Verb::Push(args) => commands::push::run(args),
        Verb::Info(args) => commands::info::run(args),
        Verb::Convert(args) => commands::convert::run(args),
        Verb::Inspect(args) => commands::inspect::run(args),
        Verb::Verify(args) => commands::verify::run(args),
        Verb::Diff(args) => commands::diff::run(args),
        #[cfg(feature = "train")]
        Verb::Doctor(args) => commands::doctor::run(args),
        Verb::Bench(args) => commands::bench::run(args),
        Verb::Completions(args) => commands::completions::run(args, args::command()),
        Verb::Man(args) => commands::man::run(args, args::command()),
        Verb::Export(args) => commands::export::run(&args.place.path(), args.place.offline, &args.bundle),
        Verb::ExportBurnpack(args) => commands::export_burnpack::run(args),
        Verb::ExportBitnetArtifact(args) => commands::export_burnpack::run(&args.into()),
    };
    result.unwrap_or_else(|error| exit::failed(&error))
}
