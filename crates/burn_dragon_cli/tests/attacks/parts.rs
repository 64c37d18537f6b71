//! The manifest of a model in parts, `*.bpk.parts.json`. Parts that are not what it says are in `folders.rs`.

use crate::craft::replaced;

const DIGITS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A manifest of these parts: names and tensors.
fn listing(parts: &[(&str, &str)]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, tensor)| {
            let name = serde_json::to_string(name).unwrap();
            format!(r#"{{"path":{name},"bytes":256,"sha256":"{DIGITS}","tensors":["{tensor}"]}}"#)
        })
        .collect();
    format!(
        r#"{{"manifest_sha256":"","version":1,"format":"burn_dragon.parts/1","source_file":"model.bpk","total_bytes":256,"sha256":"{DIGITS}","model":"{DIGITS}","precision":"f32","max_part_bytes":1,"parts":[{}]}}"#,
        parts.join(",")
    )
}

fn sound() -> String {
    listing(&[("model.bpk.part-00000.bpk", "embed")])
}

fn naming(name: &str) -> String {
    listing(&[(name, "embed")])
}

attacks! { Parts, "json":
    not_json: "expected value" = "parts";
    not_utf8: "line 1" = b"{\"format\":\"\xff\"}";
    nested_deeply: "line 1" = "[".repeat(3000);
    longer_than_the_limit: "at most 4194304" = " ".repeat((4 << 20) + 1);
    of_another_version: "version 2" = replaced(&sound(), r#""version":1"#, r#""version":2"#);
    of_another_format: "burn_dragon.parts/9" = replaced(&sound(), "parts/1", "parts/9");
    with_an_unknown_key: "unknown field" = replaced(&sound(), r#""version""#, r#""run":"me","version""#);
    with_a_key_twice: "duplicate field" = replaced(&sound(), r#""version""#, r#""version":1,"version""#);
    precision_unknown: "line 1" = replaced(&sound(), r#""f32""#, r#""f8""#);
    of_no_parts: "0 parts" = listing(&[]);
    of_endless_parts: "more than 4096" = {
        let part = format!(r#",{{"path":"a","bytes":1,"sha256":"{DIGITS}","tensors":["a"]}}"#);
        replaced(&sound(), "}]}", &format!("}}{}]}}", part.repeat(20_000)))
    };
    of_a_million_parts: "missing field" = replaced(&sound(), "}]}", &format!("}}{}]}}", ",{}".repeat(1_000_000)));
    of_endless_tensors: "more than 1024" = {
        replaced(&sound(), r#"["embed"]"#, &format!("[\"\"{}]", ",\"\"".repeat(1_000_000)))
    };
    changed: "`manifest_sha256` does not match its text" = sound();
    part_twice: "there twice" = listing(&[("a.bpk", "embed"), ("a.bpk", "lm_head")]);
    part_is_the_whole: "there twice" = naming("model.bpk");
    tensor_twice: "`embed` is there twice" = listing(&[("a.bpk", "embed"), ("b.bpk", "embed")]);
    part_without_tensors: "is empty" = replaced(&sound(), r#"["embed"]"#, "[]");
    part_without_bytes: "is empty" = replaced(&sound(), r#""bytes":256"#, r#""bytes":0"#);
    part_of_a_negative_size: "line 1" = replaced(&sound(), r#""bytes":256"#, r#""bytes":-1"#);
    hash_of_a_part_missing: "missing field `sha256`" = {
        replaced(&sound(), &format!(r#""bytes":256,"sha256":"{DIGITS}""#), r#""bytes":256"#)
    };
    hash_of_a_part_empty: "64 lower-case" = {
        replaced(&sound(), &format!(r#""bytes":256,"sha256":"{DIGITS}""#), r#""bytes":256,"sha256":"""#)
    };
    hash_of_the_whole_empty: "64 lower-case" = {
        replaced(&sound(), &format!(r#""total_bytes":256,"sha256":"{DIGITS}""#), r#""total_bytes":256,"sha256":"""#)
    };
    hash_of_the_model_in_capitals: "64 lower-case" = {
        replaced(&sound(), &format!(r#""model":"{DIGITS}""#), &format!(r#""model":"{}""#, DIGITS.to_uppercase()))
    };
    whole_named_upwards: "not a plain file name" = replaced(&sound(), r#""model.bpk""#, r#""../model.bpk""#);
    name_absolute: "not a plain file name" = naming("/etc/passwd");
    name_upwards: "not a plain file name" = naming("../../model.bpk");
    name_in_a_folder: "not a plain file name" = naming("parts/model.bpk");
    name_is_the_folder_above: "not a plain file name" = naming("..");
    name_with_a_drive: "not a plain file name" = naming("C:\\model.bpk");
    name_on_a_share: "not a plain file name" = naming("\\\\host\\share\\model.bpk");
    name_with_a_backslash: "not a plain file name" = naming("..\\model.bpk");
    name_of_a_device: "not a plain file name" = naming("/dev/zero");
    name_of_a_windows_device: "not a plain file name" = naming("COM1.bpk");
    name_with_a_scheme: "not a plain file name" = naming("http://host/model.bpk");
    name_with_nul: "not a plain file name" = naming("model\0.bpk");
    name_with_a_query: "not a plain file name" = naming("model.bpk?x=1");
    name_escaped: "not a plain file name" = naming("%2e%2e%2fmodel.bpk");
    name_of_a_kilobyte: "not a plain file name" = naming(&"n".repeat(1024));
    name_empty: "not a plain file name" = naming("");
}
