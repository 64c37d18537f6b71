//! Keys of a configuration: tables, types, defaults, choices and meanings. They come from the JSON Schema of the types
//! that parse it; the documentation of a field is the meaning of its key.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::FAMILY;

/// Key of a schema that says where the keys of a table are described: `dataset`.
const DESCRIBED_AT: &str = "x-described-at";

/// Table of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableDoc {
    /// Dotted path; empty for the top level.
    pub(crate) path: String,
    /// Whether it is a list of tables, `[[path]]`.
    pub(crate) is_list: bool,
    /// Meaning of the table.
    pub(crate) meaning: String,
    /// Keys that it always has.
    pub(crate) keys: Vec<KeyDoc>,
    /// Keys that it has with one value of its `type` or `method`.
    pub(crate) cases: Vec<CaseDoc>,
}

/// Keys that a table has with one value of its `type` or `method`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CaseDoc {
    /// Name of the choosing key: `type` or `method`.
    pub(crate) tag: String,
    /// Value of it.
    pub(crate) name: String,
    /// Whether it is the value of a table that nothing sets.
    pub(crate) is_default: bool,
    /// Meaning of the value.
    pub(crate) meaning: String,
    /// Keys with this value, without the choosing one.
    pub(crate) keys: Vec<KeyDoc>,
}

/// Key of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyDoc {
    /// Name, without the path of the table.
    pub(crate) name: String,
    /// Type in words: `whole number`, `list of text`.
    pub(crate) kind: String,
    /// Value without the key.
    pub(crate) default: DefaultDoc,
    /// Named values; empty for a key with any value of its type.
    pub(crate) choices: Vec<ChoiceDoc>,
    /// Meaning of the key.
    pub(crate) meaning: String,
}

/// Value of a key that nothing sets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DefaultDoc {
    /// The key is required.
    Required,
    /// The key is absent, which has a meaning of its own.
    Absent,
    /// This value.
    Value(Value),
}

/// Named value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChoiceDoc {
    /// The value.
    pub(crate) name: String,
    /// Meaning of the value.
    pub(crate) meaning: String,
}

/// JSON Schema (draft 2020-12) of the configuration files of a family, with `family` and `extends`, which every file may
/// have.
pub(crate) fn json_schema<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    if let Some(properties) = schema.pointer_mut("/properties").and_then(Value::as_object_mut) {
        let text = "Family of the configuration. If no file sets it, that of the command line.";
        properties.insert(
            FAMILY.into(),
            json!({ "type": ["string", "null"], "description": text }),
        );
        let text = "Other files that this one extends, relative to it; later ones win. In files only.";
        let paths = json!({ "type": ["array", "null"], "items": { "type": "string" }, "description": text });
        properties.insert("extends".into(), paths);
    }
    schema
}

/// Tables of a configuration, each before the tables in it.
pub(crate) fn tables<T: JsonSchema>() -> Vec<TableDoc> {
    let root = json_schema::<T>();
    let mut walk = Walk {
        root: &root,
        tables: Vec::new(),
    };
    let top = walk.resolved(&root);
    walk.table("", false, &top, &Value::Null);
    walk.tables
}

/// A walk through a schema.
struct Walk<'a> {
    root: &'a Value,
    tables: Vec<TableDoc>,
}

