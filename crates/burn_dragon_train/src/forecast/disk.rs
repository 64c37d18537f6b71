//! Disk space of a run: its checkpoints.

use crate::error::TrainError;
use crate::free_disk::{free, used};
use crate::optimizer::Parameter;
use crate::plan::Plan;
use burn_dragon_core::api::TensorShape;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Disk space of the checkpoints of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskForecast {
    /// Bytes of one checkpoint: the model, the state of the optimiser, an average of the weights, what is carried.
    pub checkpoint_bytes: u64,
    /// Most checkpoints on the disk at once: those that are kept, the best one, and the one that is being written.
    pub checkpoints: u64,
    /// Bytes of as many checkpoints.
    pub bytes: u64,
    /// Folder of the run, or the one of all runs.
    pub folder: PathBuf,
    /// Bytes that are free there, with those of the run's checkpoints now; `None` if the system does not tell.
    pub free: Option<u64>,
}

/// Bytes of the texts of a checkpoint: manifest, state of the trainer, descriptions of tensors.
const TEXTS: u64 = 16 << 10;

impl DiskForecast {
    /// Disk space of a run that writes at most `written` checkpoints of a model of these tensors.
    pub(crate) fn new(
        plan: &Plan,
        tensors: &[TensorShape],
        carried_bytes: u64,
        written: u64,
        folder: &Path,
    ) -> Self {
        let checkpoint_bytes = checkpoint_bytes(plan, tensors).saturating_add(carried_bytes);
        let kept = (plan.checkpoint.keep as u64).saturating_add(2);
        let checkpoints = kept.min(written.max(1));
        Self {
            checkpoint_bytes,
            checkpoints,
            bytes: checkpoint_bytes.saturating_mul(checkpoints),
            folder: folder.into(),
            free: free(folder).map(|free| free.saturating_add(used(&folder.join("checkpoint")))),
        }
    }

    /// Refuses a run whose checkpoints do not fit on the disk.
    ///
    /// # Errors
    /// [`TrainError::Disk`].
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        match self.free {
            Some(free) if free < self.bytes => Err(TrainError::Disk {
                folder: self.folder.clone(),
                needed: self.bytes,
                checkpoint: self.checkpoint_bytes,
                checkpoints: self.checkpoints,
                free,
            }),
            _ => Ok(()),
        }
    }
}

/// Bytes of a checkpoint without what is carried, all numbers in f32.
pub(super) fn checkpoint_bytes(plan: &Plan, tensors: &[TensorShape]) -> u64 {
    let method = plan.optimizer.method.build();
    let copies = |tensor: &TensorShape| {
        let slots = method.slots(Parameter {
            name: &tensor.name,
            shape: &tensor.shape,
        });
        1 + slots.len() as u64 + u64::from(plan.ema.is_some())
    };
    let bytes = |tensor: &TensorShape| tensor.numbers().0.saturating_mul(4 * copies(tensor));
    tensors.iter().map(bytes).fold(TEXTS, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::{EmaConfig, Method, Sgd};
    use crate::settings::CheckpointConfig;

    fn of(plan: &Plan, written: u64) -> DiskForecast {
        let tensors = [TensorShape::new("a", [10, 100]), TensorShape::new("b", [24])];
        DiskForecast::new(plan, &tensors, 0, written, Path::new("/"))
    }

    #[test]
    fn a_checkpoint_has_the_weights_the_state_of_the_method_and_an_average() {
        let plan = Plan::default();
        assert_eq!(
            of(&plan, 9).checkpoint_bytes - TEXTS,
            1024 * 4 * 3,
            "AdamW has two moments"
        );
        let averaged = Plan {
            ema: Some(EmaConfig::default()),
            optimizer: Method::Sgd(Sgd::default()).into(),
            ..Plan::default()
        };
        let slots = Method::Sgd(Sgd::default()).build();
        let slots = slots.slots(Parameter {
            name: "a",
            shape: &[10, 100],
        });
        let copies = 2 + slots.len() as u64;
        assert_eq!(of(&averaged, 9).checkpoint_bytes - TEXTS, 1024 * 4 * copies);
    }

    #[test]
    fn those_that_are_kept_the_best_and_the_one_being_written_lie_on_the_disk() {
        let plan = Plan {
            checkpoint: CheckpointConfig { every: 10, keep: 3 },
            ..Plan::default()
        };
        let disk = of(&plan, 9);
        assert_eq!((disk.checkpoints, disk.bytes), (5, 5 * disk.checkpoint_bytes));
        assert_eq!(of(&plan, 2).checkpoints, 2, "no more than are written");
    }

    #[test]
    fn a_disk_that_is_too_small_is_refused_with_what_is_needed_and_what_is_there() {
        let disk = DiskForecast {
            free: Some(1_000_000),
            bytes: 3_000_000,
            checkpoint_bytes: 1_500_000,
            checkpoints: 2,
            folder: "runs".into(),
        };
        let error = disk.check().unwrap_err().to_string();
        for part in [
            "runs",
            "3.0 MB",
            "2 checkpoints of 1.5 MB",
            "1.0 MB",
            "checkpoint.keep",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let enough = DiskForecast {
            free: Some(3_000_000),
            ..disk.clone()
        };
        enough.check().unwrap();
        DiskForecast { free: None, ..disk }.check().unwrap();
    }
}
