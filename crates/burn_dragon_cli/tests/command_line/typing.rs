//! What people type first, and what they are answered.

use crate::support::{Answer, Place, names};
use std::process::Stdio;

const DULL: &str = "All work and no play makes a dull dragon.\n";

/// The settings of the small model on words of one's own.
fn own(words: &[&str]) -> Vec<String> {
    let settings = Place::training_on("", &[]);
    let settings = settings[1..]
        .iter()
        .filter(|word| !word.is_empty() && !word.starts_with("dataset."));
    let words = [&["train"], words].concat();
    words.iter().chain(settings).map(ToString::to_string).collect()
}

fn dragon(place: &Place, words: &[String]) -> Answer {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    place.dragon(&words)
}

fn texts() -> Place {
    let place = Place::new();
    place.write("book.txt", DULL.repeat(60));
    std::fs::create_dir(place.path("novels")).unwrap();
    place.write("novels/one.txt", DULL.repeat(30));
    place
}

#[test]
fn files_and_folders_after_train_are_the_data() {
    let place = texts();
    let shown = dragon(&place, &own(&["book.txt", "novels/", "--out", "run"])).done();
    assert!(
        shown.stdout.contains("2 documents") || shown.stdout.contains("data"),
        "{}",
        shown.stdout
    );
    let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    let dataset = &config["dataset"];
    assert_eq!(dataset["type"].as_str(), Some("text"));
    let paths: Vec<&str> = dataset["paths"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|path| path.as_str())
        .collect();
    assert!(
        paths[0].ends_with("book.txt") && paths[1].contains("novels"),
        "{paths:?}"
    );
    // The same as the settings spelt out.
    let spelt = place.train_on("book.txt", &["--out", "spelt"]).done();
    let one = dragon(&place, &own(&["language", "book.txt", "--out", "one"])).done();
    assert_eq!(losses_of(&one), losses_of(&spelt));
}

fn losses_of(answer: &Answer) -> Vec<&str> {
    let lines = answer.stderr.lines();
    lines
        .filter_map(|line| Some(line.split_once("loss ")?.1.split_once(' ')?.0))
        .collect()
}

#[test]
fn a_file_that_is_not_there_is_named_and_a_word_that_is_nothing_is_a_family_misspelt() {
    let place = texts();
    place
        .dragon(&["train", "bok.txt"])
        .refused(1, &["bok.txt", "did you mean book.txt"]);
    place
        .dragon(&["train", "langauge"])
        .refused(2, &["unknown family `langauge`", "did you mean `language`?"]);
    assert_eq!(place.names(), ["book.txt", "novels"]);
}

#[test]
fn a_configuration_after_train_is_read_and_spaces_around_an_equals_sign_are_none() {
    let place = Place::new();
    place.write("mine.toml", "[model]\nd_model = 32\n");
    let shown = place.dragon(&["train", "mine.toml", "--print-config"]).done();
    assert!(shown.stdout.contains("# mine.toml:2"), "{}", shown.stdout);
    for words in [
        &["training.max_steps = 10"][..],
        &["training.max_steps", "=", "10"],
        &["training.max_steps=", "10"],
    ] {
        let shown = place
            .dragon(&[&["train"], words, &["--print-config"]].concat())
            .done();
        assert!(
            shown.stdout.contains("max_steps = 10"),
            "{words:?}: {}",
            shown.stdout
        );
    }
    place
        .dragon(&["train", "mine.toml", "--resume", "run"])
        .refused(2, &["a resumed run has its own configuration"]);
}

#[test]
fn train_may_be_left_out_before_what_only_it_has() {
    let place = Place::new();
    for words in [
        &["--max-steps", "7", "--print-config"][..],
        &["training.max_steps=7", "--print-config"],
    ] {
        let shown = place.dragon(words).done();
        assert!(
            shown.stdout.contains("max_steps = 7"),
            "{words:?}: {}",
            shown.stdout
        );
    }
    place.dragon(&["genrate", "run"]).refused(2, &["genrate"]);
}

#[test]
fn a_lone_string_for_a_list_is_a_list_of_one() {
    let place = texts();
    let shown = place
        .dragon(&[
            "train",
            "dataset.type=text",
            "dataset.paths=book.txt",
            "--print-config",
        ])
        .done();
    assert!(
        shown.stdout.contains("paths = [\"book.txt\"]"),
        "{}",
        shown.stdout
    );
    place.write("mine.toml", "[dataset]\ntype = \"text\"\npaths = \"book.txt\"\n");
    let shown = place
        .dragon(&["train", "-c", "mine.toml", "--print-config"])
        .done();
    let line = shown.stdout.lines().find(|line| line.starts_with("paths"));
    assert!(line.is_some_and(|line| line.contains("[\"book.txt\"]") && line.ends_with("# mine.toml:3")));
}

