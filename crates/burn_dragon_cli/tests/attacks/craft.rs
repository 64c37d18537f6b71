//! Files byte by byte: what no writer of ours would write.

use burn::tensor::TensorData;
use burn_dragon::api::expert::checkpoint::{Algorithm, Hashed, TensorFile};
use std::collections::BTreeMap;
use std::io::Write;

/// The beginning of a CBOR value: its kind and a number.
pub(crate) fn head(kind: u8, number: u64) -> Vec<u8> {
    let kind = kind << 5;
    match number {
        0..24 => vec![kind | number as u8],
        24..0x100 => vec![kind | 24, number as u8],
        0x100..0x1_0000 => [&[kind | 25][..], &(number as u16).to_be_bytes()].concat(),
        0x1_0000..0x1_0000_0000 => [&[kind | 26][..], &(number as u32).to_be_bytes()].concat(),
        _ => [&[kind | 27][..], &number.to_be_bytes()].concat(),
    }
}

pub(crate) fn int(number: u64) -> Vec<u8> {
    head(0, number)
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [head(3, text.len() as u64), text.into()].concat()
}

pub(crate) fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

pub(crate) fn map(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let pairs = entries
        .iter()
        .flat_map(|(key, value)| [key.clone(), value.clone()]);
    [head(5, entries.len() as u64), pairs.flatten().collect()].concat()
}

/// What an index says of a tensor.
pub(crate) fn described(dtype: Vec<u8>, shape: Vec<u8>, offsets: (u64, u64)) -> Vec<u8> {
    map(&[
        (text("dtype"), dtype),
        (text("shape"), shape),
        (text("data_offsets"), list(&[int(offsets.0), int(offsets.1)])),
    ])
}

/// A tensor of f32.
pub(crate) fn floats(shape: &[u64], offsets: (u64, u64)) -> Vec<u8> {
    let sizes: Vec<Vec<u8>> = shape.iter().map(|&size| int(size)).collect();
    described(text("F32"), list(&sizes), offsets)
}

/// Keys of the hash: of today, and of files of before 27 November 2026.
pub(crate) const BLAKE3: &str = "file_blake3";
pub(crate) const SHA256: &str = "file_sha256";

/// The text that holds the hash, with zeros for it.
pub(crate) fn unsealed() -> (Vec<u8>, Vec<u8>) {
    unsealed_by(BLAKE3)
}

pub(crate) fn unsealed_by(key: &str) -> (Vec<u8>, Vec<u8>) {
    (text(key), text(&"0".repeat(64)))
}

/// An index of these tensors, and of nothing but the hash.
pub(crate) fn index(tensors: &[(&str, Vec<u8>)]) -> Vec<u8> {
    index_with(tensors, &[unsealed()])
}

pub(crate) fn index_with(tensors: &[(&str, Vec<u8>)], texts: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, described)| (text(name), described.clone()))
        .collect();
    map(&[(text("tensors"), map(&tensors)), (text("metadata"), map(texts))])
}

/// The container of this index, and so much data of zeros behind it.
pub(crate) fn container(index: &[u8], data: usize) -> Vec<u8> {
    let length = (index.len() as u32).to_le_bytes();
    let mut bytes = [b"NRUB\x01\0", &length[..], index].concat();
    bytes.resize(bytes.len().next_multiple_of(256) + data, 0);
    bytes
}

/// The same file with the right hash, where it has one place for it: so that what is wrong is not found by the hash.
pub(crate) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    for (key, algorithm) in [(BLAKE3, Algorithm::Blake3), (SHA256, Algorithm::Sha256)] {
        let key = [text(key), vec![0x78, 64]].concat();
        if let Some(at) = bytes.windows(key.len()).position(|window| window == key) {
            let digits = at + key.len()..at + key.len() + 64;
            bytes[digits.clone()].fill(b'0');
            let mut hashed = Hashed::by(algorithm, std::io::sink());
            hashed.write_all(&bytes).unwrap();
            bytes[digits].copy_from_slice(hashed.finish().1.as_bytes());
        }
    }
    bytes
}

/// A sound container of one number.
pub(crate) fn sound() -> Vec<u8> {
    sealed(container(&index(&[("a", floats(&[1], (0, 4)))]), 4))
}

/// The same with a SHA-256, as it was written before 27 November 2026.
pub(crate) fn sound_by_sha256() -> Vec<u8> {
    let index = index_with(&[("a", floats(&[1], (0, 4)))], &[unsealed_by(SHA256)]);
    sealed(container(&index, 4))
}

/// Another byte at a place counted from the end.
pub(crate) fn changed(mut bytes: Vec<u8>, from_end: usize) -> Vec<u8> {
    let at = bytes.len() - from_end;
    bytes[at] ^= 1;
    bytes
}

