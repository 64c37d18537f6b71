//! `dragon generate`: text that continues a prompt.

use crate::support::{Place, fixtures, tensor, text, write_i32};
use serde_json::Value;

fn ids(value: &Value) -> Vec<u64> {
    let ids = value["token_ids"].as_array().unwrap().iter();
    ids.map(|id| id.as_u64().unwrap()).collect()
}

/// What is generated from `Hugo`, or from what the arguments say.
fn generate(place: &Place, arguments: &[&str]) -> Value {
    let prompt = ["--prompt", "Hugo"];
    let own = arguments.iter().any(|argument| argument.starts_with("--prompt"));
    let prompt = if own { &[][..] } else { &prompt[..] };
    place
        .dragon(&[&["generate", "run", "--json"], prompt, arguments].concat())
        .done()
        .json()
}

#[test]
fn json_gives_the_new_text_the_new_tokens_and_the_rates() {
    let answer = generate(&Place::trained(), &["--max-tokens", "20"]);
    assert_eq!(ids(&answer).len(), 20);
    assert!(
        answer["text"].is_string() && answer["stopped"] == false,
        "{answer}"
    );
    for rate in ["tokens_per_second", "prefill_tokens_per_second"] {
        assert!(answer[rate].as_f64().unwrap() > 0.0, "{answer}");
    }
}

#[test]
fn the_settings_of_the_run_hold_unless_others_are_typed() {
    let place = Place::trained(); // with generation.max_tokens = 8
    assert_eq!(ids(&generate(&place, &[])).len(), 8);
    assert_eq!(ids(&generate(&place, &["--max-tokens", "3"])).len(), 3);
}

#[test]
fn a_prompt_is_one_whether_as_text_as_tokens_or_from_standard_input() {
    let place = Place::trained();
    let greedy = ["generate", "run", "--temperature", "0", "--json"];
    let answers = [
        place.dragon(&[&greedy[..], &["--prompt", "Hugo"]].concat()),
        place.dragon(&[&greedy[..], &["--prompt-tokens", "72,117,103,111"]].concat()),
        place.dragon_reads(&[&greedy[..], &["-"]].concat(), b"Hugo"),
    ];
    let [a, b, c] = answers.map(|answer| ids(&answer.done().json()));
    assert!(a == b && b == c, "{a:?} {b:?} {c:?}");
    let other = place.dragon(&[&greedy[..], &["--prompt", "It was not"]].concat());
    assert_ne!(a, ids(&other.done().json()));
}

#[test]
fn temperature_zero_is_the_likeliest_token_each_time() {
    let place = Place::trained();
    let greedy = ["--temperature", "0", "--max-tokens", "6"];
    let answer = ids(&generate(&place, &greedy));
    assert_eq!(
        answer,
        ids(&generate(&place, &[&greedy[..], &["--seed", "7"]].concat()))
    );
    assert_eq!(
        answer,
        ids(&generate(&place, &["--top-k", "1", "--max-tokens", "6"]))
    );
    // The whole window at once says the same, token by token.
    let all: Vec<i32> = b"Hugo"
        .iter()
        .map(|&byte| i32::from(byte))
        .chain(answer.iter().map(|&id| id as i32))
        .collect();
    write_i32(&place.path("tokens.safetensors"), "tokens", &all, [1, all.len()]);
    place
        .dragon(&["forward", "run", "tokens.safetensors", "--out", "out.safetensors"])
        .done();
    let (_, logits) = tensor(&place.path("out.safetensors"), "logits", f32::from_le_bytes);
    let rows = logits.chunks(256).skip(3).take(6);
    for (row, &id) in rows.zip(&answer) {
        let highest = row.iter().copied().fold(f32::MIN, f32::max);
        assert_eq!(row[id as usize], highest);
    }
}

#[test]
fn a_seed_is_a_text_and_another_seed_another() {
    let place = Place::trained();
    let draw = |seed| {
        ids(&generate(
            &place,
            &["--seed", seed, "--temperature", "1", "--max-tokens", "24"],
        ))
    };
    assert_eq!(draw("1"), draw("1"));
    assert_ne!(draw("1"), draw("2"));
}

#[test]
fn a_stop_text_ends_the_text_before_itself() {
    let place = Place::new();
    place.write("text.txt", "abcdefghij ".repeat(300));
    let char = "dataset.tokenizer={type=\"char\",special_tokens=false}"; // every token is a letter
    let char = [char, "generation.prompt=abc", "--out", "run"];
    place.train_on("text.txt", &char).done();
    let draw = ["--prompt", "abc", "--temperature", "1", "--max-tokens", "40"];
    let free = generate(&place, &draw);
    let free = free["text"].as_str().unwrap();
    let stop = &free[10..12];
    let stopped = generate(
        &place,
        &[&draw[..], &["--stop", stop, "--stop", "never"]].concat(),
    );
    assert_eq!(stopped["text"], free[..free.find(stop).unwrap()]);
    assert_eq!(stopped["stopped"], true);
    assert_eq!(ids(&stopped).len(), free.find(stop).unwrap() + 2);
}

#[test]
fn what_is_streamed_is_what_is_printed_at_the_end() {
    let place = Place::trained();
    // A new model of bytes writes what is no UTF-8; both ways show the same.
    let arguments = [
        "generate",
        "run",
        "--prompt",
        "Hugo",
        "--temperature",
        "1",
        "--max-tokens",
        "200",
    ];
    let whole = place.dragon(&arguments).done().stdout;
    let streamed = place
        .dragon(&[&arguments[..], &["--streaming"]].concat())
        .done()
        .stdout;
    assert_eq!(streamed, whole);
    assert!(
        whole.starts_with("Hugo") && whole.contains('\u{fffd}') && whole.len() > 200,
        "{whole}"
    );
    let json = generate(&place, &arguments[4..]);
    assert_eq!(format!("Hugo{}\n", json["text"].as_str().unwrap()), whole);
}