#[test]
fn an_option_that_is_a_setting_is_answered_with_the_setting() {
    let place = Place::new();
    for (words, says) in [
        (&["train", "--batch-size", "4"][..], "training.batch_size=4"),
        (&["train", "--batch-size=4"], "training.batch_size=4"),
        (&["train", "--epochs", "1"], "training.epochs=1"),
        (&["train", "--lr", "1e-3"], "optimizer.learning_rate=1e-3"),
        (&["train", "--temperature", "-1"], "generation.temperature=-1"),
        (&["train", "sudoku", "--dropout", "0.1"], "model.dropout=0.1"),
        (&["train", "--clip-norm"], "training.clip_norm=VALUE"),
    ] {
        let answer = place.dragon(words);
        assert!(!answer.stderr.contains("-- -"), "{}", answer.stderr);
        answer.refused(2, &["is a setting", says]);
    }
    let answer = place.dragon(&["train", "--no-such-thing", "3"]);
    assert!(!answer.stderr.contains("use '--"), "{}", answer.stderr);
    answer.refused(2, &["--no-such-thing"]);
    place
        .dragon(&["train", "--max-steps", "0"])
        .refused(2, &["--max-steps", "1.."]);
    place.dragon(&["train", "optimizer.type=lion"]).refused(
        2,
        &["unknown key `optimizer.type`", "did you mean `optimizer.method`?"],
    );
    assert!(place.names().is_empty());
}

#[test]
fn a_prompt_is_a_word_or_an_option_and_a_model_too() {
    let place = Place::trained();
    let said = |words: &[&str]| {
        let words = [&["generate"], words, &["--temperature", "0", "--seed", "1"]].concat();
        place.dragon(&words).done().stdout
    };
    let expected = said(&["run", "--prompt", "Mira", "--max-tokens", "5"]);
    assert!(expected.starts_with("Mira"), "{expected}");
    for words in [
        &["run", "Mira", "-n", "5"][..],
        &["run", "-p", "Mira", "-n", "5"],
        &["-m", "run", "Mira", "-n", "5"],
        &["-n", "5", "-p", "Mira", "-m", "run"],
        &["Mira", "--model", "run", "-n", "5"],
    ] {
        assert_eq!(said(words), expected, "{words:?}");
    }
    place
        .dragon(&["generate", "run", "Mira", "-p", "Hugo"])
        .refused(2, &["cannot be used with"]);
    place
        .dragon(&[
            "eval",
            "run",
            "--needle",
            "--distances",
            "100",
            "200",
            "--cases",
            "1",
        ])
        .done();
}

#[test]
fn dragon_alone_is_the_tour_and_begins_with_the_first_run() {
    let place = Place::new();
    let mut command = place.program("dragon");
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Long enough to read the tour; the run itself has tests of its own.
    let mut said = String::new();
    let stderr = child.stderr.take().unwrap();
    for line in std::io::BufRead::lines(std::io::BufReader::new(stderr)) {
        said = said + &line.unwrap() + "\n";
        if said.contains("backend cpu") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for part in [
        "train",
        "generate runs/latest",
        "chat runs/latest",
        "book.txt",
        "backend cpu",
    ] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[test]
fn completions_and_manual_pages_are_of_every_verb() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.dragon(&["completions", shell]).done().stdout;
        for verb in ["train", "generate", "max-steps"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
    }
    place.dragon(&["completions", "cmd"]).refused(2, &["cmd", "bash"]);
    let page = place.dragon(&["man"]).done().stdout;
    assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
    place.dragon(&["man", "--out", "pages"]).done();
    let pages = names(&place.path("pages"));
    for verb in ["dragon.1", "dragon-train.1", "dragon-generate.1"] {
        assert!(pages.iter().any(|page| page == verb), "{pages:?}");
    }
    assert!(
        !pages.iter().any(|page| page.contains("export_burnpack")),
        "{pages:?}"
    );
}

#[test]
fn help_has_examples_and_rare_options_stand_last() {
    let place = Place::new();
    for verb in ["train", "generate", "eval"] {
        let help = place.dragon(&[verb, "--help"]).done().stdout;
        assert!(help.contains("Examples:\n  dragon"), "{help}");
        if let Some(at) = help.find("--model-config") {
            assert!(help.find("--step").is_none_or(|step| step < at), "{help}");
        }
    }
}

#[test]
fn a_folder_of_runs_is_answered_with_the_newest_and_a_gguf_is_called_by_its_name() {
    let place = Place::new();
    place.train(&[]).done();
    place
        .dragon(&["generate", "runs"])
        .refused(1, &["did you mean runs/latest?"]);
    place.write("model.bpk", b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0");
    place
        .dragon(&["info", "model.bpk"])
        .refused(3, &["a GGUF file of llama.cpp"]);
}

#[test]
fn figures_for_a_person_have_names_and_not_keys() {
    let answer = Place::new().train(&[]).done();
    for key in ["bits_per_byte", "recall_accuracy", "x_density", "recall_chance"] {
        assert!(
            !answer.stderr.contains(key) && !answer.stdout.contains(key),
            "{}",
            answer.stderr
        );
    }
    for part in [
        "on a sample of the held-out data",
        "on all the held-out data",
        "bpb",
        "recall ",
        "chance ",
    ] {
        assert!(answer.stderr.contains(part), "`{part}`: {}", answer.stderr);
    }
    assert!(answer.stdout.contains("11,264 parameters"), "{}", answer.stdout);
    assert!(
        answer.stdout.contains("easy tales come first"),
        "{}",
        answer.stdout
    );
    assert!(!answer.stderr.contains('\u{1b}') && !answer.stdout.contains('\u{1b}'));
}

#[test]
fn a_finished_run_that_is_resumed_is_not_counted_again() {
    let place = Place::trained();
    let answer = place.dragon(&["train", "--resume", "run"]).done();
    assert!(
        answer
            .stdout
            .contains("the run is finished: all 12 steps are taken"),
        "{}",
        answer.stdout
    );
    assert!(
        !answer.stdout.contains("0 of them now") && !answer.stdout.contains("(0 tokens"),
        "{}",
        answer.stdout
    );
}
