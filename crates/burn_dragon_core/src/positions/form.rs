//! Positions in files: a name, or a table with a type and its keys.

use super::{PopeConfig, Positions};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Kinds without keys, by name.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Rotary,
    None,
    Pope,
    PopeUpstream,
}

/// Table `[model.positions]`: how positions enter reads.
// Kinds without keys have braces: serde takes any keys beside the name of a kind without them.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Table {
    /// Pairs of neurons turn (RoPE).
    Rotary {},
    /// Nothing turns: reads do not depend on positions.
    None {},
    /// Polar (PoPE, arXiv:2509.10534): each neuron is the length of a vector that turns. Memories are twice as large, and no
    /// kernel fuses the level.
    Pope(PopeConfig),
    /// The public implementation's form of it: lengths by softplus, no phase.
    PopeUpstream {},
}

impl From<Table> for Positions {
    fn from(table: Table) -> Self {
        match table {
            Table::Rotary {} => Self::Rotary,
            Table::None {} => Self::None,
            Table::Pope(config) => Self::Pope(config),
            Table::PopeUpstream {} => Self::PopeUpstream,
        }
    }
}

impl From<Name> for Positions {
    fn from(name: Name) -> Self {
        match name {
            Name::Rotary => Self::Rotary,
            Name::None => Self::None,
            Name::Pope => Self::Pope(PopeConfig::default()),
            Name::PopeUpstream => Self::PopeUpstream,
        }
    }
}

impl Serialize for Positions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Rotary => Name::Rotary.serialize(serializer),
            Self::None => Name::None.serialize(serializer),
            Self::PopeUpstream => Name::PopeUpstream.serialize(serializer),
            Self::Pope(config) => Table::Pope(*config).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Positions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Positions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name of positions, or a table with a type")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Positions, E> {
                Name::deserialize(StrDeserializer::new(name)).map(Positions::from)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Positions, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map)).map(Positions::from)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl JsonSchema for Positions {
    fn schema_name() -> Cow<'static, str> {
        "Positions".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Table::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::positions::{Magnitude, PhaseStart};

    #[test]
    fn a_name_or_a_table_says_the_same() {
        for (text, positions, written) in [
            (r#""none""#, Positions::None, r#""none""#),
            (r#"{"type":"none"}"#, Positions::None, r#""none""#),
            (r#""rotary""#, Positions::Rotary, r#""rotary""#),
            (
                r#""pope_upstream""#,
                Positions::PopeUpstream,
                r#""pope_upstream""#,
            ),
            (
                r#""pope""#,
                Positions::Pope(PopeConfig::default()),
                r#"{"type":"pope","magnitude":"identity","phase":"zero"}"#,
            ),
            (
                r#"{"type":"pope","magnitude":"softplus","phase":"uniform"}"#,
                Positions::Pope(PopeConfig {
                    magnitude: Magnitude::Softplus,
                    phase: PhaseStart::Uniform,
                }),
                r#"{"type":"pope","magnitude":"softplus","phase":"uniform"}"#,
            ),
        ] {
            assert_eq!(serde_json::from_str::<Positions>(text).unwrap(), positions);
            assert_eq!(serde_json::to_string(&positions).unwrap(), written);
        }
        for (text, known) in [
            (r#""spiral""#, "`rotary`, `none`, `pope`"),
            (r#"{"type":"spiral"}"#, "`pope_upstream`"),
            (r#"{"type":"pope","length":1}"#, "length"),
            (r#"{"type":"none","length":1}"#, "length"),
            ("3", "a name of positions"),
        ] {
            let error = serde_json::from_str::<Positions>(text).unwrap_err().to_string();
            assert!(error.contains(known), "{error}");
        }
    }
}
