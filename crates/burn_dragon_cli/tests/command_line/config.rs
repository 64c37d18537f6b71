//! `dragon config`: configurations without data, model and device.

use crate::support::Place;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn show_is_what_print_config_prints() {
    let place = Place::new();
    place.write("mine.toml", "[model]\nd_model = 32\n");
    for (show, train) in [
        (&["config", "show"][..], &["train", "--print-config"][..]),
        (
            &["config", "show", "sudoku", "training.seed=3"],
            &["train", "sudoku", "training.seed=3", "--print-config"],
        ),
        (
            &["config", "show", "mine.toml", "training.epochs", "=", "2"],
            &["train", "mine.toml", "training.epochs=2", "--print-config"],
        ),
        (
            &["config", "show", "-c", "mine.toml"],
            &["train", "-c", "mine.toml", "--print-config"],
        ),
        (
            &["config", "show", "small", "-c", "mine.toml"],
            &["train", "--preset", "small", "-c", "mine.toml", "--print-config"],
        ),
    ] {
        let (shown, printed) = (place.dragon(show).done(), place.dragon(train).done());
        assert_eq!(shown.stdout, printed.stdout, "{show:?}");
        assert!(shown.stdout.contains("[training]"), "{show:?}");
    }
    assert_eq!(place.names(), ["mine.toml"], "nothing is written");
}

#[test]
fn show_of_a_run_is_its_configuration() {
    let place = Place::trained();
    let shown = place.dragon(&["config", "show", "run", "--json"]).done().json();
    assert_eq!(shown["family"], "language");
    let key = &shown["values"]["model.d_model"];
    assert_eq!(key["value"], 16);
    let origin = key["origin"].as_str().unwrap();
    assert!(origin.contains("config.toml:"), "{origin}");
    place
        .dragon(&["config", "show", "run", "-c", "mine.toml"])
        .refused(2, &["has its own configuration", "KEY=VALUE"]);
}

#[test]
fn show_of_nothing_known_is_answered_with_what_is() {
    let place = Place::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    for (word, parts) in [
        ("langauge", &["did you mean `language`?", "presets: tiny"][..]),
        ("smal", &["did you mean `small`?"]),
        (
            "nonsense",
            &["no family, no preset", "families: language, sudoku, graph"],
        ),
        ("folder", &["no run", "config.toml"]),
        ("missing.toml", &["missing.toml"]),
    ] {
        place.dragon(&["config", "show", word]).refused(2, parts);
    }
    place
        .dragon(&["config", "show", "small", "large"])
        .refused(2, &["`large`", "-c FILE"]);
}

#[test]
fn check_reports_every_fault_of_every_file_with_its_line() {
    let place = Place::new();
    let bad =
        "[model]\nd_modell = 32\nn_levels = 'four'\n[schedule]\ntype = 'cosin'\n[dataset]\ntype = 'text'\n";
    place.write("bad.toml", bad);
    place.write(
        "range.toml",
        "[training]\nbatch_size = 0\n[optimizer]\nlearning_rate = -1.0\n[model]\nn_heads = 3\n",
    );
    place.write("syntax.toml", "[model\n");
    place.write("other.toml", "\nfamily = 'langauge'\n");
    place.write("good.toml", "[model]\nd_model = 32\n");
    let files = [
        "bad.toml",
        "range.toml",
        "syntax.toml",
        "other.toml",
        "good.toml",
        "absent.toml",
    ];
    let answer = place.dragon(&[&["config", "check"], &files[..]].concat());
    assert_eq!(answer.code, Some(2), "{}", answer.stdout);
    for part in [
        "bad.toml: 4 errors",
        "unknown key `model.d_modell` (bad.toml:2); did you mean `model.d_model`?",
        "`model.n_levels` should be a whole number, 0 or more, but is string \"four\" (bad.toml:3)",
        "`schedule.type` cannot be \"cosin\" (bad.toml:5); did you mean `cosine`?",
        "`dataset.paths` is required and nothing sets it (its table: bad.toml:6)",
        "range.toml: 3 errors",
        "training.batch_size = 0; expected at least 1 (range.toml:2)",
        "(range.toml:4)",
        "use a multiple of 6",
        "syntax.toml: 1 error\n  syntax.toml:1:",
        "other.toml: 1 error",
        "did you mean `language`?",
        "(other.toml:2)",
        "good.toml: ok (language)",
        "absent.toml: 1 error",
        "5 of 6 configurations are wrong",
    ] {
        assert!(
            answer.stdout.contains(part),
            "{part}\nis not in\n{}",
            answer.stdout
        );
    }
    let json = place.dragon(&["config", "check", "bad.toml", "good.toml", "--json"]);
    assert_eq!(json.code, Some(2));
    let json = json.json();
    assert_eq!(json["ok"], false);
    let first = &json["files"][0]["errors"][0];
    assert_eq!(
        (&first["key"], &first["line"]),
        (&"model.d_modell".into(), &2.into())
    );
    assert_eq!(first["file"], "bad.toml");
    assert_eq!(json["files"][1]["ok"], true);
}

