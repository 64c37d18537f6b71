//! Named tensors of a structured state, for a file.

use super::{BankShape, StructuredError, StructuredState};
use burn::tensor::{Device, TensorData};
use std::collections::BTreeMap;

/// A structured state as named tensors and numbers: what a state file stores. Lanes are the first axis of every tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredBanks {
    /// `rho.NAME`, `[B, H, P, N, D]`, and `stream.NAME`, `[B, 1, P, D]`, for each bank.
    pub tensors: BTreeMap<String, TensorData>,
    /// Time of each lane.
    pub times: Vec<u64>,
    /// Age of each lane's prediction.
    pub ages: Vec<u64>,
}

fn memory_name(bank: &str) -> String {
    format!("rho.{bank}")
}

fn stream_name(bank: &str) -> String {
    format!("stream.{bank}")
}

impl StructuredState {
    /// The state as named tensors, in its precision.
    pub fn store(&self) -> StoredBanks {
        let mut tensors = BTreeMap::new();
        for (name, bank) in self.names.iter().zip(&self.banks) {
            tensors.insert(memory_name(name), bank.rho.clone().inner().into_data());
            if let Some(stream) = &bank.stream {
                tensors.insert(stream_name(name), stream.clone().inner().into_data());
            }
        }
        StoredBanks {
            tensors,
            times: self.times.clone(),
            ages: self.ages.clone(),
        }
    }

    /// A state from named tensors, in their precision.
    ///
    /// # Errors
    /// If a tensor is missing, belongs to no bank, has another shape or no float type, or the times and ages are not one
    /// for each lane.
    pub fn restore(
        shapes: &[BankShape],
        mut stored: StoredBanks,
        device: &Device,
    ) -> Result<Self, StructuredError> {
        let lanes = stored.times.len();
        if stored.ages.len() != lanes {
            return Err(StructuredError::Lanes {
                given: stored.ages.len(),
                expected: lanes,
            });
        }
        let mut state = Self::new(shapes, lanes, device);
        for (shape, bank) in shapes.iter().zip(&mut state.banks) {
            let (name, expected) = (memory_name(&shape.name), shape.memory(lanes));
            let data = taken(&mut stored, &name, (&shape.name, "memory"), &expected)?;
            bank.rho = tensor(data, device);
            if let Some(expected) = shape.stream(lanes) {
                let name = stream_name(&shape.name);
                let data = taken(&mut stored, &name, (&shape.name, "stream"), &expected)?;
                bank.stream = Some(tensor(data, device));
            }
        }
        if let Some(name) = stored.tensors.into_keys().next() {
            return Err(StructuredError::Unexpected { name });
        }
        (state.times, state.ages) = (stored.times, stored.ages);
        Ok(state)
    }
}

fn tensor<const R: usize>(data: TensorData, device: &Device) -> burn::tensor::Tensor<R> {
    let dtype = data.dtype();
    burn::tensor::Tensor::from_data(data, (device, dtype))
}

/// A stored tensor of this shape.
fn taken(
    stored: &mut StoredBanks,
    name: &str,
    (bank, part): (&str, &'static str),
    expected: &[usize],
) -> Result<TensorData, StructuredError> {
    let Some(data) = stored.tensors.remove(name) else {
        return Err(StructuredError::Missing { name: name.into() });
    };
    super::state::same_shape(bank, part, &data.shape()[..], expected)?;
    if !data.dtype().is_float() {
        return Err(StructuredError::Type {
            name: name.into(),
            given: format!("{:?}", data.dtype()),
        });
    }
    Ok(data)
}
