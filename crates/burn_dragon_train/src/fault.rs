//! Fault of a configuration: what is wrong, with which key, and where.

use crate::config::{ConfigError, Origin, Resolved, place};
use crate::error::TrainError;
use std::fmt::{self, Display, Formatter};

/// Fault of a configuration.
#[derive(Debug)]
pub struct Fault {
    /// Description, with what to write instead.
    pub error: TrainError,
    /// Full key, if the fault is of one.
    pub key: Option<String>,
    /// Place where the key is set, if it is known.
    pub origin: Option<Origin>,
}

impl Display for Fault {
    /// The description, with the place if that is not part of it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.error, &self.origin) {
            (TrainError::Config(_), _) | (_, None | Some(Origin::Default)) => self.error.fmt(f),
            (error, Some(origin)) => write!(f, "{error} ({origin})"),
        }
    }
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        let (key, origin) = match place(&error) {
            Some((key, origin)) => (Some(key), origin),
            None => (None, None),
        };
        Self {
            key,
            origin,
            error: error.into(),
        }
    }
}

impl Fault {
    /// Line of the key in its file; the largest number if it is in none.
    pub(crate) fn line(&self) -> usize {
        match self.origin {
            Some(Origin::Line { line, .. }) => line,
            _ => usize::MAX,
        }
    }

    /// Fault of the values of a resolved configuration: the key is the first one that the description names.
    pub(crate) fn of_values<T: serde::Serialize>(error: TrainError, resolved: &Resolved<T>) -> Self {
        let text = error.to_string();
        let values = resolved.values();
        let named = values.iter().filter_map(|(key, (_, origin))| {
            let at = text.find(key.as_str())?;
            Some((at, usize::MAX - key.len(), key, origin))
        });
        let first = named.min_by_key(|(at, length, ..)| (*at, *length));
        Self {
            key: first.map(|(_, _, key, _)| key.clone()),
            origin: first.map(|(_, _, _, origin)| origin.clone()),
            error,
        }
    }
}
