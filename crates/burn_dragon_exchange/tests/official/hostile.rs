//! Files that `torch.save` never writes: each refused with a reason, none of them run, none of them a panic.

use crate::support::import;
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_testing::pt::{Entry, Pickle, View, entries, sound, storages, views, zip};

/// Refused as bad input, with these words.
#[track_caller]
fn assert_refused(bytes: &[u8], says: &[&str]) {
    let error = import(bytes).unwrap_err();
    assert!(matches!(error, CheckpointError::Corrupt { .. }), "{error}");
    for part in says {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

/// A sound file but for its pickle.
fn with_pickle(pickle: Pickle) -> Vec<u8> {
    zip(&entries(pickle.0, storages(&views())))
}

/// A sound file but for the description of one tensor.
fn with_view(change: impl Fn(&mut View)) -> Vec<u8> {
    let mut tensors = views();
    let sound = storages(&tensors);
    change(&mut tensors[1].1); // encoder, [1, 4, 8]
    zip(&entries(Pickle::of(&tensors), sound))
}

/// A sound file but for one entry: its third, the bytes of `embed.weight`.
fn with_entry(change: impl Fn(&mut Entry)) -> Vec<u8> {
    let mut entries = entries(Pickle::of(&views()), storages(&views()));
    change(&mut entries[2]);
    zip(&entries)
}

#[test]
fn a_name_that_is_no_part_of_a_state_dict_is_refused_and_not_called() {
    let marker = std::env::temp_dir().join("a_pickle_was_run");
    let command = format!("touch {}", marker.display());
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "_rebuild_tensor"),
        ("collections", "defaultdict"),
        ("__main__", "BDHConfig"),
        ("torch", "QInt8Storage"),
    ] {
        let by_line = Pickle::new()
            .global(module, name)
            .raw(b"(")
            .text(&command)
            .raw(b"tR.");
        let by_stack = Pickle::new()
            .text(module)
            .text(name)
            .raw(b"\x93(")
            .text(&command)
            .raw(b"tR.");
        for pickle in [by_line, by_stack] {
            assert_refused(
                &with_pickle(pickle),
                &[&format!("`{module}.{name}`"), "nothing is called"],
            );
        }
    }
    assert!(!marker.exists());
}

#[test]
fn a_call_of_anything_else_is_refused() {
    let storage = || Pickle::new().global("torch", "FloatStorage");
    for pickle in [
        storage().raw(b")R."),                                          // FloatStorage()
        Pickle::new().text("system").raw(b")R."),                       // 'system'()
        Pickle::new().raw(b"})R."),                                     // {}()
        Pickle::new().global("collections", "OrderedDict").raw(b"}R."), // OrderedDict(*{})
        Pickle::new()
            .global("collections", "OrderedDict")
            .raw(b"(")
            .int(1)
            .raw(b"tR."), // OrderedDict(1)
        Pickle::new()
            .global("torch._utils", "_rebuild_parameter")
            .raw(b"(")
            .int(1)
            .raw(b"tR."),
    ] {
        assert_refused(&with_pickle(pickle), &["its pickle at byte"]);
    }
}

#[test]
fn an_instruction_that_makes_or_changes_objects_is_refused_by_its_name() {
    for (code, name) in [
        (&b"(ios\nsystem\n."[..], "INST"),
        (b"(o.", "OBJ"),
        (b")\x81.", "NEWOBJ"),
        (b")}\x92.", "NEWOBJ_EX"),
        (b"\x82\x01.", "EXT"),
        (b"Pid\n.", "PERSID"),
        (b"}0.", "POP"),
        (b"}2.", "DUP"),
        (b"I1\n.", "INT"),
        (b"S'a'\n.", "STRING"),
        (b"C\x01a.", "BINBYTES"),
        (b"\x96\xff\xff\xff\xff\xff\xff\xff\xff.", "BYTEARRAY8"),
        (b"\xff.", "0xff"),
    ] {
        assert_refused(&with_pickle(Pickle::new().raw(code)), &[name, "instruction"]);
    }
}

