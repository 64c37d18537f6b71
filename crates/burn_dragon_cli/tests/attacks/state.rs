//! A memory's file: sound containers under a right hash, whose contents are wrong.

use crate::craft::*;
use burn::tensor::TensorData;

attacks! { State, "state":
    a_model_for_a_memory: "its format is `burn_dragon.model/1`" = written(&sound_model());
    without_a_format: "without a state's description" = without_text(sound_state(), "format");
    without_a_hash: "without one hash of its bytes" = {
        let described = floats(&[1, 1, 2, 2], (0, 16));
        container(&index_with(&[("rho.0", described)], &[(text("format"), text("burn_dragon.state/2"))]), 16)
    };
    of_an_older_format: "read the text again" = with_text(sound_state(), "format", "burn_dragon.state/1");
    seen_missing: "lacks the tensor `seen`" = without_tensor(sound_state(), "seen");
    seen_of_another_vocabulary: "configuration asks for [1, 4]" = {
        with_tensor(sound_state(), "seen", TensorData::new(vec![1u8, 0], [1, 2]))
    };
    seen_of_more_streams: "configuration asks for [1, 4]" = {
        with_tensor(sound_state(), "seen", TensorData::new(vec![1u8; 8], [2, 4]))
    };
    seen_twice: "bytes of 0 and 1 alone" = with_tensor(sound_state(), "seen", TensorData::new(vec![2u8, 0, 0, 0], [1, 4]));
    seen_in_numbers: "bytes of 0 and 1 alone" = with_tensor(sound_state(), "seen", ones(&[1, 4]));
    seen_nothing: "0 different tokens" = with_tensor(sound_state(), "seen", TensorData::new(vec![0u8; 4], [1, 4]));
    seen_more_than_was_read: "4 different tokens, but has read 3" = {
        with_tensor(sound_state(), "seen", TensorData::new(vec![1u8; 4], [1, 4]))
    };
    value_changed: "the blake3 of its bytes" = changed(written(&sound_state()), 1);
    config_missing: "no `config`" = without_text(sound_state(), "config");
    config_of_another_model: "configuration asks for [1, 1, 2, 4]" = {
        with_text(sound_state(), "config", &replaced(CONFIG, r#""d_model":2"#, r#""d_model":4"#))
    };
    config_of_more_levels: "lacks the tensor `rho.1`" = {
        with_text(sound_state(), "config", &replaced(CONFIG, r#""n_levels":1"#, r#""n_levels":2"#))
    };
    config_of_endless_levels: "at most 1024" = {
        with_text(sound_state(), "config", &replaced(CONFIG, r#""n_levels":1"#, r#""n_levels":18446744073709551615"#))
    };
    config_nested_deeply: "config: " = with_text(sound_state(), "config", &"{\"a\":".repeat(1000));
    info_missing: "no `info`" = without_text(sound_state(), "info");
    positions_missing: "no `positions`" = without_text(sound_state(), "positions");
    positions_of_no_lane: "positions: " = with_text(sound_state(), "positions", "");
    positions_without_end: "memories of 1 lanes" = {
        with_text(sound_state(), "positions", &format!("[0{}]", ",0".repeat(500_000)))
    };
    position_beyond_counting: "the farthest is" = with_text(sound_state(), "positions", "[18446744073709551615]");
    position_negative: "positions: " = with_text(sound_state(), "positions", "[-1]");
    precision_unknown: "precision: " = with_text(sound_state(), "precision", "f8");
    precision_of_other_values: "its details say bf16" = with_text(sound_state(), "precision", "bf16");
    memory_missing: "lacks the tensor `rho.0`" = without_tensor(sound_state(), "rho.0");
    memory_too_many: "does not have: rho.1" = with_tensor(sound_state(), "rho.1", ones(&[1, 1, 2, 2]));
    memory_of_other_axes: "shape [1, 2, 2]" = with_tensor(sound_state(), "rho.0", ones(&[1, 2, 2]));
    memory_of_no_axes: "shape []" = with_tensor(sound_state(), "rho.0", ones(&[]));
    memory_not_numbers: "not finite" = {
        with_tensor(sound_state(), "rho.0", TensorData::new(vec![f32::NAN; 4], [1, 1, 2, 2]))
    };
    memory_of_integers: "its details say f32" = with_tensor(sound_state(), "rho.0", TensorData::new(vec![1i32; 4], [1, 1, 2, 2]));
    window_of_no_tokens: "a window of 0 tokens" = {
        with_text(sound_state(), "info", r#"{"model":"","tokens":3,"version":"0","sliding":{"window":0,"younger":false}}"#)
    };
    window_of_half_a_stream: "2 memories per stream" = {
        with_text(sound_state(), "info", r#"{"model":"","tokens":3,"version":"0","sliding":{"window":4,"younger":true}}"#)
    };
    family_missing: "no `family`" = without_text(sound_state_3(), "family");
    family_named_like_a_path: "not a plain name" = with_text(sound_state_3(), "family", "a/b");
    family_of_another_house: "of the family `sudoku`" = with_text(sound_state_3(), "family", "sudoku");
    family_config_not_an_object: "not a JSON object" = with_text(sound_state_3(), "config", "7");
    family_positions_without_end: "memories of 1 lanes" = {
        with_text(sound_state_3(), "positions", &format!("[0{}]", ",0".repeat(500_000)))
    };
    family_details_without_precision: "no `precision`" = {
        with_text(sound_state_3(), "info", r#"{"model":"","units":3,"version":"0"}"#)
    };
    family_details_of_another_precision: "its details say bf16" = {
        with_text(sound_state_3(), "info", r#"{"model":"","units":3,"version":"0","details":{"precision":"bf16"}}"#)
    };
    family_units_negative: "info: " = {
        with_text(sound_state_3(), "info", r#"{"model":"","units":-3,"version":"0","details":{"precision":"f32"}}"#)
    };
    family_memory_of_integers: "its details say f32" = {
        with_tensor(sound_state_3(), "rho.0", TensorData::new(vec![1i32; 4], [1, 1, 2, 2]))
    };
}
