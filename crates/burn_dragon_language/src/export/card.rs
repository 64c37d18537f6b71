//! Text of a language model's card.

use super::TOKENIZER;
use burn_dragon_checkpoint::api::expert::shortened;
use burn_dragon_checkpoint::api::{CardText, Figure, ModelFile};
use burn_dragon_core::api::DragonConfig;

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
        usage: usage(id, reads_ids),
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

fn usage(id: &str, reads_ids: bool) -> String {
    let (prompt, data, text) = match reads_ids {
        true => ("--prompt-tokens 1,2,3", "ids.txt", "1 2 3"),
        false => ("--prompt \"Once upon a time\"", "text.txt", "Once upon a time"),
    };
    let ids = match reads_ids {
        true => {
            format!("There is no tokenizer: the model reads and writes token ids, in a text as `{text}`.\n\n")
        }
        false => String::new(),
    };
    format!(
        r#"{ids}```sh
dragon generate {id} {prompt} --max-tokens 64
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
