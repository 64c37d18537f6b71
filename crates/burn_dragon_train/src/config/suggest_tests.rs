//! Tests of `suggest.rs`.

use super::super::{Layers, Origin};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    training: Training,
    #[serde(default)]
    seed: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Training {
    max_steps: u64,
    #[serde(default)]
    clip: Option<f64>,
    #[serde(default)]
    resume: bool,
    schedule: Schedule,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Schedule {
    Constant { warmup_steps: u64 },
    Cosine { warmup_steps: u64, final_factor: f64 },
}

const BASE: &str = "[training]\nmax_steps = 10\n[training.schedule]\ntype = 'cosine'\nwarmup_steps = 1\nfinal_factor = 0.1\n";

/// The message for the base with a file and arguments over it.
fn refusal(file: &str, arguments: &[&str]) -> String {
    let layers = Layers::new()
        .embedded("base.toml", BASE)
        .unwrap()
        .embedded("my.toml", file)
        .unwrap();
    let layers = arguments
        .iter()
        .fold(layers, |layers, text| layers.assignment(text).unwrap());
    layers.resolve::<Config>().unwrap_err().to_string()
}

#[test]
fn an_unknown_key_in_a_file_names_the_line_and_the_nearest_key() {
    assert_eq!(
        refusal("# mine\n[training]\nmax_stesp = 5", &[]),
        "unknown key `training.max_stesp` (my.toml:3); did you mean `training.max_steps`?"
    );
}

#[test]
fn an_unknown_key_on_the_command_line_says_so() {
    assert_eq!(
        refusal("", &["sed=1"]),
        "unknown key `sed` (command line); did you mean `seed`?"
    );
}

#[test]
fn an_unknown_key_in_a_typed_table_is_found_again() {
    assert_eq!(
        refusal("", &["training.schedule.warm_steps=1"]),
        "unknown key `training.schedule.warm_steps` (command line); did you mean `training.schedule.warmup_steps`?"
    );
}

#[test]
fn a_right_key_in_the_wrong_table_is_shown_its_place() {
    assert_eq!(
        refusal("", &["max_steps=1"]),
        "unknown key `max_steps` (command line); did you mean `training.max_steps`?"
    );
}

#[test]
fn an_unknown_key_unlike_any_other_lists_the_valid_ones() {
    assert_eq!(
        refusal("[training]\nxyz = 5", &[]),
        "unknown key `training.xyz` (my.toml:2); possible: `max_steps`, `clip`, `resume`, `schedule`"
    );
}

#[test]
fn an_unknown_type_names_the_nearest() {
    assert_eq!(
        refusal("[training.schedule]\ntype = 'cosin'\nwarmup_steps = 1", &[]),
        "`training.schedule.type` cannot be \"cosin\" (my.toml:2); did you mean `cosine`?"
    );
}

#[test]
fn a_wrong_type_names_key_origin_expected_and_given() {
    assert_eq!(
        refusal("[training]\nmax_steps = 'many'", &[]),
        "`training.max_steps` should be a whole number, 0 or more, but is string \"many\" (my.toml:2)"
    );
    assert_eq!(
        refusal("", &["training.clip=on"]),
        "`training.clip` should be a number, but is string \"on\" (command line)"
    );
    assert_eq!(
        refusal("", &["training.resume=1"]),
        "`training.resume` should be true or false, but is integer 1 (command line)"
    );
    assert_eq!(
        refusal("training = 3", &[]),
        "`training` should be a table, but is integer 3 (my.toml:1)"
    );
}

#[test]
fn a_list_whose_quotes_the_shell_took_is_answered_with_what_to_type() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Lists {
        #[serde(default)]
        paths: Vec<String>,
        #[serde(default)]
        table: toml::Table,
    }
    let refusal = |argument: &str| {
        let layers = Layers::new().assignment(argument).unwrap();
        layers.resolve::<Lists>().unwrap_err().to_string()
    };
    for (typed, says) in [
        ("paths=[a.txt]", r#": 'paths=["a.txt"]'"#),
        (
            "paths=[ a b.txt, 'c.txt',d/*.txt ]",
            r#"to TOML it would be [ "a b.txt", 'c.txt',"d/*.txt" ]"#,
        ),
        ("paths=[a.txt,b/]", r#": 'paths=["a.txt","b/"]'"#),
        ("table={type=char, n=3}", r#": 'table={type="char", n=3}'"#),
    ] {
        let message = refusal(typed);
        assert!(message.ends_with(says), "{message}");
    }
    let lone = Layers::new().assignment("paths=a b.txt").unwrap();
    let lone = lone.assignment("table={a='a b.txt'}").unwrap().resolve::<Lists>();
    let lists = match lone {
        Ok(resolved) => resolved,
        Err(error) => panic!("a lone string is a list of one: {error}"),
    };
    assert_eq!(lists.value.paths, ["a b.txt"]);
    assert_eq!(lists.origin("paths"), Origin::CommandLine);
    // What cannot be mended is not.
    for typed in ["paths=[a.txt", "paths=3", "table=char", "paths=[[a.txt]"] {
        let message = refusal(typed);
        assert!(message.ends_with("(command line)"), "{message}");
    }
}

#[test]
fn a_value_out_of_range_is_a_wrong_value() {
    assert_eq!(
        refusal("", &["seed=-1"]),
        "`seed` should be a whole number, 0 or more, but is integer -1 (command line)"
    );
}

#[test]
fn a_wrong_type_in_a_typed_table_is_found_again() {
    assert_eq!(
        refusal("[training.schedule]\nfinal_factor = 'low'", &[]),
        "`training.schedule.final_factor` should be a number, but is string \"low\" (my.toml:2)"
    );
}

#[test]
fn a_missing_value_names_the_key_and_its_table() {
    assert_eq!(
        refusal("", &["training.schedule.type=constant"]),
        "`training.schedule.warmup_steps` is required and nothing sets it (its table: command line)"
    );
    let error = Layers::new().resolve::<Config>().unwrap_err().to_string();
    assert_eq!(error, "`training` is required and nothing sets it");
}

#[test]
fn a_refusal_of_the_schema_keeps_its_reason() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Picky {
        #[serde(deserialize_with = "refuse")]
        odd: u64,
    }
    fn refuse<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format!("{number} is even")))
    }
    let error = Layers::new()
        .assignment("odd=2")
        .unwrap()
        .resolve::<Picky>()
        .unwrap_err()
        .to_string();
    assert_eq!(error, "`odd`: 2 is even (command line)");
}
