//! `.safetensors` in and out.

use crate::support::config;
use crate::support::kinds;
use burn::tensor::{Device, TensorData};
use burn_dragon_checkpoint::api::{
    CheckpointError, ExportOptions, ModelFile, ModelInfo, StoredTensor, export, read_parts,
};
use burn_dragon_core::api::{DecayConfig, Dragon, DragonConfig};
use burn_dragon_exchange::api::expert::NAMES;
use burn_dragon_exchange::api::{ModelPath, OfficialConfig, read_safetensors, write_safetensors};
use burn_dragon_language::api::{TOKENIZER, model_file};
use burn_dragon_testing::pt::CONFIG;
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn dragon_config() -> DragonConfig {
    DragonConfig {
        vocab_size: 32,
        d_model: 16,
        n_heads: 2,
        n_neurons: 64,
        n_levels: 3,
        rope_theta: 1000.0,
        init_std: 0.3,
        ..DragonConfig::tiny()
    }
}

fn model(config: &DragonConfig) -> ModelFile {
    let info = ModelInfo {
        step: 7,
        units: 700,
        version: "test".into(),
        ..ModelInfo::default()
    };
    let tokenizer = r#"{"type":"byte","note":"é \"quoted\""}"#;
    model_file(
        &Dragon::new(config, 3, &Device::flex()).unwrap(),
        info,
        Some(tokenizer.into()),
    )
}

/// A folder with `model.safetensors` in it.
fn written() -> (TempDir, PathBuf, ModelFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let model = model(&dragon_config());
    write_safetensors(&model, &path).unwrap();
    (folder, path, model)
}

#[test]
fn a_model_comes_back_whole_without_a_configuration_beside_it() {
    let (_folder, path, model) = written();
    let again = ModelPath::new(&path).load(&kinds()).unwrap().model;
    assert_eq!(
        (&again.config, &again.info, &again.assets),
        (&model.config, &model.info, &model.assets)
    );
    assert_eq!(again.hash(), model.hash());
    let names: Vec<_> = path
        .parent()
        .unwrap()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["model.safetensors"], "nothing else is left");
}

