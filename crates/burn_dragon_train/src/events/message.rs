//! Protobuf messages of an event file: `Event` with a `Summary`, as far as they are written here.
//!
//! ```text
//! Event     1 wall_time: double  2 step: int64  3 file_version: string  5 summary  7 session_log
//! Summary   1 value: Value, repeated
//! Value     1 tag: string  2 simple_value: float  8 tensor  9 metadata
//! metadata  1 plugin_data {1 plugin_name: string}
//! tensor    1 dtype: 7, string  2 shape {2 dim {1 size: int64}}  8 string_val: bytes
//! session_log  1 status: 1, start
//! ```

/// Value of a summary.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Number under a tag.
    Number(String, f64),
    /// Text, in Markdown, under a tag.
    Text(String, String),
}

/// Kinds of fields on the wire.
const VARINT: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const LENGTH: u8 = 2;
const FOUR_BYTES: u8 = 5;

/// First event of a file.
pub(super) fn version(time: f64) -> Vec<u8> {
    let mut event = event(time, 0);
    bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// Event of a run that goes on: the viewer drops the events of `step` and later ones in earlier files.
pub(super) fn restart(time: f64, step: u64) -> Vec<u8> {
    let mut log = Vec::new();
    number(&mut log, 1, 1);
    let mut event = event(time, step);
    bytes(&mut event, 7, &log);
    event
}

/// Event with values of a step.
pub(super) fn summary(time: f64, step: u64, values: &[Value]) -> Vec<u8> {
    let mut summary = Vec::new();
    values
        .iter()
        .for_each(|value| bytes(&mut summary, 1, &value.message()));
    let mut event = event(time, step);
    bytes(&mut event, 5, &summary);
    event
}

fn event(time: f64, step: u64) -> Vec<u8> {
    let mut event = Vec::new();
    key(&mut event, 1, EIGHT_BYTES);
    event.extend(time.to_le_bytes());
    number(&mut event, 2, step);
    event
}

impl Value {
    fn message(&self) -> Vec<u8> {
        let mut message = Vec::new();
        match self {
            Self::Number(tag, value) => {
                bytes(&mut message, 1, tag.as_bytes());
                key(&mut message, 2, FOUR_BYTES);
                message.extend((*value as f32).to_le_bytes());
            }
            Self::Text(tag, text) => {
                bytes(&mut message, 1, tag.as_bytes());
                bytes(&mut message, 8, &string_tensor(text));
                let mut plugin = Vec::new();
                bytes(&mut plugin, 1, b"text");
                let mut metadata = Vec::new();
                bytes(&mut metadata, 1, &plugin);
                bytes(&mut message, 9, &metadata);
            }
        }
        message
    }
}

/// Tensor of one string, `[1]`.
fn string_tensor(text: &str) -> Vec<u8> {
    let (mut size, mut shape, mut tensor) = (Vec::new(), Vec::new(), Vec::new());
    number(&mut size, 1, 1);
    bytes(&mut shape, 2, &size);
    number(&mut tensor, 1, 7);
    bytes(&mut tensor, 2, &shape);
    bytes(&mut tensor, 8, text.as_bytes());
    tensor
}

fn key(message: &mut Vec<u8>, field: u8, kind: u8) {
    message.push(field << 3 | kind);
}

fn number(message: &mut Vec<u8>, field: u8, value: u64) {
    key(message, field, VARINT);
    varint(message, value);
}

fn bytes(message: &mut Vec<u8>, field: u8, content: &[u8]) {
    key(message, field, LENGTH);
    varint(message, content.len() as u64);
    message.extend(content);
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