#[test]
fn only_the_text_is_on_standard_output() {
    let place = Place::trained();
    let answer = place
        .dragon(&["generate", "run", "--prompt", "Hugo", "--max-tokens", "4"])
        .done();
    for part in [
        "backend cpu",
        "model run/checkpoint/step-000012/model.bpk",
        "tokens at",
    ] {
        assert!(
            answer.stderr.contains(part) && !answer.stdout.contains(part),
            "{part}"
        );
    }
}

#[test]
fn a_prompt_without_a_token_is_refused() {
    let place = Place::trained();
    place
        .dragon(&["generate", "run", "--prompt", ""])
        .refused(2, &["prompt is empty"]);
    place
        .dragon_reads(&["generate", "run", "-"], b"")
        .refused(2, &["prompt is empty"]);
}

#[test]
fn a_token_outside_the_vocabulary_is_refused_with_its_size() {
    let place = Place::trained();
    place
        .dragon(&["generate", "run", "--prompt-tokens", "1,256"])
        .refused(2, &["256", "0 to 255"]);
}

#[test]
fn what_cannot_be_meant_is_bad_usage() {
    let place = Place::trained();
    for (arguments, says) in [
        (&["--prompt", "a", "--prompt-tokens", "1"][..], "--prompt"),
        (&["-", "--prompt", "a"], "--prompt"),
        (&["--prompt-tokens", "1,x"], "--prompt-tokens"),
        (&["--temperature=-1"], "temperature"),
        (&["--temperature", "nan"], "temperature"),
        (&["--top-k", "0"], "top_k"),
        (&["--top-p", "1.5"], "top_p"),
        (&["--repetition-penalty", "0"], "repetition_penalty"),
        (&["--stop", ""], "stop"),
        (&["--seed", "x"], "--seed"),
        (&["--bogus"], "--bogus"),
    ] {
        place
            .dragon(&[&["generate", "run"], arguments].concat())
            .refused(2, &[says]);
    }
    place.dragon(&["generate"]).refused(2, &["MODEL"]);
    place.dragon(&["speak"]).refused(2, &["speak"]);
}

#[test]
fn official_weights_continue_greedily_as_the_official_model_does() {
    for name in ["tiny", "small", "paper_init"] {
        let Some(folder) = fixtures(name) else { continue };
        let [weights, meta] = ["weights.safetensors", "meta.json"].map(|file| text(folder.join(file)));
        let (_, greedy) = tensor(&folder.join("expected.safetensors"), "greedy", i32::from_le_bytes);
        let prompt: Vec<String> = greedy[..8].iter().map(ToString::to_string).collect();
        let model = [
            "generate",
            &weights,
            "--model-config",
            &meta,
            "--prompt-tokens",
            &prompt.join(","),
        ];
        let drawing = ["--temperature", "0", "--max-tokens", "32", "--json"];
        let answer = Place::new()
            .dragon(&[&model[..], &drawing].concat())
            .done()
            .json();
        let expected: Vec<u64> = greedy[8..].iter().map(|&id| id as u64).collect();
        assert_eq!(ids(&answer), expected, "{name}");
    }
}

#[test]
fn words_for_weights_without_a_tokenizer_are_a_mistake_of_whoever_typed_them() {
    let Some(folder) = fixtures("tiny") else { return };
    let [weights, meta] = ["weights.safetensors", "meta.json"].map(|file| text(folder.join(file)));
    let place = Place::new();
    place.write("words.txt", "Once upon a time ".repeat(20));
    place.write("ids.txt", "1 2 3 4 5 6 7 8 ".repeat(20));
    let says = ["no tokenizer", "Once", "--prompt-tokens"];
    let model = [weights.as_str(), "--model-config", &meta];
    let generate = [&["generate"], &model[..], &["--prompt", "Once upon"]].concat();
    place.dragon(&generate).refused(2, &says);
    let eval = |data| [&["eval"], &model[..], &[data, "--block-size", "8"]].concat();
    place.dragon(&eval("words.txt")).refused(2, &says);
    place.dragon(&eval("ids.txt")).done();
}

#[test]
fn bare_ids_stand_apart_and_have_no_text_to_stop_at() {
    let Some(folder) = fixtures("tiny") else { return };
    let [weights, meta] = ["weights.safetensors", "meta.json"].map(|file| text(folder.join(file)));
    let place = Place::new();
    let model = [
        "generate",
        &weights,
        "--model-config",
        &meta,
        "--max-tokens",
        "4",
        "--temperature",
        "0",
    ];
    let with = |more: &[&str]| place.dragon(&[&model[..], more].concat());
    let told = ids(&with(&["--prompt-tokens", "1,2,3", "--json"]).done().json());
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    let shown = format!("1 2 3 {}", told.join(" "));
    for prompt in ["1 2 3", "1,2,3", " 01 2 +3"] {
        for more in [&[][..], &["--streaming"]] {
            let answer = with(&[&["--prompt", prompt], more].concat()).done();
            assert_eq!(answer.stdout.trim_end(), shown, "{prompt:?}");
        }
    }
    let stop = ["--prompt-tokens", "1,2,3", "--stop", "7"];
    with(&stop).refused(2, &["stop", "bare ids"]);
}