/// A shape of one level, width 2, one head, two neurons and four tokens.
pub(crate) const CONFIG: &str = r#"{"vocab_size":4,"d_model":2,"n_heads":1,"n_neurons":2,"n_levels":1,"dropout":0.0,"rope_theta":65536.0,"norm_eps":1e-5,"init_std":0.02}"#;

pub(crate) const INFO: &str = r#"{"family":"language","step":1,"tokens":1,"version":"0"}"#;

pub(crate) fn ones(shape: &[usize]) -> TensorData {
    TensorData::new(vec![1.0f32; shape.iter().product()], shape)
}

pub(crate) fn file(tensors: &[(&str, &[usize])], texts: &[(&str, &str)]) -> TensorFile {
    let tensors = tensors
        .iter()
        .map(|(name, shape)| (name.to_string(), ones(shape)));
    let texts = texts
        .iter()
        .map(|(key, text)| (key.to_string(), text.to_string()));
    TensorFile {
        tensors: tensors.collect::<BTreeMap<_, _>>(),
        metadata: texts.collect(),
    }
}

pub(crate) fn written(file: &TensorFile) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.write_to(&mut bytes).unwrap();
    bytes
}

/// A sound model.
pub(crate) fn sound_model() -> TensorFile {
    let (inward, outward): (&[usize], &[usize]) = (&[1, 2, 2], &[2, 2]);
    file(
        &[
            ("embed", &[4, 2]),
            ("decoder_x", inward),
            ("decoder_y", inward),
            ("encoder", outward),
            ("lm_head", &[2, 4]),
        ],
        &[
            ("format", "burn_dragon.model/1"),
            ("config", CONFIG),
            ("info", INFO),
        ],
    )
}

/// A sound model as it is written now.
pub(crate) fn sound_model_2() -> TensorFile {
    let mut model = sound_model();
    let texts = [
        ("format", "burn_dragon.model/2"),
        ("family", "language"),
        ("info", r#"{"step":1,"units":1,"version":"0"}"#),
    ];
    model
        .metadata
        .extend(texts.map(|(key, text)| (key.to_string(), text.to_string())));
    model
}

/// A sound memory as it is written now.
pub(crate) fn sound_state_3() -> TensorFile {
    let mut state = sound_state();
    state.metadata.remove("precision");
    let texts = [
        ("format", "burn_dragon.state/3"),
        ("family", "language"),
        (
            "info",
            r#"{"model":"","units":3,"version":"0","details":{"precision":"f32"}}"#,
        ),
    ];
    state
        .metadata
        .extend(texts.map(|(key, text)| (key.to_string(), text.to_string())));
    state
}

/// A sound memory of one lane, which has read three tokens and seen two.
pub(crate) fn sound_state() -> TensorFile {
    let mut state = file(
        &[("rho.0", &[1, 1, 2, 2])],
        &[
            ("format", "burn_dragon.state/2"),
            ("config", CONFIG),
            ("positions", "[3]"),
            ("precision", "f32"),
            ("info", r#"{"model":"","tokens":3,"version":"0"}"#),
        ],
    );
    state
        .tensors
        .insert("seen".into(), TensorData::new(vec![0u8, 1, 0, 1], [1, 4]));
    state
}

/// A sound file after an edit, with its hash.
pub(crate) fn edited(mut file: TensorFile, edit: impl FnOnce(&mut TensorFile)) -> Vec<u8> {
    edit(&mut file);
    written(&file)
}

/// As [`edited`]: one text is another.
pub(crate) fn with_text(file: TensorFile, key: &str, text: &str) -> Vec<u8> {
    edited(file, |file| {
        file.metadata.insert(key.into(), text.into());
    })
}

/// As [`edited`]: a text is not there.
pub(crate) fn without_text(file: TensorFile, key: &str) -> Vec<u8> {
    edited(file, |file| {
        file.metadata.remove(key);
    })
}

/// As [`edited`]: a tensor is another.
pub(crate) fn with_tensor(file: TensorFile, name: &str, data: TensorData) -> Vec<u8> {
    edited(file, |file| {
        file.tensors.insert(name.into(), data);
    })
}

/// As [`edited`]: a tensor is not there.
pub(crate) fn without_tensor(file: TensorFile, name: &str) -> Vec<u8> {
    edited(file, |file| {
        file.tensors.remove(name);
    })
}

/// A text with a part of it replaced; the part is there.
pub(crate) fn replaced(text: &str, part: &str, with: &str) -> String {
    assert!(text.contains(part), "`{part}` is not in {text}");
    text.replace(part, with)
}
