//! The names of `cubecl-llvm` that `cubecl-cuda` uses, without an LLVM. `cubecl-cuda` compiles two backends into every program and
//! picks one by its feature `cpp`: with it kernels go to NVRTC as C++, and of this crate only the types are needed. Without it
//! the first kernel ends with [`PlironCompiler`]'s error.

use cubecl_core::ir::nvidia::SmArch;
use cubecl_core::prelude::KernelDefinition;
use cubecl_environment::backtrace::BackTrace;
use cubecl_runtime::compiler::{CompilationError, Compiler};
use cubecl_runtime::kernel::BufferIOAttr;
use nvptx::ptx_version::PtxVersion;
use std::fmt;

/// What PTX is written for.
pub mod nvptx {
    /// Versions of PTX.
    pub mod ptx_version {
        use std::fmt;

        /// A version of PTX. This crate writes none, so there is none.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum PtxVersion {}

        impl PtxVersion {
            /// The newest version that a driver loads: unknown here.
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {}
            }
        }
    }
}

/// What the targets of LLVM have in common.
pub mod shared {
    /// Features of a device that LLVM cannot use.
    pub mod lowered_features {
        use cubecl_core::ir::DeviceProperties;

        /// A target of LLVM.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA's.
            Nvptx,
        }

        /// Takes features away that LLVM does not lower. Without LLVM there is nothing to take away.
        pub fn restrict_features(_properties: &mut DeviceProperties, _target: GpuTarget) {}
    }
}

/// A target of LLVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LlvmTarget {
    /// NVIDIA's.
    Nvptx,
}

/// A compiler that refuses every kernel and says why.
#[derive(Clone, Copy, Debug)]
pub struct PlironCompiler {
    /// Target of the kernels.
    pub target: LlvmTarget,
}

/// Options of a kernel, read by nobody.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// Architecture of an AMD card.
    pub arch: Option<()>,
    /// Architecture of an NVIDIA card.
    pub sm_arch: Option<SmArch>,
    /// Version of PTX.
    pub ptx_version: Option<PtxVersion>,
    /// Whether the launch's parameters are constants of the grid.
    pub grid_constants: bool,
    /// What the real crate's other options are: so that `..Default::default()` leaves something to fill in.
    pub others: (),
}

/// A compiled kernel. There is none.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// PTX, ending with a zero.
    pub ptx: Vec<std::ffi::c_char>,
    /// Name of the kernel.
    pub entrypoint: String,
    /// Text before PTX.
    pub ir: String,
    /// Bytes of shared memory.
    pub shared_memory_size: usize,
    /// Which buffers are read and written.
    pub io: Vec<BufferIOAttr>,
}

/// What a compiler of this crate returns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PlironArtifact {
    /// A kernel of an NVIDIA card.
    NvptxCode(NvptxModule),
}

impl fmt::Display for PlironArtifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::NvptxCode(module) = self;
        f.write_str(&module.ir)
    }
}

impl Compiler for PlironCompiler {
    type Representation = PlironArtifact;
    type CompilationOptions = PlironOptions;

    fn compile(
        &mut self,
        _kernel: KernelDefinition,
        _options: &PlironOptions,
    ) -> Result<PlironArtifact, CompilationError> {
        Err(CompilationError::Generic {
            reason: "this program was built with scripts/cuda/no-llvm.toml, which has no LLVM; build it with the feature \
                     cuda-nvrtc, or without that file"
                .into(),
            backtrace: BackTrace::capture(),
        })
    }

    fn extension(&self) -> &'static str {
        "ll"
    }

    fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}
