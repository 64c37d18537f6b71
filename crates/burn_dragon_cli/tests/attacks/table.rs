//! `attacks/` holds what is made here, byte for byte, and says so in its README.

use crate::attack::Attack;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of the largest file that is kept; larger ones are made when they are tested.
const LARGEST: usize = 4096;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attacks")
}

fn name(attack: &Attack) -> String {
    format!("{}/{}.{}", attack.door.name(), attack.class, attack.door.ending())
}

const HEADER: &str = "\
# Files that mean harm

One file a class of malformed input; each is refused with an error that says the right thing, as bad input (exit code 3,
or 2 for a configuration), at once, with nothing written. Files above 4 KiB are made when they are tested. Attacks that
are whole folders, links, pipes and devices are in `folders.rs` and `escapes.rs` beside the generator.

Made by `crates/burn_dragon_cli/tests/attacks/`; to write this folder anew:
`DRAGON_ATTACKS=write cargo test -p burn_dragon_cli --test attacks the_folder`.

| class | file | bytes | the refusal says | test |
|---|---|--:|---|---|
";

#[test]
fn the_folder_holds_what_is_made() {
    let attacks = crate::all();
    let mut expected: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut readme = HEADER.to_string();
    for attack in &attacks {
        let (name, door) = (name(attack), attack.door.name());
        let kept = attack.bytes.len() <= LARGEST;
        let file = if kept {
            format!("`{name}`")
        } else {
            "made when tested".into()
        };
        readme += &format!(
            "| {} | {file} | {} | {} | `{door}::is_refused::{}` |\n",
            attack.class.replace('_', " "),
            attack.bytes.len(),
            attack.says.replace('|', "\\|"),
            attack.class,
        );
        if kept {
            expected.insert(name, attack.bytes.clone());
        }
    }
    readme += &format!("\n{} classes.\n", attacks.len());
    expected.insert("README.md".into(), readme.into_bytes());
    if std::env::var_os("DRAGON_ATTACKS").is_some_and(|value| value == "write") {
        let _ = fs::remove_dir_all(root());
        for (name, bytes) in &expected {
            let path = root().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let found = files(&root(), "");
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (name, bytes) in &expected {
        assert!(
            found[name] == *bytes,
            "attacks/{name} is not what is made: write the folder anew"
        );
    }
    assert!(attacks.len() >= 60);
    assert!(found.values().map(Vec::len).sum::<usize>() < 1 << 20);
}

/// Files that are taken: where the fuzzers begin, beside the attacks.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    use crate::craft::{sound, sound_model, sound_state, written};
    let folder = crate::doors::folder();
    let parts = crate::folders::in_parts(folder.path(), crate::folders::model());
    let config = "[model]\nd_model = 32\n\n[training]\nbatch_size = 4 # windows\n";
    vec![
        ("burnpack", sound()),
        ("model", written(&sound_model())),
        ("state", written(&sound_state())),
        ("safetensors", crate::safetensors::sound()),
        ("pickle", burn_dragon_testing::pt::sound()),
        ("manifest", crate::manifest::sound().into()),
        ("parts", fs::read(parts).unwrap()),
        ("config", config.into()),
        (
            "tokenizer",
            br#"{"type":"char","special_tokens":true,"symbols":"ab\u00e9"}"#.to_vec(),
        ),
    ]
}

#[test]
fn the_corpus_holds_what_is_taken() {
    for (target, bytes) in seeds() {
        let path = root().join("../fuzz/corpus").join(target).join("sound");
        if std::env::var_os("DRAGON_ATTACKS").is_some_and(|value| value == "write") {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert!(
            fs::read(&path).is_ok_and(|kept| kept == bytes),
            "{} is not what is made",
            path.display()
        );
    }
}

/// Files under a folder by their paths from it.
pub(crate) fn files(folder: &Path, above: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files_found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = format!("{above}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            files_found.extend(files(&path, &format!("{name}/")));
        } else {
            files_found.insert(name, fs::read(&path).unwrap());
        }
    }
    files_found
}
