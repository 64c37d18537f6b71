//! A path in a file leads nowhere: what is outside of a folder is not read through it, and not written.

use crate::craft::{replaced, sound_model, with_tensor, written};
use crate::doors::kinds;
use crate::folders::{in_parts, model, run};
use burn::tensor::TensorData;
use burn_dragon::api::checkpoint::{CheckpointError, ModelFile, StoredTensor};
use burn_dragon::api::exchange::{ModelPath, OfficialConfig, Which, read_torch};
use burn_dragon::api::expert::checkpoint::sha256;
use burn_dragon_testing::pt;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder to be trusted with nothing, and a secret beside it: a sound run, and a sound model in parts, of other weights.
struct Scene {
    root: tempfile::TempDir,
}

const SECRET: f32 = 0.125;

impl Scene {
    fn new() -> Self {
        let scene = Self {
            root: tempfile::tempdir().unwrap(),
        };
        let secret = TensorData::new(vec![SECRET; 8], [4, 2]);
        let mut hidden = model();
        hidden
            .tensors
            .insert("embed".into(), StoredTensor::Float(secret.clone()));
        run(&scene.outside("run"));
        fs::write(
            scene.outside("model.bpk"),
            with_tensor(sound_model(), "embed", secret),
        )
        .unwrap();
        in_parts(&scene.outside("parts"), hidden);
        run(&scene.inside("run"));
        in_parts(&scene.inside("parts"), model());
        scene
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.root.path().join("inside").join(name)
    }

    fn outside(&self, name: &str) -> PathBuf {
        self.root.path().join("outside").join(name)
    }

    /// Changes a manifest, with the right hash: so that what is wrong is not found by the hash.
    fn edit(&self, name: &str, part: &str, with: &str) {
        let path = self.inside(name);
        let text = replaced(&fs::read_to_string(&path).unwrap(), part, with);
        fs::write(path, resealed(&text)).unwrap();
    }

    #[cfg(unix)]
    fn link(&self, name: &str, to: &Path) {
        let path = self.inside(name);
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
        std::os::unix::fs::symlink(to, path).unwrap();
    }

    /// What is loaded through a path inside; a secret is what must not be.
    fn load(&self, name: &str, which: Which) -> Result<ModelFile, CheckpointError> {
        let path = ModelPath {
            path: self.inside(name),
            which,
            ..ModelPath::default()
        };
        path.load(&kinds()).map(|loaded| loaded.model)
    }
}

/// A manifest with the hash of its text, which is the last of the hashes in it.
fn resealed(text: &str) -> String {
    const DIGITS: usize = 64;
    let at =
        ["\"sha256\": \"", "\"manifest_sha256\": \""].map(|key| text.rfind(key).map(|at| at + key.len()));
    let at = at.into_iter().max().flatten().unwrap();
    let with = |digits: &str| [&text[..at], digits, &text[at + DIGITS..]].concat();
    with(&sha256(with(&"0".repeat(DIGITS)).as_bytes()))
}

const MANIFEST: &str = "run/checkpoint/step-000001/manifest.json";
const PARTS: &str = "parts/model.bpk.parts.json";

