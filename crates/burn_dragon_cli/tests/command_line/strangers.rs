//! What a stranger's file says of itself: it does not command a terminal, and is no header of a card.

use crate::support::{Place, checkpoint};
use burn_dragon::api::checkpoint::{ModelFile, Provenance};

/// A model, trained, whose text is a stranger's.
fn place(said: &str) -> Place {
    let place = Place::trained();
    let mut model = ModelFile::read(&checkpoint(&place.path("run"), 12).join("model.bpk")).unwrap();
    model.info.version = said.into();
    model.info.provenance = Some(Provenance {
        run: Some(said.into()),
        data: Some(said.into()),
        license: Some(said.into()),
    });
    model.write(&place.path("evil.bpk")).unwrap();
    place
}

#[test]
fn a_strangers_text_does_not_command_the_terminal() {
    let said = "x\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}drow\u{2066}\u{200f}\u{7f}\rz\n  licence           MIT";
    let place = place(said);
    let obeyed = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (c.is_control() && c != '\n' && c != '\t')
    };
    for arguments in [
        &["info", "evil.bpk"][..],
        &["info", "evil.bpk", "--json"],
        &["inspect", "evil.bpk"],
        &["inspect", "evil.bpk", "--json"],
        &["verify", "evil.bpk"],
        &["convert", "evil.bpk", "again.bpk"],
        &["export", "evil.bpk", "--output", "out.bpk"],
        &["diff", "evil.bpk", "run"],
        &["diff", "evil.bpk", "run", "--json"],
    ] {
        let answer = place.dragon(arguments);
        for shown in [&answer.stdout, &answer.stderr] {
            assert!(!shown.contains(obeyed), "{arguments:?}: {shown:?}");
            assert!(
                !shown.lines().any(|line| line == "  licence           MIT"),
                "{shown}"
            );
        }
    }
    let json = place.dragon(&["info", "evil.bpk", "--json"]).done().json();
    assert_eq!(json["info"]["version"], said);
}

#[test]
fn a_strangers_licence_is_no_header_of_a_card() {
    let place = place("mit\ntags:\n- injected\n---\n<script>`[x](y)`");
    let push = ["push", "evil.bpk", "--repo", "a/b", "--dry-run", "out"];
    place.dragon(&push).done();
    let card = std::fs::read_to_string(place.path("out/README.md")).unwrap();
    let (header, body) = card[4..].split_once("---\n").unwrap();
    assert!(
        header.contains("license: other\n") && !header.contains("injected"),
        "{header}"
    );
    let licence = body.lines().find(|line| line.starts_with("| licence |")).unwrap();
    assert!(
        licence.contains("mit") && !licence.contains(['<', '`', '[']),
        "{licence}"
    );
    assert!(!body.lines().any(|line| line.starts_with("- injected")), "{body}");
}

#[test]
fn a_run_is_given_away_without_the_folders_of_its_validation() {
    let place = Place::new();
    let text = "Once upon a time there was a text. ".repeat(200);
    place.write("mine.txt", &text);
    place.write("held.txt", &text);
    let validation = r#"dataset.validation={type="text",paths=["held.txt"]}"#;
    place.train_on("mine.txt", &[validation, "--out", "run"]).done();
    let folder = place.path("").to_str().unwrap().trim_end_matches('/').to_string();
    let kept = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(kept.contains(&folder), "{kept}");
    place
        .dragon(&["push", "run", "--repo", "a/b", "--dry-run", "out"])
        .done();
    for name in ["config.toml", "README.md", "model.bpk"] {
        let bytes = std::fs::read(place.path("out").join(name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&folder), "{name} names {folder}");
    }
    let given = std::fs::read_to_string(place.path("out/config.toml")).unwrap();
    assert!(
        given.contains("held.txt") && given.contains("mine.txt"),
        "{given}"
    );
}

#[test]
fn a_licence_that_nobody_could_read_is_not_written() {
    let place = Place::trained();
    place.dragon(&["export", "run", "--output", "model.bpk"]).done();
    let before = std::fs::read(place.path("model.bpk")).unwrap();
    let copying = "a line of a licence\n".repeat(4000);
    let export = [
        "export",
        "run",
        "--output",
        "model.bpk",
        "--force",
        "--license",
        &copying,
    ];
    place.dragon(&export).refused(1, &["at most 32768 are read"]);
    assert_eq!(std::fs::read(place.path("model.bpk")).unwrap(), before);
}