#[test]
fn attributes_are_given_to_dictionaries_alone() {
    let tensor = Pickle::new().tensor(&views()[0].1).raw(b"}b.");
    assert_refused(&with_pickle(tensor), &["attributes"]);
    assert_refused(&with_pickle(Pickle::new().raw(b"}K\x01b.")), &["attributes"]);
}

#[test]
fn depth_is_bounded() {
    let tuples = Pickle::new()
        .raw(&b"(".repeat(100_000))
        .raw(&b"t".repeat(100_000))
        .raw(b".");
    assert_refused(&with_pickle(tuples), &["nested"]);
    // One in the other without a mark: no depth anywhere, since nothing here recurses.
    let lists = Pickle::new().raw(b")").raw(&b"\x85".repeat(500_000)).raw(b".");
    assert_refused(&with_pickle(lists), &["no dictionary"]);
}

#[test]
fn a_pickle_that_would_grow_beyond_any_memory_stays_small() {
    // Twice the list before, again and again: 2^60 values, if anything were ever written out.
    let mut pickle = Pickle::new().raw(b"]q\x00");
    for level in 1..=60u8 {
        pickle = pickle.raw(&[b']', b'q', level, b'(', b'h', level - 1, b'h', level - 1, b'e']);
    }
    // Below it the stack keeps what belongs to nothing, which is refused at the end.
    assert_refused(&with_pickle(pickle.raw(b".")), &["unused values"]);
    // A long tuple, and as many calls with it as fit.
    let tuple = Pickle::new().raw(b"(").raw(&b"N".repeat(200_000)).raw(b"tq\x00");
    let call = tuple.global("torch._utils", "_rebuild_tensor_v2").raw(b"q\x01");
    let calls = call.raw(&b"h\x01h\x00R".repeat(100_000)).raw(b".");
    assert_refused(&with_pickle(calls), &["unused values"]);
    // Places in the memo far apart.
    let mut pickle = Pickle::new().raw(b"}");
    for place in 0..50_000u32 {
        pickle = pickle.raw(b"r").raw(&(u32::MAX - place * 80_000).to_le_bytes());
    }
    let error = import(&with_pickle(pickle.raw(b"."))).unwrap_err();
    assert!(matches!(error, CheckpointError::MissingTensor { .. }), "{error}");
}

#[test]
fn a_pickle_that_is_too_long_is_not_read() {
    assert_refused(
        &with_pickle(Pickle::new().raw(&b"N".repeat(1 << 20)).raw(b".")),
        &["data.pkl", "at most"],
    );
}

