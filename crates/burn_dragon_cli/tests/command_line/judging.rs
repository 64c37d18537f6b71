//! How a text is judged: one text, one model, one memory is one figure, whichever way it is asked for; and what of a
//! text the model knows.

use crate::support::Place;
use serde_json::Value;

const SEPARATOR: &str = "dataset.document_separator=\"\\n\\n\"";

/// Documents of 1 to 60 words, each followed by an empty line.
fn documents() -> Vec<String> {
    let words = "the dragon went to a hill and saw an old stone key under one mill by its river".split(' ');
    let words: Vec<&str> = words.collect();
    let mut state = 7u64;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut document = |_| {
        let text: Vec<&str> = (0..1 + draw(60)).map(|_| words[draw(words.len())]).collect();
        format!("{}.\n\n", text.join(" "))
    };
    (0..200).map(&mut document).collect()
}

/// A text in a file, and what of it a run validates on in another.
fn place() -> Place {
    let place = Place::new();
    let (documents, mut end) = (documents(), 0);
    let text = documents.concat();
    let target = (text.len() as f64 * 0.9).round() as usize;
    let ends = documents.iter().map(|document| {
        end += document.len();
        end
    });
    let cut = ends.min_by_key(|end| end.abs_diff(target)).unwrap();
    place.write("validation.txt", &text[cut..]);
    place.write("text.txt", text);
    place
}

fn figures(place: &Place, arguments: &[&str]) -> Value {
    let answer = place.dragon(&[&["eval"], arguments, &["--json"]].concat());
    answer.done().json()
}

/// Ways to ask for the validation figures of a run.
fn ways(place: &Place, run: &str) -> Vec<Vec<String>> {
    let file = |name: &str| format!("{run}.{name}");
    place.dragon(&["export", run, "--output", &file("bpk")]).done();
    place.dragon(&["convert", run, &file("safetensors")]).done();
    let checkpoint = format!("{run}/checkpoint/step-000012");
    let on_text = |model: &str| vec![model.to_string(), "validation.txt".to_string()];
    vec![
        vec![run.to_string()],
        on_text(run),
        vec![run.into(), "--step".into(), "12".into()],
        on_text(&checkpoint),
        on_text(&format!("{checkpoint}/model.bpk")),
        on_text(&format!("{run}/checkpoint")),
        on_text(&file("bpk")),
        on_text(&file("safetensors")),
    ]
}

#[test]
fn one_text_one_model_one_memory_is_one_figure_whichever_way_it_is_asked_for() {
    let place = place();
    let trained = place.train_on("text.txt", &[SEPARATOR, "--out", "run", "--json"]);
    let trained = trained.done().json();
    let mut ways = ways(&place, "run");
    ways.push(["run", "--memory", "reset"].map(String::from).to_vec());
    let typed = [
        "run.bpk",
        "validation.txt",
        "--block-size",
        "32",
        "--document-separator",
        "\n\n",
    ];
    ways.push(typed.map(String::from).to_vec());
    let expected = figures(&place, &["run"]);
    assert_eq!(expected["bits_per_byte"], trained["val_bits_per_byte"]);
    assert_eq!(expected["loss"], trained["val_loss"]);
    assert_eq!(
        (&expected["memory"], &expected["block_size"]),
        (&"reset".into(), &32.into())
    );
    assert_eq!(expected["document_separator"], "\n\n");
    let validation = std::fs::read_to_string(place.path("validation.txt")).unwrap();
    let documents = validation.matches("\n\n").count();
    assert!(documents > 10, "{validation}");
    // All but the first byte of each document, which is one token.
    assert_eq!(expected["documents"], documents);
    assert_eq!(expected["tokens"], validation.len() - documents);
    assert_eq!(expected["bytes"], expected["tokens"]);
    for way in ways {
        let way: Vec<&str> = way.iter().map(String::as_str).collect();
        assert_eq!(figures(&place, &way), expected, "{way:?}");
    }
}

