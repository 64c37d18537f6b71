//! A memory as a file: it comes back as it was, and what is damaged or foreign is refused by name.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_checkpoint::api::expert::{TensorFile, sha256};
use burn_dragon_checkpoint::api::{CheckpointError, Kinds, ModelFile, ModelInfo, ModelKind, StoredPrecision};
use burn_dragon_core::api::{Dragon, DragonConfig, DragonState};
use burn_dragon_exchange::api::{VerifyOptions, verify};
use burn_dragon_language::api::{
    LANGUAGE, LanguageState, LanguageStateInfo, Sliding, StateReader, model_file, model_hash,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const TOKENIZER: &str = r#"{"type":"byte"}"#;

/// Tokens that each stream has seen.
const SEEN: [u32; 3] = [0, 7, 31];

fn config() -> DragonConfig {
    DragonConfig {
        vocab_size: 32,
        d_model: 16,
        n_heads: 2,
        n_neurons: 64,
        n_levels: 3,
        init_std: 0.3,
        ..DragonConfig::tiny()
    }
}

fn dragon() -> Dragon {
    Dragon::new(&config(), 9, &Device::flex()).unwrap()
}

fn tokens(lanes: usize, length: usize) -> Tensor<2, Int> {
    let ids: Vec<i32> = (0..lanes * length).map(|i| (i * i * 7 + i) as i32 % 31).collect();
    Tensor::from_data(TensorData::new(ids, [lanes, length]), &Device::flex())
}

/// What `lanes` streams have read.
fn state(dragon: &Dragon, lanes: usize) -> DragonState {
    let empty = dragon.empty_state(lanes);
    dragon.forward_with_state(tokens(lanes, 20), empty).unwrap().1
}

fn file(dragon: &Dragon, state: DragonState, precision: StoredPrecision) -> LanguageState {
    LanguageState {
        config: dragon.config().clone(),
        info: LanguageStateInfo {
            model: model_hash(dragon),
            tokenizer: Some(sha256(TOKENIZER.as_bytes())),
            tokens: 20,
            sliding: None,
            origin: None,
            version: "test".into(),
        },
        precision,
        seen: vec![SEEN.into(); state.lanes()],
        state,
    }
}

/// A folder with `memory.state` of two lanes in it.
fn written() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.state");
    let dragon = dragon();
    file(&dragon, state(&dragon, 2), StoredPrecision::F32)
        .write(&path)
        .unwrap();
    (folder, path)
}

fn read(path: &Path) -> Result<LanguageState, CheckpointError> {
    LanguageState::read(path, &Device::flex())
}

fn values(state: &DragonState) -> Vec<Vec<f32>> {
    let of = |rho: &Tensor<4>| rho.clone().into_data().convert::<f32>().try_into_vec().unwrap();
    state.rho().iter().map(of).collect()
}

/// Refused as bad input, with the file's name and all of these in the message.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, CheckpointError>, says: &[&str]) {
    let error = result.unwrap_err();
    let text = error.to_string();
    assert!(error.is_bad_input(), "{text}");
    for says in [&["memory.state"], says].concat() {
        assert!(text.contains(says), "`{says}` is not in: {text}");
    }
}

/// Reads a file for two lanes of this model and tokenizer.
fn read_for(
    path: &Path,
    dragon: &Dragon,
    tokenizer: Option<&str>,
    lanes: usize,
) -> Result<(), CheckpointError> {
    let (model, tokenizer) = (model_hash(dragon), tokenizer.map(|json| sha256(json.as_bytes())));
    read(path)?.check(
        path,
        &StateReader {
            config: dragon.config(),
            model: &model,
            origin: None,
            tokenizer: tokenizer.as_deref(),
            lanes,
        },
    )
}

#[test]
fn invariant_10_a_restored_snapshot_goes_on_with_the_same_bits() {
    let (_folder, path) = written();
    let dragon = dragon();
    read_for(&path, &dragon, Some(TOKENIZER), 2).unwrap();
    let (file, original) = (read(&path).unwrap(), state(&dragon, 2));
    assert_eq!(file.info.tokens, 20);
    assert_eq!((file.lanes(), file.precision), (2, StoredPrecision::F32));
    assert_eq!(file.state.positions(), [20, 20]);
    assert_eq!(values(&file.state), values(&original));
    let go = |state: DragonState| {
        let (logits, state) = dragon.forward_with_state(tokens(2, 9), state).unwrap();
        let logits = logits.into_data().try_into_vec::<f32>().unwrap();
        (logits, values(&state), state.positions().to_vec())
    };
    assert_eq!(go(file.state.clone()), go(original));
    // A fork of what was read is independent of it.
    let before = values(&file.state);
    let _ = dragon
        .forward_with_state(tokens(2, 5), file.state.clone())
        .unwrap();
    assert_eq!(values(&file.state), before);
}

