//! Event files, read by a decoder that shares no code with the writer.

use super::*;
use std::collections::BTreeMap;

/// CRC-32C bit by bit.
fn slow_crc32c(bytes: &[u8]) -> u32 {
    let mut rest = 0xffff_ffff_u32;
    for &byte in bytes {
        rest ^= u32::from(byte);
        for _ in 0..8 {
            rest = if rest % 2 == 1 {
                (rest / 2) ^ 0x82f6_3b78
            } else {
                rest / 2
            };
        }
    }
    rest ^ 0xffff_ffff
}

/// Data of the records of a file; panics where a length or a checksum is wrong.
fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
    let check = |bytes: &[u8], stored: &[u8]| {
        let crc = slow_crc32c(bytes);
        let masked = crc.rotate_left(17).wrapping_add(0xa282_ead8);
        assert_eq!(u32::from_le_bytes(stored.try_into().unwrap()), masked);
    };
    let mut records = Vec::new();
    while !file.is_empty() {
        check(&file[..8], &file[8..12]);
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        check(&file[12..12 + length], &file[12 + length..16 + length]);
        records.push(file[12..12 + length].to_vec());
        file = &file[16 + length..];
    }
    records
}

/// Fields of a message: bytes by number, as they lie there; a varint as eight bytes.
fn fields(mut message: &[u8]) -> BTreeMap<u64, Vec<Vec<u8>>> {
    fn varint(message: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = message[0];
            *message = &message[1..];
            value += u64::from(byte % 128) << shift;
            shift += 7;
            if byte < 128 {
                return value;
            }
        }
    }
    let mut fields: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let content = match key % 8 {
            0 => varint(&mut message).to_le_bytes().to_vec(),
            kind => {
                let length = match kind {
                    1 => 8,
                    5 => 4,
                    2 => varint(&mut message) as usize,
                    other => panic!("kind {other}"),
                };
                let content = message[..length].to_vec();
                message = &message[length..];
                content
            }
        };
        fields.entry(key / 8).or_default().push(content);
    }
    fields
}

/// Only content of a field.
fn one(message: &[u8], field: u64) -> Vec<u8> {
    let mut found = fields(message).remove(&field).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn step(event: &[u8]) -> u64 {
    u64::from_le_bytes(one(event, 2).try_into().unwrap())
}

fn written(resumed: Option<u64>) -> Vec<Vec<u8>> {
    let root = tempfile::tempdir().unwrap();
    let run = RunFolder::create(Some(&root.path().join("run")), root.path(), "toy").unwrap();
    let mut events = EventFile::create(&run, resumed).unwrap();
    let values = [("loss", 1.5), ("x_density", 0.25)];
    events.numbers(300, "train", values.into_iter()).unwrap();
    events.text(1 << 40, "once\nupon").unwrap();
    let second = EventFile::create(&run, None).unwrap();
    assert!(second.path > events.path, "in the order of their names");
    let name = events.path.file_name().unwrap().to_str().unwrap().to_string();
    assert!(name.contains("tfevents"), "{name}");
    records(&std::fs::read(&events.path).unwrap())
}

#[test]
fn the_checksum_is_that_of_the_published_vectors() {
    // RFC 3720, B.4, and the check value of the CRC catalogue.
    assert_eq!(record::crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(record::crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(record::crc32c(&[0xff; 32]), 0x62a8_ab43);
}

#[test]
fn a_file_has_its_version_the_numbers_of_a_step_and_the_text_of_a_sample() {
    let events = written(None);
    assert_eq!(events.len(), 3);
    assert_eq!(one(&events[0], 3), b"brain.Event:2");
    let time = f64::from_le_bytes(one(&events[1], 1).try_into().unwrap());
    assert!(time > 1.7e9, "{time}");
    assert_eq!(step(&events[1]), 300);
    let summary = one(&events[1], 5);
    let values: Vec<(String, f32)> = fields(&summary)[&1]
        .iter()
        .map(|value| {
            let number = f32::from_le_bytes(one(value, 2).try_into().unwrap());
            (String::from_utf8(one(value, 1)).unwrap(), number)
        })
        .collect();
    assert_eq!(
        values,
        [("loss/train".into(), 1.5), ("x_density/train".into(), 0.25)]
    );

    assert_eq!(step(&events[2]), 1 << 40);
    let value = one(&one(&events[2], 5), 1);
    assert_eq!(one(&value, 1), b"sample");
    assert_eq!(one(&one(&one(&value, 9), 1), 1), b"text");
    let tensor = one(&value, 8);
    assert_eq!(one(&tensor, 8), b"    once\n    upon");
    assert_eq!((one(&tensor, 1)[0], one(&one(&one(&tensor, 2), 2), 1)[0]), (7, 1));
}

#[test]
fn a_resumed_run_tells_the_viewer_which_steps_come_again() {
    let events = written(Some(299));
    assert_eq!((events.len(), step(&events[1])), (4, 300));
    assert_eq!(one(&one(&events[1], 7), 1), 1_u64.to_le_bytes());
}
