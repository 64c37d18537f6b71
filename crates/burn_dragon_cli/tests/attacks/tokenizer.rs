//! `tokenizer.json`.

attacks! { Tokenizer, "json":
    empty: "EOF" = "";
    not_json: "expected" = "byte";
    not_utf8: "tokenizer" = b"{\"type\":\"\xff\"}";
    nested_deeply: "invalid type: map" = "{\"type\":".repeat(3000);
    of_an_unknown_type: "wordpiece" = r#"{"type":"wordpiece"}"#;
    with_an_unknown_key: "unknown field" = r#"{"type":"byte","run":"me"}"#;
    with_a_key_twice: "duplicate field" = r#"{"type":"ids","vocab_size":1,"vocab_size":2}"#;
    followed_by_bytes: "trailing" = r#"{"type":"byte"}{"type":"byte"}"#;
    of_no_characters: "no characters" = r#"{"type":"char","special_tokens":false,"symbols":""}"#;
    with_a_character_twice: "listed twice" = r#"{"type":"char","special_tokens":false,"symbols":"abca"}"#;
    with_half_a_character: "tokenizer" = r#"{"type":"char","special_tokens":false,"symbols":"\ud800"}"#;
    of_a_negative_size: "tokenizer" = r#"{"type":"ids","vocab_size":-1}"#;
    of_a_size_beyond_counting: "tokenizer" = r#"{"type":"ids","vocab_size":1e999}"#;
    longer_than_the_limit: "at most 16777216" = " ".repeat((16 << 20) + 1);
}
