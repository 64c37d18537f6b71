//! What a newcomer runs into: each answered with the thing, its value and the way out.

use crate::support::{Place, checkpoint, flip_a_byte};
use burn::tensor::Device;
use burn_dragon::api::checkpoint::{ModelInfo, StoredTensor};
use burn_dragon::api::core::{Dragon, DragonConfig};
use burn_dragon::api::language::model_file;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

#[test]
fn a_misspelt_key_is_answered_with_the_right_one() {
    let place = Place::new();
    let answer = place.train(&["training.max_step=3"]);
    answer.refused(
        2,
        &[
            "training.max_step",
            "command line",
            "did you mean `training.max_steps`",
        ],
    );
    place.write("mine.toml", "[model]\nd_modle = 16\n");
    let answer = place.dragon(&["train", "-c", "mine.toml"]);
    answer.refused(
        2,
        &["model.d_modle", "mine.toml:2", "did you mean `model.d_model`"],
    );
}

#[test]
fn a_key_of_another_family_of_values_is_answered_with_what_is_possible() {
    let place = Place::new();
    place
        .train(&["colour=red"])
        .refused(2, &["colour", "training", "model"]);
    place
        .train(&["schedule.type=cosin"])
        .refused(2, &["schedule.type", "did you mean `cosine`"]);
    place
        .train(&["training.max_steps=many"])
        .refused(2, &["training.max_steps", "whole number", "many"]);
    place
        .train(&["training.seed=-1"])
        .refused(2, &["training.seed", "from 0 to 18446744073709551615", "-1"]);
    place.train(&["=3"]).refused(2, &["key.path=value", "empty"]);
}

#[test]
fn a_missing_text_is_named_with_its_neighbour() {
    let place = Place::new();
    place.write("shakespeare.txt", "To be, or not to be.\n".repeat(100));
    let answer = place.train_on("shakespear.txt", &[]);
    answer.refused(
        1,
        &[
            "there is no file or folder",
            "shakespear.txt",
            "did you mean shakespeare.txt",
        ],
    );
}

#[test]
fn a_pattern_without_a_match_and_a_folder_without_text_say_what_would_be_text() {
    let place = Place::new();
    place
        .train_on("*.txt", &[])
        .refused(1, &["*.txt", "matches no file"]);
    std::fs::create_dir(place.path("empty")).unwrap();
    place
        .train_on("empty", &[])
        .refused(1, &["empty", "*.txt", "*.md"]);
}

#[test]
fn a_missing_configuration_file_is_named() {
    Place::new()
        .dragon(&["train", "-c", "mine.toml"])
        .refused(2, &["mine.toml"]);
}

#[test]
fn a_configuration_that_is_not_toml_is_named_with_its_line() {
    let place = Place::new();
    place.write("mine.toml", "[model]\nd_model 16\n");
    place
        .dragon(&["train", "-c", "mine.toml"])
        .refused(2, &["mine.toml:2", "not valid TOML"]);
}

#[test]
fn an_empty_corpus_is_refused() {
    let place = Place::new();
    place.write("blank.txt", " \n\n");
    place.train_on("blank.txt", &[]).refused(1, &["empty", "paths"]);
}

#[test]
fn a_text_shorter_than_a_window_is_refused_with_both_lengths() {
    let place = Place::new();
    place.write("short.txt", "To be, or not to be.\n");
    place
        .train_on("short.txt", &[])
        .refused(1, &["19 tokens", "33", "shorter windows"]);
}

#[test]
fn a_vocabulary_that_is_not_the_tokenizers_is_refused_with_both_sizes() {
    let answer = Place::new().train(&["model.vocab_size=100"]);
    answer.refused(2, &["100", "256", "leave out model.vocab_size"]);
}

