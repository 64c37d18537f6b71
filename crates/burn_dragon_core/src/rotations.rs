//! Rotations of windows, cached from step to step, since their sines and cosines are expensive.

use crate::config::TrunkConfig;
use burn::tensor::{DType, Device, Tensor};
use burn_dragon_kernel::api::Rotation;
use std::sync::{Arc, Mutex, PoisonError};

/// Cache of the rotation of the last window that began at position 0 in all lanes. Clones of a model share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rotations(Arc<Mutex<Option<Kept>>>);

#[derive(Clone, Debug)]
struct Kept {
    tokens: usize,
    dtype: DType,
    device: Device,
    rotation: Rotation,
}

impl Rotations {
    /// Rotation of a window `v`, `[B, 1, T, D]`, that begins at these positions, one for each lane: constants, without
    /// autodiff.
    pub(crate) fn of_window(&self, config: &TrunkConfig, positions: &[u64], v: &Tensor<4>) -> Rotation {
        let (tokens, dtype, device) = (v.dims()[2], v.dtype(), v.device().inner());
        if positions.iter().any(|&position| position != 0) {
            return config.frequencies().rotation(positions, tokens, dtype, &device);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref()
            && (kept.tokens, kept.dtype) == (tokens, dtype)
            && kept.device == device
        {
            return kept.rotation.clone();
        }
        let rotation = config.frequencies().rotation(&[0], tokens, dtype, &device);
        *kept = Some(Kept {
            tokens,
            dtype,
            device,
            rotation: rotation.clone(),
        });
        rotation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DragonConfig;

    #[test]
    fn what_is_kept_is_what_would_be_made_whatever_was_asked_before() {
        let (rotations, config) = (Rotations::default(), DragonConfig::tiny().trunk());
        let device = Device::flex();
        for (tokens, dtype, start) in [
            (5, DType::F32, 0),
            (5, DType::F64, 0),
            (7, DType::F32, 0),
            (7, DType::F32, 3),
            (7, DType::F32, 0),
        ] {
            let made = config.frequencies().rotation(&[start], tokens, dtype, &device);
            let v = Tensor::zeros([2, 1, tokens, 4], (&device, dtype));
            let given = rotations.clone().of_window(&config, &[start; 2], &v);
            assert_eq!(given.cos.to_data(), made.cos.to_data());
            assert_eq!(given.sin.to_data(), made.sin.to_data());
        }
    }
}
