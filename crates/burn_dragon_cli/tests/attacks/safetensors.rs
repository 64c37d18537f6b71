//! Official weights as `.safetensors`. Their configuration is beside them, and sound.

/// A file of this header, and so many zeros behind it.
fn file(header: &str, data: usize) -> Vec<u8> {
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &vec![0; data],
    ]
    .concat()
}

/// Entries of a sound header: 4 tokens, width 2, one head, two neurons; then what an attack adds or changes.
fn header(edit: impl Fn(&mut Vec<(String, String)>)) -> String {
    let shapes: [(&str, &[usize]); 5] = [
        ("embed.weight", &[4, 2]),
        ("encoder", &[1, 2, 2]),
        ("encoder_v", &[1, 2, 2]),
        ("decoder", &[2, 2]),
        ("lm_head", &[2, 4]),
    ];
    let mut entries = Vec::new();
    let mut at = 0;
    for (name, shape) in shapes {
        let end = at + 4 * shape.iter().product::<usize>();
        entries.push((name.to_string(), entry("F32", &format!("{shape:?}"), at, end)));
        at = end;
    }
    edit(&mut entries);
    let entries: Vec<String> = entries
        .iter()
        .map(|(name, entry)| format!("\"{name}\":{entry}"))
        .collect();
    format!("{{{}}}", entries.join(","))
}

fn entry(dtype: &str, shape: &str, from: usize, to: usize) -> String {
    format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
}

/// Bytes of the sound tensors.
const DATA: usize = 112;

/// A file that is taken.
pub(crate) fn sound() -> Vec<u8> {
    file(&header(|_| ()), DATA)
}

/// The sound header with another last tensor.
fn last(name: &str, dtype: &str, shape: &str, (from, to): (usize, usize)) -> String {
    header(|entries| {
        entries.pop();
        entries.push((name.into(), entry(dtype, shape, from, to)));
    })
}

attacks! { Safetensors, "safetensors":
    empty: "too few" = [];
    header_cut_off: "a header of" = &file(&header(|_| ()), 0)[..40];
    header_longer_than_the_file: "a header of 1000000" = [&1_000_000u64.to_le_bytes()[..], b"{}"].concat();
    header_longer_than_any: "a header of 18446744073709551615" = [&[0xff; 8][..], b"{}"].concat();
    header_not_json: "does not read" = file("abcd", 0);
    header_not_utf8: "does not read" = [&4u64.to_le_bytes()[..], b"{\"\xff\""].concat();
    header_nested_deeply: "does not read" = file(&"[".repeat(3000), 0);
    header_followed_by_text: "does not read" = file(&(header(|_| ()) + "x"), DATA);
    tensor_twice: "there twice" = file(&header(|entries| entries.push(entries[0].clone())), DATA);
    texts_twice: "occurs twice" = {
        let texts = ("__metadata__".to_string(), r#"{"a":"b"}"#.to_string());
        file(&header(|entries| entries.extend([texts.clone(), texts.clone()])), DATA)
    };
    texts_nested: "does not read" = {
        file(&header(|entries| entries.push(("__metadata__".into(), r#"{"a":{"b":"c"}}"#.into()))), DATA)
    };
    texts_without_end: "more than 64 names" = {
        let texts: Vec<String> = (0..200_000).map(|number| format!("\"{number}\":\"\"")).collect();
        let texts = format!("{{{}}}", texts.join(","));
        file(&header(|entries| entries.push(("__metadata__".into(), texts.clone()))), DATA)
    };
    tensors_without_end: "more than 1024 names" = {
        let nothing = entry("F32", "[0]", 0, 0);
        file(&header(|entries| entries.extend((0..20_000).map(|number| (number.to_string(), nothing.clone())))), DATA)
    };
    dtype_unknown: "not known" = file(&last("lm_head", "F99", "[2, 4]", (80, 112)), DATA);
    dtype_not_of_weights: "lm_head" = file(&last("lm_head", "I32", "[2, 4]", (80, 112)), DATA);
    shape_overflows: "lm_head" = file(&last("lm_head", "F32", "[4294967296,4294967296]", (80, 112)), DATA);
    shape_of_many_axes: "more than 8" = file(&last("lm_head", "F32", &format!("[1{}]", ",1".repeat(400)), (80, 112)), DATA);
    shape_negative: "does not read" = file(&last("lm_head", "F32", "[-2, 4]", (80, 112)), DATA);
    shape_needs_more: "lm_head" = file(&last("lm_head", "F32", "[2, 5]", (80, 112)), DATA);
    offsets_reversed: "lm_head" = file(&last("lm_head", "F32", "[2, 4]", (112, 80)), DATA);
    offsets_past_the_end: "lm_head" = file(&last("lm_head", "F32", "[2, 1000]", (80, 8080)), DATA);
    offsets_overlap: "should begin at" = file(&last("lm_head", "F32", "[2, 4]", (72, 104)), DATA);
    offsets_leave_a_hole: "should begin at 80" = file(&last("lm_head", "F32", "[2, 4]", (84, 116)), DATA + 4);
    bytes_follow_the_end: "follow the header" = file(&header(|_| ()), DATA + 7);
    data_cut_off: "lm_head" = file(&header(|_| ()), DATA - 1);
    entry_with_an_unknown_key: "unknown field" = {
        file(&header(|entries| entries[0].1 = entries[0].1.replace("\"shape\"", "\"run\":1,\"shape\"")), DATA)
    };
    tensor_missing: "lm_head" = file(&header(|entries| { entries.pop(); }), 80);
    tensor_unknown: "gate" = file(&last("gate", "F32", "[2, 4]", (80, 112)), DATA);
    tensor_named_with_nul: "not a plain one" = file(&last("lm\\u0000head", "F32", "[2, 4]", (80, 112)), DATA);
    tensor_named_like_a_path: "../lm_head" = {
        file(&header(|entries| entries.push(("../lm_head".into(), entry("F32", "[1]", 112, 116)))), DATA + 4)
    };
    shape_of_another_model: "[4, 2]" = file(&last("lm_head", "F32", "[4, 2]", (80, 112)), DATA);
    tensor_of_no_size: "lm_head" = file(&last("lm_head", "F32", "[0, 4]", (80, 80)), 80);
    tensor_of_no_axes: "lm_head" = file(&last("lm_head", "F32", "[]", (80, 84)), 84);
    weights_not_numbers: "not finite" = {
        let mut bytes = file(&header(|_| ()), DATA);
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    };
    hash_wrong: "sha256" = {
        let texts = format!(r#"{{"burn_dragon.file_sha256":"{}"}}"#, "0".repeat(64));
        file(&header(|entries| entries.push(("__metadata__".into(), texts.clone()))), DATA)
    };
}
