//! Precision of training steps, as a configuration asks for it.

use crate::error::TrainError;
use burn::tensor::Device;
use burn_dragon_core::api::Precision;
use burn_dragon_kernel::api::Kernels;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Value of `training.precision`: a precision, or `auto` for the one that is faster on the device.
///
/// A family settles `auto` when it creates the task of a run ([`settle`](Self::settle)), so that the configuration in the
/// run's folder names a precision, and a resumed run goes on in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrainingPrecision {
    /// Factors in f32, not rounded.
    #[default]
    F32,
    /// Factors rounded to bf16.
    Bf16,
    /// The faster of the two on the device of the run.
    Auto,
}

impl TrainingPrecision {
    /// Precision of the computation.
    ///
    /// # Errors
    /// If it is `auto`, which names none until it is settled; with the key.
    pub fn concrete(self) -> Result<Precision, TrainError> {
        match self {
            Self::F32 => Ok(Precision::F32),
            Self::Bf16 => Ok(Precision::Bf16),
            Self::Auto => Err(TrainError::Setting {
                key: "training.precision".into(),
                given: "auto".into(),
                expected: "f32 or bf16 here: auto must be settled for the device before a task is created \
                           (`TrainingPrecision::settle`)",
            }),
        }
    }

    /// Replaces `auto` by the precision that is faster on `device` ([`Kernels::fastest_precision`]), or by f32 if the
    /// model can be trained in no other; `only_f32` is then the reason. Returns a line for the user, which says what was
    /// chosen and why, or `None` if there was nothing to settle.
    #[must_use]
    pub fn settle(&mut self, device: &Device, only_f32: Option<&str>) -> Option<String> {
        if *self != Self::Auto {
            return None;
        }
        let (precision, why) = match only_f32 {
            Some(why) => (Precision::F32, why.into()),
            None => Kernels::of(device).fastest_precision(),
        };
        *self = precision.into();
        Some(format!("precision {precision} (auto: {why})"))
    }

    /// Refuses a precision that the device does not support.
    ///
    /// # Errors
    /// If the device does not support the precision, or it is not settled; with the key.
    pub(crate) fn check(self, has_bf16: bool) -> Result<(), TrainError> {
        if self.concrete()? == Precision::Bf16 && !has_bf16 {
            return Err(TrainError::Setting {
                key: "training.precision".into(),
                given: "bf16".into(),
                expected: "f32 on this device, which computes no bf16 (the processor does: `--backend cpu`)",
            });
        }
        Ok(())
    }
}

impl From<Precision> for TrainingPrecision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

impl std::fmt::Display for TrainingPrecision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Auto => "auto",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::TrainingConfig;

    #[test]
    fn bf16_is_refused_where_there_is_none() {
        assert!(TrainingPrecision::F32.check(false).is_ok());
        assert!(TrainingPrecision::Bf16.check(true).is_ok());
        let error = TrainingPrecision::Bf16.check(false).unwrap_err().to_string();
        assert!(
            error.contains("training.precision = bf16") && error.contains("--backend cpu"),
            "{error}"
        );
    }

    #[test]
    fn a_precision_is_one_of_three_names() {
        let read = |name: &str| toml::from_str::<TrainingConfig>(&format!("precision = '{name}'"));
        for (name, precision) in [
            ("f32", TrainingPrecision::F32),
            ("bf16", TrainingPrecision::Bf16),
            ("auto", TrainingPrecision::Auto),
        ] {
            assert_eq!(read(name).unwrap().precision, precision);
            assert_eq!(precision.to_string(), name);
            let written = toml::to_string(&read(name).unwrap()).unwrap();
            assert!(written.contains(&format!("precision = \"{name}\"")), "{written}");
        }
        let error = read("f16").unwrap_err().to_string();
        for name in ["`f16`", "`f32`", "`bf16`", "`auto`"] {
            assert!(error.contains(name), "{error}");
        }
        assert_eq!(TrainingConfig::default().precision, TrainingPrecision::F32);
    }

    #[test]
    fn auto_is_settled_to_what_is_fastest_on_the_processor_and_the_line_says_it() {
        let device = Device::flex().autodiff();
        let (fastest, why) = Kernels::Processor.fastest_precision();
        let mut precision = TrainingPrecision::Auto;
        let line = precision.settle(&device, None).unwrap();
        assert_eq!(precision.concrete().unwrap(), fastest);
        assert_eq!(line, format!("precision {fastest} (auto: {why})"));
        assert_eq!(precision.settle(&device, None), None, "it is settled");
    }

    #[test]
    fn auto_is_f32_where_nothing_else_can_be_trained_and_a_named_precision_stays() {
        let device = Device::flex().autodiff();
        let mut precision = TrainingPrecision::Auto;
        let line = precision.settle(&device, Some("the reason"));
        assert_eq!(line.unwrap(), "precision f32 (auto: the reason)");
        assert_eq!(precision, TrainingPrecision::F32);
        for named in [TrainingPrecision::F32, TrainingPrecision::Bf16] {
            let mut precision = named;
            assert_eq!(precision.settle(&device, Some("the reason")), None);
            assert_eq!(precision, named);
        }
    }

    #[test]
    fn auto_that_is_not_settled_is_refused_and_never_taken_for_a_precision() {
        for refused in [
            TrainingPrecision::Auto.concrete().map(|_| ()),
            TrainingPrecision::Auto.check(true),
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("training.precision = auto"), "{error}");
        }
    }
}