/// What each case does, and what is opened then.
type Case = (&'static str, fn(&Scene), &'static str);

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = vec![
        (
            "a manifest names a file upwards",
            |s| s.edit(MANIFEST, "\"model.bpk\"", "\"../../../../outside/model.bpk\""),
            "run",
        ),
        (
            "a manifest names a file by its root",
            |s| {
                s.edit(
                    MANIFEST,
                    "\"model.bpk\"",
                    &format!("{:?}", s.outside("model.bpk")),
                );
            },
            "run",
        ),
        (
            "a manifest names a file with backslashes",
            |s| s.edit(MANIFEST, "\"model.bpk\"", r#""..\\..\\outside\\model.bpk""#),
            "run",
        ),
        (
            "a manifest names a file on a drive",
            |s| s.edit(MANIFEST, "\"model.bpk\"", "\"C:model.bpk\""),
            "run",
        ),
        (
            "a manifest names a file on a share",
            |s| s.edit(MANIFEST, "\"model.bpk\"", r#""\\\\outside\\model.bpk""#),
            "run",
        ),
        (
            "`last` points upwards",
            |s| {
                fs::write(
                    s.inside("run/checkpoint/last"),
                    "../../../outside/run/checkpoint/step-000001\n",
                )
                .unwrap();
            },
            "run",
        ),
        (
            "`last` points to a root",
            |s| {
                let target = s.outside("run/checkpoint/step-000001").display().to_string();
                fs::write(s.inside("run/checkpoint/last"), target).unwrap();
            },
            "run",
        ),
        (
            "`best` points upwards",
            |s| {
                fs::write(
                    s.inside("run/checkpoint/best"),
                    "../../../outside/run/checkpoint/step-000001\n",
                )
                .unwrap();
            },
            "run",
        ),
        (
            "`latest` points upwards",
            |s| fs::write(s.inside("latest"), "../outside/run").unwrap(),
            "latest",
        ),
        (
            "`latest` points to a root",
            |s| fs::write(s.inside("latest"), s.outside("run").display().to_string()).unwrap(),
            "latest",
        ),
        (
            "`latest` points to the folder above",
            |s| fs::write(s.inside("latest"), "..").unwrap(),
            "latest",
        ),
        (
            "`latest` has backslashes",
            |s| fs::write(s.inside("latest"), "..\\outside\\run").unwrap(),
            "latest",
        ),
        (
            "a part is named upwards",
            |s| {
                s.edit(
                    PARTS,
                    "\"model.bpk.part-00000.bpk\"",
                    "\"../../outside/parts/model.bpk.part-00000.bpk\"",
                );
            },
            PARTS,
        ),
        (
            "a part is named by its root",
            |s| {
                let target = format!("{:?}", s.outside("parts/model.bpk.part-00000.bpk"));
                s.edit(PARTS, "\"model.bpk.part-00000.bpk\"", &target);
            },
            PARTS,
        ),
        (
            "a part is named with backslashes",
            |s| {
                s.edit(
                    PARTS,
                    "\"model.bpk.part-00000.bpk\"",
                    r#""..\\..\\outside\\parts\\model.bpk.part-00000.bpk""#,
                );
            },
            PARTS,
        ),
        (
            "a part is named with a scheme",
            |s| {
                let target = format!(
                    "\"file://{}\"",
                    s.outside("parts/model.bpk.part-00000.bpk").display()
                );
                s.edit(PARTS, "\"model.bpk.part-00000.bpk\"", &target);
            },
            PARTS,
        ),
        (
            "the whole of some parts is named upwards",
            |s| s.edit(PARTS, "\"model.bpk\"", "\"../../outside/model.bpk\""),
            PARTS,
        ),
    ];
    #[cfg(unix)]
    cases.extend::<[Case; 6]>([
        (
            "a model in a checkpoint is a link",
            |s| s.link("run/checkpoint/step-000001/model.bpk", &s.outside("model.bpk")),
            "run",
        ),
        (
            "a manifest is a link",
            |s| s.link(MANIFEST, &s.outside(MANIFEST)),
            "run",
        ),
        (
            "a checkpoint is a link",
            |s| {
                s.link(
                    "run/checkpoint/step-000001",
                    &s.outside("run/checkpoint/step-000001"),
                );
            },
            "run",
        ),
        (
            "`last` is a link to a file",
            |s| {
                fs::write(s.outside("last"), "step-000001").unwrap();
                s.link("run/checkpoint/last", &s.outside("last"));
                fs::remove_dir_all(s.inside("run/checkpoint/step-000001")).unwrap();
            },
            "run",
        ),
        (
            "a part is a link",
            |s| {
                s.link(
                    "parts/model.bpk.part-00000.bpk",
                    &s.outside("parts/model.bpk.part-00000.bpk"),
                );
            },
            PARTS,
        ),
        (
            "`latest` is a pointer to a link of text",
            |s| {
                s.link("hop", &s.outside("run"));
                fs::write(s.inside("latest"), "hop/../../outside/run").unwrap();
            },
            "latest",
        ),
    ]);
    cases
}

#[test]
fn no_path_in_a_file_leads_out_of_its_folder() {
    let (mut tried, mut by_name, mut escaped) = (0, 0, Vec::new());
    for (what, set, open) in cases() {
        let scene = Scene::new();
        set(&scene);
        let before = crate::table::files(&scene.outside(""), "");
        for which in [Which::Last, Which::Best] {
            match scene.load(open, which) {
                Ok(model)
                    if model.tensors["embed"]
                        .data()
                        .iter::<f32>()
                        .any(|value| value == SECRET) =>
                {
                    escaped.push(what);
                }
                // What the name rule refuses is refused by it, and not by a hash that an attacker computes too.
                Err(error) if what.contains("named") || what.starts_with("a manifest names") => {
                    let said = error.to_string();
                    assert!(said.contains("is not a plain file name"), "{what}: {said}");
                    by_name += 1;
                }
                _ => {}
            }
        }
        if crate::table::files(&scene.outside(""), "") != before {
            escaped.push(what);
        }
        tried += 1;
    }
    for name in [
        "../../../outside/0",
        "/etc/passwd",
        "weights/data/../../0",
        "weights\\data\\0",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut entries = pt::entries(pt::Pickle::of(&pt::views()), pt::storages(&pt::views()));
        entries
            .iter_mut()
            .find(|entry| entry.name == "weights/data/0")
            .unwrap()
            .name = name.into();
        let path = folder.path().join("weights.pt");
        fs::write(&path, pt::zip(&entries)).unwrap();
        fs::write(folder.path().join("config.json"), pt::CONFIG).unwrap();
        let config = OfficialConfig::read(&folder.path().join("config.json")).unwrap();
        let refused = read_torch(&path, Some(&config)).is_err();
        let files = crate::table::files(folder.path(), "");
        if !refused || files.len() != 2 {
            escaped.push("an entry of a zip");
        }
        tried += 1;
    }
    println!("{} of {tried} escaped", escaped.len());
    assert!(escaped.is_empty(), "{escaped:?}");
    assert!(tried >= 20);
    assert_eq!(by_name, 2 * 10);
}

/// The scene itself is sound, so that what is refused is refused for its path.
#[test]
fn the_scene_loads_before_it_is_attacked() {
    let scene = Scene::new();
    for manifest in [MANIFEST, PARTS] {
        let text = fs::read_to_string(scene.inside(manifest)).unwrap();
        assert_eq!(resealed(&text), text);
    }
    for name in ["run", PARTS] {
        let model = scene.load(name, Which::Last).unwrap();
        assert!(
            model.tensors["embed"]
                .data()
                .iter::<f32>()
                .all(|value| value == 1.0)
        );
    }
    let hidden = ModelFile::read(&scene.outside("model.bpk")).unwrap();
    assert!(
        hidden.tensors["embed"]
            .data()
            .iter::<f32>()
            .all(|value| value == SECRET)
    );
    assert_ne!(
        written(&sound_model()),
        fs::read(scene.outside("model.bpk")).unwrap()
    );
}
