//! Whole numbers beyond those of TOML, from a file to a schema and back.

use super::Layers;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    seed: u64,
    #[serde(default)]
    steps: u64,
}

fn read(text: &str) -> Result<(u64, String), String> {
    let layers = Layers::new()
        .embedded("f.toml", text)
        .map_err(|error| error.to_string())?;
    let resolved = layers.resolve::<Config>().map_err(|error| error.to_string())?;
    Ok((resolved.value.seed, resolved.to_toml().to_string()))
}

#[test]
fn every_seed_there_is_comes_back_from_a_file_and_from_the_command_line() {
    for seed in [0, 7, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        let typed = Layers::new().assignment(&format!("seed={seed}")).unwrap();
        let typed = typed.resolve::<Config>().unwrap();
        assert_eq!(typed.value.seed, seed);
        let (again, text) = read(typed.to_toml()).unwrap();
        assert_eq!((again, text.as_str()), (seed, typed.to_toml()));
        assert_eq!(read(&format!("# mine\nseed = {seed} # so\n")).unwrap().0, seed);
        assert_eq!(read(&format!("seed = '{seed}'")).unwrap().0, seed);
    }
}

#[test]
fn what_is_no_seed_is_refused_with_the_range() {
    for (text, given) in [
        ("seed = -1", "integer -1"),
        ("seed = 18446744073709551616", "18446744073709551616"),
        ("seed = 1.5", "floating point 1.5"),
        ("seed = 'me'", "string \"me\""),
        ("seed = '+7'", "string \"+7\""),
        ("seed = ''", "string \"\""),
    ] {
        let error = read(text).unwrap_err();
        for part in ["`seed`", "from 0 to 18446744073709551615", given] {
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

#[test]
fn another_number_that_toml_does_not_have_is_refused_with_toml_s_range() {
    for layers in [
        Layers::new()
            .embedded("f.toml", "seed = 1\nsteps = 9223372036854775808")
            .unwrap(),
        Layers::new()
            .embedded("f.toml", "seed = 1")
            .unwrap()
            .assignment("steps=9223372036854775808")
            .unwrap(),
    ] {
        let error = layers.resolve::<Config>().unwrap_err().to_string();
        for part in ["`steps`", "9223372036854775808", "at most 9223372036854775807"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("string"), "{error}");
    }
}
