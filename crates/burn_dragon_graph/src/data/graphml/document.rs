//! Keys, graphs, nodes and edges of a GraphML document.

use super::xml::{Element, Fault};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

/// A key: a named value of nodes, graphs or edges.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    /// Name: `attr.name`, else its id.
    pub(super) name: String,
    /// What has it: `node`, `graph`, `edge`, `all`, ...
    pub(super) of: String,
    pub(super) kind: Kind,
    default: Option<Value>,
}

/// Type of a key's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Int,
    Float,
    Text,
    /// Of no type: content of other programs, which is not read.
    Foreign,
}

/// Value of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Boolean(bool),
    Int(i64),
    Float(Finite),
    Text(String),
}

/// A finite number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Finite(pub(super) f64);

impl Eq for Finite {}

impl Ord for Finite {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.0.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// Values of a node or a graph by the number of their key.
pub(super) type Values = BTreeMap<usize, Value>;

/// Document: its keys and graphs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Document {
    pub(super) keys: Vec<Key>,
    pub(super) graphs: Vec<Read>,
}

/// A graph of the document.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Read {
    pub(super) values: Values,
    pub(super) nodes: Vec<Values>,
    /// Directed edges: one reads other. An undirected edge is there both ways.
    pub(super) edges: Vec<(usize, usize)>,
}

impl Document {
    /// Document of its root element.
    pub(super) fn of(root: &Element) -> Result<Self, Fault> {
        if root.name != "graphml" {
            return Err(root.fault(format!("the root element is `{}`; expected `graphml`", root.name)));
        }
        let (mut document, mut ids) = (Self::default(), HashMap::new());
        for element in root.children.iter().filter(|element| element.name == "key") {
            let id = element.required("id")?.to_string();
            if ids.insert(id.clone(), document.keys.len()).is_some() {
                return Err(element.fault(format!("there are two keys with the id `{id}`")));
            }
            document.keys.push(Key::of(element, id)?);
        }
        let reader = Reader {
            keys: &document.keys,
            ids: &ids,
        };
        reader.values(root, &["key", "graph"])?;
        let graphs = root.children.iter().filter(|element| element.name == "graph");
        document.graphs = graphs
            .map(|graph| reader.graph(graph))
            .collect::<Result<_, _>>()?;
        if document.graphs.is_empty() {
            return Err(root.fault("there is no graph; expected at least one"));
        }
        Ok(document)
    }

    /// Value of a key, by its number, or its default.
    pub(super) fn value<'a>(&'a self, key: usize, values: &'a Values) -> Option<&'a Value> {
        values.get(&key).or(self.keys[key].default.as_ref())
    }
}

impl Key {
    fn of(element: &Element, id: String) -> Result<Self, Fault> {
        let kind = match element.attribute("attr.type") {
            None => Kind::Foreign,
            Some("boolean") => Kind::Boolean,
            Some("int" | "long") => Kind::Int,
            Some("float" | "double") => Kind::Float,
            Some("string") => Kind::Text,
            Some(other) => {
                return Err(element.fault(format!(
                    "the type of the key `{id}` is `{other}`; expected boolean, int, long, float, double or string"
                )));
            }
        };
        let of = element.attribute("for").unwrap_or("all").to_string();
        let name = element.attribute("attr.name").map_or(id, Into::into);
        let default = element.children.iter().find(|child| child.name == "default");
        let default = default.filter(|_| kind != Kind::Foreign);
        Ok(Self {
            default: default.map(|value| kind.read(value, &name)).transpose()?,
            name,
            of,
            kind,
        })
    }

    /// Whether an element of this name can have the key.
    pub(super) fn fits(&self, element: &str) -> bool {
        [element, "all"].contains(&self.of.as_str())
    }
}

