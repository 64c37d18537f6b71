use super::*;
use crate::hash::Algorithm;
use burn::tensor::{DType, TensorData};
use std::collections::BTreeMap;

fn tensors() -> BTreeMap<String, TensorData> {
    BTreeMap::from([
        ("alone".to_string(), TensorData::new(vec![2.5f32], [0usize; 0])),
        (
            "embed.weight".to_string(),
            TensorData::new(vec![1.0f32, -2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]),
        ),
        (
            "half".to_string(),
            TensorData::new(vec![1.0f32; 300], [300]).convert_dtype(DType::BF16),
        ),
        ("nothing".to_string(), TensorData::new(Vec::<f32>::new(), [0, 4])),
        ("steps".to_string(), TensorData::new(vec![7i64], [1])),
    ])
}

fn metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("key".to_string(), "välue".to_string())])
}

fn written() -> Vec<u8> {
    let mut bytes = Vec::new();
    let tensors = tensors();
    let by_name = tensors.iter().map(|(name, data)| (name.as_str(), data));
    Layout::new(by_name.collect(), &metadata())
        .unwrap()
        .write_to(&mut bytes)
        .unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<Contents, PackError> {
    Reader::open(bytes, bytes.len() as u64)?.contents(None)
}

/// A container with this index, and this much data.
fn with_index(index: &[u8], data: usize) -> Vec<u8> {
    let mut bytes = [
        &MAGIC[..],
        &VERSION.to_le_bytes(),
        &(index.len() as u32).to_le_bytes(),
        index,
    ]
    .concat();
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize) + data, 0);
    bytes
}

fn refused(bytes: &[u8], reason: &str) {
    let error = read(bytes).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn what_is_written_is_read_and_every_byte_is_hashed() {
    let bytes = written();
    let end = HEADER + u32::from_le_bytes(bytes[6..HEADER].try_into().unwrap()) as usize;
    let mut other = bytes.clone();
    other[..end].fill(7);
    for (index, hashed) in [(bytes[..end].to_vec(), &bytes), (vec![7; end], &other)] {
        for (algorithm, hash) in [
            (Algorithm::Sha256, crate::hash::sha256(hashed)),
            (Algorithm::Blake3, blake3::hash(hashed).to_string()),
        ] {
            let index = index.clone();
            let reader = Reader::open(&bytes[..], bytes.len() as u64).unwrap();
            let contents = reader.contents(Some(&Hashed { algorithm, index })).unwrap();
            assert_eq!((contents.tensors, contents.metadata), (tensors(), metadata()));
            assert_eq!(contents.hash, Some(hash));
            let plain = (algorithm == Algorithm::Blake3).then(|| blake3::hash(&bytes).to_string());
            assert_eq!(contents.blake3, plain);
        }
    }
}

#[test]
fn a_number_that_is_not_finite_is_noted_wherever_it_is_and_in_each_float_type() {
    const MANY: usize = 600_000; // several pieces of a reader
    let with = |place: usize| {
        let mut values = vec![1.0f32; MANY];
        values[place] = f32::INFINITY;
        TensorData::new(values, [MANY])
    };
    let tensors = BTreeMap::from([
        ("all".to_string(), TensorData::new(vec![1.0f32; MANY], [MANY])),
        ("first".to_string(), with(0)),
        ("half".to_string(), with(300_000).convert_dtype(DType::BF16)),
        ("last".to_string(), with(MANY - 1).convert_dtype(DType::F16)),
    ]);
    let by_name = tensors.iter().map(|(name, data)| (name.as_str(), data));
    let mut bytes = Vec::new();
    let layout = Layout::new(by_name.collect(), &metadata()).unwrap();
    layout.write_to(&mut bytes).unwrap();
    let noted = read(&bytes).unwrap().not_finite;
    assert!(noted.iter().eq(["first", "half", "last"]), "{noted:?}");
}

#[test]
fn burns_own_reader_and_writer_agree() {
    let theirs = burn_pack::Reader::from_bytes(burn_pack::Bytes::from_bytes_vec(written())).unwrap();
    assert_eq!(*theirs.metadata(), metadata());
    for tensor in theirs.into_tensors().unwrap() {
        let (name, dtype, shape, _, bytes) = tensor.into_parts().unwrap();
        assert_eq!(
            TensorData::from_bytes(bytes, shape, dtype),
            tensors()[&name],
            "{name}"
        );
    }
    let theirs = tensors().into_iter().map(|(name, data)| {
        let (bytes, shape, dtype) = data.into_parts();
        burn_pack::Tensor::new(name, dtype, shape, None, bytes)
    });
    let bytes = burn_pack::Writer::new(theirs.collect())
        .with_metadata("key", "välue")
        .into_bytes()
        .unwrap();
    let ours = read(&bytes).unwrap();
    assert_eq!((ours.tensors, ours.metadata), (tensors(), metadata()));
}

#[test]
fn lengths_that_lie_are_refused_before_memory_is_asked_for() {
    refused(b"NRUB", "it has 4 bytes");
    refused(b"GGUF\x01\0\0\0\0\0", "does not begin like");
    refused(b"NRUB\x02\0\0\0\0\0", "version 2");
    refused(b"NRUB\x01\0\xff\xff\xff\xff", "would end at byte 4294967305");
    let mut long = with_index(&[], 0);
    long[6..10].copy_from_slice(&(MAX_INDEX as u32 + 1).to_le_bytes());
    long.resize(MAX_INDEX as usize + 100, 0);
    refused(&long, "at most 16777216");
}

#[derive(serde::Serialize)]
struct Described {
    dtype: &'static str,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// A tensor as it is described: name, type, shape, begin and end.
type Description<'a> = (&'a str, &'static str, &'a [u64], (u64, u64));

/// A container whose index describes these tensors, with this much data.
fn described(tensors: &[Description<'_>], data: usize) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Index<'a> {
        tensors: BTreeMap<&'a str, Described>,
        metadata: BTreeMap<String, String>,
    }
    let tensors = tensors.iter().map(|&(name, dtype, shape, data_offsets)| {
        let shape = shape.to_vec();
        (
            name,
            Described {
                dtype,
                shape,
                data_offsets,
            },
        )
    });
    let index = Index {
        tensors: tensors.collect(),
        metadata: BTreeMap::new(),
    };
    let mut bytes = Vec::new();
    ciborium::into_writer(&index, &mut bytes).unwrap();
    with_index(&bytes, data)
}

#[test]
fn tensors_lie_side_by_side_or_not_at_all() {
    read(&described(
        &[("a", "F32", &[1], (0, 4)), ("b", "F32", &[1], (256, 260))],
        260,
    ))
    .unwrap();
    refused(
        &described(&[("a", "F32", &[1], (0, 4)), ("b", "F32", &[1], (0, 4))], 4),
        "overlap",
    );
    refused(
        &described(&[("a", "F32", &[2], (0, 8)), ("b", "F32", &[1], (4, 8))], 8),
        "overlap",
    );
    refused(
        &described(&[("a", "F32", &[1], (0, 4)), ("b", "F32", &[1], (512, 516))], 516),
        "hole",
    );
    refused(&described(&[("a", "F32", &[1], (4, 8))], 8), "hole");
    refused(
        &described(&[("a", "F32", &[1], (0, 4))], 5),
        "its tensors end at byte 4",
    );
    refused(
        &described(&[("a", "F32", &[4], (0, 16))], 12),
        "its tensors end at byte 16",
    );
    refused(
        &described(&[("a", "F32", &[1], (u64::MAX - 3, u64::MAX))], 4),
        "needs 4",
    );
    refused(&described(&[("a", "F32", &[1], (8, 4))], 8), "less than no bytes");
}

#[test]
fn shapes_types_and_names_are_sound_or_refused() {
    refused(&described(&[("a", "F32", &[2, 2], (0, 4))], 4), "needs 16");
    let large = 1 << 33;
    refused(
        &described(&[("a", "F32", &[large, large], (0, 4))], 4),
        "more than there can be",
    );
    refused(&described(&[("a", "F32", &[1; 9], (0, 4))], 4), "more than 8");
    refused(&described(&[("a", "F99", &[1], (0, 4))], 4), "does not read");
    refused(&described(&[("", "F32", &[1], (0, 4))], 4), "0 bytes");
    refused(
        &described(&[("a\0b", "F32", &[1], (0, 4))], 4),
        "control characters",
    );
    refused(
        &described(&[(&"n".repeat(1 << 20), "F32", &[1], (0, 4))], 4),
        "1048576 bytes",
    );
    let names: Vec<String> = (0..=MAX_TENSORS).map(|number| format!("t{number}")).collect();
    let many: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), "F32", &[0u64][..], (0, 0)))
        .collect();
    refused(&described(&many, 0), "more than 1024 tensors");
}

