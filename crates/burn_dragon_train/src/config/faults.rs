//! All faults of a configuration, not only the first one.

use super::origin::{Kind, Node};
use super::{ConfigError, Origin, Resolved};

/// Limit on the faults of a configuration that are reported.
const MOST: usize = 64;

/// Key of an error and its place.
pub(crate) fn place(error: &ConfigError) -> Option<(String, Option<Origin>)> {
    match error {
        ConfigError::UnknownKey { key, origin, .. }
        | ConfigError::UnknownName { key, origin, .. }
        | ConfigError::WrongValue { key, origin, .. }
        | ConfigError::Refused { key, origin, .. } => Some((key.clone(), Some(origin.clone()))),
        ConfigError::Missing { key, table } => Some((key.clone(), Some(table.clone()))),
        ConfigError::Moved { key, origin, .. } => Some(((*key).into(), Some(origin.clone()))),
        _ => None,
    }
}

/// Reads a tree again and again, each time without the key of the last error: the value, or all errors.
pub(super) fn collect<T>(
    mut tree: Node,
    read: impl Fn(Node) -> Result<Resolved<T>, ConfigError>,
) -> Result<Resolved<T>, Vec<ConfigError>> {
    let mut errors = Vec::new();
    loop {
        match read(tree.clone()) {
            Ok(resolved) if errors.is_empty() => return Ok(resolved),
            Ok(_) => return Err(errors),
            Err(error) => {
                let goes_on = errors.len() < MOST && repair(&mut tree, &error);
                errors.push(error);
                if !goes_on {
                    return Err(errors);
                }
            }
        }
    }
}

/// Removes the key of an error. A table whose kind is not known is removed whole. Returns whether something was removed,
/// so that other errors can be found.
fn repair(tree: &mut Node, error: &ConfigError) -> bool {
    let Some((key, _)) = place(error) else {
        return false;
    };
    let mut path: Vec<&str> = key.split('.').collect();
    let chooses = matches!(path.last(), Some(&("type" | "method")));
    if matches!(error, ConfigError::Missing { .. })
        || (chooses && !matches!(error, ConfigError::UnknownKey { .. }))
    {
        path.pop();
    }
    // An item of a list cannot be left out: the others would have other places.
    while !path.is_empty() && !holds(tree, &path) {
        path.pop();
    }
    !path.is_empty() && tree.remove(path.into_iter()).is_some()
}

/// Whether a path leads through tables alone.
fn holds(tree: &Node, path: &[&str]) -> bool {
    let mut node = tree;
    path.iter().all(|key| match &node.kind {
        Kind::Table(entries) => entries.get(*key).map(|below| node = below).is_some(),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Layers;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        steps: u64,
        shape: Shape,
        list: Vec<Item>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
    enum Shape {
        Round { radius: f64 },
    }

    impl Default for Shape {
        fn default() -> Self {
            Self::Round { radius: 1.0 }
        }
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        size: u64,
    }

    fn faults(text: &str) -> Vec<String> {
        let layers = Layers::new().embedded("mine.toml", text).unwrap();
        let errors = layers.faults_as::<Config>("any", &[]).err().unwrap_or_default();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_faults_are_found_each_with_its_line() {
        let text =
            "step = 1\nsteps = 'many'\n[shape]\ntype = 'rund'\n[[list]]\nsize = 1\n[[list]]\nsise = 2\n";
        let found = faults(text);
        let expected = [
            ("mine.toml:1", "did you mean `steps`"),
            ("mine.toml:2", "whole number"),
            ("mine.toml:4", "did you mean `round`"),
            ("mine.toml:8", "did you mean `list.1.size`"),
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (place, words) in expected {
            let is_this = |fault: &&String| fault.contains(place) && fault.contains(words);
            assert!(
                found.iter().any(|fault| is_this(&fault)),
                "{place} {words}: {found:#?}"
            );
        }
        assert!(faults("steps = 3\n").is_empty());
    }

    #[test]
    fn a_missing_key_is_named_once_and_does_not_hide_others() {
        let found = faults("steps = -1\n[shape]\ntype = 'round'\n");
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found
                .iter()
                .any(|fault| fault.contains("`shape.radius` is required"))
        );
    }
}
