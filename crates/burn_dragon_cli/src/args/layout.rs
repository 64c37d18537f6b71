//! Layout of the help, one for all verbs: arguments, then options in the order of use, then where a model is and where it
//! runs. Each verb ends with examples.

use super::Args;
use clap::{Arg, Command, CommandFactory};

/// Heading of the options that say where a model is and where it runs.
const PLACE: &str = "Model and device";

/// Options under [`PLACE`], in this order.
const PLACES: [&str; 5] = ["step", "best", "backend", "offline", "model_config"];

/// Examples of the verbs whose arguments have none, by the name of the verb.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "config",
        "  dragon config show small model.n_levels=6\n  dragon config check mine.toml\n  dragon config diff runs/a runs/b",
    ),
    ("config check", "  dragon config check mine.toml other.toml"),
    (
        "config diff",
        "  dragon config diff small base\n  dragon config diff mine.toml runs/latest",
    ),
    (
        "config doc",
        "  dragon config doc language\n  dragon config doc --json",
    ),
    ("config presets", "  dragon config presets"),
    ("runs", "  dragon runs\n  dragon runs sweeps/rate"),
    ("compare", "  dragon compare runs/a runs/b runs/c"),
    (
        "report",
        "  dragon report runs/latest\n  dragon report runs/a runs/b --out both.html",
    ),
    (
        "look",
        "  dragon look runs/latest picture.png --out look.html\n  dragon look runs/latest picture.png --steps 8 --out look.png",
    ),
    (
        "predict",
        "  dragon predict runs/latest puzzles.txt --out solved.txt\n  dragon predict runs/latest a.png b.png --embed --out features.safetensors\n  dragon solve runs/latest puzzles.txt --steps 256 --verify --json",
    ),
    (
        "state",
        "  dragon state info facts.state\n  dragon state diff before.state after.state",
    ),
    ("state info", "  dragon state info facts.state"),
    (
        "state rebase",
        "  dragon state rebase facts.state --out rebased.state",
    ),
    ("state diff", "  dragon state diff before.state after.state"),
    (
        "tokenizer",
        "  dragon tokenizer train novels/ --vocab-size 8192 --output tok.json\n  dragon tokenizer info tok.json novels/",
    ),
    (
        "tokenizer train",
        "  dragon tokenizer train novels/ --vocab-size 8192 --output tok.json",
    ),
    (
        "tokenizer encode",
        "  dragon tokenizer encode tok.json --text \"Mira hid\"\n  dragon tokenizer encode tok.json book.txt --output book.u16",
    ),
    (
        "tokenizer decode",
        "  dragon tokenizer decode tok.json 77 105 114 97",
    ),
    ("tokenizer info", "  dragon tokenizer info tok.json book.txt"),
    (
        "forward",
        "  dragon forward runs/latest tokens.safetensors --out logits.safetensors",
    ),
    (
        "pull",
        "  dragon pull OWNER/NAME\n  dragon pull OWNER/NAME --revision v1",
    ),
    (
        "push",
        "  dragon push runs/latest --repo OWNER/NAME --license mit --dry-run pushed",
    ),
    ("info", "  dragon info runs/latest"),
    (
        "export",
        "  dragon export runs/latest --output model.bpk\n  dragon export runs/latest --precision bf16 --parts-mib 16",
    ),
    (
        "convert",
        "  dragon convert runs/latest model.safetensors\n  dragon convert weights.pt model.bpk --model-config config.json",
    ),
    ("inspect", "  dragon inspect model.bpk"),
    ("verify", "  dragon verify runs/latest --deep"),
    ("diff", "  dragon diff runs/a runs/b"),
    ("doctor", "  dragon doctor"),
    (
        "bench",
        "  dragon bench train\n  dragon bench decode --weights runs/latest",
    ),
    ("bench train", "  dragon bench train --batch 8 --time 256"),
    (
        "bench prefill",
        "  dragon bench prefill --weights runs/latest --tokens 4096",
    ),
    ("bench decode", "  dragon bench decode --weights runs/latest"),
    ("bench kernels", "  dragon bench kernels --neurons 8192"),
];

/// The command line with its help laid out.
pub fn command() -> Command {
    Args::command().mut_subcommands(|verb| {
        let name = verb.get_name().to_string();
        laid_out(verb, &name)
    })
}

