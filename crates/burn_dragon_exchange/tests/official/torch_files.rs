//! What `torch.save` writes in all its ways comes in as it is.

use crate::support::import;
use burn_dragon_exchange::api::expert::{ForeignFile, NAMES};
use burn_dragon_exchange::api::{Imported, OfficialConfig};
use burn_dragon_testing::pt::{CONFIG, Entry, Pickle, View, entries, sound, storages, value, views, zip};
use std::path::Path;

fn values(imported: &Imported, ours: &str) -> Vec<f32> {
    imported.model.tensors[ours]
        .data()
        .clone()
        .try_into_vec()
        .unwrap()
}

fn plain(key: &str, length: usize) -> Vec<f32> {
    (0..length).map(|place| value(key, place)).collect()
}

#[track_caller]
fn assert_is_the_model(imported: &Imported) {
    for ((_, view), (_, ours)) in views().iter().zip(NAMES) {
        let expected = plain(view.key, view.entries as usize);
        assert_eq!(values(imported, ours), expected, "{ours}");
        let shape: Vec<i64> = imported.model.tensors[ours]
            .shape()
            .iter()
            .map(|&size| size as i64)
            .collect();
        assert_eq!(shape, view.sizes);
    }
}

/// A pickle of the sound tensors, each name changed.
fn renamed(name: impl Fn(&str) -> String) -> Vec<(String, View)> {
    views()
        .into_iter()
        .map(|(old, view)| (name(&old), view))
        .collect()
}

#[test]
fn a_state_dict_is_read_value_by_value() {
    let imported = import(&sound()).unwrap();
    assert_is_the_model(&imported);
    assert_eq!(imported.notes, [""; 0]);
    assert_eq!(
        (imported.model.info.step, imported.model.info.version.as_str()),
        (0, "official")
    );
}

#[test]
fn the_prefixes_of_wrappers_are_left_out() {
    for prefix in ["_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module."] {
        let tensors = renamed(|name| format!("{prefix}{name}"));
        let imported = import(&zip(&entries(Pickle::of(&tensors), storages(&views())))).unwrap();
        assert_is_the_model(&imported);
        assert!(imported.notes[0].contains(prefix), "{:?}", imported.notes);
    }
}

/// A file of these tensors, in the storages of the sound ones.
fn file_of(tensors: &[(String, View)]) -> Vec<u8> {
    zip(&entries(Pickle::of(tensors), storages(&views())))
}

#[test]
fn a_prefix_that_all_names_have_is_left_out_and_named() {
    for prefix in [
        "model.",
        "net.bdh.",
        "module.model.",
        "model._orig_mod.",
        "_orig_mod.model.module.",
    ] {
        let imported = import(&file_of(&renamed(|name| format!("{prefix}{name}")))).unwrap();
        assert_is_the_model(&imported);
        let note = format!("the names begin with `{prefix}`, which was removed");
        assert_eq!(imported.notes, [note]);
    }
}

#[test]
fn a_prefix_that_not_all_names_have_is_refused_by_the_names_without_it() {
    let tensors = renamed(|name| match name {
        "lm_head" => "head.lm_head".to_string(),
        name => format!("model.{name}"),
    });
    let error = import(&file_of(&tensors)).unwrap_err().to_string();
    assert!(error.contains("does not have: head.lm_head"), "{error}");
    let bare = renamed(|name| match name {
        "lm_head" => name.to_string(),
        name => format!("model.{name}"),
    });
    let error = import(&file_of(&bare)).unwrap_err().to_string();
    assert!(error.contains("does not have: lm_head"), "{error}");
}

