//! Language models with packed matrices: the same function, the same text, in every file.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_checkpoint::api::{
    Codes, Coding, ExportOptions, Kinds, ModelFile, ModelInfo, ModelKind, StoredPrecision, StoredTensor,
    export, read_parts,
};
use burn_dragon_core::api::low_bit::{Packing, Protocol, QuantConfig, Target, WeightFormat, WeightGrouping};
use burn_dragon_core::api::{Decoder, Dragon, DragonConfig};
use burn_dragon_exchange::api::{Form, ModelPath, diff, read_any};
use burn_dragon_language::api::{LANGUAGE, dragon, model_file};
use std::path::Path;

fn kinds() -> Kinds {
    Kinds::new([&LANGUAGE as &dyn ModelKind])
}

/// A model with low-bit matrices of 72 neurons a head: a group of 64 and one of 8.
fn made(protocol: Protocol, format: Option<WeightFormat>, grouping: WeightGrouping) -> Dragon {
    let quant = QuantConfig {
        protocol,
        weight_format: format,
        weight_grouping: grouping,
        target_modules: Target::ALL.to_vec(),
        ..QuantConfig::default()
    };
    let config = DragonConfig {
        d_model: 24,
        n_heads: 2,
        n_neurons: 144,
        quant: Some(quant),
        ..DragonConfig::tiny()
    };
    Dragon::new(&config, 3, &Device::flex()).unwrap()
}

fn kinds_of_models() -> Vec<Dragon> {
    use WeightGrouping::{PerGroup, PerHeadGroup, PerTensor};
    vec![
        made(Protocol::BitnetB158, None, PerTensor),
        made(Protocol::BitnetB158, None, PerHeadGroup),
        made(Protocol::BitnetB158, Some(WeightFormat::Packed2), PerGroup),
        made(Protocol::BitnetB158, Some(WeightFormat::Int8), PerGroup),
        made(Protocol::BitnetB1, None, PerHeadGroup),
    ]
}

fn logits(dragon: &Dragon) -> Vec<f32> {
    let ids: Vec<i32> = (0..40).map(|at| at * 7 % 256).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [2, 20]), &dragon.device());
    dragon.forward(tokens).into_data().try_into_vec().unwrap()
}

fn packed(dragon: &Dragon, packing: Packing) -> ModelFile {
    LANGUAGE
        .packed(model_file(dragon, ModelInfo::default(), None), packing)
        .unwrap()
}

#[test]
fn a_packed_model_is_the_same_function_in_every_packing_and_after_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for model in kinds_of_models() {
        let expected = logits(&model);
        let mut hashes = Vec::new();
        for packing in [Packing::TwoBits, Packing::BaseThree] {
            let file = packed(&model, packing);
            let path = folder.path().join("model.bpk");
            file.write(&path).unwrap();
            let read = ModelPath::new(&path).load(&kinds()).unwrap().model;
            assert!(diff(&read, &file).equal);
            hashes.push(read.hash());
            let again = dragon(read.clone(), &path, &Device::flex()).unwrap();
            let found = logits(&again);
            let most = expected.iter().fold(0f32, |most, logit| most.max(logit.abs()));
            let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            assert!(apart.fold(0f32, f32::max) <= 2e-6 * most);
            // What was packed is packed again in the same numbers.
            let repacked = LANGUAGE.packed(read, packing).unwrap();
            for target in Target::ALL {
                assert_eq!(repacked.tensors[target.name()], file.tensors[target.name()]);
            }
        }
        assert_eq!(
            hashes[0], hashes[1],
            "the hash is of the numbers, not of their packing"
        );
    }
}

#[test]
fn ternary_files_are_as_small_as_their_packing() {
    let model = made(Protocol::BitnetB158, None, WeightGrouping::PerTensor);
    for (packing, bits) in [(Packing::TwoBits, 2.0), (Packing::BaseThree, 1.6875)] {
        let file = packed(&model, packing);
        for target in Target::ALL {
            let StoredTensor::Codes(codes) = &file.tensors[target.name()] else {
                panic!("{} is packed", target.name());
            };
            assert_eq!(codes.coding(), Coding::Whole(packing));
            let numbers = codes.numbers().len() as f64;
            let given = file.tensors[target.name()].data().as_bytes().len() as f64 * 8.0 / numbers;
            assert!((given - bits).abs() < 0.2, "{packing}: {given} bits a number"); // with the filling of a last block
        }
    }
}

