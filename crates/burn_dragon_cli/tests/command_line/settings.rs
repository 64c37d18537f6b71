//! Settings at the edge of what can be written: the largest seeds, a prompt that nobody chose, files from other editors.

use crate::support::{Place, assert_same_run};
use burn_dragon::api::language::BASE;

const LARGEST: &str = "18446744073709551615";

#[test]
fn the_largest_seed_trains_is_kept_and_goes_on() {
    let place = Place::new();
    let keys = ["training.seed", "generation.seed", "dataset.seed"];
    let settings = keys.map(|key| format!("{key}={LARGEST}"));
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    place.train(&[&settings[..], &["--out", "typed"]].concat()).done();
    let kept = std::fs::read_to_string(place.path("typed/config.toml")).unwrap();
    assert_eq!(
        kept.matches(&format!("seed = \"{LARGEST}\"")).count(),
        3,
        "{kept}"
    );
    // From a file, with and without quotes; and to its end in two sessions.
    let file = format!(
        "[training]\nseed = {LARGEST}\n[generation]\nseed = '{LARGEST}'\n[dataset]\ntype = 'embedded'\nseed = {LARGEST}\n"
    );
    place.write("seeds.toml", format!("extends = 'base.toml'\n{file}"));
    place.write("base.toml", BASE);
    place
        .train(&["-c", "seeds.toml", "--out", "filed", "training.max_steps=8"])
        .done();
    place
        .dragon(&["train", "--resume", "filed", "training.max_steps=12"])
        .done();
    let run: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path("filed/run.json")).unwrap()).unwrap();
    assert_eq!(run["seed"], u64::MAX);
    place.train(&["--out", "other"]).done();
    let weights = |run: &str| crate::support::weights(&place.path(run), 12);
    assert_ne!(weights("typed"), weights("other"));
    place.dragon(&["train", "--resume", "typed"]).done();
    place.train(&[&settings[..], &["--out", "again"]].concat()).done();
    assert_same_run(&place.path("typed"), &place.path("again"), 12);
}

#[test]
fn what_is_no_seed_is_refused_with_the_range_and_other_numbers_with_theirs() {
    let place = Place::new();
    for seed in ["18446744073709551616", "-1", "1.5", "me"] {
        let setting = format!("training.seed={seed}");
        place
            .train(&[&setting])
            .refused(2, &["training.seed", "0 to 18446744073709551615", seed]);
    }
    let answer = place.train(&["training.max_steps=9223372036854775808"]);
    answer.refused(
        2,
        &[
            "training.max_steps",
            "at most 9223372036854775807",
            "9223372036854775808",
        ],
    );
}

const LOWER: &str = "a mill stood by the lake and the key lay under it.\nrain fell all day over the hill.\n";

#[test]
fn letters_that_the_text_lacks_do_not_stop_a_training_that_nobody_gave_a_prompt() {
    let place = Place::new();
    place.write("lower.txt", LOWER.repeat(60));
    let char = "dataset.tokenizer.type=char";
    for (run, special) in [("unk", "true"), ("run", "false")] {
        let special = format!("dataset.tokenizer.special_tokens={special}");
        let answer = place
            .train_on("lower.txt", &[char, &special, "--out", run])
            .done();
        for part in [
            "note",
            "base.toml",
            "generation.prompt=",
            "beginning of the validation text",
        ] {
            assert!(answer.stdout.contains(part), "{part}: {}", answer.stdout);
        }
    }
    let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    let prompt = config
        .lines()
        .find_map(|line| line.strip_prefix("prompt = "))
        .unwrap();
    let prompt = prompt.trim_matches('"');
    assert!(
        prompt.len() > 8 && LOWER.repeat(2).replace('\n', "\\n").contains(prompt),
        "{prompt}"
    );
    // The run is whole: it speaks, and goes on.
    place.dragon(&["generate", "run", "--max-tokens", "4"]).done();
    place
        .dragon(&["train", "--resume", "run", "training.max_steps=14"])
        .done();
}

#[test]
fn a_prompt_that_was_chosen_is_refused_with_its_place_and_one_that_works() {
    let place = Place::new();
    place.write("lower.txt", LOWER.repeat(60));
    let char = "dataset.tokenizer={type='char', special_tokens=false}";
    let answer = place.train_on("lower.txt", &[char, "generation.prompt=Mira"]);
    answer.refused(
        2,
        &[
            "generation.prompt",
            "command line",
            "\"Mira\"",
            "'M'",
            "generation.prompt=\"",
        ],
    );
    place.write("base.toml", BASE);
    place.write(
        "mine.toml",
        "extends = 'base.toml'\n[generation]\nprompt = 'Mira'\n",
    );
    let answer = place.train_on("lower.txt", &[char, "-c", "mine.toml"]);
    answer.refused(2, &["generation.prompt", "mine.toml:3", "\"Mira\""]);
    let answer = place
        .train_on("lower.txt", &[char, "-c", "base.toml", "--dry-run"])
        .done();
    assert!(
        answer.stdout.contains("beginning of the validation text"),
        "{}",
        answer.stdout
    );
    // A prompt that the text has stays.
    let answer = place
        .train_on("lower.txt", &[char, "generation.prompt=the key", "--dry-run"])
        .done();
    assert!(
        !answer.stdout.contains("beginning of the validation text"),
        "{}",
        answer.stdout
    );
    let answer = place.train_on("lower.txt", &["--dry-run"]).done(); // bytes have every letter
    assert!(
        !answer.stdout.contains("beginning of the validation text"),
        "{}",
        answer.stdout
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    let place = Place::trained();
    let marked = |name: &str| {
        let text = std::fs::read(place.path(name)).unwrap();
        place.write(name, [b"\xef\xbb\xbf", &text[..]].concat());
    };
    for name in [
        "run/config.toml",
        "run/tokenizer.json",
        "run/run.json",
        "run/checkpoint/last",
    ] {
        marked(name);
    }
    place.dragon(&["info", "run/checkpoint/last"]).done();
    place.dragon(&["eval", "run"]).done();
    place
        .dragon(&["train", "--resume", "run", "training.max_steps=14"])
        .done();
    place.write(
        "mine.toml",
        "\u{feff}extends = 'base.toml'\n[training]\nmax_steps = 3\n",
    );
    place.write("base.toml", format!("\u{feff}{BASE}"));
    place
        .train(&["-c", "mine.toml", "--out", "three", "training.max_steps=3"])
        .done();
}