#[test]
fn so_it_is_for_a_model_that_has_learnt_to_remember() {
    let place = place();
    let streams = ["sequence.streams.order=in_order", "--out", "run", "--json"];
    let trained = place.train_on("text.txt", &[&[SEPARATOR][..], &streams].concat());
    let trained = trained.done().json();
    let expected = figures(&place, &["run"]);
    assert_eq!(expected["memory"], "carried");
    assert_eq!(expected["bits_per_byte"], trained["val_bits_per_byte"]);
    assert_eq!(
        expected["reset_bits_per_byte"],
        trained["val_bits_per_byte_reset"]
    );
    assert_ne!(expected["bits_per_byte"], expected["reset_bits_per_byte"]);
    for way in ways(&place, "run") {
        let way: Vec<&str> = way.iter().map(String::as_str).collect();
        assert_eq!(figures(&place, &way), expected, "{way:?}");
    }
    for (memory, figure) in [("carried", "bits_per_byte"), ("reset", "reset_bits_per_byte")] {
        let asked = figures(&place, &["run.bpk", "validation.txt", "--memory", memory]);
        assert_eq!(asked["bits_per_byte"], expected[figure]);
        assert!(asked.get("reset_bits_per_byte").is_none(), "{asked}");
    }
}

#[test]
fn a_validation_text_of_its_own_is_divided_at_its_own_separator() {
    let place = place();
    let own = [
        "dataset.validation.type=text",
        "dataset.validation.paths=[\"validation.txt\"]",
        "dataset.validation.document_separator=\" stone \"",
    ];
    place
        .train_on("text.txt", &[&[SEPARATOR, "--out", "run"], &own[..]].concat())
        .done();
    let expected = figures(&place, &["run"]);
    assert_eq!(expected["document_separator"], " stone ");
    assert_eq!(figures(&place, &["run", "validation.txt"]), expected);
}

#[test]
fn a_separator_that_is_typed_is_the_one() {
    let place = place();
    place.train_on("text.txt", &[SEPARATOR, "--out", "run"]).done();
    place.write("other.txt", "One.#Two.#Three.\n\nFour.#");
    let documents = |separator: &[&str]| {
        let figures = figures(&place, &[&["run", "other.txt"], separator].concat());
        (
            figures["documents"].clone(),
            figures["document_separator"].clone(),
        )
    };
    assert_eq!(documents(&[]), (2.into(), "\n\n".into()));
    assert_eq!(documents(&["--document-separator", "#"]), (3.into(), "#".into()));
    assert_eq!(documents(&["--document-separator", ""]), (1.into(), Value::Null));
    place
        .dragon(&["eval", "run", "--document-separator", "#"])
        .refused(2, &["DATA"]);
}

#[test]
fn a_person_reads_how_the_text_was_read() {
    let place = place();
    place.train_on("text.txt", &[SEPARATOR, "--out", "run"]).done();
    place.write("other.txt", "One dragon.\n\nTwo dragons.");
    let said = |more: &[&str]| {
        let answer = place.dragon(&[&["eval", "run", "other.txt"], more].concat());
        answer.done().stdout
    };
    for (more, line) in [
        (
            &[][..],
            r#"read           2 documents, divided at "\n\n", in windows of 32 tokens, memory emptied before each"#,
        ),
        (
            &["--memory", "carried", "--document-separator", ""],
            "read           1 document, in windows of 32 tokens, memory carried from window to window of a document",
        ),
        (
            &["--memory", "sliding", "--context-window", "50"],
            "in windows of 32 tokens, memory of the last 50 to 100 tokens",
        ),
    ] {
        let said = said(more);
        assert!(said.contains(line), "`{line}` is not in: {said}");
    }
    let info = place.dragon(&["info", "run"]).done().stdout;
    assert!(
        info.contains("in windows of 32 tokens, memory emptied before each"),
        "{info}"
    );
}

#[test]
fn a_validation_text_may_be_shorter_than_a_window() {
    let place = place();
    let validated_on = |text: &str| {
        place.write("own.txt", text);
        let run = format!("run-{}", text.len());
        let own = [
            "dataset.validation.type=text",
            "dataset.validation.paths=[\"own.txt\"]",
        ];
        place.train_on("text.txt", &[&own[..], &["--out", &run, "--json"]].concat())
    };
    for text in ["ab", "the dragon"] {
        let trained = validated_on(text).done().json();
        let evaluated = figures(&place, &[&format!("run-{}", text.len())]);
        assert_eq!(evaluated["tokens"], text.len() - 1);
        assert_eq!(evaluated["bits_per_byte"], trained["val_bits_per_byte"]);
    }
    validated_on("a").refused(1, &["the validation text", "two tokens"]);
}