/// A run with a configuration that checks is refused for its data or its machine alone.
#[test]
fn a_value_that_check_refuses_is_refused_by_train_in_the_same_words() {
    let place = Place::new();
    for (text, words) in [
        ("[training]\nlog_every = 0\n", "training.log_every = 0"),
        (
            "[dataset]\ntype = 'embedded'\nvalidation_tales = 0\n",
            "validation_tales",
        ),
        ("[generation]\ntop_p = 2.0\n", "generation.top_p"),
        ("[model]\ndropout = 1.0\n", "model.dropout"),
        ("[sequence]\nblock_size = 0\n", "sequence.block_size = 0"),
        (
            "[schedule]\ntype = 'wsd'\ndecay_steps = 9000\n",
            "the schedule needs 9000 steps",
        ),
        (
            "[optimizer]\nmethod = 'muon'\niterations = 0\n",
            "optimizer.iterations",
        ),
        ("[ema]\ndecay = 2.0\n", "ema.decay"),
    ] {
        place.write("mine.toml", text);
        let checked = place.dragon(&["config", "check", "mine.toml"]);
        assert_eq!(checked.code, Some(2), "{text}{}", checked.stdout);
        assert!(checked.stdout.contains(words), "{words}: {}", checked.stdout);
        let few = ["dataset.type=embedded", "dataset.train_bytes=40000"];
        let trained = place.dragon(&[&["train", "-c", "mine.toml"], &few[..]].concat());
        assert_ne!(trained.code, Some(0));
        assert!(trained.stderr.contains(words), "{words}: {}", trained.stderr);
    }
}

#[test]
fn all_shipped_configurations_check() {
    let mut files = Vec::new();
    let mut folders = vec![root().join("config")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path.to_str().unwrap().to_string()),
            }
        }
    }
    assert!(files.len() > 25, "{files:?}");
    let words: Vec<&str> = ["config", "check"]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    Place::new().dragon(&words).done();
}