#[test]
fn lengths_beyond_the_file_are_refused_before_they_are_allocated() {
    for code in [
        &b"X\xff\xff\xff\xffa."[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa.",
        b"\x8c\xffa.",
        b"\x8a\xff.",
    ] {
        assert_refused(
            &with_pickle(Pickle::new().raw(code)),
            &["bytes are read where there are"],
        );
    }
    let long = Pickle::new().raw(b"\x8a\x09123456789.");
    assert_refused(&with_pickle(long), &["whole number of 9 bytes"]);
}

#[test]
fn a_stack_that_does_not_come_out_is_refused() {
    for code in [
        &b"."[..],
        b"",
        b"}",
        b"t.",
        b"s.",
        b"u.",
        b"a.",
        b"e.",
        b"R.",
        b"b.",
        b"Q.",
        b"q\x00.",
        b"h\x00.",
        b"j\0\0\0\0.",
        b"\x85.",
        b"\x93.",
        b"(}.",
        b"}}.",
        b"}(K\x01u.",
        b"}K\x01s.",
        b"K\x01K\x01a.",
        b"(K\x01\x85.",
        b"}(K\x01.",
        b"}..",
        b"cos",
        b"cos\nsystem",
        b"\x80",
        b"\x95\0\0",
        b"G\0\0",
        b"}K",
        b"\x80\x00.",
        b"\x80\x06.",
        b"\x80\x01}.",
    ] {
        let error = import(&with_pickle(Pickle::new().raw(code))).unwrap_err();
        assert!(error.is_bad_input(), "{code:?}: {error}");
    }
}

#[test]
fn what_is_no_dictionary_of_tensors_is_refused() {
    for pickle in [
        Pickle::new().raw(b"N."),
        Pickle::new().raw(b"]."),
        Pickle::new().tensor(&views()[0].1).raw(b"."),
        Pickle::new().raw(b"}(K\x01K\x02u."),
        Pickle::new().raw(b"}(").text("encoder").raw(b"K\x02u."),
        Pickle::new().raw(b"}(").text("encoder").raw(b"Nu."),
        Pickle::new()
            .raw(b"}(")
            .text("encoder")
            .text("encoder")
            .raw(b"u."),
        Pickle::new().raw(b"}q\x00(").text("model").raw(b"h\x00u."), // {'model': itself}
        Pickle::new()
            .raw(b"}(")
            .text("a\x1b[2J")
            .tensor(&views()[0].1)
            .raw(b"u."),
    ] {
        assert_refused(&with_pickle(pickle), &[]);
    }
    let twice = [views(), views()].concat();
    assert_refused(
        &zip(&entries(Pickle::of(&twice), storages(&views()))),
        &["`embed.weight` twice"],
    );
}

#[test]
fn a_view_that_leaves_its_storage_or_overlaps_is_refused() {
    type Change = fn(&mut View);
    let changes: [(Change, &str); 16] = [
        (|view| view.sizes = vec![1, 4, 9], "32"),
        (|view| view.offset = 1, "31"),
        (|view| view.offset = 33, "outside of its storage"),
        (|view| view.offset = -1, "outside of its storage"),
        (|view| view.offset = i64::MAX, "outside of its storage"),
        (|view| view.sizes = vec![1, -4, 8], "sizes"),
        (|view| view.strides = vec![32, -8, 1], "sizes"),
        (|view| view.strides = vec![32, 8, 0], "overlap"),
        (|view| view.strides = vec![32, 4, 1], "overlap"),
        (|view| view.strides = vec![32, 8], "do not fit"),
        (|view| view.sizes = vec![i64::MAX, i64::MAX, i64::MAX], ""),
        (|view| view.strides = vec![i64::MAX, i64::MAX, 1], "memory"),
        (|view| view.sizes = vec![1; 9], "sizes"),
        (|view| view.entries = 31, "31 values"),
        (|view| view.entries = -32, "-32 values"),
        (|view| view.entries = i64::MAX, "values"),
    ];
    for (change, says) in changes {
        assert_refused(&with_view(change), &["`encoder`", says]);
    }
}

#[test]
fn a_small_pickle_cannot_describe_a_file_ten_thousand_times() {
    let (_, view) = &views()[1];
    let often = (0..2000)
        .map(|number| (format!("t{number}"), view.clone()))
        .collect::<Vec<_>>();
    let mut storage = storages(&views());
    storage[1].bytes = vec![0; 1 << 20];
    let large = |(name, view): (String, View)| {
        let (entries, sizes, strides) = (1 << 18, vec![1 << 18], vec![1]);
        (
            name,
            View {
                entries,
                sizes,
                strides,
                ..view
            },
        )
    };
    let often: Vec<_> = often.into_iter().map(large).collect();
    assert_refused(&zip(&entries(Pickle::of(&often), storage)), &["the same bytes"]);
}

#[test]
fn a_storage_that_is_not_there_or_of_another_length_or_type_is_refused() {
    let pickle = || Pickle::of(&views());
    let mut storage = storages(&views());
    storage.remove(1);
    assert_refused(&zip(&entries(pickle(), storage)), &["lacks the entry `data/1`"]);
    for (bytes, says) in [
        (vec![0; 4 * 31], "124 bytes"),
        (vec![0; 4 * 33], "132 bytes"),
        (vec![], "0 bytes"),
    ] {
        let mut storage = storages(&views());
        storage[1].bytes = bytes;
        assert_refused(
            &zip(&entries(pickle(), storage)),
            &["`encoder`", says, "32 values of f32"],
        );
    }
    for key in ["../data.pkl", "", "1/../1", "/etc/passwd"] {
        assert_refused(&with_view(|view| view.key = key), &["lacks the entry"]);
    }
    assert_refused(
        &with_view(|view| view.kind = "HalfStorage"),
        &["`encoder`", "128 bytes", "f16"],
    );
    assert_refused(
        &with_view(|view| (view.kind, view.entries) = ("IntStorage", 32)),
        &["`encoder` is i32"],
    );
}

#[test]
fn a_storage_described_in_another_way_is_refused() {
    let tensor = |storage: Pickle| {
        let start = Pickle::new()
            .raw(b"}(")
            .text("encoder")
            .global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(");
        let storage = start
            .raw(&storage.0[2..])
            .int(0)
            .ints(&[4])
            .ints(&[1])
            .raw(b"\x89N");
        with_pickle(storage.raw(b"tRu."))
    };
    let new = Pickle::new;
    for storage in [
        new().text("0").raw(b"Q"),
        new().int(7).raw(b"Q"),
        new().raw(b")Q"),
        new().text("0"),
        new().global("torch", "FloatStorage"),
        new()
            .raw(b"(")
            .text("module")
            .global("torch", "FloatStorage")
            .text("0")
            .text("cpu")
            .int(16)
            .raw(b"tQ"),
        new()
            .raw(b"(")
            .text("storage")
            .text("FloatStorage")
            .text("0")
            .text("cpu")
            .int(16)
            .raw(b"tQ"),
        new()
            .raw(b"(")
            .text("storage")
            .global("collections", "OrderedDict")
            .text("0")
            .text("cpu")
            .int(16)
            .raw(b"tQ"),
        new()
            .raw(b"(")
            .text("storage")
            .global("torch", "FloatStorage")
            .int(0)
            .text("cpu")
            .int(16)
            .raw(b"tQ"),
        new()
            .raw(b"(")
            .text("storage")
            .global("torch", "FloatStorage")
            .text("0")
            .text("cpu")
            .text("16")
            .raw(b"tQ"),
        new()
            .raw(b"(")
            .text("storage")
            .global("torch", "FloatStorage")
            .text("0")
            .text("cpu")
            .int(16)
            .raw(b"NtQ"),
    ] {
        assert_refused(&tensor(storage), &["`encoder`", "not known"]);
    }
}

#[test]
fn a_zip_that_is_packed_encrypted_or_named_otherwise_is_refused() {
    assert_refused(&with_entry(|entry| entry.method = 8), &["compressed"]);
    assert_refused(&with_entry(|entry| entry.flags = 1), &["encrypted"]);
    assert_refused(&with_entry(|entry| entry.crc = Some(7)), &["CRC-32", "data/0"]);
    assert_refused(
        &with_entry(|entry| entry.local_name = Some("weights/data/9".into())),
        &["another name"],
    );
    assert_refused(
        &with_entry(|entry| entry.local_name = Some("weights/data".into())),
        &["header"],
    );
    for name in [
        "../x",
        "weights/../x",
        "/x",
        "weights//x",
        "C:/x",
        "weights\\x",
        "weights/./x",
        "weights/x\0",
        "weights/",
    ] {
        assert_refused(
            &with_entry(|entry| entry.name = name.into()),
            &["not a plain one"],
        );
    }
    assert_refused(&with_entry(|entry| entry.name = "alone".into()), &["no folder"]);
    assert_refused(
        &with_entry(|entry| entry.name = "other/data/0".into()),
        &["another folder"],
    );
    assert_refused(
        &with_entry(|entry| entry.name = "weights/data/1".into()),
        &["`weights/data/1` twice"],
    );
}

#[test]
fn a_zip_whose_records_lie_is_refused() {
    assert_refused(&with_entry(|entry| entry.length = Some(4)), &["header"]);
    assert_refused(&with_entry(|entry| entry.length = Some(1 << 30)), &["outside"]);
    assert_refused(&with_entry(|entry| entry.length = Some(u32::MAX)), &["record"]);
    let long = |length: u64, packed: u64| {
        [&[1, 0, 16, 0][..], &length.to_le_bytes(), &packed.to_le_bytes()].concat()
    };
    for (length, packed) in [(u64::MAX, u64::MAX), (1 << 40, 1 << 40), (64, 65)] {
        let lie = with_entry(|entry| (entry.length, entry.extra) = (Some(u32::MAX), long(length, packed)));
        assert_refused(&lie, &["data/0"]);
    }
    // An entry where another one is, and one beyond everything.
    assert_refused(&with_entry(|entry| entry.header_at = Some(0)), &["header"]);
    assert_refused(
        &with_entry(|entry| entry.header_at = Some(u32::MAX - 1)),
        &["outside"],
    );
    let mut same = entries(Pickle::of(&views()), storages(&views()));
    (same[2].bytes, same[2].name) = (same[1].bytes.clone(), same[1].name.clone()); // the same header, twice listed
    assert_refused(&zip(&same), &["twice"]);
}

#[test]
fn the_end_of_a_zip_must_be_its_end() {
    let whole = sound();
    let end = whole.len() - 22;
    let changed = |place: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[place..place + bytes.len()].copy_from_slice(bytes);
        file
    };
    assert_refused(&[&whole[..], b"\0"].concat(), &["end"]);
    assert_refused(&[b"\0", &whole[..]].concat(), &["directory"]);
    assert_refused(&changed(end + 20, &[1, 0]), &["comment"]);
    assert_refused(&changed(end + 4, &[1, 0]), &["parts"]);
    assert_refused(&changed(end + 8, &[0xff; 4]), &["cannot hold 65535 entries"]);
    assert_refused(&changed(end + 8, &[9, 0, 9, 0]), &["record"]);
    assert_refused(&changed(end + 8, &[7, 0, 7, 0]), &["after the last entry"]);
    assert_refused(&changed(end + 12, &[0xff; 4]), &["directory"]);
    assert_refused(&changed(end + 16, &[0xff; 4]), &["directory"]);
}

#[test]
fn the_longer_end_of_a_zip_must_agree_with_the_shorter() {
    let whole = sound();
    let (body, end) = whole.split_at(whole.len() - 22);
    let number = |place: usize| u64::from(u32::from_le_bytes(end[place..place + 4].try_into().unwrap()));
    let (length, at, count) = (number(12), number(16), 8u64);
    let with = |record: [u64; 4], record_at: u64| {
        let [here, entries, length, at] = record;
        let mut file = body.to_vec();
        file.extend(b"PK\x06\x06");
        file.extend(44u64.to_le_bytes());
        file.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        file.extend([here, entries, length, at].into_iter().flat_map(u64::to_le_bytes));
        file.extend(b"PK\x06\x07\0\0\0\0");
        file.extend(record_at.to_le_bytes());
        file.extend([1, 0, 0, 0]);
        file.extend(end);
        file
    };
    let right = body.len() as u64;
    import(&with([count, count, length, at], right)).unwrap();
    for (record, record_at) in [
        ([count + 1, count + 1, length, at], right),
        ([count, count + 1, length, at], right),
        ([count, count, length + 1, at], right),
        ([count, count, length, at - 1], right),
        ([u64::MAX, u64::MAX, u64::MAX, u64::MAX], right),
        ([count, count, length, at], right - 1),
        ([count, count, length, at], 0),
        ([count, count, length, at], u64::MAX),
    ] {
        assert_refused(&with(record, record_at), &[]);
    }
}

#[test]
fn what_pytorch_writes_otherwise_is_refused_with_what_to_do() {
    let mut other = entries(Pickle::of(&views()), storages(&views()));
    other[1].bytes = b"big".to_vec();
    assert_refused(&zip(&other), &["byte order `big`"]);
    let mut script = entries(Pickle::of(&views()), storages(&views()));
    script.push(Entry::new("weights/constants.pkl", "\x02)."));
    assert_refused(&zip(&script), &["TorchScript", "state_dict()"]);
    assert_refused(
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
        &["before 1.6", "torch.save"],
    );
    let mut bare = entries(Pickle::of(&views()), storages(&views()));
    bare.remove(0);
    assert_refused(&zip(&bare), &["lacks the entry `data.pkl`"]);
}

#[test]
fn truncation_at_every_byte_is_refused() {
    let whole = sound();
    for length in 0..whole.len() {
        let error = import(&whole[..length]).unwrap_err();
        assert!(error.is_bad_input(), "{length}: {error}");
    }
    let pickle = Pickle::of(&views());
    for length in 0..pickle.len() {
        let error = import(&with_pickle(Pickle(pickle[..length].to_vec()))).unwrap_err();
        assert!(error.is_bad_input(), "{length}: {error}");
    }
}

#[test]
fn a_flipped_bit_in_any_byte_is_refused_or_changes_nothing() {
    let whole = sound();
    let expected = import(&whole).unwrap().model;
    let (mut refused, mut harmless) = (0, 0);
    for place in 0..whole.len() {
        let mut file = whole.clone();
        file[place] ^= 1 << (place % 8);
        match import(&file) {
            Err(error) => {
                assert!(error.is_bad_input(), "byte {place}: {error}");
                refused += 1;
            }
            Ok(imported) => {
                // Times, versions and attributes, which say nothing of the weights.
                assert_eq!(imported.model.tensors, expected.tensors, "byte {place}");
                harmless += 1;
            }
        }
    }
    println!(
        "{refused} bytes with a flipped bit refused, {harmless} in times, versions and attributes of the zip"
    );
    assert!(refused > 10 * harmless);
}

#[test]
fn no_mixture_of_instructions_is_a_panic() {
    let sound = Pickle::of(&views());
    let mut state = 7u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    const CODES: &[u8] = b"\x80\x95.(N\x88\x89KMJ\x8aGX\x8c\x8d}])\x85\x86\x87tsuaeqr\x94hjc\x93QRb";
    for _ in 0..2000 {
        let mut pickle = sound.clone();
        for _ in 0..=random(4) {
            let place = random(pickle.len());
            match random(4) {
                0 => pickle[place] = random(256) as u8,
                1 => pickle.insert(place, CODES[random(CODES.len())]),
                2 => drop(pickle.remove(place)),
                _ => pickle.truncate(place.max(3)),
            }
        }
        if let Err(error) = import(&with_pickle(Pickle(pickle))) {
            assert!(error.is_bad_input(), "{error}");
        }
    }
}

#[test]
fn a_tensor_without_entries_is_refused_whatever_its_other_sizes() {
    let empty = |sizes: &[i64]| {
        with_view(|view| {
            view.sizes = sizes.to_vec();
            view.strides = vec![1; sizes.len()];
        })
    };
    for sizes in [&[1 << 62, 4, 0][..], &[0], &[4, 0]] {
        assert_refused(&empty(sizes), &["tensor `encoder`", "no number"]);
        let path = std::path::Path::new("weights.pt");
        assert!(burn_dragon_exchange::api::expert::ForeignFile::torch_bytes(empty(sizes), path).is_err());
    }
}

#[test]
fn weights_that_are_there_twice_are_refused() {
    let dict = |pickle: Pickle| pickle.dictionary(&views());
    let outer = Pickle::new().raw(b"}(").text("model");
    let outer = dict(dict(outer).text("model")).raw(b"u.");
    assert_refused(&with_pickle(outer), &["it holds `model` twice"]);
}

#[test]
fn a_message_holds_no_more_of_a_file_than_a_person_reads() {
    let long = "x".repeat(1 << 19);
    let mut named = views();
    named[0].0 = long.clone();
    let outer = Pickle::new().raw(b"}(").text(&long).int(1).raw(b"u.");
    let header = format!(r#"{{"a":{{"dtype":"{long}","shape":[1],"data_offsets":[0,4]}}}}"#);
    let field = format!(r#"{{"a":{{"{long}":1}}}}"#);
    let safetensors = [header, field].map(|header| {
        let length = (header.len() as u64).to_le_bytes();
        let bytes = [&length[..], header.as_bytes(), &[0; 4]].concat();
        let path = std::path::Path::new("a.safetensors");
        burn_dragon_exchange::api::expert::ForeignFile::safetensors_bytes(bytes, path).unwrap_err()
    });
    let manifest = format!(r#"{{"format":"{long}","step":1,"files":{{}},"sha256":""}}"#);
    let path = std::path::Path::new("manifest.json");
    let manifest = burn_dragon_checkpoint::api::expert::Manifest::parse(&manifest, path).unwrap_err();
    let torch = [
        zip(&entries(Pickle::of(&named), storages(&views()))),
        with_pickle(outer),
    ];
    let torch = torch.map(|bytes| import(&bytes).unwrap_err());
    for error in torch.into_iter().chain(safetensors).chain([manifest]) {
        let said = error.to_string();
        assert!(said.len() < 2500, "{} bytes: {}", said.len(), &said[..200]);
    }
}