#[test]
fn bf16_halves_the_file_and_is_off_by_one_part_in_256_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let dragon = dragon();
    let state = state(&dragon, 2);
    let [whole, half] = [StoredPrecision::F32, StoredPrecision::Bf16].map(|precision| {
        let path = folder.path().join(format!("{precision}.state"));
        file(&dragon, state.clone(), precision).write(&path).unwrap();
        path
    });
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(size(&half) < size(&whole) * 6 / 10);
    let again = read(&half).unwrap();
    assert_eq!(again.precision, StoredPrecision::Bf16);
    let mut largest = 0.0_f32;
    for (a, b) in values(&again.state).concat().iter().zip(values(&state).concat()) {
        largest = largest.max((a - b).abs() / b.abs().max(f32::MIN_POSITIVE));
    }
    let bound = 2f32.powi(-8);
    assert!(largest <= bound && largest > bound / 2.0, "{largest:e}");
    for distance in again.state.distances(&state).unwrap().concat() {
        assert!(distance > 0.0 && distance <= f64::from(bound), "{distance:e}");
    }
    // What was rounded once is not rounded again.
    let path = folder.path().join("again.state");
    file(&dragon, again.state.clone(), StoredPrecision::Bf16)
        .write(&path)
        .unwrap();
    assert_eq!(values(&read(&path).unwrap().state), values(&again.state));
}

#[test]
fn truncated() {
    let (_folder, path) = written();
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 3, 9, 40, 400, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        refused(read(&path), &["corrupt"]);
    }
}

#[test]
fn flipped_byte() {
    let (_folder, path) = written();
    let whole = std::fs::read(&path).unwrap();
    let padding = |place: usize| whole[place] == 0;
    let mut silent = 0;
    for place in (0..whole.len()).step_by(97) {
        let mut broken = whole.clone();
        broken[place] ^= 1;
        std::fs::write(&path, broken).unwrap();
        match read(&path) {
            Err(error) => assert!(error.is_bad_input() && error.to_string().contains("memory.state")),
            Ok(_) => {
                assert!(padding(place), "byte {place} was flipped unnoticed");
                silent += 1;
            }
        }
    }
    assert!(silent < 10, "{silent} bytes were flipped unnoticed"); // between header and data lies padding
}

#[test]
fn other_model() {
    let (_folder, path) = written();
    let other = Dragon::new(&config(), 10, &Device::flex()).unwrap();
    let hash = model_hash(&other);
    refused(
        read_for(&path, &other, Some(TOKENIZER), 2),
        &[
            "the model that wrote it",
            &hash,
            &model_hash(&dragon()),
            "read the text again",
        ],
    );
}

