//! The official model's own files, where `DRAGON_FIXTURES` says they are.

use crate::support::kinds;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_checkpoint::api::ModelFile;
use burn_dragon_exchange::api::{ModelPath, OfficialConfig, read_safetensors, read_torch, write_safetensors};
use burn_dragon_language::api::dragon;
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

const FIXTURES: [&str; 3] = ["tiny", "small", "paper_init"];

fn each(check: impl Fn(&Path, &OfficialConfig)) {
    let Some(root) = std::env::var_os("DRAGON_FIXTURES").map(PathBuf::from) else {
        println!("skipped: DRAGON_FIXTURES is not set, so nothing was compared with the official model");
        return;
    };
    for name in FIXTURES {
        let folder = root.join(name);
        check(&folder, &OfficialConfig::read(&folder.join("meta.json")).unwrap());
    }
}

#[track_caller]
fn assert_same(a: &ModelFile, b: &ModelFile) {
    assert_eq!(a.config, b.config);
    assert_eq!(a.tensors.len(), 5);
    for (name, data) in &a.tensors {
        assert_eq!(data.shape(), b.tensors[name].shape(), "{name}");
        assert_eq!(
            data.data().as_bytes(),
            b.tensors[name].data().as_bytes(),
            "{name}"
        );
    }
}

#[test]
fn every_file_of_a_model_gives_the_same_bits() {
    each(|folder, config| {
        let expected = read_safetensors(&folder.join("weights.safetensors"), Some(config)).unwrap();
        let plain = read_torch(&folder.join("weights.pt"), Some(config)).unwrap();
        let legacy = read_torch(&folder.join("weights_compiled_legacy.pt"), Some(config)).unwrap();
        assert_same(&plain.model, &expected.model);
        assert_same(&legacy.model, &expected.model);
        assert_eq!(plain.notes, [""; 0]);
        let notes = legacy.notes.join("; ");
        for part in ["`model`", "`_orig_mod.`", "`_orig_mod.lm_gate`"] {
            assert!(notes.contains(part), "{notes}");
        }
    });
}

#[test]
fn the_imported_model_gives_the_official_logits() {
    each(|folder, config| {
        let path = folder.join("weights_compiled_legacy.pt");
        let model = read_torch(&path, Some(config)).unwrap().model;
        let dragon = dragon(model, &path, &Device::flex()).unwrap();
        let expected = std::fs::read(folder.join("expected.safetensors")).unwrap();
        let expected = SafeTensors::deserialize(&expected).unwrap();
        let tokens = expected.tensor("tokens").unwrap();
        let ids: Vec<i32> = tokens
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|b| i32::from_le_bytes(*b))
            .collect();
        let shape = [tokens.shape()[0], tokens.shape()[1]];
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, shape), &Device::flex());
        let logits: Vec<f32> = dragon.forward(tokens).into_data().try_into_vec().unwrap();
        let official = expected.tensor("logits").unwrap();
        let official = official
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b));
        let (apart, size) = logits
            .iter()
            .zip(official)
            .fold((0f32, 0f32), |(apart, size), (a, b)| {
                (apart.max((a - b).abs()), size.max(b.abs()))
            });
        println!(
            "{}: largest difference {apart:e}, largest logit {size}",
            folder.display()
        );
        assert!(apart <= 1e-5, "{apart:e} of {size}");
    });
}

/// Names, types, shapes and values are those of the file that `bdh.py` wrote.
#[test]
fn what_is_written_is_what_the_official_code_writes() {
    each(|folder, config| {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("ours.safetensors");
        let original = folder.join("weights.safetensors");
        let model = read_safetensors(&original, Some(config)).unwrap().model;
        assert_eq!(write_safetensors(&model, &path).unwrap(), [""; 0]);
        let [ours, theirs] = [&path, &original].map(|path| std::fs::read(path).unwrap());
        let [ours, theirs] = [&ours, &theirs].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        let mut names = [ours.names(), theirs.names()];
        names.iter_mut().for_each(|names| names.sort());
        assert_eq!(names[0], names[1]);
        for name in &names[0] {
            let [ours, theirs] = [&ours, &theirs].map(|file| file.tensor(name).unwrap());
            assert_eq!(
                (ours.dtype(), ours.shape()),
                (theirs.dtype(), theirs.shape()),
                "{name}"
            );
            let off = ours
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .zip(theirs.data().as_chunks::<4>().0);
            let off = off.filter(|(a, b)| a != b).count();
            println!(
                "{} {name}: {off} of {} values off",
                folder.display(),
                ours.data().len() / 4
            );
            assert_eq!(off, 0, "{name}");
        }
        // And back, without a configuration beside it.
        let again = ModelPath::new(&path).load(&kinds()).unwrap().model;
        assert_same(&again, &model);
    });
}
