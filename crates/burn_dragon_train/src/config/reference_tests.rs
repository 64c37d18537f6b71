use super::super::schema::tables;
use super::*;
use crate::keys::flat_values;
use schemars::JsonSchema;
use serde::Serialize;

/// A run of something.
#[derive(Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Number of steps, `a | b`.
    steps: u64,
    /// Time limit in minutes. If absent, there is
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    /// Colour of the plot.
    colour: Colour,
    /// Shape of the plot.
    shape: Shape,
    /// Points to mark.
    points: Vec<Point>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            steps: 1000,
            limit: None,
            colour: Colour::Red,
            shape: Shape::Round { radius: 2.0 },
            points: Vec::new(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Colour {
    /// As blood.
    Red,
    /// RGB (0, 0, 255).
    Blue,
}

/// A shape.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Shape {
    /// A circle.
    Round {
        /// Radius in metres.
        radius: f64,
    },
    /// A square.
    Square {},
}

#[derive(Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Point {
    /// Place.
    x: [f64; 2],
    /// Label.
    #[serde(default)]
    label: Option<String>,
}

#[test]
fn every_key_stands_in_its_table_with_type_default_and_meaning() {
    let base = Config {
        steps: 7,
        colour: Colour::Blue,
        shape: Shape::Square {},
        ..Config::default()
    };
    let text = reference(&tables::<Config>(), &flat_values(&base));
    for line in [
        "### Top level",
        "| key | type | default | default run | meaning |",
        "| `steps` | whole number | `1000` | `7` | Number of steps, `a \\| b`. |",
        "| `limit` | number | none |  | Time limit in minutes. If absent, there is none. |",
        "| `colour` | `\"red\"`, `\"blue\"` | `\"red\"` | `\"blue\"` | Colour of the plot. `\"red\"`: as blood. `\"blue\"`: RGB (0, 0, 255). |",
        "| `shape` | table | its defaults |  | Shape of the plot. |",
        "| `points` | list of tables | `[]` |  | Points to mark. |",
        "### `[shape]`",
        "#### `type = \"round\"` in `[shape]` (default, but not of the default run)",
        "A circle.",
        "| `radius` | number | required | Radius in metres. |",
        "#### `type = \"square\"` in `[shape]` (default run)",
        "### `[[points]]`",
        "| `x` | list of 2 numbers | required | Place. |",
        "| `label` | text | none | Label. |",
        "| `family` | text | none |  | Family of the configuration. If no file sets it, that of the command line. |",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\nis not in\n{text}");
    }
}
