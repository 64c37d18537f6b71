//! `dragon tokenizer`: training, encoding and decoding; and training of models with such a tokenizer.

use crate::support::Place;
use serde_json::Value;

const BOOK: &str = "The dragon sleeps in the cave. The dragon wakes, and the cave isn't dark: naïve 🐉\n";

fn read(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.path(name)).unwrap()
}

fn place() -> Place {
    let place = Place::new();
    place.write("book.txt", BOOK.repeat(40));
    place
        .dragon(&[
            "tokenizer",
            "train",
            "book.txt",
            "--vocab-size",
            "300",
            "--output",
            "tok.json",
        ])
        .done();
    place
}

#[test]
fn a_tokenizer_is_trained_and_gives_text_back() {
    let place = place();
    let again = place.dragon(&[
        "tokenizer",
        "train",
        "book.txt",
        "--vocab-size",
        "300",
        "-o",
        "again.json",
        "--json",
    ]);
    assert_eq!(again.done().json()["vocab_size"], 300);
    assert_eq!(read(&place, "tok.json"), read(&place, "again.json"));
    let ids = place
        .dragon(&["tokenizer", "encode", "tok.json", "--text", BOOK])
        .done()
        .stdout;
    let words: Vec<&str> = ids.split_whitespace().collect();
    assert!(words.len() * 2 < BOOK.len(), "{ids}");
    let back = place
        .dragon(&[&["tokenizer", "decode", "tok.json"], &words[..]].concat())
        .done();
    assert_eq!(back.stdout, format!("{BOOK}\n"));
    assert_eq!(
        place
            .dragon_reads(&["tokenizer", "decode", "tok.json"], ids.as_bytes())
            .done()
            .stdout,
        back.stdout
    );
    let info = place
        .dragon(&["tokenizer", "info", "tok.json", "book.txt", "--json"])
        .done()
        .json();
    assert_eq!(
        (&info["type"], &info["vocab_size"], &info["end_of_text"]),
        (&"bpe".into(), &300.into(), &299.into())
    );
    assert_eq!(info["bytes"], BOOK.len() * 40);
    assert!(info["tokens"].as_u64().unwrap() * 2 < info["bytes"].as_u64().unwrap());
}

#[test]
fn files_of_ids_hold_documents_and_their_ends() {
    let place = place();
    place.write("two.txt", "one\n--\ntwo");
    for (file, size) in [("ids.u16", 2), ("ids.u32", 4)] {
        let encode = [
            "tokenizer",
            "encode",
            "tok.json",
            "two.txt",
            "--document-separator",
            "\n--\n",
            "-o",
            file,
        ];
        place.dragon(&encode).done();
        let bytes = std::fs::read(place.path(file)).unwrap();
        let ids: Vec<u32> = bytes
            .chunks(size)
            .map(|id| u32::from(id[0]) + 256 * u32::from(id[1]))
            .collect();
        assert_eq!(ids.iter().filter(|&&id| id == 299).count(), 2, "{ids:?}");
        assert_eq!(ids.last(), Some(&299));
        assert_eq!(
            place
                .dragon(&["tokenizer", "decode", "tok.json", "--file", file])
                .done()
                .stdout,
            "onetwo\n"
        );
        place.dragon(&encode).refused(2, &["exists", "--force"]);
    }
    place
        .dragon(&["tokenizer", "encode", "tok.json", "two.txt", "-o", "ids.bin"])
        .refused(2, &[".u16 or .u32"]);
}

#[test]
fn a_model_keeps_its_tokenizer_byte_for_byte() {
    let place = place();
    // A published file may be formatted in any way.
    let value: Value = serde_json::from_str(&read(&place, "tok.json")).unwrap();
    let pretty = format!("{}\n\n", serde_json::to_string_pretty(&value).unwrap());
    place.write("pub.json", &pretty);
    let settings = [
        "dataset.tokenizer.type=bpe",
        "dataset.tokenizer.path=pub.json",
        "--out",
        "run",
    ];
    place.train_on("book.txt", &settings).done();
    assert_eq!(read(&place, "run/tokenizer.json"), pretty);
    let info = place.dragon(&["info", "run", "--json"]).done().json();
    assert_eq!(info["tokenizer"]["type"], "bpe");
    assert_eq!(info["config"]["vocab_size"], 300);
    // The model knows it by itself, wherever it lies.
    std::fs::remove_file(place.path("pub.json")).unwrap();
    place.dragon(&["export", "run", "--output", "model"]).done();
    let generate = [
        "generate",
        "model.bpk",
        "--prompt",
        "The dragon",
        "--max-tokens",
        "4",
    ];
    place.dragon(&generate).done();
    place.dragon(&["verify", "run", "--deep"]).done();
    place
        .dragon(&["train", "--resume", "run", "training.max_steps=14"])
        .done();
    assert_eq!(read(&place, "run/tokenizer.json"), pretty);
}

#[test]
fn bits_per_byte_count_the_bytes_of_the_text() {
    let place = place();
    let settings = [
        "dataset.tokenizer.type=bpe",
        "dataset.tokenizer.vocab_size=280",
        "--out",
        "run",
    ];
    let trained = place
        .train_on("book.txt", &[&settings[..], &["--json"]].concat())
        .done()
        .json();
    assert!(trained["val_bits_per_byte"].as_f64().unwrap() > 0.0, "{trained}");
    place.write("held.txt", "The cave is dark. 🐉");
    let held = place.dragon(&["eval", "run", "held.txt", "--json"]).done().json();
    // All but the bytes of the first token are predicted, and the end of the text after them.
    let first = place
        .dragon(&["tokenizer", "encode", "run", "--text", "The cave is dark. 🐉"])
        .done()
        .stdout;
    let first = first.split_whitespace().next().unwrap();
    let first = place
        .dragon(&["tokenizer", "decode", "run", first])
        .done()
        .stdout
        .trim_end_matches('\n')
        .len();
    assert_eq!(held["bytes"], "The cave is dark. 🐉".len() - first);
}

#[test]
fn what_is_no_such_tokenizer_is_refused() {
    let place = place();
    let train = [
        "tokenizer",
        "train",
        "book.txt",
        "--vocab-size",
        "300",
        "--output",
        "tok.json",
    ];
    place.dragon(&train).refused(2, &["tok.json exists", "--force"]);
    let small = [
        "tokenizer",
        "train",
        "book.txt",
        "--vocab-size",
        "10",
        "--output",
        "new.json",
    ];
    place.dragon(&small).refused(2, &["vocab_size", "257"]);
    let mut value: Value = serde_json::from_str(&read(&place, "tok.json")).unwrap();
    value["normalizer"] = serde_json::json!({"type": "Lowercase"});
    place.write("lower.json", value.to_string());
    let encode = ["tokenizer", "encode", "lower.json", "--text", "the Dragon"];
    place.dragon(&encode).refused(3, &["from byte 4", "normaliser"]);
    let settings = [
        "dataset.tokenizer.type=bpe",
        "dataset.tokenizer.path=lower.json",
        "--out",
        "run",
    ];
    place
        .train_on("book.txt", &settings)
        .refused(3, &["does not give the text back", "from byte 0"]);
    value["model"]["type"] = "Unigram".into();
    place.write("unigram.json", value.to_string());
    place
        .dragon(&["tokenizer", "info", "unigram.json"])
        .refused(3, &["unigram.json", "Unigram", "BPE"]);
}