#[test]
fn two_models_in_one_file_are_refused_by_their_prefixes() {
    let mut tensors = renamed(|name| format!("model.{name}"));
    tensors.extend(renamed(|name| format!("ema.{name}")));
    let error = import(&file_of(&tensors)).unwrap_err().to_string();
    for part in ["more than one model", "`model.`", "`ema.`"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn names_of_another_model_are_named_before_a_theta_is_asked_for() {
    let silent = CONFIG.replace(",\"rope_theta\":65536", "");
    let silent = OfficialConfig::parse(Path::new("config.json"), &silent).unwrap();
    let import = |tensors: &[(String, View)], config| {
        let file = ForeignFile::torch_bytes(file_of(tensors), Path::new("weights.pt")).unwrap();
        file.model(config).unwrap_err().to_string()
    };
    let other = renamed(|name| format!("transformer.h.0.{}", name.replace("encoder_v", "attn")));
    for config in [Some(&silent), None] {
        let error = import(&other, config);
        assert!(
            error.contains("transformer.h.0.attn") && !error.contains("theta"),
            "{error}"
        );
    }
    let fewer = &renamed(|name| format!("model.{name}"))[..4];
    let error = import(fewer, Some(&silent));
    assert!(error.contains("lacks the tensor `lm_head`"), "{error}");
    // Of a model's own names the theta is what is missing.
    let error = import(&renamed(|name| format!("model.{name}")), Some(&silent));
    assert!(error.contains("rope_theta"), "{error}");
}

#[test]
fn a_state_dict_in_a_dictionary_in_another_is_found() {
    let tensors = renamed(|name| format!("model.{name}"));
    let pickle = Pickle::new()
        .raw(b"}(")
        .text("state_dict")
        .raw(b"}(")
        .text("model")
        .dictionary(&tensors)
        .raw(b"uu.");
    let imported = import(&zip(&entries(pickle.0, storages(&views())))).unwrap();
    assert_is_the_model(&imported);
    for part in ["`state_dict`", "`model`", "`model.`"] {
        assert!(imported.notes.join("; ").contains(part), "{:?}", imported.notes);
    }
}

#[test]
fn a_configuration_with_a_byte_order_mark_is_the_same_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.json");
    std::fs::write(&path, format!("\u{feff}{CONFIG}")).unwrap();
    let plain = OfficialConfig::parse(&path, CONFIG).unwrap();
    assert_eq!(OfficialConfig::read(&path).unwrap(), plain);
}

#[test]
fn two_names_that_become_one_are_refused() {
    let mut tensors = views();
    tensors.push(("module.encoder".into(), tensors[1].1.clone()));
    let error = import(&zip(&entries(Pickle::of(&tensors), storages(&views())))).unwrap_err();
    assert!(error.to_string().contains("`encoder` twice"), "{error}");
}

#[test]
fn a_nested_model_is_found_and_what_is_beside_it_is_told() {
    for key in ["model", "model_state_dict", "state_dict"] {
        let pickle = Pickle::new()
            .raw(b"}(")
            .text("step")
            .int(3000)
            .text(key)
            .dictionary(&views());
        let pickle = pickle.text("optimizer").raw(b"}u.").0;
        let imported = import(&zip(&entries(pickle, storages(&views())))).unwrap();
        assert_is_the_model(&imported);
        let notes = imported.notes.join("; ");
        assert!(
            notes.contains(&format!("`{key}`")) && notes.contains("step, optimizer"),
            "{notes}"
        );
    }
}

#[test]
fn an_ordered_dictionary_with_attributes_and_parameters_is_a_dictionary() {
    let mut pickle = Pickle::new().global("collections", "OrderedDict").raw(b")R(");
    for (name, view) in views() {
        pickle = pickle
            .text(&name)
            .global("torch._utils", "_rebuild_parameter")
            .raw(b"(")
            .tensor(&view);
        pickle = pickle
            .raw(b"\x88")
            .global("collections", "OrderedDict")
            .raw(b")RtR");
    }
    // What state_dict() hangs on to it: {'_metadata': {'': {'version': 1}}}
    let pickle = pickle
        .raw(b"u}")
        .text("_metadata")
        .raw(b"}")
        .text("")
        .raw(b"}")
        .text("version");
    let pickle = pickle.int(1).raw(b"sssb.").0;
    assert_is_the_model(&import(&zip(&entries(pickle, storages(&views())))).unwrap());
}

#[test]
fn a_pickle_of_protocol_4_is_read_too() {
    let short = |pickle: Pickle, text: &str| {
        pickle
            .raw(&[0x8c, text.len() as u8])
            .raw(text.as_bytes())
            .raw(b"\x94")
    };
    let mut pickle = Pickle(vec![0x80, 4])
        .raw(b"\x95")
        .raw(&99u64.to_le_bytes())
        .raw(b"}\x94(");
    for (name, view) in views() {
        pickle = short(short(short(pickle, &name), "torch._utils"), "_rebuild_tensor_v2").raw(b"\x93\x94(");
        pickle = pickle
            .storage(view.kind, view.key, view.entries)
            .int(0)
            .ints(&view.sizes)
            .ints(&view.strides);
        pickle = short(short(pickle.raw(b"\x89"), "collections"), "OrderedDict").raw(b"\x93)RtR");
    }
    assert_is_the_model(&import(&zip(&entries(pickle.raw(b"u.").0, storages(&views())))).unwrap());
}

#[test]
fn what_no_official_model_reads_is_passed_over_and_told() {
    let mut tensors = views();
    tensors.push(("lm_gate".into(), View::new("5", &[4, 1])));
    let imported = import(&zip(&entries(Pickle::of(&tensors), storages(&tensors)))).unwrap();
    assert_is_the_model(&imported);
    assert!(imported.notes[0].contains("lm_gate"), "{:?}", imported.notes);
}

#[test]
fn a_tensor_that_is_unknown_is_refused_by_name() {
    let mut tensors = views();
    tensors.push(("_orig_mod.blocks.0.weight".into(), View::new("5", &[4, 1])));
    let error = import(&zip(&entries(Pickle::of(&tensors), storages(&tensors)))).unwrap_err();
    assert!(error.to_string().contains("_orig_mod.blocks.0.weight"), "{error}");
}

#[test]
fn a_transposed_view_is_read_as_it_is_looked_at() {
    let mut tensors = views();
    let decoder = &mut tensors[3].1; // [8, 4], kept as [4, 8]
    decoder.strides = vec![1, 8];
    let imported = import(&zip(&entries(Pickle::of(&tensors), storages(&tensors)))).unwrap();
    let kept = plain("3", 32);
    let looked_at: Vec<f32> = (0..32).map(|entry| kept[entry % 4 * 8 + entry / 4]).collect();
    assert_eq!(values(&imported, "encoder"), looked_at);
}

#[test]
fn views_of_one_storage_begin_where_they_say() {
    let mut tensors = views();
    let mut storage = storages(&tensors);
    storage[0] = Entry::new("weights/data/0", {
        let values = (0..40).flat_map(|place| value("0", place).to_le_bytes());
        values.collect::<Vec<u8>>()
    });
    storage.pop(); // lm_head lies in the storage of embed.weight
    (tensors[0].1.entries, tensors[0].1.offset) = (40, 3);
    (tensors[4].1.key, tensors[4].1.entries, tensors[4].1.offset) = ("0", 40, 20);
    let imported = import(&zip(&entries(Pickle::of(&tensors), storage))).unwrap();
    let whole = plain("0", 40);
    assert_eq!(values(&imported, "embed"), whole[3..19]);
    assert_eq!(values(&imported, "lm_head"), whole[20..36]);
}

#[test]
fn halves_are_widened_without_a_change() {
    use burn::tensor::{bf16, f16};
    type Bytes = fn(f32) -> [u8; 2];
    type Rounded = fn(f32) -> f32;
    let kinds: [(&str, Bytes, Rounded); 2] = [
        (
            "HalfStorage",
            |v| f16::from_f32(v).to_le_bytes(),
            |v| f16::from_f32(v).to_f32(),
        ),
        (
            "BFloat16Storage",
            |v| bf16::from_f32(v).to_le_bytes(),
            |v| bf16::from_f32(v).to_f32(),
        ),
    ];
    for (kind, bytes, rounded) in kinds {
        let (mut tensors, mut storage) = (views(), storages(&views()));
        tensors[2].1.kind = kind;
        let halves = plain("2", 32).into_iter().flat_map(bytes);
        storage[2] = Entry::new("weights/data/2", halves.collect::<Vec<u8>>());
        let imported = import(&zip(&entries(Pickle::of(&tensors), storage))).unwrap();
        let expected: Vec<f32> = plain("2", 32).into_iter().map(rounded).collect();
        assert_eq!(values(&imported, "decoder_y"), expected, "{kind}");
    }
}

#[test]
fn doubles_are_refused_since_f32_would_round_them() {
    let (mut tensors, mut storage) = (views(), storages(&views()));
    tensors[2].1.kind = "DoubleStorage";
    storage[2] = Entry::new("weights/data/2", vec![0; 32 * 8]);
    let error = import(&zip(&entries(Pickle::of(&tensors), storage))).unwrap_err();
    assert!(error.to_string().contains("`encoder_v` is f64"), "{error}");
}

#[test]
fn frequencies_of_another_theta_or_another_layout_are_refused() {
    let turns = |theta: f32, pair: usize| theta.powf(-(pair as f32) / 4.0) / std::f32::consts::TAU;
    let pairs = |theta: f32| {
        (0..8)
            .map(move |neuron| turns(theta, neuron / 2))
            .collect::<Vec<f32>>()
    };
    let halves = (0..8).map(|neuron| turns(65536.0, neuron % 4)).collect();
    let cases = [
        (pairs(65536.0), true),
        (pairs(10000.0), false),
        (pairs(65000.0), false),
        (halves, false),
        (vec![f32::NAN; 8], false),
    ];
    for (frequencies, fine) in cases {
        let (mut tensors, mut storage) = (views(), storages(&views()));
        tensors.push(("attn.freqs".into(), View::new("5", &[1, 1, 1, 8])));
        let bytes: Vec<u8> = frequencies
            .iter()
            .flat_map(|turns: &f32| turns.to_le_bytes())
            .collect();
        storage.push(Entry::new("weights/data/5", bytes));
        let imported = import(&zip(&entries(Pickle::of(&tensors), storage)));
        match imported {
            Ok(imported) => assert!(fine, "{frequencies:?}: {:?}", imported.notes),
            Err(error) => {
                assert!(!fine, "{error}");
                assert!(error.to_string().contains("rope_theta"), "{error}");
            }
        }
    }
}