#[test]
fn packed_models_go_to_official_weights_and_back_and_into_parts() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut config = made(Protocol::BitnetB158, None, WeightGrouping::PerHeadGroup)
        .config()
        .clone();
    config.n_neurons = 192; // a multiple of the width, as official models have
    let model = Dragon::new(&config, 5, &Device::flex()).unwrap();
    let file = packed(&model, Packing::TwoBits);
    let official = at("model.safetensors");
    let notes = Form::Safetensors.write(&file, &LANGUAGE, &official).unwrap();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("rounds what its matrices are multiplied with")),
        "{notes:?}"
    );
    let back = read_any(&ModelPath::new(&official), &kinds())
        .unwrap()
        .loaded
        .model;
    assert!(diff(&back, &file).equal, "{:?}", diff(&back, &file));
    assert_eq!(back.hash(), file.hash());
    let loaded = ModelPath::new(&official).load(&kinds()).unwrap().model;
    assert_eq!(loaded.hash(), file.hash());
    // Of a model that rounds in every pass, official weights would be another function.
    let plain = model_file(&model, ModelInfo::default(), None);
    let error = Form::Safetensors
        .write(&plain, &LANGUAGE, &at("other.safetensors"))
        .unwrap_err();
    assert!(error.to_string().contains("--low-bit"), "{error}");
    let options = ExportOptions {
        precision: StoredPrecision::Bf16,
        max_part_bytes: Some(2000),
        overwrite: false,
    };
    let exported = export(packed(&model, Packing::BaseThree), &at("model.bpk"), options).unwrap();
    assert!(exported.parts > 1);
    let parts = read_parts(&exported.manifest.unwrap(), |_| {}).unwrap();
    kinds().check(&parts, Path::new("parts")).unwrap();
}

#[test]
fn models_that_are_not_low_bit_and_files_that_are_not_what_they_say_are_refused() {
    let plain = Dragon::new(&DragonConfig::tiny(), 1, &Device::flex()).unwrap();
    let file = model_file(&plain, ModelInfo::default(), None);
    let error = LANGUAGE.packed(file, Packing::TwoBits).unwrap_err();
    assert!(error.contains("[model.quant]"), "{error}");

    let model = made(Protocol::BitnetB158, None, WeightGrouping::PerHeadGroup);
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, change: &dyn Fn(&mut ModelFile)| {
        let mut file = packed(&model, Packing::TwoBits);
        change(&mut file);
        let path = folder.path().join(name);
        file.write(&path).unwrap();
        let loaded = ModelPath::new(&path).load(&kinds());
        let opened = loaded.and_then(|loaded| dragon(loaded.model, &path, &Device::flex()));
        opened.unwrap_err().to_string()
    };
    let floats = |count: usize, value: f32| StoredTensor::Float(TensorData::new(vec![value; count], [count]));
    let scales = |file: &mut ModelFile, tensor| {
        file.tensors.insert("decoder_x.scales".into(), tensor);
    };
    assert!(refused("count", &|file| scales(file, floats(3, 1.0))).contains("decoder_x.scales"));
    assert!(refused("negative", &|file| scales(file, floats(2, -1.0))).contains("scale 0"));
    assert!(refused("zero", &|file| scales(file, floats(2, 0.0))).contains("scale 0"));
    let numbers = |file: &mut ModelFile, shape: &[usize]| {
        let codes = Codes::whole(&vec![1; 24 * 144], Packing::TwoBits, shape, "decoder_x.scales").unwrap();
        file.tensors
            .insert("decoder_x".into(), StoredTensor::Codes(codes));
    };
    assert!(refused("shape", &|file| numbers(file, &[2, 24, 72])).contains("decoder_x"));
    let as_floats = |file: &mut ModelFile| {
        let data = TensorData::new(vec![0f32; 24 * 144], [2, 72, 24]);
        file.tensors.insert("decoder_x".into(), StoredTensor::Float(data));
    };
    assert!(refused("floats", &as_floats).contains("whole numbers"));
    // Numbers that the format does not give: a decoder would find others in the floats.
    let of_bytes = |file: &mut ModelFile| {
        let codes = Codes::whole(&[3; 24 * 144], Packing::Bytes, &[2, 72, 24], "decoder_x.scales").unwrap();
        file.tensors
            .insert("decoder_x".into(), StoredTensor::Codes(codes));
    };
    assert!(refused("bytes", &of_bytes).contains("is 3, but 1"));
}

#[test]
fn weights_of_any_size_are_packed_or_refused() {
    for protocol in [Protocol::BitnetB158, Protocol::BitnetB1] {
        let model = made(protocol, None, WeightGrouping::PerGroup);
        let with = |value: f32| {
            let mut file = model_file(&model, ModelInfo::default(), None);
            let data = TensorData::new(vec![value; 24 * 144], [144, 24]);
            file.tensors.insert("encoder".into(), StoredTensor::Float(data));
            file
        };
        let zeros = LANGUAGE.packed(with(0.0), Packing::TwoBits).unwrap();
        dragon(zeros, Path::new("zeros"), &Device::flex()).unwrap();
        let error = LANGUAGE.packed(with(3e38), Packing::TwoBits).unwrap_err();
        assert!(error.contains("scale 0"), "{error}");
        // What cannot be packed is decoded by its tensors, and says what comes of it.
        let huge = dragon(with(3e38), Path::new("huge"), &Device::flex()).unwrap();
        let mut decoder = Decoder::new(&huge, 1);
        assert_eq!(decoder.step(&[1]).unwrap().len(), 256);
    }
}