#[test]
fn a_batch_too_large_for_memory_is_refused_with_both_sizes_and_what_to_lower() {
    if !cfg!(target_os = "linux") {
        return; // nobody tells how much there is
    }
    let place = Place::new();
    for mode in [&[][..], &["--dry-run"]] {
        let answer = place.train(&[&["training.batch_size=100000000"], mode].concat());
        answer.refused(
            1,
            &["GiB", "available", "training.batch_size", "training.accumulate"],
        );
    }
}

#[test]
fn a_shape_that_no_model_can_have_is_refused_with_the_nearest_rule() {
    let place = Place::new();
    place
        .train(&["model.n_neurons=65"])
        .refused(2, &["model.n_neurons = 65", "n_heads = 4", "multiple of 8"]);
    place
        .train(&["model.n_heads=0"])
        .refused(2, &["model.n_heads is 0"]);
    place
        .train(&["model.dropout=1.0"])
        .refused(2, &["model.dropout = 1", "1.6e-5 to 0.99998"]);
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let place = Place::new();
    for (setting, says) in [
        ("optimizer.learning_rate=0", "optimizer.learning_rate = 0"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate = NaN"),
        ("optimizer.beta_1=1", "optimizer.beta_1 = 1"),
        ("optimizer.eps=0", "optimizer.eps = 0"),
        ("optimizer.weight_decay=-0.1", "optimizer.weight_decay = -0.1"),
        ("optimizer.groups=[{parameters=[\"encodr\"]}]", "`encodr`"),
        ("schedule.final_factor=2", "`final_factor`"),
        ("schedule={type=\"wsd\",decay_steps=100}", "decay_steps = 100"),
        ("training.accumulate=0", "training.accumulate = 0"),
        ("training.clip_norm=0", "training.clip_norm = 0"),
        ("training.epochs=0", "training.epochs = 0"),
        ("training.log_every=0", "training.log_every = 0"),
        ("training.guard.window=4", "training.guard.window = 4"),
        ("training.guard.loss_z=0", "training.guard.loss_z = 0"),
        ("training.guard.norm_z=inf", "training.guard.norm_z = inf"),
        ("training.guard.patience=0", "training.guard.patience = 0"),
        ("training.guard.policy=skp", "did you mean `skip`"),
        (
            "training.guard.pateince=3",
            "did you mean `training.guard.patience`",
        ),
        ("evaluation.batches=0", "evaluation.batches = 0"),
        ("checkpoint.keep=0", "checkpoint.keep = 0"),
        ("generation.top_k=0", "generation.top_k"),
        ("generation.prompt=", "generation.prompt"),
        ("dataset.train_bytes=0", "train_bytes"),
        ("dataset.mix={seedling=0,sprout=0,grown=0}", "mix"),
    ] {
        for mode in [&[][..], &["--dry-run"]] {
            place.train(&[&[setting], mode].concat()).refused(2, &[says]);
        }
    }
    place
        .train(&["--max-steps", "0"])
        .refused(2, &["--max-steps", "0 is not in 1.."]);
    place.train(&["--max-steps", "-1"]).refused(2, &["-1"]);
}

#[test]
fn a_prompt_that_the_tokenizer_cannot_read_is_refused_before_the_first_step() {
    let place = Place::new();
    place.write("text.txt", "abcdefghij ".repeat(300));
    let answer = place.train_on(
        "text.txt",
        &[
            "dataset.tokenizer={type=\"char\",special_tokens=false}",
            "generation.prompt=Mira",
        ],
    );
    answer.refused(2, &["generation.prompt", "'M'", "special_tokens = true"]);
}

#[test]
fn a_family_or_a_backend_that_does_not_exist_is_refused_with_those_that_do() {
    let place = Place::new();
    place
        .dragon(&["train", "poetry"])
        .refused(2, &["poetry", "language", "KEY=VALUE"]);
    place
        .dragon(&["train", "--backend", "abacus"])
        .refused(2, &["abacus", "auto", "cpu", "wgpu", "cuda"]);
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_backend_that_is_not_compiled_in_gives_the_command_to_get_it() {
    let answer = Place::new().train(&["--backend", "cuda"]);
    answer.refused(
        2,
        &[
            "cuda",
            "cargo run --release -p burn_dragon_cli --features cuda -- --backend cuda",
        ],
    );
}

#[test]
fn a_model_that_is_not_there_says_what_makes_one() {
    let place = Place::new();
    for verb in ["eval", "generate", "info"] {
        place
            .dragon(&[verb, "runs/latest"])
            .refused(1, &["runs/latest", "dragon train"]);
    }
    std::fs::create_dir(place.path("folder")).unwrap();
    place
        .dragon(&["info", "folder"])
        .refused(1, &["folder", "checkpoint/", "model.bpk"]);
}

#[test]
fn a_flipped_byte_is_noticed_in_a_checkpoint_and_in_a_file_of_its_own() {
    let place = Place::trained();
    let model = checkpoint(&place.path("run"), 12).join("model.bpk");
    flip_a_byte(&model);
    std::fs::copy(&model, place.path("alone.bpk")).unwrap();
    let asked = place.dragon(&["generate", "run", "--step", "12"]);
    asked.refused(3, &["step-000012/model.bpk", "blake3", "by step: 10"]);
    let fallen_back = place.dragon(&["generate", "run"]).done().stderr;
    for part in ["passed over", "step-000012/model.bpk", "blake3", "step 10"] {
        assert!(fallen_back.contains(part), "`{part}` is not in: {fallen_back}");
    }
    let sound = place.dragon(&["generate", "run", "--step", "10"]).done().stderr;
    assert!(!sound.contains("passed over"), "{sound}");
    for path in [
        "run/checkpoint/step-000012",
        "run/checkpoint/step-000012/model.bpk",
        "alone.bpk",
    ] {
        place.dragon(&["info", path]).refused(3, &[".bpk", "blake3"]);
    }
}

#[test]
fn a_file_that_was_cut_off_is_noticed_wherever_it_was_cut() {
    let place = Place::trained();
    let model = checkpoint(&place.path("run"), 12).join("model.bpk");
    let whole = std::fs::read(&model).unwrap();
    for length in [0, 3, 20, 300, whole.len() / 2, whole.len() - 1] {
        place.write("cut.bpk", &whole[..length]);
        place.dragon(&["info", "cut.bpk"]).refused(3, &["cut.bpk"]);
    }
    std::fs::write(&model, &whole[..whole.len() / 2]).unwrap();
    place
        .dragon(&["info", "run", "--step", "12"])
        .refused(3, &["model.bpk", "bytes", "manifest"]);
}

#[test]
fn a_text_under_the_name_of_a_model_is_noticed() {
    let place = Place::new();
    place.write(
        "model.bpk",
        "Once upon a time there was a file that was no model.\n".repeat(9),
    );
    place
        .dragon(&["info", "model.bpk"])
        .refused(3, &["model.bpk", "not what it should be"]);
    place.write("model.safetensors", "Once upon a time.");
    place.write("meta.json", "{}");
    let official = ["info", "model.safetensors", "--model-config", "meta.json"];
    place.dragon(&official).refused(3, &["meta.json", "n_layer"]);
}

#[test]
fn a_model_whose_tokenizer_has_another_vocabulary_is_noticed() {
    let place = Place::new();
    let config = DragonConfig {
        vocab_size: 100,
        n_neurons: 64,
        d_model: 16,
        ..DragonConfig::tiny()
    };
    let dragon = Dragon::new(&config, 1, &Device::flex()).unwrap();
    let file = model_file(&dragon, ModelInfo::default(), Some(r#"{"type":"byte"}"#.into()));
    file.write(&place.path("odd.bpk")).unwrap();
    place
        .dragon(&["info", "odd.bpk"])
        .refused(3, &["odd.bpk", "100", "256"]);
}

#[test]
fn weights_that_are_not_numbers_are_noticed() {
    let place = Place::new();
    let config = DragonConfig {
        n_neurons: 64,
        d_model: 16,
        ..DragonConfig::tiny()
    };
    let dragon = Dragon::new(&config, 1, &Device::flex()).unwrap();
    let mut file = model_file(&dragon, ModelInfo::default(), None);
    let values = vec![f32::NAN; 64 * 16];
    file.tensors.insert(
        "encoder".into(),
        StoredTensor::Float(burn::tensor::TensorData::new(values, [64, 16])),
    );
    file.write(&place.path("nan.bpk")).unwrap();
    place
        .dragon(&["info", "nan.bpk"])
        .refused(3, &["nan.bpk", "`encoder`", "not finite"]);
}

/// Official weights of one level, width 4, one head, eight neurons and four tokens, all zero but for one edit.
fn write_official(place: &Place, edit: impl Fn(&mut Vec<(&'static str, Vec<usize>, f32)>)) {
    let meta = r#"{"n_layer":1,"n_embd":4,"n_head":1,"mlp_internal_dim_multiplier":2,"vocab_size":4,"rope_theta":65536}"#;
    place.write("meta.json", meta);
    let mut tensors = vec![
        ("embed.weight", vec![4, 4], 0.0),
        ("encoder", vec![1, 4, 8], 0.0),
        ("encoder_v", vec![1, 4, 8], 0.0),
        ("decoder", vec![8, 4], 0.0),
        ("lm_head", vec![4, 4], 0.0),
    ];
    edit(&mut tensors);
    let bytes = |shape: &[usize], value: f32| value.to_le_bytes().repeat(shape.iter().product());
    let tensors: Vec<_> = tensors
        .into_iter()
        .map(|(name, shape, value)| (name, bytes(&shape, value), shape))
        .collect();
    let views = tensors
        .iter()
        .map(|(name, bytes, shape)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    place.write(
        "weights.safetensors",
        safetensors::serialize(views, None).unwrap(),
    );
}

#[test]
fn a_fault_in_official_weights_is_told_under_the_official_name() {
    let place = Place::new();
    let info = ["info", "weights.safetensors", "--model-config", "meta.json"];
    write_official(&place, |_| ());
    place.dragon(&info).done();
    write_official(&place, |tensors| tensors.retain(|(name, ..)| *name != "decoder"));
    place.dragon(&info).refused(
        3,
        &["weights.safetensors", "lacks the tensor `decoder`", "[8, 4]"],
    );
    write_official(&place, |tensors| tensors[1].1 = vec![1, 8, 4]);
    place
        .dragon(&info)
        .refused(3, &["tensor `encoder`", "[1, 8, 4]", "[1, 4, 8]"]);
    write_official(&place, |tensors| tensors[2].2 = f32::INFINITY);
    place
        .dragon(&info)
        .refused(3, &["tensor `encoder_v`", "not finite"]);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_names_the_step() {
    let answer = Place::new().train(&["optimizer.learning_rate=1e30"]);
    answer.refused(
        1,
        &[
            "the loss of step",
            "optimizer.learning_rate",
            "training.clip_norm",
        ],
    );
}

#[test]
fn an_output_folder_that_is_a_file_is_named() {
    let place = Place::new();
    place.write("taken", "");
    place.train(&["--out", "taken"]).refused(1, &["taken"]);
}

#[test]
fn help_and_version_are_no_errors() {
    let place = Place::new();
    let help = place.dragon(&["--help"]).done();
    for verb in [
        "train", "eval", "generate", "chat", "state", "forward", "info", "convert", "inspect", "verify",
        "diff",
    ] {
        assert!(help.stdout.contains(verb), "{}", help.stdout);
    }
    let version = place.dragon(&["--version"]).done();
    assert_eq!(version.stdout, format!("dragon {}\n", env!("CARGO_PKG_VERSION")));
    place.dragon(&["train", "--help"]).done();
}
