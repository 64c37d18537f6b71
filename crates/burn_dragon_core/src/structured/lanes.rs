//! Lanes of a structured state: selection, resets, merging.

use super::{Bank, StructuredError, StructuredState};
use burn::tensor::{Int, Tensor, TensorData};

impl StructuredState {
    /// A state of these lanes, in this order; a lane that is listed twice is forked.
    ///
    /// # Errors
    /// If no lane is listed, or a lane does not exist.
    pub fn select_lanes(&self, lanes: &[usize]) -> Result<Self, StructuredError> {
        self.check_lanes(lanes)?;
        if lanes.is_empty() {
            return Err(StructuredError::NoLanes);
        }
        let indices: Vec<i32> = lanes.iter().map(|&lane| lane as i32).collect();
        let device = self.banks.first().map(|bank| bank.rho.device());
        let indices = device.map(|device| {
            Tensor::<1, Int>::from_data(TensorData::new(indices, [lanes.len()]), &device.inner())
        });
        let pick = |bank: &Bank, indices: &Tensor<1, Int>| Bank {
            rho: bank.rho.clone().select(0, indices.clone()),
            stream: bank
                .stream
                .clone()
                .map(|stream| stream.select(0, indices.clone())),
        };
        let banks = indices
            .iter()
            .flat_map(|indices| self.banks.iter().map(move |bank| pick(bank, indices)));
        Ok(Self {
            names: self.names.clone(),
            banks: banks.collect(),
            times: lanes.iter().map(|&lane| self.times[lane]).collect(),
            ages: lanes.iter().map(|&lane| self.ages[lane]).collect(),
        })
    }

    /// Resets these lanes: empty memories and streams, time 0. The other lanes do not change.
    ///
    /// # Errors
    /// If a lane does not exist; then no lane is reset.
    pub fn reset_lanes(self, lanes: &[usize]) -> Result<Self, StructuredError> {
        self.check_lanes(lanes)?;
        let keep: Vec<f32> = (0..self.lanes())
            .map(|lane| f32::from(u8::from(!lanes.contains(&lane))))
            .collect();
        let count = keep.len();
        let mut state = self.map(
            |rho| {
                let mask = mask::<5>(&keep, [count, 1, 1, 1, 1], &rho);
                rho.mask_fill(mask.equal_elem(0.0), 0.0)
            },
            |stream| {
                let mask = mask::<4>(&keep, [count, 1, 1, 1], &stream);
                stream.mask_fill(mask.equal_elem(0.0), 0.0)
            },
        );
        for &lane in lanes {
            (state.times[lane], state.ages[lane]) = (0, 0);
        }
        Ok(state)
    }

    /// A state of the lanes of all states, in their order.
    ///
    /// # Errors
    /// If there is no state, or banks or shapes differ.
    pub fn merge(states: &[Self]) -> Result<Self, StructuredError> {
        let first = states.first().ok_or(StructuredError::NoLanes)?;
        for state in states {
            state.check_like(first)?;
        }
        let bank = |index: usize| {
            let stream = |state: &Self| state.banks[index].stream.clone();
            let streams: Vec<Tensor<4>> = states.iter().filter_map(stream).collect();
            Bank {
                rho: Tensor::cat(
                    states
                        .iter()
                        .map(|state| state.banks[index].rho.clone())
                        .collect(),
                    0,
                ),
                stream: (!streams.is_empty()).then(|| Tensor::cat(streams, 0)),
            }
        };
        Ok(Self {
            names: first.names.clone(),
            banks: (0..first.banks.len()).map(bank).collect(),
            times: states.iter().flat_map(|state| state.times.clone()).collect(),
            ages: states.iter().flat_map(|state| state.ages.clone()).collect(),
        })
    }

    /// An error unless the state has the banks of another, with its shapes but for the number of lanes.
    fn check_like(&self, other: &Self) -> Result<(), StructuredError> {
        if self.names != other.names {
            return Err(StructuredError::Banks {
                given: self.names.clone(),
                expected: other.names.clone(),
            });
        }
        for ((name, bank), expected) in self.names.iter().zip(&self.banks).zip(&other.banks) {
            let of = |bank: &Bank| {
                let stream = bank.stream.as_ref();
                [
                    bank.rho.dims()[1..].to_vec(),
                    stream.map_or(Vec::new(), |stream| stream.dims()[1..].to_vec()),
                ]
            };
            let ([memory, stream], [memories, streams]) = (of(bank), of(expected));
            super::state::same_shape(name, "memory", &memory, &memories)?;
            super::state::same_shape(name, "stream", &stream, &streams)?;
        }
        Ok(())
    }

    fn check_lanes(&self, lanes: &[usize]) -> Result<(), StructuredError> {
        match lanes.iter().find(|&&lane| lane >= self.lanes()) {
            None => Ok(()),
            Some(&lane) => Err(StructuredError::NoSuchLane {
                lane,
                lanes: self.lanes(),
            }),
        }
    }
}

/// A number for each lane, in the type of a tensor.
fn mask<const R: usize>(lanes: &[f32], shape: [usize; R], like: &Tensor<R>) -> Tensor<R> {
    let data = TensorData::new(lanes.to_vec(), shape).convert_dtype(like.dtype());
    let mask = Tensor::<R>::from_data(data, (&like.device(), like.dtype()));
    mask.expand(like.dims())
}