impl Kind {
    /// Value of this type in an element.
    fn read(self, element: &Element, key: &str) -> Result<Value, Fault> {
        let text = element.text.trim();
        let fault = |expected: &str| {
            let reason = format!("the value of the key `{key}` is `{text}`; expected {expected}");
            element.fault(reason)
        };
        if let Some(child) = element.children.first() {
            let name = &child.name;
            return Err(child.fault(format!(
                "the value of the key `{key}` has an element `{name}`; expected text"
            )));
        }
        match self {
            Self::Boolean => match text {
                "true" | "1" => Ok(Value::Boolean(true)),
                "false" | "0" => Ok(Value::Boolean(false)),
                _ => Err(fault("true or false")),
            },
            Self::Int => text.parse().map(Value::Int).map_err(|_| fault("a whole number")),
            Self::Float => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                // Both zeros are one number.
                number
                    .map(|number| Value::Float(Finite(number + 0.0)))
                    .ok_or_else(|| fault("a finite number"))
            }
            Self::Text | Self::Foreign => Ok(Value::Text(text.into())),
        }
    }
}

/// Reader of graphs, with the keys that it knows.
struct Reader<'a> {
    keys: &'a [Key],
    ids: &'a HashMap<String, usize>,
}

impl Reader<'_> {
    /// Values of an element that may have these elements beside them.
    fn values(&self, element: &Element, others: &[&str]) -> Result<Values, Fault> {
        let (mut values, of) = (Values::new(), &element.name);
        for child in &element.children {
            match child.name.as_str() {
                "data" => {}
                "desc" => continue,
                name if others.contains(&name) => continue,
                name => {
                    let expected = [others, &["data", "desc"]].concat().join(", ");
                    return Err(
                        child.fault(format!("`<{name}>` in `<{of}>` is not read; expected {expected}"))
                    );
                }
            }
            let id = child.required("key")?;
            let Some(&number) = self.ids.get(id) else {
                return Err(child.fault(format!("there is no key with the id `{id}`")));
            };
            let key = &self.keys[number];
            if !key.fits(of) {
                let own = &key.of;
                return Err(child.fault(format!("the key `{id}` is for `{own}`, and not for `{of}`")));
            }
            if key.kind == Kind::Foreign {
                continue;
            }
            if values.insert(number, key.kind.read(child, &key.name)?).is_some() {
                return Err(child.fault(format!("`<{of}>` has the key `{id}` twice")));
            }
        }
        Ok(values)
    }

    fn graph(&self, element: &Element) -> Result<Read, Fault> {
        let directed = is_directed(element, element.required("edgedefault")?)?;
        let mut graph = Read {
            values: self.values(element, &["node", "edge"])?,
            ..Read::default()
        };
        let mut ids = HashMap::new();
        for node in element.children.iter().filter(|child| child.name == "node") {
            let id = node.required("id")?;
            if ids.insert(id, graph.nodes.len()).is_some() {
                return Err(node.fault(format!("there are two nodes with the id `{id}`")));
            }
            graph.nodes.push(self.values(node, &[])?);
        }
        if graph.nodes.is_empty() {
            return Err(element.fault("the graph has no node; expected at least one"));
        }
        for edge in element.children.iter().filter(|child| child.name == "edge") {
            self.edge(edge, &ids, directed, &mut graph.edges)?;
        }
        Ok(graph)
    }

    /// Adds the edge, both ways if it is undirected.
    fn edge(
        &self,
        edge: &Element,
        ids: &HashMap<&str, usize>,
        directed: bool,
        edges: &mut Vec<(usize, usize)>,
    ) -> Result<(), Fault> {
        self.values(edge, &[])?;
        let end = |name: &str| {
            let id = edge.required(name)?;
            let unknown = || edge.fault(format!("the {name} `{id}` is no node of the graph"));
            ids.get(id).copied().ok_or_else(unknown)
        };
        let (source, target) = (end("source")?, end("target")?);
        edges.push((source, target));
        let own = match edge.attribute("directed") {
            None => directed,
            Some("true") => true,
            Some("false") => false,
            Some(other) => {
                return Err(edge.fault(format!("`directed` is `{other}`; expected true or false")));
            }
        };
        if !own {
            edges.push((target, source));
        }
        Ok(())
    }
}

fn is_directed(element: &Element, default: &str) -> Result<bool, Fault> {
    match default {
        "directed" => Ok(true),
        "undirected" => Ok(false),
        other => Err(element.fault(format!(
            "`edgedefault` is `{other}`; expected directed or undirected"
        ))),
    }
}
