//! Backends: the choice of the device on which a model runs.

use burn::tensor::Device;
use burn_dragon_kernel::api::{Instructions, Kernels, UnknownInstructions};
use serde::{Deserialize, Serialize};

/// Backend that a user requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The first that is compiled in and present: cuda, wgpu, cpu.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// Any GPU, through Vulkan, Metal or DirectX (feature `wgpu`).
    Wgpu,
    /// An NVIDIA GPU (feature `cuda`).
    Cuda,
}

/// Device that was selected, with the reason.
#[derive(Clone, Debug)]
pub struct SelectedBackend {
    /// Name of the backend: `cpu`, `wgpu` or `cuda`.
    pub name: &'static str,
    /// Device, without autodiff.
    pub device: Device,
    /// Reason for this device, in words.
    pub why: String,
}

impl SelectedBackend {
    /// Kernels that compute on the device.
    pub fn kernels(&self) -> Kernels {
        Kernels::of(&self.device)
    }
}

/// The backend, the reason for it, and the kernels of a device other than the processor.
impl std::fmt::Display for SelectedBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "backend {} ({})", self.name, self.why)?;
        match self.kernels() {
            Kernels::Processor => Ok(()),
            kernels => write!(f, "; {kernels}"),
        }
    }
}

impl Backend {
    /// Selects the device.
    ///
    /// # Errors
    /// - The requested backend is not compiled in, or has no device on this machine; the error says how to get it.
    /// - The environment limits the processor's instructions to a kind that does not exist.
    pub fn select(self) -> Result<SelectedBackend, BackendError> {
        Instructions::limit()?;
        match self {
            Self::Auto => Ok(Self::best()),
            Self::Cpu => Ok(SelectedBackend {
                name: "cpu",
                device: Device::flex(),
                why: "requested".into(),
            }),
            Self::Wgpu => Self::asked("wgpu", wgpu()),
            Self::Cuda => Self::asked("cuda", cuda()),
        }
    }

    fn asked(
        name: &'static str,
        found: Result<Device, BackendError>,
    ) -> Result<SelectedBackend, BackendError> {
        found.map(|device| SelectedBackend {
            name,
            device,
            why: "requested".into(),
        })
    }

    fn best() -> SelectedBackend {
        let mut passed = Vec::new();
        for (name, found) in [("cuda", cuda()), ("wgpu", wgpu())] {
            match found {
                Ok(device) => {
                    return SelectedBackend {
                        name,
                        device,
                        why: "the best that is present".into(),
                    };
                }
                Err(BackendError::NotCompiled { .. }) => passed.push(format!("{name} is not compiled in")),
                Err(BackendError::NotPresent { .. }) => passed.push(format!("no {name} device is present")),
                Err(BackendError::Instructions(_)) => unreachable!("a device says nothing of the processor"),
            }
        }
        SelectedBackend {
            name: "cpu",
            device: Device::flex(),
            why: passed.join(", "),
        }
    }
}

impl std::str::FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu),
            "cuda" => Ok(Self::Cuda),
            other => Err(format!(
                "unknown backend `{other}`; expected auto, cpu, wgpu or cuda"
            )),
        }
    }
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device, BackendError> {
    use burn::tensor::DeviceType;
    first_present("wgpu", DeviceType::Wgpu)
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Device, BackendError> {
    Err(BackendError::NotCompiled { name: "wgpu" })
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, BackendError> {
    use burn::tensor::DeviceType;
    first_present("cuda", DeviceType::Cuda)
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device, BackendError> {
    Err(BackendError::NotCompiled { name: "cuda" })
}

/// First device of a kind. Some runtimes panic if a driver is missing; such a panic counts as "not present".
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn first_present(name: &'static str, kind: burn::tensor::DeviceType) -> Result<Device, BackendError> {
    let found = std::panic::catch_unwind(|| Device::enumerate(kind).into_vec());
    found
        .ok()
        .and_then(|devices| devices.into_iter().next())
        .ok_or(BackendError::NotPresent { name })
}

/// Error of a backend that is not available.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The backend's feature is off.
    #[error(
        "backend `{name}` is not compiled in; build with it: \
         cargo run --release -p burn_dragon_cli --features {name} -- --backend {name}"
    )]
    NotCompiled {
        /// The backend.
        name: &'static str,
    },
    /// The backend has no device or driver on this machine.
    #[error(
        "backend `{name}` is compiled in but no device was found; install its driver \
         (Debian, without a GPU: apt-get install mesa-vulkan-drivers libvulkan1) or use --backend cpu"
    )]
    NotPresent {
        /// The backend.
        name: &'static str,
    },
    /// The environment limits the processor's instructions to a kind that does not exist.
    #[error(transparent)]
    Instructions(#[from] UnknownInstructions),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_says_what_it_took_and_why() {
        let selected = Backend::Auto.select().unwrap();
        assert!(!selected.why.is_empty());
        let line = selected.to_string();
        assert!(
            line.starts_with(&format!("backend {} ({})", selected.name, selected.why)),
            "{line}"
        );
        assert_eq!(selected.name == "cpu", !line.contains("kernels"), "{line}");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_backend_that_is_not_compiled_in_gives_the_command_to_get_it() {
        let error = Backend::Cuda.select().unwrap_err().to_string();
        assert!(error.contains("--features cuda"), "{error}");
    }
}
