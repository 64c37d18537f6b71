//! Whose configuration it is: families by name, keys that have moved, JSON, runs of an earlier version.

use super::support::{Place, losses};
use std::fs;
use std::path::{Path, PathBuf};

fn config(run: &Path) -> toml::Table {
    fs::read_to_string(run.join("config.toml"))
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_run_says_its_family_and_goes_on_by_it() {
    let place = Place::new();
    let mut arguments = Place::training(&["--out", "run", "--json"]);
    arguments.insert(1, "language");
    let summary = place.dragon(&arguments).done().json();
    assert_eq!(
        (&summary["family"], &summary["units"]),
        (&"language".into(), &(12 * 64).into())
    );
    assert_eq!(summary["score"], summary["val_loss"]);
    assert_eq!(summary["units_per_second"], summary["tokens_per_second"]);
    let run = place.path("run");
    assert_eq!(config(&run)["family"].as_str(), Some("language"));
    let info: serde_json::Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(info["family"], "language");
    let shown = place
        .dragon(&["train", "-c", "run/config.toml", "--print-config"])
        .done();
    let first = shown.stdout.lines().next().unwrap();
    assert!(
        first.starts_with("family = \"language\"") && first.ends_with("# run/config.toml:1"),
        "{first}"
    );
    place
        .dragon(&["train", "language", "--resume", "run", "--max-steps", "13"])
        .done();
    place
        .dragon(&["train", "poetry", "--resume", "run"])
        .refused(2, &["unknown family `poetry`", "language"]);
    // A run of a family that this program does not know is no run of another one.
    let text = fs::read_to_string(run.join("config.toml")).unwrap();
    place.write("run/config.toml", text.replace("\"language\"", "\"poetry\""));
    place
        .dragon(&["train", "--resume", "run"])
        .refused(2, &["unknown family `poetry`"]);
    place
        .dragon(&["train", "language", "--resume", "run"])
        .refused(2, &["`poetry`", "run/config.toml:1", "`language`"]);
}

#[test]
fn a_key_that_has_moved_is_refused_with_its_new_place() {
    let place = Place::trained();
    place.write("mine.toml", "[training]\nseed = 1\nblock_size = 32\n");
    place.write(
        "mine.json",
        "{ \"training\": {\n  \"streams\": { \"unroll\": 2 } } }",
    );
    let moved = |key: &str| format!("`training.{key}` moved to `sequence.{key}`");
    let refused = |arguments: &[&str], key: &str, origin: &str| {
        place.dragon(arguments).refused(2, &[&moved(key), origin]);
    };
    refused(&["train", "-c", "mine.toml"], "block_size", "mine.toml:3");
    refused(&["train", "-c", "mine.json"], "streams", "mine.json:2");
    refused(&["train", "training.credit=queries"], "credit", "command line");
    refused(
        &["train", "--resume", "run", "training.streams.unroll=2"],
        "streams",
        "command line",
    );
    refused(
        &["train", "--resume", "run", "training={ block_size = 16 }"],
        "block_size",
        "command line",
    );
}

#[test]
fn a_configuration_in_json_is_the_run_that_the_same_toml_is() {
    let place = Place::trained();
    let value: serde_json::Value = serde_json::to_value(config(&place.path("run"))).unwrap();
    place.write("run.json", serde_json::to_string_pretty(&value).unwrap());
    place
        .dragon(&["train", "-c", "run.json", "--out", "again"])
        .done();
    let [run, again] = ["run", "again"].map(|name| place.path(name));
    assert_eq!(config(&run), config(&again));
    assert_eq!(losses(&run, "train"), losses(&again, "train"));
    place.write("wrong.json", "{\n  \"model\": {\n    \"n_level\": 2\n  }\n}\n");
    place.dragon(&["train", "-c", "wrong.json"]).refused(
        2,
        &[
            "unknown key `model.n_level` (wrong.json:3)",
            "did you mean `model.n_levels`?",
        ],
    );
    place.write("broken.json", "{\n  \"model\": { \"n_levels\": 2,, }\n}\n");
    place
        .dragon(&["train", "-c", "broken.json"])
        .refused(2, &["broken.json:2:", "not valid JSON"]);
}

/// The run of four steps that the program of before its files knew families left, on streams with learnt decay.
fn run_of_before(place: &Place) -> PathBuf {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../burn_dragon_checkpoint/tests/files_of_1/run");
    let (run, step) = (place.path("run"), "checkpoint/step-000004");
    fs::create_dir_all(run.join(step)).unwrap();
    for folder in ["", "checkpoint", step] {
        let entries = fs::read_dir(kept.join(folder)).unwrap().map(Result::unwrap);
        for entry in entries.filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), run.join(folder).join(entry.file_name())).unwrap();
        }
    }
    let tales = "The dragon reads a page.\nThe page is long.\n\nA tale of two lanes.\nThe end is near.\n\n";
    place.write("text.txt", tales.repeat(12));
    run
}

#[test]
fn a_run_of_an_earlier_version_goes_on_as_it_would_have_and_is_written_anew() {
    let place = Place::new();
    let run = run_of_before(&place);
    let summary = place
        .dragon(&[
            "train",
            "--resume",
            "run",
            "dataset.paths=[\"text.txt\"]",
            "--max-steps",
            "8",
            "--json",
        ])
        .done()
        .json();
    // What the program of before said of its steps 5 to 8.
    for (key, expected) in [
        ("train_loss", 3.150_643_348_693_847_7),
        ("val_loss", 3.140_826_216_663_222_6),
        ("val_bits_per_byte", 4.643_137_231_940_103),
        ("val_bits_per_byte_reset", 4.643_968_005_812_93),
    ] {
        let given = summary[key].as_f64().unwrap();
        assert!(
            (given - expected).abs() < 1e-5,
            "{key}: {given}, expected {expected}"
        );
    }
    assert_eq!(summary["steps"], 8);
    let config = config(&run);
    assert_eq!(config["family"].as_str(), Some("language"));
    assert_eq!(config["sequence"]["block_size"].as_integer(), Some(16));
    assert_eq!(config["sequence"]["streams"]["unroll"].as_integer(), Some(1));
    assert!(config["training"].get("block_size").is_none());
    // From now on it is a run of today.
    place
        .dragon(&["train", "--resume", "run", "--max-steps", "9"])
        .done();
    place
        .dragon(&[
            "train",
            "--resume",
            "run",
            "--max-steps",
            "10",
            "sequence.block_size=8",
        ])
        .refused(2, &["sequence.block_size = 8 instead of 16"]);
}

#[test]
fn a_run_of_an_earlier_version_keeps_what_a_run_keeps() {
    let place = Place::new();
    run_of_before(&place);
    for (setting, says) in [
        ("sequence.block_size=8", "sequence.block_size = 8 instead of 16"),
        (
            "sequence.streams.unroll=2",
            "sequence.streams.unroll = 2 instead of 1",
        ),
        ("training.batch_size=4", "training.batch_size = 4 instead of 2"),
    ] {
        let answer = place.dragon(&["train", "--resume", "run", "--max-steps", "8", setting]);
        answer.refused(2, &[says, "start a new run"]);
    }
}