#[test]
fn what_is_written_is_a_function_of_the_model() {
    let (_folder, path, model) = written();
    let bytes = std::fs::read(&path).unwrap();
    write_safetensors(&model, &path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn the_formats_own_reader_finds_official_names_and_a_configuration_by_them() {
    let (folder, path, model) = written();
    let bytes = std::fs::read(&path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    assert_eq!(metadata["format"], "pt");
    std::fs::write(folder.path().join("config.json"), &metadata["bdh.config"]).unwrap();
    let official = OfficialConfig::read(&folder.path().join("config.json")).unwrap();
    assert_eq!(official.to_dragon().rope_theta, 1000.0);
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for (theirs, ours) in NAMES {
        assert_eq!(
            file.tensor(theirs).unwrap().data(),
            model.tensors[ours].data().as_bytes()
        );
    }
    assert_eq!(file.tensor("attn.freqs").unwrap().shape(), [1, 1, 1, 32]);
}

#[test]
fn a_configuration_that_is_given_must_say_the_same() {
    let (folder, path, model) = written();
    let mut official = config(folder.path());
    let error = read_safetensors(&path, Some(&official)).unwrap_err();
    assert!(matches!(error, CheckpointError::Foreign { .. }), "{error}");
    official = OfficialConfig {
        n_layer: 3,
        n_embd: 16,
        n_head: 2,
        mlp_internal_dim_multiplier: 4,
        vocab_size: 32,
        dropout: 0.5,
        rope_theta: Some(1000.0),
        layer_norm_eps: 1e-5,
    };
    assert_eq!(
        read_safetensors(&path, Some(&official)).unwrap().model.config,
        model.config
    );
    official.rope_theta = Some(999.0);
    assert!(read_safetensors(&path, Some(&official)).is_err());
}

#[test]
fn what_the_official_model_cannot_be_is_refused_and_what_it_must_be_told_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let fading = DragonConfig {
        decay: Some(DecayConfig::Standard { learnable: false }),
        ..dragon_config()
    };
    let odd = DragonConfig {
        n_neurons: 68,
        ..dragon_config()
    };
    for (config, says) in [(fading, "decays"), (odd, "68 neurons")] {
        let error = write_safetensors(&model(&config), &path).unwrap_err();
        assert!(
            error.to_string().contains(says) && error.to_string().contains(".bpk"),
            "{error}"
        );
        assert!(!path.exists());
    }
    let other = DragonConfig {
        norm_eps: 1e-6,
        ..dragon_config()
    };
    let notes = write_safetensors(&model(&other), &path).unwrap().join("; ");
    assert!(
        notes.contains("epsilon is 0.000001") && notes.contains("theta is 1000"),
        "{notes}"
    );
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one() {
    let (_folder, path, mut model) = written();
    let bytes = std::fs::read(&path).unwrap();
    model.tensors.insert(
        "encoder".into(),
        StoredTensor::Float(TensorData::new(vec![f32::NAN; 64 * 16], [64, 16])),
    );
    assert!(write_safetensors(&model, &path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(write_safetensors(&model, Path::new("/nowhere/at/all.safetensors")).is_err());
}

#[test]
fn every_byte_of_what_is_written_here_is_under_its_hash() {
    let (folder, path, model) = written();
    let whole = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let broken = folder.path().join("broken.safetensors");
    let step = |place: usize| if place < length + 64 { 1 } else { 37 };
    let mut place = 0;
    while place < whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        std::fs::write(&broken, bytes).unwrap();
        match ModelPath::new(&broken).load(&kinds()) {
            Err(_) => {}
            Ok(loaded) => panic!("byte {place}: {}", loaded.model.hash() == model.hash()),
        }
        place += step(place);
    }
    for length in (0..whole.len()).step_by(61) {
        std::fs::write(&broken, &whole[..length]).unwrap();
        assert!(ModelPath::new(&broken).load(&kinds()).unwrap_err().is_bad_input());
    }
    std::fs::write(&broken, [&whole[..], b"\0"].concat()).unwrap();
    assert!(ModelPath::new(&broken).load(&kinds()).unwrap_err().is_bad_input());
}

/// A file of a header and values; what is said of it, with [`CONFIG`].
fn error_of(header: &str, values: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.safetensors");
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(&path, [&length[..], header.as_bytes(), &vec![0; values]].concat()).unwrap();
    let error = read_safetensors(&path, Some(&config(folder.path()))).unwrap_err();
    assert!(error.is_bad_input(), "{error}");
    error.to_string()
}

#[test]
fn headers_that_lie_are_refused() {
    let one = |entry: &str| format!(r#"{{"embed.weight":{entry}}}"#);
    let entry = |dtype: &str, shape: &str, offsets: &str| {
        one(&format!(
            r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#
        ))
    };
    let plain = r#"{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}"#;
    let cases = [
        (entry("F32", "[4,4]", "[0,64]"), 63, "within 63"),
        (entry("F32", "[4,4]", "[0,64]"), 65, "but 65 follow"),
        (entry("F32", "[4,4]", "[4,68]"), 68, "begin at 0"),
        (entry("F32", "[4,4]", "[64,0]"), 64, "begin at 0"),
        (entry("F32", "[4,5]", "[0,64]"), 64, "[4, 5]"),
        (entry("F32", "[4,3]", "[0,64]"), 64, "takes 48 bytes"),
        (entry("F32", "[4,4]", "[0,18446744073709551615]"), 64, "within 64"),
        (entry("F32", "[4,4]", "[0,-64]"), 64, "header"),
        (entry("F32", "[4,4,-1]", "[0,64]"), 64, "header"),
        (
            entry("F32", "[4294967296,4294967296,4294967296]", "[0,64]"),
            64,
            "memory",
        ),
        (
            entry("F32", "[0,18446744073709551615,18446744073709551615]", "[0,0]"),
            0,
            "memory",
        ),
        (entry("F32", "[1,1,1,1,1,1,1,4,4]", "[0,64]"), 64, "more than 8"),
        (entry("F4", "[4,4]", "[0,64]"), 64, "`F4`"),
        (entry("float32", "[4,4]", "[0,64]"), 64, "`float32`"),
        (one(r#"{"dtype":"F32","shape":[4,4]}"#), 64, "data_offsets"),
        (
            one(r#"{"dtype":"F32","dtype":"F16","shape":[4,4],"data_offsets":[0,64]}"#),
            64,
            "dtype",
        ),
        (
            one(r#"{"dtype":"F32","shape":[4,4],"data_offsets":[0,64],"path":"/etc/passwd"}"#),
            64,
            "path",
        ),
        (
            format!(r#"{{"a":{plain},"a":{plain}}}"#),
            64,
            "`a` is there twice",
        ),
        (format!(r#"{{"a":{plain},"b":{plain}}}"#), 64, "begin at 64"),
        (
            r#"{"__metadata__":{"a":"1","a":"2"}}"#.into(),
            0,
            "`a` is there twice",
        ),
        (r#"{"__metadata__":{},"__metadata__":{}}"#.into(), 0, "twice"),
        (r#"{"__metadata__":{"a":1}}"#.into(), 0, "header"),
        (
            r#"{"__metadata__":{"burn_dragon.file_sha256":"abc"}}"#.into(),
            0,
            "not where it was written",
        ),
        (
            r#"{"__metadata__":{"burn_dragon.config":"{}"}}"#.into(),
            0,
            "is missing",
        ),
        (format!(r#"{{"a\u001b[2J":{plain}}}"#), 64, "plain"),
        (format!(r#"{{"other":{plain}}}"#), 64, "other"),
        ("[".repeat(100_000), 0, "header"),
        (
            format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000)),
            0,
            "header",
        ),
        ("{}".into(), 0, "lacks the tensor"),
        (String::new(), 0, "header"),
        ("\u{feff}{}".into(), 0, "header"),
    ];
    for (header, values, says) in cases {
        let error = error_of(&header, values);
        assert!(error.contains(says), "`{says}` is not in: {error}");
    }
}

#[test]
fn a_header_longer_than_the_file_is_refused_before_it_is_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.safetensors");
    for length in [u64::MAX, u64::MAX - 7, 1 << 62, 100_000_001, 57] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.resize(64, b'{');
        std::fs::write(&path, bytes).unwrap();
        let error = read_safetensors(&path, None).unwrap_err();
        assert!(
            error.is_bad_input() && error.to_string().contains("header"),
            "{error}"
        );
    }
}

#[test]
fn without_theta_in_configuration_or_weights_nothing_is_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, CONFIG.replace(r#","rope_theta":65536"#, "")).unwrap();
    let silent = OfficialConfig::read(&path).unwrap();
    let entry = |name: &str, shape: &str, begin: usize, end: usize| {
        format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
    };
    let mut entries = vec![
        entry("embed.weight", "[4,4]", 0, 64),
        entry("encoder", "[1,4,8]", 64, 192),
        entry("encoder_v", "[1,4,8]", 192, 320),
        entry("decoder", "[8,4]", 320, 448),
        entry("lm_head", "[4,4]", 448, 512),
    ];
    let file = folder.path().join("weights.safetensors");
    let write = |entries: &[String], frequencies: &[f32]| {
        let header = format!("{{{}}}", entries.join(","));
        let frequencies: Vec<u8> = frequencies.iter().flat_map(|turns| turns.to_le_bytes()).collect();
        let length = (header.len() as u64).to_le_bytes();
        std::fs::write(
            &file,
            [&length[..], header.as_bytes(), &[0; 512], &frequencies].concat(),
        )
        .unwrap();
    };
    write(&entries, &[]);
    let error = read_safetensors(&file, Some(&silent)).unwrap_err().to_string();
    assert!(
        error.contains("rope_theta") && error.contains("--model-config"),
        "{error}"
    );
    assert!(read_safetensors(&file, Some(&config(folder.path()))).is_ok());
    let error = read_safetensors(&file, None).unwrap_err();
    assert!(matches!(error, CheckpointError::NeedsConfig { .. }), "{error}");

    entries.push(entry("attn.freqs", "[1,1,1,8]", 512, 544));
    let turns = |theta: f32| [0.0f32, 0.25, 0.5, 0.75].map(|at| theta.powf(-at) / std::f32::consts::TAU);
    let pairs = |theta: f32| {
        turns(theta)
            .into_iter()
            .flat_map(|turns| [turns; 2])
            .collect::<Vec<f32>>()
    };
    write(&entries, &pairs(65536.0));
    let imported = read_safetensors(&file, Some(&silent)).unwrap();
    assert!(
        imported.notes[0].contains("rope_theta") && imported.model.config.value()["rope_theta"] == 65536.0
    );
    write(&entries, &pairs(10000.0));
    let error = read_safetensors(&file, Some(&silent)).unwrap_err();
    assert!(matches!(error, CheckpointError::Frequencies { .. }), "{error}");
}

/// As a licence's whole text in `--license` makes it.
fn talkative(mut model: ModelFile) -> ModelFile {
    let license = Some("a\n".repeat(20 << 10));
    model.info.provenance = Some(burn_dragon_checkpoint::api::Provenance {
        license,
        ..Default::default()
    });
    model
}

#[test]
fn what_nobody_could_read_is_not_written() {
    let (folder, path, model) = written();
    let before = std::fs::read(&path).unwrap();
    let refused = |error: CheckpointError| {
        let said = error.to_string();
        assert!(matches!(error, CheckpointError::Refused { .. }), "{said}");
        assert!(said.contains("at most 32768 are read"), "{said}");
    };
    refused(write_safetensors(&talkative(model.clone()), &path).unwrap_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    refused(
        talkative(model.clone())
            .write(&folder.path().join("a.bpk"))
            .unwrap_err(),
    );
    // What is there of an earlier export stays.
    let output = folder.path().join("model.bpk");
    let options = ExportOptions {
        max_part_bytes: Some(1),
        overwrite: true,
        ..ExportOptions::default()
    };
    let manifest = export(model.clone(), &output, options).unwrap().manifest.unwrap();
    refused(export(talkative(model.clone()), &output, options).unwrap_err());
    let mut long = model.clone();
    long.assets.insert(TOKENIZER.into(), "x".repeat(17 << 20));
    for error in [
        export(long.clone(), &output, options).unwrap_err(),
        long.write(&folder.path().join("a.bpk")).unwrap_err(),
        write_safetensors(&long, &path).unwrap_err(),
    ] {
        assert!(matches!(error, CheckpointError::Refused { .. }), "{error}");
    }
    assert_eq!(read_parts(&manifest, |_| {}).unwrap().hash(), model.hash());
    assert!(!folder.path().join("a.bpk").exists());
}

#[test]
fn a_description_longer_than_any_is_not_read() {
    for name in ["info", "config"] {
        let key = &*format!("burn_dragon.{name}");
        let (_folder, path, _) = written();
        let bytes = std::fs::read(&path).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let text = header["__metadata__"][key].as_str().unwrap().to_string();
        header["__metadata__"][key] = format!("{text}{}", " ".repeat(32 << 10)).into();
        header["__metadata__"]["burn_dragon.file_sha256"] = "0".repeat(64).into();
        let header = header.to_string();
        let with = |header: &str| {
            [
                &(header.len() as u64).to_le_bytes()[..],
                header.as_bytes(),
                &bytes[8 + length..],
            ]
            .concat()
        };
        let hash = burn_dragon_checkpoint::api::expert::sha256(&with(&header));
        std::fs::write(&path, with(&header.replace(&"0".repeat(64), &hash))).unwrap();
        let error = read_safetensors(&path, None).unwrap_err().to_string();
        assert!(
            error.contains(&format!("{name}` has")) && error.contains("at most 32768"),
            "{error}"
        );
    }
}