#[test]
fn other_tokenizer() {
    let (_folder, path) = written();
    let (dragon, char) = (dragon(), r#"{"type":"char"}"#);
    let ours = sha256(TOKENIZER.as_bytes());
    refused(
        read_for(&path, &dragon, Some(char), 2),
        &["tokenizer", &ours, &sha256(char.as_bytes())],
    );
    refused(read_for(&path, &dragon, None, 2), &["tokenizer", &ours, "none"]);
}

#[test]
fn wrong_number_of_lanes() {
    let (_folder, path) = written();
    refused(
        read_for(&path, &dragon(), Some(TOKENIZER), 1),
        &["number of its streams is 2", "must be 1", "select_lanes"],
    );
}

#[test]
fn other_shape() {
    let (_folder, path) = written();
    let wide = DragonConfig {
        d_model: 32,
        ..config()
    };
    let wide = Dragon::new(&wide, 9, &Device::flex()).unwrap();
    refused(
        read_for(&path, &wide, Some(TOKENIZER), 2),
        &["shape of its model", "width 16", "width 32"],
    );
    // A file that contradicts itself, soundly hashed.
    for (change, says) in [
        ("\"d_model\":16", "\"d_model\":8"),
        ("\"n_levels\":3", "\"n_levels\":4"),
        ("\"n_levels\":3", "\"n_levels\":2"),
    ]
    .into_iter()
    .zip([
        ["rho.0", "[2, 2, 32, 16]", "[2, 2, 32, 8]"],
        ["lacks the tensor", "rho.3", "[2, 2, 32, 16]"],
        ["does not have", "rho.2", ""],
    ]) {
        let (_folder, path) = written();
        let mut inside = TensorFile::read(&path).unwrap();
        let config = inside.metadata["config"].replace(change.0, change.1);
        inside.metadata.insert("config".into(), config);
        inside.write(&path).unwrap();
        refused(read(&path), &says);
    }
}

#[test]
fn a_position_beyond_what_phases_tell_apart() {
    let (_folder, path) = written();
    let mut inside = TensorFile::read(&path).unwrap();
    inside
        .metadata
        .insert("positions".into(), format!("[{}, {}]", u64::MAX, 0));
    inside.write(&path).unwrap();
    refused(read(&path), &["position", "18446744073709551615"]);
}

#[test]
fn not_a_state_file() {
    let (_folder, path) = written();
    std::fs::write(&path, "Once upon a time there was a file.\n".repeat(20)).unwrap();
    refused(read(&path), &["not what it should be"]);
    let model = model_file(&dragon(), ModelInfo::default(), None);
    model.write(&path).unwrap();
    refused(read(&path), &["burn_dragon.model/2", "burn_dragon.state/3"]);
    TensorFile::default().write(&path).unwrap();
    refused(read(&path), &["without a state's description"]);
    // And a state is no model.
    let (_folder, path) = written();
    refused(
        ModelFile::read(&path),
        &["burn_dragon.state/3", "burn_dragon.model/2"],
    );
    // Nothing there is not the input's fault.
    let error = read(Path::new("nowhere/memory.state")).unwrap_err();
    assert!(
        !error.is_bad_input() && error.to_string().contains("nowhere"),
        "{error}"
    );
}

#[test]
fn a_memory_that_is_not_finite_is_neither_written_nor_read() {
    let (_folder, path) = written();
    let dragon = dragon();
    let before = std::fs::read(&path).unwrap();
    let (mut rho, positions) = state(&dragon, 2).into_parts();
    rho[1] = rho[1].clone() / 0.0;
    let broken = DragonState::from_parts(rho, positions);
    let result = file(&dragon, broken, StoredPrecision::F32).write(&path);
    refused(result, &["rho.1", "not finite"]);
    assert_eq!(
        std::fs::read(&path).unwrap(),
        before,
        "the file that was there is as it was"
    );
    let mut inside = TensorFile::read(&path).unwrap();
    let nan = TensorData::new(vec![f32::NAN; 2 * 64 * 16], [2, 2, 32, 16]);
    inside.tensors.insert("rho.2".into(), nan);
    inside.write(&path).unwrap();
    refused(read(&path), &["rho.2", "not finite"]);
}

#[test]
fn a_sliding_context_is_two_groups_of_lanes() {
    let (_folder, path) = written();
    let dragon = dragon();
    let mut pair = file(&dragon, state(&dragon, 2), StoredPrecision::F32);
    let younger = |younger| Some(Sliding { window: 16, younger });
    pair.info.sliding = younger(true);
    refused(pair.clone().write(&path), &["streams is 1", "seen by 2"]);
    let both = std::mem::replace(&mut pair.seen, vec![SEEN.into()]); // both memories are of one stream
    pair.clone().write(&path).unwrap();
    assert_eq!(read(&path).unwrap().info, pair.info);
    assert_eq!(read(&path).unwrap().seen, pair.seen);
    read_for(&path, &dragon, Some(TOKENIZER), 1).unwrap();
    pair.info.sliding = younger(false);
    pair.seen = both;
    pair.clone().write(&path).unwrap();
    read_for(&path, &dragon, Some(TOKENIZER), 2).unwrap();
    let mut odd = file(&dragon, state(&dragon, 3), StoredPrecision::F32);
    odd.info.sliding = younger(true);
    odd.seen.truncate(1);
    odd.write(&path).unwrap();
    refused(read(&path), &["3 lanes", "2 memories"]);
}

#[test]
fn what_each_stream_has_seen_comes_back() {
    let (_folder, path) = written();
    let mut file = file(&dragon(), state(&dragon(), 2), StoredPrecision::Bf16);
    file.seen = vec![[3, 4, 30].into(), (0..20).collect()];
    file.clone().write(&path).unwrap();
    assert_eq!(read(&path).unwrap().seen, file.seen);
    file.seen[1] = [0, 31].into(); // the first and the last of the vocabulary
    file.clone().write(&path).unwrap();
    assert_eq!(read(&path).unwrap().seen, file.seen);
    (file.info.tokens, file.seen) = (0, vec![[].into(), [].into()]);
    file.clone().write(&path).unwrap();
    assert_eq!(read(&path).unwrap().seen, file.seen);
}

#[test]
fn what_was_seen_is_some_of_what_was_read() {
    let (_folder, path) = written();
    let whole = TensorFile::read(&path).unwrap();
    let file = read(&path).unwrap();
    for (seen, tokens, says) in [
        (vec![[0].into()], 20, &["streams is 2", "seen by 1"][..]),
        (
            vec![[0].into(), [32].into()],
            20,
            &["token 32", "vocabulary of 32"],
        ),
        (vec![[0].into(), (0..21).collect()], 20, &["21 different", "20"]),
        (vec![[0].into(), [].into()], 20, &["0 different", "20"]),
        (vec![[].into(), [3].into()], 0, &["1 different", "read 0"]),
    ] {
        let mut file = file.clone();
        (file.seen, file.info.tokens) = (seen, tokens);
        refused(file.write(&path), says);
    }
    // What no writer writes is not read either.
    let marks = |marks: Vec<u8>, shape: [usize; 2]| TensorData::new(marks, shape);
    for (tensor, says) in [
        (None, &["seen", "[2, 32]"][..]),
        (Some(marks(vec![1; 32], [1, 32])), &["seen", "[1, 32]", "[2, 32]"]),
        (Some(marks(vec![2; 64], [2, 32])), &["seen", "0 and 1"]),
        (Some(marks(vec![1; 64], [2, 32])), &["32 different", "20"]),
        (Some(marks(vec![0; 64], [2, 32])), &["0 different", "20"]),
        (
            Some(TensorData::new(vec![1i8; 64], [2, 32])),
            &["seen", "i8", "0 and 1"],
        ),
    ] {
        let mut file = whole.clone();
        match tensor {
            Some(tensor) => file.tensors.insert("seen".into(), tensor),
            None => file.tensors.remove("seen"),
        };
        file.write(&path).unwrap();
        refused(read(&path), says);
    }
}

#[test]
fn a_state_from_before_it_kept_what_was_seen_is_refused_with_the_way_out() {
    let (_folder, path) = written();
    let mut old = TensorFile::read(&path).unwrap();
    old.metadata.insert("format".into(), "burn_dragon.state/1".into());
    old.tensors.remove("seen");
    old.write(&path).unwrap();
    refused(read(&path), &["burn_dragon.state/1", "read the text again"]);
    let verified = verify(
        &path,
        &Kinds::new([&LANGUAGE as &dyn ModelKind]),
        VerifyOptions::default(),
    )
    .unwrap();
    assert!(!verified.sound(false), "{verified:?}");
}

/// `cargo test --release -p burn_dragon_language -p burn_dragon_cli --test state -- --ignored --nocapture`
#[test]
#[ignore = "200 MB on the disk; prints seconds"]
fn saving_and_loading_200_mb_takes_less_than_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.state");
    let config = DragonConfig::paper();
    let shape = [1, config.n_heads, config.neurons_per_head(), config.d_model];
    let size: usize = shape.iter().product();
    let rho = (0..config.n_levels).map(|level| {
        let values: Vec<f32> = (0..size).map(|i| (i * (level + 3) % 1013) as f32 / 7.0).collect();
        Tensor::<4>::from_data(TensorData::new(values, shape), &Device::flex())
    });
    let state = DragonState::from_parts(rho.collect(), vec![1]);
    println!("{:.1} MB", state.bytes() as f64 / 1e6);
    for precision in [StoredPrecision::F32, StoredPrecision::Bf16] {
        let file = LanguageState {
            config: config.clone(),
            info: LanguageStateInfo::default(),
            precision,
            state: state.clone(),
            seen: vec![std::collections::BTreeSet::new()],
        };
        let start = std::time::Instant::now();
        file.write(&path).unwrap();
        let saved = start.elapsed().as_secs_f64();
        let start = std::time::Instant::now();
        let again = read(&path).unwrap();
        let loaded = start.elapsed().as_secs_f64();
        assert_eq!(again.state.bytes(), state.bytes());
        println!("{precision}: saved in {saved:.2} s, loaded in {loaded:.2} s");
        if !cfg!(debug_assertions) {
            assert!(saved + loaded < 2.0, "{saved:.2} s and {loaded:.2} s");
        }
    }
}
