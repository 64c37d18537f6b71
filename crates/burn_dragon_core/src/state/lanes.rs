//! Lanes of a state: resets, selection, replacement, merging.

use super::{DragonState, StateError};
use burn::tensor::{Int, Tensor, TensorData};

impl DragonState {
    /// Resets all lanes: empty memory, position 0.
    pub fn reset(&mut self) {
        for rho in &mut self.rho {
            *rho = rho.zeros_like();
        }
        self.positions.fill(0);
    }

    /// Resets these lanes: empty memory, position 0. The other lanes do not change.
    ///
    /// # Errors
    /// If a lane does not exist; then no lane is reset.
    pub fn reset_lanes(&mut self, lanes: &[usize]) -> Result<(), StateError> {
        self.check_lanes(lanes)?;
        if (0..self.lanes()).all(|lane| lanes.contains(&lane)) {
            self.reset();
            return Ok(());
        }
        let empty = |rho: Tensor<4>, lane: usize| {
            let [_, heads, neurons, width] = rho.dims();
            let zeros = Tensor::zeros([1, heads, neurons, width], (&rho.device(), rho.dtype()));
            rho.slice_assign([lane..lane + 1, 0..heads, 0..neurons, 0..width], zeros)
        };
        self.rho = std::mem::take(&mut self.rho)
            .into_iter()
            .map(|rho| lanes.iter().fold(rho, |rho, &lane| empty(rho, lane)))
            .collect();
        lanes.iter().for_each(|&lane| self.positions[lane] = 0);
        Ok(())
    }

    /// A state of these lanes, in this order; a lane that is listed twice is forked.
    ///
    /// # Errors
    /// If no lane is listed, or a lane does not exist.
    pub fn select_lanes(&self, lanes: &[usize]) -> Result<Self, StateError> {
        self.check_lanes(lanes)?;
        if lanes.is_empty() {
            return Err(StateError::NoLanes);
        }
        let indices: Vec<i32> = lanes.iter().map(|&lane| lane as i32).collect();
        let pick = |rho: &Tensor<4>| {
            let data = TensorData::new(indices.clone(), [lanes.len()]);
            let indices = Tensor::<1, Int>::from_data(data, &rho.device());
            rho.clone().select(0, indices)
        };
        Ok(Self {
            rho: self.rho.iter().map(pick).collect(),
            positions: lanes.iter().map(|&lane| self.positions[lane]).collect(),
        })
    }

    /// The same state, with the listed lanes replaced by those of `others`, in this order.
    ///
    /// # Errors
    /// If a lane does not exist, if `others` has another number of lanes than are listed, or if it differs in shape,
    /// precision or device.
    pub fn replace_lanes(self, lanes: &[usize], others: Self) -> Result<Self, StateError> {
        self.check_lanes(lanes)?;
        if lanes.len() != others.lanes() {
            return Err(StateError::Lanes {
                state: others.lanes(),
                tokens: lanes.len(),
            });
        }
        if lanes.iter().copied().eq(0..self.lanes()) {
            return Ok(others);
        }
        let count = self.lanes();
        let both = Self::merge(vec![self, others])?;
        let mut chosen: Vec<usize> = (0..count).collect();
        lanes
            .iter()
            .enumerate()
            .for_each(|(index, &lane)| chosen[lane] = count + index);
        both.select_lanes(&chosen)
    }

    /// A state of the lanes of all states, in their order.
    ///
    /// # Errors
    /// If there is no state, or the states differ in shape, precision or device.
    pub fn merge(states: Vec<Self>) -> Result<Self, StateError> {
        let expected = states.first().ok_or(StateError::NoLanes)?.form();
        if let Some(index) = states.iter().position(|state| state.form() != expected) {
            let given = states[index].form();
            return Err(StateError::Unlike {
                index,
                given,
                expected,
            });
        }
        let levels = states[0].rho.len();
        let positions = states.iter().flat_map(|state| state.positions.clone());
        let positions = positions.collect();
        let mut memories: Vec<_> = states.into_iter().map(|state| state.rho.into_iter()).collect();
        let side_by_side = |_| Tensor::cat(memories.iter_mut().filter_map(Iterator::next).collect(), 0);
        Ok(Self {
            rho: (0..levels).map(side_by_side).collect(),
            positions,
        })
    }

    /// Description of the state's form, which must be the same for lanes in one state.
    fn form(&self) -> String {
        let level = |rho: &Tensor<4>| {
            let [_, heads, neurons, width] = rho.dims();
            format!(
                "[{heads}, {neurons}, {width}] {} on {:?}",
                rho.dtype().name(),
                rho.device()
            )
        };
        let mut levels: Vec<String> = self.rho.iter().map(level).collect();
        let count = levels.len();
        levels.dedup();
        format!("{count} levels of {}", levels.join(" and "))
    }

    fn check_lanes(&self, lanes: &[usize]) -> Result<(), StateError> {
        match lanes.iter().find(|&&lane| lane >= self.lanes()) {
            None => Ok(()),
            Some(&lane) => Err(StateError::NoSuchLane {
                lane,
                lanes: self.lanes(),
            }),
        }
    }
}
