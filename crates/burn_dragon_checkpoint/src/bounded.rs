//! Lists and maps with a limit on the number of entries.
//!
//! Text that is parsed into values takes many times its memory, and a list can claim any length. A type of this module
//! stops reading at the first entry beyond its limit, and does not trust a length that the file states.

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// List of at most `MOST` values.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct List<V, const MOST: usize>(
    /// The values.
    pub Vec<V>,
);

/// Map of at most `MOST` values by unique names. A repeated name is refused: it does not replace the first value.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Unique<V, const MOST: usize>(
    /// The values by name.
    pub BTreeMap<String, V>,
);

impl<V, const MOST: usize> Default for Unique<V, MOST> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V, const MOST: usize> Unique<V, MOST> {
    /// Adds the next entry of a map that is being read.
    ///
    /// # Errors
    /// If the map is full, or already has a value of this name.
    pub fn add<E: Error>(&mut self, name: String, value: V) -> Result<(), E> {
        if self.0.len() == MOST {
            return Err(E::custom(format!(
                "a map holds more than {MOST} names, the limit"
            )));
        }
        if self.0.contains_key(&name) {
            let start: String = name.chars().take(80).collect();
            return Err(E::custom(format!("`{start}` is there twice")));
        }
        self.0.insert(name, value);
        Ok(())
    }
}

/// For `deserialize_with`: a list of at most `MOST` values.
pub(crate) fn list<'de, V: Deserialize<'de>, D: Deserializer<'de>, const MOST: usize>(
    deserializer: D,
) -> Result<Vec<V>, D::Error> {
    List::<V, MOST>::deserialize(deserializer).map(|list| list.0)
}

impl<'de, V: Deserialize<'de>, const MOST: usize> Deserialize<'de> for List<V, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

impl<'de, V: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Unique<V, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct ListVisitor<V, const MOST: usize>(PhantomData<V>);

impl<'de, V: Deserialize<'de>, const MOST: usize> Visitor<'de> for ListVisitor<V, MOST> {
    type Value = List<V, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            if values.len() == MOST {
                return Err(A::Error::custom(format!("a list holds more than {MOST}")));
            }
            values.push(value);
        }
        Ok(List(values))
    }
}

struct UniqueVisitor<V, const MOST: usize>(PhantomData<V>);

impl<'de, V: Deserialize<'de>, const MOST: usize> Visitor<'de> for UniqueVisitor<V, MOST> {
    type Value = Unique<V, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map of at most {MOST} unique names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Unique::default();
        while let Some(name) = map.next_key()? {
            let value = map.next_value()?;
            values.add(name, value)?;
        }
        Ok(values)
    }
}

/// JSON value in which every map, at every depth, has unique keys.
pub(crate) struct Strict(pub Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Unique::<Value, { usize::MAX }>::default();
        while let Some(name) = map.next_key()? {
            let Strict(value) = map.next_value()?;
            values.add(name, value)?;
        }
        Ok(Value::Object(values.0.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_or_twice_is_refused() {
        let list = |text: &str| serde_json::from_str::<List<u8, 2>>(text).map(|list| list.0);
        assert_eq!(list("[1, 2]").unwrap(), [1, 2]);
        assert!(list("[1, 2, 3]").unwrap_err().to_string().contains("more than 2"));
        let map = |text: &str| serde_json::from_str::<Unique<u8, 2>>(text).map(|map| map.0.len());
        assert_eq!(map(r#"{"a": 1, "b": 2}"#).unwrap(), 2);
        let refused = |text: &str| map(text).unwrap_err().to_string();
        assert!(refused(r#"{"a": 1, "b": 2, "c": 3}"#).contains("more than 2"));
        assert!(refused(r#"{"a": 1, "a": 2}"#).contains("`a` is there twice"));
    }
}
