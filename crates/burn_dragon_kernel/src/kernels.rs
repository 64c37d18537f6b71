//! Kernels that compute on a device, for a person to read.

use crate::matrix::Precision;
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

    /// The precision in which training steps are faster on such a device, with the reason in words.
    ///
    /// It is a rule, not a measurement at run time, so it is always the same on the same machine, and so are the bits that
    /// the processor computes. (On a GPU, products of bf16 are tuned at run time in any case.) On the processor it
    /// is bf16 with AMX, where a level was measured to take a third of its time in f32, and with AVX-512 BF16 on AMD, whose
    /// products are 1.7 times as fast; it is f32 otherwise. On a GPU it is bf16 if its products have tensor cores.
    pub fn fastest_precision(self) -> (Precision, String) {
        match self {
            Self::Processor => Precision::fastest_on_processor(),
            Self::Gpu {
                bf16: true,
                tensor_cores: true,
            } => (Precision::Bf16, "the GPU has tensor cores for bf16".into()),
            Self::Gpu { bf16: true, .. } => (Precision::F32, "the GPU has no tensor cores for bf16".into()),
            Self::Gpu { .. } => (Precision::F32, "the GPU computes no bf16".into()),
            Self::Definitions => (Precision::F32, "the device has no kernels in bf16".into()),
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
    use crate::matrix::native::Unit;

    #[test]
    fn the_processor_has_kernels_of_its_own() {
        assert_eq!(Kernels::of(&Device::flex()), Kernels::Processor);
        assert_eq!(Kernels::of(&Device::flex().autodiff()), Kernels::Processor);
    }

    #[test]
    fn a_gpu_is_fastest_in_bf16_only_with_tensor_cores() {
        for (bf16, tensor_cores, fastest) in [
            (true, true, Precision::Bf16),
            (true, false, Precision::F32),
            (false, true, Precision::F32),
            (false, false, Precision::F32),
        ] {
            let kernels = Kernels::Gpu { bf16, tensor_cores };
            assert_eq!(kernels.fastest_precision().0, fastest, "{kernels:?}");
        }
        assert_eq!(Kernels::Definitions.fastest_precision().0, Precision::F32);
    }

    #[test]
    fn the_processor_is_fastest_in_bf16_only_with_a_unit_for_it() {
        let (precision, why) = Kernels::Processor.fastest_precision();
        let unit = Unit::of(Precision::Bf16);
        assert_eq!(precision == Precision::Bf16, unit.is_some());
        let named = why.contains("AMX") || why.contains("AVX-512 BF16");
        assert_eq!(precision == Precision::Bf16, named, "{why}");
        assert_eq!(Kernels::Processor.fastest_precision(), (precision, why));
    }
}