fn laid_out(verb: Command, name: &str) -> Command {
    let verb = with_examples(verb.mut_args(placed), name);
    verb.mut_subcommands(|operation| {
        let name = format!("{name} {}", operation.get_name());
        laid_out(operation, &name)
    })
}

/// An option about the place of a model under its heading.
fn placed(arg: Arg) -> Arg {
    match PLACES.iter().position(|place| arg.get_id() == place) {
        Some(place) if !arg.is_positional() => arg.help_heading(PLACE).display_order(place),
        _ => arg,
    }
}

fn with_examples(verb: Command, name: &str) -> Command {
    match EXAMPLES.iter().find(|(of, _)| *of == name) {
        Some((_, examples)) if verb.get_after_help().is_none() => {
            verb.after_help(format!("Examples:\n{examples}"))
        }
        _ => verb,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    /// Each verb and each operation that is shown, with its whole name.
    fn verbs() -> Vec<(String, Command)> {
        fn below(command: &Command, name: &str, all: &mut Vec<(String, Command)>) {
            for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
                let name = format!("{name} {}", verb.get_name());
                all.push((name.trim().into(), verb.clone()));
                below(verb, name.trim(), all);
            }
        }
        let mut all = Vec::new();
        below(&command(), "", &mut all);
        assert!(all.len() > 15, "{}", all.len());
        all
    }

    /// Long names of the options below a heading of a help text.
    fn options(help: &str, heading: &str) -> Vec<String> {
        let lines = help
            .lines()
            .skip_while(|line| *line != format!("{heading}:"))
            .skip(1);
        let lines = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
        let names = lines.filter(|line| line.trim_start().starts_with('-') && line.starts_with("  "));
        names
            .filter_map(|line| {
                let name = line.split_whitespace().find(|word| word.starts_with("--"))?;
                Some(name.trim_end_matches(',').to_string())
            })
            .collect()
    }

    #[test]
    fn every_verb_has_one_layout() {
        for (name, mut verb) in verbs() {
            let help = verb.render_long_help().to_string();
            let place = |text: &str| help.find(text);
            let order = [
                place("Arguments:\n"),
                place("Options:\n"),
                place("Model and device:\n"),
                place("Examples:\n"),
            ];
            let there: Vec<usize> = order.into_iter().flatten().collect();
            assert!(there.is_sorted(), "{name}: {help}");
            assert!(
                help.contains(&format!("Examples:\n  dragon {name}")) || help.contains("\n  dragon "),
                "{name}: {help}"
            );
            let everyday = options(&help, "Options");
            let places = options(&help, PLACE);
            for option in PLACES.map(|option| format!("--{}", option.replace('_', "-"))) {
                assert!(!everyday.contains(&option), "{name} {option}: {help}");
            }
            assert!(
                places
                    .iter()
                    .all(|option| PLACES.contains(&&*option[2..].replace('-', "_"))),
                "{name}: {help}"
            );
            if places.contains(&"--model-config".into()) {
                assert_eq!(places.last().unwrap(), "--model-config", "{name}: {help}");
            }
            // What every verb has stands behind what it has of its own.
            let own: Vec<&String> = everyday
                .iter()
                .filter(|option| !["--help", "--version"].contains(&option.as_str()))
                .collect();
            if let Some(at) = own.iter().position(|option| *option == "--json") {
                assert_eq!(at, own.len() - 1, "{name}: {help}");
            }
        }
    }

    /// An example with a word that clap does not take would mislead.
    #[test]
    fn every_example_is_a_command_that_can_be_typed() {
        let mut tried = 0;
        for (name, verb) in verbs() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.lines().filter_map(|line| line.strip_prefix("  dragon "));
            for example in examples.filter(|example| !example.contains(['|', '>', '\"', '\''])) {
                let example = example.split("   ").next().unwrap_or_default();
                let words = std::iter::once("dragon").chain(example.split_whitespace());
                let words: Vec<OsString> = words.map(OsString::from).collect();
                let words = crate::typed::model_first(words, &command());
                let taken = command().try_get_matches_from(words);
                assert!(taken.is_ok(), "{name}: {example}: {}", taken.unwrap_err());
                tried += 1;
            }
        }
        assert!(tried > 15, "{tried}");
    }
}
