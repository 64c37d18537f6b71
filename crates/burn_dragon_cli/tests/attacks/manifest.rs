//! A checkpoint's `manifest.json`, in a folder whose files are sound.

use crate::craft::replaced;
use burn_dragon::api::expert::checkpoint::sha256;

/// What the folder holds beside the manifest: `model.bpk`, of these bytes.
pub(crate) const MODEL: &[u8] = b"a model";

fn hash() -> String {
    sha256(MODEL)
}

/// A manifest that lists these files, and says its own hash.
fn listing(files: &[(&str, u64, &str)]) -> String {
    let files: Vec<String> = files
        .iter()
        .map(|(name, size, sha256)| {
            let name = serde_json::to_string(name).unwrap();
            format!("    {name}: {{\n      \"size\": {size},\n      \"sha256\": \"{sha256}\"\n    }}")
        })
        .collect();
    let files = if files.is_empty() {
        "{}".into()
    } else {
        format!("{{\n{}\n  }}", files.join(",\n"))
    };
    sealed(&format!(
        "{{\n  \"format\": \"burn_dragon.checkpoint/1\",\n  \"step\": 1,\n  \"files\": {files},\n  \"sha256\": \"{}\"\n}}",
        "0".repeat(64)
    ))
}

/// With the hash that the text should have.
fn sealed(text: &str) -> String {
    let zeros = format!("\"sha256\": \"{}\"\n}}", "0".repeat(64));
    replaced(
        text,
        &zeros,
        &format!("\"sha256\": \"{}\"\n}}", sha256(text.as_bytes())),
    )
}

/// The sound manifest.
pub(crate) fn sound() -> String {
    listing(&[("model.bpk", MODEL.len() as u64, &hash())])
}

/// A manifest that lists the model, and a file of this name.
fn naming(name: &str) -> String {
    listing(&[
        ("model.bpk", MODEL.len() as u64, &hash()),
        (name, 0, &sha256(b"")),
    ])
}

attacks! { Manifest, "json":
    empty: "EOF" = "";
    not_json: "expected value" = "step 1";
    not_utf8: "not UTF-8" = b"{\"format\": \"\xff\"}";
    nested_deeply: "invalid type" = "[".repeat(3000);
    nested_deeply_inside: "invalid type: map" = format!("{{\"files\":{{\"a\":{}", "{\"size\":".repeat(3000));
    longer_than_the_limit: "at most 1048576" = " ".repeat((1 << 20) + 1);
    of_another_format: "its format is `burn_dragon.checkpoint/9`" = replaced(&sound(), "checkpoint/1", "checkpoint/9");
    of_another_step: "step 2" = sealed(&replaced(&unsealed(), "\"step\": 1", "\"step\": 2"));
    of_a_step_beyond_counting: "expected u64" = replaced(&sound(), "\"step\": 1", "\"step\": 1e300");
    of_a_negative_step: "invalid value" = replaced(&sound(), "\"step\": 1", "\"step\": -1");
    with_an_unknown_key: "unknown field" = replaced(&sound(), "\"step\"", "\"run\": \"me\", \"step\"");
    with_a_key_twice: "duplicate field" = replaced(&sound(), "\"step\"", "\"step\": 1, \"step\"");
    with_a_file_twice: "another program changed it" = {
        let model = r#""model.bpk": {"size": 7, "sha256": ""}, "model.bpk""#;
        replaced(&sound(), "\"model.bpk\"", model)
    };
    with_more_white_space: "another program changed it" = replaced(&sound(), "\"step\": 1", "\"step\":  1");
    with_a_line_at_its_end: "another program changed it" = sound() + "\n";
    with_another_version: "sha256 of its text" = replaced(&sound(), "\"files\"", "\"version\": \"9\",\n  \"files\"");
    of_no_files: "it lists no file" = listing(&[]);
    hash_missing: "missing field `sha256`" = {
        let (start, _) = sound().rsplit_once(",\n  \"sha256\"").map(|(a, b)| (a.to_string(), b.to_string())).unwrap();
        start + "\n}"
    };
    hash_of_a_file_missing: "needs one hash" = {
        replaced(&sound(), &format!(",\n      \"sha256\": \"{}\"", hash()), "")
    };
    hash_of_a_file_of_another_format: "needs one hash, its `blake3`" = {
        sealed(&replaced(&unsealed(), "checkpoint/1", "checkpoint/2"))
    };
    hash_of_a_file_of_two_kinds: "needs one hash" = {
        let hash = format!("\"sha256\": \"{}\"\n    }}", hash());
        sealed(&replaced(&unsealed(), &hash, &format!("\"blake3\": \"{}\",\n      {hash}", "0".repeat(64))))
    };
    hash_of_a_file_wrong_by_blake3: "its blake3 is" = {
        let text = replaced(&unsealed(), "checkpoint/1", "checkpoint/2");
        sealed(&replaced(&text, "      \"sha256\"", "      \"blake3\""))
    };
    hash_of_a_file_empty: "its manifest says " = listing(&[("model.bpk", MODEL.len() as u64, "")]);
    hash_of_a_file_wrong: "its manifest says 0000" = listing(&[("model.bpk", MODEL.len() as u64, &"0".repeat(64))]);
    hash_of_a_file_in_capitals: "its manifest says" = listing(&[("model.bpk", MODEL.len() as u64, &hash().to_uppercase())]);
    size_of_a_file_wrong: "its manifest says 8" = listing(&[("model.bpk", 8, &hash())]);
    size_of_a_file_huge: "its manifest says 18446744073709551615" = listing(&[("model.bpk", u64::MAX, &hash())]);
    file_missing: "it is not there" = naming("optimizer.bpk");
    file_not_listed: "cannot be verified" = listing(&[("stray", 0, &sha256(b""))]);
    name_absolute: "not a plain file name" = naming("/etc/passwd");
    name_upwards: "not a plain file name" = naming("../model.bpk");
    name_is_the_folder: "not a plain file name" = naming(".");
    name_is_the_folder_above: "not a plain file name" = naming("..");
    name_in_a_folder: "not a plain file name" = naming("a/b");
    name_with_a_drive: "not a plain file name" = naming("C:model.bpk");
    name_on_a_share: "not a plain file name" = naming("\\\\host\\share\\model.bpk");
    name_with_a_backslash: "not a plain file name" = naming("..\\model.bpk");
    name_with_nul: "not a plain file name" = naming("model\0.bpk");
    name_of_a_device: "not a plain file name" = naming("NUL");
    name_with_a_scheme: "not a plain file name" = naming("file:model.bpk");
    name_empty: "not a plain file name" = naming("");
    name_of_a_kilobyte: "not a plain file name" = naming(&"n".repeat(1024));
}

/// The sound manifest before its hash is put in.
fn unsealed() -> String {
    let sound = sound();
    let (start, _) = sound.rsplit_once("\"sha256\"").unwrap();
    format!("{start}\"sha256\": \"{}\"\n}}", "0".repeat(64))
}