#[test]
fn diff_shows_the_keys_that_differ_and_ends_with_one() {
    let place = Place::new();
    place.write("a.toml", "[model]\nd_model = 32\n[training]\nmax_steps = 10\n");
    place.write("b.toml", "[training]\nmax_steps = 10\nclip_norm = 1.0\n");
    let answer = place.dragon(&["config", "diff", "a.toml", "b.toml"]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    for part in [
        "A a.toml (language)\nB b.toml (language)",
        "model.d_model       32 (a.toml:2)  128 (default)",
        "training.clip_norm  -              1.0 (b.toml:3)",
        "different",
    ] {
        assert!(
            answer.stdout.contains(part),
            "{part}\nis not in\n{}",
            answer.stdout
        );
    }
    assert!(!answer.stdout.contains("max_steps"), "{}", answer.stdout);
    let json = place
        .dragon(&["config", "diff", "a.toml", "b.toml", "--json"])
        .json();
    assert_eq!(json["equal"], false);
    assert_eq!(json["differences"]["training.clip_norm"]["a"], Value::Null);
    assert_eq!(json["differences"]["model.d_model"]["b"]["origin"], "default");
    place.dragon(&["config", "diff", "a.toml", "a.toml"]).done();
    place.dragon(&["config", "diff", "small", "small"]).done();
    let answer = place.dragon(&["config", "diff", "language", "sudoku"]);
    assert_eq!(answer.code, Some(1));
}

/// `docs/configuration_keys.md` is what the program says.
#[test]
fn the_reference_of_all_keys_is_what_the_program_prints() {
    let printed = Place::new().dragon(&["config", "doc"]).done().stdout;
    let file = std::fs::read_to_string(root().join("docs/configuration_keys.md")).unwrap_or_default();
    let line = printed
        .lines()
        .zip(file.lines())
        .find(|(printed, file)| printed != file);
    assert!(
        printed == file,
        "docs/configuration_keys.md is not what the program prints (first difference: {line:?}); write it again:\n  \
         cargo run -p burn_dragon_cli -- config doc > docs/configuration_keys.md"
    );
}

#[test]
fn every_key_has_a_meaning_and_no_link_of_rustdoc() {
    let text = Place::new().dragon(&["config", "doc"]).done().stdout;
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut number = 0;
    for row in rows {
        let meaning = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
        assert!(meaning.len() > 5 && meaning.contains(' '), "no meaning: {row}");
        assert!(!meaning.contains("[`"), "a link: {row}");
        number += 1;
    }
    assert!(number > 150, "{number}");
}

/// Keys of the default run are keys of the reference; keys of the reference that have a default in its case are keys of
/// the default run.
#[test]
fn the_reference_and_the_default_runs_have_the_same_keys() {
    let place = Place::new();
    for family in ["language", "sudoku", "graph", "vision"] {
        let shown = place.dragon(&["config", "show", family, "--json"]).done().json();
        let shown = shown["values"].as_object().unwrap();
        let text = place.dragon(&["config", "doc", family]).done().stdout;
        let mut table = String::new();
        let mut is_base = true;
        let mut documented = BTreeSet::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("### `[") {
                (table, is_base) = (name.trim_matches(['[', ']', '`']).to_string() + ".", true);
            } else if let Some(case) = line.strip_prefix("#### `") {
                let (tag, rest) = case.split_once(" = \"").unwrap();
                let (name, _) = rest.split_once('"').unwrap();
                is_base = shown
                    .get(&format!("{table}{tag}"))
                    .is_some_and(|value| value["value"] == name);
                documented.insert(format!("{table}{tag}"));
            } else if let Some(row) = line.strip_prefix("| `") {
                let (key, rest) = row.split_once("` | ").unwrap();
                let key = format!("{table}{key}");
                let (kind, rest) = rest.split_once(" | ").unwrap();
                let is_value = !rest.starts_with("none") && !rest.starts_with("required") && kind != "table";
                if is_base && is_value && !table.is_empty() && !is_optional(&table) {
                    assert!(
                        shown.contains_key(&key) || skipped(&key),
                        "{family}: {key} is not in the default run"
                    );
                }
                documented.insert(key);
            }
        }
        let unknown: Vec<_> = shown.keys().filter(|key| !documented.contains(*key)).collect();
        assert!(unknown.is_empty(), "{family}: {unknown:?}");
    }
}

/// Tables that the default runs do not have.
fn is_optional(table: &str) -> bool {
    let optional = [
        "dataset.nbody.",
        "dataset.motion.",
        "augment.crop.",
        "augment.jitter.",
        "augment.blur.",
        "augment.solarise.",
        "model.cellular.",
        "model.pyramid.",
        "objective.decoder.",
        "objective.views.",
        "objective.sigreg.",
        "objective.projector.",
        "objective.masks.",
        "objective.predictor.",
        "model.glimpse.",
        "model.trm.",
        "policy.",
        "ema.",
        "training.guard.",
        "sequence.streams.",
        "model.decay.",
        "model.connector.",
        "model.fanout.",
        "model.neuron_recurrence.",
        "model.summary_memory.",
        "model.mixer.",
        "model.norm.",
        "model.init.",
        "model.quant.",
        "model.rho.",
        "model.positions.",
        "optimizer.groups.",
        "optimizer.adamw.",
        "dataset.sources.",
        "dataset.chat.",
        "dataset.generated.",
    ];
    optional.iter().any(|optional| table.starts_with(optional))
}

/// Keys that are not written if they have their defaults.
fn skipped(key: &str) -> bool {
    let keys = [
        "generation.exit_confidence",
        "generation.stop",
        "generation.precision",
        "generation.memory_precision",
        "training.freeze",
        "model.connector",
        "model.fanout",
        "model.neuron_recurrence",
        "model.summary_memory",
        "model.mixer",
        "model.decay",
        "model.init",
        "model.quant",
        "model.rho",
        "model.norm",
        "model.positions",
        "model.read",
        "model.summary",
        "loss.kind",
    ];
    keys.contains(&key)
}

#[test]
fn the_schema_for_editors_has_the_keys_that_every_file_may_have() {
    let schemas = Place::new().dragon(&["config", "doc", "--json"]).done().json();
    for family in ["language", "sudoku", "graph", "vision"] {
        let schema = &schemas[family];
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        for key in ["family", "extends", "training", "dataset"] {
            assert!(schema["properties"][key].is_object(), "{family} {key}");
        }
        assert_eq!(schema["additionalProperties"], false);
    }
    Place::new()
        .dragon(&["config", "doc", "langauge"])
        .refused(2, &["langauge", "language"]);
}