impl Walk<'_> {
    /// Schema without references, and without the null of an optional value.
    fn resolved(&self, schema: &Value) -> Map<String, Value> {
        let mut own = schema.as_object().cloned().unwrap_or_default();
        loop {
            let one = match own.remove("anyOf") {
                Some(Value::Array(any)) => match &any[..] {
                    [one, null] if is_null(null) => one.clone(),
                    _ => {
                        own.insert("anyOf".into(), any.into());
                        return own;
                    }
                },
                _ => match own.remove("$ref") {
                    Some(Value::String(at)) => {
                        let target = self.root.pointer(at.trim_start_matches('#'));
                        target.cloned().unwrap_or_default()
                    }
                    _ => return own,
                },
            };
            for (key, value) in one.as_object().cloned().unwrap_or_default() {
                own.entry(key).or_insert(value); // what is said of a key wins over what is said of its type
            }
        }
    }

    fn table(&mut self, path: &str, is_list: bool, schema: &Map<String, Value>, default: &Value) {
        if self.tables.iter().any(|table| table.path == path) {
            return;
        }
        let place = self.tables.len();
        self.tables.push(TableDoc {
            path: path.into(),
            is_list,
            meaning: match schema.get(DESCRIBED_AT).and_then(Value::as_str) {
                Some(at) => format!(
                    "{} Each also has a `type` and the keys of that source of `[{at}]`.",
                    meaning(schema)
                ),
                None => meaning(schema),
            },
            keys: Vec::new(),
            cases: Vec::new(),
        });
        let (own, given) = self.keys(path, schema, default, None);
        let mut below = given;
        let mut cases = Vec::new();
        if !schema.contains_key(DESCRIBED_AT) {
            for variant in variants(schema) {
                let variant = self.resolved(variant);
                let Some((tag, name)) = tag(&variant) else {
                    continue;
                };
                // The default of a table is that of one of its cases.
                let is_default = default.get(&tag) == Some(&name.clone().into());
                let default = if is_default { default } else { &Value::Null };
                let (keys, given) = self.keys(path, &variant, default, Some(&tag));
                below.extend(given);
                cases.push(CaseDoc {
                    meaning: meaning(&variant),
                    is_default,
                    tag,
                    name,
                    keys,
                });
            }
        }
        (self.tables[place].keys, self.tables[place].cases) = (own, cases);
        for Below {
            path,
            is_list,
            schema,
            default,
        } in below
        {
            self.table(&path, is_list, &schema, &default);
        }
    }

    /// Keys of an object, but for the choosing one, and the tables among them.
    fn keys(
        &self,
        path: &str,
        object: &Map<String, Value>,
        default: &Value,
        tag: Option<&str>,
    ) -> (Vec<KeyDoc>, Vec<Below>) {
        let (mut keys, mut below) = (Vec::new(), Vec::new());
        let is_required = |name: &str| {
            let required = object.get("required").and_then(Value::as_array);
            required.is_some_and(|names| names.iter().any(|one| one == name))
        };
        for (name, schema) in object
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            if Some(name.as_str()) == tag {
                continue;
            }
            let key = self.resolved(schema);
            let inherited = default.get(name).or_else(|| key.get("default")).cloned();
            below.extend(self.below(path, name, &key, inherited.as_ref()));
            keys.push(KeyDoc {
                name: name.clone(),
                kind: self.kind(&key),
                choices: self.choices(&key),
                meaning: meaning(&key),
                default: match inherited {
                    _ if is_required(name) => DefaultDoc::Required,
                    Some(value) if !value.is_null() => DefaultDoc::Value(value),
                    _ => DefaultDoc::Absent,
                },
            });
        }
        (keys, below)
    }

    /// Table at a key, if its value is one.
    fn below(
        &self,
        path: &str,
        name: &str,
        schema: &Map<String, Value>,
        default: Option<&Value>,
    ) -> Option<Below> {
        let path = match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        let items = schema.get("items").map(|items| self.resolved(items));
        let is_list = items.is_some();
        let mut inner = items.unwrap_or_else(|| schema.clone());
        if !is_table(&inner) || (inner.contains_key(DESCRIBED_AT) && !inner.contains_key("properties")) {
            return None;
        }
        if is_list {
            inner.insert("description".into(), meaning(schema).into());
        }
        Some(Below {
            path,
            is_list,
            schema: inner,
            default: default.cloned().unwrap_or_default(),
        })
    }

    /// Type of a value in words.
    fn kind(&self, schema: &Map<String, Value>) -> String {
        if let Some(at) = schema.get(DESCRIBED_AT).and_then(Value::as_str) {
            return format!("table with the keys of `[{at}]`");
        }
        if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
            let kinds: Vec<String> = any.iter().map(|one| self.kind(&self.resolved(one))).collect();
            return kinds.join(" or ");
        }
        if is_table(schema) {
            return "table".into();
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => vec!["string"], // a choice of names
        };
        match types.into_iter().find(|one| *one != "null") {
            Some("integer") => "whole number".into(),
            Some("number") => "number".into(),
            Some("boolean") => "`true` or `false`".into(),
            Some("array") => self.list(schema),
            _ if self.choices(schema).is_empty() => "text".into(),
            _ => "name".into(),
        }
    }

    fn list(&self, schema: &Map<String, Value>) -> String {
        let item = schema.get("items").map(|items| self.kind(&self.resolved(items)));
        let count = schema.get("minItems").and_then(Value::as_u64);
        let exactly = count.filter(|_| schema.get("maxItems") == schema.get("minItems"));
        let number = exactly.map_or(String::new(), |count| format!("{count} "));
        match item.as_deref() {
            Some("text" | "name") => format!("list of {number}texts"),
            Some(item) if item.starts_with("table") => format!("list of {number}tables"),
            Some(item) => format!("list of {number}{item}s"),
            None => format!("list of {number}values"),
        }
    }

    /// Named values of a key.
    fn choices(&self, schema: &Map<String, Value>) -> Vec<ChoiceDoc> {
        let mut choices = Vec::new();
        let named = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        choices.extend(named.filter_map(|name| choice(name, String::new())));
        for key in ["oneOf", "anyOf"] {
            for variant in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                let variant = self.resolved(variant);
                match variant.get("const") {
                    Some(name) => choices.extend(choice(name, meaning(&variant))),
                    None if !is_table(&variant) => choices.extend(self.choices(&variant)),
                    None => {}
                }
            }
        }
        choices
    }
}

/// Table in another one.
struct Below {
    path: String,
    is_list: bool,
    schema: Map<String, Value>,
    default: Value,
}

fn choice(name: &Value, meaning: String) -> Option<ChoiceDoc> {
    let name = name.as_str()?.to_owned();
    Some(ChoiceDoc { name, meaning })
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn is_table(schema: &Map<String, Value>) -> bool {
    schema.contains_key("properties") || variants(schema).any(|variant| variant.get("properties").is_some())
}

fn variants(schema: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"]
        .into_iter()
        .filter_map(|key| schema.get(key).and_then(Value::as_array))
        .flatten()
}

/// Choosing key of a case, and its value.
fn tag(variant: &Map<String, Value>) -> Option<(String, String)> {
    let properties = variant.get("properties")?.as_object()?;
    properties.iter().find_map(|(key, schema)| {
        let name = schema.get("const")?.as_str()?;
        Some((key.clone(), name.to_owned()))
    })
}

/// Description of a schema as one line, without the name of the table that it may begin with.
fn meaning(schema: &Map<String, Value>) -> String {
    let text = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let of_table = text
        .strip_prefix("Table `[")
        .and_then(|rest| rest.split_once("]`: "));
    let mut letters = of_table.map_or("", |(_, rest)| rest).chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => text,
    }
}
