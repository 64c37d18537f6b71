//! What was typed, before clap reads it: a model named by `-m`, and words after `train`.

use clap::Command;
use std::ffi::OsString;

#[cfg(feature = "train")]
pub(crate) use words::{Words, settings_apart};

/// Arguments in which `train` stands where it was left out: before a family, a setting or an option that only it has.
#[cfg(feature = "train")]
pub(crate) fn with_train(
    mut arguments: Vec<OsString>,
    command: &Command,
    families: &[&str],
) -> Vec<OsString> {
    let Some(first) = arguments.get(1).and_then(|word| word.to_str()) else {
        return arguments;
    };
    let option = first.split('=').next().unwrap_or_default();
    let has = |command: &Command| {
        let mut all = command.get_arguments();
        all.any(|arg| {
            let long = arg.get_long().is_some_and(|long| option == format!("--{long}"));
            let short = arg.get_short().is_some_and(|short| option == format!("-{short}"));
            long || short
        })
    };
    let of_train = command.find_subcommand("train").is_some_and(has) && !has(command);
    let is_setting = !first.starts_with('-') && first.contains('=');
    if command.find_subcommand(first).is_none() && (of_train || is_setting || families.contains(&first)) {
        arguments.insert(1, "train".into());
    }
    arguments
}

/// Arguments in which `-m MODEL` and `--model MODEL` stand where the verb has its MODEL, directly after the verb.
///
/// The other words then keep their meaning: `generate -m RUN PROMPT` is `generate RUN PROMPT`.
pub(crate) fn model_first(arguments: Vec<OsString>, command: &Command) -> Vec<OsString> {
    let takes_model = |word: &OsString| {
        let verb = word.to_str().and_then(|name| command.find_subcommand(name));
        verb.is_some_and(|verb| verb.get_positionals().next().is_some_and(is_model))
    };
    let verb = 1;
    if !arguments.get(verb).is_some_and(takes_model) {
        return arguments;
    }
    let end = arguments
        .iter()
        .position(|word| word == "--")
        .unwrap_or(arguments.len());
    let is_flag = |word: &OsString| word == "-m" || word == "--model";
    let Some(flag) = (verb + 1..end).find(|&at| is_flag(&arguments[at])) else {
        return arguments;
    };
    let mut arguments = arguments;
    arguments.remove(flag);
    if flag < arguments.len() {
        let model = arguments.remove(flag);
        arguments.insert(verb + 1, model);
    }
    arguments
}

fn is_model(positional: &clap::Arg) -> bool {
    let names = positional.get_value_names().unwrap_or_default();
    names.first().is_some_and(|name| name.as_str() == "MODEL")
}

#[cfg(feature = "train")]
mod words;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::CommandFactory;

    #[cfg(feature = "train")]
    #[test]
    fn train_may_be_left_out_before_what_only_it_has() {
        let whole = |typed: &str| {
            let words = typed.split(' ').map(OsString::from).collect();
            let words = with_train(words, &Args::command(), &["language", "sudoku"]);
            words[1].to_str().unwrap().to_string()
        };
        for typed in ["--max-steps 3", "-c a.toml", "--resume=run", "sudoku", "a.b=1"] {
            assert_eq!(whole(&format!("dragon {typed}")), "train", "{typed}");
        }
        for typed in [
            "generate run",
            "--help",
            "-V",
            "--prompt x",
            "poetry",
            "train --max-steps 3",
            "help",
        ] {
            assert_eq!(
                whole(&format!("dragon {typed}")),
                typed.split(' ').next().unwrap()
            );
        }
    }

    #[test]
    fn a_model_named_by_a_flag_stands_where_the_verb_has_it() {
        let first = |typed: &str| {
            let words = typed.split(' ').map(OsString::from).collect();
            let words = model_first(words, &Args::command());
            let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
            words.join(" ")
        };
        assert_eq!(
            first("dragon generate -m run -p text"),
            "dragon generate run -p text"
        );
        assert_eq!(
            first("dragon generate text --model run -n 3"),
            "dragon generate run text -n 3"
        );
        assert_eq!(first("dragon generate run -- -m"), "dragon generate run -- -m");
        assert_eq!(first("dragon train -m run"), "dragon train -m run");
        assert_eq!(first("dragon generate -m"), "dragon generate");
    }
}
