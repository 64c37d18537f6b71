//! A model's file: sound containers under a right hash, whose contents are wrong.

use crate::craft::*;
use burn::tensor::{DType, TensorData};

/// The model with another configuration.
fn config(part: &str, with: &str) -> Vec<u8> {
    with_text(sound_model(), "config", &replaced(CONFIG, part, with))
}

/// The model of now with its readout as codes: two of four bits a byte, of which a text says this.
fn codes(said: &str) -> Vec<u8> {
    let packed = TensorData::new(vec![0x21u8, 0x43, 0x65, 0x87], [4]);
    edited(sound_model_2(), |file| {
        file.tensors.insert("lm_head".into(), packed);
        file.metadata.insert("codes".into(), said.into());
    })
}

/// The model of now with its readout as whole numbers, in bytes of which a text says how they are packed.
fn whole(packing: &str, bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes.len();
    edited(sound_model_2(), |file| {
        let packed = TensorData::new(bytes, [length]);
        file.tensors.insert("lm_head".into(), packed);
        let said = format!(r#"{{"lm_head":{{{packing},"shape":[2,4],"scales":"embed"}}}}"#);
        file.metadata.insert("codes".into(), said);
    })
}

/// The model of now with another configuration.
fn config_2(part: &str, with: &str) -> Vec<u8> {
    with_text(sound_model_2(), "config", &replaced(CONFIG, part, with))
}

attacks! { Model, "bpk":
    without_a_format: "without a model's description" = without_text(sound_model(), "format");
    of_another_format: "its format is `burn_dragon.model/9`" = with_text(sound_model(), "format", "burn_dragon.model/9");
    a_memory_for_a_model: "its format is `burn_dragon.state/2`" = written(&sound_state());
    config_missing: "no `config`" = without_text(sound_model(), "config");
    config_not_json: "config: " = with_text(sound_model(), "config", "{");
    config_nested_deeply: "config: " = with_text(sound_model(), "config", &"[".repeat(3000));
    config_with_an_unknown_key: "unknown field" = config(r#""n_levels""#, r#""run":"me","n_levels""#);
    config_with_a_key_twice: "duplicate field" = config(r#""n_levels""#, r#""d_model":2,"n_levels""#);
    config_too_long: "at most 32768" = with_text(sound_model(), "config", &" ".repeat(1 << 20));
    config_of_no_levels: "n_levels is 0" = config(r#""n_levels":1"#, r#""n_levels":0"#);
    config_of_endless_levels: "n_levels = 1000000000000000000" = {
        config(r#""n_levels":1"#, r#""n_levels":1000000000000000000"#)
    };
    config_of_endless_heads: "n_heads = 9223372036854775808" = {
        let decay = r#""n_heads":9223372036854775808,"decay":{"type":"standard"}"#;
        config(r#""n_heads":1"#, decay)
    };
    config_sizes_overflow: "at most" = {
        let sizes = replaced(CONFIG, r#""n_neurons":2"#, r#""n_neurons":4611686018427387904"#);
        with_text(sound_model(), "config", &replaced(&sizes, r#""d_model":2"#, r#""d_model":4611686018427387904"#))
    };
    config_with_a_negative_size: "config: " = config(r#""d_model":2"#, r#""d_model":-2"#);
    config_with_a_huge_number: "config: " = config(r#""d_model":2"#, r#""d_model":1e999"#);
    config_not_a_number: "config: " = config("65536.0", "null");
    config_out_of_range: "rope_theta" = config("65536.0", "-1.0");
    config_of_slopes_for_other_heads: "2 slopes" = {
        config(r#""n_heads":1"#, r#""n_heads":1,"decay":{"type":"custom","slopes":[0.1,0.2]}"#)
    };
    info_missing: "no `info`" = without_text(sound_model(), "info");
    info_not_json: "info: " = with_text(sound_model(), "info", "3");
    info_nested_deeply: "info: " = {
        let deep = format!(r#"{{"x":{}"#, "[".repeat(3000));
        with_text(sound_model(), "info", &deep)
    };
    tensor_missing: "lacks the tensor `encoder`" = without_tensor(sound_model(), "encoder");
    tensor_too_many: "does not have: lm_gate" = with_tensor(sound_model(), "lm_gate", ones(&[1]));
    tensor_named_like_a_path: "does not have: ../../embed" = with_tensor(sound_model(), "../../embed", ones(&[1]));
    tensor_named_like_a_root: "does not have: /etc/passwd" = with_tensor(sound_model(), "/etc/passwd", ones(&[1]));
    shape_of_another_model: "shape [4, 3]" = with_tensor(sound_model(), "embed", ones(&[4, 3]));
    config_of_another_model: "configuration asks for [8, 2]" = config(r#""vocab_size":4"#, r#""vocab_size":8"#);
    tensor_of_no_axes: "shape []" = with_tensor(sound_model(), "embed", ones(&[]));
    weights_not_numbers: "not finite" = {
        with_tensor(sound_model(), "lm_head", TensorData::new(vec![f32::NAN; 8], [2, 4]))
    };
    weights_infinite: "not finite" = {
        with_tensor(sound_model(), "lm_head", TensorData::new(vec![f32::NEG_INFINITY; 8], [2, 4]))
    };
    weights_infinite_in_half: "not finite" = {
        let data = TensorData::new(vec![f32::INFINITY; 8], [2, 4]).convert_dtype(DType::BF16);
        with_tensor(sound_model(), "lm_head", data)
    };
    weights_are_integers: "weights are f32" = with_tensor(sound_model(), "lm_head", TensorData::new(vec![1i32; 8], [2, 4]));
    tokenizer_of_another_vocabulary: "its tokenizer has 256" = with_text(sound_model(), "tokenizer", r#"{"type":"byte"}"#);
    tokenizer_not_json: "tokenizer" = with_text(sound_model(), "tokenizer", "abcd");
    tokenizer_with_a_character_twice: "listed twice" = {
        with_text(sound_model(), "tokenizer", r#"{"type":"char","special_tokens":false,"symbols":"abca"}"#)
    };
    family_missing: "no `family`" = without_text(sound_model_2(), "family");
    family_named_like_a_path: "not a plain name" = with_text(sound_model_2(), "family", "../language");
    family_that_a_terminal_obeys: "not a plain name" = with_text(sound_model_2(), "family", "language\u{1b}[2J");
    family_of_another_house: "of the family `sudoku`" = with_text(sound_model_2(), "family", "sudoku");
    family_config_not_an_object: "not a JSON object" = with_text(sound_model_2(), "config", "[1]");
    family_config_with_a_key_twice: "`d_model` is there twice" = config_2(r#""n_levels""#, r#""d_model":2,"n_levels""#);
    family_config_with_an_unknown_key: "unknown field" = config_2(r#""n_levels""#, r#""run":"me","n_levels""#);
    family_config_nested_deeply: "config: " = with_text(sound_model_2(), "config", &"{\"a\":".repeat(3000));
    family_config_too_long: "at most 32768" = with_text(sound_model_2(), "config", &" ".repeat(1 << 20));
    family_config_of_another_model: "configuration asks for [8, 2]" = config_2(r#""vocab_size":4"#, r#""vocab_size":8"#);
    family_units_negative: "info: " = with_text(sound_model_2(), "info", r#"{"step":1,"units":-1,"version":"0"}"#);
    family_reading_of_no_tokens: "reading: " = {
        let info = r#"{"step":1,"units":1,"version":"0","details":{"reading":{"block_size":0,"memory":"reset"}}}"#;
        with_text(sound_model_2(), "info", info)
    };
    asset_named_like_a_path: "not a plain name" = with_text(sound_model_2(), "asset.../../x", "y");
    asset_without_a_name: "not a plain name" = with_text(sound_model_2(), "asset.", "y");
    asset_of_another_vocabulary: "its tokenizer has 256" = {
        with_text(sound_model_2(), "asset.tokenizer.json", r#"{"type":"byte"}"#)
    };
    codes_for_floats: "holds codes of 4 bits, expected floats" = codes(r#"{"lm_head":{"bits":4,"shape":[2,4],"scales":"embed"}}"#);
    codes_not_described: "weights are f32" = codes("{}");
    codes_not_json: "codes: " = codes("[");
    codes_of_odd_bits: "1, 2, 4 or 8 bits" = codes(r#"{"lm_head":{"bits":3,"shape":[2,4],"scales":"embed"}}"#);
    codes_of_another_length: "are u8 [2]" = codes(r#"{"lm_head":{"bits":2,"shape":[2,4],"scales":"embed"}}"#);
    codes_without_end: "too large for this machine" = {
        codes(r#"{"lm_head":{"bits":4,"shape":[4611686018427387904,4],"scales":"embed"}}"#)
    };
    codes_of_many_axes: "codes: " = codes(r#"{"lm_head":{"bits":4,"shape":[1,1,1,1,1,1,1,2,4],"scales":"embed"}}"#);
    codes_of_nothing: "holds no code" = codes(r#"{"lm_head":{"bits":4,"shape":[0],"scales":"embed"}}"#);
    codes_without_scales: "its scales, `nothing`" = codes(r#"{"lm_head":{"bits":4,"shape":[2,4],"scales":"nothing"}}"#);
    codes_that_are_not_there: "its codes are not there" = codes(r#"{"x":{"bits":4,"shape":[2,4],"scales":"embed"}}"#);
    codes_described_twice: "is there twice" = {
        let one = r#""lm_head":{"bits":4,"shape":[2,4],"scales":"embed"}"#;
        codes(&format!("{{{one},{one}}}"))
    };
    whole_numbers_for_floats: "holds whole numbers, expected floats" = whole(r#""packing":"two_bits""#, vec![0x55; 32]);
    whole_numbers_of_no_trit: "byte 0" = whole(r#""packing":"two_bits""#, vec![0xff; 32]);
    whole_numbers_behind_the_last: "is not filled as packing does" = {
        whole(r#""packing":"two_bits""#, [vec![0x55; 31], vec![0x95]].concat())
    };
    whole_numbers_cut_off: "are u8 [32]" = whole(r#""packing":"two_bits""#, vec![0x55; 31]);
    whole_numbers_in_no_base: "never makes" = whole(r#""packing":"base_three""#, vec![0x01; 54]);
    whole_numbers_too_small: "-128" = whole(r#""packing":"bytes""#, vec![0x80; 8]);
    whole_numbers_of_another_packing: "this version does not know" = whole(r#""packing":"base_nine""#, vec![0; 8]);
    whole_numbers_packed_twice: "neither a number of bits nor a packing, or both" = {
        whole(r#""packing":"bytes","bits":8"#, vec![0; 8])
    };
    codes_behind_the_last: "not zero" = codes(r#"{"lm_head":{"bits":4,"shape":[7],"scales":"embed"}}"#);
}
