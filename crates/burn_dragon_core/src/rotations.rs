//! The rotation of windows, kept from step to step: its sines and cosines cost more than they look.

use crate::config::DragonConfig;
use burn::tensor::{DType, Device};
use burn_dragon_kernel::api::Rotation;
use std::sync::{Arc, Mutex, PoisonError};

/// The rotation of the last window that began at position 0. Clones of a model share it.
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
    /// The rotation of a window of `tokens` from position 0, of a model of `config`: constants, without autodiff.
    pub(crate) fn of_window(
        &self,
        config: &DragonConfig,
        tokens: usize,
        dtype: DType,
        device: Device,
    ) -> Rotation {
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

    #[test]
    fn what_is_kept_is_what_would_be_made_whatever_was_asked_before() {
        let (rotations, config) = (Rotations::default(), DragonConfig::tiny());
        for (tokens, dtype) in [(5, DType::F32), (5, DType::F64), (7, DType::F32), (7, DType::F32)] {
            let device = Device::flex();
            let made = config.frequencies().rotation(&[0], tokens, dtype, &device);
            let given = rotations.clone().of_window(&config, tokens, dtype, device);
            assert_eq!(given.cos.to_data(), made.cos.to_data());
            assert_eq!(given.sin.to_data(), made.sin.to_data());
        }
    }
}
