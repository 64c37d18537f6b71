//! Texts as they are named and written: folders that look like patterns, links, separators that do not separate, marks.

use crate::support::{Answer, Place, text};

const DULL: &str = "All work and no play makes a dull dragon.\n";

/// Lines of standard error with this level.
fn said<'a>(answer: &'a Answer, level: &str) -> Vec<&'a str> {
    let start = format!("{level}: ");
    let lines = answer.stderr.lines();
    lines.filter_map(|line| line.strip_prefix(&start)).collect()
}

/// A program, run in a folder of the place.
fn inside(place: &Place, folder: &str, arguments: &[&str]) -> Answer {
    let mut command = place.program("dragon");
    Answer::of(command.current_dir(place.path(folder)).args(arguments))
}

#[test]
fn a_working_folder_that_looks_like_a_pattern_is_trained_on_evaluated_and_resumed() {
    let place = Place::new();
    for folder in ["p[1]", "p1"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    place.write("p[1]/a.txt", DULL.repeat(60));
    place.write("p1/b.txt", "zzzz\n".repeat(400));
    let arguments = Place::training_on(r#"dataset.paths=["*.txt"]"#, &["--out", "run"]);
    let answer = inside(&place, "p[1]", &arguments).done();
    let sizes = "data   2,268 tokens in 1 document for training, 252 tokens in 1 document for validation";
    assert!(answer.stdout.contains(sizes), "{}", answer.stdout);
    let config = std::fs::read_to_string(place.path("p[1]/run/config.toml")).unwrap();
    assert!(config.contains("p[[]1[]]/*.txt"), "{config}");
    // From elsewhere, the same text.
    let loss = |answer: Answer| answer.done().json()["loss"].as_f64().unwrap();
    let here = loss(inside(&place, "p[1]", &["eval", "run", "--json"]));
    assert_eq!(loss(place.dragon(&["eval", "p[1]/run", "--json"])), here);
    let evaluated = inside(&place, "p[1]", &["eval", "run", "*.txt", "--json"])
        .done()
        .json();
    assert_eq!(
        (&evaluated["tokens"], &evaluated["documents"]),
        (&2519.into(), &1.into())
    );
    let resumed = place
        .dragon(&["train", "--resume", "p[1]/run", "--max-steps", "14"])
        .done();
    assert!(resumed.stdout.contains(sizes), "{}", resumed.stdout);
    let again = std::fs::read_to_string(place.path("p[1]/run/config.toml")).unwrap();
    assert!(again.contains("p[[]1[]]/*.txt"), "{again}");
    // What is gone is missing, and no pattern for what is not.
    let named = place.train_on("p[1]/a.txt", &["--out", "named"]).done();
    assert!(
        said(&named, "note")[0].contains("p[1] exists, so that is meant"),
        "{}",
        named.stderr
    );
    std::fs::rename(place.path("p[1]"), place.path("q")).unwrap();
    place.write("p1/a.txt", DULL.repeat(60));
    place
        .dragon(&["eval", "named"])
        .refused(1, &["there is no file or folder", "p[1]/a.txt"]);
}

#[cfg(unix)]
#[test]
fn linked_folders_and_copies_are_read_once_and_said() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("d/sub")).unwrap();
    place.write("d/sub/a.txt", DULL.repeat(60));
    place.write("d/copy.txt", DULL.repeat(60));
    std::os::unix::fs::symlink("..", place.path("d/sub/up")).unwrap();
    let answer = place.train_on("d/**/*.txt", &["--out", "run", "--json"]).done();
    let notes = said(&answer, "note");
    assert!(
        notes
            .iter()
            .any(|note| note.contains("not followed") && note.contains("d/sub/up")),
        "{notes:?}"
    );
    assert!(
        notes.iter().any(|note| note.contains("a.txt as in ")),
        "{notes:?}"
    );
    let summary = answer.json();
    assert_eq!(summary["notes"].as_array().unwrap().len(), 2, "{summary}");
    assert_eq!(
        (&summary["train_documents"], &summary["validation_documents"]),
        (&1.into(), &1.into())
    );
    let validation = [r#"dataset.validation={type="text",paths=["d/copy.txt"]}"#];
    let answer = place.train_on("d/sub", &validation).done();
    assert!(
        said(&answer, "warning")[0].contains("training text"),
        "{}",
        answer.stderr
    );
}

#[test]
fn a_separator_that_makes_one_document_is_a_warning_with_the_reason() {
    let place = Place::new();
    let paragraphs: String = (10..70).map(|number| format!("{number} {DULL}\n")).collect();
    place.write("crlf.txt", paragraphs.replace('\n', "\r\n"));
    place.write("lf.txt", paragraphs);
    let train = |file: &str, separator: &str| {
        let separator = format!("dataset.document_separator={separator}");
        place.train_on(file, &[&separator, "--dry-run"]).done()
    };
    let answer = train("lf.txt", "\n\n"); // as the shell gives $'...\n\n'
    assert!(
        answer.stdout.contains(" in 54 documents for training, "),
        "{}",
        answer.stdout
    );
    assert!(
        answer.stdout.contains(" in 6 documents for validation, "),
        "{}",
        answer.stdout
    );
    assert_eq!(said(&answer, "warning"), [""; 0]);
    for (file, separator, reason) in [
        ("crlf.txt", r#""\n\n""#, "CRLF"),
        ("lf.txt", r#""\r\n\r\n""#, "LF"),
        ("lf.txt", r"\n\n", "a backslash"),
        ("lf.txt", "<|end|>", "never occurs in "),
    ] {
        let answer = train(file, separator);
        assert!(
            answer.stdout.contains(" in 1 document for training, "),
            "{}",
            answer.stdout
        );
        let warnings = said(&answer, "warning");
        assert!(
            warnings.len() == 1 && warnings[0].contains(reason),
            "{warnings:?}"
        );
    }
}

#[test]
fn a_typed_text_keeps_its_line_end() {
    let place = Place::new();
    let answer = place
        .train(&["generation.prompt=Hello\n", "--print-config"])
        .done();
    let config: toml::Table = answer.stdout.parse().unwrap();
    assert_eq!(config["generation"]["prompt"].as_str(), Some("Hello\n"));
}

#[test]
fn a_list_whose_quotes_the_shell_took_is_answered_with_what_to_type() {
    let place = Place::new();
    for (typed, meant) in [
        ("dataset.paths=[a.txt]", r#"'dataset.paths=["a.txt"]'"#),
        (
            "dataset.tokenizer={type=char}",
            r#"'dataset.tokenizer={type="char"}'"#,
        ),
        ("generation.stop=[END]", r#"'generation.stop=["END"]'"#),
    ] {
        let answer = place.dragon(&["train", "dataset.type=text", r#"dataset.paths=["a"]"#, typed]);
        answer.refused(2, &[meant]);
    }
}

#[test]
fn a_mark_is_no_symbol_and_utf_16_is_refused() {
    let place = Place::new();
    let marked = format!("\u{feff}{}", DULL.repeat(60));
    place.write("marked.txt", &marked);
    place.write("plain.txt", DULL.repeat(60));
    let wide: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    place.write("wide.txt", &wide);
    place.write("unmarked.txt", &wide[2..]);
    let char = [
        "dataset.tokenizer.type=char",
        "generation.prompt=dull",
        "--out",
        "run",
    ];
    place.train_on("marked.txt", &char).done();
    let tokenizer = std::fs::read_to_string(place.path("run/tokenizer.json")).unwrap();
    assert!(!tokenizer.contains('\u{feff}'), "{tokenizer}");
    let loss = |file: &str| place.dragon(&["eval", "run", file, "--json"]).done().json()["loss"].clone();
    assert_eq!(loss("marked.txt"), loss("plain.txt"));
    for (file, command) in [
        ("wide.txt", "iconv -f UTF-16 -t UTF-8"),
        ("unmarked.txt", "iconv -f UTF-16LE"),
    ] {
        place.train_on(file, &[]).refused(3, &[file, command]);
        place.dragon(&["eval", "run", file]).refused(3, &[file, command]);
    }
    // A prompt too, and a configuration.
    let speak = |prompt: &[u8]| {
        let arguments = ["generate", "run", "-", "--max-tokens", "3", "--json"];
        place.dragon_reads(&arguments, prompt)
    };
    let read = |answer: Answer| answer.done().json()["tokens_read"].clone();
    assert_eq!(read(speak("\u{feff}dull".as_bytes())), read(speak(b"dull")));
    speak(&wide).refused(3, &["standard input", "UTF-16"]);
    place.write("mine.toml", "\u{feff}[model]\nd_model = 16\n");
    let answer = place
        .dragon(&["train", "-c", "mine.toml", "--print-config"])
        .done();
    assert!(answer.stdout.contains("# mine.toml:2"), "{}", answer.stdout);
    let wide: Vec<u8> = "\u{feff}[model]\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    place.write("wide.toml", wide);
    place
        .dragon(&["train", "-c", "wide.toml"])
        .refused(2, &["wide.toml", "iconv -f UTF-16"]);
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_not_its_own_suggestion() {
    let place = Place::new();
    std::os::unix::fs::symlink("gone.txt", place.path("tales.txt")).unwrap();
    let answer = place.train_on("tales.txt", &[]);
    assert!(!answer.stderr.contains("did you mean"), "{}", answer.stderr);
    answer.refused(1, &["tales.txt is a link to gone.txt", "does not exist"]);
    let named = text(place.path("tales.txt"));
    Place::trained()
        .dragon(&["eval", "run", &named])
        .refused(1, &["is a link to gone.txt"]);
}

#[test]
fn an_entry_without_a_name_is_not_the_working_folder() {
    let place = Place::new();
    place.write("z.txt", DULL.repeat(60));
    for paths in [r#"dataset.paths=[""]"#, r#"dataset.paths=["", "z.txt"]"#] {
        let answer = place.dragon(&Place::training_on(paths, &["--out", "run"]));
        answer.refused(2, &["paths"]);
    }
    assert_eq!(place.names(), ["z.txt"]);
}

#[test]
fn a_line_with_blank_lines_behind_it_is_divided_inside_the_line() {
    let place = Place::new();
    place.write("z.txt", "one long document here ".repeat(100) + "\n\n");
    for more in [&[][..], &[r#"dataset.document_separator="\n\n""#]] {
        let words = [more, &["--out", if more.is_empty() { "a" } else { "b" }]].concat();
        let answer = place.train_on("z.txt", &words).done();
        assert!(
            answer.stdout.contains("split inside document 1, inside a line"),
            "{}",
            answer.stdout
        );
        assert_eq!(said(&answer, "warning").len(), more.len(), "{}", answer.stderr);
    }
}
