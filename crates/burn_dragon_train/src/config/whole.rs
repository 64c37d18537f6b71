//! Whole numbers from 0 to 2^64 - 1, such as seeds, for `#[serde(with = "...")]`.
//!
//! TOML has whole numbers up to 2^63 - 1. A larger one is written as a text of its digits, and read from one.

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserializer, Serializer};
use std::fmt;

/// Writes the number, as digits in quotes where TOML has no such number.
///
/// # Errors
/// Those of the format.
pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*number) {
        Ok(small) => serializer.serialize_i64(small),
        Err(_) => serializer.serialize_str(&number.to_string()),
    }
}

/// Reads a number, or its digits in quotes.
///
/// # Errors
/// If it is neither.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Whole)
}

struct Whole;

impl Visitor<'_> for Whole {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 0 to {}", u64::MAX)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Layers;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(with = "super")]
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
}
