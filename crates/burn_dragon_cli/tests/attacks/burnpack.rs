//! The container.

use crate::craft::*;

attacks! { Burnpack, "bpk":
    empty: "it has 0 bytes" = [];
    header_cut_off: "it has 7 bytes" = &sound()[..7];
    index_cut_off: "its index would end at byte" = &sound()[..100];
    data_cut_off: "of the data" = &sound()[..sound().len() - 1];
    other_magic: "does not begin like a burnpack" = [b"GGUF", &sound()[4..]].concat();
    other_version: "version 2" = [b"NRUB\x02", &sound()[5..]].concat();
    index_longer_than_the_file: "would end at byte 4294967305" = [b"NRUB\x01\0\xff\xff\xff\xff", &sound()[10..]].concat();
    index_longer_than_the_limit: "at most 16777216" = container(&vec![0; (16 << 20) + 1], 0);
    index_empty: "does not read" = container(&[], 0);
    index_not_cbor: "does not read" = container(&[0xff; 40], 0);
    index_not_utf8: "does not read" = container(&map(&[(vec![0x63, 0xff, 0xfe, 0xfd], map(&[]))]), 0);
    index_not_a_map: "does not read" = container(&list(&[int(1)]), 0);
    index_nested_deeply: "does not read" = container(&[0x81; 3000], 0);
    index_map_nested_deeply: "does not read" = container(&[0xa1, 0x61, b'a'].repeat(1000), 0);
    index_followed_by_bytes: "follow the end of its index" = container(&[index(&[]), vec![0]].concat(), 0);
    index_with_an_unknown_field: "unknown field" = container(&map(&[(text("run"), text("me"))]), 0);
    index_without_texts: "missing field" = container(&map(&[(text("tensors"), map(&[]))]), 0);
    list_says_it_is_long: "does not read" = {
        container(&index(&[("a", described(text("F32"), head(4, 1 << 40), (0, 4)))]), 0)
    };
    map_says_it_is_long: "does not read" = container(&[map(&[])[..0].to_vec(), head(5, 1 << 60)].concat(), 0);
    text_says_it_is_long: "does not read" = container(&[&[0xa1][..], &head(3, 1 << 60)].concat(), 0);
    bytes_say_they_are_long: "does not read" = container(&[&[0xa1][..], &head(2, 1 << 60)].concat(), 0);
    tensor_twice: "`a` is there twice" = {
        let one = floats(&[1], (0, 4));
        sealed(container(&index(&[("a", one.clone()), ("a", one)]), 4))
    };
    text_twice: "`k` is there twice" = {
        let pair = (text("k"), text("v"));
        sealed(container(&index_with(&[], &[pair.clone(), pair, unsealed()]), 0))
    };
    hash_missing: "without one hash of its bytes" = container(&index_with(&[], &[]), 0);
    hash_wrong: "it says 0000" = container(&index(&[("a", floats(&[1], (0, 4)))]), 4);
    hash_twice: "there twice" = container(&index_with(&[], &[unsealed(), unsealed()]), 0);
    hash_too_short: "without one hash of its bytes" = container(&index_with(&[], &[(text(BLAKE3), text("00"))]), 0);
    hash_imitated: "without one hash of its bytes" = {
        let imitation = [text(BLAKE3), text(&"0".repeat(64))].concat();
        let texts = [(text("k"), [head(3, imitation.len() as u64), imitation].concat()), unsealed()];
        sealed(container(&index_with(&[], &texts), 0))
    };
    hash_of_two_kinds: "without one hash of its bytes" = {
        let texts = [unsealed_by(BLAKE3), unsealed_by(SHA256)];
        sealed(container(&index_with(&[("a", floats(&[1], (0, 4)))], &texts), 4))
    };
    hash_of_the_other_kind: "the sha256 of its bytes" = {
        let (ours, theirs) = (sound(), sound_by_sha256());
        let digits = |bytes: &[u8]| bytes.windows(2).rposition(|two| two == [0x78, 64]).unwrap() + 2;
        let (from, to) = (digits(&ours), digits(&theirs));
        [&theirs[..to], &ours[from..from + 64], &theirs[to + 64..]].concat()
    };
    value_changed: "the blake3 of its bytes" = changed(sound(), 1);
    value_changed_under_a_sha256: "the sha256 of its bytes" = changed(sound_by_sha256(), 1);
    shape_overflows: "more than there can be" = {
        sealed(container(&index(&[("a", floats(&[1 << 33, 1 << 33], (0, 4)))]), 4))
    };
    shape_needs_more: "needs 16" = sealed(container(&index(&[("a", floats(&[2, 2], (0, 4)))]), 4));
    shape_of_many_axes: "more than 8" = sealed(container(&index(&[("a", floats(&[1; 9], (0, 4)))]), 4));
    shape_negative: "does not read" = {
        container(&index(&[("a", described(text("F32"), list(&[head(1, 3)]), (0, 4)))]), 4)
    };
    shape_of_fractions: "does not read" = {
        container(&index(&[("a", described(text("F32"), list(&[vec![0xf9, 0x3e, 0]]), (0, 4)))]), 4)
    };
    offsets_reversed: "less than no bytes" = sealed(container(&index(&[("a", floats(&[1], (8, 4)))]), 8));
    offsets_past_the_end: "end at byte 16" = sealed(container(&index(&[("a", floats(&[4], (0, 16)))]), 12));
    offsets_at_the_end_of_numbers: "begins at byte 18446744073709551611" = {
        sealed(container(&index(&[("a", floats(&[1], (u64::MAX - 4, u64::MAX)))]), 4))
    };
    offsets_overlap: "overlap" = {
        sealed(container(&index(&[("a", floats(&[2], (0, 8))), ("b", floats(&[1], (4, 8)))]), 8))
    };
    offsets_the_same: "overlap" = {
        sealed(container(&index(&[("a", floats(&[1], (0, 4))), ("b", floats(&[1], (0, 4)))]), 4))
    };
    offsets_leave_a_hole: "hole" = {
        sealed(container(&index(&[("a", floats(&[1], (0, 4))), ("b", floats(&[1], (512, 516)))]), 516))
    };
    offsets_not_aligned: "begins at byte 4" = {
        sealed(container(&index(&[("a", floats(&[1], (0, 4))), ("b", floats(&[1], (4, 8)))]), 8))
    };
    bytes_follow_the_end: "end at byte 4" = sealed([sound(), b"garbage".to_vec()].concat());
    another_file_follows: "end at byte 4" = [sound(), b"PK\x05\x06".to_vec(), vec![0; 18]].concat();
    padding_not_zero: "padding" = {
        let two = [("a", floats(&[1], (0, 4))), ("b", floats(&[1], (256, 260)))];
        sealed(changed(container(&index(&two), 260), 100))
    };
    dtype_unknown: "does not read" = {
        sealed(container(&index(&[("a", described(text("F99"), list(&[int(1)]), (0, 4)))]), 4))
    };
    dtype_not_plain: "which is not read" = {
        let bool = map(&[(text("Bool"), text("Native"))]);
        sealed(container(&index(&[("a", described(bool, list(&[int(4)]), (0, 4)))]), 4))
    };
    name_empty: "a tensor's name is 0 bytes" = sealed(container(&index(&[("", floats(&[1], (0, 4)))]), 4));
    name_with_nul: "without control characters" = sealed(container(&index(&[("a\0b", floats(&[1], (0, 4)))]), 4));
    name_of_a_megabyte: "1048576 bytes" = {
        sealed(container(&index(&[(&"n".repeat(1 << 20), floats(&[1], (0, 4)))]), 4))
    };
    tensors_without_end: "more than 1024 tensors" = {
        let names: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), floats(&[0], (0, 0)))).collect();
        sealed(container(&index(&many), 0))
    };
    tensors_of_no_size: "holds no number" = {
        let names: Vec<String> = (0..1024).map(|number| number.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), floats(&[0], (0, 0)))).collect();
        container(&index_with(&many, &[]), 0)
    };
    texts_without_end: "more than 64 names" = {
        let many: Vec<_> = (0..1_000_000).map(|number: u32| (text(&number.to_string()), text(""))).collect();
        container(&index_with(&[], &many), 0)
    };
}
