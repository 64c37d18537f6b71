//! File `optimizer.bpk`: the optimiser states of parameters in a checkpoint.

use super::{Method, Scalars, Slots};
use crate::error::TrainError;
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::TensorFile;
use std::collections::BTreeMap;
use std::path::Path;

/// File name.
pub(crate) const FILE: &str = "optimizer.bpk";

/// Value of the metadata key `format` for AdamW, from the time when it was the only method.
pub(crate) const ADAMW: &str = "burn_dragon.adamw/1";

/// Value of `format` for every other method, and for AdamW with frozen parameters; the key `method` names it.
pub(crate) const ANY: &str = "burn_dragon.optimizer/1";

/// Prefix of the name of a scalar.
const SCALAR: &str = "scalar.";

/// Content of the file.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) method: String,
    pub(super) steps: i32,
    pub(super) scalars: Scalars,
    tensors: BTreeMap<String, TensorData>,
}

impl Saved {
    /// State of a method, with its tensors copied.
    pub(super) fn of<'a>(
        method: &str,
        steps: i32,
        scalars: Scalars,
        states: impl Iterator<Item = (&'a String, &'static [&'static str], &'a Slots)>,
    ) -> Self {
        let tensors = states.flat_map(|(name, slots, state)| {
            let named = slots.iter().zip(state);
            named.map(move |(slot, tensor)| (format!("{name}.{slot}"), tensor.to_data()))
        });
        Self {
            method: method.into(),
            steps,
            scalars,
            tensors: tensors.collect(),
        }
    }

    /// The file. The format of AdamW alone has the states of `all` parameters; with frozen ones it is that of every method.
    pub(super) fn into_file(self, all: bool) -> TensorFile {
        let mut file = TensorFile::default();
        let mut say = |key: &str, value: String| drop(file.metadata.insert(key.into(), value));
        say("steps", self.steps.to_string());
        if self.method == Method::NAMES[0] && all {
            say("format", ADAMW.into());
        } else {
            say("format", ANY.into());
            say("method", self.method);
        }
        for (name, value) in self.scalars {
            say(&format!("{SCALAR}{name}"), format!("{value:?}")); // the shortest text that is read as the same number
        }
        file.tensors = self.tensors;
        file
    }

    /// Reads a file of any method.
    pub(super) fn read(path: &Path) -> Result<Self, TrainError> {
        let TensorFile { tensors, metadata } = TensorFile::read(path)?;
        let refuse = |reason: String| CheckpointError::corrupt(path, reason);
        let text = |key: &str| metadata.get(key).map(String::as_str);
        let method = match text("format") {
            Some(ADAMW) => Some(Method::NAMES[0]),
            Some(ANY) => text("method").filter(|method| Method::NAMES.contains(method)),
            other => {
                let reason = format!("its format is {other:?}, expected `{ADAMW}` or `{ANY}`");
                return Err(refuse(reason).into());
            }
        };
        let method = method.ok_or_else(|| {
            let known = Method::NAMES.join(", ");
            refuse(format!(
                "its method is {:?}, expected one of {known}",
                text("method")
            ))
        })?;
        let steps = text("steps").and_then(|steps| steps.parse().ok());
        let steps = steps.filter(|steps: &i32| *steps >= 0);
        let steps = steps.ok_or_else(|| refuse("it does not say how many steps were taken".into()))?;
        let scalars = metadata.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix(SCALAR)?;
            Some(value.parse().map(|value| (name.to_string(), value)))
        });
        let scalars: Result<Scalars, _> = scalars.collect();
        Ok(Self {
            method: method.into(),
            steps,
            scalars: scalars.map_err(|_| refuse("one of its scalars is no number".into()))?,
            tensors,
        })
    }

    /// Takes the state of a parameter with `count` tensors of `size` numbers; `None` if the file has none for it.
    ///
    /// # Errors
    /// A message, if the state is not valid.
    pub(super) fn take(
        &mut self,
        name: &str,
        size: usize,
        slots: &[&str],
        device: &Device,
    ) -> Result<Option<Slots>, String> {
        let found = slots
            .iter()
            .map(|slot| self.tensors.remove(&format!("{name}.{slot}")));
        let found: Vec<Option<TensorData>> = found.collect();
        if found.iter().all(Option::is_none) {
            return Ok(None);
        }
        let sound = |data: &TensorData| {
            let values = data.as_slice::<f32>();
            data.shape().to_vec() == [size]
                && values.is_ok_and(|values| values.iter().all(|value| value.is_finite()))
        };
        let tensors = found.into_iter().map(|data| {
            let data = data.filter(sound)?;
            Some(Tensor::from_data(data, device))
        });
        let tensors: Option<Slots> = tensors.collect();
        tensors.map(Some).ok_or_else(|| {
            let (count, names) = (slots.len(), slots.join(", "));
            format!("the state of `{name}` is not {count} lists of {size} finite f32 ({names})")
        })
    }

    /// Name of a tensor that was not taken.
    pub(super) fn left(&self) -> Option<&String> {
        self.tensors.keys().next()
    }
}
