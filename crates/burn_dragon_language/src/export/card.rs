//! Text of a language model's card.

use super::TOKENIZER;
use crate::chat::ChatTemplate;
use burn_dragon_checkpoint::api::expert::{is_obeyed, shortened};
use burn_dragon_checkpoint::api::{CardText, Figure, ModelFile};
use burn_dragon_core::api::DragonConfig;

/// The key of the prompt of a run among the details of a model's file.
pub(crate) const PROMPT: &str = "prompt";

/// Longest prompt that a card shows, in bytes.
const LONGEST: usize = 200;

/// The figures of an evaluation that a card tells.
const FIGURES: [Figure; 7] = [
    figure("loss", "loss, nats a token", 4),
    figure("bits_per_byte", "bits a byte", 4),
    figure(
        "unknown_share",
        "share of its symbols that are unknown to the model",
        4,
    ),
    figure("recall_accuracy", "recall of stated facts", 3),
    figure("recall_chance", "recall by chance", 3),
    figure("x_density", "density of x: share of neurons above 0", 4),
    figure("y_density", "density of y", 4),
];

const fn figure(key: &'static str, label: &'static str, digits: usize) -> Figure {
    Figure { key, label, digits }
}

/// The parts of the card of a model in the repository `id`.
pub(super) fn text(file: &ModelFile, config: Option<&DragonConfig>, id: &str) -> CardText {
    let kind = token_kind(file);
    let reads_ids = match &kind {
        Some(kind) => kind == "ids",
        None => !file.assets.contains_key(TOKENIZER) && config.is_none_or(|config| config.vocab_size != 256),
    };
    CardText {
        pipeline_tag: Some("text-generation"),
        noun: "language model".into(),
        about: "Its state has a constant size, however long the text; its activations are sparse and positive.".into(),
        rows: config.map_or_else(Vec::new, |config| rows(config, kind.as_deref())),
        figures: FIGURES.to_vec(),
        usage: usage(id, &example(file, reads_ids)),
        limits: "It was not tuned to follow instructions or to refuse any, and its errors were not measured. It writes \
                 what is likely in its training data."
            .into(),
        imported_limits: "It is not known how it was trained, whether it was tuned to follow instructions or to refuse \
                          any, and what it gets wrong: the weights have no such information."
            .into(),
    }
}

/// Kind of the model's tokenizer, if it has one with a kind.
fn token_kind(file: &ModelFile) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(file.assets.get(TOKENIZER)?).ok()?;
    Some(shortened(json["type"].as_str()?))
}

fn rows(config: &DragonConfig, kind: Option<&str>) -> Vec<(String, String)> {
    let kind = kind.map_or_else(
        || "tokens of an unknown kind".into(),
        |kind| format!("tokens ({kind})"),
    );
    let fades = if config.decay.is_some() { "yes" } else { "none" };
    let rows = [
        (
            "shape",
            format!(
                "{} levels of shared weights, width {}, {} heads, {} neurons",
                config.n_levels, config.d_model, config.n_heads, config.n_neurons
            ),
        ),
        ("vocabulary", format!("{} {kind}", config.vocab_size)),
        ("rotary theta", config.rope_theta.to_string()),
        ("decay of the memory", fades.to_string()),
    ];
    rows.map(|(name, text)| (name.to_string(), text)).into()
}

/// Example of a use of a model.
struct Example {
    /// Words before the commands.
    note: String,
    /// Arguments of `dragon generate`.
    arguments: String,
    /// Name of a file of data.
    data: &'static str,
    /// Text that the model continues.
    text: String,
    /// Whether it answers in conversations.
    chats: bool,
}

fn example(file: &ModelFile, reads_ids: bool) -> Example {
    let chats = matches!(ChatTemplate::of(&file.info), Ok(Some(_)));
    if reads_ids {
        let text = "1 2 3".to_string();
        return Example {
            note: format!(
                "There is no tokenizer: the model reads and writes token ids, in a text as `{text}`.\n\n"
            ),
            arguments: "--prompt-tokens 1,2,3".into(),
            data: "ids.txt",
            text,
            chats,
        };
    }
    let text = prompt(file).unwrap_or("Once upon a time").to_string();
    Example {
        note: String::new(),
        arguments: format!("--prompt \"{text}\""),
        data: "text.txt",
        text,
        chats,
    }
}

/// The prompt of the samples of the model's run, if a shell and a string of Rust read it as it stands.
fn prompt(file: &ModelFile) -> Option<&str> {
    let text = file.info.details.get(PROMPT)?.as_str()?;
    let is_plain = |c: char| !is_obeyed(c) && !matches!(c, '"' | '$' | '`' | '\\' | '!');
    (!text.trim().is_empty() && text.len() <= LONGEST && text.chars().all(is_plain)).then_some(text)
}

fn usage(id: &str, example: &Example) -> String {
    let Example {
        note,
        arguments,
        data,
        text,
        chats,
    } = example;
    let chat = match chats {
        true => format!("dragon chat {id}\n"),
        false => String::new(),
    };
    format!(
        r#"{note}```sh
{chat}dragon generate {id} {arguments} --max-tokens 64
dragon eval {id} {data}
```

In Rust, with the features `fetch` of `burn_dragon`:

```rust
use burn_dragon::api::core::Backend;
use burn_dragon::api::exchange::ModelPath;
use burn_dragon::api::exchange::fetch::{{Fetcher, Source}};
use burn_dragon::api::language::{{GenerationConfig, Generator, LanguageModel}};

let fetched = Fetcher::from_env()?.fetch(&Source::remote("{id}", None)?, &|_| {{}})?;
let device = Backend::Cpu.select()?.device;
let model = LanguageModel::load(&ModelPath::new(fetched.path), &device)?;
let settings = GenerationConfig {{ max_tokens: Some(64), ..GenerationConfig::default() }};
let generator = Generator::new(&model.dragon, model.tokenizer.clone(), &settings)?;
println!("{{}}", generator.complete("{text}")?.text);
```"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::model_file;
    use burn::tensor::Device;
    use burn_dragon_checkpoint::api::ModelInfo;
    use burn_dragon_core::api::Dragon;
    use serde_json::json;

    fn usage_with(prompt: &str, vocab_size: usize) -> String {
        let config = DragonConfig {
            vocab_size,
            n_neurons: 8,
            d_model: 4,
            n_heads: 1,
            n_levels: 1,
            ..DragonConfig::tiny()
        };
        let dragon = Dragon::new(&config, 1, &Device::flex()).unwrap();
        let mut info = ModelInfo::default();
        info.details.insert(PROMPT.into(), json!(prompt));
        text(&model_file(&dragon, info, None), Some(&config), "a/b").usage
    }

    #[test]
    fn the_example_is_the_prompt_of_the_run_where_a_shell_reads_it_as_it_stands() {
        let said = usage_with("Mira hid the red key under the mill.", 256);
        assert!(
            said.contains(
                "dragon generate a/b --prompt \"Mira hid the red key under the mill.\" --max-tokens 64"
            ),
            "{said}"
        );
        assert!(
            said.contains("complete(\"Mira hid the red key under the mill.\")"),
            "{said}"
        );
        for prompt in ["$(rm x)", "a\"b", "a\nb", " ", "`x`", "\u{3}", &"a".repeat(201)] {
            let said = usage_with(prompt, 256);
            assert!(said.contains("--prompt \"Once upon a time\""), "{said}");
        }
        assert!(usage_with("Mira", 64).contains("--prompt-tokens 1,2,3"));
    }
}