#[test]
fn an_index_is_one_map_of_unique_names() {
    let text = |text: &str| [&[0x60 + text.len() as u8], text.as_bytes()].concat();
    let twice = [
        &[0xa2][..],
        &text("tensors"),
        &[0xa0],
        &text("metadata"),
        &[0xa2],
        &text("k"),
        &text("a"),
        &text("k"),
        &text("b"),
    ]
    .concat();
    refused(&with_index(&twice, 0), "`k` is there twice");
    let sound = [&[0xa2][..], &text("tensors"), &[0xa0], &text("metadata"), &[0xa0]].concat();
    read(&with_index(&sound, 0)).unwrap();
    refused(
        &with_index(&[&sound[..], &[0]].concat(), 0),
        "1 bytes follow the end",
    );
    refused(&with_index(&sound[..sound.len() - 1], 0), "does not read");
    refused(&with_index(&[0xff; 40], 0), "does not read");
    refused(&with_index(&[0x81; 2000], 0), "does not read");
    refused(
        &with_index(&[&[0xa1][..], &text("k"), &[0x63, 0xff, 0xfe, 0xfd]].concat(), 0),
        "does not read",
    );
    let unknown = [&[0xa3][..], &sound[1..], &text("run"), &text("me")].concat();
    refused(&with_index(&unknown, 0), "unknown field");
}

#[test]
fn padding_is_zero() {
    let bytes = written();
    let end = bytes
        .windows(4)
        .position(|window| window == 2.5f32.to_le_bytes())
        .unwrap()
        + 4;
    let mut broken = bytes.clone();
    broken[end] = 1;
    refused(&broken, "padding");
}
