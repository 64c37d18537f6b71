//! Kernels that compute on a device, for a person to read.

use burn::tensor::Device;

/// Kernels that compute the operations of this crate on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Those of the processor.
    Processor,
    /// Those of the GPU.
    Gpu {
        /// Whether factors of products can be bf16; otherwise they are f32, whatever is asked for.
        bf16: bool,
        /// Whether products of bf16 have tensor cores.
        tensor_cores: bool,
    },
    /// None: operations run as their definitions.
    Definitions,
}

impl Kernels {
    /// Kernels of a device.
    pub fn of(device: &Device) -> Self {
        let device = device.clone().inner();
        if device == Device::flex() {
            return Self::Processor;
        }
        Self::of_gpu(&device)
    }

    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    fn of_gpu(device: &Device) -> Self {
        use crate::backend::DragonBackend;
        use burn::backend::Backend;
        use burn::tensor::{DType, Tensor};
        use burn_cubecl::CubeBackend;
        let Ok(on) = CubeBackend::take(Tensor::<1>::zeros([1], device)) else {
            return Self::Definitions;
        };
        let device = on.numbers.device;
        let usage = CubeBackend::dtype_usage(&device, DType::BF16);
        Self::Gpu {
            bf16: CubeBackend::supports_dtype(&device, DType::BF16),
            tensor_cores: usage.contains(burn::backend::DTypeUsage::Accelerated),
        }
    }

    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    fn of_gpu(_: &Device) -> Self {
        Self::Definitions
    }

    /// Whether factors of products can be bf16.
    pub fn have_bf16(self) -> bool {
        match self {
            Self::Processor => true,
            Self::Gpu { bf16, .. } => bf16,
            Self::Definitions => false,
        }
    }
}

impl std::fmt::Display for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Processor => "kernels of the processor",
            Self::Gpu {
                bf16: true,
                tensor_cores: true,
            } => "kernels of the GPU, in f32 or in bf16 on tensor cores",
            Self::Gpu { bf16: true, .. } => "kernels of the GPU, in f32 or in bf16 without tensor cores",
            Self::Gpu { .. } => "kernels of the GPU, in f32: the device computes no bf16",
            Self::Definitions => "no kernels for this device: operations run as their definitions",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_has_kernels_of_its_own() {
        assert_eq!(Kernels::of(&Device::flex()), Kernels::Processor);
        assert_eq!(Kernels::of(&Device::flex().autodiff()), Kernels::Processor);
    }
}
