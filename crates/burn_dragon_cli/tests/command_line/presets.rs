//! Presets: configurations with a name.

use crate::support::Place;

#[test]
fn presets_are_listed_with_what_they_are() {
    let place = Place::new();
    let text = place.dragon(&["config", "presets"]).done().stdout;
    for part in ["tiny ", "large ", "wikitext2 ", "dragon train --preset NAME"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = place.dragon(&["config", "presets", "--json"]).done().json();
    let presets = json["presets"].as_array().unwrap();
    assert!(presets.len() >= 6);
    for preset in presets {
        let (name, file) = (preset["name"].as_str().unwrap(), preset["file"].as_str().unwrap());
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
        let path = format!("{root}{file}");
        // The copy for users is the same configuration.
        let answer = place.dragon(&["config", "diff", name, &path]);
        assert_eq!(
            (answer.code, answer.stdout.contains("equal")),
            (Some(0), true),
            "{name}"
        );
    }
}

#[test]
fn a_preset_trains_and_settings_and_files_win_over_it() {
    let place = Place::new();
    place.write(
        "book.txt",
        "All work and no play makes a dull dragon.\n".repeat(400),
    );
    place.write("mine.toml", "[sequence]\nblock_size = 64\n");
    let settings = [
        "training.max_steps=3",
        "training.batch_size=2",
        "model.n_neurons=64",
        "evaluation.every=0",
    ];
    let words = [
        "train",
        "--preset",
        "tiny",
        "-c",
        "mine.toml",
        "book.txt",
        "--out",
        "run",
    ];
    place.dragon(&[&words[..], &settings].concat()).done();
    let shown = place.dragon(&["config", "show", "run", "--json"]).done().json();
    let value = |key: &str| shown["values"][key]["value"].clone();
    assert_eq!(value("model.d_model"), 64, "of the preset");
    assert_eq!(value("sequence.block_size"), 64, "of the file");
    assert_eq!(value("model.n_neurons"), 64, "of the command line");
    assert_eq!(value("dataset.type"), "text");
    assert_eq!(value("schedule.type"), "cosine", "of the preset");
}

#[test]
fn a_preset_that_is_none_and_one_in_another_place_are_answered() {
    let place = Place::new();
    for (words, parts) in [
        (
            &["train", "--preset", "smal"][..],
            &["unknown preset `smal`", "did you mean `small`?"][..],
        ),
        (
            &["train", "--preset", "huge-one"],
            &["presets: tiny, small, base, large"],
        ),
        (
            &["train", "sudoku", "--preset", "small"],
            &["`sudoku` has no presets"],
        ),
        (
            &["train", "-c", "small"],
            &["small is a preset", "--preset small"],
        ),
        (&["train", "small"], &["did you mean --preset small?"]),
        (&["train", "--preset", "small", "--resume", "run"], &["--preset"]),
    ] {
        place.dragon(words).refused(2, parts);
    }
    assert!(place.names().is_empty());
}