/// Of a symbol and the end of the text, the end alone is predicted.
#[test]
fn a_text_of_which_no_byte_is_predicted_has_a_loss_alone() {
    let place = place();
    place.write("own.txt", "a");
    let settings = [
        "dataset.tokenizer.type=char",
        "generation.prompt=the",
        "dataset.validation.type=text",
        "dataset.validation.paths=[\"own.txt\"]",
        "--out",
        "run",
    ];
    let told = place.train_on("text.txt", &settings).done();
    assert!(told.stdout.contains("nats a token"), "{}", told.stdout);
    assert!(
        !told.stdout.contains("NaN") && !told.stderr.contains("NaN"),
        "{}",
        told.stdout
    );
    let figures = figures(&place, &["run"]);
    assert_eq!((&figures["tokens"], &figures["bytes"]), (&1.into(), &0.into()));
    assert!(
        figures["loss"].is_f64() && figures.get("bits_per_byte").is_none(),
        "{figures}"
    );
    let said = place.dragon(&["eval", "run", "own.txt"]).done().stdout;
    assert!(said.contains("bits per byte  none"), "{said}");
}

#[test]
fn a_text_too_short_to_train_on_is_called_the_training_text() {
    let place = Place::new();
    place.write("short.txt", "A dragon went away.\n".repeat(10)); // 180 bytes to train on, 20 to validate
    let wide = ["sequence.block_size=180", "--out", "run"];
    let answer = place.train_on("short.txt", &wide);
    answer.refused(
        1,
        &["the training text has 180 tokens", "181", "sequence.block_size"],
    );
    let fits = ["sequence.block_size=179", "training.max_steps=1", "--out", "run"];
    place.train_on("short.txt", &fits).done();
    assert_eq!(figures(&place, &["run"])["tokens"], 19);
}

#[test]
fn bits_are_of_the_bytes_of_the_text_though_its_symbols_are_unknown() {
    let place = place();
    let chars = ["dataset.tokenizer.type=char", "generation.prompt=the"];
    place
        .train_on("text.txt", &[&chars[..], &["--out", "run"]].concat())
        .done();
    let japanese = "\u{543e}\u{8f29}\u{306f}\u{732b}\u{3067}\u{3042}\u{308b}".repeat(9);
    place.write("japanese.txt", &japanese);
    place.write("mixed.txt", "the dragon w\u{e9}nt to a hill ".repeat(10));
    let answer = place.dragon(&["eval", "run", "japanese.txt", "--json"]).done();
    let (figures, bytes) = (answer.json(), japanese.len() as u64 - 3);
    assert_eq!(
        (&figures["bytes"], &figures["unknown"]),
        (&bytes.into(), &62.into())
    );
    assert_eq!(figures["unknown_share"], 1.0);
    let number = |name: &str| figures[name].as_f64().unwrap();
    let bits = number("loss") * number("tokens") / std::f64::consts::LN_2 / bytes as f64;
    assert!((number("bits_per_byte") - bits).abs() < 1e-9, "{figures}");
    assert!(
        answer
            .stderr
            .contains("warning: 100.0 % of the symbols are unknown"),
        "{}",
        answer.stderr
    );
    let mixed = place.dragon(&["eval", "run", "mixed.txt"]).done();
    assert!(
        mixed.stdout.contains("unknown        3.9 % of the symbols (10)"),
        "{}",
        mixed.stdout
    );
    let known = place.dragon(&["eval", "run"]).done();
    assert!(
        !known.stdout.contains("unknown") && !known.stderr.contains("unknown"),
        "{}",
        known.stdout
    );
}

#[test]
fn a_run_says_what_of_its_validation_text_it_cannot_know() {
    let place = place();
    place.write("other.txt", "the dr\u{e4}gon s\u{e4}w a hill.".repeat(10));
    let settings = [
        "dataset.tokenizer.type=char",
        "generation.prompt=the",
        "dataset.validation.type=text",
        "dataset.validation.paths=[\"other.txt\"]",
        "--out",
        "run",
        "--json",
    ];
    let answer = place.train_on("text.txt", &settings).done();
    let line =
        "warning: 0.00 % of the training symbols (0) and 9.09 % of the validation symbols (20) are unknown";
    assert!(answer.stderr.contains(line), "{}", answer.stderr);
    let evaluated = figures(&place, &["run"]);
    let trained = answer.json();
    assert_eq!(trained["val_unknown_share"], evaluated["unknown_share"]);
    assert_eq!(trained["val_bits_per_byte"], evaluated["bits_per_byte"]);
    let clean = place.train_on("text.txt", &["--out", "clean", "--json"]).done();
    assert_eq!(clean.json()["val_unknown_share"], 0.0);
    assert!(!clean.stderr.contains("unknown"), "{}", clean.stderr);
}
