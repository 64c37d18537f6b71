//! `dragon new`: a project, and the commands that it prints.

use crate::support::Place;
use std::fs;

/// Commands of a README, in order.
fn commands(readme: &str) -> Vec<Vec<String>> {
    let inside = readme
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"));
    let lines = inside.flat_map(|(block, _)| block.lines());
    lines.map(words).collect()
}

/// Words of a command line with text in quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('"').enumerate() {
        match place % 2 {
            0 => words.extend(part.split_whitespace().map(String::from)),
            _ => words.push(part.into()),
        }
    }
    words
}

/// Settings with which a run is short.
const SHORT: &[&str] = &[
    "training.max_steps=2",
    "model.n_neurons=64",
    "sequence.block_size=32",
    "evaluation.every=0",
    "evaluation.batches=1",
];

/// Runs every command of a project's README in it.
fn run_readme(place: &Place, folder: &str) {
    let readme = fs::read_to_string(place.path(folder).join("README.md")).unwrap();
    let commands = commands(&readme);
    assert!(commands.len() >= 7, "{readme}");
    for command in commands {
        assert_eq!(command[0], "dragon", "{command:?}");
        let mut program = place.program("dragon");
        program.current_dir(place.path(folder)).args(&command[1..]);
        if command[1] == "train" {
            program.args(SHORT);
        }
        let answer = crate::support::Answer::of(&mut program);
        assert_eq!(
            answer.code,
            Some(0),
            "{command:?}\n{}\n{}",
            answer.stdout,
            answer.stderr
        );
    }
}

#[test]
fn every_command_of_a_new_project_runs() {
    let place = Place::new();
    let said = place.dragon(&["new", "novels"]).done().stdout;
    for part in [
        "novels/config.toml",
        "novels/texts/",
        "cd novels",
        "train config.toml",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let names = crate::support::names(&place.path("novels"));
    assert_eq!(names, ["README.md", "config.toml", "texts"]);
    let text = "All work and no play makes a dull dragon.\n".repeat(200);
    fs::write(place.path("novels/texts/one.txt"), text).unwrap();
    run_readme(&place, "novels");
    let config = fs::read_to_string(place.path("novels/config.toml")).unwrap();
    assert!(!config.contains("extends ="), "{config}");
}

#[test]
fn a_project_of_puzzles_names_its_file_and_checks() {
    let place = Place::new();
    let said = place
        .dragon(&["new", "puzzles", "--family", "sudoku"])
        .done()
        .stdout;
    assert!(said.contains("puzzles/puzzles.csv"), "{said}");
    assert_eq!(
        crate::support::names(&place.path("puzzles")),
        ["README.md", "config.toml"]
    );
    let shown = place
        .dragon(&["config", "show", "puzzles/config.toml", "--json"])
        .done()
        .json();
    assert_eq!(shown["family"], "sudoku");
    assert_eq!(shown["values"]["dataset.paths"]["value"][0], "puzzles.csv");
    place.dragon(&["config", "check", "puzzles/config.toml"]).done();
}

#[test]
fn a_folder_that_exists_is_not_touched() {
    let place = Place::new();
    fs::create_dir(place.path("mine")).unwrap();
    place
        .dragon(&["new", "mine"])
        .refused(2, &["mine exists already"]);
    assert!(crate::support::names(&place.path("mine")).is_empty());
    for (words, parts) in [
        (
            &["new", "a", "--preset", "smal"][..],
            &["unknown preset `smal`"][..],
        ),
        (&["new", "a", "--preset", "wikitext2"], &["data of its own"]),
        (
            &["new", "a", "--family", "langauge"],
            &["unknown family `langauge`"],
        ),
    ] {
        place.dragon(words).refused(2, parts);
    }
    assert_eq!(place.names(), ["mine"]);
}
